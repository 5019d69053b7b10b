"""Score rows against a query, each by itself.

Promise: a row's score depends on that row and the query alone, to the last
bit: not on the block it stands in, its neighbours, or how many rows there
are. Products are formed in float64, where they are exact, and added in one
fixed order along the row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ROWS_PER_BLOCK = 4096
"""Rows scored at once; bounds memory, and may not change any score."""


def cosine_scores(
    vectors: npt.NDArray[np.float32], query: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Return the inner product of each row with the query; the cosine, as rows are of length 1.

    Args:
        vectors: float32 of shape (n, d); n may be 0.
        query: float32 of shape (d,).

    Returns:
        float64 of shape (n,), row i bit for bit the same whatever the other rows are.
    """
    scores = np.empty(len(vectors), np.float64)
    wide = query.astype(np.float64)
    for start in range(0, len(vectors), ROWS_PER_BLOCK):
        block = vectors[start : start + ROWS_PER_BLOCK].astype(np.float64)
        block *= wide
        scores[start : start + len(block)] = row_sums(block)
    return scores


def row_sums(block: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sum of each row, halving it until one column is left.

    Each step adds the right half to the left, element by element, so the order
    of additions is the same for every row, in every block.
    """
    width = block.shape[1]
    if width == 0:
        return np.zeros(len(block), np.float64)
    while width > 1:
        half = (width + 1) // 2
        block[:, : width - half] += block[:, half:width]
        width = half
    return block[:, 0].copy()
