"""What the catalog and the keys ask of the database beneath them.

Promise: a read sees one consistent state; a write is alone, takes effect as
a whole and is durable when it returns; two equal marks mean that nothing was
committed between them. SQLite and Postgres keep this alike, held by one suite.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, MetaData

BUSY_TIMEOUT_S = 20.0
"""How long a transaction waits for another writer."""

CONFIRM_TIMEOUT_S = 2.0
"""How long it may take to learn whether anything changed. Who cannot learn it in time answers no."""


class Database(Protocol):
    """One database, used in short transactions."""

    @property
    def name(self) -> str:
        """What a message calls it; holds no secret."""

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What it keeps in files that are not the store's, in words; a scan of the store does not see them."""

    def create(self, metadata: MetaData) -> None:
        """Make the tables that do not exist yet."""

    def read(self) -> AbstractContextManager[Connection]:
        """Yield a connection that sees one consistent state.

        Raises:
            StoreError: It cannot be read or reached.
            StoreCorrupt: It is no database of a store, or damaged.
        """

    def write(self) -> AbstractContextManager[Connection]:
        """Yield the one connection that may write; commits on leaving, rolls back on error.

        Raises:
            StoreBusy: Another writer held the lock for longer than :data:`BUSY_TIMEOUT_S`.
            StoreError: It cannot be written or reached; nothing was changed unless the message says otherwise.
            StoreCorrupt: It is no database of a store, or damaged.
        """

    def mark(self) -> tuple[int, int]:
        """Return a mark; two that are equal say that nothing was committed between them, by anybody.

        Raises:
            SequenceUnconfirmed: It could not be had within :data:`CONFIRM_TIMEOUT_S`.
        """

    def checkpoint(self) -> None:
        """Write what was deleted out of the database's own files, as far as the database can.

        Raises:
            StoreBusy: Others kept it from that for longer than :data:`BUSY_TIMEOUT_S`.
        """

    def close(self) -> None:
        """Close all connections."""
