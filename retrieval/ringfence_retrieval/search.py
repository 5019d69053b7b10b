"""Find the readable passages that answer a question: exactly, or by a store's index if they outgrow memory.

Promise: no row but a readable one is looked at; ids, order and scores are what
they would be if the rest did not exist. Every one is, unless the plan says
`index`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ringfence_governance.block_opening import Passage
from ringfence_governance.door import Door
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.index_reading import IndexedRows
from ringfence_governance.readable_rows import ReadableRows, SealedPassage
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.segments import text_id
from ringfence_governance.subjects import Subject

from . import index_search
from .by_document import best_of_each
from .candidates import Candidates, Embed
from .plans import Plan, planned
from .questions import Question
from .ranking import ranked
from .results import Facet, Hit, SearchResult, Source


def search(door: Door, subject: Subject, question: Question, embed: Embed) -> SearchResult:
    """Return the best readable passages for a question.

    Args:
        embed: Called once, only if the mode needs it and something is readable.

    Raises:
        AuditUnavailable: The record could not be made durable; no result leaves.
    """

    def work(reader: GrantedReader) -> Answer[SearchResult]:
        best = found(reader, question, embed)
        plan, facets = best.plan, best.facets
        told = {"facets": sum(len(facet.counts) for facet in facets.values())} if facets else {}
        return Answer(
            rows=[(each.chunk_id, each.atom) for each in best.passages],
            documents=[each.document_id for each in best.passages],
            finish=lambda as_of: SearchResult(
                hits=_hits(reader, best.passages, best.scores, best.start),
                readable=plan.rows,
                matching=best.matching,
                complete=plan.complete,
                as_of=as_of,
                cursor=reader.cursor(question.identity, plan.k, as_of) if best.more else None,
                plan=plan.to_mapping() if question.explain else None,
                facets=facets if question.facets else None,
                group_by=question.group_by,
            ),
            plan=_described(question, plan),
            counts={"hits": len(best.passages), "readable": plan.rows, "matching": best.matching, **told},
            counted=best.counted,
        )

    return door.read(subject, "search", work, query=question.text, at=question.at)


@dataclass(frozen=True, slots=True)
class Found:
    """What answers a question, best first, before it leaves.

    Args:
        plan: How it was found.
        passages: At most k.
        scores: One for each.
        start: How many stand before the first.
        more: Whether there are more behind the last.
        matching: How many rows match, or documents if they are grouped.
        facets: What was counted.
        counted: Atoms of what was counted.
    """

    plan: Plan
    passages: Sequence[Passage]
    scores: Sequence[float]
    start: int
    more: bool
    matching: int
    facets: Mapping[str, Facet]
    counted: frozenset[int]


def found(reader: GrantedReader, question: Question, embed: Embed) -> Found:
    """Return the best readable passages for a question, opened, as part of one read."""
    grouped = question.group_by is not None
    start = reader.start_of(question.cursor, question.identity) if question.cursor is not None else 0
    room = None if question.needs_every_row else reader.room
    plan = planned(question.mode, start + question.k, reader.count("chunks"), grouped=grouped, room=room)
    if plan.name == "index":
        best = _found_by_index(reader.indexed(), question, plan, embed)
    else:
        best = _found(reader.passes(), question, plan, embed)
    passages = reader.passages(best.rows)
    return Found(plan, passages, best.scores, start, best.more, best.matching, best.facets, best.counted)


@dataclass(frozen=True, slots=True)
class _Found:
    """What answers a question.

    Args:
        rows: Best first: as they were resident, or their ids.
        scores: Of each.
        more: Whether there are more behind them.
        matching: How many rows match, or documents if they are grouped.
        facets: What was counted.
        counted: Atoms of what was counted.
    """

    rows: Sequence[SealedPassage | str]
    scores: Sequence[float]
    more: bool
    matching: int
    facets: Mapping[str, Facet]
    counted: frozenset[int]


def _found(passes: Iterator[ReadableRows], question: Question, plan: Plan, embed: Embed) -> _Found:
    looked = Candidates(question, plan, embed)
    for rows in passes if plan.rows else ():
        looked.at(rows)
    if looked.rows != plan.rows:
        raise StoreCorrupt(f"found {looked.rows} readable rows; expected {plan.rows}, as they are counted")
    scores, ids = looked.scores()
    best = ranked(scores, ids, None if question.group_by else plan.k + 1)
    matching, facets, counted = looked.matching, {}, frozenset[int]()
    if question.group_by is not None and looked.documents is not None:
        best = best_of_each(best, looked.documents.numbers())
        matching = len(best)
    if question.min_score is not None:
        best = best[scores[best] >= question.min_score]
    if question.facets and looked.documents is not None:
        facets = looked.documents.counts(documents=question.group_by is not None)
        counted = looked.documents.atoms()
    more, best = len(best) > plan.k, best[plan.k - question.k : plan.k]
    # If all rows are still there, the hits' own bytes need not be read from the tables again.
    only = looked.only
    found = [only[0].sealed(int(only[1][place])) if only else text_id(ids[place]) for place in best.tolist()]
    return _Found(found, scores[best].tolist(), more, matching, facets, counted)


def _found_by_index(rows: IndexedRows, question: Question, plan: Plan, embed: Embed) -> _Found:
    order, matching = index_search.answered(rows, question, plan, embed)
    best = order.scores >= question.min_score if question.min_score is not None else slice(None)
    ids, scores = order.ids[best], order.scores[best]
    here = slice(plan.k - question.k, plan.k)
    found = [text_id(each) for each in ids[here]]
    return _Found(found, scores[here].tolist(), len(ids) > plan.k, matching, {}, frozenset())


def _described(question: Question, plan: Plan) -> str:
    """Return how a question is answered, for the record; what is asked stands there as a digest alone."""
    filtered = ", filtered" if question.filter is not None else ""
    grouped = ", by document" if question.group_by is not None else ""
    behind = f", behind {plan.k - question.k}" if plan.k > question.k else ""
    how = "exact" if plan.complete else "approximate"
    return f"{how} {question.mode}, k={question.k}, {plan.name}{filtered}{grouped}{behind}"


def _hits(
    reader: GrantedReader, passages: Sequence[Passage], scores: Sequence[float], start: int
) -> tuple[Hit, ...]:
    hits = []
    for rank, (passage, score) in enumerate(zip(passages, scores, strict=True), start=start + 1):
        source = Source(
            path=passage.metadata["path"],
            title=passage.metadata["title"],
            start=passage.start,
            end=passage.end,
            run=passage.run_id,
            kind=passage.metadata["source_kind"],
        )
        label = reader.label_name(passage.atom)
        hits.append(Hit(passage.chunk_id, passage.document_id, source, rank, score, passage.text, label))
    return tuple(hits)
