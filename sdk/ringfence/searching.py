"""How one subject searches a store.

Promise: what is found is found among his own rows, and every answer has a
record of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput
from ringfence_governance.stopping import CancelToken, TimeLimit
from ringfence_governance.subjects import Subject
from ringfence_retrieval.filters import Filter
from ringfence_retrieval.plans import Mode
from ringfence_retrieval.questions import Question
from ringfence_retrieval.reranking import Reranker, reranking
from ringfence_retrieval.results import SearchResult
from ringfence_retrieval.search import search, search_many
from ringfence_retrieval.syntax import Syntax
from ringfence_retrieval.warming import Warmed, prewarm

from .answering import Answering
from .boundary import public

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Searching(Answering):
    """The part of a :class:`Reader` that searches."""

    __slots__ = ("__door", "__embed", "__reranker", "__subject")

    def __init__(
        self,
        door: Door,
        subject: Subject,
        embed: Callable[[str], npt.NDArray[np.float32]],
        reranker: Callable[[], Reranker | None] | None = None,
    ) -> None:
        super().__init__(door, subject, embed, reranker)
        self.__door = door
        self.__subject = subject
        self.__embed = embed
        self.__reranker = reranker

    @public
    def search(
        self,
        query: str,
        k: int = 10,
        mode: Mode = "hybrid",
        language: str = "english",
        *,
        where: Filter | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        min_score: float | None = None,
        group_by: Literal["document"] | None = None,
        facets: Sequence[str] = (),
        cursor: str | None = None,
        explain: bool = False,
        exact: bool = False,
        at: str | None = None,
        rerank: int | None = None,
        syntax: Syntax = "operators",
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> SearchResult:
        """Return the best readable passages for a question.

        Filters take passages away and change nobody's score, but for `hybrid`, whose ranks are those among
        the passages that match.

        Args:
            query: A question or some words; not blank.
            k: How many at most, 1 to 1000.
            mode: `vector` by meaning, `text` by words, `hybrid` both.
            language: Whose word stems are used.
            where: Only passages of documents that pass, as `ringfence.field("media_type") == "text/plain"`;
                filters are joined by `&`, `|` and `~`.
            since: Only of documents modified then or later: UTC as 2026-01-31T00:00:00Z, or an aware datetime.
            until: Only of documents modified before. A document whose source does not say when is in no range.
            min_score: Only hits with at least this score.
            group_by: `document` for the best passage of each document alone.
            facets: Which of `media_type`, `source` and `source_kind` to count the values of, over all that matches:
                passages, or documents if they are grouped.
            cursor: That of the result before, for the hits behind it; all else as it was, but for `k`, `facets`
                and `explain`.
            explain: Whether the result's `plan` says how it was found.
            exact: Whether every readable row is looked at even where an `indexed` store would ask its index.
            at: UTC, `YYYY-MM-DDTHH:MM:SSZ`: the passages as they were published at that time, as far as this
                subject may read them now and their documents as they are now; None for now.
            rerank: How many of the best the store's reranker puts into another order, 1 to 200, at least `k`; the
                hits are of these alone, with its scores, which `min_score` is then held to. The record names all
                that it is shown. None for no reranking.
            syntax: `operators`: a phrase in quotation marks must stand in every hit, its words one after the other,
                and `contr*` stands for all words that begin so; with `vector` neither is one. `plain`: all is text.
            timeout: Seconds it may take, until nothing can stop it any more but writing the record; None for as long
                as it takes. A scan or a model that is at work is waited for.
            cancel: Ends it from another thread.

        Raises:
            InvalidInput: One of them is not as said, or the time is to come; or the cursor is not of this reader
                and question, or what he may read has changed since; or the store has no reranker.
            RerankerFailed: The reranker gave no score for a passage.
            TimedOut: It took longer than `timeout`; the log says so.
            Cancelled: It was cancelled; the log says so.
            Gone: What was published then is kept for nobody any more.
        """
        limit = TimeLimit.of(timeout, cancel)
        question = Question(
            query,
            k,
            mode,
            language,
            explain,
            where,
            since,
            until,
            min_score,
            group_by,
            facets,
            cursor,
            exact,
            at,
            reranking(rerank, self.__reranker),
            syntax,
        )
        return search(self.__door, self.__subject, question, self.__embed, limit)

    @public
    def prewarm(
        self, *, lineage: bool = False, timeout: float | None = None, cancel: CancelToken | None = None
    ) -> Warmed:
        """Open the passages this subject may read, as far as memory goes, and load the embedder.

        For a service that starts, before the first question; it answers nothing that a question would not.

        Args:
            lineage: Also hold in memory what walks along lineage look up, if it fits: about 60 bytes for each passage
                of the store, a second for each 2 million rows. Walks find the same without it, later.
            timeout: As in :meth:`search`; so is `cancel`. What was opened until then stays open.

        Returns:
            How many passages are readable, and whether so many fit into memory.

        Raises:
            TimedOut, Cancelled: As in :meth:`search`.
        """
        limit = TimeLimit.of(timeout, cancel)
        return prewarm(self.__door, self.__subject, self.__embed, limit, lineage=lineage)

    @public
    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        mode: Mode = "hybrid",
        language: str = "english",
        *,
        where: Filter | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        min_score: float | None = None,
        group_by: Literal["document"] | None = None,
        facets: Sequence[str] = (),
        explain: bool = False,
        exact: bool = False,
        at: str | None = None,
        rerank: int | None = None,
        syntax: Syntax = "operators",
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> tuple[SearchResult, ...]:
        """Return the best readable passages for each of some questions, all as of one moment.

        Rights are judged and rows are looked at once for all; every question has an audit record of its own, and
        no answer leaves before all records are durable.

        Args:
            queries: 1 to 100 questions; all else is as in :meth:`search`, for each of them.
            timeout: For all together; so is `cancel`.

        Returns:
            One result for each question, in their order; its `cursor` goes on with :meth:`search`.

        Raises:
            InvalidInput: One of them is not as said; then none is answered.
            Gone, RerankerFailed, TimedOut, Cancelled: As in :meth:`search`.
        """
        if isinstance(queries, str | bytes) or not isinstance(queries, Sequence):
            raise InvalidInput(f"queries: found {type(queries).__name__}; expected a list of questions")
        limit, asked = TimeLimit.of(timeout, cancel), reranking(rerank, self.__reranker)
        questions = [
            Question(
                query,
                k,
                mode,
                language,
                explain,
                where,
                since,
                until,
                min_score,
                group_by,
                facets,
                exact=exact,
                at=at,
                rerank=asked,
                syntax=syntax,
            )
            for query in queries
        ]
        return search_many(self.__door, self.__subject, questions, self.__embed, limit)
