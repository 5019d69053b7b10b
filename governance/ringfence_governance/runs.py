"""Keep the runs: one execution of a job, from START to its end.

Promise: what a run wrote names it; who ran it and on what stands sealed.
"""

from __future__ import annotations

import json

from sqlalchemy import insert, update

from . import catalog_schema as schema
from .ground import Ground
from .subjects import Subject


def start(ground: Ground, subject: Subject, run_id: str, job: str, detail: dict[str, object]) -> None:
    """Begin a run."""
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


def finish(ground: Ground, run_id: str, state: str) -> None:
    """End a run as COMPLETE or FAIL."""
    with ground.catalog.write() as connection:
        connection.execute(
            update(schema.runs)
            .where(schema.runs.c.run_id == run_id)
            .values(state=state, ended_at=ground.catalog.now(connection))
        )
