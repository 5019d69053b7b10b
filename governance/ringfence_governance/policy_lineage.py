"""Tell of a change of policy as a run: whose policy it is of, and which labels.

Promise: tenants and labels are told by keyed digests. A change is one
transaction, and its START and COMPLETE are in it: both are there, or there was
no change. One that fails tells START and FAIL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from . import journal, lineage_datasets, lineage_facets, runs
from .errors import RingfenceError
from .ground import Ground, Moment
from .journal import Change
from .labels import LabelEntry
from .policy_rights import tenants_of
from .policy_rows import ANY
from .subjects import Subject


def tell(
    ground: Ground,
    connection: Connection,
    subject: Subject,
    job: str,
    judged: Moment,
    changes: Sequence[Change],
    entries: Sequence[LabelEntry] = (),
    error: BaseException | None = None,
) -> None:
    """Tell of a change, in its transaction; or of one that failed.

    Args:
        judged: The moment it was judged at.
        entries: The labels among the changes, as they are now.
        error: Why it failed; None if it stands.
    """
    at = ground.catalog.now(connection)
    run_id = ground.ambient.new_id("run", f"{job}|{journal.version(connection)}|{at}")
    job_facets = lineage_facets.job_facets(ground.lineage.name, job, subject.chain)
    found = _datasets(ground, judged, changes, entries)
    start = {**lineage_facets.run_facets(at), "ringfence_policy": runs.policy_facet(ground, judged)}
    ground.lineage.queue(
        connection, "START", run_id, job, run_facets=start, job_facets=job_facets, inputs=runs.named(found)
    )
    ground.lineage.queue(
        connection,
        "COMPLETE" if error is None else runs.failed(error),
        run_id,
        job,
        run_facets=lineage_facets.run_facets(at, at, error),
        job_facets=job_facets,
        outputs=found if error is None else (),
    )


def tell_failure(
    ground: Ground,
    subject: Subject,
    job: str,
    judged: Moment,
    changes: Sequence[Change],
    error: BaseException,
) -> None:
    """Tell of a change that failed, in a transaction of its own; if that fails too, nothing more is done."""
    with suppress(RingfenceError):
        with ground.catalog.write() as connection:
            tell(ground, connection, subject, job, judged, changes, error=error)
        ground.lineage.deliver_soon()


def _datasets(
    ground: Ground, judged: Moment, changes: Iterable[Change], entries: Iterable[LabelEntry]
) -> list[dict[str, Any]]:
    name, by_id = ground.lineage.name, judged.table.by_id
    rows = [change.row for change in changes if change.row is not None]
    tenants = sorted({tenant for row in rows for tenant in tenants_of(row) or {ANY}})
    found = [
        lineage_datasets.described(name, name.of("policy", tenant), lineage_datasets.POLICY)
        for tenant in tenants
    ]
    for entry in entries:
        facets = lineage_datasets.label_facets(name, entry, by_id)
        change = lineage_datasets.lifecycle_facet("ALTER" if entry.label_id in by_id else "CREATE")
        facets["lifecycleStateChange"] = change
        found.append(lineage_datasets.dataset(name, name.of("label", entry.label_id), facets))
    return found
