"""Find the readable passages that answer a question, exactly.

Promise: every readable row is looked at and no other; ids, order and scores
are what they would be if the rest did not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from ringfence_governance.block_opening import Passage
from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput, StoreCorrupt
from ringfence_governance.readable_rows import ReadableRows, SealedPassage
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.segments import text_id
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms

from .plans import Mode, Plan, planned
from .ranking import Places, fused, ranked
from .results import Hit, SearchResult, Source
from .scoring import ROWS_PER_BLOCK, cosine_scores
from .text_scoring import WordScores

MODES = get_args(Mode)
K_MAX = 1000
QUERY_CHARACTERS_MAX = 10_000

Embed = Callable[[str], npt.NDArray[np.float32]]
"""Turns a question into a vector of the store's model, float32 of shape (d,), length 1."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        text: Not blank.
        k: How many hits at most, 1 to 1000.
        mode: By meaning, by words, or both.
        language: Whose stems the words are reduced to.
        explain: Whether the result says how it was found.

    Raises:
        InvalidInput: One of them is not as said.
    """

    text: str
    k: int = 10
    mode: Mode = "hybrid"
    language: str = "english"
    explain: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise InvalidInput("query: found an empty text; expected a question or some words")
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise InvalidInput("query: found a lone surrogate, which is no character; expected Unicode text")
        if len(self.text) > QUERY_CHARACTERS_MAX:
            raise InvalidInput(
                f"query: found {len(self.text)} characters; expected at most {QUERY_CHARACTERS_MAX}"
            )
        if type(self.k) is not int or not 1 <= self.k <= K_MAX:
            raise InvalidInput(f"k: found {self.k!r}; expected an integer from 1 to {K_MAX}")
        if self.mode not in MODES:
            raise InvalidInput(f"mode: found {self.mode!r}; expected one of {', '.join(MODES)}")


def search(door: Door, subject: Subject, question: Question, embed: Embed) -> SearchResult:
    """Return the best readable passages for a question.

    Args:
        embed: Called once, only if the mode needs it and something is readable.

    Raises:
        AuditUnavailable: The record could not be made durable; no result leaves.
    """

    def work(reader: GrantedReader) -> Answer[SearchResult]:
        plan = planned(question.mode, question.k, reader.count("chunks"))
        found = _found(reader.passes(), question, plan, embed) if plan.rows else _Found([], [])
        passages = reader.passages(found.rows)
        return Answer(
            rows=[(each.chunk_id, each.atom) for each in passages],
            documents=[each.document_id for each in passages],
            finish=lambda as_of: SearchResult(
                _hits(reader, passages, found.scores),
                plan.rows,
                True,
                as_of,
                plan.to_mapping() if question.explain else None,
            ),
            plan=f"exact {question.mode}, k={question.k}, {plan.name}",
            counts={"hits": len(passages), "readable": plan.rows},
        )

    return door.read(subject, "search", work, query=question.text)


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows that answer a question, best first: as they were resident, or their ids; and their scores."""

    rows: Sequence[SealedPassage | str]
    scores: Sequence[float]


def _found(passes: Iterator[ReadableRows], question: Question, plan: Plan, embed: Embed) -> _Found:
    looked = _Looked(question, plan, embed)
    for rows in passes:
        looked.at(rows)
    if looked.rows != plan.rows:
        raise StoreCorrupt(f"found {looked.rows} readable rows; expected {plan.rows}, as they are counted")
    scores, ids = looked.scores(), np.concatenate(looked.ids)
    if question.mode == "text":
        held = np.flatnonzero(scores > 0.0)
        best = held[ranked(scores[held], ids[held], question.k)]
    else:
        best = ranked(scores, ids, question.k)
    # If all rows are still there, the hits' own bytes need not be read from the tables again.
    only = looked.only
    found = [only[0].sealed(int(only[1][place])) if only else text_id(ids[place]) for place in best.tolist()]
    return _Found(found, scores[best].tolist())


class _Looked:
    """What was seen of a reader's rows so far: a score for each that may be among the hits.

    Attributes:
        rows: How many were looked at.
        ids: Of the rows that may be among the hits, pass by pass.
        only: The rows of the only pass, and which of them `ids` are of; None if there were several.
    """

    def __init__(self, question: Question, plan: Plan, embed: Embed) -> None:
        self._question, self._plan, self._embed = question, plan, embed
        self._words = (
            WordScores(terms(question.text, question.language)) if question.mode != "vector" else None
        )
        self._query: npt.NDArray[np.float32] | None = None
        self._meaning: list[npt.NDArray[np.float64]] = []
        self.rows = 0
        self.ids: list[npt.NDArray[np.uint64]] = []
        self.only: tuple[ReadableRows, Places] | None = None

    def at(self, rows: ReadableRows) -> None:
        """Look at the rows of one pass."""
        kept = np.arange(len(rows))
        if self._words is not None:
            kept = self._words.add(rows, every=self._question.mode == "hybrid")
        if self._question.mode != "text":
            if self._query is None:
                self._query = _checked(self._embed(self._question.text), rows.dimensions)
            if self._plan.name == "estimate first":
                kept = rows.nearest(self._query, self._plan.k)
                self._meaning.append(_scores(rows, self._query, kept))
            else:
                self._meaning.append(_scores(rows, self._query))
        self.only = None if self.ids else (rows, kept)
        self.rows += len(rows)
        self.ids.append(rows.ids(kept))

    def scores(self) -> npt.NDArray[np.float64]:
        """Return the score of each row in `ids`; by words, 0.0 for one that holds none."""
        worded = self._words.scores() if self._words else None
        if self._question.mode == "text" and worded is not None:
            return worded
        meaning = np.concatenate(self._meaning)
        if worded is None:
            return meaning
        held = np.flatnonzero(worded > 0.0)
        return fused(meaning, worded[held], held, np.concatenate(self.ids))


def _checked(query: npt.NDArray[np.float32], dimensions: int) -> npt.NDArray[np.float32]:
    if query.shape != (dimensions,):
        raise InvalidInput(
            f"query vector: found shape {query.shape}; expected {(dimensions,)}, the store's model"
        )
    if not np.isfinite(query).all():
        raise InvalidInput("query vector: found a number that is not finite; expected a vector of length 1")
    return query


def _scores(
    rows: ReadableRows, query: npt.NDArray[np.float32], places: Places | None = None
) -> npt.NDArray[np.float64]:
    """Return the scores of some rows, or of all; compiled or not, they are those of the fixed routine."""
    found = rows.scores(query, places)
    if found is not None:
        return found
    wanted = np.arange(len(rows)) if places is None else places
    scores = np.empty(len(wanted), np.float64)
    for start in range(0, len(wanted), ROWS_PER_BLOCK):
        here = slice(start, start + ROWS_PER_BLOCK)
        scores[here] = cosine_scores(rows.vectors(wanted[here]), query)
    return scores


def _hits(reader: GrantedReader, passages: Sequence[Passage], scores: Sequence[float]) -> tuple[Hit, ...]:
    hits = []
    for rank, (passage, score) in enumerate(zip(passages, scores, strict=True), start=1):
        source = Source(
            path=passage.metadata["path"],
            title=passage.metadata["title"],
            start=passage.start,
            end=passage.end,
            run=passage.run_id,
        )
        label = reader.label_name(passage.atom)
        hits.append(Hit(passage.chunk_id, passage.document_id, source, rank, score, passage.text, label))
    return tuple(hits)
