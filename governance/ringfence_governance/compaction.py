"""Write the tables anew, rows of one label together, and sweep what is not needed any more.

Promise: nobody's answer changes by it; readers go on beside it, and one whose
version is removed starts again on the newest. It is published like any other
change, or not at all: killed at any instant, the last publication is whole.

Rows of one atom together is what makes reading some labels of many fast; Lance
does not order rows by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from . import authority, inspection, key_upkeep, lineage_datasets, publications, retention, runs
from .errors import Refused
from .ground import Ground, Moment
from .leases import WriterLease
from .publishing import refuse_moved
from .subjects import Subject
from .table_schemas import TABLES, TableChange

JOB = "compact"

OnProgress = Callable[[str, int, int], None]
"""Called with table, rows written, and rows to write."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done.

    Args:
        rewritten: Tables whose rows were ordered anew; the others were in order.
        rows: How many rows they have.
        bytes_removed: How many bytes of older versions and dead writers went; None for who may not know it.
    """

    rewritten: tuple[str, ...]
    rows: int | None
    bytes_removed: int | None

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return asdict(self) | {"rewritten": list(self.rewritten)}


def compact(ground: Ground, subject: Subject, *, on_progress: OnProgress | None = None) -> Compacted:
    """Order the tables' rows by label, publish them, and remove what is not needed.

    Args:
        on_progress: Called for who may know the store's sizes alone.

    Raises:
        Refused: The subject may not administer his tenant.
        StoreBusy: A writer is at work. A dead one's place is taken.
        WriterExpelled: An erasure came in between; call it again.
    """
    moment = ground.moment()
    if not authority.allowed_on_policy(moment.snapshot, subject, subject.tenant, "administer", moment.now):
        ground.record(subject, JOB, "administer", "refused")
        raise Refused(
            f"{subject.person} may not administer this store", hint="ask an administrator of the tenant"
        )
    with WriterLease(ground.catalog) as lease:
        runs.end_left(ground, lease)
        key_upkeep.forget_left(ground, lease)
        moment = ground.moment()
        versions = moment.publication.versions
        unordered = [name for name in TABLES if not _is_in_order(ground, name, versions[name])]
        rows = sum(ground.tables.rows(name, versions[name]) for name in unordered)
        # Before anything is changed: without a record nothing is.
        ground.record(subject, JOB, "administer", "allowed", detail={"rewritten": unordered})
        wide = inspection.may_know_sizes(moment, subject)
        if unordered:
            # Progress counts the rows of all tenants.
            _publish(ground, lease, subject, moment, unordered, on_progress if wide else None)
        removed = retention.clean(ground, lease)
    return Compacted(tuple(unordered) if wide else (), rows if wide else None, removed if wide else None)


def _is_in_order(ground: Ground, name: str, version: int) -> bool:
    # The newest version may be a dead writer's: it goes only when another one takes its place.
    return ground.tables.newest(name) == version and ground.tables.is_clustered(name, version)


def _publish(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    moment: Moment,
    names: list[str],
    on_progress: OnProgress | None,
) -> None:
    run_id = ground.ambient.new_id("run", JOB)
    change = TableChange(clustered=True, on_progress=on_progress)
    tables = lineage_datasets.tables(ground.lineage.name, names)
    with runs.running(ground, lease, subject, run_id, JOB, {}, runs.named(tables)) as run:
        versions = ground.tables.write(moment.publication.versions, dict.fromkeys(names, change))
        with ground.catalog.write() as connection:
            refuse_moved(connection, lease, moment.publication, None, "compacted")
            made = publications.publish(ground.catalog, connection, run_id, lease.number, versions)
            runs.published(ground, connection, run_id, JOB, made, tables)
        run.published = True
