"""Let one writer write at a time, and never let a woken old one publish.

Promise: a lease has a number that only rises; what is published names it,
and a lease that was taken over publishes nothing more.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from . import catalog_schema as schema
from .catalog import Catalog
from .errors import RingfenceError, StoreBusy, WriterExpelled

NAME = "writer"
LEASE_S = 60
"""How long a lease lasts that nobody renews."""
RENEW_S = 15.0
"""How often a living writer renews it."""

_HELD_HERE: set[str] = set()
"""Holders of the leases this process holds."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A lease as its holder knows it."""

    number: int
    holder: str


class WriterLease:
    """The writer's lease, held while the `with` block runs and renewed in the background.

    Args:
        expel: Take the place of whoever holds it, alive or not: he publishes nothing more.
    """

    __slots__ = ("_catalog", "_expel", "_holding", "_stop", "_thread")

    def __init__(self, catalog: Catalog, *, expel: bool = False) -> None:
        self._catalog = catalog
        self._expel = expel
        self._stop = threading.Event()
        self._holding: Holding | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> WriterLease:
        holder = self._catalog.ambient.new_id("lease")
        _HELD_HERE.add(holder)
        try:
            with self._catalog.write() as connection:
                self._holding = _take(self._catalog, connection, holder, expel=self._expel)
        except BaseException:
            _HELD_HERE.discard(holder)
            raise
        self._thread = threading.Thread(target=self._renew_until_stopped, daemon=True, name="ringfence-lease")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._holding is not None:
            _HELD_HERE.discard(self._holding.holder)
            with self._catalog.write() as connection:
                _release(connection, self._holding)

    @property
    def number(self) -> int:
        """The lease's number.

        Raises:
            WriterExpelled: The lease is not held.
        """
        if self._holding is None:
            raise WriterExpelled("the writer's lease is not held; nothing was published")
        return self._holding.number

    def check(self, connection: Connection) -> None:
        """Hold the transaction to this lease.

        Raises:
            WriterExpelled: Another writer took it over; roll back.
        """
        row = _row(connection)
        if self._holding is None or row is None or row.number != self._holding.number:
            raise WriterExpelled(
                "another writer took this one's place; nothing more is published",
                hint="run the command again",
            )

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(RENEW_S):
            try:
                with self._catalog.write() as connection:
                    self.check(connection)
                    connection.execute(_update(self._catalog, connection, self.number))
            except RingfenceError:
                # The publish transaction checks the number again and reports it.
                continue


def _take(catalog: Catalog, connection: Connection, holder: str, *, expel: bool) -> Holding:
    row = _row(connection)
    now = catalog.now(connection)
    if row is not None and not expel and row.expires_at > now and not _is_dead(row):
        raise StoreBusy(
            "another ingest or change of documents is running; expected it to finish",
            hint=f"try again when it is done; its lease ends {row.expires_at} unless it is renewed",
        )
    number = 1 if row is None else int(row.number) + 1
    values = _values(catalog, connection, number) | {"holder": holder}
    if row is None:
        connection.execute(insert(schema.leases).values(name=NAME, **values))
    else:
        connection.execute(update(schema.leases).where(schema.leases.c.name == NAME).values(**values))
    return Holding(number, holder)


def _release(connection: Connection, holding: Holding) -> None:
    connection.execute(
        update(schema.leases)
        .where(schema.leases.c.name == NAME, schema.leases.c.number == holding.number)
        .values(expires_at="")
    )


def _update(catalog: Catalog, connection: Connection, number: int) -> Any:
    return (
        update(schema.leases)
        .where(schema.leases.c.name == NAME, schema.leases.c.number == number)
        .values(expires_at=_expiry(catalog, connection))
    )


def _values(catalog: Catalog, connection: Connection, number: int) -> dict[str, object]:
    return {
        "number": number,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "expires_at": _expiry(catalog, connection),
    }


def _expiry(catalog: Catalog, connection: Connection) -> str:
    now = datetime.strptime(catalog.now(connection), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return (now + timedelta(seconds=LEASE_S)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(schema.leases).where(schema.leases.c.name == NAME)).one_or_none()


def _is_dead(row: Row[Any]) -> bool:
    """Whether the holder was a process of this machine that runs no more, or one here that let go."""
    if row.host != socket.gethostname():
        return False
    if row.process == os.getpid():
        # Let go without a word, as on a full disk; or of a process before this one that had its number.
        return row.holder not in _HELD_HERE
    try:
        os.kill(row.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
