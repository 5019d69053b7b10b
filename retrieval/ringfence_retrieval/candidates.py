"""Look at a reader's rows, and score those that may be among the hits.

Promise: a filter or a phrase takes rows away and changes no score of the
others: what words weigh is counted over all readable rows. Only by both orders
joined a score is a row's rank among those that match.

Source: docs/decisions/0016-questions-about-metadata.md, 0026-phrases-and-prefixes.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ringfence_governance import stopping
from ringfence_governance.errors import InvalidInput
from ringfence_governance.readable_rows import ReadableRows

from . import filters, ranking, syntax
from .by_document import SeenDocuments
from .filters import Filter
from .plans import Plan, every_row_max
from .questions import Question
from .ranking import Places, fused
from .scoring import ROWS_PER_BLOCK, cosine_scores
from .text_scoring import WordScores

Embed = Callable[[str], npt.NDArray[np.float32]]
"""Turns a question into a vector of the store's model, float32 of shape (d,), length 1."""


class Candidates:
    """What was seen of a reader's rows so far: a score for each that may be among the hits.

    Attributes:
        question, plan: What they are looked at for.
        matching: How many match: pass the filter, hold the phrases and, by words, one of the question.
        ids: Of the rows that may be among the hits, pass by pass.
        documents: Of the rows that match, if they are grouped or counted.
        only: The rows of the only pass, and which of them `ids` are of; None if there were several.
    """

    def __init__(self, question: Question, plan: Plan, embed: Embed) -> None:
        self.question, self.plan, self._embed = question, plan, embed
        self._where = question.filter
        wanted = syntax.wanted(question.written, question.language) if question.mode != "vector" else None
        self._words = WordScores(wanted.words, wanted.prefixes) if wanted is not None else None
        self._phrases = wanted.phrases if wanted is not None else ()
        self._query: npt.NDArray[np.float32] | None = None
        self._meaning: list[npt.NDArray[np.float64]] = []
        self.matching = 0
        grouped_or_counted = question.group_by or question.facets
        self.documents = SeenDocuments(question.facets) if grouped_or_counted else None
        self.ids: list[npt.NDArray[np.uint64]] = []
        self.only: tuple[ReadableRows, Places] | None = None

    def at(self, rows: ReadableRows) -> None:
        """Look at the rows of one pass."""
        stopping.check()
        among = None if self._where is None else _passing(rows, self._where)
        for phrase in self._phrases:
            among = rows.holding_run(phrase, among)
        kept = np.arange(len(rows)) if among is None else among
        if self._words is not None:
            kept = self._words.add(rows, every=self.question.mode == "hybrid", among=among)
        self.matching += len(kept)
        if self.documents is not None:
            self.documents.add(rows, kept)
        if self.question.mode != "text":
            if self._query is None:
                self._query = embedded(self._embed, self.question.text, rows.dimensions)
            if self.plan.name == "estimate first":
                # One more than is wanted: whether there is a next page.
                kept = rows.nearest(self._query, self.plan.k + 1, among)
                self._meaning.append(exact_scores(rows, self._query, kept))
            elif self.question.mode == "hybrid":
                self._meaning.append(_first_scores(rows, self._query, kept, among, self.plan))
            else:
                self._meaning.append(exact_scores(rows, self._query, among))
        self.only = None if self.ids else (rows, kept)
        self.ids.append(rows.ids(kept))

    def scores(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint64]]:
        """Return the score of each row that may be among the hits, and its id."""
        if not self.ids:
            return np.zeros(0, np.float64), np.zeros((0, 2), np.uint64)
        ids = np.concatenate(self.ids)
        worded = self._words.scores() if self._words else None
        if self.question.mode == "text" and worded is not None:
            return worded, ids
        meaning = np.concatenate(self._meaning)
        if worded is None:
            return meaning, ids
        held = np.flatnonzero(worded > 0.0)
        return fused(meaning, worded[held], held, ids), ids


def embedded(embed: Embed, text: str, dimensions: int) -> npt.NDArray[np.float32]:
    """Return a question's vector.

    Raises:
        InvalidInput: It is not of the store's model, or holds what is no number.
    """
    # What a model calls is none of this read's time.
    with stopping.within(None):
        query = embed(text)
    stopping.check()
    if query.shape != (dimensions,):
        raise InvalidInput(
            f"query vector: found shape {query.shape}; expected {(dimensions,)}, the store's model"
        )
    if not np.isfinite(query).all():
        raise InvalidInput("query vector: found a number that is not finite; expected a vector of length 1")
    return query


def exact_scores(
    rows: ReadableRows, query: npt.NDArray[np.float32], places: Places | None = None
) -> npt.NDArray[np.float64]:
    """Return the scores of some rows, or of all; compiled or not, they are those of the fixed routine."""
    found = rows.scores(query, places)
    if found is not None:
        return found
    wanted = np.arange(len(rows)) if places is None else places
    scores = np.empty(len(wanted), np.float64)
    for start in range(0, len(wanted), ROWS_PER_BLOCK):
        stopping.check()
        here = slice(start, start + ROWS_PER_BLOCK)
        scores[here] = cosine_scores(rows.vectors(wanted[here]), query)
    return scores


def _first_scores(
    rows: ReadableRows, query: npt.NDArray[np.float32], kept: Places, among: Places | None, plan: Plan
) -> npt.NDArray[np.float64]:
    """Return the scores of those rows that can have a rank by meaning, and for all others one below every score."""
    if len(kept) <= every_row_max(ranking.RANKS, plan.outright):
        return exact_scores(rows, query, among)
    scores = np.full(len(kept), -np.inf)
    first = rows.nearest(query, ranking.RANKS, among)
    scores[np.searchsorted(kept, first)] = exact_scores(rows, query, first)
    return scores


def _passing(rows: ReadableRows, where: Filter) -> Places:
    """Return the rows whose documents pass a filter."""
    columns, says = filters.passing(where)
    documents = rows.documents(columns)
    return np.flatnonzero(says(documents.facts)[documents.of])
