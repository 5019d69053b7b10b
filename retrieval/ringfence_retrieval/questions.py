"""Say what a reader asks, and refuse what is no question.

Promise: a question that exists is whole: its text is no blank, its numbers
are within their bounds, its filter is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from ringfence_governance.errors import InvalidInput

from . import filters
from .filters import Filter
from .plans import Mode

MODES = get_args(Mode)
K_MAX = 1000
QUERY_CHARACTERS_MAX = 10_000


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
        filters.checked(self.where)
        if self.min_score is not None and not _is_number(self.min_score):
            raise InvalidInput(f"min_score: found {self.min_score!r}; expected a finite number")
        _ = self.filter

    @property
    def filter(self) -> Filter | None:
        """What a document must pass: `where`, `since` and `until` together; None if all pass."""
        modified = filters.field("modified")
        return filters.every(
            [
                self.where,
                modified >= self.since if self.since is not None else None,
                modified < self.until if self.until is not None else None,
            ]
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
