"""Find the passages that answer a question by a store's indexes, when the readable rows do not fit into memory.

Promise: a score is what the exact plans would give the row, by meaning and by
words; by words no row is missed, nor of those that hold a phrase, of which
each that holds its words is opened. By meaning one may be; joined, the ranks
behind it are then one less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringfence_governance.index_reading import Addresses, Held, IndexedRows
from ringfence_governance.readable_rows import ReadableRows

from . import ranking, syntax
from .candidates import Embed, embedded, exact_scores
from .plans import Plan
from .questions import Question
from .ranking import Ids, Places, Scores, fused, ranked, reciprocal
from .syntax import Wanted
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
        asked = syntax.wanted(question.written, question.language)
        if asked.phrases:
            return by_phrases(rows, question, asked, plan, embed)
        worded, holding = by_words(rows, plan.rows, asked.words, deep)
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
    held = {word: rows.holding(word) for word in sorted(set(words))}
    every, atoms, scores = _scored(rows, readable, held)
    # Of rows that are equal the id decides: so the ids of all that stand as high as the last are needed.
    among = np.arange(len(every))
    if k < len(every):
        among = np.flatnonzero(scores >= np.partition(scores, len(every) - k)[len(every) - k])
    return _first(rows.ids(every[among], atoms[among]), scores[among], k), len(every)


def by_phrases(
    rows: IndexedRows, question: Question, asked: Wanted, plan: Plan, embed: Embed
) -> tuple[Order, int]:
    """Return the best rows that hold some phrases, and how many do; those that hold all their words are opened.

    Args:
        embed: Called once if the question is by meaning too.
    """
    held = {word: rows.holding(word) for word in asked.words}
    every, atoms, worded = _scored(rows, plan.rows, held)
    among = every
    for word in sorted({word for phrase in asked.phrases for word in phrase}):
        among = np.intersect1d(among, held[word].addresses, assume_unique=True)
    at = np.searchsorted(every, among)
    query = embedded(embed, question.text, rows.dimensions) if question.mode == "hybrid" else None
    ids, meaning, kept = [np.zeros((0, 2), np.uint64)], [np.zeros(0)], [np.zeros(0, np.intp)]
    for opened, places, here in rows.opened(among, atoms[at]):
        found = _holding_all(opened, asked.phrases)
        ids.append(opened.ids(found))
        kept.append(at[here][np.argsort(places)[found]])
        if query is not None:
            meaning.append(exact_scores(opened, query, found))
    found_ids, scores = np.concatenate(ids), worded[np.concatenate(kept)]
    matching = len(scores)
    if query is not None:
        scores = fused(np.concatenate(meaning), scores, np.arange(matching), found_ids)
        found_ids, scores = found_ids[scores > 0.0], scores[scores > 0.0]
    return _first(found_ids, scores, plan.k + 1), matching


def _holding_all(rows: ReadableRows, phrases: Sequence[Sequence[str]]) -> Places:
    found = np.arange(len(rows))
    for phrase in phrases:
        found = rows.holding_run(phrase, found)
    return found


def _scored(
    rows: IndexedRows, readable: int, held: Mapping[str, Held]
) -> tuple[Addresses, npt.NDArray[np.int32], Scores]:
    """Return address, atom and score of every row that holds a word.

    Args:
        held: Which rows hold each word.
    """
    scoring = WordScores(list(held))
    every = np.unique(np.concatenate([each.addresses for each in held.values()] or [np.zeros(0, np.uint64)]))
    atoms = np.zeros(len(every), np.int32)
    for word, each in held.items():
        places = np.searchsorted(every, each.addresses)
        atoms[places] = each.atoms
        scoring.add_found(word, places, each.counts, each.lengths)
    return every, atoms, scoring.scores_among(readable, rows.words_total(), len(every))


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
