"""Find the passages that answer a question by a store's indexes, when the readable rows do not fit into memory.

Promise: a score is what the exact plans would give the row, by meaning and by
words; by words no row is missed. By meaning one may be; joined, the ranks
behind it are then one less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringfence_governance.index_reading import IndexedRows
from ringfence_governance.terms import terms

from . import ranking
from .candidates import Embed, embedded, exact_scores
from .plans import Plan
from .questions import Question
from .ranking import Ids, Scores, ranked, reciprocal
from .text_scoring import WordScores


@dataclass(frozen=True, slots=True)
class Order:
    """Rows by falling score, equal scores by id.

    Args:
        ids: uint64 of shape (n, 2).
        scores: float64 of shape (n,).
    """

    ids: Ids
    scores: Scores

    @classmethod
    def empty(cls) -> Order:
        """Return that of no row."""
        return cls(np.zeros((0, 2), np.uint64), np.zeros(0, np.float64))


def answered(rows: IndexedRows, question: Question, plan: Plan, embed: Embed) -> tuple[Order, int]:
    """Return the best rows for a question, one more than its plan wants if there is one, and how many match.

    Args:
        question: One that an index can answer.
        embed: Called once, only if the mode needs it.
    """
    wanted = plan.k + 1
    deep = ranking.RANKS if question.mode == "hybrid" else wanted
    worded, holding = Order.empty(), 0
    if question.mode != "vector":
        worded, holding = by_words(rows, plan.rows, terms(question.text, question.language), deep)
    if question.mode == "text":
        return worded, holding
    query = embedded(embed, question.text, rows.dimensions)
    meaning = by_meaning(rows, query, deep)
    return (meaning if question.mode == "vector" else joined(meaning, worded, wanted)), plan.rows


def by_meaning(rows: IndexedRows, query: npt.NDArray[np.float32], k: int) -> Order:
    """Return the `k` rows nearest to a vector, of those the index finds."""
    found = rows.nearest(query, k)
    return _first(found.ids(np.arange(len(found))), exact_scores(found, query), k)


def by_words(rows: IndexedRows, readable: int, words: Sequence[str], k: int) -> tuple[Order, int]:
    """Return the `k` rows that answer to some words best, and how many hold one.

    Args:
        readable: How many rows are readable.
    """
    scoring = WordScores(words)
    held = {word: rows.holding(word) for word in scoring.words}
    every = np.unique(np.concatenate([each.addresses for each in held.values()] or [np.zeros(0, np.uint64)]))
    atoms = np.zeros(len(every), np.int32)
    for word, each in held.items():
        places = np.searchsorted(every, each.addresses)
        atoms[places] = each.atoms
        scoring.add_found(word, places, each.counts, each.lengths)
    scores = scoring.scores_among(readable, rows.words_total(), len(every))
    # Of rows that are equal the id decides: so the ids of all that stand as high as the last are needed.
    among = np.arange(len(every))
    if k < len(every):
        among = np.flatnonzero(scores >= np.partition(scores, len(every) - k)[len(every) - k])
    return _first(rows.ids(every[among], atoms[among]), scores[among], k), len(every)


def joined(meaning: Order, worded: Order, k: int) -> Order:
    """Return the `k` best by reciprocal rank in both orders; see :func:`ranking.fused`."""
    pairs = np.concatenate([meaning.ids, worded.ids])
    ids, places = np.unique(pairs, axis=0, return_inverse=True)
    places = places.reshape(-1)
    scores = np.zeros(len(ids), np.float64)
    scores[places[: len(meaning.ids)]] += reciprocal(len(meaning.ids))
    scores[places[len(meaning.ids) :]] += reciprocal(len(worded.ids))
    return _first(ids, scores, k)


def _first(ids: Ids, scores: Scores, k: int) -> Order:
    best = ranked(scores, ids, k)
    return Order(ids[best], scores[best])
