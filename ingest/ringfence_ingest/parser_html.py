"""Read HTML as a browser would show it, without what a browser would not show.

Promise: words of neighbouring blocks, cells and lines are never glued
together, and a word is never split by markup inside it. Scripts, styles,
templates and comments are no text. Which parser and why:
docs/decisions/0004-parsers.md.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ringfence_governance.errors import InvalidInput

from .errors import FileTrouble
from .media_types import HTML
from .parsed import ParsedDocument, clean_text, parsed
from .text_encoding import checked_encoding, decode

_DROPPED = [
    "head",
    "script",
    "style",
    "noscript",
    "template",
    "iframe",
    "object",
    "svg",
    "math",
    "audio",
    "video",
]

_INLINE = frozenset(
    {
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
        "-comment",
    }
)
"""Tags that do not end a line; every other one does."""

_CELLS = ("td", "th")
"""A table's row stays on one line, its cells a tab apart."""

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-z0-9_:-]{1,40})", re.I)
CHARSET_SEARCH_BYTES = 2048
"""How far a charset declaration is looked for; the standard says 1024."""

_SPACES = re.compile(r"[ \t\n\r\f]+")


def parse_html(content: bytes, encoding: str | None) -> ParsedDocument:
    """Return the visible text of an HTML file.

    Args:
        content: The file.
        encoding: What the user says it is encoded in; else its mark or its meta tag, else UTF-8.

    Raises:
        FileTrouble: It is not in that encoding, or too long.
    """
    text = decode(content, encoding or _declared_charset(content))
    return html_text(text)


def html_text(markup: str) -> ParsedDocument:
    """Return the visible text of HTML already decoded."""
    tree = LexborHTMLParser(markup)
    title = tree.css_first("title")
    name = title.text() if title is not None else ""
    tree.strip_tags(_DROPPED)
    root = tree.body
    return parsed(clean_text(_visible(root)) if root is not None else "", name, HTML)


def _visible(root: LexborNode) -> str:
    pieces: list[str] = []
    block: int | None = None
    for node in root.traverse(include_text=True):
        if not node.is_text_node:
            if node.tag in _CELLS:
                pieces.append("\t")
                block = node.mem_id
            elif node.tag not in _INLINE:
                pieces.append("\n")
            continue
        parent = node.parent
        holder = _block_of(parent)
        if holder is None:
            continue
        identity, preformatted = holder
        if identity != block:
            # Also where a block has just ended and its parent's own text goes on.
            pieces.append("\n")
            block = identity
        text = node.text_content or ""
        pieces.append(text if preformatted else _SPACES.sub(" ", text))
    return "".join(pieces)


def _block_of(node: LexborNode | None) -> tuple[int, bool] | None:
    """Return the identity of the nearest block around a text, and whether its blanks count."""
    preformatted = False
    while node is not None and node.tag in _INLINE:
        node = node.parent
    if node is None:
        return None
    if node.tag in ("pre", "textarea", "listing"):
        preformatted = True
    return node.mem_id, preformatted


def _declared_charset(content: bytes) -> str | None:
    found = _CHARSET.search(content[:CHARSET_SEARCH_BYTES])
    if found is None:
        return None
    name = found[1].decode("ascii").lower()
    # As browsers do: what calls itself Latin-1 is Windows-1252.
    if name in ("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"):
        return "cp1252"
    if name.startswith(("utf-16", "utf16")):
        # It was readable as bytes, so it is no UTF-16.
        return None
    try:
        return checked_encoding(name)
    except InvalidInput:
        raise FileTrouble(
            f"a page that says its charset is {name!r}",
            "a known charset",
            "mend its meta tag, or name its encoding: --encoding cp1252, or encoding='cp1252' in Python",
        ) from None
