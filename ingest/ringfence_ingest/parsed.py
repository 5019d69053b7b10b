"""Say what a parser gives back.

Promise: a parsed text is plain text that UTF-8 can hold, within the bounds of
`limits.py`. It never prints itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .errors import FileTrouble
from .limits import TEXT_CHARS_MAX, TITLE_CHARS_MAX

_BLANKS = re.compile(r"\s+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """The text of one document.

    Args:
        text: What its chunks are slices of.
        title: As the document itself says, or empty.
        media_type: What it was parsed as.
    """

    text: str = field(repr=False)
    title: str = field(repr=False)
    media_type: str


def parsed(text: str, title: str, media_type: str) -> ParsedDocument:
    """Return a parser's result, checked and bounded.

    Raises:
        FileTrouble: Longer than `TEXT_CHARS_MAX`.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise FileTrouble(
            f"a text of {len(text)} characters", f"at most {TEXT_CHARS_MAX}", "split the document"
        )
    return ParsedDocument(text=text, title=short_title(title), media_type=media_type)


def short_title(title: str) -> str:
    """Return a title on one line, without control characters, within `TITLE_CHARS_MAX`."""
    return _BLANKS.sub(" ", _UNPRINTABLE.sub("", title)).strip()[:TITLE_CHARS_MAX].rstrip()


def clean_text(text: str) -> str:
    """Return extracted text without control characters, line ends as `\\n`, few blank lines.

    For formats whose text is rebuilt anyway; plain text and Markdown are kept as they are.
    """
    text = _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (line.strip(" \t\f\v\xa0") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
