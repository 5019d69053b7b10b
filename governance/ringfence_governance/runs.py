"""Keep the runs: one execution of a job, from START to its end.

Promise: what a run wrote names it; who ran it and on what stands sealed. Every
START is followed by one end: COMPLETE, FAIL, or ABORT if its process died,
which the next writer says for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from . import catalog_schema as schema
from . import key_upkeep, lineage_facets
from .errors import RingfenceError, StoreError
from .ground import Ground, Moment
from .leases import WriterLease
from .lineage_facets import Facets
from .publications import Publication
from .subjects import Subject

End = Literal["COMPLETE", "FAIL", "ABORT"]
PUBLISHED_ONCE = frozenset({"relabel", "erase", "compact", "answer"})
"""Jobs that are done once they have published; an ingest may publish many times."""
DATASETS_AT_ONCE = 100
"""How many datasets one event names at most; a publication of more is told in several.

Kafka takes a million bytes unless told otherwise. 100 documents are 0.4 MB, 0.7 MB if each was made from four.
"""
Datasets = Sequence[Mapping[str, Any]]


def start(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    run_id: str,
    job: str,
    detail: Mapping[str, object],
    inputs: Datasets = (),
    facets: Facets | None = None,
) -> None:
    """Begin a run, after what a dead writer left was ended.

    Args:
        lease: Held: nobody else writes.
        inputs: What it reads, as :mod:`lineage_facets` names it.
        facets: Of the run, besides those that every run has.
    """
    end_left(ground, lease)
    body = {"chain": list(subject.chain), "asserted_by": ground.asserted_by, **detail}
    sealed = ground.catalog.seal(json.dumps(body, sort_keys=True).encode(), "run", run_id)
    moment, name = ground.moment(), ground.lineage.name
    with ground.catalog.write() as connection:
        started_at = ground.catalog.now(connection)
        connection.execute(
            insert(schema.runs).values(
                run_id=run_id,
                job=job,
                state="START",
                started_at=started_at,
                ended_at=None,
                detail=sealed,
            )
        )
        ground.lineage.queue(
            connection,
            "START",
            run_id,
            job,
            run_facets={
                **lineage_facets.run_facets(started_at),
                "ringfence_policy": policy_facet(ground, moment),
                **(facets or {}),
            },
            job_facets=lineage_facets.job_facets(name, job, subject.chain),
            inputs=inputs,
        )
    ground.lineage.deliver()


def published(
    ground: Ground,
    connection: Connection,
    run_id: str,
    job: str,
    publication: Publication,
    outputs: Datasets,
    inputs: Datasets = (),
) -> None:
    """Tell, in the transaction that publishes it, what a publication of a run holds."""
    facet = lineage_facets.publication_facet(publication.sequence, publication.versions)
    for start_at in range(0, max(len(outputs), 1), DATASETS_AT_ONCE):
        ground.lineage.queue(
            connection,
            "RUNNING",
            run_id,
            job,
            run_facets={"ringfence_publication": facet},
            inputs=inputs,
            outputs=outputs[start_at : start_at + DATASETS_AT_ONCE],
            part=f"{publication.sequence}|{start_at}",
        )


def end(
    ground: Ground,
    run_id: str,
    job: str,
    state: End,
    error: BaseException | None = None,
    outputs: Datasets = (),
) -> None:
    """End a run, unless another writer has said its end already.

    Args:
        error: What ended it, if that was an error.
        outputs: What it wrote, if no publication tells it.
    """
    with ground.catalog.write() as connection:
        ended_at = ground.catalog.now(connection)
        done = connection.execute(
            update(schema.runs)
            .where(schema.runs.c.run_id == run_id, schema.runs.c.state == "START")
            .values(state=state, ended_at=ended_at)
        )
        if not done.rowcount:
            return
        started_at = connection.execute(
            select(schema.runs.c.started_at).where(schema.runs.c.run_id == run_id)
        ).scalar_one()
        facets = lineage_facets.run_facets(str(started_at), ended_at, error)
        ground.lineage.queue(connection, state, run_id, job, run_facets=facets, outputs=outputs)
    ground.lineage.deliver()


@contextmanager
def ending(ground: Ground, run_id: str, job: str, error: BaseException | None = None) -> Iterator[None]:
    """End a run with the block.

    Args:
        error: What ended it already; None if the block is the last thing it does.
    """
    try:
        yield
    except BaseException as failure:
        error = failure
        raise
    finally:
        end(ground, run_id, job, "COMPLETE" if error is None else failed(error), error)


def policy_facet(ground: Ground, moment: Moment) -> dict[str, Any]:
    """Return the facet of the policy that stands at a moment."""
    name = ground.lineage.name
    return lineage_facets.policy_facet(name, moment.snapshot.revision, moment.policy.version)


@dataclass(slots=True)
class Run:
    """A run under way.

    Args:
        published: Whether all it is for stands: then a disk that fails afterwards does not undo it, and what is
            left to be done the next writer does.
        outputs: What it wrote, if no publication tells it.
    """

    published: bool = False
    outputs: Datasets = ()


@contextmanager
def running(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    run_id: str,
    job: str,
    detail: Mapping[str, object],
    inputs: Datasets = (),
) -> Iterator[Run]:
    """Begin a run, and end it with the block.

    As FAIL if that raises before it has published; as ABORT if it was interrupted.
    """
    start(ground, lease, subject, run_id, job, detail, inputs)
    run = Run()
    try:
        yield run
        end(ground, run_id, job, "COMPLETE", outputs=run.outputs)
    except BaseException as error:
        if run.published and isinstance(error, StoreError):
            return
        # The error that is under way says what is wrong; a run that cannot be ended now, the next writer ends.
        with suppress(RingfenceError):
            end(ground, run_id, job, failed(error), error)
        raise


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as it stands in the catalog.

    Args:
        state: START while it lasts, then COMPLETE, FAIL or ABORT.
        ended_at: UTC; empty while it lasts.
        who: The subject it ran for; empty for the one that made the store.
    """

    run_id: str
    job: str
    state: str
    started_at: str
    ended_at: str
    who: str


def rows(ground: Ground) -> tuple[RunRow, ...]:
    """Return all runs, the oldest first."""
    with ground.catalog.read() as connection:
        found = connection.execute(
            select(schema.runs).order_by(schema.runs.c.started_at, schema.runs.c.run_id)
        )
        return tuple(
            RunRow(
                row.run_id,
                row.job,
                row.state,
                row.started_at,
                row.ended_at or "",
                json.loads(ground.catalog.open(row.detail, "run", row.run_id)).get("chain", [""])[0],
            )
            for row in found
        )


def named(datasets: Datasets) -> Datasets:
    """Return datasets by their names alone: what they are, the event says that tells what became of them."""
    return [{"namespace": each["namespace"], "name": each["name"]} for each in datasets]


def failed(error: BaseException) -> End:
    """Say how a run ends that an error ended: who interrupts it aborts it."""
    return "FAIL" if isinstance(error, Exception) else "ABORT"


def end_left(ground: Ground, lease: WriterLease) -> None:
    """End the runs of writers that died or were expelled, and forget the keys they left.

    Raises:
        WriterExpelled: Another writer took the lease; nothing was forgotten.
    """
    with ground.catalog.read() as connection:
        columns = schema.runs.c
        left = connection.execute(select(columns.run_id, columns.job).where(columns.state == "START")).all()
        published = {
            run.run_id
            for run in left
            if connection.execute(
                select(schema.publications.c.run_id)
                .where(schema.publications.c.run_id == run.run_id)
                .limit(1)
            ).scalar()
        }
    # Who failed did not die, and may not have come to forget.
    if left or ground.keys.unswept:
        key_upkeep.forget_left(ground, lease)
    for run in left:
        done = run.job in PUBLISHED_ONCE and run.run_id in published
        end(ground, run.run_id, run.job, "COMPLETE" if done else "ABORT")
