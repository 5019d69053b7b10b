"""Open what a user calls a source: a path, an address, documents, or a source already.

Promise: what is opened is decided by what is there, never guessed from a name
alone: a folder is a folder source, or a maildir if it is one; a file is an
mbox if it starts as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeGuard
from urllib.parse import unquote, urlsplit

from .beneath import open_file
from .documents import Document, Source
from .errors import FileTrouble, SourceRefused
from .folder_walk import FIRST_LINE_BYTES_MAX, MBOX_ENDINGS, is_maildir
from .limits import BYTES_MAX
from .mailboxes import is_mbox
from .selection import Selection
from .sources_folder import FileSource, FolderLabels, FolderSource, split_place
from .sources_iterable import DocumentsSource
from .sources_mail import MailboxSource


def open_source(
    source: str | Path | Source | Iterable[Document],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    name: str | None = None,
    bytes_max: int = BYTES_MAX,
) -> Source:
    """Return the source that a user means.

    Args:
        source: A path, an address such as `s3://bucket/folder`, an iterable of
            :class:`~ringfence_ingest.documents.Document`, or a source, which is returned as it is.
        include: Globs, for folders and addresses; empty means all.
        exclude: Globs; what they match, and all beneath it, is left out.
        hidden: Whether names that start with a dot are wanted.
        name: What an iterable is called: the same name again is the same source.
        bytes_max: Largest single mail of a mailbox.

    Raises:
        SourceRefused: There is nothing there, or it is none of these.
        LabelFileRefused: The source root's `.ringfence.yaml` is malformed.
        InvalidInput: A glob is unclear.
    """
    selection = Selection.of(include, exclude, hidden=hidden)
    if isinstance(source, str | Path):
        return _open_place(source, selection, bytes_max)
    if include or exclude:
        raise SourceRefused(
            "source: found include or exclude with documents; expected them with a folder; leave documents out"
        )
    if _is_source(source):
        return source
    if isinstance(source, Iterable):
        return DocumentsSource(source, name if name is not None else "documents")
    raise SourceRefused(
        f"source: found a {type(source).__name__}; expected a path, an address, documents or a Source"
    )


def _is_source(source: object) -> TypeGuard[Source]:
    return hasattr(source, "identity") and hasattr(source, "items")


def _open_place(source: str | Path, selection: Selection, bytes_max: int) -> Source:
    place = str(source)
    if "\x00" in place or not place:
        raise SourceRefused(f"source: found {place!r}; expected a path or an address")
    if isinstance(source, str) and "://" in place:
        parts = urlsplit(place)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            from .sources_url import UrlSource

            return UrlSource(place, selection, bytes_max=bytes_max)
        place = unquote(parts.path)
    path = Path(place)
    if path.is_dir():
        if is_maildir(path):
            return _mailbox(path, "maildir", bytes_max)
        return FolderSource(path, selection, bytes_max=bytes_max)
    root, name = split_place(path)
    if _is_mbox_place(root, name):
        return _mailbox(path, "mbox", bytes_max)
    return FileSource(path)


def _mailbox(path: Path, kind: str, bytes_max: int) -> Source:
    root, name = split_place(path)
    label_files = partial(FolderLabels(root).of, name, inside=kind == "maildir")
    return MailboxSource(root, name, kind, label_files, bytes_max=bytes_max)


def _is_mbox_place(root: Path, name: str) -> bool:
    if name.endswith(MBOX_ENDINGS):
        return True
    try:
        with open_file(root, name) as opened:
            return is_mbox(opened.file.readline(FIRST_LINE_BYTES_MAX))
    except FileTrouble as error:
        raise SourceRefused(f"source: {name!r}: {error}") from None
