"""Lay labels out by field, so that a condition is asked once for each value and not for each label.

Promise: a segment holds the labels it was made of and never changes. What
stands in its columns is what the matcher would be shown of each label, and
nothing here decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .identifiers import TIME_MAX, TIME_MIN
from .labels import LabelEntry
from .matcher_tree import NotCompilable
from .matcher_values import MatchedObject, Names

Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

EMPTY: Rows = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True, repr=False)
class Column:
    """One field of all labels of a segment.

    Args:
        codes: int32 of shape (n,): the place in `values` of each label's value.
        values: The distinct values.
    """

    codes: Rows
    values: tuple[object, ...]
    _places: list[_Places] = field(default_factory=list)

    def with_value_in(self, names: Collection[object]) -> Rows:
        """Return the rows whose value is one of `names`, ascending.

        Raises:
            NotCompilable: The field is a set of names.
        """
        return self._found(names, holding=False)

    def holding_any(self, names: Collection[object]) -> Rows:
        """Return the rows whose value holds one of `names`, ascending.

        Raises:
            NotCompilable: The field is not a set of names.
        """
        return self._found(names, holding=True)

    def _found(self, names: Collection[object], *, holding: bool) -> Rows:
        if not self._places:
            self._places.append(_Places.of(self))
        places = self._places[0]
        if places.holding is not holding:
            raise NotCompilable("a field is not of the kind the matcher asks for")
        return places.of_names(names, len(self.codes))


class LabelSegment:
    """Some labels, by field; and some compound ones, by their parts.

    Args:
        entries: Each atom once.
        fields: Those of :class:`MatchedObject` that are read.
        by_id: Id → label, of the whole table.
    """

    __slots__ = (
        "_starts", "_times", "atom_max", "atoms", "columns", "compound_atoms", "entries", "parts", "unknown",
    )  # fmt: skip

    def __init__(
        self, entries: Sequence[LabelEntry], fields: Sequence[str], by_id: Mapping[str, LabelEntry]
    ) -> None:
        self.entries = tuple(entries)
        """All labels in it."""
        plain = [entry for entry in entries if entry.definition is not None]
        compound = [entry for entry in entries if entry.definition is None]
        self.atoms: Rows = np.array([entry.atom for entry in plain], np.int32)
        """int32 of shape (n,): the atom of each row of the columns."""
        self.columns: Mapping[str, Column] = _columns(plain, fields)
        """Field → its column."""
        self.compound_atoms: Rows = np.array([entry.atom for entry in compound], np.int32)
        """int32 of shape (m,): the atoms of the compound labels."""
        parts = [_part_atoms(entry, by_id) for entry in compound]
        self.parts: Rows = np.array([atom for each in parts for atom in each], np.int32)
        """int32: the atoms of the parts of each compound label, one after the other; 0 for a part that is none."""
        self.unknown = frozenset(part for entry in compound for part in entry.parts if part not in by_id)
        """Ids of parts that stood for no label when it was made."""
        self._starts = np.cumsum([0, *map(len, parts)])[:-1]
        self.atom_max = max((entry.atom for entry in entries), default=0)
        """The largest atom in it; 0 if there is none."""
        self._times = _times(plain)

    def __len__(self) -> int:
        return len(self.atoms)

    def __repr__(self) -> str:
        return f"LabelSegment({len(self)} labels, {len(self.compound_atoms)} compound)"

    def whole(self, allowed: Mask) -> Mask:
        """Return, for each compound label, whether all its parts are allowed.

        Args:
            allowed: bool by atom, the labels of all segments that are not compound; atom 0 is not.
        """
        if not len(self.compound_atoms):
            return np.zeros(0, np.bool_)
        found: Mask = np.logical_and.reduceat(allowed[self.parts], self._starts)
        return found

    def next_time(self, now: str) -> str:
        """Return the first time after `now` at which some label begins or ends; else the last of all."""
        place = bisect_right(self._times, now)
        return self._times[place] if place < len(self._times) else TIME_MAX


class _Places:
    """Which rows hold which name, of one column."""

    __slots__ = ("_order", "_starts", "_where", "holding")

    def __init__(self, where: Mapping[object, int], order: Rows, starts: Rows, *, holding: bool) -> None:
        self._where = where
        self._order = order
        self._starts = starts
        self.holding = holding

    @classmethod
    def of(cls, column: Column) -> _Places:
        holding = bool(column.values) and type(column.values[0]) is Names
        if not holding:
            order = np.argsort(column.codes, kind="stable").astype(np.int32)
            where = {value: place for place, value in enumerate(column.values)}
            return cls(where, order, _starts(column.codes, len(where)), holding=False)
        where = {}
        pairs: list[tuple[int, int]] = []
        for code, value in enumerate(column.values):
            if type(value) is not Names:
                raise NotCompilable("a field holds both names and others")
            pairs += [(code, where.setdefault(name, len(where))) for name in value.each()]
        rows, names = _joined(column.codes, len(column.values), pairs)
        order = np.lexsort((rows, names)).astype(np.int32)
        return cls(where, rows[order], _starts(names, len(where)), holding=True)

    def of_names(self, names: Collection[object], size: int) -> Rows:
        """Return the rows, of so many, that hold any of the names, ascending."""
        known = [place for name in names if (place := self._where.get(name)) is not None]
        if len(known) < 2:
            return self._of_place(known[0]) if known else EMPTY
        places = np.array(known, np.int32)
        rows = self._order[_ranges(self._starts[places], self._starts[places + 1])]
        # A row may hold several of the names. Marking finds each once, in order, faster than sorting does.
        marked = np.zeros(size, np.bool_)
        marked[rows] = True
        return np.flatnonzero(marked).astype(np.int32)

    def _of_place(self, place: int) -> Rows:
        return self._order[self._starts[place] : self._starts[place + 1]]


def _part_atoms(entry: LabelEntry, by_id: Mapping[str, LabelEntry]) -> list[int]:
    """Return the parts' atoms, at least one; 0, which no label has, for a part that is unknown or compound."""
    parts = [by_id.get(part) for part in entry.parts] or [None]
    return [part.atom if part is not None and part.definition is not None else 0 for part in parts]


def _times(entries: Iterable[LabelEntry]) -> list[str]:
    definitions = [entry.definition for entry in entries if entry.definition is not None]
    times = {time for label in definitions for time in (label.valid_from, label.valid_until)}
    return sorted(times - {TIME_MIN, TIME_MAX})


def _columns(entries: Sequence[LabelEntry], fields: Sequence[str]) -> dict[str, Column]:
    seen: dict[str, dict[object, int]] = {name: {} for name in fields}
    values: dict[str, list[object]] = {name: [] for name in fields}
    codes = {name: np.zeros(len(entries), np.int32) for name in fields}
    for row, entry in enumerate(entries):
        shown = MatchedObject(entry.label_id, entry.definition)
        for name in fields:
            value = getattr(shown, name)
            # True and 1 are equal, and not the same to a matcher; sets of names are equal by what they hold.
            key = value.each() if type(value) is Names else (type(value), value)
            code = seen[name].setdefault(key, len(values[name]))
            if code == len(values[name]):
                values[name].append(value)
            codes[name][row] = code
    return {name: Column(codes[name], tuple(values[name])) for name in fields}


def _starts(codes: npt.NDArray[np.integer], count: int) -> Rows:
    starts = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(codes, minlength=count)[:count], out=starts[1:])
    return starts


def _joined(codes: Rows, count: int, pairs: Iterable[tuple[int, int]]) -> tuple[Rows, Rows]:
    """Return (row, name) for each row and each name its code holds."""
    flat = np.array(list(pairs), np.int32).reshape(-1, 2)
    starts = _starts(flat[:, 0], count)  # the pairs come by code
    held = np.diff(starts)[codes]
    rows = np.repeat(np.arange(len(codes), dtype=np.int32), held)
    return rows, flat[_ranges(starts[codes], starts[codes + 1]), 1].astype(np.int32)


def _ranges(starts: Rows, ends: Rows) -> npt.NDArray[np.int64]:
    """Return the numbers from each start to before its end, one range after the other."""
    sizes = ends - starts
    before = np.cumsum(sizes, dtype=np.int64) - sizes
    return np.arange(sizes.sum(), dtype=np.int64) + np.repeat(starts - before, sizes)
