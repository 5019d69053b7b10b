"""Open a SQLite file so that writes are durable, short and one at a time.

Promise: a write transaction takes the write lock at once (no upgrade can
fail half-way) and is on disk when it returns; a reader never waits for it. No
file goes open through a fork: see :mod:`forks`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from . import forks
from .database import BUSY_TIMEOUT_S, CONFIRM_TIMEOUT_S
from .errors import SequenceUnconfirmed, StoreBusy, StoreCorrupt, StoreError

CHECKPOINT_PAUSE_S = 0.05
"""How long to wait before the log is asked again to be empty."""


class SqliteDatabase:
    """One SQLite file, opened for short transactions. A :class:`database.Database`."""

    __slots__ = (
        "__weakref__",
        "_left",
        "_name",
        "_path",
        "_watch",
        "_watches",
        "_watching",
        "_writing",
        "engine",
    )

    def __init__(self, path: Path, *, secure_delete: bool = False) -> None:
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._name = path.name
        self._path = path
        self._left = False
        self._watch: sqlite3.Connection | None = None
        self._watches = 0
        self._watching = threading.Lock()
        self.engine: Engine = create_engine(
            # Made from its parts: in the text of an address '?' and '#' would end the path.
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        )
        self._writing = self.engine.execution_options(ringfence_write=True)
        event.listen(self.engine, "connect", _configure(secure_delete))
        event.listen(self.engine, "begin", _begin)
        forks.know(self)

    def __repr__(self) -> str:
        return "SqliteDatabase(…)"

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Nothing: its files lie in the store."""
        return ()

    def close(self) -> None:
        """Close all connections."""
        with self._watching:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self.engine.dispose()

    def rest(self) -> None:
        """Close all connections that nobody uses; they are opened again when they are needed."""
        self.close()

    def leave(self) -> None:
        """Ask nothing of the file any more."""
        self._left = True

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Let no fork come in between.

        Raises:
            StoreError: The process was forked while its parent was in the middle of something.
        """
        with forks.held_off():
            self._refuse_left()
            yield

    def _refuse_left(self) -> None:
        if self._left:
            raise StoreError(
                f"{self._name} was in use when this process was forked; nothing of it can be trusted here",
                hint="open the store in a process that is started anew",
            )

    def mark(self) -> tuple[int, int]:
        """Return a mark; two that are equal say that nothing was committed between them, by anybody.

        Takes some microseconds, where a transaction takes some hundred.

        Raises:
            SequenceUnconfirmed: It could not be had within :data:`CONFIRM_TIMEOUT_S`.
        """
        started = time.monotonic()
        with forks.still(), self._watching:
            self._refuse_left()
            try:
                if self._watch is None:
                    self._watch = self._watcher()
                    self._watches += 1
                (version,) = self._watch.execute("PRAGMA data_version").fetchone()
            except sqlite3.Error as error:
                raise SequenceUnconfirmed(f"{self._name} could not be asked for changes ({error})") from None
            # By its number: the next connection may lie where this one did.
            mark = (self._watches, version)
        if (took := time.monotonic() - started) > CONFIRM_TIMEOUT_S:
            raise SequenceUnconfirmed(f"{self._name} took {took:.1f} s to say whether anything changed")
        return mark

    def _watcher(self) -> sqlite3.Connection:
        """Return a connection that never writes: SQLite tells it of the commits of all others, not of its own."""
        connection = sqlite3.connect(self._path, timeout=CONFIRM_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def create(self, metadata: MetaData) -> None:
        """Make the tables that do not exist yet."""
        with self.write() as connection:
            metadata.create_all(connection)

    def checkpoint(self, within_s: float = BUSY_TIMEOUT_S) -> None:
        """Write everything into the file itself and empty the log beside it: what was deleted is in neither.

        Args:
            within_s: How long others who read the log are waited for.

        Raises:
            StoreBusy: They kept reading it.
        """
        until = time.monotonic() + within_s
        with self._used(), _named(self._name, "written"), self.engine.connect() as connection:
            cursor = connection.connection.cursor()
            # Without it SQLite itself would wait as long as a transaction does.
            cursor.execute("PRAGMA busy_timeout=0")
            try:
                while cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    if time.monotonic() > until:
                        raise StoreBusy(
                            f"another process is reading {self._name}; expected it to finish; try again"
                        )
                    time.sleep(CHECKPOINT_PAUSE_S)
            finally:
                cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
        if (log := self._path.with_name(self._path.name + "-wal")).exists() and log.stat().st_size:
            raise StoreBusy(f"{self._name} was written meanwhile; what was deleted may still be in its log")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state.

        Raises:
            StoreError: The file cannot be read.
            StoreCorrupt: It is no database, or damaged.
        """
        with self._used(), _named(self._name, "read"), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection holding the write lock; commits on leaving, rolls back on error.

        Raises:
            StoreBusy: Another writer held the lock for longer than the timeout.
            StoreError: The disk is full or the file cannot be written; nothing was changed.
            StoreCorrupt: It is no database, or damaged.
        """
        with self._used(), _named(self._name, "written"), self._writing.begin() as connection:
            yield connection


@contextmanager
def _named(file: str, done: str) -> Iterator[None]:
    """Turn SQLite's errors into those of a store, which name the file and hold no value of a statement."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        reason = _reason(error)
        if "locked" in reason:
            raise StoreBusy(f"another process is writing {file}; expected it to finish; try again") from None
        raise StoreError(f"{file} cannot be {done} ({reason}); nothing was changed") from None
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise StoreCorrupt(f"{file} is damaged or no database of a store ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)


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
