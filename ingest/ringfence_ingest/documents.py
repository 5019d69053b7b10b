"""Say what a source of documents is: the connector protocol.

Two ways in. The short one: any Python iterable of :class:`Document`. The long
one, for sources that are large, have permissions of their own or can fail
file by file: an object with `identity` and `items()`, the protocol
:class:`Source`. docs/connectors.md has a runnable example of both.

Promise: nothing here prints a document's content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ringfence_governance.drafts import LabelChoice, SourceIdentity

from .label_files import LabelFile
from .posix_labels import PosixFacts


@dataclass(frozen=True, slots=True)
class Document:
    """One document given from Python.

    Args:
        path: Its plain name in the source, such as `reports/march.md`: the same path again is the
            same document. No leading `/`, no `..`, no backslash.
        content: Text, or the bytes of a file.
        media_type: As `text/markdown`; None lets the path's ending and the content say.
        title: What readers see; None takes it from the content or the path.
        modified: UTC time `2026-01-31T00:00:00Z` of its last change, if known.
        label: Who may read it; None leaves it to the run's label, else to the ingester alone.
        parents: Ids of stored documents it was made from; it cannot get a lower label than theirs.
    """

    path: str
    content: bytes | str = field(repr=False)
    media_type: str | None = None
    title: str | None = field(default=None, repr=False)
    modified: str | None = None
    label: LabelChoice | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's bytes, read once, with what was true of the file while it was open.

    Args:
        content: The original bytes.
        modified: UTC time of the last change, or None.
        permissions: Its mode and its folders', or None where the source has none.
        charset: What the bytes are encoded in, where the source knows; else None.
    """

    content: bytes = field(repr=False)
    modified: str | None = None
    permissions: PosixFacts | None = None
    charset: str | None = None


def no_label_files() -> tuple[LabelFile, ...]:
    """Return no label file: for sources that have no folders."""
    return ()


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One document a source offers, not read yet.

    Args:
        path: Its plain name in the source; the same path again is the same document.
        load: Takes the largest number of bytes allowed and returns the content. Raises
            :class:`~ringfence_ingest.errors.FileTrouble` where it cannot.
        media_type: None lets the path's ending and the content say.
        title: None takes it from the content or the path.
        label: The document's own label, or None.
        parents: Ids of stored documents it was made from.
        rule_path: What globs of `.ringfence.yaml` are compared with, where it is not `path`: the
            mailbox of a mail.
        own_paths: What they are compared with besides: a mail's name in its maildir, and its file's.
        label_files: Gives the `.ringfence.yaml` files that apply, the root's first. Raises
            :class:`~ringfence_ingest.errors.LabelFileRefused` where one is malformed.
        is_mail: Whether its headers name people.
    """

    path: str
    load: Callable[[int], Loaded] = field(repr=False)
    media_type: str | None = None
    title: str | None = field(default=None, repr=False)
    label: LabelChoice | None = None
    parents: tuple[str, ...] = ()
    rule_path: str | None = None
    own_paths: tuple[str, ...] = ()
    label_files: Callable[[], tuple[LabelFile, ...]] = field(default=no_label_files, repr=False)
    is_mail: bool = False


@dataclass(frozen=True, slots=True)
class SourceTrouble:
    """Something a source met that is no document: an unreadable folder, a link that leads out.

    Args:
        path: Where, relative to the source.
        reason: What was found, expected, and what to do.
        hides_documents: Whether documents may lie behind it that this run cannot see. Then nothing
            is removed as vanished.
        is_defect: False for what is left out on purpose.
    """

    path: str
    reason: str
    hides_documents: bool
    is_defect: bool = True


class Source(Protocol):
    """Where documents come from.

    A source may also define `__length_hint__` (as :func:`operator.length_hint` reads it) to say about
    how many documents it has; a progress bar then knows its end.
    """

    @property
    def identity(self) -> SourceIdentity:
        """Which source this is: the same identity again is the same source."""

    def items(self) -> Iterator[SourceItem | SourceTrouble]:
        """Yield what the source has, in the same order each time."""
