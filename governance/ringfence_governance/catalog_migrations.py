"""Bring a catalog of an older shape to the newest one, step by step.

Promise: each step is one transaction under the write lock that does its work
and says so; a crash leaves the version before it or the one after it. A
catalog that is newer than this software is refused before anything else of
it is read.

To change the shape: change `catalog_schema`, and add the step that makes the
same change to a catalog that stands. A step spells out its own tables: it must do in
ten years what it does today, whatever `catalog_schema` says by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from . import catalog_schema as schema
from .database import Database
from .errors import StoreCorrupt, StoreVersionMismatch

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
FIRST = 1
"""The oldest version a store can have."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step.

    Args:
        what: What is new, in a few words; it is recorded.
        carry_out: Makes the change in the transaction of the connection it is given.
    """

    what: str
    carry_out: Callable[[Connection], None]


def _add_history(connection: Connection) -> None:
    Table(
        "migrations",
        MetaData(),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("what", String, nullable=False),
        Column("at", String, nullable=False),
    ).create(connection)


def _add_erasures(connection: Connection) -> None:
    tables = MetaData()
    Table("entries", tables, Column("sequence", _NUMBER, primary_key=True))
    Table(
        "erasures",
        tables,
        Column("erasure_id", String, primary_key=True),
        Column("sequence", _NUMBER, ForeignKey("entries.sequence"), nullable=False, unique=True),
        Column("documents", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("certificate", String),
    ).create(connection)


def _add_lineage_queue(connection: Connection) -> None:
    Table(
        "lineage_queue",
        MetaData(),
        Column("number", _NUMBER, primary_key=True, autoincrement=True),
        Column("event_id", String, nullable=False, unique=True),
        Column("at", String, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    ).create(connection)


MIGRATIONS: tuple[Migration, ...] = (
    Migration("a record of what was migrated", _add_history),
    Migration("the erasure ledger", _add_erasures),
    Migration("events of lineage that wait to be sent", _add_lineage_queue),
)
"""The step at place n leads from version n + 1 to version n + 2. Only ever added to, at the end."""

NEWEST = FIRST + len(MIGRATIONS)
"""The version this software writes, and the only one it works on."""


def check(connection: Connection) -> None:
    """Hold a transaction to the newest version.

    Raises:
        StoreVersionMismatch: Another process has migrated the catalog, or it is of another version.
    """
    if (found := _version(connection)) != NEWEST:
        raise _mismatch(found)


def record_new(connection: Connection) -> None:
    """Say that a catalog that was just made is of the newest version."""
    connection.execute(insert(schema.meta).values(name="schema", value=str(NEWEST)))


def migrate(database: Database, now: Callable[[], str]) -> int:
    """Bring a catalog to the newest version; return how many steps that took.

    Args:
        now: Returns the time for the record, UTC.

    Raises:
        StoreVersionMismatch: It is newer than this software, or says no version this software knows.
        StoreError: It is older and cannot be written; it stays as it was.
    """
    with database.read() as connection:
        found = _version(connection)
    steps = 0
    while found != NEWEST:
        with database.write() as connection:
            # Looked up under the lock: two processes that open it at once must not both do it.
            found = _version(connection)
            if not FIRST <= found <= NEWEST:
                raise _mismatch(found)
            if found < NEWEST:
                _step(connection, found, now())
                found += 1
                steps += 1
    return steps


def _step(connection: Connection, found: int, now: str) -> None:
    step = MIGRATIONS[found - FIRST]
    step.carry_out(connection)
    connection.execute(update(schema.meta).where(schema.meta.c.name == "schema").values(value=str(found + 1)))
    connection.execute(insert(schema.migrations).values(version=found + 1, what=step.what, at=now))


def _version(connection: Connection) -> int:
    value = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == "schema")).scalar()
    if value is None:
        raise StoreCorrupt("the catalog says no version; init did not finish, or it is damaged")
    if not str(value).isdecimal():
        raise _mismatch(value)
    return int(value)


def _mismatch(found: object) -> StoreVersionMismatch:
    return StoreVersionMismatch(
        f"store: found catalog version {found!r}; expected {FIRST} to {NEWEST}",
        hint="open it with a version of ringfence at least as new as the one that wrote it",
    )
