"""Compiled inner loops over resident vectors; the only module that imports numba.

Promise: nothing is touched but the runs of rows that are given. What the
estimating loop returns are estimates with bounds; what the exact one returns
is what the fixed routine of the search gives, to the last bit.
Compiled code is kept in a folder that only its owner may enter, or not at all:
whoever could write there would run code here.
"""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np


@dataclass(frozen=True, slots=True)
class Kernels:
    """The loops for one length of vectors.

    Args:
        estimate: (codes, scales, errors, lengths, query codes, query scale, query length, query error,
            starts, ends, upper out, first, best lower bounds as a heap, the weakest first) -> next place in `upper`.
        exact: (vectors, query in float64, starts, ends, scores out, first) -> next place in `out`; bit for bit
            what the fixed routine gives.
    """

    estimate: Callable[..., int]
    exact: Callable[..., int]


@numba.njit(nogil=True, boundscheck=False)
def _replace_weakest(best: Any, bound: Any) -> None:
    """Put a bound in the place of the weakest, which is the first of a heap.

    Of a thousand that are wanted, looking at each for every row that comes among them takes ten times the scan.
    """
    kept, hole, child = len(best), 0, 1
    while child < kept:
        if child + 1 < kept and best[child + 1] < best[child]:
            child += 1
        if best[child] >= bound:
            break
        best[hole] = best[child]
        hole, child = child, 2 * child + 1
    best[hole] = bound


@functools.cache
def kernels(dimensions: int) -> Kernels:
    """Return the loops for vectors of one length, compiled for it: a fixed count of steps is several times faster."""
    keep = _private_folder() is not None
    compiled = functools.partial(numba.njit, nogil=True, boundscheck=False, cache=keep)
    size = dimensions
    infinity = -np.inf

    @compiled()
    def estimate(
        codes: Any, scales: Any, errors: Any, lengths: Any, query: Any, scale: Any, length: Any, error: Any,
        starts: Any, ends: Any, upper: Any, first: Any, best: Any,
    ) -> Any:  # fmt: skip
        place = first
        weakest = best[0]
        for run in range(len(starts)):
            for row in range(starts[run], ends[run]):
                total = np.int32(0)
                for step in range(size):
                    # Narrowed at each step, or numba counts in 64 bits, which takes twice the time.
                    total = np.int32(total + np.int32(np.int32(codes[row, step]) * np.int32(query[step])))
                about = np.float64(total) * np.float64(scales[row]) * scale
                slack = (
                    np.float64(errors[row]) * length
                    + np.float64(lengths[row]) * error
                    + 1e-9 * np.float64(lengths[row]) * length
                    + 1e-30
                )
                upper[place] = about + slack
                place += 1
                lower = about - slack
                if lower > weakest:
                    _replace_weakest(best, lower)
                    weakest = best[0]
        return place

    @compiled()
    def exact(vectors: Any, query: Any, starts: Any, ends: Any, out: Any, first: Any) -> Any:
        # The additions of the fixed routine, in its order; the products are exact in float64, so that a machine
        # that multiplies and adds in one step gives the same.
        half = (size + 1) // 2
        room = np.empty(half, np.float64)
        place = first
        for run in range(len(starts)):
            for row in range(starts[run], ends[run]):
                room[half - 1] = np.float64(vectors[row, half - 1]) * query[half - 1]
                for step in range(size - half):
                    room[step] = (
                        np.float64(vectors[row, step]) * query[step]
                        + np.float64(vectors[row, step + half]) * query[step + half]
                    )
                width = half
                while width > 1:
                    kept = (width + 1) // 2
                    for step in range(width - kept):
                        room[step] += room[step + kept]
                    width = kept
                out[place] = room[0]
                place += 1
        return place

    made = Kernels(estimate, exact)
    _warm(made, size, infinity)
    return made


def _warm(made: Kernels, size: int, lowest: float) -> None:
    """Compile now, and not at somebody's question."""
    none, one = np.zeros(0, np.int64), np.zeros((1, size), np.float32)
    few = np.zeros(1, np.float32)
    made.estimate(
        one.astype(np.int8), few, few, few, np.zeros(size, np.int16), 1.0, 1.0, 1.0, none, none,
        np.zeros(1), 0, np.full(1, lowest),
    )  # fmt: skip
    made.exact(one, np.zeros(size), none, none, np.zeros(1), 0)


@functools.cache
def _private_folder() -> Path | None:
    """Return the folder for compiled code, or None if there is none that is the user's alone."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "ringfence" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not private:
        return None
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return folder
