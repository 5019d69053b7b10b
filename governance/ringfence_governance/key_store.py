"""Keep wrapped keys: master → label → document, in a database of their own.

Promise: no key and no label's name lies here in clear, and each wrapped key is bound to what it
is for: a document's key to (document, atom, generation) under its label's
key, a label's key under the master key. A keyring holds the keys of the atoms
it was made for and no other.

Source: DESIGN.md §5, *Seal*.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)

from .ambient import Ambient
from .errors import StoreCorrupt
from .key_file import MasterKey
from .labels import LabelEntry
from .seal import Cipher, derive_from_all, digest, place
from .sqlite_engine import SqliteDatabase

FEW_KEYS = 200
"""Up to this many keys are looked up one by one; more are read in one scan."""

STORE_PURPOSES = ("catalog", "digest", "as_of", "query")
"""What the store's own keys are for: catalog names, keyed digests, `as_of`, audit query digests."""

_metadata = MetaData()
_store_keys = Table(
    "store_keys",
    _metadata,
    Column("purpose", String, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
_label_keys = Table(
    "label_keys",
    _metadata,
    Column("label_digest", String, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
_document_keys = Table(
    "document_keys",
    _metadata,
    Column("document_id", String, primary_key=True),
    Column("atom", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A document's key as it lies in the database: wrapped for one atom."""

    document_id: str
    atom: int
    generation: int
    wrapped: bytes


class Keyring:
    """The document keys of some atoms, opened one by one as they are asked for."""

    __slots__ = ("_ciphers", "_label_keys", "_store_id", "_wrapped")

    def __init__(
        self, store_id: str, label_keys: Mapping[int, bytes], wrapped: Mapping[tuple[str, int], WrappedKey]
    ) -> None:
        self._store_id = store_id
        self._label_keys = label_keys
        self._wrapped = wrapped
        self._ciphers: dict[tuple[str, int], Cipher] = {}

    def __repr__(self) -> str:
        return f"Keyring(atoms={len(self._label_keys)})"

    def __reduce__(self) -> str:
        raise TypeError("a keyring cannot be pickled")

    def cipher(self, document_id: str, atom: int) -> Cipher:
        """Return the cipher of a document as it stands under an atom.

        Raises:
            StoreCorrupt: This keyring has no key for the pair: the row was not granted,
                or its atom is not the one its key was wrapped for.
        """
        found = self._ciphers.get((document_id, atom))
        if found is not None:
            return found
        cipher = Cipher(self._unwrap(document_id, atom))
        self._ciphers[document_id, atom] = cipher
        return cipher

    def _unwrap(self, document_id: str, atom: int) -> bytes:
        try:
            key = self._wrapped[document_id, atom]
            label_key = self._label_keys[atom]
        except KeyError as error:
            raise StoreCorrupt("a row does not open: no key for its document under its label") from error
        return Cipher(label_key).open(
            key.wrapped, _document_place(self._store_id, document_id, atom, key.generation)
        )


class KeyStore:
    """All wrapped keys of one store. Prints nothing of itself and cannot be pickled."""

    __slots__ = ("_ambient", "_database", "_digest_key", "_master", "_store_id")

    def __init__(self, path: Path, master: MasterKey, ambient: Ambient) -> None:
        self._database = SqliteDatabase(path, secure_delete=True)
        self._master = master
        self._store_id = master.store_id
        self._ambient = ambient
        self._digest_key: bytes | None = None

    def __repr__(self) -> str:
        return "KeyStore(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key store cannot be pickled")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def create_store_keys(self) -> None:
        """Make the tables and the store's own keys; called once, by init."""
        self._database.create(_metadata)
        with self._database.write() as connection:
            for purpose in STORE_PURPOSES:
                key = self._ambient.new_key("store", purpose)
                wrapped = self._master_cipher().seal(key, self._master_place("store", purpose))
                connection.execute(
                    insert(_store_keys).values(
                        purpose=purpose, generation=self._master.generation, wrapped=wrapped
                    )
                )

    def store_key(self, purpose: str) -> bytes:
        """Return one of the store's own keys.

        Raises:
            StoreCorrupt: It is missing or does not open.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(_store_keys.c.wrapped).where(_store_keys.c.purpose == purpose)
            ).one_or_none()
        if row is None:
            raise StoreCorrupt(
                f"the key database has no key for {purpose!r}; it is of another store or damaged"
            )
        return self._master_cipher().open(row.wrapped, self._master_place("store", purpose))

    def ensure_store_key(self, purpose: str) -> bytes:
        """Return one of the store's own keys, made if there is none yet."""
        with self._database.write() as connection:
            known = connection.execute(
                select(_store_keys.c.purpose).where(_store_keys.c.purpose == purpose)
            ).one_or_none()
            if known is None:
                key = self._ambient.new_key("store", purpose)
                wrapped = self._master_cipher().seal(key, self._master_place("store", purpose))
                connection.execute(
                    insert(_store_keys).values(
                        purpose=purpose, generation=self._master.generation, wrapped=wrapped
                    )
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
        with self._database.write() as connection:
            for entry in labels:
                self._ensure_label_key(connection, entry)

    def _ensure_label_key(self, connection: Connection, entry: LabelEntry) -> None:
        lookup = self._lookup(entry.label_id)
        known = connection.execute(
            select(_label_keys.c.label_digest).where(_label_keys.c.label_digest == lookup)
        ).one_or_none()
        if known is None:
            key = self._ambient.new_key("label", entry.label_id)
            wrapped = self._master_cipher().seal(key, self._master_place("label", entry.label_id))
            connection.execute(
                insert(_label_keys).values(
                    label_digest=lookup, generation=self._master.generation, wrapped=wrapped
                )
            )

    def new_document_key(self, document_id: str, entry: LabelEntry) -> tuple[Cipher, WrappedKey]:
        """Make a document's key; return its cipher and the wrap to :meth:`keep` before publishing."""
        key = self._ambient.new_key("document", document_id)
        return Cipher(key), self._wrap(document_id, entry, key)

    def rewrap(self, document_id: str, old: LabelEntry, new: LabelEntry) -> WrappedKey:
        """Return a document's key wrapped under another label, to :meth:`keep` before publishing.

        Raises:
            StoreCorrupt: The document has no key under the old label.
        """
        found = self._wrapped({old.atom}, [document_id]).get((document_id, old.atom))
        if found is None:
            raise StoreCorrupt(
                "a document has no key under its label; the key database is older than the store"
            )
        label_key = self._label_keys([old])[old.atom]
        key = Cipher(label_key).open(
            found.wrapped, _document_place(self._store_id, document_id, old.atom, found.generation)
        )
        return self._wrap(document_id, new, key)

    def keep(self, keys: Iterable[WrappedKey]) -> None:
        """Store wrapped document keys, durably, replacing those of the same document and atom."""
        newest = {(key.document_id, key.atom): asdict(key) for key in keys}
        if not newest:
            return
        with self._database.write() as connection:
            for pair in newest:
                connection.execute(_pair(*pair))
            connection.execute(insert(_document_keys), list(newest.values()))

    def forget(self, pairs: Iterable[tuple[str, int]]) -> None:
        """Delete wrapped document keys."""
        with self._database.write() as connection:
            for document_id, atom in pairs:
                connection.execute(_pair(document_id, atom))

    def wraps_of(self, document_ids: Collection[str]) -> list[WrappedKey]:
        """Return every wrapped key of some documents, whatever atom it is for."""
        wanted = set(document_ids)
        with self._database.read() as connection:
            if len(wanted) <= FEW_KEYS:
                rows = connection.execute(
                    select(*_document_keys.c).where(_document_keys.c.document_id.in_(wanted))
                ).all()
            else:
                rows = connection.execute(select(*_document_keys.c)).all()
        return [WrappedKey(*row) for row in rows if row.document_id in wanted]

    def checkpoint(self) -> None:
        """Write what was deleted out of the database's files, for good. See :meth:`Database.checkpoint`."""
        self._database.checkpoint()

    @property
    def generation(self) -> int:
        """The master key's generation."""
        return self._master.generation

    def keyring(self, entries: Iterable[LabelEntry], document_ids: Iterable[str] | None = None) -> Keyring:
        """Return a keyring for the given labels, and for no other.

        Args:
            entries: The labels; each atom's key is opened now.
            document_ids: Only these documents; None means all under the labels.
        """
        label_keys = self._label_keys(entries)
        return Keyring(self._store_id, label_keys, self._wrapped(set(label_keys), document_ids))

    def _wrap(self, document_id: str, entry: LabelEntry, key: bytes) -> WrappedKey:
        generation = self._master.generation
        wrapped = Cipher(self._label_keys([entry])[entry.atom]).seal(
            key, _document_place(self._store_id, document_id, entry.atom, generation)
        )
        return WrappedKey(document_id, entry.atom, generation, wrapped)

    def _label_keys(self, entries: Iterable[LabelEntry]) -> dict[int, bytes]:
        wanted = list(entries)
        stored = self._stored_label_keys(
            {part for entry in wanted for part in entry.parts or {entry.label_id}}
        )
        keys: dict[int, bytes] = {}
        for entry in wanted:
            if entry.parts:
                parts = {part: stored[part] for part in entry.parts}
                keys[entry.atom] = derive_from_all(parts, place("compound", self._store_id))
            else:
                keys[entry.atom] = stored[entry.label_id]
        return keys

    def _stored_label_keys(self, label_ids: set[str]) -> dict[str, bytes]:
        lookups = {self._lookup(label_id): label_id for label_id in label_ids}
        query = select(_label_keys.c.label_digest, _label_keys.c.wrapped)
        if len(lookups) <= FEW_KEYS:
            query = query.where(_label_keys.c.label_digest.in_(lookups))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        wrapped = {lookups[row.label_digest]: row.wrapped for row in rows if row.label_digest in lookups}
        if len(wrapped) != len(label_ids):
            raise StoreCorrupt("a label has no key; the key database is older than the store")
        cipher = self._master_cipher()
        return {name: cipher.open(key, self._master_place("label", name)) for name, key in wrapped.items()}

    def _lookup(self, label_id: str) -> str:
        if self._digest_key is None:
            self._digest_key = self.store_key("digest")
        return digest(self._digest_key, "label key", label_id)

    def _wrapped(
        self, atoms: Collection[int], document_ids: Iterable[str] | None
    ) -> dict[tuple[str, int], WrappedKey]:
        query = select(*_document_keys.c)
        few = None if document_ids is None else set(document_ids)
        if few is not None and len(few) <= FEW_KEYS:
            query = query.where(_document_keys.c.document_id.in_(few))
        with self._database.read() as connection:
            return {
                (document_id, atom): WrappedKey(document_id, atom, generation, wrapped)
                for document_id, atom, generation, wrapped in connection.execute(query)
                if atom in atoms and (few is None or document_id in few)
            }

    def _master_cipher(self) -> Cipher:
        return Cipher(self._master.secret)

    def _master_place(self, kind: str, name: str) -> bytes:
        return place(kind, self._store_id, name, self._master.generation)


def _pair(document_id: str, atom: int) -> Delete:
    return delete(_document_keys).where(
        _document_keys.c.document_id == document_id, _document_keys.c.atom == atom
    )


def _document_place(store_id: str, document_id: str, atom: int, generation: int) -> bytes:
    return place("document", store_id, document_id, atom, generation)
