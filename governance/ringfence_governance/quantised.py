"""Hold vectors in one byte a number, with a bound on what that loses for each row by itself.

Promise: scale, error and length of a row follow from the row alone, never
from its neighbours or the store; the bounds are never too small.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

LEVELS = 127
ROUNDED_UP = 1.000001
"""More than the rounding of a float64 and of a float32 can take off a bound."""
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Quantised:
    """Rows in one byte a number: row i is about `codes[i] * scales[i]`.

    Args:
        codes: int8 of shape (n, d).
        scales: float32 of shape (n,).
        errors: float32 of shape (n,), at least the length of what is lost.
        lengths: float32 of shape (n,), at least the length of the row, and of its codes scaled.
    """

    codes: npt.NDArray[np.int8] = field(repr=False)
    scales: npt.NDArray[np.float32] = field(repr=False)
    errors: npt.NDArray[np.float32] = field(repr=False)
    lengths: npt.NDArray[np.float32] = field(repr=False)


def quantised(rows: npt.NDArray[np.float32]) -> Quantised:
    """Return rows in one byte a number.

    Args:
        rows: float32 of shape (n, d); n may be 0. A row with a number that is not finite gets an endless error.
    """
    count = len(rows)
    made = Quantised(np.empty(rows.shape, np.int8), *(np.empty(count, np.float32) for _ in range(3)))
    for start in range(0, count, ROWS_AT_ONCE):
        _fill(made, rows, slice(start, min(start + ROWS_AT_ONCE, count)))
    return made


def _fill(made: Quantised, rows: npt.NDArray[np.float32], where: slice) -> None:
    wide = rows[where].astype(np.float64)
    finite = np.isfinite(wide).all(axis=1)
    wide[~finite] = 0.0
    scales = (np.abs(wide).max(axis=1, initial=0.0) / LEVELS).astype(np.float32)
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    codes = np.clip(np.rint(wide / scales[:, None]), -LEVELS, LEVELS)
    scaled = codes * scales[:, None].astype(np.float64)
    longest = np.maximum(_lengths(wide), _lengths(scaled))
    made.codes[where] = codes.astype(np.int8)
    made.scales[where] = scales
    made.errors[where] = np.where(finite, _lengths(wide - scaled) * ROUNDED_UP, np.inf)
    made.lengths[where] = np.where(finite, longest * ROUNDED_UP, np.inf)


def _lengths(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return found
