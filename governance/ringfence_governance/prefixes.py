"""Say which of the words that are stored begin as somebody asks.

Promise: what a prefix covers follows from the prefix, its language and the
word alone.

How: words are stored as their stems, so a prefix is held to stems. It covers
those that begin with it; those that begin with its own stem where that is not
shorter, as `happi` for `happy` or `haus` for `häus`; and in any case its own
stem, so that it finds what the word itself would find.

Source: docs/decisions/0026-phrases-and-prefixes.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from .terms import NO_STEMMING, terms


@dataclass(frozen=True, slots=True)
class Prefix:
    """The words that begin alike.

    Args:
        text: As it was asked for, folded as all text is.
        begins: A stored word that begins with one of them is covered.
        stem: So is this one.
    """

    text: str
    begins: tuple[str, ...]
    stem: str

    def covers(self, word: str) -> bool:
        """Say whether a stored word is among them."""
        return word.startswith(self.begins) or word == self.stem


def prefix_of(text: str, language: str = "english") -> tuple[list[str], Prefix | None]:
    """Return the words before the last of a text, and the prefix that its last word is; None if it has no word.

    Args:
        text: Of several words only where it is of several scripts, or of one without blanks.
        language: As of :func:`terms.terms`.

    Raises:
        InvalidInput: The language is not known.
    """
    stems = terms(text, language)
    if not stems:
        return [], None
    plain, stem = terms(text, NO_STEMMING)[-1], stems[-1]
    begins = (plain,) if len(stem) < len(plain) or stem == plain else (plain, stem)
    return stems[:-1], Prefix(plain, begins, stem)
