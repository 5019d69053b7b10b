"""Read wrapped keys out of their database, and keep them until anything is committed there.

Promise: what is kept is used only while nobody committed to the database since it was read, so that a key that was
destroyed opens nothing in the next question either. So is a document's key that was opened: it is found again by its
wrap alone, which has to be there.

Source: docs/decisions/0011-keys.md.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from . import key_schema as schema
from .database import Database
from .errors import SequenceUnconfirmed, StoreCorrupt
from .key_schema import label_place
from .keyrings import KeyName, WrappedKey
from .labels import LabelEntry
from .seal import Cipher, derive_from_all, place

FEW_KEYS = 10_000
"""Up to this many keys are looked up, 5 to 8 microseconds each; more are read in one scan, 3 for each that there is."""
DOCUMENTS_KEPT = 20_000
"""If there would be more, all that are kept are let go. One takes 3 KiB with its cipher."""

LabelRow = tuple[int, bytes]
"""A label's key: the generation it is wrapped under, and the wrap."""


@dataclass(frozen=True, slots=True, repr=False)
class Wraps:
    """Rows of the key database, of one state.

    Args:
        labels: By the digest of the label's id.
        documents: By document, those of all its atoms; none for a document that has no key.
        ciphers: Of the generations that `labels` are wrapped under.
        opened: Of documents' keys of this state, by their wraps, as far as they were opened; more come in.
    """

    labels: Mapping[str, LabelRow]
    documents: Mapping[str, tuple[WrappedKey, ...]]
    ciphers: Mapping[int, Cipher]
    opened: dict[WrappedKey, Cipher] = field(default_factory=dict)

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are neither copied nor pickled")

    def label_keys(
        self, store_id: str, entries: Iterable[LabelEntry], lookups: Mapping[str, str]
    ) -> LabelKeys:
        """Return labels' keys by atom, each opened with the cipher of its generation when it is asked for.

        Args:
            lookups: Id of each label and part, by the digest its key is found by.

        Raises:
            StoreCorrupt: One is missing.
        """
        if len(self.labels) != len(lookups):
            raise StoreCorrupt(
                "a label has no key; the key database is older than the store",
                hint="put back a copy of keys.db that is as new as the store",
            )
        return LabelKeys(self, store_id, entries, lookups)

    def under(self, atoms: Container[int], *, replaced: bool = False) -> dict[KeyName, WrappedKey]:
        """Return the documents' keys that are wrapped for some atoms, by their names.

        Args:
            replaced: Those of writings that were replaced too.
        """
        keys = (key for found in self.documents.values() for key in found)
        return {key.name: key for key in keys if key.atom in atoms and (replaced or key.stands)}


class LabelKeys(Mapping[int, bytes]):
    """The keys of some labels by atom, opened one by one as they are asked for.

    Raises:
        StoreCorrupt: At the question for one that does not open.
    """

    __slots__ = ("_by_label", "_entries", "_opened", "_store_id", "_wraps")

    def __init__(
        self, wraps: Wraps, store_id: str, entries: Iterable[LabelEntry], lookups: Mapping[str, str]
    ) -> None:
        self._wraps = wraps
        self._store_id = store_id
        self._entries = {entry.atom: entry for entry in entries}
        self._by_label = {label_id: lookup for lookup, label_id in lookups.items()}
        self._opened: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"LabelKeys({len(self._entries)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are neither copied nor pickled")

    def __getitem__(self, atom: int) -> bytes:
        found = self._opened.get(atom)
        if found is None:
            entry = self._entries[atom]
            if entry.parts:
                parts = {part: self._stored(part) for part in entry.parts}
                found = derive_from_all(parts, place("compound", self._store_id))
            else:
                found = self._stored(entry.label_id)
            self._opened[atom] = found
        return found

    def __contains__(self, atom: object) -> bool:
        return atom in self._entries

    def __iter__(self) -> Iterator[int]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _stored(self, label_id: str) -> bytes:
        lookup = self._by_label[label_id]
        generation, wrapped = self._wraps.labels[lookup]
        return self._wraps.ciphers[generation].open(wrapped, label_place(self._store_id, lookup, generation))


class KeptWraps:
    """Rows that were read, and the mark they were read at. Safe to use from several threads."""

    __slots__ = ("_ciphers", "_database", "_documents", "_labels", "_lock", "_mark", "_opened")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._mark: tuple[int, int] | None = None
        self._labels: dict[str, LabelRow] = {}
        self._documents: dict[str, tuple[WrappedKey, ...]] = {}
        self._ciphers: dict[int, Cipher] = {}
        self._opened: dict[WrappedKey, Cipher] = {}

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
                    self._opened,
                )
        found = read()
        with self._lock:
            # What was read is at least as new as the mark; if it is newer, the next mark is another.
            if self._mark != mark or len(found.documents) > DOCUMENTS_KEPT:
                return found
            if len(self._documents) + len(found.documents) > DOCUMENTS_KEPT:
                self._forget(mark)
            self._labels.update(found.labels)
            self._documents.update(found.documents)
            self._ciphers.update(found.ciphers)
            # What is opened now is kept too.
            return replace(found, opened=self._opened)

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._forget(None)

    def _forget(self, mark: tuple[int, int] | None) -> None:
        self._mark = mark
        self._labels, self._documents, self._ciphers = {}, {}, {}
        # Another one: what a question of before still opens comes into none of after.
        self._opened = {}


def _wanted(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return a condition for the texts of a JSON list: one statement for any number of them, made once."""
    return column.in_(select(func.json_each(bindparam("wanted")).table_valued("value").c.value))


_LABELS = select(schema.label_keys)
_SOME_LABELS = _LABELS.where(_wanted(schema.label_keys.c.label_digest))
_DOCUMENTS = select(*schema.document_keys.c)
_SOME_DOCUMENTS = _DOCUMENTS.where(_wanted(schema.document_keys.c.document_id))


def _rows(
    connection: Connection, every: Select[Any], some: Select[Any], wanted: Collection[str] | None
) -> Iterable[Any]:
    if wanted is None or len(wanted) > FEW_KEYS:
        return connection.execute(every)
    return connection.execute(some, {"wanted": json.dumps(list(wanted))})


def label_rows(connection: Connection, lookups: Collection[str]) -> dict[str, LabelRow]:
    """Return the wrapped keys of some labels, by the digest of the label's id; one without a key is left out."""
    return {
        row.label_digest: (row.generation, row.wrapped)
        for row in _rows(connection, _LABELS, _SOME_LABELS, lookups)
        if row.label_digest in lookups
    }


def document_rows(
    connection: Connection, documents: Collection[str] | None
) -> dict[str, tuple[WrappedKey, ...]]:
    """Return the wrapped keys of some documents, or of all, by document; of each those of all writings."""
    found: dict[str, tuple[WrappedKey, ...]] = dict.fromkeys(documents or (), ())
    if documents is not None and not documents:
        return found
    runs: dict[str, str] = {}
    for document_id, atom, run_id, *rest in _rows(connection, _DOCUMENTS, _SOME_DOCUMENTS, documents):
        if documents is None or document_id in found:
            # One run writes many documents: its id is held once.
            key = WrappedKey(document_id, atom, runs.setdefault(run_id, run_id), *rest)
            found[key.document_id] = (*found.get(key.document_id, ()), key)
    return found
