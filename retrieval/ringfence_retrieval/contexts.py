"""What goes into a prompt: passages a reader may read, each cited, and how long they are.

Promise: a passage is its document's text from start to end, character for
character. In the text for the prompt every line of a passage is quoted, so
that no document can write a citation of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ringfence_governance.drafts import ANSWER

from .results import Source

BYTES_PER_TOKEN = 3
"""Measured in docs/decisions/0017-context-and-answers.md; models' own tokens are mostly longer."""

QUOTE = "> "
PASSAGE_BREAK = "\n\n"

Limit = Literal["tokens_max", "k", "found"]


@dataclass(frozen=True, slots=True)
class Citation:
    """Where one passage of a context comes from.

    Args:
        number: From 1, as the text for the prompt has it.
        document: Id of the document, opaque.
        source: Path, title, first and last character, and the run that wrote it.
        chunks: Ids of the stored passages it was put together from, by their place.
    """

    number: int
    document: str
    source: Source
    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextPassage:
    """One passage of a context.

    Args:
        text: As it stands in the document.
        tokens: How much of the budget it takes, its heading included.
    """

    citation: Citation
    text: str
    tokens: int

    def __repr__(self) -> str:
        source = self.citation.source
        return f"ContextPassage([{self.citation.number}] {source.path!r}, {source.start} to {source.end})"

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        cited = asdict(self.citation)
        return {**cited, "chunks": list(cited["chunks"]), "text": self.text, "tokens": self.tokens}


@dataclass(frozen=True, slots=True)
class Context:
    """Passages for a prompt: the document with the best one first, in each document by their place.

    Args:
        readable: How many stored passages the reader may read at all.
        complete: Whether every one of them was looked at.
        found: How many of them were found for the question, at most k.
        equal: How many of those were left out, as their text is in another one.
        left_out: How many were left out because the budget was full.
        limit: What kept it from being longer: `tokens_max`, the budget; `k`, no more were looked for;
            `found`, there is nothing more to be found.
        as_of: Opaque; equal as long as the reader's own data is.
    """

    passages: tuple[ContextPassage, ...]
    readable: int
    complete: bool
    found: int
    equal: int
    left_out: int
    limit: Limit
    as_of: str

    def __iter__(self) -> Iterator[ContextPassage]:
        return iter(self.passages)

    def __len__(self) -> int:
        return len(self.passages)

    def __getitem__(self, index: int) -> ContextPassage:
        return self.passages[index]

    def __repr__(self) -> str:
        lines = "".join(f"\n  {passage!r}" for passage in self.passages)
        return f"Context({len(self.passages)} passages, {self.tokens} tokens{lines})"

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Where each passage comes from, by number."""
        return tuple(passage.citation for passage in self.passages)

    @property
    def text(self) -> str:
        """The passages under their numbers, for the prompt; empty if there is none."""
        return PASSAGE_BREAK.join(shown(each.citation, each.text) for each in self.passages)

    @property
    def tokens(self) -> int:
        """How many tokens :attr:`text` has, as :func:`tokens_of` counts them; never more than was asked for."""
        return tokens_of(self.text)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "text": self.text,
            "passages": [passage.to_mapping() for passage in self.passages],
            "tokens": self.tokens,
            "readable": self.readable,
            "complete": self.complete,
            "found": self.found,
            "equal": self.equal,
            "left_out": self.left_out,
            "limit": self.limit,
            "as_of": self.as_of,
        }


def shown(citation: Citation, text: str) -> str:
    """Return one passage as it stands in a prompt: a heading, and its lines quoted."""
    source = citation.source
    answer = ", an answer registered before" if source.kind == ANSWER else ""
    heading = f"[{citation.number}] {source.path}, characters {source.start} to {source.end}{answer}"
    return "\n".join([heading, *(f"{QUOTE}{line}" for line in text.splitlines())])


def tokens_of(text: str) -> int:
    """Return how many tokens a text has by the count of contexts: one for each 3 bytes of UTF-8, rounded up.

    It asks no model, so it is the same for every reader, model and machine. A model's own count is mostly lower.
    """
    return -(-len(text.encode()) // BYTES_PER_TOKEN)
