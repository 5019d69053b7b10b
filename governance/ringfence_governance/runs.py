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
from typing import Literal

from sqlalchemy import insert, select, update

from . import catalog_schema as schema
from . import key_upkeep
from .errors import RingfenceError, StoreError
from .ground import Ground
from .leases import WriterLease
from .subjects import Subject

End = Literal["COMPLETE", "FAIL", "ABORT"]
PUBLISHED_ONCE = frozenset({"relabel", "erase", "compact", "answer"})
"""Jobs that are done once they have published; an ingest may publish many times."""


def start(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    run_id: str,
    job: str,
    detail: Mapping[str, object],
    inputs: Sequence[str] = (),
) -> None:
    """Begin a run, after what a dead writer left was ended.

    Args:
        lease: Held: nobody else writes.
        inputs: Opaque ids of what it reads.
    """
    end_left(ground, lease)
    body = {"chain": list(subject.chain), "asserted_by": ground.asserted_by, **detail}
    sealed = ground.catalog.seal(json.dumps(body, sort_keys=True).encode(), "run", run_id)
    with ground.catalog.write() as connection:
        connection.execute(
            insert(schema.runs).values(
                run_id=run_id,
                job=job,
                state="START",
                started_at=ground.catalog.now(connection),
                ended_at=None,
                detail=sealed,
            )
        )
    ground.lineage.emit("START", run_id, job, inputs=inputs)


def end(
    ground: Ground,
    run_id: str,
    job: str,
    state: End,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> None:
    """End a run, unless another writer has said its end already."""
    with ground.catalog.write() as connection:
        done = connection.execute(
            update(schema.runs)
            .where(schema.runs.c.run_id == run_id, schema.runs.c.state == "START")
            .values(state=state, ended_at=ground.catalog.now(connection))
        )
    if done.rowcount:
        ground.lineage.emit(state, run_id, job, inputs=inputs, outputs=outputs)


@dataclass(slots=True)
class Run:
    """A run under way.

    Args:
        published: Whether all it is for stands: then a disk that fails afterwards does not undo it, and what is
            left to be done the next writer does.
    """

    published: bool = False


@contextmanager
def running(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    run_id: str,
    job: str,
    detail: Mapping[str, object],
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> Iterator[Run]:
    """Begin a run, and end it with the block: as FAIL if that raises before it has published."""
    start(ground, lease, subject, run_id, job, detail, inputs)
    run = Run()
    try:
        yield run
        end(ground, run_id, job, "COMPLETE", inputs, outputs)
    except BaseException as error:
        if run.published and isinstance(error, StoreError):
            return
        # The error that is under way says what is wrong; a run that cannot be ended now, the next writer ends.
        with suppress(RingfenceError):
            end(ground, run_id, job, "FAIL", inputs)
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
    if not left:
        return
    key_upkeep.forget_left(ground, lease)
    for run in left:
        done = run.job in PUBLISHED_ONCE and run.run_id in published
        end(ground, run.run_id, run.job, "COMPLETE" if done else "ABORT")
