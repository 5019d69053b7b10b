"""Score text by BM25 whose statistics are those of the readable rows alone.

Promise: the number of rows, their average length and each term's document
frequency are counted over the rows given, which are the reader's own; every
row that holds a query term is a candidate.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25
and Beyond, 2009; the non-negative idf of Lucene.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ringfence_governance.readable_rows import ReadableRows

K1 = 1.2
B = 0.75


class WordScores:
    """Scores rows by the word lists they are resident with; to the last bit what :func:`bm25_scores` gives.

    Args:
        query: Terms of the query; a repeated one counts once.
    """

    def __init__(self, query: Sequence[str]) -> None:
        self._wanted = sorted(set(query))
        self._holding = dict.fromkeys(self._wanted, 0)
        self._rows = self._words = 0
        self._found: dict[str, tuple[int, dict[str, int]]] = {}

    def add(self, rows: ReadableRows) -> None:
        """Count some readable rows, and find those that hold a term."""
        self._rows += len(rows)
        self._words += rows.words_total
        by_place: dict[int, dict[str, int]] = {}
        for term in self._wanted:
            places, counts = rows.holding(term)
            self._holding[term] += len(places)
            for place, count in zip(places.tolist(), counts.tolist(), strict=True):
                by_place.setdefault(place, {})[term] = count
        places = np.fromiter(by_place, np.intp, len(by_place))
        held = zip(rows.text_ids(places), rows.lengths(places).tolist(), by_place.values(), strict=True)
        self._found.update({row: (length, found) for row, length, found in held})

    def scores(self) -> dict[str, float]:
        """Return the score of every row that holds a term."""
        if not self._found:
            return {}
        average = self._words / self._rows
        idf = {term: _idf(self._rows, holding) for term, holding in self._holding.items()}
        made = {row: _score(found, length, average, idf) for row, (length, found) in self._found.items()}
        return {row: score for row, score in made.items() if score > 0.0}


def bm25_scores(rows: Sequence[Sequence[str]], query: Sequence[str]) -> list[float]:
    """Return each row's score; 0.0 exactly for a row that holds no term of the query.

    Args:
        rows: The terms of each readable row, in order, repeated as they occur.
        query: Terms of the query; a repeated one counts once.
    """
    wanted = sorted(set(query))
    total = sum(map(len, rows))
    if not wanted or not total:
        return [0.0] * len(rows)
    counts = [_counts(terms, wanted) for terms in rows]
    average = total / len(rows)
    idf = {term: _idf(len(rows), sum(term in found for found in counts)) for term in wanted}
    return [_score(found, len(terms), average, idf) for found, terms in zip(counts, rows, strict=True)]


def _counts(terms: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    found = Counter(terms)
    return {term: found[term] for term in wanted if term in found}


def _idf(rows: int, holding: int) -> float:
    return math.log(1.0 + (rows - holding + 0.5) / (holding + 0.5))


def _score(found: dict[str, int], length: int, average: float, idf: dict[str, float]) -> float:
    # `found` keeps the sorted order of the query's terms, so the order of addition is fixed.
    norm = K1 * (1.0 - B + B * length / average)
    return math.fsum(idf[term] * count * (K1 + 1.0) / (count + norm) for term, count in found.items())
