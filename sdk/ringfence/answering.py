"""What a reader takes for a prompt, and what was made of it.

Promise: what goes into a prompt is read and recorded as every other answer is;
what is registered as made from it is read only by who may read all of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from ringfence_governance.door import Door
from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput
from ringfence_governance.stopping import CancelToken, TimeLimit
from ringfence_governance.subjects import Subject
from ringfence_ingest.answers import answer_draft
from ringfence_retrieval import prompting
from ringfence_retrieval.contexts import Citation, Context, ContextPassage
from ringfence_retrieval.filters import Filter
from ringfence_retrieval.plans import Mode
from ringfence_retrieval.questions import Question
from ringfence_retrieval.reranking import Reranker, reranking
from ringfence_retrieval.results import Document, Hit
from ringfence_retrieval.syntax import Syntax

from .administering import Administering
from .boundary import public

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


Input = ContextPassage | Citation | Hit | Document | str
"""What an answer can be made from: a passage, a document, or the id of one."""


class Answering(Administering):
    """The part of a :class:`Reader` that is about prompts and answers."""

    __slots__ = ("__door", "__embed", "__reranker", "__subject")

    def __init__(
        self,
        door: Door,
        subject: Subject,
        embed: Callable[[str], npt.NDArray[np.float32]],
        reranker: Callable[[], Reranker | None] | None = None,
    ) -> None:
        super().__init__(door, subject)
        self.__door = door
        self.__subject = subject
        self.__embed = embed
        self.__reranker = reranker

    @public
    def context(
        self,
        question: str,
        tokens_max: int = prompting.TOKENS_MAX,
        k: int = prompting.K,
        mode: Mode = "hybrid",
        language: str = "english",
        *,
        where: Filter | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        min_score: float | None = None,
        exact: bool = False,
        at: str | None = None,
        rerank: int | None = None,
        syntax: Syntax = "operators",
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Context:
        """Return the best readable passages for a question, ready for a prompt: each once, in order, cited.

        Passages of a document that overlap or follow each other are one; a text that is there already is
        left out. `text` is for the prompt, `citations` says where each passage comes from.

        Args:
            question: A question or some words; not blank.
            tokens_max: For the whole text. A token is 3 bytes of UTF-8, whatever the model: its own count is
                mostly lower.
            k: How many stored passages are looked for, 1 to 1000.
            mode: As in :meth:`search`.
            language: As in :meth:`search`; so are `since`, `until`, `min_score`, `exact` and `at`.
            where: As in :meth:`search`; `ringfence.field("source_kind") != "answer"` leaves registered answers out.
            rerank: As in :meth:`search`, at least `k`; the record then names all that the reranker is shown.
            syntax: As in :meth:`search`; `plain` if what is asked may quote something that no passage holds.
            timeout: As in :meth:`search`; so is `cancel`.

        Returns:
            `limit` says what kept it from being longer.

        Raises:
            InvalidInput: One of them is not as said, or the time is to come; or the store has no reranker.
            Gone, RerankerFailed, TimedOut, Cancelled: As in :meth:`search`.
        """
        limit = TimeLimit.of(timeout, cancel)
        asked = Question(
            question,
            k,
            mode,
            language,
            where=where,
            since=since,
            until=until,
            min_score=min_score,
            exact=exact,
            at=at,
            rerank=reranking(rerank, self.__reranker),
            syntax=syntax,
        )
        return prompting.context(self.__door, self.__subject, asked, tokens_max, self.__embed, limit)

    @public
    def register_answer(
        self,
        text: str,
        passages: Iterable[Input],
        *,
        title: str = "",
        label: LabelChoice | None = None,
        language: str = "english",
        why: str = "",
    ) -> str:
        """Keep an answer that was made from passages; return its id. Found from the next question on.

        Whoever reads it must be able to read everything it was made from, now and later: relabelling one of
        its inputs relabels it, erasing one erases it.

        Args:
            text: The answer.
            passages: All that went into it: a context, a search's result, hits, documents, or ids.
            title: What readers are shown, such as the question.
            label: Who else may read it, of those who may read all of that: a label's name, or a label by
                value. Needs `ingest` under it. None: only this subject's person; needs no right but to read.
            language: Whose word forms are folded in the text index.
            why: Kept with the run.

        Raises:
            NotReadable: A passage or document is unknown, or this subject may not read it.
            Refused: This subject may not ingest under the label, or a rule denies him to.
            WriteRefused: Its bytes equal a document he may read, or was given, under a higher label.
            InvalidInput: The text or a title is malformed, or it was made from nothing.
            StoreBusy: An ingest is running.
        """
        draft = answer_draft(
            text, _ids(passages), self.__embed, title=title, label=label, language=language, why=why
        )
        return self.__door.register_answer(self.__subject, draft)


def _ids(passages: Iterable[Input]) -> list[str]:
    """Return the ids of what an answer was made from."""
    if isinstance(passages, str | bytes) or not isinstance(passages, Iterable):
        raise InvalidInput("passages: expected a context, a search's result, or a list of hits or ids")
    found: list[str] = []
    for each in passages:
        if isinstance(each, ContextPassage | Citation):
            found += each.citation.chunks if isinstance(each, ContextPassage) else each.chunks
        elif isinstance(each, Hit | Document):
            found.append(each.id)
        elif isinstance(each, str):
            found.append(each)
        else:
            raise InvalidInput(
                f"passages: found {type(each).__name__}; expected passages, hits, documents or ids"
            )
    return found
