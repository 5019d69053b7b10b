"""Keep wrapped keys: master → generation → label → document, in a database of their own.

Promise: no key and no label's name lies here in clear, and each wrapped key is bound to what it
is for: that of a document's writing to (document, atom, run, generation) under its label's
key, a label's key under that of the newest master generation. A keyring holds
the keys of the atoms it was made for and no other.

Source: DESIGN.md §5, *Seal*; docs/decisions/0011-keys.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from . import kept_wraps, key_migration, key_rewrapping
from . import key_schema as schema
from .ambient import Ambient
from .document_wraps import DocumentWraps
from .errors import KeyUnavailable, StoreBusy, StoreCorrupt, WriterExpelled
from .kept_wraps import KeptWraps, Wraps
from .key_generations import MasterGenerations, Prepared
from .key_provider import FIRST_GENERATION, KeyProvider
from .key_rewrapping import Rewrapped
from .key_schema import STANDING, label_place, store_place
from .keyrings import KeyName, Keyring, Standing, WrappedKey
from .labels import LabelEntry
from .seal import Cipher, digest
from .sqlite_engine import SqliteDatabase

T = TypeVar("T")

CLEARED_WITHIN_S = 2.0
"""How long a reader in another process is waited for before deleted keys are said to be not yet cleared."""
LOOKUPS_KEPT = 20_000
"""Of so many labels it is remembered by what digest their keys are found; if there are more, of none."""
STORE_PURPOSES = ("catalog", "digest", "as_of", "query")
"""What the store's own keys are for: catalog names, keyed digests, `as_of`, audit query digests."""

UNSWEPT = "unswept"
"""Stands among the database's facts while keys are to be forgotten."""


class KeyStore:
    """All wrapped keys of one store. Prints nothing of itself and cannot be pickled."""

    __slots__ = (
        "_ambient",
        "_database",
        "_digest_key",
        "_kept",
        "_lookups_kept",
        "_path",
        "_store_id",
        "generations",
    )

    def __init__(self, path: Path, store_id: str, provider: KeyProvider, ambient: Ambient) -> None:
        self._database = SqliteDatabase(path, secure_delete=True)
        self._path = path
        self._store_id = store_id
        self._ambient = ambient
        self._digest_key: bytes | None = None
        self._lookups_kept: dict[str, str] = {}
        self._kept = KeptWraps(self._database)
        self.generations = MasterGenerations(self._database, store_id, provider, ambient)

    def __repr__(self) -> str:
        return "KeyStore(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key store cannot be pickled")

    def close(self) -> None:
        """Close the database, and let go what was kept of it."""
        self._kept.clear()
        self._database.close()

    def create_store_keys(self) -> None:
        """Make the tables, the first generation and the store's own keys; called once, by init."""
        first = self.generations.prepare(FIRST_GENERATION - 1)
        cipher = Cipher(first.key)
        self._database.create(schema.metadata)
        with self._database.write() as connection:
            connection.execute(insert(schema.meta).values(name="format", value=str(schema.FORMAT)))
            self.generations.add(connection, first)
            for purpose in STORE_PURPOSES:
                key = self._ambient.new_key("store", purpose)
                wrapped = cipher.seal(key, store_place(self._store_id, purpose, first.generation))
                connection.execute(
                    insert(schema.store_keys).values(
                        purpose=purpose, generation=first.generation, wrapped=wrapped
                    )
                )

    def check_format(self) -> None:
        """Bring a key database of format 2 to the newest one, and refuse any of another shape.

        Raises:
            StoreVersionMismatch: It is older or newer than this software reads.
            StoreCorrupt: It is empty or cut short.
        """
        key_migration.bring_to_newest(self._database, self._path)

    def store_key(self, purpose: str) -> bytes:
        """Return one of the store's own keys.

        Raises:
            StoreCorrupt: It is missing or does not open.
            KeyUnavailable: The master key is not the one it was wrapped under.
        """

        def opened(connection: Connection) -> bytes:
            row = connection.execute(
                select(schema.store_keys).where(schema.store_keys.c.purpose == purpose)
            ).one_or_none()
            if row is None:
                raise StoreCorrupt(
                    f"the key database has no key for {purpose!r}; it is of another store or damaged"
                )
            where = store_place(self._store_id, purpose, row.generation)
            return self.generations.cipher(connection, row.generation).open(row.wrapped, where)

        return self._read(opened)

    def has_store_key(self, purpose: str) -> bool:
        """Say whether there is one, without opening it."""
        query = select(schema.store_keys.c.purpose).where(schema.store_keys.c.purpose == purpose)
        with self._database.read() as connection:
            return connection.execute(query).scalar() is not None

    def ensure_store_key(self, purpose: str) -> bytes:
        """Return one of the store's own keys, made if there is none yet."""
        with self._database.write() as connection:
            known = connection.execute(
                select(schema.store_keys.c.purpose).where(schema.store_keys.c.purpose == purpose)
            ).one_or_none()
            if known is None:
                generation = self.generations.newest(connection)
                where = store_place(self._store_id, purpose, generation)
                key = self._ambient.new_key("store", purpose)
                wrapped = self.generations.cipher(connection, generation).seal(key, where)
                connection.execute(
                    insert(schema.store_keys).values(purpose=purpose, generation=generation, wrapped=wrapped)
                )
        return self.store_key(purpose)

    def ensure_label_key(self, entry: LabelEntry) -> None:
        """Make the key of a label if it has none. Compound labels have only derived keys."""
        self.ensure_label_keys([entry])

    def ensure_label_keys(self, entries: Iterable[LabelEntry]) -> None:
        """Make the keys of the labels that have none, in one transaction."""
        labels = [entry for entry in entries if not entry.parts]
        if not labels:
            return
        self._lookup("")
        with self._database.write() as connection:
            for entry in labels:
                self._ensure_label_key(connection, entry)

    def _ensure_label_key(self, connection: Connection, entry: LabelEntry) -> None:
        lookup = self._lookup(entry.label_id)
        known = connection.execute(
            select(schema.label_keys.c.label_digest).where(schema.label_keys.c.label_digest == lookup)
        ).one_or_none()
        if known is None:
            generation = self.generations.newest(connection)
            key = self._ambient.new_key("label", entry.label_id)
            where = label_place(self._store_id, lookup, generation)
            wrapped = self.generations.cipher(connection, generation).seal(key, where)
            connection.execute(
                insert(schema.label_keys).values(label_digest=lookup, generation=generation, wrapped=wrapped)
            )

    def new_document_key(self, document_id: str, run_id: str, entry: LabelEntry) -> tuple[Cipher, WrappedKey]:
        """Make the key of a writing; return its cipher and the wrap to :meth:`keep` before publishing."""
        key = self._ambient.new_key("document", f"{document_id}|{run_id}")
        return Cipher(key), self.wraps(lambda wraps: wraps.new(document_id, run_id, entry, key))

    def wraps(self, work: Callable[[DocumentWraps], T]) -> T:
        """Wrap keys of documents, of one state of this database, to :meth:`keep` before publishing."""

        def worked(connection: Connection) -> T:
            def label(entry: LabelEntry) -> Cipher:
                return Cipher(self._label_keys(connection, [entry])[entry.atom])

            newest = self.generations.newest(connection)
            return work(DocumentWraps(connection, self._store_id, newest, label))

        return self._read(worked)

    def keep(self, keys: Iterable[WrappedKey], *, unswept: bool = False) -> None:
        """Store wrapped document keys, durably, replacing those of the same names.

        Args:
            unswept: Others are to be forgotten once this is published; it is noted until they are.

        Raises:
            WriterExpelled: The master key was rotated since they were wrapped; nothing is stored.
        """
        newest = {key.name: key._asdict() for key in keys}
        if not newest and not unswept:
            return
        with self._database.write() as connection:
            generation = self.generations.newest(connection)
            if any(key["generation"] != generation for key in newest.values()):
                raise WriterExpelled(
                    "the master key was rotated while this was written; nothing of it is published",
                    hint="run the command again",
                )
            if newest:
                connection.execute(_ONE, [name._asdict() for name in newest])
                connection.execute(insert(schema.document_keys), list(newest.values()))
            if unswept:
                connection.execute(_SWEPT)
                connection.execute(insert(schema.meta).values(name=UNSWEPT, value="1"))

    @property
    def unswept(self) -> bool:
        """Whether a writer stored keys and did not come to forget those they take the place of."""
        with self._database.read() as connection:
            query = select(schema.meta.c.value).where(schema.meta.c.name == UNSWEPT)
            return connection.execute(query).scalar() is not None

    def forget(self, names: Iterable[KeyName], *, swept: bool = False) -> bool:
        """Delete wrapped document keys; say whether their bytes are out of the database's files too.

        False: a reader holds an older state open; the bytes go with the next checkpoint.

        Args:
            swept: Nothing else is to be forgotten.
        """
        gone = [name._asdict() for name in names]
        if gone or swept:
            with self._database.write() as connection:
                if gone:
                    connection.execute(_ONE, gone)
                if swept:
                    connection.execute(_SWEPT)
        self._kept.clear()
        return self.cleared()

    def forget_replaced(self, before: int) -> None:
        """Delete the keys of replaced writings that no publication shows from some number on."""
        columns = schema.document_keys.c
        gone = delete(schema.document_keys).where(columns.former != STANDING, columns.until < before)
        with self._database.write() as connection:
            count = connection.execute(gone).rowcount
        if count:
            self._kept.clear()
            self.cleared()

    def cleared(self) -> bool:
        """Force a checkpoint; say whether what was deleted is in no file. False: a reader holds an older state.

        Raises:
            StoreError: The disk did not take it.
        """
        try:
            self._database.checkpoint(CLEARED_WITHIN_S)
        except StoreBusy:
            return False
        return True

    def wraps_of(self, document_ids: Collection[str]) -> list[WrappedKey]:
        """Return every wrapped key of some documents, whatever atom it is for."""
        with self._database.read() as connection:
            found = kept_wraps.document_rows(connection, set(document_ids))
        return [key for keys in found.values() for key in keys]

    def names(self, document_ids: Collection[str] | None = None, *, replaced: bool = False) -> list[KeyName]:
        """Return the name of every wrapped document key, or of those of some documents, or of replaced writings."""
        if document_ids is not None:
            return [key.name for key in self.wraps_of(document_ids)]
        columns = schema.document_keys.c
        query = select(*(columns[each] for each in KeyName._fields))
        with self._database.read() as connection:
            found = connection.execute(query.where(columns.former != STANDING) if replaced else query)
            return [KeyName(*row) for row in found]

    def checkpoint(self) -> None:
        """Write what was deleted out of the database's files, for good. See :meth:`Database.checkpoint`."""
        self._database.checkpoint()

    @property
    def generation(self) -> int:
        """The newest generation of the master key."""
        return self._read(self.generations.newest)

    def keyring(
        self,
        entries: Iterable[LabelEntry],
        document_ids: Iterable[str] | None = None,
        *,
        standing: Standing | None = None,
        covered: Container[int] = (),
    ) -> Keyring:
        """Return a keyring for the given labels, and for no other.

        Args:
            entries: The labels; each atom's key is opened when it is asked for.
            document_ids: Only these documents; None means all under the labels.
            standing: As of :class:`Keyring`: for rows of an earlier cut.
            covered: As of :class:`Keyring`.
        """
        wanted, ids = list(entries), None if document_ids is None else frozenset(document_ids)
        lookups = self._lookups(wanted)

        def read() -> Wraps:
            return self._read(lambda connection: self._wraps(connection, lookups, ids))

        wraps = read() if ids is None else self._kept.of(lookups, ids, read)
        keys = wraps.label_keys(self._store_id, wanted, lookups)
        wrapped = wraps.under(keys, replaced=standing is not None)
        return Keyring(self._store_id, keys, wrapped, standing, covered, wraps.opened)

    def _wraps(
        self, connection: Connection, lookups: Collection[str], document_ids: Collection[str] | None
    ) -> Wraps:
        labels = kept_wraps.label_rows(connection, lookups)
        generations = {generation for generation, _ in labels.values()}
        return Wraps(
            labels,
            kept_wraps.document_rows(connection, document_ids),
            {each: self.generations.cipher(connection, each) for each in generations},
        )

    def rotate(self, prepared: Prepared, entries: Callable[[], Iterable[LabelEntry]]) -> Rewrapped:
        """Wrap every key anew under a prepared generation, in one transaction.

        Args:
            entries: Called once nothing else can be written: all labels there are.

        Raises:
            StoreBusy: Another rotation came first. Nothing was changed.
            StoreCorrupt: A wrapped key does not open. Nothing was changed.
        """
        self._lookup("")
        with self._database.write() as connection:
            if self.generations.newest(connection) != prepared.before:
                raise StoreBusy("the master key was rotated by somebody else meanwhile", hint="try again")
            label_keys = self._label_keys(connection, entries())
            self.generations.add(connection, prepared)
            return key_rewrapping.rewrap_all(
                connection,
                self._store_id,
                lambda generation: self.generations.cipher(connection, generation),
                label_keys,
                (prepared.generation, Cipher(prepared.key)),
            )

    def counts(self) -> dict[str, int]:
        """Return how many wrapped keys of each kind there are."""
        tables = {"store": schema.store_keys, "label": schema.label_keys, "document": schema.document_keys}
        with self._database.read() as connection:
            return {
                name: int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)
                for name, table in tables.items()
            }

    def _read(self, work: Callable[[Connection], T]) -> T:
        """Read one consistent state; once more if the generation it stood under was retired meanwhile."""
        try:
            with self._database.read() as connection:
                return work(connection)
        except KeyUnavailable:
            with self._database.read() as connection:
                return work(connection)

    def _label_keys(self, connection: Connection, entries: Iterable[LabelEntry]) -> Mapping[int, bytes]:
        wanted = list(entries)
        lookups = self._lookups(wanted)
        return self._wraps(connection, lookups, ()).label_keys(self._store_id, wanted, lookups)

    def _lookups(self, entries: Iterable[LabelEntry]) -> dict[str, str]:
        """Return the ids of all labels and parts, by the digest their keys are found by."""
        ids = {part for entry in entries for part in entry.parts or {entry.label_id}}
        return {self._lookup(label_id): label_id for label_id in ids}

    def _lookup(self, label_id: str) -> str:
        found = self._lookups_kept.get(label_id)
        if found is None:
            if self._digest_key is None:
                self._digest_key = self.store_key("digest")
            if len(self._lookups_kept) >= LOOKUPS_KEPT:
                self._lookups_kept.clear()
            found = self._lookups_kept[label_id] = digest(self._digest_key, "label key", label_id)
        return found


_SWEPT = delete(schema.meta).where(schema.meta.c.name == UNSWEPT)
_ONE = delete(schema.document_keys).where(
    *(schema.document_keys.c[each] == bindparam(each) for each in KeyName._fields)
)
