"""List what lies beneath a folder, in the same order each time.

Promise: no link is ever followed. What is passed over for a reason the user
should know (a link, a folder that cannot be read, a name that is no text) is
listed too, and says whether documents may lie behind it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ringfence_governance.drafts import plain_path
from ringfence_governance.errors import InvalidInput

from .beneath import open_file, open_folder
from .documents import SourceTrouble
from .errors import FileTrouble
from .limits import DEPTH_MAX
from .mailboxes import is_mbox
from .selection import Selection

MAILDIR_FOLDERS = frozenset({"cur", "new", "tmp"})

MBOX_ENDINGS = (".mbox", ".mbx")

FIRST_LINE_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file or mailbox beneath the root: `path` is relative, joined by `/`."""

    path: str
    kind: Literal["file", "mbox", "maildir"]


def walk(root: Path, selection: Selection) -> Iterator[FoundFile | SourceTrouble]:
    """Yield everything wanted beneath `root`, depth first, by name.

    Args:
        root: Absolute, without links.
        selection: What is wanted.
    """
    waiting = [""]
    while waiting:
        listing = _Listing(root, selection)
        listing.read(waiting.pop())
        yield from listing.troubles
        yield from listing.found
        waiting.extend(reversed(listing.folders))


class _Listing:
    """What one folder holds: documents, troubles, and the folders to enter next."""

    def __init__(self, root: Path, selection: Selection) -> None:
        self.root = root
        self.selection = selection
        self.found: list[FoundFile] = []
        self.folders: list[str] = []
        self.troubles: list[SourceTrouble] = []

    def read(self, folder: str, *, except_names: frozenset[str] = frozenset()) -> None:
        try:
            with open_folder(self.root, folder) as descriptor:
                entries = sorted(os.scandir(descriptor), key=lambda entry: entry.name)
        except FileTrouble as error:
            self.troubles.append(SourceTrouble(folder or ".", str(error), hides_documents=True))
            return
        except OSError:
            reason = (
                "found a folder that cannot be listed; expected a readable one; look at the disk or mount"
            )
            self.troubles.append(SourceTrouble(folder or ".", reason, hides_documents=True))
            return
        for entry in entries:
            if entry.name not in except_names:
                self._take(entry, f"{folder}/{entry.name}" if folder else entry.name)

    def _take(self, entry: os.DirEntry[str], path: str) -> None:
        if trouble := _name_trouble(path):
            self.troubles.append(trouble)
        elif entry.is_symlink():
            if self.selection.wants_folder(path):
                self.troubles.append(_link_trouble(self.root, path))
        elif entry.is_dir(follow_symlinks=False):
            self._take_folder(path)
        elif self.selection.wants_file(path):
            is_mailbox = _is_mbox_file(self.root, path)
            self.found.append(FoundFile(path, "mbox" if is_mailbox else "file"))

    def _take_folder(self, path: str) -> None:
        excluded = any(glob.matches(path) for glob in self.selection.exclude)
        if is_maildir(self.root / path) and not excluded:
            # Also where its name starts with a dot, as the folders within a maildir's do.
            self.found.append(FoundFile(path, "maildir"))
            self.read(path, except_names=MAILDIR_FOLDERS)
        elif self.selection.wants_folder(path):
            if path.count("/") >= DEPTH_MAX:
                self.troubles.append(_too_deep(path))
            else:
                self.folders.append(path)


def is_maildir(folder: Path) -> bool:
    """Say whether a folder is a maildir: it holds cur, new and tmp, none of them a link."""
    return all(_is_plain_folder(folder / name) for name in MAILDIR_FOLDERS)


def _is_plain_folder(folder: Path) -> bool:
    try:
        return stat.S_ISDIR(folder.lstat().st_mode)
    except OSError:
        return False


def _is_mbox_file(root: Path, path: str) -> bool:
    """Say whether a file is an mbox: by its ending, or without one by its first line."""
    name = path.rpartition("/")[2]
    if name.endswith(MBOX_ENDINGS) or "." in name.lstrip("."):
        return name.endswith(MBOX_ENDINGS)
    try:
        with open_file(root, path) as opened:
            return is_mbox(opened.file.readline(FIRST_LINE_BYTES_MAX))
    except (FileTrouble, OSError):
        # It is reported when it is read.
        return False


def _too_deep(path: str) -> SourceTrouble:
    return SourceTrouble(
        path,
        f"found folders more than {DEPTH_MAX} deep; expected fewer; ingest the inner folder by itself",
        hides_documents=True,
    )


def _name_trouble(path: str) -> SourceTrouble | None:
    try:
        plain_path(path)
    except InvalidInput as error:
        return SourceTrouble(shown_path(path), str(error), hides_documents=True)
    return None


def shown_path(path: str) -> str:
    """Return a name that is not plain as ASCII on one line, for a report."""
    return path.encode("unicode_escape").decode("ascii")


def _link_trouble(root: Path, path: str) -> SourceTrouble:
    try:
        target = (root / path).resolve(strict=True)
    except RuntimeError:
        found = "a symbolic link that leads to itself"
    except OSError as error:
        found = (
            "a symbolic link that leads to itself"
            if "symbolic links" in str(error.strerror)
            else "a symbolic link to nothing"
        )
    else:
        if target.is_relative_to(root):
            return SourceTrouble(
                path,
                "found a symbolic link within the source; what it names is ingested under its own name",
                hides_documents=False,
                is_defect=False,
            )
        found = "a symbolic link out of the source"
    return SourceTrouble(
        path,
        f"found {found}; expected files of the source itself; links are never followed: copy it, or exclude it",
        hides_documents=False,
    )
