"""Describe a document that is about to be written, before the door takes it.

Promise: a draft that exists is whole: its path is plain, each chunk is
exactly a slice of its text, every vector is finite and of one length, and a
label is named. It is still only a wish: the door decides whether it is
written. A draft never prints its text, its title, its vectors or its terms.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from . import identifiers
from .errors import InvalidInput
from .labels import Label

LabelChoice = str | Label
"""A named label's name, or the value of an anonymous label."""

SOURCE_KINDS = frozenset({"folder", "file", "mbox", "maildir", "documents", "url"})
"""Kinds of sources that can be ingested."""
ANSWER = "answer"
"""Kind of where registered answers are from; see :mod:`answers`."""

PATH_CHARS_MAX = 4096
"""Longest path of a document inside its source, in characters."""

TITLE_CHARS_MAX = 1024

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which source a document came from: the same identity again means the same source.

    Args:
        uri: Where it is, absolute, without credentials.
        kind: One of :data:`SOURCE_KINDS`, or :data:`ANSWER`.
    """

    uri: str
    kind: str

    def __post_init__(self) -> None:
        uri: object = self.uri
        if not isinstance(uri, str) or not uri:
            raise InvalidInput(f"source: found uri {self.uri!r}; expected text that says where it is")
        if self.kind not in SOURCE_KINDS | {ANSWER}:
            raise InvalidInput(
                f"source: found kind {self.kind!r}; expected one of {', '.join(sorted(SOURCE_KINDS))}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ChunkDraft:
    """One piece of a document's text, ready to be written.

    Args:
        start: First character in the document's text, from 0.
        end: One past the last character.
        text: Exactly `document.text[start:end]`, never empty.
        vector: float32 of shape (d,), finite.
        terms: The words of `text` as the index holds them, in order, repeated as they occur.
        tokens: How many words `text` has, from 0.
    """

    start: int
    end: int
    text: str = field(repr=False)
    vector: npt.NDArray[np.float32] = field(repr=False)
    terms: tuple[str, ...] = field(repr=False)
    tokens: int

    def __post_init__(self) -> None:
        where = f"chunk [{self.start}:{self.end}]"
        if not 0 <= self.start < self.end or len(self.text) != self.end - self.start:
            raise InvalidInput(
                f"{where}: found {len(self.text)} characters; expected end - start, at least 1"
            )
        if self.vector.dtype != np.float32 or self.vector.ndim != 1 or not self.vector.size:
            raise InvalidInput(
                f"{where}: found a vector {self.vector.dtype} of shape {self.vector.shape}; "
                "expected float32 of shape (d,)"
            )
        if not np.isfinite(self.vector).all():
            raise InvalidInput(f"{where}: found a vector that is not finite; embed the chunk again")
        if self.tokens < 0:
            raise InvalidInput(f"{where}: found {self.tokens} tokens; expected 0 or more")


@dataclass(frozen=True, slots=True, eq=False)
class DocumentDraft:
    """A parsed, chunked and embedded document with the label it asks for.

    Args:
        path: Its plain name inside the source; see :func:`plain_path`.
        title: What a reader is shown; may be empty.
        media_type: As `text/plain`.
        modified: UTC time of the source's last change, or None where unknown.
        size: Bytes of the original.
        sha256: Of the original bytes, 64 hex digits.
        text: The whole text the chunks are slices of.
        label: What it asks to be written under.
        label_origin: Where the label came from, for the record.
        parents: Ids of documents, or passages of them, it was made from; its label may not be lower than theirs.
        chunks: In order of their start; may be empty only if `text` has no word.

    Raises:
        InvalidInput: A field is malformed or contradicts another. No draft is made.
    """

    path: str
    title: str = field(repr=False)
    media_type: str
    modified: str | None
    size: int
    sha256: str
    text: str = field(repr=False)
    label: LabelChoice
    label_origin: str
    parents: tuple[str, ...]
    chunks: tuple[ChunkDraft, ...] = field(repr=False)

    def __post_init__(self) -> None:
        plain_path(self.path)
        if not isinstance(self.label, Label):
            identifiers.label_name(self.label)
        if not self.label_origin:
            raise InvalidInput(
                f"document {self.path!r}: found no label origin; say where the label came from"
            )
        if self.modified is not None:
            identifiers.time(self.modified, f"document {self.path!r}: modified")
        if len(self.title) > TITLE_CHARS_MAX:
            raise InvalidInput(
                f"document {self.path!r}: found a title of {len(self.title)} characters; "
                f"expected at most {TITLE_CHARS_MAX}"
            )
        if self.size < 0 or not _SHA256.fullmatch(self.sha256):
            raise InvalidInput(f"document {self.path!r}: found size {self.size}, sha256 {self.sha256!r}")
        self._check_chunks()

    def _check_chunks(self) -> None:
        for chunk in self.chunks:
            if self.text[chunk.start : chunk.end] != chunk.text:
                raise InvalidInput(
                    f"document {self.path!r}: found chunk [{chunk.start}:{chunk.end}] that is not the "
                    "document's text there; expected text[start:end], unchanged"
                )
        if len({chunk.vector.shape for chunk in self.chunks}) > 1:
            raise InvalidInput(
                f"document {self.path!r}: found vectors of several lengths; expected one model"
            )
        if not self.chunks and any(character.isalnum() for character in self.text):
            raise InvalidInput(
                f"document {self.path!r}: found text and no chunk; expected chunks that hold it"
            )


def plain_path(path: object) -> str:
    """Return `path` if it is a plain relative name: parts joined by `/`, none of them special.

    Raises:
        InvalidInput: Absolute, empty or dotted parts, a backslash, a control or format character,
            bytes that are no text, or too long.
    """
    if not isinstance(path, str) or not path:
        raise InvalidInput(f"path: found {path!r}; expected a relative path such as reports/march.md")
    if len(path) > PATH_CHARS_MAX:
        raise InvalidInput(f"path: found {len(path)} characters; expected at most {PATH_CHARS_MAX}")
    if trouble := _path_trouble(path):
        raise InvalidInput(
            f"path: found {path!r} with {trouble}; expected a plain one such as reports/march.md; rename it"
        )
    return path


def _path_trouble(path: str) -> str:
    if path.startswith("/"):
        return "a leading '/'"
    if "\\" in path:
        return "a backslash"
    for part in path.split("/"):
        if part in (".", ".."):
            return f"the part {part!r}"
        if not part:
            return "an empty part"
    for character in path:
        # Cc: control, Cf: invisible format (zero-width, direction), Cs: bytes that are no text.
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return f"the character U+{ord(character):04X}"
    return ""
