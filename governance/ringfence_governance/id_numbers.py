"""Hold opaque ids in sixteen bytes each, and give each a number.

Promise: two ids have one number only if they are equal, whatever their
digits; numbers are in the order of the ids.

Source: docs/decisions/0025-resident-lineage.md.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import StoreCorrupt

Halves: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int32]
_DIGITS = 32


class IdNumbers:
    """Some ids, ascending; the number of one is its place. Never changes.

    Args:
        upper: uint64 of shape (n,), ascending: the upper half of each id.
        lower: uint64 of shape (n,): its lower half, ascending where upper halves are equal.
    """

    __slots__ = ("_lower", "_upper")

    def __init__(self, upper: Halves, lower: Halves) -> None:
        self._upper = upper
        self._lower = lower

    def __len__(self) -> int:
        return len(self._upper)

    def __repr__(self) -> str:
        return f"IdNumbers({len(self)})"

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return int(self._upper.nbytes + self._lower.nbytes)

    def of(self, ids: Collection[str]) -> Numbers:
        """Return the numbers of those of some ids that are here, int32, ascending, each once."""
        upper, lower = _halves(bytes.fromhex("".join(ids)))
        order = np.argsort(upper)
        upper, lower = upper[order], lower[order]
        first = np.searchsorted(self._upper, upper)
        there = first < len(self)
        there[there] = self._upper[first[there]] == upper[there]
        first, upper, lower = first[there], upper[there], lower[there]
        # Random ids differ in their upper halves; where they do not, the lower ones are ordered.
        for place in np.flatnonzero(self._lower[first] != lower).tolist():
            last = int(np.searchsorted(self._upper, upper[place], side="right"))
            within = np.searchsorted(self._lower[first[place] : last], lower[place])
            first[place] = min(first[place] + int(within), len(self) - 1)
        exact = (self._upper[first] == upper) & (self._lower[first] == lower)
        return np.unique(first[exact]).astype(np.int32)

    def texts(self, numbers: npt.NDArray[np.integer]) -> list[str]:
        """Return the ids of some numbers, in their order."""
        pairs = np.stack([self._upper[numbers], self._lower[numbers]], axis=1)
        digits = pairs.astype(">u8").tobytes().hex()
        return [digits[start : start + _DIGITS] for start in range(0, len(digits), _DIGITS)]


class IdColumn:
    """The ids of one column of a table, as they are read."""

    __slots__ = ("_counts", "_lower", "_upper")

    def __init__(self) -> None:
        self._upper: list[Halves] = []
        self._lower: list[Halves] = []
        self._counts: list[int | npt.NDArray[np.int64]] = []

    def add(self, ids: pa.Array) -> None:
        """Take the next ids.

        Raises:
            StoreCorrupt: One is no 32 hexadecimal digits.
        """
        upper, lower = _halves(_raw(ids))
        counts: int | npt.NDArray[np.int64] = len(ids)
        # One id often stands in many rows after one another: a run's, a document's.
        other = (upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1])
        if other.sum() < len(ids) // 2:
            first = np.concatenate([[0], np.flatnonzero(other) + 1])
            upper, lower, counts = upper[first], lower[first], np.diff(first, append=len(ids))
        self._upper.append(upper)
        self._lower.append(lower)
        self._counts.append(counts)

    def taken(self) -> Iterator[tuple[Halves, Halves]]:
        """Yield the halves of its ids, one that stands in rows after one another once; let go of them here."""
        self._upper.reverse()
        self._lower.reverse()
        while self._upper:
            yield self._upper.pop(), self._lower.pop()

    def __len__(self) -> int:
        return sum(map(len, self._upper))

    def row_numbers(self, numbers: Numbers) -> Numbers:
        """Return the number of each row, given that of each of the ids that were taken."""
        found, start = [np.zeros(0, np.int32)], 0
        for counts in self._counts:
            stop = start + (counts if isinstance(counts, int) else len(counts))
            some = numbers[start:stop]
            found.append(some if isinstance(counts, int) else np.repeat(some, counts))
            start = stop
        return np.concatenate(found)


def order_of(numbers: Numbers) -> Numbers:
    """Return the places of some numbers, each 0 or more, in their order; equal ones in that of their places."""
    # Sorted together with their places: half the time of an argsort.
    together = numbers.astype(np.int64) << 32 | np.arange(len(numbers))
    together.sort()
    return (together & 0xFFFFFFFF).astype(np.int32)


def numbered(columns: Sequence[IdColumn]) -> tuple[IdNumbers, list[Numbers]]:
    """Return the ids of some columns, and for each column the number of each of its rows.

    Args:
        columns: Used up.
    """
    sizes = [len(column) for column in columns]
    upper, lower = np.empty(sum(sizes), np.uint64), np.empty(sum(sizes), np.uint64)
    start = 0
    for column in columns:
        for some_upper, some_lower in column.taken():
            stop = start + len(some_upper)
            upper[start:stop], lower[start:stop] = some_upper, some_lower
            start = stop
    numbers = np.empty(len(upper), np.int32)
    uppers, lowers, count = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], 0
    # One sixteenth after the other: sorting takes less memory and, since its keys are shorter, less time.
    for first_digit in range(16):
        here = np.flatnonzero(upper >> np.uint64(60) == first_digit)
        order, new = _ordered(upper[here], lower[here])
        here = here[order]
        numbers[here] = np.cumsum(new, dtype=np.int32) + np.int32(count - 1)
        uppers.append(upper[here[new]])
        lowers.append(lower[here[new]])
        count += len(uppers[-1])
    del upper, lower
    starts = np.cumsum([0, *sizes])
    found = [column.row_numbers(numbers[start:]) for column, start in zip(columns, starts, strict=False)]
    return IdNumbers(np.concatenate(uppers), np.concatenate(lowers)), found


def _ordered(upper: Halves, lower: Halves) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return ids of one first digit in order: their places, and which of them are no repetition of the one before."""
    if not len(upper):
        return np.zeros(0, np.int64), np.zeros(0, bool)
    # The rest of the upper half and, in the place of its last digits, where it stands.
    low = np.uint64((1 << len(upper).bit_length()) - 1)
    keys = ((upper << np.uint64(4)) & ~low) | np.arange(len(upper), dtype=np.uint64)
    keys.sort()
    order = (keys & low).astype(np.int64)
    upper, lower = upper[order], lower[order]
    same = upper[1:] == upper[:-1]
    if (upper[1:] < upper[:-1]).any() or (same & (lower[1:] != lower[:-1])).any():
        # Ids that are equal in so much are few, or were not drawn at random.
        again = np.lexsort((lower, upper))
        order, upper, lower = order[again], upper[again], lower[again]
        same = (upper[1:] == upper[:-1]) & (lower[1:] == lower[:-1])
    return order, np.concatenate([[True], ~same])


def _halves(raw: bytes) -> tuple[Halves, Halves]:
    pairs = np.frombuffer(raw, ">u8").reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)


def _raw(ids: pa.Array) -> bytes:
    """Return ids in sixteen bytes each."""
    whole = pc.all(pc.equal(pc.binary_length(ids), _DIGITS), skip_nulls=False, min_count=0).as_py()
    try:
        if not whole:
            raise ValueError
        # All of them have one length, so they lie one behind the other.
        start = int(np.frombuffer(ids.buffers()[1], np.int32)[ids.offset])
        text = memoryview(ids.buffers()[2])[start : start + _DIGITS * len(ids)]
        return binascii.unhexlify(text)
    except ValueError:
        raise StoreCorrupt("a row names something that is no opaque id; nothing is kept") from None
