"""Read what goes into a prompt for a question: one read, one record.

Promise: as of a search: from the reader's own rows alone, and what leaves is
recorded first.
"""

from __future__ import annotations

from functools import cache

from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.stopping import TimeLimit
from ringfence_governance.subjects import Subject

from .candidates import Embed
from .context_choice import Chosen, chosen
from .contexts import Context, Limit
from .questions import Question
from .search import Found, described, found, reranked

TOKENS_MAX = 4000
"""Budget of a context whose caller names none."""

K = 50
"""How many passages are looked for if the caller does not say."""

TOKENS_LARGEST = 10_000_000


def context(
    door: Door,
    subject: Subject,
    question: Question,
    tokens_max: int,
    embed: Embed,
    limit: TimeLimit | None = None,
) -> Context:
    """Return the best readable passages for a question that fit into a budget, ready for a prompt.

    Args:
        tokens_max: As :func:`contexts.tokens_of` counts, from 1.
        embed: As in :func:`search.search`.
        limit: When to stop; None for never.

    Raises:
        InvalidInput: `tokens_max` is not as said.
        TimedOut, Cancelled: It was to stop; no result leaves.
        AuditUnavailable: The record could not be made durable; no result leaves.
    """
    if type(tokens_max) is not int or not 1 <= tokens_max <= TOKENS_LARGEST:
        raise InvalidInput(
            f"tokens_max: found {tokens_max!r}; expected an integer from 1 to {TOKENS_LARGEST}"
        )

    def work(reader: GrantedReader) -> Answer[Context]:
        best = found(reader, question, embed)

        def fitting(best: Found) -> Chosen:
            return chosen(best.passages, tokens_max, cache(reader.document_text))

        # What is reranked is chosen once the record is durable, which names all that is shown to the reranker.
        fits = fitting(best) if question.rerank is None else None
        left = best.passages if fits is None else fits.used

        def finish(as_of: str) -> Context:
            last = reranked(reader, question, best)
            made = fits or fitting(last)
            return Context(
                passages=made.passages,
                readable=best.plan.rows,
                complete=best.plan.complete,
                found=len(last.passages),
                equal=made.equal,
                left_out=made.left_out,
                limit=_limit(made, more=best.more or last.more),
                as_of=as_of,
            )

        return Answer(
            rows=[(each.chunk_id, each.atom) for each in left],
            documents=[each.document_id for each in left],
            finish=finish,
            plan=f"{described(question, best.plan)}, tokens_max={tokens_max}",
            counts={"passages": len(left), "readable": best.plan.rows},
        )

    return door.read(subject, "context", work, query=question.text, at=question.at, limit=limit)


def _limit(fits: Chosen, *, more: bool) -> Limit:
    if fits.left_out:
        return "tokens_max"
    return "k" if more else "found"
