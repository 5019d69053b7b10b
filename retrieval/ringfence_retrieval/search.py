"""Find the readable passages that answer a question, exactly.

Promise: every readable row is looked at and no other; ids, order and scores
are what they would be if the rest did not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ringfence_governance.block_opening import Passage
from ringfence_governance.door import Door
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.readable_rows import ReadableRows, SealedPassage
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.segments import text_id
from ringfence_governance.subjects import Subject

from .candidates import Candidates, Embed
from .plans import Plan, planned
from .questions import Question
from .ranking import ranked
from .results import Hit, SearchResult, Source


def search(door: Door, subject: Subject, question: Question, embed: Embed) -> SearchResult:
    """Return the best readable passages for a question.

    Args:
        embed: Called once, only if the mode needs it and something is readable.

    Raises:
        AuditUnavailable: The record could not be made durable; no result leaves.
    """

    def work(reader: GrantedReader) -> Answer[SearchResult]:
        plan = planned(question.mode, question.k, reader.count("chunks"))
        found = _found(reader.passes(), question, plan, embed) if plan.rows else _Found()
        passages = reader.passages(found.rows)
        return Answer(
            rows=[(each.chunk_id, each.atom) for each in passages],
            documents=[each.document_id for each in passages],
            finish=lambda as_of: SearchResult(
                _hits(reader, passages, found.scores),
                plan.rows,
                found.matching,
                True,
                as_of,
                plan.to_mapping() if question.explain else None,
            ),
            plan=_described(question, plan),
            counts={"hits": len(passages), "readable": plan.rows, "matching": found.matching},
        )

    return door.read(subject, "search", work, query=question.text)


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows that answer a question, best first: as they were resident, or their ids; and their scores."""

    rows: Sequence[SealedPassage | str] = ()
    scores: Sequence[float] = ()
    matching: int = 0


def _found(passes: Iterator[ReadableRows], question: Question, plan: Plan, embed: Embed) -> _Found:
    looked = Candidates(question, plan, embed)
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
    if question.min_score is not None:
        best = best[scores[best] >= question.min_score]
    # If all rows are still there, the hits' own bytes need not be read from the tables again.
    only = looked.only
    found = [only[0].sealed(int(only[1][place])) if only else text_id(ids[place]) for place in best.tolist()]
    return _Found(found, scores[best].tolist(), looked.matching)


def _described(question: Question, plan: Plan) -> str:
    """Return how a question is answered, for the record; what is asked stands there as a digest alone."""
    filtered = ", filtered" if question.filter is not None else ""
    return f"exact {question.mode}, k={question.k}, {plan.name}{filtered}"


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
