"""Say which of a question's characters are operators: what stands in quotation marks, and words that end in `*`.

Promise: what is no operator is text as before. A question is never refused for
a quotation mark or an asterisk that stands alone.

How: a phrase stands in "…", “…” or „…“. A quotation mark that is not closed,
or of which the inside has no letter or digit, is text; so is a straight one
right behind a letter or digit (5" pipe), but for scripts without blanks. A
prefix is a word right before one `*`, with no `*` before the word and no letter,
digit or `*` behind it. Inside a phrase nothing is an operator; an apostrophe
never is one.

Source: docs/decisions/0026-phrases-and-prefixes.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ringfence_governance.errors import InvalidInput
from ringfence_governance.prefixes import Prefix, prefix_of
from ringfence_governance.terms import UNSPACED, terms, visible, word_character

Syntax = Literal["operators", "plain"]

OPERATORS_MAX = 100
"""How many phrases and prefixes a question may have; each is looked for by itself."""

# By the letter before it: an inch, or the second mark of a pair whose first was no operator.
_QUOTED = re.compile(f'(?<![^\\W_{UNSPACED}])"([^"]*)"|“([^“”„]*)”|„([^“”„]*)[“”]')


@dataclass(frozen=True, slots=True)
class Written:
    """What a question says.

    Args:
        text: Whose words are looked for, phrases' among them; prefixes are not in it.
        phrases: Texts whose words must follow one another.
        prefixes: Texts whose last word stands for all that begin with it.
    """

    text: str
    phrases: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def has_operators(self) -> bool:
        """Whether it is more than words."""
        return bool(self.phrases or self.prefixes)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for in the word lists of passages.

    Args:
        words: Each counts for a passage that holds it.
        phrases: Words that must follow one another, each phrase in every passage that is found.
        prefixes: The words each covers count for a passage as one word.
    """

    words: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    prefixes: tuple[Prefix, ...] = ()

    def to_mapping(self) -> dict[str, list[list[str]] | list[str]]:
        """Return phrases and prefixes as JSON-ready values; each is left out if there is none."""
        phrases = [list(each) for each in self.phrases]
        prefixes = [each.text for each in self.prefixes]
        return {
            **({"phrases": phrases} if phrases else {}),
            **({"prefixes": prefixes} if prefixes else {}),
        }


def written(text: str) -> Written:
    """Return what a question says, its operators apart.

    Raises:
        InvalidInput: There are too many of them.
    """
    seen = visible(text)
    if not ("*" in seen or any(mark in seen for mark in '"“„')):
        return Written(text)
    pieces: list[str] = []
    phrases: list[str] = []
    prefixes: list[str] = []
    for piece, quoted in _pieces(seen):
        if quoted:
            phrases.append(piece)
            pieces.append(piece)
        else:
            prefixes += _prefix().findall(piece)
            pieces.append(_prefix().sub(" ", piece))
    found = len(phrases) + len(prefixes)
    if found > OPERATORS_MAX:
        raise InvalidInput(
            f"query: found {found} phrases and prefixes; expected at most {OPERATORS_MAX}",
            hint='take quotation marks and * as text: syntax="plain", or --syntax plain on the command line',
        )
    return Written(" ".join(pieces), tuple(phrases), tuple(prefixes)) if found else Written(text)


def wanted(said: Written, language: str) -> Wanted:
    """Return what is looked for: words, phrases and prefixes as the word lists hold them, each once.

    Raises:
        InvalidInput: The language is not known.
    """
    words = terms(said.text, language)
    phrases = [tuple(terms(each, language)) for each in said.phrases]
    prefixes: list[Prefix] = []
    for each in said.prefixes:
        before, prefix = prefix_of(each, language)
        words += before
        if prefix is not None:
            prefixes.append(prefix)
    return Wanted(
        tuple(dict.fromkeys(words)),
        tuple(dict.fromkeys(each for each in phrases if each)),
        tuple(dict.fromkeys(prefixes)),
    )


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, and of each whether it is a phrase."""
    behind = 0
    for match in _QUOTED.finditer(text):
        (inside,) = (each for each in match.groups() if each is not None)
        if _word().search(inside):
            yield text[behind : match.start()], False
            yield inside, True
            behind = match.end()
    yield text[behind:], False


@cache
def _word() -> re.Pattern[str]:
    return re.compile(word_character())


@cache
def _prefix() -> re.Pattern[str]:
    word = word_character()
    return re.compile(rf"(?<!\*)(?<!{word})({word}+)\*(?!\*)(?!{word})")
