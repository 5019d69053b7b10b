"""Hold rows of lineage as numbers in arrays, so that those with some ids are found at once.

Promise: a piece holds the ids, runs and kinds of exactly the rows of the
fragments it names, and never changes. It says nothing of which of them still
stand, nor under which atom: that is :mod:`lineage_cut`'s.

Source: docs/decisions/0025-resident-lineage.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from . import stopping
from .errors import StoreCorrupt
from .id_numbers import IdColumn, IdNumbers, Numbers, numbered, order_of
from .row_map import FragmentFacts, VersionFacts

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "documents": ("id", "run_id"),
    "chunks": ("id", "run_id", "document_id"),
    "edges": ("child", "run_id", "parent"),
}
"""What is held of each table; rows lie in the order of the first column."""
ALSO_BY: Mapping[str, str] = {"edges": "parent"}
"""By what else its rows are looked up."""
KIND = "kind"
NO_ROW = -1
"""The atom of a row that stands no more."""
BYTES_PER_ROW = {"documents": 16, "chunks": 20, "edges": 27}
BYTES_PER_ID = 16
"""What a piece takes, about, with the atoms of its rows."""

Atoms = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class HeldFragment:
    """Where the rows of one fragment are in a piece.

    Args:
        key: Its number, and the files that hold anything but the atoms.
        rows: Their places.
        offsets: uint32, ascending: where each lay in the fragment; None if all of it was there.
    """

    key: tuple[int, str]
    rows: slice
    offsets: npt.NDArray[np.uint32] | None


@dataclass(frozen=True, slots=True, eq=False)
class HeldRows:
    """The rows of one table in a piece.

    Args:
        fragments: Those they are of.
        columns: Numbers of ids, in the order of the first column.
        kinds: uint8: number of each row's kind; empty where rows have none.
        places: int32: where each row is in the order of the fragments, which that of the atoms is.
        also: Of the other column rows are looked up by: each number once, where its rows begin, and the rows.
    """

    fragments: tuple[HeldFragment, ...]
    columns: Mapping[str, Numbers]
    kinds: npt.NDArray[np.uint8]
    places: Numbers
    also: tuple[Numbers, Numbers, Numbers]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def size(self) -> int:
        """Bytes of memory, with the atoms of its rows."""
        offsets = [each.offsets for each in self.fragments if each.offsets is not None]
        held: list[npt.NDArray[Any]] = [
            *self.columns.values(),
            self.kinds,
            self.places,
            self.places,
            *self.also,
            *offsets,
        ]
        return sum(int(each.nbytes) for each in held)

    def with_one_of(self, column: str, numbers: Numbers) -> npt.NDArray[np.intp]:
        """Return the rows that have one of some numbers, each once, in a column that rows are looked up by."""
        if column in self.columns and column == next(iter(self.columns)):
            held = self.columns[column]
            return _spans(np.searchsorted(held, numbers), np.searchsorted(held, numbers, side="right"))
        keys, starts, rows = self.also
        place = np.searchsorted(keys, numbers)
        place = place[keys[np.minimum(place, len(keys) - 1)] == numbers] if len(keys) else place[:0]
        found: npt.NDArray[np.intp] = rows[_spans(starts[place], starts[place + 1])].astype(np.intp)
        return found


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LineagePiece:
    """The rows of some fragments of all tables.

    Args:
        ids: All ids that stand in them.
        kinds: The names of the kinds.
    """

    ids: IdNumbers
    kinds: tuple[str, ...]
    tables: Mapping[str, HeldRows]

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def __reduce__(self) -> NoReturn:
        raise TypeError("resident lineage is neither copied nor pickled")

    @property
    def size(self) -> int:
        """Bytes of memory, with the atoms of its rows."""
        return self.ids.size + sum(each.size for each in self.tables.values())

    def texts(self, table: str, column: str, rows: npt.NDArray[np.intp]) -> Sequence[str]:
        """Return what stands in a column of some rows of a table."""
        held = self.tables[table]
        if column == KIND:
            return [self.kinds[number] for number in held.kinds[rows].tolist()]
        return self.ids.texts(held.columns[column][rows])


def size_of(rows: Mapping[str, int]) -> int:
    """Return what a piece of so many rows of each table takes, about, before any is read."""
    ids = max(rows["documents"] + rows["chunks"], rows["edges"])
    return BYTES_PER_ID * ids + sum(BYTES_PER_ROW[name] * count for name, count in rows.items())


def read(
    fragments: Mapping[str, tuple[VersionFacts, Collection[int]]],
) -> tuple[LineagePiece, dict[str, Atoms]]:
    """Return a piece of some fragments, by table, and the atoms of its rows.

    Raises:
        StoreCorrupt: A row names what is no id.
        TimedOut, Cancelled: It was to stop.
    """
    kinds: dict[str, int] = {}
    columns = {name: [IdColumn() for _ in held] for name, held in COLUMNS.items()}
    raw = {
        name: _Raw.read(facts, numbers, COLUMNS[name], columns[name], kinds if name in ALSO_BY else None)
        for name, (facts, numbers) in fragments.items()
    }
    ids, found = numbered([each for name in raw for each in columns[name]])
    tables: dict[str, HeldRows] = {}
    for name, rows in raw.items():
        stopping.check()
        own = [found.pop(0) for _ in COLUMNS[name]]
        tables[name] = _held(rows, dict(zip(COLUMNS[name], own, strict=True)), ALSO_BY.get(name))
    return LineagePiece(ids, tuple(kinds), tables), {name: rows.atoms for name, rows in raw.items()}


@dataclass(slots=True)
class _Raw:
    """The rows of one table, in the order of fragments, but for the ids."""

    fragments: tuple[HeldFragment, ...]
    atoms: Atoms
    kinds: npt.NDArray[np.uint8]

    @classmethod
    def read(
        cls,
        facts: VersionFacts,
        numbers: Collection[int],
        columns: Sequence[str],
        ids: Sequence[IdColumn],
        kinds: dict[str, int] | None,
    ) -> _Raw:
        atoms, found = [np.zeros(0, np.int32)], [np.zeros(0, np.uint8)]
        addresses = [np.zeros(0, np.uint64)]
        wanted = [*columns, *([] if kinds is None else [KIND])]
        for batch in facts.batches(numbers, wanted) if numbers else ():
            stopping.check()
            for column, into in zip(columns, ids, strict=True):
                into.add(batch[column])
            atoms.append(batch["atom"].to_numpy().astype(np.int32))
            # A copy: what is not would hold all that came with it.
            addresses.append(batch["_rowaddr"].to_numpy().copy())
            if kinds is not None:
                found.append(_numbered_kinds(batch[KIND], kinds))
        known = {fact.number: fact for fact in facts.fragments}
        return cls(
            tuple(_fragments(np.concatenate(addresses), known)), np.concatenate(atoms), np.concatenate(found)
        )


def _numbered_kinds(kinds: pa.Array, known: dict[str, int]) -> npt.NDArray[np.uint8]:
    coded = kinds.dictionary_encode()
    numbers = [known.setdefault(name, len(known)) for name in coded.dictionary.to_pylist()]
    if len(known) > np.iinfo(np.uint8).max:
        raise StoreCorrupt("edges are of more kinds than there can be; nothing is kept")
    found: npt.NDArray[np.uint8] = np.asarray(numbers, np.uint8)[coded.indices.to_numpy()]
    return found


def _fragments(
    addresses: npt.NDArray[np.uint64], known: Mapping[int, FragmentFacts]
) -> Iterator[HeldFragment]:
    """Yield the fragments that rows are of.

    Raises:
        StoreCorrupt: Rows did not come in the order they lie in.
    """
    if len(addresses) and not (addresses[1:] > addresses[:-1]).all():
        raise StoreCorrupt("rows came in another order than they lie in; nothing is kept")
    numbers = (addresses >> np.uint64(32)).astype(np.int64)
    starts = _firsts(numbers)
    for start, stop in itertools.pairwise(starts.tolist()):
        offsets = addresses[start:stop].astype(np.uint32)
        whole = int(offsets[-1]) == stop - start - 1
        fact = known[int(numbers[start])]
        yield HeldFragment((fact.number, fact.content), slice(start, stop), None if whole else offsets)


def _held(rows: _Raw, columns: Mapping[str, Numbers], also: str | None) -> HeldRows:
    order = order_of(next(iter(columns.values())))
    ordered = {name: held[order] for name, held in columns.items()}
    none = np.zeros(0, np.int32)
    by = (none, none, none)
    if also is not None:
        others = order_of(ordered[also])
        keys = ordered[also][others]
        starts = _firsts(keys)
        by = (keys[starts[:-1]], starts, others)
    return HeldRows(rows.fragments, ordered, rows.kinds[order] if len(rows.kinds) else rows.kinds, order, by)


def _firsts(values: npt.NDArray[np.integer]) -> Numbers:
    """Return where each run of equal values begins, and where the last one ends."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.concatenate([[0][: len(values)], changes, [len(values)]]).astype(np.int32)


def _spans(first: npt.NDArray[np.integer], last: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Return all places from each first up to each last."""
    counts = last - first
    before = np.cumsum(counts) - counts
    return np.repeat(first - before, counts) + np.arange(int(counts.sum()))
