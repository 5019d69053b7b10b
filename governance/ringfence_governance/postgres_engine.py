"""Keep a catalog in Postgres, so that writes are durable, short and one at a time.

Promise: a write transaction holds the store's own lock from its first
statement to its end, so numbers become visible in their order; a reader sees
one snapshot and waits for nobody. A server that cannot take writes is not
asked: a standby may not yet know that a right was taken away. No message
holds a password or a value of a statement.

Each store lies in a schema of its own, `ringfence_STOREID`, which no role but
its owner may enter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from .catalog_url import without_password
from .database import BUSY_TIMEOUT_S, CONFIRM_TIMEOUT_S
from .errors import RingfenceError, SequenceUnconfirmed, StoreBusy, StoreCorrupt, StoreError
from .postgres_watch import NotInTime, PostgresWatch

CONNECT_TIMEOUT_S = 5
"""How long a connection may take to be made."""
WATCH_CONNECT_TIMEOUT_S = 2
"""The same for the connection that asks for changes: libpq knows no shorter time."""
READ_TIMEOUT_S = 60.0
"""How long one statement of a read may take: longer than to learn of changes, since it may open a million labels."""
LOST_TIMEOUT_S = 20
"""How long a server may stay silent on the network before a connection counts as lost."""

PASSWORD_HINT = "a password comes from the URL given now, from PGPASSWORD, a password file or a service file"  # noqa: S105

_CONNECTING = {
    "application_name": "ringfence",
    "autocommit": True,
    "client_encoding": "utf8",
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    # Several statements go in one message, and nothing is left behind in a pooled connection.
    "prepare_threshold": None,
    "target_session_attrs": "read-write",
    "tcp_user_timeout": LOST_TIMEOUT_S * 1000,
}
_BUSY = {"55P03", "40001", "40P01"}
"""The lock was not to be had, or somebody who does not take it wrote meanwhile."""
_DAMAGED = ("22", "23", "42", "3F", "XX")
"""Classes of errors that a whole catalog of this version never gives."""
_FORBIDDEN = "42501"
_CANCELED = "57014"


class PostgresDatabase:
    """One store's schema in a Postgres database. A :class:`database.Database`."""

    __slots__ = ("_begins", "_engine", "_name", "_process", "_schema", "_watch")

    def __init__(self, url: URL, store_id: str) -> None:
        self._name = f"catalog {without_password(url)}"
        self._schema = f"ringfence_{store_id}"
        self._begins = _beginnings(self._schema, store_id)
        self._process = os.getpid()
        self._engine: Engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_settings(url),
            hide_parameters=True,
            pool_timeout=BUSY_TIMEOUT_S,
            use_native_hstore=False,
        )
        event.listen(self._engine, "begin", self._begin)
        # The schema's name is made of a store id: 32 hexadecimal digits, checked where it is read.
        question = f'SELECT number FROM "{self._schema}".changes'  # noqa: S608
        self._watch = PostgresWatch(self._watcher, question)

    def __repr__(self) -> str:
        return "PostgresDatabase(…)"

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return self._name

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """All it keeps."""
        return (
            "the files, the write-ahead log and the backups of the Postgres server that holds the catalog",
        )

    def close(self) -> None:
        """Close all connections."""
        self._watch.close()
        self._engine.dispose()

    def mark(self) -> tuple[int, int]:
        """Return a mark; two that are equal say that nothing was committed between them, by anybody.

        Takes one message to the server and one back.

        Raises:
            SequenceUnconfirmed: It could not be had within :data:`CONFIRM_TIMEOUT_S`.
        """
        try:
            return self._watch.ask(CONFIRM_TIMEOUT_S)
        except NotInTime:
            raise SequenceUnconfirmed(
                f"{self._name} did not say within {CONFIRM_TIMEOUT_S} s whether anything changed"
            ) from None
        except psycopg.Error as error:
            raise SequenceUnconfirmed(
                f"{self._name} could not be asked for changes ({_reason(error)})"
            ) from None

    def create(self, metadata: MetaData) -> None:
        """Make the schema and the tables that do not exist yet."""
        with self._named("made"), self._beginning("create") as connection:
            metadata.create_all(connection)

    def destroy(self) -> None:
        """Drop the schema and all in it: undoes :meth:`create` for a store that did not come to be."""
        with self._named("dropped"), self._beginning("drop"):
            pass

    def checkpoint(self) -> None:
        """Write the tables anew without what was deleted. The server's log and backups keep it for their time."""
        arguments, settings = self._engine.dialect.create_connect_args(self._engine.url)
        with self._named("written"):
            connection = psycopg.connect(*arguments, **{**_settings(self._engine.url), **settings})
            with connection, connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout TO {int(BUSY_TIMEOUT_S * 1000)}")
                # All but the one number everybody asks for before each answer: it holds nothing, and must not wait.
                cursor.execute(
                    "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'changes'",
                    (self._schema,),
                )
                for (table,) in cursor.fetchall():
                    cursor.execute(f'VACUUM (FULL) "{self._schema}"."{table}"')

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state; see :class:`database.Database`."""
        with self._named("read"), self._beginning("read") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield the one connection that may write; see :class:`database.Database`."""
        committing: list[bool] = []
        with self._named("written", committing), self._beginning("write") as connection:
            yield connection
            committing.append(True)

    @contextmanager
    def _beginning(self, how: str) -> Iterator[Connection]:
        if self._process != os.getpid():
            # A forked child must not speak on its parent's sockets, nor end them.
            self._engine.dispose(close=False)
            self._process = os.getpid()
        with self._engine.execution_options(ringfence_begin=how).begin() as connection:
            yield connection

    def _begin(self, connection: Connection) -> None:
        how = connection.get_execution_options()["ringfence_begin"]
        connection.exec_driver_sql(self._begins[how])

    def _watcher(self) -> psycopg.Connection[Any]:
        # What was lost for the watch was lost for the others too; those in use find out themselves.
        self._engine.dispose()
        arguments, settings = self._engine.dialect.create_connect_args(self._engine.url)
        own = {**_settings(self._engine.url), "connect_timeout": WATCH_CONNECT_TIMEOUT_S}
        return psycopg.connect(*arguments, **{**own, **settings})

    @contextmanager
    def _named(self, done: str, committing: list[bool] | None = None) -> Iterator[None]:
        """Turn Postgres's errors into those of a store."""
        try:
            yield
        except NoConnectionFree:
            raise StoreBusy(f"{self._name} is asked by too many at once in this process; try again") from None
        except DBAPIError as error:
            original = error.orig if isinstance(error.orig, psycopg.Error) else psycopg.Error()
            raise self._error(original, done, bool(committing)) from None
        except psycopg.Error as error:
            raise self._error(error, done, bool(committing)) from None

    def _error(self, error: psycopg.Error, done: str, committing: bool) -> RingfenceError:
        code = error.sqlstate or ""
        if code in _BUSY:
            return StoreBusy(f"another process is writing {self._name}; expected it to finish; try again")
        if code == _CANCELED and done == "read":
            return SequenceUnconfirmed(f"{self._name} was not read within {READ_TIMEOUT_S} s")
        if code[:2] in _DAMAGED and code != _FORBIDDEN:
            return StoreCorrupt(
                f"{self._name} has no catalog of this store, or a damaged one ({_reason(error)})",
                hint="check the URL; restore the database from its backup if it is the right one",
            )
        if committing:
            return StoreError(
                f"{self._name} was lost while it took a change ({_reason(error)}); "
                "whether the change was made is not known; look before making it again"
            )
        hint = "" if code else PASSWORD_HINT
        return StoreError(f"{self._name} cannot be {done} ({_reason(error)}); nothing was changed", hint=hint)


def _settings(url: URL) -> dict[str, Any]:
    return {name: value for name, value in _CONNECTING.items() if name not in url.query}


def _beginnings(schema: str, store_id: str) -> dict[str, str]:
    """Return how each kind of transaction begins: several statements, sent as one message."""
    place = f'SET LOCAL search_path TO "{schema}"'
    # 64 bits of a random id: no two stores of one database share the lock.
    key = int.from_bytes(bytes.fromhex(store_id)[:8], "big", signed=True)
    # A snapshot would be as old as the wait for the lock: each statement of a writer takes its own.
    alone = "; ".join(
        (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            place,
            f"SET LOCAL lock_timeout TO {int(BUSY_TIMEOUT_S * 1000)}",
            "SET LOCAL statement_timeout TO 0",
            f"SELECT pg_advisory_xact_lock({key})",
            # Durable when it returns, whatever the server's default; a stronger one stays.
            "SELECT set_config('synchronous_commit', 'on', true)"
            " WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
        )
    )
    changed = "UPDATE changes SET number = number + 1"
    make = (
        f'CREATE SCHEMA "{schema}"',
        "CREATE TABLE changes (one boolean PRIMARY KEY CHECK (one), number bigint NOT NULL)",
        "INSERT INTO changes VALUES (true, 0)",
    )
    return {
        "read": "; ".join(
            (
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                place,
                f"SET LOCAL statement_timeout TO {int(READ_TIMEOUT_S * 1000)}",
            )
        ),
        "write": f"{alone}; {changed}",
        "create": "; ".join((alone, *make)),
        "drop": f'{alone}; DROP SCHEMA IF EXISTS "{schema}" CASCADE',
    }


def _reason(error: psycopg.Error) -> str:
    """Return what happened, without the server's words where these could hold a value."""
    if error.sqlstate:
        return f"{type(error).__name__}, {error.sqlstate}"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
