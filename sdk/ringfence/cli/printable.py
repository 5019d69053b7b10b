"""Make text of documents and names safe to print on a terminal.

Promise: what is printed can neither move the cursor, colour or retitle the
terminal, nor turn the reading direction of what stands beside it; such
characters are shown, not dropped.
"""

from __future__ import annotations

import re
import unicodedata

_PICTURES = 0x2400
"""Code point of the picture for NUL; the pictures of the other C0 controls follow it."""

_DELETE = "\u2421"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that print as nothing or as a command: controls, formats, surrogates, separators."""

_JOINERS = frozenset("\u200c\u200d")
"""Format characters that words of several scripts and many emoji need; they hide and turn nothing."""

_BLANKS = re.compile(r"\s+")


def visible(text: str) -> str:
    """Return `text` with line ends and tabs as they are and every other hidden character shown."""
    return "".join(character if character in "\n\t" else _shown(character) for character in text)


def one_line(text: str, characters_max: int | None = None) -> str:
    """Return `text` on one line, blanks folded, hidden characters shown, cut at a length if one is given."""
    folded = visible(_BLANKS.sub(" ", text).strip())
    if characters_max is None or len(folded) <= characters_max:
        return folded
    return f"{folded[: characters_max - 1]}…"


def _shown(character: str) -> str:
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(_PICTURES + code)
    return _DELETE if code == 0x7F else f"<U+{code:04X}>"
