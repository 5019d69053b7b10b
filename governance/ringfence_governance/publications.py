"""Publish one atomic cut of all tables, and say which one is the newest.

Promise: a reader opens exactly the versions of one publication; what a
writer wrote and did not publish does not exist for anybody.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select

from . import catalog_schema as schema
from .catalog import SEQUENCE_MAX, Catalog
from .errors import StoreCorrupt
from .table_schemas import TABLES, Versions

RUNS_AT_ONCE = 500
"""How many runs one statement asks for; SQLite and Postgres bound its arguments."""
# Made once: making a statement takes several times as long as asking it, and this one is asked at every change.
_NEWEST_UNTIL = (
    select(schema.publications.c.sequence, schema.publications.c.versions)
    .where(schema.publications.c.sequence <= bindparam("until"))
    .order_by(schema.publications.c.sequence.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Publication:
    """One consistent cut of all tables.

    Args:
        sequence: Its catalog number.
        versions: Table → Lance version.
    """

    sequence: int
    versions: Versions


def newest(connection: Connection) -> Publication:
    """Return the newest publication.

    Raises:
        StoreCorrupt: There is none: the store was not made whole.
    """
    found = newest_until(connection, SEQUENCE_MAX)
    if found is None:
        raise StoreCorrupt("the store has no publication; init did not finish; make the store again")
    return found


def newest_until(connection: Connection, sequence: int) -> Publication | None:
    """Return the newest publication of a catalog number or before; None if there was none yet.

    Raises:
        StoreCorrupt: It does not name all tables.
    """
    row = connection.execute(_NEWEST_UNTIL, {"until": sequence}).one_or_none()
    return None if row is None else _publication(row)


def newest_few(connection: Connection, count: int, *, after: int) -> tuple[Publication, ...]:
    """Return the newest publications whose number is above `after`, the newest first."""
    rows = connection.execute(
        select(schema.publications.c.sequence, schema.publications.c.versions)
        .where(schema.publications.c.sequence > after)
        .order_by(schema.publications.c.sequence.desc())
        .limit(count)
    )
    return tuple(map(_publication, rows))


def until(connection: Connection, sequence: int) -> tuple[tuple[str, Publication], ...]:
    """Return (time, publication) of every publication up to a catalog number, the oldest first."""
    rows = connection.execute(
        select(schema.publications.c.sequence, schema.publications.c.versions, schema.entries.c.at)
        .join(schema.entries, schema.entries.c.sequence == schema.publications.c.sequence)
        .where(schema.publications.c.sequence <= sequence)
        .order_by(schema.publications.c.sequence)
    )
    return tuple((str(row.at), _publication(row)) for row in rows)


def made_by(connection: Connection, run_ids: Collection[str]) -> frozenset[int]:
    """Return the numbers of the publications that some runs made."""
    columns = schema.publications.c
    wanted = sorted(run_ids)
    batches = [wanted[start : start + RUNS_AT_ONCE] for start in range(0, len(wanted), RUNS_AT_ONCE)]
    return frozenset(
        int(sequence)
        for some in batches
        for sequence in connection.execute(select(columns.sequence).where(columns.run_id.in_(some))).scalars()
    )


def newest_by(connection: Connection, run_ids: Collection[str]) -> dict[str, int]:
    """Return the number of the newest publication of each run that made one."""
    columns = schema.publications.c
    query = select(columns.run_id, func.max(columns.sequence)).group_by(columns.run_id)
    found: dict[str, int] = {}
    wanted = sorted(run_ids)
    for start in range(0, len(wanted), RUNS_AT_ONCE):
        some = query.where(columns.run_id.in_(wanted[start : start + RUNS_AT_ONCE]))
        found |= {str(run): int(sequence) for run, sequence in connection.execute(some)}
    return found


def first(connection: Connection) -> int:
    """Return the number of the first publication, which making the store made."""
    return int(connection.execute(select(func.min(schema.publications.c.sequence))).scalar() or 0)


def publish(
    catalog: Catalog, connection: Connection, run_id: str, lease: int, versions: Versions
) -> Publication:
    """Make `versions` the newest publication, in the caller's transaction."""
    sequence, _ = catalog.next_entry(connection, "publication")
    text = json.dumps(dict(sorted(versions.items())))
    connection.execute(
        insert(schema.publications).values(sequence=sequence, run_id=run_id, lease=lease, versions=text)
    )
    return Publication(sequence, dict(versions))


def _publication(row: Row[*tuple[Any, ...]]) -> Publication:
    versions = {str(name): int(version) for name, version in json.loads(row.versions).items()}
    if set(versions) != set(TABLES):
        raise StoreCorrupt("a publication does not name all tables")
    return Publication(int(row.sequence), versions)
