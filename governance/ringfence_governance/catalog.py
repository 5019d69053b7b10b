"""The catalog of a store: one sequence, and what each number of it did.

Promise: what must change together changes in one transaction that takes one
number; a reader that sees the same number twice saw nothing change between.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete, func, insert, select

from . import catalog_migrations, stopping
from . import catalog_schema as schema
from .ambient import Ambient
from .database import Database
from .errors import StoreError
from .key_provider import StoreKeys
from .seal import Cipher, digest, place

NEW_LABEL = "label"
"""Kind of the entry that interns a label; every other kind may change an answer."""
SEQUENCE_MAX = 2**63 - 1
"""The largest number the catalog can give."""


class Catalog:
    """The open catalog, with the two keys it needs: one seals names, one makes digests."""

    __slots__ = ("_changing", "_cipher", "_database", "_digest_key", "_latest", "ambient", "store_id")

    def __init__(self, database: Database, store_id: str, keys: StoreKeys, ambient: Ambient) -> None:
        self._database = database
        self.store_id = store_id
        self._latest = ""
        self._changing = threading.RLock()
        self.ambient = ambient
        self._cipher = Cipher(keys.store_key("catalog"))
        self._digest_key = keys.store_key("digest")

    def __repr__(self) -> str:
        return "Catalog(…)"

    def __reduce__(self) -> str:
        raise TypeError("a catalog cannot be pickled")

    @classmethod
    def create(cls, database: Database, store_id: str, keys: StoreKeys, ambient: Ambient) -> Catalog:
        """Make an empty catalog."""
        database.create(schema.metadata)
        with database.write() as connection:
            catalog_migrations.record_new(connection)
        return cls(database, store_id, keys, ambient)

    def migrate(self) -> None:
        """Bring a catalog of an older version to the newest; see :func:`catalog_migrations.migrate`."""
        catalog_migrations.migrate(self._database, self.ambient.now)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What of it lies in files that are not the store's. See :attr:`Database.elsewhere`."""
        return self._database.elsewhere

    def checkpoint(self) -> None:
        """Write what was deleted out of the catalog's files. See :meth:`Database.checkpoint`."""
        self._database.checkpoint()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def mark(self) -> tuple[int, int]:
        """Return a mark of everything committed so far; see :meth:`Database.mark`."""
        return self._database.mark()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state.

        Raises:
            StoreVersionMismatch: A newer version of the software has migrated the catalog meanwhile.
        """
        with self._database.read() as connection:
            catalog_migrations.check(connection)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection that holds the write lock; see :meth:`Database.write`."""
        with self._changing, self._database.write() as connection:
            catalog_migrations.check(connection)
            yield connection

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Let nothing be written through this catalog by other threads meanwhile.

        Other processes, and other doors to the store, are not held back.
        """
        with stopping.holding(self._changing):
            yield

    def sequence(self, connection: Connection) -> int:
        """Return the newest number; 0 in an empty catalog."""
        return int(connection.execute(select(func.max(schema.entries.c.sequence))).scalar() or 0)

    def sequence_at(self, connection: Connection, at: str) -> int:
        """Return the newest number given at a time or before; 0 if there is none.

        No entry is older than the one before it, so all up to this number are what had been done by then.

        Args:
            at: UTC, `YYYY-MM-DDTHH:MM:SSZ`; an entry of exactly this time counts.
        """
        done = select(func.max(schema.entries.c.sequence)).where(schema.entries.c.at <= at)
        return int(connection.execute(done).scalar() or 0)

    def changed_since(self, connection: Connection, sequence: int) -> bool:
        """Say whether an answer read at `sequence` could be another now.

        A label that is new since then stands in no row that was read, so it
        changes none; else a busy ingest of many labels would let nobody read.
        """
        newer = select(schema.entries.c.sequence).where(
            schema.entries.c.sequence > sequence, schema.entries.c.kind != NEW_LABEL
        )
        return connection.execute(newer.limit(1)).scalar() is not None

    def now(self, connection: Connection) -> str:
        """Return the latest of the wall clock, the newest entry's time and what this process said before.

        A clock that is set back brings no expired right back. Fixed-width text, UTC.
        """
        newest = connection.execute(
            select(schema.entries.c.at).order_by(schema.entries.c.sequence.desc()).limit(1)
        ).scalar()
        return self.now_from(str(newest or ""))

    def now_from(self, newest: str) -> str:
        """Return :meth:`now` where the newest entry's time is known.

        Args:
            newest: UTC; empty if it was said already.
        """
        self._latest = max(self._latest, self.ambient.now(), newest)
        return self._latest

    def next_entry(self, connection: Connection, kind: str) -> tuple[int, str]:
        """Take the next number for a change of `kind`; return it with its time."""
        at = self.now(connection)
        result = connection.execute(insert(schema.entries).values(kind=kind, at=at))
        key = result.inserted_primary_key
        if key is None:
            raise StoreError("the catalog gave no sequence number; nothing was changed")
        return int(key[0]), at

    def next_entries(self, connection: Connection, kind: str, count: int) -> tuple[list[int], str]:
        """Take the next `count` numbers for changes of `kind`; return them, ascending, with their time."""
        at, before = self.now(connection), self.sequence(connection)
        if count:
            connection.execute(insert(schema.entries), [{"kind": kind, "at": at}] * count)
        # The write lock is held, so all that is newer is what was just inserted.
        newer = select(schema.entries.c.sequence).where(schema.entries.c.sequence > before)
        found = connection.execute(newer.order_by(schema.entries.c.sequence)).scalars()
        return [int(number) for number in found], at

    def meta(self, connection: Connection, name: str) -> str | None:
        """Return a setting of the store."""
        value = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == name)).scalar()
        return None if value is None else str(value)

    def keep_meta(self, connection: Connection, name: str, value: str) -> str:
        """Set a setting if it is not set; return what it is."""
        known = self.meta(connection, name)
        if known is None:
            self.set_meta(connection, name, value)
        return value if known is None else known

    def set_meta(self, connection: Connection, name: str, value: str) -> None:
        """Set a setting that was not set before."""
        connection.execute(insert(schema.meta).values(name=name, value=value))

    def put_meta(self, connection: Connection, name: str, value: str) -> None:
        """Set a setting, whether or not it was set before."""
        connection.execute(delete(schema.meta).where(schema.meta.c.name == name))
        self.set_meta(connection, name, value)

    def seal(self, plain: bytes, *where: str | int) -> bytes:
        """Seal a value of the catalog for one place in it."""
        return self._cipher.seal_packed(plain, place("catalog", self.store_id, *where))

    def open(self, sealed: bytes, *where: str | int) -> bytes:
        """Open a value sealed for that place."""
        return self._cipher.open_packed(sealed, place("catalog", self.store_id, *where))

    def digest(self, *parts: str | bytes | int) -> str:
        """Return a keyed digest, for looking a sealed value up."""
        return digest(self._digest_key, *parts)
