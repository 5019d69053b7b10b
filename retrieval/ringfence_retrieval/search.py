"""Find the readable passages that answer a question, exactly.

Promise: every readable row is looked at and no other; ids, order and scores
are what they would be if the rest did not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ringfence_governance.block_opening import Passage
from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput
from ringfence_governance.readable_rows import ReadableRows, SealedPassage
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms

from .ranking import fused, ranked
from .results import Hit, SearchResult, Source
from .scoring import ROWS_PER_BLOCK, cosine_scores
from .text_scoring import WordScores

Mode = Literal["vector", "text", "hybrid"]
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

    Raises:
        InvalidInput: One of them is not as said.
    """

    text: str
    k: int = 10
    mode: Mode = "hybrid"
    language: str = "english"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise InvalidInput("query: found an empty text; expected a question or some words")
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise InvalidInput("query: found a lone surrogate, which is no character; expected Unicode text")
        if len(self.text) > QUERY_CHARACTERS_MAX:
            raise InvalidInput(
                f"query: found {len(self.text)} characters; expected at most {QUERY_CHARACTERS_MAX}"
            )
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise InvalidInput("query: found bytes that are no text; expected text; write it in UTF-8")
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
        found = _found(reader.passes(), question, embed)
        best = ranked(found.scores)[: question.k]
        passages = reader.passages([found.sealed.get(row, row) for row in best])
        return Answer(
            rows=[(each.chunk_id, each.atom) for each in passages],
            documents=[each.document_id for each in passages],
            finish=lambda as_of: SearchResult(
                _hits(reader, passages, found.scores), found.readable, True, as_of
            ),
            plan=f"exact {question.mode}, k={question.k}",
            counts={"hits": len(best), "readable": found.readable},
        )

    return door.read(subject, "search", work, query=question.text)


@dataclass(slots=True)
class _Found:
    """What a question found.

    Args:
        scores: Of all rows that could be among the hits.
        sealed: Some of these rows, as they were resident.
        readable: How many rows there are.
    """

    scores: dict[str, float]
    sealed: dict[str, SealedPassage]
    readable: int


def _found(passes: Iterator[ReadableRows], question: Question, embed: Embed) -> _Found:
    by_words = WordScores(terms(question.text, question.language)) if question.mode != "vector" else None
    by_meaning: dict[str, float] = {}
    sealed: dict[str, SealedPassage] = {}
    query: npt.NDArray[np.float32] | None = None
    readable = 0
    kept: list[ReadableRows] = []
    for rows in passes:
        readable += len(rows)
        kept = [rows] if readable == len(rows) else []
        if by_words is not None:
            by_words.add(rows)
        if question.mode != "text":
            if query is None:
                query = _checked(embed(question.text), rows.dimensions)
            near = rows.nearest(query, question.k) if question.mode == "vector" else np.arange(len(rows))
            by_meaning |= _vector_scores(rows, near, query)
    scores = by_meaning
    if by_words is not None:
        worded = by_words.scores()
        scores = worded if question.mode == "text" else fused([ranked(by_meaning), ranked(worded)])
    for rows in kept:
        # All rows are still there: the hits' own bytes need not be read from the tables again.
        sealed = rows.sealed_by_id(ranked(scores)[: question.k])
    return _Found(scores, sealed, readable)


def _checked(query: npt.NDArray[np.float32], dimensions: int) -> npt.NDArray[np.float32]:
    if query.shape != (dimensions,):
        raise InvalidInput(
            f"query vector: found shape {query.shape}; expected {(dimensions,)}, the store's model"
        )
    return query


def _vector_scores(
    rows: ReadableRows, places: npt.NDArray[np.intp], query: npt.NDArray[np.float32]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for start in range(0, len(places), ROWS_PER_BLOCK):
        here = places[start : start + ROWS_PER_BLOCK]
        scores = cosine_scores(rows.vectors(here), query).tolist()
        found.update(zip(rows.text_ids(here), scores, strict=True))
    return found


def _hits(reader: GrantedReader, passages: Sequence[Passage], scores: dict[str, float]) -> tuple[Hit, ...]:
    hits = []
    for rank, passage in enumerate(passages, start=1):
        source = Source(
            path=passage.metadata["path"],
            title=passage.metadata["title"],
            start=passage.start,
            end=passage.end,
            run=passage.run_id,
        )
        row = passage.chunk_id
        label = reader.label_name(passage.atom)
        hits.append(Hit(row, passage.document_id, source, rank, scores[row], passage.text, label))
    return tuple(hits)
