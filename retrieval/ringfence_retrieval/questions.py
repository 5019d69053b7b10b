"""Say what a reader asks, and refuse what is no question.

Promise: a question that exists is whole: its text is no blank, its numbers
are within their bounds, its filter is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from ringfence_governance.errors import InvalidInput

from . import filters, syntax
from .filters import Filter
from .plans import Mode
from .reranking import Reranking
from .syntax import Syntax, Written

MODES = get_args(Mode)
SYNTAXES = get_args(Syntax)
K_MAX = 1000
QUERY_CHARACTERS_MAX = 10_000
CURSOR_CHARACTERS_MAX = 256
NUMBER_MAX = 1e300
FACETS = ("media_type", "source", "source_kind")
"""What can be counted: columns that say of what kind documents are. Which documents there are, a list says."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        text: Not blank.
        k: How many hits at most, 1 to 1000.
        mode: By meaning, by words, or both.
        language: Whose stems the words are reduced to.
        explain: Whether the result says how it was found.
        where: Only passages of documents that pass; None for all.
        since: Only of documents that were modified then or later, UTC; None for no bound.
        until: Only of documents that were modified before.
        min_score: Only hits with at least this score; None for all.
        group_by: `document` for the best passage of each document alone; None for all.
        cursor: Of the page before, to go on behind its hits; None for the first page.
        facets: Columns whose values are counted, of :data:`FACETS`.
        exact: Whether every readable row is looked at, however many there are.
        at: UTC, the time whose rows are asked, as in :func:`reading.read`; None for now.
        rerank: Who puts how many of the best rows into another order; None for nobody. Scores are then the reranker's.
        syntax: Whether quotation marks and `*` in the text are operators, see :mod:`syntax`; by meaning alone they
            never are.

    Raises:
        InvalidInput: One of them is not as said.
    """

    text: str
    k: int = 10
    mode: Mode = "hybrid"
    language: str = "english"
    explain: bool = False
    where: Filter | None = None
    since: str | datetime | None = None
    until: str | datetime | None = None
    min_score: float | None = None
    group_by: Literal["document"] | None = None
    facets: Sequence[str] = ()
    cursor: str | None = None
    exact: bool = False
    at: str | None = None
    rerank: Reranking | None = None
    syntax: Syntax = "operators"

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
        if self.rerank is not None and self.k > self.rerank.top:
            raise InvalidInput(
                f"k: found {self.k} with rerank={self.rerank.top}; expected no more than are reranked"
            )
        if self.mode not in MODES:
            raise InvalidInput(f"mode: found {self.mode!r}; expected one of {', '.join(MODES)}")
        if self.syntax not in SYNTAXES:
            raise InvalidInput(f"syntax: found {self.syntax!r}; expected one of {', '.join(SYNTAXES)}")
        if not isinstance(self.language, str):
            raise InvalidInput(f"language: found {self.language!r}; expected a name such as 'english'")
        filters.checked(self.where)
        if self.min_score is not None and not _is_number(self.min_score):
            raise InvalidInput(f"min_score: found {self.min_score!r}; expected a finite number")
        if self.cursor is not None and not _is_cursor(self.cursor):
            raise InvalidInput("cursor: found no text of a cursor; expected that of the page before")
        if self.group_by not in (None, "document"):
            raise InvalidInput(f"group_by: found {self.group_by!r}; expected 'document' or None")
        object.__setattr__(self, "facets", _facets(self.facets))
        _ = self.filter, self.written

    @property
    def filter(self) -> Filter | None:
        """What a document must pass: `where`, `since` and `until` together; None if all pass."""
        if self.since is None and self.until is None:
            return self.where
        modified = filters.field("modified")
        return filters.every(
            [
                self.where,
                modified >= filters.time(self.since, "since") if self.since is not None else None,
                modified < filters.time(self.until, "until") if self.until is not None else None,
            ]
        )

    @property
    def written(self) -> Written:
        """What its text says: its words, and phrases and prefixes apart from them."""
        plain = self.mode == "vector" or self.syntax == "plain"
        return Written(self.text) if plain else syntax.written(self.text)

    @property
    def needs_every_row(self) -> bool:
        """Whether an index cannot answer it: what documents say of themselves stands in none, nor how words begin."""
        asked = self.exact or self.group_by or self.facets or self.filter is not None
        return bool(asked or self.written.prefixes)

    @property
    def identity(self) -> str:
        """All that decides which hits come in which order; not how many are wanted at once, nor what is counted."""
        where = self.filter.canonical() if self.filter is not None else None
        least = None if self.min_score is None else float(self.min_score)
        # As text it may be another question.
        text = ["operators", self.text] if self.written.has_operators else self.text
        asked = [text, self.mode, self.language, where, least, self.group_by, self.exact]
        if self.rerank is not None:
            return json.dumps([*asked, self.at, self.rerank.name, self.rerank.top])
        return json.dumps(asked if self.at is None else [*asked, self.at])


def _facets(names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidInput(f"facets: found {names!r}; expected a list of {', '.join(FACETS)}")
    found = tuple(names)
    for name in found:
        if filters.column(name) not in FACETS:
            raise InvalidInput(
                f"facets: found {name!r}, which tells documents apart; expected one of {', '.join(FACETS)}"
            )
    return tuple(dict.fromkeys(found))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -NUMBER_MAX < value < NUMBER_MAX


def _is_cursor(value: object) -> bool:
    return type(value) is str and len(value) <= CURSOR_CHARACTERS_MAX and value.isascii()
