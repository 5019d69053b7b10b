"""Cut a text into pieces that are exactly slices of it.

Promise: a chunk's text is `text[start:end]`, character by character; chunks
come in order, do not overlap, and hold every character that is not blank.
Each is at most `CHUNK_CHARS_MAX` characters. The cutter is
semantic-text-splitter; what it answers is checked here, not believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from .errors import FileTrouble
from .limits import CHUNK_CHARS_MAX
from .media_types import MARKDOWN

CHUNKER_VERSION = 1
"""Raised whenever the same text gives other chunks: every document is then cut again."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece: where it is, and its text."""

    start: int
    end: int
    text: str = field(repr=False)


def cut(text: str, media_type: str, *, chars_max: int = CHUNK_CHARS_MAX) -> tuple[Span, ...]:
    """Return the chunks of a text.

    Args:
        text: Any text; only blanks give no chunk.
        media_type: Markdown is cut at its headings and blocks, all else at sentences and lines.
        chars_max: Longest chunk, from 1.

    Raises:
        FileTrouble: The cutter gave something that is not the text's next slice. Nothing is returned.
    """
    splitter = MarkdownSplitter(chars_max) if media_type == MARKDOWN else TextSplitter(chars_max)
    spans: list[Span] = []
    reached = 0
    for start, piece in splitter.chunk_indices(text):
        end = start + len(piece)
        if text[start:end] != piece or start < reached or text[reached:start].strip():
            raise _inexact(f"[{start}:{end}], which is not the text's next slice")
        spans.append(Span(start, end, piece))
        reached = end
    if text[reached:].strip():
        raise _inexact(f"no chunk that holds the text from {reached} on")
    return tuple(spans)


def _inexact(found: str) -> FileTrouble:
    return FileTrouble(
        f"{found} from the cutter",
        "chunks that are exact slices of the text",
        "leave the file out, and report it",
    )
