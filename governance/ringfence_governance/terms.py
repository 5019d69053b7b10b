"""Say which words a text has, the same way for a document and for a query.

Promise: the same text and language give the same terms on every machine and
run. A term is at most :data:`TERM_CHARS_MAX` characters. Nothing here keeps a
text.

How: compatibility forms and case are folded (NFKC, casefold), invisible
joiners are dropped, runs of letters, digits and their marks are words, and
each word is stemmed by Snowball. Scripts written without blanks (Han, Kana,
Thai, Lao, Khmer, Myanmar) give overlapping pairs of characters, so that a
word inside a sentence is found. There is no stop list: ranking weighs common
words down by itself.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import cache, lru_cache
from typing import Protocol, cast

import snowballstemmer

from .errors import InvalidInput

TERM_CHARS_MAX = 64
"""Longer words (encoded data, mostly) are cut here before stemming."""

STEM_CACHE_WORDS = 65_536
"""Stems kept in memory; natural text repeats few words most of the time."""

NO_STEMMING = "none"

# Soft hyphen, zero-width space and joiners, word joiner, byte order mark: they do not end a word.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
"""Letters that words without blanks between them are written in, for an expression's class."""
_PIECES = re.compile(f"[{UNSPACED}]+|[^{UNSPACED}]+")


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 - the library's name


def languages() -> tuple[str, ...]:
    """Return the languages :func:`terms` knows, sorted, with 'none' for no stemming."""
    return tuple(sorted({*snowballstemmer.algorithms(), NO_STEMMING}))


def terms(text: str, language: str = "english") -> list[str]:
    """Return the words of `text` as the index holds them, in order, repeated as they occur.

    Args:
        text: Any text; empty gives no term.
        language: One of :func:`languages`.

    Raises:
        InvalidInput: The language is not known.
    """
    if language not in _known_languages():
        raise InvalidInput(
            f"language: found {language!r}; expected one of {', '.join(languages())}; "
            f"write {NO_STEMMING!r} to stem nothing"
        )
    found: list[str] = []
    for word in _word_pattern().findall(_folded(text)):
        for piece in _PIECES.findall(word):
            found.extend(_terms_of_piece(piece, language))
    return found


def visible(text: str) -> str:
    """Return a text without the invisible characters that do not end a word."""
    return _INVISIBLE.sub("", text)


def _folded(text: str) -> str:
    seen = visible(unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFKC", seen.casefold())


def _terms_of_piece(piece: str, language: str) -> list[str]:
    if not re.match(f"[{UNSPACED}]", piece):
        return [_stem(piece[:TERM_CHARS_MAX], language)]
    if len(piece) == 1:
        return [piece]
    return [piece[start : start + 2] for start in range(len(piece) - 1)]


@lru_cache(maxsize=STEM_CACHE_WORDS)
def _stem(word: str, language: str) -> str:
    # A word that stems to nothing stays as it is: every word has a term.
    return word if language == NO_STEMMING else (_stemmer(language).stemWord(word) or word)


class _Stemmers(threading.local):
    """One set of stemmers for each thread: a Snowball stemmer keeps its word in itself while it works."""

    def __init__(self) -> None:
        self.by_language: dict[str, _Stemmer] = {}


_stemmers = _Stemmers()


def _stemmer(language: str) -> _Stemmer:
    if language not in _stemmers.by_language:
        _stemmers.by_language[language] = cast(_Stemmer, snowballstemmer.stemmer(language))
    return _stemmers.by_language[language]


@cache
def _known_languages() -> frozenset[str]:
    return frozenset(languages())


@cache
def _word_pattern() -> re.Pattern[str]:
    return re.compile(f"{word_character()}+")


@cache
def word_character() -> str:
    """Return the expression of one character of a word: letters, digits and combining marks.

    `\\w` alone would break Indic and Arabic words at their vowels.
    """
    marks: list[str] = []
    start = None
    # Beyond U+1FFFF only the variation selectors are marks; they follow a letter they do not change.
    for point in range(0x300, 0x20000):
        is_mark = unicodedata.category(chr(point)).startswith("M")
        if is_mark and start is None:
            start = point
        elif not is_mark and start is not None:
            marks.append(f"{re.escape(chr(start))}-{re.escape(chr(point - 1))}")
            start = None
    return f"(?:[^\\W_]|[{''.join(marks)}])"
