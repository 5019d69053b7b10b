"""Say whether a path matches a glob, by rules small enough to know by heart.

- A glob describes the whole path, from the folder it is written for. Parts are joined by `/`.
- `*` is any run of characters within one part, `?` one character, `[abc]` or `[!abc]` one of (not) these.
- A part that is `**` is any number of folders, none included; as the last part it is everything
  beneath: `hr/**` is each file under `hr` at any depth, `**/plan.md` each file of that name.
- Case counts. Composed and decomposed accents are the same letter.

Promise: what could be meant in two ways is refused, because a rule that does
not match lets a later, wider rule decide.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache

from ringfence_governance.errors import InvalidInput

GLOB_CHARS_MAX = 1024
ANY_DEPTH = "**"


@dataclass(frozen=True, slots=True)
class Glob:
    """One glob, checked.

    Args:
        text: As the user wrote it.

    Raises:
        InvalidInput: It could be read in two ways, or can match nothing.
    """

    text: str
    parts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given: object = self.text
        if not isinstance(given, str):
            raise InvalidInput(f"glob: found {given!r}; expected text such as 'hr/**'")
        if trouble := _trouble(given):
            raise InvalidInput(f"glob: found {given!r} with {trouble}")
        normal = unicodedata.normalize("NFC", given)
        object.__setattr__(self, "parts", tuple(normal.split("/")))

    def matches(self, path: str) -> bool:
        """Say whether the whole of `path` matches; `path` is relative, joined by `/`."""
        return _match(self.parts, tuple(unicodedata.normalize("NFC", path).split("/")))

    def __str__(self) -> str:
        return self.text


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Match part by part, keeping the set of pattern positions reached: linear in both lengths."""
    reached = _with_skips({0}, pattern)
    for number, part in enumerate(path):
        last = number == len(path) - 1
        following: set[int] = set()
        for position in reached:
            if position == len(pattern):
                continue
            if pattern[position] == ANY_DEPTH:
                following.add(position)
                if last and position == len(pattern) - 1:
                    return True
            elif _part_pattern(pattern[position]).match(part):
                following.add(position + 1)
        # A closing `**` stands for at least one part: `hr/**` is not `hr` itself.
        reached = _with_skips(following, pattern)
    return len(pattern) in reached


def _with_skips(positions: set[int], pattern: tuple[str, ...]) -> set[int]:
    found = set(positions)
    for position in positions:
        while position < len(pattern) - 1 and pattern[position] == ANY_DEPTH:
            position += 1
            found.add(position)
    return found


@cache
def _part_pattern(part: str) -> re.Pattern[str]:
    # fnmatch's translation has no nested repetition: no pattern makes it slow.
    return re.compile(fnmatch.translate(part))


def _trouble(text: str) -> str:
    if not text or len(text) > GLOB_CHARS_MAX:
        return f"{len(text)} characters; expected 1 to {GLOB_CHARS_MAX}"
    if "\\" in text:
        return "a backslash; expected '/' between parts, and [*] for a literal '*'"
    if "{" in text or "}" in text:
        return "a brace; alternatives are not known here; write one rule for each, or [{] for the character"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return "a control character; expected a printable path"
    for part in text.split("/"):
        if trouble := _part_trouble(part):
            return trouble
    return ""


def _part_trouble(part: str) -> str:
    if not part:
        return (
            "an empty part; expected no '/' at either end and no '//'; for all beneath a folder write 'hr/**'"
        )
    if part in (".", ".."):
        return f"the part {part!r}; a glob stays within its folder"
    if ANY_DEPTH in part and part != ANY_DEPTH:
        return f"the part {part!r}; '**' stands alone between slashes, as in 'hr/**' or '**/*.md'"
    if not _brackets_close(part):
        return f"the part {part!r}; expected each '[' closed by ']'; write [[] for the character"
    return ""


def _brackets_close(part: str) -> bool:
    position = 0
    while (position := part.find("[", position)) >= 0:
        # As fnmatch reads it: a ']' right after '[' or '[!' is a member of the set.
        inner = position + 2 if part[position + 1 : position + 2] == "!" else position + 1
        closing = part.find("]", inner + 1)
        if closing < 0:
            return False
        position = closing + 1
    return True
