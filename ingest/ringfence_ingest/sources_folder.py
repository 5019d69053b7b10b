"""Read a folder of files, mailboxes and maildirs, or one file, as a source.

Promise: content and mode are of the same open file, opened beneath the root
without following a link. `.ringfence.yaml` is looked for from a file's folder
up to the source's root, and not above.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from ringfence_governance.drafts import SourceIdentity

from .beneath import Opened, modes_above, open_file, read_whole
from .documents import Loaded, SourceItem, SourceTrouble
from .errors import FileTrouble, LabelFileRefused, SourceRefused
from .folder_walk import FoundFile, is_maildir, walk
from .label_files import FILE_NAME, LabelFile, parse_label_file
from .limits import BYTES_MAX, LABEL_FILE_BYTES_MAX
from .media_types import MAIL, media_type_of_path
from .posix_labels import Mode
from .selection import Selection
from .sources_mail import MailSettings, maildir_items, mbox_items


class FolderSource:
    """Everything wanted beneath one folder.

    Args:
        folder: The source's root. A link to a folder is followed once, here.
        selection: What is wanted; by default all but names that start with a dot.
        bytes_max: Largest single mail of a mailbox; larger ones are reported.

    Raises:
        SourceRefused: There is no such folder.
        LabelFileRefused: The root's `.ringfence.yaml` is malformed.
    """

    def __init__(
        self, folder: str | Path, selection: Selection | None = None, *, bytes_max: int = BYTES_MAX
    ) -> None:
        self._root = _resolved(Path(folder))
        if not self._root.is_dir():
            raise SourceRefused(f"source: found {str(folder)!r}, no folder; expected one; check the path")
        self._selection = selection if selection is not None else Selection()
        self._bytes_max = bytes_max
        self._labels = FolderLabels(self._root)
        self._labels.of("")
        self._found: list[FoundFile | SourceTrouble] | None = None

    @property
    def identity(self) -> SourceIdentity:
        """The folder's absolute place."""
        return SourceIdentity(self._root.as_uri(), "folder")

    def __repr__(self) -> str:
        return f"FolderSource({str(self._root)!r})"

    def __length_hint__(self) -> int:
        return len(self._walked())

    def items(self) -> Iterator[SourceItem | SourceTrouble]:
        """Yield files and mails in the order of their paths; a mailbox's mails in its own order."""
        above = modes_above(self._root)
        walked, self._found = self._walked(), None
        for found in walked:
            if isinstance(found, SourceTrouble):
                yield found
            else:
                yield from self._items_of(found, above)

    def _walked(self) -> list[FoundFile | SourceTrouble]:
        if self._found is None:
            self._found = list(walk(self._root, self._selection))
        return self._found

    def _items_of(self, found: FoundFile, above: tuple[Mode, ...]) -> Iterator[SourceItem | SourceTrouble]:
        label_files = partial(self._labels.of, found.path, inside=found.kind == "maildir")
        if found.kind == "file":
            yield file_item(self._root, found.path, above, label_files)
            return
        settings = MailSettings(found.path, above, label_files, self._bytes_max)
        read = mbox_items if found.kind == "mbox" else maildir_items
        yield from read(self._root, found.path, settings)


class FileSource:
    """One file as a source; its folder's `.ringfence.yaml` is the root's.

    Args:
        file: Its path.

    Raises:
        SourceRefused: There is no such file.
        LabelFileRefused: The `.ringfence.yaml` beside it is malformed.
    """

    def __init__(self, file: str | Path) -> None:
        self._root, self._name = split_place(file)
        self._labels = FolderLabels(self._root)
        self._labels.of("")

    @property
    def identity(self) -> SourceIdentity:
        """The file's absolute place."""
        return SourceIdentity((self._root / self._name).as_uri(), "file")

    def __repr__(self) -> str:
        return f"FileSource({str(self._root / self._name)!r})"

    def __length_hint__(self) -> int:
        return 1

    def items(self) -> Iterator[SourceItem | SourceTrouble]:
        """Yield the file."""
        label_files = partial(self._labels.of, self._name)
        yield file_item(self._root, self._name, modes_above(self._root), label_files)


class FolderLabels:
    """The `.ringfence.yaml` files beneath one root, each read once.

    Args:
        root: Absolute, without links. Nothing above it is looked at.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read = cache(self._read_folder)

    def of(self, path: str, *, inside: bool = False) -> tuple[LabelFile, ...]:
        """Return the label files that apply to a path, the root's first.

        Args:
            path: Relative to the root; empty for the root's own file alone.
            inside: Whether the path is a folder whose own label file applies too: a maildir.

        Raises:
            LabelFileRefused: One of them is malformed, or somebody else could have put it there.
        """
        parts = path.split("/") if inside else path.split("/")[:-1]
        folders = ["", *("/".join(parts[:count]) for count in range(1, len(parts) + 1))]
        found = (self._read(folder) for folder in folders)
        return tuple(file for file in found if file is not None)

    def _read_folder(self, folder: str) -> LabelFile | None:
        path = f"{folder}/{FILE_NAME}" if folder else FILE_NAME
        try:
            os.lstat(self._root / path)
        except FileNotFoundError:
            return None
        except OSError:
            raise LabelFileRefused(f"{path}: found no permission to look for it; grant it") from None
        try:
            with open_file(self._root, path) as opened:
                data = read_whole(opened, LABEL_FILE_BYTES_MAX)
                _check_not_planted(opened, path)
        except FileTrouble as error:
            raise LabelFileRefused(f"{path}: {error}") from None
        return parse_label_file(data, folder)


def file_item(
    root: Path, path: str, above: tuple[Mode, ...], label_files: Callable[[], tuple[LabelFile, ...]]
) -> SourceItem:
    """Return one regular file beneath a root as an item."""

    def load(bytes_max: int) -> Loaded:
        with open_file(root, path) as opened:
            content = read_whole(opened, bytes_max)
            return Loaded(content, opened.modified, opened.facts(above))

    # A mail kept as a file of its own names people as one in a mailbox does.
    is_mail = media_type_of_path(path) == MAIL
    return SourceItem(path=path, load=load, label_files=label_files, is_mail=is_mail)


def split_place(place: str | Path) -> tuple[Path, str]:
    """Return the folder and the name of one file or maildir; a link named by the user is followed here.

    Raises:
        SourceRefused: There is nothing there.
    """
    resolved = _resolved(Path(place))
    return resolved.parent, resolved.name


def is_maildir_place(place: str | Path) -> bool:
    """Say whether a local path is a maildir."""
    return is_maildir(Path(place))


def _resolved(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise SourceRefused(
            f"source: found {str(path)!r}, which leads nowhere; expected a folder or file; check the path"
        ) from None


def _check_not_planted(opened: Opened, path: str) -> None:
    """Refuse a label file that any account of the machine could have written or put there.

    Its rules may widen, so in a folder such as /tmp a stranger's file would decide who reads.
    """
    facts = opened.facts(())
    folder = facts.folders[0]
    if facts.file.bits & stat.S_IWOTH:
        raise LabelFileRefused(
            f"{path}: found a file every account may write; expected one its owner writes; "
            "run: chmod o-w on it"
        )
    if folder.bits & stat.S_IWOTH and facts.file.uid not in (folder.uid, os.geteuid()):
        raise LabelFileRefused(
            f"{path}: found a file of another account in a folder every account may write; "
            "expected the folder's owner's or your own; move the source to a folder of its own"
        )
