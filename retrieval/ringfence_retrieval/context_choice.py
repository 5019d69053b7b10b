"""Choose which of the passages that were found go into a context, and put neighbours together.

Promise: what is chosen follows from the passages found and the budget alone.
No text is in a context twice, and what is put together is a slice of its
document. Touches no store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ringfence_governance.block_opening import Passage

from .contexts import BYTES_PER_TOKEN, PASSAGE_BREAK, Citation, ContextPassage, shown, tokens_of
from .results import Source

GAP_MAX = 16
"""Passages of one document with at most so many characters between them, all blank, are put together."""

WIDEST_NUMBER = 9999
"""Stands for a passage's number while what goes in is chosen: none is wider, as k is at most 1000."""

TextOf = Callable[[str], str]
"""Gives the whole text of a document that a passage was found in."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What goes into a context.

    Args:
        passages: As they will stand there.
        used: The stored passages they were put together from, best first.
        equal: How many were left out because their text is in another one.
        left_out: How many were left out from the first on that did not fit.
    """

    passages: tuple[ContextPassage, ...]
    used: tuple[Passage, ...]
    equal: int
    left_out: int


def chosen(found: Sequence[Passage], tokens_max: int, text_of: TextOf) -> Chosen:
    """Return what of the passages found fits into a budget.

    The best comes first. From the first that does not fit on all are left out: a short one of the rest would
    be there for its length alone.

    Args:
        found: Best first.
        tokens_max: For the whole text of the prompt, headings included.
        text_of: Called for a document with passages that are almost neighbours.
    """
    by_document: dict[str, list[_Stretch]] = {}
    sizes: dict[str, int] = {}
    texts: set[tuple[str, ...]] = set()
    used: list[Passage] = []
    equal = left_out = 0
    for place, passage in enumerate(found):
        words = tuple(passage.text.split())
        if words in texts:
            equal += 1
            continue
        document = passage.document_id
        stretches = _joined([*by_document.get(document, []), _Stretch.of(passage)], text_of)
        size = sum(each.size for each in stretches)
        if sum(sizes.values()) - sizes.get(document, 0) + size > tokens_max * BYTES_PER_TOKEN:
            left_out = len(found) - place
            break
        by_document[document], sizes[document] = stretches, size
        texts.add(words)
        used.append(passage)
    ordered = [each for stretches in by_document.values() for each in stretches]
    passages = tuple(each.numbered(number) for number, each in enumerate(ordered, start=1))
    return Chosen(passages, tuple(used), equal, left_out)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A slice of a document, put together from passages of it."""

    first: Passage
    start: int
    end: int
    text: str
    chunks: tuple[str, ...]

    @classmethod
    def of(cls, passage: Passage) -> _Stretch:
        return cls(passage, passage.start, passage.end, passage.text, (passage.chunk_id,))

    @property
    def size(self) -> int:
        """Bytes it takes in the prompt, under the widest number."""
        cited = self._cited(WIDEST_NUMBER)
        return len(f"{shown(cited, self.text)}{PASSAGE_BREAK}".encode())

    def numbered(self, number: int) -> ContextPassage:
        cited = self._cited(number)
        return ContextPassage(cited, self.text, tokens_of(f"{shown(cited, self.text)}{PASSAGE_BREAK}"))

    def _cited(self, number: int) -> Citation:
        facts = self.first.metadata
        source = Source(
            facts["path"], facts["title"], self.start, self.end, self.first.run_id, facts["source_kind"]
        )
        return Citation(number, self.first.document_id, source, self.chunks)


def _joined(stretches: Sequence[_Stretch], text_of: TextOf) -> list[_Stretch]:
    """Return the stretches of one document by their place, those that overlap or are neighbours as one."""
    made: list[_Stretch] = []
    for each in sorted(stretches, key=lambda stretch: (stretch.start, stretch.end, stretch.chunks)):
        between = _between(made[-1], each, text_of) if made else None
        if between is None:
            made.append(each)
            continue
        before = made.pop()
        rest = between + each.text[max(0, before.end - each.start) :]
        made.append(
            replace(
                before,
                end=max(before.end, each.end),
                text=before.text + rest,
                chunks=(*before.chunks, *each.chunks),
            )
        )
    return made


def _between(before: _Stretch, after: _Stretch, text_of: TextOf) -> str | None:
    """Return the blank text between two stretches, empty if they touch; None if they are no neighbours."""
    gap = after.start - before.end
    if gap <= 0:
        return ""
    if gap > GAP_MAX:
        return None
    between = text_of(before.first.document_id)[before.end : after.start]
    return None if between.strip() else between
