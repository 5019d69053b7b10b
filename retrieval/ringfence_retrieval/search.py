"""Find the readable passages that answer a question, exactly.

Promise: every readable row is looked at and no other; ids, order and scores
are what they would be if the rest did not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.rows import ChunkBlock
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms

from .ranking import fused, ranked
from .results import Hit, SearchResult, Source
from .scoring import cosine_scores
from .text_scoring import bm25_scores

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
        chunks = reader.chunks(vectors=question.mode != "text", terms=question.mode != "vector")
        scores = _scores(chunks, question, embed)
        best = ranked(scores)[: question.k]
        place = {row: index for index, row in enumerate(chunks.ids)}
        return Answer(
            rows=[(row, int(chunks.atoms[place[row]])) for row in best],
            documents=[chunks.document_ids[place[row]] for row in best],
            finish=lambda as_of: SearchResult(
                _hits(reader, best, scores, chunks, place), len(chunks), True, as_of
            ),
            plan=f"exact {question.mode}, k={question.k}",
            counts={"hits": len(best), "readable": len(chunks)},
        )

    return door.read(subject, "search", work, query=question.text)


def _scores(chunks: ChunkBlock, question: Question, embed: Embed) -> dict[str, float]:
    by_meaning = _vector_scores(chunks, question, embed)
    by_words = _text_scores(chunks, question)
    if question.mode == "vector":
        return by_meaning
    if question.mode == "text":
        return by_words
    return fused([ranked(by_meaning), ranked(by_words)])


def _vector_scores(chunks: ChunkBlock, question: Question, embed: Embed) -> dict[str, float]:
    if chunks.vectors is None or not len(chunks):
        return {}
    query = embed(question.text)
    if query.shape != chunks.vectors.shape[1:]:
        raise InvalidInput(
            f"query vector: found shape {query.shape}; expected {chunks.vectors.shape[1:]}, the store's model"
        )
    return dict(zip(chunks.ids, cosine_scores(chunks.vectors, query).tolist(), strict=True))


def _text_scores(chunks: ChunkBlock, question: Question) -> dict[str, float]:
    if chunks.terms is None:
        return {}
    scores = bm25_scores(chunks.terms, terms(question.text, question.language))
    return {row: score for row, score in zip(chunks.ids, scores, strict=True) if score > 0.0}


def _hits(
    reader: GrantedReader,
    best: Sequence[str],
    scores: dict[str, float],
    chunks: ChunkBlock,
    place: dict[str, int],
) -> tuple[Hit, ...]:
    texts = reader.chunk_texts(best)
    documents = {row.document_id: row for row in reader.documents([texts[row].document_id for row in best])}
    hits = []
    for rank, row in enumerate(best, start=1):
        passage = texts[row]
        document = documents[passage.document_id]
        source = Source(
            path=document.metadata["path"],
            title=document.metadata["title"],
            start=passage.start,
            end=passage.end,
            run=passage.run_id,
        )
        label = reader.label_name(int(chunks.atoms[place[row]]))
        hits.append(Hit(row, passage.document_id, source, rank, scores[row], passage.text, label))
    return tuple(hits)
