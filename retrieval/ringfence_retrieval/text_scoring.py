"""Score text by BM25 whose statistics are those of the readable rows alone.

Promise: the number of rows, their average length and each term's document
frequency are counted over the rows given, which are the reader's own; every
row that holds a query term is a candidate. All words that a prefix covers
count as one: how often a row holds one, and how many rows do.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25
and Beyond, 2009; the non-negative idf of Lucene.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringfence_governance import stopping
from ringfence_governance.prefixes import Prefix
from ringfence_governance.readable_rows import ReadableRows

Places = npt.NDArray[np.intp]
K1 = 1.2
B = 0.75


class WordScores:
    """Scores rows by the word lists they are resident with; to the last bit what :func:`bm25_scores` gives.

    Args:
        query: Terms of the query; a repeated one counts once.
        prefixes: Those of the query, each with another text.
    """

    def __init__(self, query: Sequence[str], prefixes: Sequence[Prefix] = ()) -> None:
        # No word holds an asterisk.
        self._prefixes = {f"{each.text}*": each for each in prefixes}
        self._wanted = sorted({*query, *self._prefixes})
        self._rows = self._words = self._kept = 0
        self._found: dict[str, list[_Found]] = {term: [] for term in self._wanted}
        self._holding = dict.fromkeys(self._wanted, 0)

    def add(self, rows: ReadableRows, *, every: bool, among: Places | None = None) -> Places:
        """Count some readable rows, and find those that hold a term.

        Args:
            every: Keep a place for each row, in their order; else only for those that hold a term.
            among: Keep a place for these rows alone, ascending; None for all. All are counted in any case, so that
                no score depends on it.

        Returns:
            The rows for which a place is kept, ascending.
        """
        held = {term: self._held(rows, term) for term in self._wanted}
        if every:
            kept = np.arange(len(rows)) if among is None else among
        else:
            kept = _together([places for places, _ in held.values()])
            kept = kept if among is None else _both(among, kept)
        for term, (places, counts) in held.items():
            self._holding[term] += len(places)
            if among is not None:
                stays = _are_in(places, kept)
                places, counts = places[stays], counts[stays]
            here = places if every and among is None else np.searchsorted(kept, places)
            self._found[term].append(_Found(here + self._kept, counts, rows.lengths(places)))
        self._rows += len(rows)
        self._words += rows.words_total
        self._kept += len(kept)
        return kept

    def _held(self, rows: ReadableRows, term: str) -> tuple[Places, npt.NDArray[np.int32]]:
        stopping.check()
        prefix = self._prefixes.get(term)
        return rows.holding(term) if prefix is None else rows.beginning(prefix)

    def add_found(
        self, term: str, places: Places, counts: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32]
    ) -> None:
        """Say which rows hold a term, how often each does, and how many words each has.

        Args:
            places: Of a numbering of all rows that hold any of the terms.
        """
        self._holding[term] += len(places)
        self._found[term].append(_Found(places, counts, lengths))

    def scores_among(self, rows: int, words: int, kept: int) -> npt.NDArray[np.float64]:
        """Return the scores of what :meth:`add_found` was told.

        Args:
            rows: How many rows are readable.
            words: How many words they hold together.
            kept: How many of them hold a term.
        """
        self._rows, self._words, self._kept = rows, words, kept
        return self.scores()

    def scores(self) -> npt.NDArray[np.float64]:
        """Return the score of every row a place was kept for; 0.0 exactly for one that holds no term."""
        made = np.zeros(self._kept, np.float64)
        if not self._words:
            return made
        average = self._words / self._rows
        for term in self._wanted:
            idf = _idf(self._rows, self._holding[term])
            for found in self._found[term]:
                norm = K1 * (1.0 - B + B * found.lengths / average)
                made[found.places] += idf * found.counts * (K1 + 1.0) / (found.counts + norm)
        return made


@dataclass(frozen=True, slots=True)
class _Found:
    """Which rows hold one term, how often each does, and how many words each has."""

    places: Places
    counts: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]


def _together(places: Sequence[Places]) -> Places:
    """Return all places of some lists that ascend, each once, ascending."""
    if not places:
        return np.zeros(0, np.intp)
    # Stable: it merges what is in order already.
    every = np.sort(np.concatenate(places), kind="stable")
    first = np.ones(len(every), np.bool_)
    np.not_equal(every[1:], every[:-1], out=first[1:])
    return every[first]


def _both(some: Places, others: Places) -> Places:
    return others[_are_in(others, some)]


def _are_in(places: Places, among: Places) -> npt.NDArray[np.bool_]:
    """Return which places are among others that ascend."""
    if not len(among):
        return np.zeros(len(places), np.bool_)
    at = np.minimum(np.searchsorted(among, places), len(among) - 1)
    found: npt.NDArray[np.bool_] = among[at] == places
    return found


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
    # `found` keeps the sorted order of the query's terms, so the order of addition is fixed. Not `sum`, which
    # from Python 3.12 on adds in another way.
    norm = K1 * (1.0 - B + B * length / average)
    total = 0.0
    for term, count in found.items():
        total += idf[term] * count * (K1 + 1.0) / (count + norm)
    return total
