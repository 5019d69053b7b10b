"""Read wrapped keys out of their database, and keep those of a few documents until anything is committed there.

Promise: what is kept is used only while nobody committed to the database since it was read, so that a key that was
destroyed opens nothing in the next question either. It is wrapped here as it is there.

Source: docs/decisions/0011-keys.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from sqlalchemy import Connection, select

from . import key_schema as schema
from .database import Database
from .errors import SequenceUnconfirmed, StoreCorrupt
from .key_schema import label_place
from .keyrings import WrappedKey
from .labels import LabelEntry
from .seal import Cipher, derive_from_all, place

FEW_KEYS = 200
"""Up to this many keys are looked up one by one, and kept; more are read in one scan."""
DOCUMENTS_KEPT = 20_000
"""If there are more, all are let go."""

LabelRow = tuple[int, bytes]
"""A label's key: the generation it is wrapped under, and the wrap."""


@dataclass(frozen=True, slots=True, repr=False)
class Wraps:
    """Rows of the key database, of one state.

    Args:
        labels: By the digest of the label's id.
        documents: By document, those of all its atoms; none for a document that has no key.
        ciphers: Of the generations that `labels` are wrapped under.
    """

    labels: Mapping[str, LabelRow]
    documents: Mapping[str, tuple[WrappedKey, ...]]
    ciphers: Mapping[int, Cipher]

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are neither copied nor pickled")

    def label_keys(
        self, store_id: str, entries: Iterable[LabelEntry], lookups: Mapping[str, str]
    ) -> dict[int, bytes]:
        """Return labels' keys by atom, opened with the cipher of their generation.

        Args:
            lookups: Id of each label and part, by the digest its key is found by.

        Raises:
            StoreCorrupt: One is missing or does not open.
        """
        if len(self.labels) != len(lookups):
            raise StoreCorrupt(
                "a label has no key; the key database is older than the store",
                hint="put back a copy of keys.db that is as new as the store",
            )
        stored = {
            lookups[lookup]: self.ciphers[generation].open(wrapped, label_place(store_id, lookup, generation))
            for lookup, (generation, wrapped) in self.labels.items()
        }
        keys: dict[int, bytes] = {}
        for entry in entries:
            if entry.parts:
                parts = {part: stored[part] for part in entry.parts}
                keys[entry.atom] = derive_from_all(parts, place("compound", store_id))
            else:
                keys[entry.atom] = stored[entry.label_id]
        return keys

    def under(self, atoms: Container[int]) -> dict[tuple[str, int], WrappedKey]:
        """Return the documents' keys that are wrapped for some atoms, by document and atom."""
        keys = (key for found in self.documents.values() for key in found)
        return {(key.document_id, key.atom): key for key in keys if key.atom in atoms}


class KeptWraps:
    """Rows that were read, and the mark they were read at. Safe to use from several threads."""

    __slots__ = ("_ciphers", "_database", "_documents", "_labels", "_lock", "_mark")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._mark: tuple[int, int] | None = None
        self._labels: dict[str, LabelRow] = {}
        self._documents: dict[str, tuple[WrappedKey, ...]] = {}
        self._ciphers: dict[int, Cipher] = {}

    def __repr__(self) -> str:
        return "KeptWraps(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are neither copied nor pickled")

    def of(self, labels: Collection[str], documents: Collection[str], read: Callable[[], Wraps]) -> Wraps:
        """Return the rows of some labels and documents: all as kept, or all as read now.

        Args:
            read: Reads exactly these, in one transaction.
        """
        try:
            mark = self._database.mark()
        except SequenceUnconfirmed:
            # Whether anything was committed is not known: nothing that is kept counts.
            self.clear()
            return read()
        with self._lock:
            if self._mark != mark:
                self._forget(mark)
            elif self._labels.keys() >= set(labels) and self._documents.keys() >= set(documents):
                return Wraps(
                    {each: self._labels[each] for each in labels},
                    {each: self._documents[each] for each in documents},
                    dict(self._ciphers),
                )
        found = read()
        with self._lock:
            # What was read is at least as new as the mark; if it is newer, the next mark is another.
            if self._mark == mark:
                if len(self._documents) + len(found.documents) > DOCUMENTS_KEPT:
                    self._forget(mark)
                self._labels.update(found.labels)
                self._documents.update(found.documents)
                self._ciphers.update(found.ciphers)
        return found

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._forget(None)

    def _forget(self, mark: tuple[int, int] | None) -> None:
        self._mark = mark
        self._labels, self._documents, self._ciphers = {}, {}, {}


def label_rows(connection: Connection, lookups: Collection[str]) -> dict[str, LabelRow]:
    """Return the wrapped keys of some labels, by the digest of the label's id; one without a key is left out."""
    query = select(schema.label_keys)
    if len(lookups) <= FEW_KEYS:
        query = query.where(schema.label_keys.c.label_digest.in_(lookups))
    return {
        row.label_digest: (row.generation, row.wrapped)
        for row in connection.execute(query)
        if row.label_digest in lookups
    }


def document_rows(
    connection: Connection, documents: Collection[str] | None
) -> dict[str, tuple[WrappedKey, ...]]:
    """Return the wrapped keys of some documents, or of all, by document; of each those of all its atoms."""
    found: dict[str, tuple[WrappedKey, ...]] = dict.fromkeys(documents or (), ())
    if documents is not None and not documents:
        return found
    query = select(*schema.document_keys.c)
    if documents is not None and len(documents) <= FEW_KEYS:
        query = query.where(schema.document_keys.c.document_id.in_(documents))
    for row in connection.execute(query):
        if documents is None or row.document_id in found:
            key = WrappedKey(*row)
            found[key.document_id] = (*found.get(key.document_id, ()), key)
    return found
