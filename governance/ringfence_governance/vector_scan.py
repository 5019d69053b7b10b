"""Find, among runs of resident rows, all that could be the nearest to a question.

Promise: no row that belongs among the nearest is left out: each estimate has
a bound on its error, and every row that could reach the k-th best stays. The
compiled loops and numpy keep other rows besides; which ones they keep changes
no answer, since each is scored again by the fixed routine.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import scan_threads, stopping
from .quantised import Quantised, quantised

ROWS_BEFORE_COMPILING = 1_000_000
"""Rows scanned in numpy before numba is loaded, beside them: a command that asks once never waits for it."""
HALF_ULP_F32 = 2.0**-24
ROWS_BETWEEN_LOOKS = 131_072
"""So many rows are gone through before looking whether the read is to stop: some milliseconds."""
SHARED_FROM = 65_536
"""Rows from which on threads that are free help; fewer are gone through before one has begun."""
ROWS_SHARED = 16_384
"""Of so many rows is a piece then: nobody waits longer for another thread than that takes."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Runs:
    """Some rows of one segment: those of [start, end) of each run, and no other.

    Args:
        starts: int64 of shape (r,).
        ends: int64 of shape (r,), same order.
    """

    vectors: npt.NDArray[np.float32]
    small: Quantised
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int((self.ends - self.starts).sum())


def nearest(runs: Sequence[Runs], query: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    """Return the places of all rows that could be among the k nearest, ascending; counted through the runs.

    Args:
        query: float32 of shape (d,).
        k: From 1.
    """
    total = sum(map(len, runs))
    if total <= k:
        return np.arange(total)
    compiled = _kernels(len(query), total)
    if compiled is None:
        about, error = products(runs, query)
        best = np.partition(about - error, total - k)[-k:]
        upper = about + error
    else:
        upper, best = _estimates(compiled, runs, query, k, total)
    # What is not a number compares with nothing, so that it stays.
    return np.flatnonzero(~(upper < best.min()))


def products(
    runs: Sequence[Runs], query: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return every row's inner product with the query as float32 gives it, and how far off it may be."""
    total = sum(map(len, runs))
    about, lengths = np.empty(total, np.float32), np.empty(total, np.float32)
    place = 0
    for each, starts, ends in _pieces(runs):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            span = slice(place, place + end - start)
            lengths[span] = each.small.lengths[start:end]
            np.dot(each.vectors[start:end], query, out=about[span])
            place = span.stop
    # Any order of adding d products of float32 stays within d half-units of the lengths' product.
    steps = (len(query) + 2) * HALF_ULP_F32
    length = float(np.linalg.norm(query.astype(np.float64)))
    return about.astype(np.float64), lengths.astype(np.float64) * (2 * steps * length) + 1e-30


def exact(runs: Sequence[Runs], query: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
    """Return every row's score as the fixed routine gives it, or None if the compiled loops are not loaded."""
    total = sum(map(len, runs))
    compiled = _kernels(len(query), total)
    if compiled is None:
        return None
    wide, scores = query.astype(np.float64), np.empty(total, np.float64)
    place = 0
    for each, starts, ends in _pieces(runs):
        place = compiled.exact(each.vectors, wide, starts, ends, scores, place)
    return scores


def load_kernels(dimensions: int) -> bool:
    """Load and compile the loops now; say whether there are any."""
    if importlib.util.find_spec("numba") is None:
        return False
    from . import vector_kernels

    _loaded[dimensions] = vector_kernels.kernels(dimensions)
    return True


_loaded: dict[int, Any] = {}
_state = threading.local()
_asked: set[int] = set()
_scanned: dict[int, int] = {}


def _kernels(dimensions: int, rows: int) -> Any:
    found = _loaded.get(dimensions)
    if found is None:
        _scanned[dimensions] = _scanned.get(dimensions, 0) + rows
        if _scanned[dimensions] > ROWS_BEFORE_COMPILING and dimensions not in _asked:
            _asked.add(dimensions)
            threading.Thread(target=load_kernels, args=(dimensions,), daemon=True).start()
    return found


def _estimates(
    compiled: Any, runs: Sequence[Runs], query: npt.NDArray[np.float32], k: int, total: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    small = quantised(query[None, :])
    codes = small.codes[0].astype(np.int16)
    scale, length, error = (float(each[0]) for each in (small.scales, small.lengths, small.errors))
    upper = _scratch(total)

    def best_of(pieces: Iterator[_Piece]) -> npt.NDArray[np.float64]:
        best = np.full(k, -np.inf)
        for place, each, starts, ends in pieces:
            held = each.small
            compiled.estimate(
                held.codes, held.scales, held.errors, held.lengths, codes, scale, length, error,
                starts, ends, upper, place, best,
            )  # fmt: skip
        return best

    found = np.concatenate(scan_threads.shared(_placed(runs, total), best_of))
    return upper, np.partition(found, len(found) - k)[-k:]


_Piece: TypeAlias = tuple[int, Runs, Rows, Rows]


def _placed(runs: Sequence[Runs], total: int) -> Iterator[_Piece]:
    """Yield pieces, each with the place of its first row."""
    place = 0
    for each, starts, ends in _cut(runs, ROWS_SHARED if total >= SHARED_FROM else ROWS_BETWEEN_LOOKS):
        yield place, each, starts, ends
        place += int((ends - starts).sum())


def _pieces(runs: Sequence[Runs]) -> Iterator[tuple[Runs, Rows, Rows]]:
    """Yield the starts and ends of rows to go through at once; between them the read may be stopped."""
    for piece in _cut(runs, ROWS_BETWEEN_LOOKS):
        stopping.check()
        yield piece


def _cut(runs: Sequence[Runs], at_once: int) -> Iterator[tuple[Runs, Rows, Rows]]:
    """Yield the starts and ends of rows of one segment, at most `at_once` together."""
    for each in runs:
        if len(each) <= at_once:
            yield each, each.starts, each.ends
            continue
        counts = -(-(each.ends - each.starts) // at_once)
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(each.starts, counts) + number * at_once
        ends = np.minimum(starts + at_once, np.repeat(each.ends, counts))
        before = np.cumsum(ends - starts)
        cuts = np.searchsorted(before, np.arange(at_once, before[-1], at_once))
        for some, theirs in zip(np.split(starts, cuts), np.split(ends, cuts), strict=True):
            yield each, some, theirs


def _scratch(size: int) -> npt.NDArray[np.float64]:
    """Return room that is used again: fresh memory costs more than what is written to it."""
    kept: npt.NDArray[np.float64] | None = getattr(_state, "room", None)
    if kept is None or len(kept) < size:
        kept = _state.room = np.empty(size + size // 4, np.float64)
    return kept[:size]
