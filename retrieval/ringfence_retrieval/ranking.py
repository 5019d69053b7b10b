"""Order rows by score, and join two orders into one.

Promise: equal scores are ordered by id, so an order is a function of the
reader's rows alone.

Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RRF_CONSTANT = 60
"""The constant of the paper; larger flattens the difference between ranks."""


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Return the ids by falling score, equal scores by id."""
    return sorted(scores, key=lambda row: (-scores[row], row))


def fused(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return each id's reciprocal-rank score over all rankings, added in their order."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RRF_CONSTANT + rank)
    return scores
