"""Order rows by score, and join two orders into one.

Promise: equal scores are ordered by id, so an order is a function of the
reader's rows alone.

Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RRF_CONSTANT = 60
"""The constant of the paper; larger flattens the difference between ranks."""
RANKS = 1000
"""So many of the first of each order have a rank when two are joined; what stands below in both is no hit."""

Scores = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]


def ranked(scores: Scores, ids: Ids, k: int | None = None) -> Places:
    """Return the places of the rows by falling score, equal scores by id.

    Args:
        scores: float64 of shape (n,), every one finite.
        ids: uint64 of shape (n, 2), pairs of numbers that are ordered as the ids are; no two alike.
        k: Only so many of the first; None for all.
    """
    falling = -scores
    if k is None or k >= len(scores):
        return _ordered(falling, ids)
    last = np.partition(falling, k - 1)[k - 1]
    among = np.flatnonzero(falling <= last)
    return among[_ordered(falling[among], ids[among])[:k]]


def fused(meaning: Scores, worded: Scores, holding: Places, ids: Ids) -> Scores:
    """Return each row's reciprocal-rank score over the first of both orders: by meaning first, then by words.

    Args:
        meaning: Scores of all rows.
        worded: Scores of the rows at `holding`, in its order.
        holding: The rows that hold a word of the question; the others have no rank by words.

    Returns:
        float64 of shape (n,); 0 for a row without a rank.
    """
    scores = np.zeros(len(meaning), np.float64)
    for order in (ranked(meaning, ids, RANKS), holding[ranked(worded, ids[holding], RANKS)]):
        scores[order] += reciprocal(len(order))
    return scores


def reciprocal(count: int) -> Scores:
    """Return what the first, second, … of `count` ranks are worth."""
    return 1.0 / np.arange(RRF_CONSTANT + 1, RRF_CONSTANT + 1 + count, dtype=np.float64)


def _ordered(falling: Scores, ids: Ids) -> Places:
    """Return the order of the rows; only those that are equal to a neighbour are compared by id."""
    order = np.argsort(falling)
    found = falling[order]
    equal = found[1:] == found[:-1]
    if equal.any():
        tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
        rows = order[tied]
        order[tied] = rows[np.lexsort((ids[rows, 1], ids[rows, 0], falling[rows]))]
    return order
