"""Read plain text and Markdown: the text is the file, character by character."""

from __future__ import annotations

import re

from .media_types import MARKDOWN
from .parsed import ParsedDocument, parsed
from .text_encoding import decode

_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t]*#*[ \t]*$", re.M)
TITLE_SEARCH_CHARS = 4096


def parse_text(content: bytes, media_type: str, encoding: str | None) -> ParsedDocument:
    """Return the text of a plain or Markdown file.

    Raises:
        FileTrouble: It is not text in the expected encoding, or too long.
    """
    text = decode(content, encoding)
    title = ""
    if media_type == MARKDOWN and (heading := _HEADING.search(text[:TITLE_SEARCH_CHARS])):
        title = heading[1]
    return parsed(text, title, media_type)
