"""Wrap the keys of documents' writings: for one label, for another, and for two once a writing is replaced.

Promise: a key of a writing that is replaced is wrapped for the label that writing had and, outermost, for the one
its document has now: neither alone opens it. What is returned is stored by nobody yet.

Source: docs/decisions/0027-a-key-for-each-writing.md.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from . import kept_wraps
from .errors import StoreCorrupt
from .key_schema import ANY_RUN, STANDING, document_place, former_place
from .keyrings import KeyName, WrappedKey
from .labels import LabelEntry
from .seal import Cipher


class DocumentWraps:
    """Wraps keys in one state of the key database.

    Args:
        generation: The newest of the master key.
        label: Gives the cipher of a label's key.
    """

    __slots__ = ("_connection", "_generation", "_label", "_store_id")

    def __init__(
        self, connection: Connection, store_id: str, generation: int, label: Callable[[LabelEntry], Cipher]
    ) -> None:
        self._connection = connection
        self._store_id = store_id
        self._generation = generation
        self._label = label

    def __repr__(self) -> str:
        return "DocumentWraps(…)"

    def __reduce__(self) -> str:
        raise TypeError("keys are neither copied nor pickled")

    def new(self, document_id: str, run_id: str, entry: LabelEntry, key: bytes) -> WrappedKey:
        """Return the key of a writing, wrapped for the label it is written under."""
        return self._wrapped(KeyName(document_id, entry.atom, run_id, STANDING), key, entry)

    def again(self, key: WrappedKey, old: LabelEntry, new: LabelEntry) -> WrappedKey:
        """Return a key wrapped for another label outermost; what was inmost stays."""
        inner = self._label(old).open(key.wrapped, key.place(self._store_id))
        return self._wrapped(key.name._replace(atom=new.atom), inner, new, key.until)

    def moved(self, document_id: str, old: LabelEntry, new: LabelEntry) -> list[WrappedKey]:
        """Return all keys of a document, wrapped for another label.

        Raises:
            StoreCorrupt: It has none under the old one.
        """
        return [self.again(key, old, new) for key in self._under(document_id, old)]

    def replaced(self, document_id: str, old: LabelEntry, new: LabelEntry, until: int) -> list[WrappedKey]:
        """Return the keys of a document's former writings, as they are wrapped once it is written anew.

        Args:
            until: Number of the last publication that shows the writing that stands.

        Raises:
            StoreCorrupt: It has none under the old label.
        """
        found = []
        for key in self._under(document_id, old):
            if key.run_id == ANY_RUN:
                # It opens every writing of before format 3, under whatever label that was: it is not kept.
                continue
            if not key.stands:
                if new.atom != old.atom:
                    found.append(self.again(key, old, new))
                continue
            cipher = self._label(old)
            where = former_place(self._store_id, document_id, key.run_id, old.atom)
            inner = cipher.seal(cipher.open(key.wrapped, key.place(self._store_id)), where)
            name = KeyName(document_id, new.atom, key.run_id, old.atom)
            found.append(self._wrapped(name, inner, new, until))
        return found

    def _wrapped(self, name: KeyName, inner: bytes, entry: LabelEntry, until: int = 0) -> WrappedKey:
        where = document_place(self._store_id, *name, self._generation)
        return WrappedKey(*name, self._generation, self._label(entry).seal(inner, where), until)

    def _under(self, document_id: str, entry: LabelEntry) -> list[WrappedKey]:
        stored = kept_wraps.document_rows(self._connection, [document_id])[document_id]
        found = [key for key in stored if key.atom == entry.atom]
        standing = {key.run_id for key in found if key.stands}
        if not standing:
            raise StoreCorrupt(
                "a document has no key under its label; the key database is older than the store"
            )
        # Of a writing that stands there is one wrap; a second is of a writer who did not publish.
        return [key for key in found if key.stands or key.run_id not in standing]
