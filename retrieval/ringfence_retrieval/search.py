"""Find the readable passages that answer a question: exactly, or by a store's index if they outgrow memory.

Promise: no row but a readable one is looked at; ids, order and scores are what
they would be if the rest did not exist. Every one is, unless the plan says
`index`. What is reranked leaves with the reranker's order and scores, or not at all.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ringfence_governance.block_opening import Passage
from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput, StoreCorrupt
from ringfence_governance.index_reading import IndexedRows
from ringfence_governance.readable_rows import ReadableRows, SealedPassage
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.segments import text_ids
from ringfence_governance.stopping import TimeLimit
from ringfence_governance.subjects import Subject

from . import index_search, syntax
from .by_document import best_of_each
from .candidates import Candidates, Embed
from .plans import Plan, planned
from .questions import Question
from .ranking import ranked
from .reranking import reordered
from .results import Facet, Hit, SearchResult, Source

QUESTIONS_MAX = 100
"""How many questions are answered at once; their scores stand in memory together."""


def search(
    door: Door, subject: Subject, question: Question, embed: Embed, limit: TimeLimit | None = None
) -> SearchResult:
    """Return the best readable passages for a question.

    Args:
        embed: Called once, only if the mode needs it and something is readable.
        limit: When to stop; None for never.

    Raises:
        AuditUnavailable: The record could not be made durable; no result leaves.
        TimedOut, Cancelled: It was to stop; no result leaves.
    """
    (result,) = search_many(door, subject, [question], embed, limit)
    return result


def search_many(
    door: Door, subject: Subject, questions: Sequence[Question], embed: Embed, limit: TimeLimit | None = None
) -> tuple[SearchResult, ...]:
    """Return the best readable passages for each of some questions, all as of one moment, each with its own record.

    Args:
        questions: 1 to 100.
        embed: Called once for each, as of :func:`search`.
        limit: When to stop, for all together; None for never.

    Raises:
        AuditUnavailable: A record could not be made durable; no result leaves.
        TimedOut, Cancelled: It was to stop; no result leaves.
        InvalidInput: There are none or too many.
    """
    if not 1 <= len(questions) <= QUESTIONS_MAX:
        raise InvalidInput(f"queries: found {len(questions)}; expected 1 to {QUESTIONS_MAX}")

    def work(reader: GrantedReader) -> list[Answer[SearchResult]]:
        best = found_many(reader, questions, embed)
        return [_answer(reader, question, each) for question, each in zip(questions, best, strict=True)]

    queries = [question.text for question in questions]
    return door.read_many(subject, "search", work, queries, at=_time(questions), limit=limit)


def _time(questions: Sequence[Question]) -> str | None:
    """Return the time that all of them are asked of.

    Raises:
        InvalidInput: It is not one.
    """
    times = {question.at for question in questions}
    if len(times) > 1:
        raise InvalidInput("queries: found more than one time; expected all at one moment, or ask them apart")
    return times.pop()


def _answer(reader: GrantedReader, question: Question, best: Found) -> Answer[SearchResult]:
    plan, facets = best.plan, best.facets
    told = {"facets": sum(len(facet.counts) for facet in facets.values())} if facets else {}

    def finish(as_of: str) -> SearchResult:
        # Only now: a reranker sees what stands in the record.
        last = reranked(reader, question, best)
        behind = last.start + question.k
        return SearchResult(
            hits=_hits(reader, last.passages, last.scores, last.start),
            readable=plan.rows,
            matching=best.matching,
            complete=plan.complete,
            as_of=as_of,
            cursor=reader.cursor(question.identity, behind, as_of) if last.more else None,
            plan=_explained(question, plan) if question.explain else None,
            facets=facets if question.facets else None,
            group_by=question.group_by,
        )

    return Answer(
        rows=[(each.chunk_id, each.atom) for each in best.passages],
        documents=[each.document_id for each in best.passages],
        finish=finish,
        plan=described(question, plan),
        counts={"hits": len(best.passages), "readable": plan.rows, "matching": best.matching, **told},
        counted=best.counted,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What answers a question, best first, before it leaves.

    Args:
        plan: How it was found.
        passages: At most k; all that a reranker is to be shown, if there is one.
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
    (best,) = found_many(reader, [question], embed)
    return best


def found_many(reader: GrantedReader, questions: Sequence[Question], embed: Embed) -> list[Found]:
    """Return the best readable passages for each question, opened, as part of one read.

    Those that every row is looked at for go through the rows together, once; all passages are opened together.
    """
    count = reader.count("chunks")
    plans = [_planned(reader, question, count) for question in questions]
    looked = [
        Candidates(*each, embed) for each in zip(questions, plans, strict=True) if each[1].name != "index"
    ]
    walked = iter(_found(reader.passes(), count, looked) if looked else [])
    best = [
        _found_by_index(reader.indexed(), question, plan, embed) if plan.name == "index" else next(walked)
        for question, plan in zip(questions, plans, strict=True)
    ]
    opened = iter(reader.passages([row for each in best for row in each.rows]))
    return [
        Found(
            plan,
            list(itertools.islice(opened, len(each.rows))),
            each.scores,
            _before(question, plan),
            each.more,
            each.matching,
            each.facets,
            each.counted,
        )
        for question, plan, each in zip(questions, plans, best, strict=True)
    ]


def reranked(reader: GrantedReader, question: Question, best: Found) -> Found:
    """Return what was found in the order and with the scores of the question's reranker; as it is without one.

    Raises:
        RerankerFailed: It gave no score for a passage.
    """
    if question.rerank is None:
        return best
    passages, scores = reordered(question.rerank, question.text, best.passages)
    if question.min_score is not None:
        kept = bisect.bisect_right(scores, -question.min_score, key=lambda score: -score)
        passages, scores = passages[:kept], scores[:kept]
    start = _start(reader, question)
    here = slice(start, start + question.k)
    return replace(
        best, passages=passages[here], scores=scores[here], start=start, more=len(passages) > here.stop
    )


def _start(reader: GrantedReader, question: Question) -> int:
    return reader.start_of(question.cursor, question.identity) if question.cursor is not None else 0


def _planned(reader: GrantedReader, question: Question, count: int) -> Plan:
    start = _start(reader, question)
    wanted = start + question.k if question.rerank is None else question.rerank.top
    room = None if question.needs_every_row else reader.room
    grouped = question.group_by is not None
    return planned(
        question.mode,
        wanted,
        count,
        grouped=grouped,
        room=room,
        outright=reader.every_row_max,
        phrased=bool(question.written.phrases),
    )


def _before(question: Question, plan: Plan) -> int:
    """Return how many of what is found stand on pages before; of what is reranked that is not known yet."""
    return plan.k - question.k if question.rerank is None else 0


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


def _found(passes: Iterator[ReadableRows], count: int, asked: Sequence[Candidates]) -> list[_Found]:
    """Look at all rows once for all questions, and return what answers each.

    Args:
        count: How many rows there are.
    """
    seen = 0
    for rows in passes if count else ():
        seen += len(rows)
        for looked in asked:
            looked.at(rows)
    if seen != count:
        raise StoreCorrupt(f"found {seen} readable rows; expected {count}, as they are counted")
    return [_best(looked) for looked in asked]


def _best(looked: Candidates) -> _Found:
    question, plan = looked.question, looked.plan
    scores, ids = looked.scores()
    best = ranked(scores, ids, None if question.group_by else plan.k + 1)
    matching, facets, counted = looked.matching, {}, frozenset[int]()
    if question.group_by is not None and looked.documents is not None:
        best = best_of_each(best, looked.documents.numbers())
        matching = len(best)
    if question.mode == "hybrid":
        best = best[scores[best] > 0.0]
    if question.min_score is not None and question.rerank is None:
        best = best[scores[best] >= question.min_score]
    if question.facets and looked.documents is not None:
        facets = looked.documents.counts(documents=question.group_by is not None)
        counted = looked.documents.atoms()
    more, best = len(best) > plan.k, best[_before(question, plan) : plan.k]
    # If all rows are still there, the hits' own bytes need not be read from the tables again.
    only = looked.only
    found = only[0].sealed(only[1][best]) if only else text_ids(ids[best])
    return _Found(found, scores[best].tolist(), more, matching, facets, counted)


def _found_by_index(rows: IndexedRows, question: Question, plan: Plan, embed: Embed) -> _Found:
    order, matching = index_search.answered(rows, question, plan, embed)
    least = question.min_score if question.rerank is None else None
    best = order.scores >= least if least is not None else slice(None)
    ids, scores = order.ids[best], order.scores[best]
    here = slice(_before(question, plan), plan.k)
    found = text_ids(ids[here])
    return _Found(found, scores[here].tolist(), len(ids) > plan.k, matching, {}, frozenset())


def described(question: Question, plan: Plan) -> str:
    """Return how a question is answered, for the record; what is asked stands there as a digest alone."""
    filtered = ", filtered" if question.filter is not None else ""
    grouped = ", by document" if question.group_by is not None else ""
    phrases, prefixes = len(question.written.phrases), len(question.written.prefixes)
    worded = f", phrases={phrases}" if phrases else ""
    worded += f", prefixes={prefixes}" if prefixes else ""
    before = _before(question, plan)
    behind = f", behind {before}" if before else ""
    how = "exact" if plan.complete else "approximate"
    shown = f", {question.rerank.top} shown to {question.rerank.name}" if question.rerank is not None else ""
    return f"{how} {question.mode}, k={question.k}, {plan.name}{worded}{filtered}{grouped}{behind}{shown}"


def _explained(question: Question, plan: Plan) -> dict[str, Any]:
    by = {} if question.rerank is None else {"reranker": question.rerank.name}
    asked = syntax.wanted(question.written, question.language) if question.written.has_operators else None
    return {**plan.to_mapping(), **(asked.to_mapping() if asked is not None else {}), **by}


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
