"""Open a SQLite file so that writes are durable, short and one at a time.

Promise: a write transaction takes the write lock at once (no upgrade can
fail half-way) and is on disk when it returns; a reader never waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from .errors import StoreBusy, StoreError

BUSY_TIMEOUT_S = 20.0
"""How long a transaction waits for another writer."""


class Database:
    """One SQLite file, opened for short transactions."""

    __slots__ = ("_writing", "engine")

    def __init__(self, path: Path, *, secure_delete: bool = False) -> None:
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self.engine: Engine = create_engine(
            f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        )
        self._writing = self.engine.execution_options(ringfence_write=True)
        event.listen(self.engine, "connect", _configure(secure_delete))
        event.listen(self.engine, "begin", _begin)

    def __repr__(self) -> str:
        return "Database(…)"

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection holding the write lock; commits on leaving, rolls back on error.

        Raises:
            StoreBusy: Another writer held the lock for longer than the timeout.
            StoreError: The disk is full or the file cannot be written; nothing was changed.
        """
        try:
            with self._writing.begin() as connection:
                yield connection
        except OperationalError as error:
            reason = str(error.orig)
            if "locked" in reason:
                raise StoreBusy(
                    "another process is writing the catalog; expected it to finish; try again"
                ) from None
            raise StoreError(f"the catalog cannot be written ({reason}); nothing was changed") from None


def _configure(secure_delete: bool) -> Any:
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"secure_delete={'ON' if secure_delete else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return configure


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("ringfence_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
