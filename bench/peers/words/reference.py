"""Hold Ringfence's answers to a plain reference over the reader's rows alone.

Promise: BM25 is written down here anew, and shares nothing with the product; rows of equal score may stand in any
order, so no row's id is asked for. A wrong answer ends the run.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, with Lucene's idf;
Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .word_sets import Asked, WordSet

K1, B = 1.2, 0.75
RRF, RANKS = 60, 1000
NEAR = 1e-9
"""Sums formed in another order differ by less."""
Scores = npt.NDArray[np.float64]


class Wrong(Exception):
    """An answer is not what it would be if the reader's rows were all there are. Its text says which."""


class Reference:
    """The right answers for one reader."""

    def __init__(self, of: WordSet, cell: int) -> None:
        self._of, self._own = of, np.flatnonzero(of.may_read(cell))
        self._lengths = of.lengths[self._own]
        self._vectors = of.vectors[self._own].astype(np.float64)

    def check(
        self, mode: str, asked: Asked, rows: Sequence[int], scores: Sequence[float], depth: int
    ) -> None:
        """Look whether an answer is right.

        Args:
            mode: `text` or `hybrid`.
            depth: How many rows were asked for.

        Raises:
            Wrong: It is not.
        """
        low, high = self.by_words(asked) if mode == "text" else self.by_both(asked)
        wanted, places = min(depth, int((high > 0).sum())), np.searchsorted(self._own, rows)
        wrong = None
        if not set(rows) <= set(self._own.tolist()) or len(set(rows)) != len(rows):
            wrong = "a row that may not be read, or one twice"
        elif len(rows) != wanted:
            wrong = f"{len(rows)} rows; expected {wanted}"
        elif list(scores) != sorted(scores, reverse=True):
            wrong = "an order that is not that of the scores"
        elif rows:
            found, others = np.asarray(scores), np.delete(low, places)
            if (found < low[places] - NEAR).any() or (found > high[places] + NEAR).any():
                wrong = "a score that is not the reference's"
            elif len(others) and others.max() > found[-1] + NEAR:
                wrong = "none of a row that scores more than the last"
        if wrong is not None:
            raise Wrong(f"Ringfence, {mode}, {asked.text!r}: found {wrong}")

    def by_words(self, asked: Asked) -> tuple[Scores, Scores]:
        """Return the least and the most that each of his rows may score: they are the same."""
        scores = np.zeros(len(self._own))
        average = self._lengths.mean()
        for word in set(asked.text.split()):
            rows, counts = self._of.holding(word)
            mine = np.isin(rows, self._own)
            at, times = np.searchsorted(self._own, rows[mine]), counts[mine]
            idf = np.log1p((len(self._own) - len(at) + 0.5) / (len(at) + 0.5))
            scores[at] += idf * times * (K1 + 1) / (times + K1 * (1 - B + B * self._lengths[at] / average))
        return scores, scores

    def by_both(self, asked: Asked) -> tuple[Scores, Scores]:
        """Return the least and the most that each of his rows may score, as rows of equal score are put in order."""
        words, _ = self.by_words(asked)
        meaning = self._vectors @ asked.vector.astype(np.float64)
        low, high = _worth(meaning)
        held = np.flatnonzero(words > 0)
        least, most = _worth(words[held])
        low[held] += least
        high[held] += most
        return low, high


def _worth(scores: Scores) -> tuple[Scores, Scores]:
    """Return what the last and the first rank that each row may have are worth."""
    ascending = np.sort(scores)
    first = len(scores) - np.searchsorted(ascending, scores + NEAR, side="right") + 1
    last = len(scores) - np.searchsorted(ascending, scores - NEAR, side="left")
    low, high = (np.where(rank <= RANKS, 1.0 / (RRF + rank), 0.0) for rank in (last, first))
    return low, high
