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

K1 = 1.2
B = 0.75


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
