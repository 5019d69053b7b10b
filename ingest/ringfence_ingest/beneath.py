"""Open files beneath a folder without ever following a link.

Promise: what is opened lies in the folder tree that was named, even if
somebody swaps a folder for a link meanwhile: each step is opened relative to
the one before, and a link at any step is refused. Only regular files and
folders are opened; a pipe or device never blocks a run.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from .errors import FileTrouble
from .posix_labels import Mode, PosixFacts, mode_of

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Opened:
    """A regular file beneath a root, open, with what was true of it and its folders.

    Args:
        file: Open for reading; closed by :func:`open_file`.
        folders: Modes of its folders within the root, the nearest first, the root included.
    """

    def __init__(self, file: BinaryIO, folders: tuple[Mode, ...]) -> None:
        self.file = file
        self._folders = folders
        found = os.fstat(file.fileno())
        self.size = found.st_size
        self.modified = time_text(found.st_mtime)

    def facts(self, above: tuple[Mode, ...]) -> PosixFacts:
        """Return the file's mode and those of all its folders; `above` are those above the root."""
        return PosixFacts(file=mode_of(self.file.fileno()), folders=(*self._folders, *above))


@contextmanager
def open_file(root: Path, path: str) -> Iterator[Opened]:
    """Open one regular file beneath `root`.

    Args:
        root: Absolute, without links.
        path: Relative, joined by `/`, from the walk of the same root.

    Raises:
        FileTrouble: It is gone, a link, unreadable, or no regular file.
    """
    *folders, name = path.split("/")
    with _folder_descriptor(root, folders) as (descriptor, modes):
        opened = _open(name, _FILE, descriptor)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FileTrouble("a pipe, device or socket", "a regular file", "leave it out with exclude")
        yield Opened(file, modes)


@contextmanager
def open_folder(root: Path, path: str) -> Iterator[int]:
    """Open one folder beneath `root`, `path` empty for the root itself, and give its descriptor.

    Raises:
        FileTrouble: It is gone, a link, or unreadable.
    """
    with _folder_descriptor(root, path.split("/") if path else []) as (descriptor, _):
        yield descriptor


def read_whole(opened: Opened, bytes_max: int) -> bytes:
    """Return the file's bytes.

    Raises:
        FileTrouble: It is larger than `bytes_max`, or cannot be read.
    """
    if opened.size > bytes_max:
        raise too_large(opened.size, bytes_max)
    try:
        content = opened.file.read(bytes_max + 1)
    except OSError as error:
        raise _trouble(error) from None
    if len(content) > bytes_max:
        raise too_large(len(content), bytes_max)
    return content


def too_large(size: int, bytes_max: int) -> FileTrouble:
    """Return the trouble of a file beyond the bound."""
    return FileTrouble(
        f"a file of {size} bytes", f"at most {bytes_max}", "split it, or raise bytes_max for this run"
    )


def modes_above(root: Path) -> tuple[Mode, ...]:
    """Return the modes of every folder above `root`, the nearest first, up to the filesystem's top."""
    return tuple(mode_of(folder) for folder in root.parents)


def time_text(seconds: float) -> str | None:
    """Return a file's time as UTC text, or None where it lies outside the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None


@contextmanager
def _folder_descriptor(root: Path, parts: list[str]) -> Iterator[tuple[int, tuple[Mode, ...]]]:
    descriptor = _open(os.fspath(root), _FOLDER, None)
    modes = [mode_of(descriptor)]
    try:
        for part in parts:
            inner = _open(part, _FOLDER, descriptor)
            os.close(descriptor)
            descriptor = inner
            modes.insert(0, mode_of(descriptor))
        yield descriptor, tuple(modes)
    finally:
        os.close(descriptor)


def _open(name: str, flags: int, folder: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except (OSError, ValueError) as error:
        raise _trouble(error) from None


def _trouble(error: OSError | ValueError) -> FileTrouble:
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.EACCES, errno.EPERM):
        return FileTrouble(
            "no permission to read it", "a file the operating-system user may read", "grant it, or exclude it"
        )
    if code == errno.ENOENT:
        return FileTrouble("nothing there any more", "the file of the walk", "run again")
    if code in (errno.ELOOP, errno.ENOTDIR):
        return FileTrouble(
            "a symbolic link", "a file or folder of its own", "links are never followed; ingest what it names"
        )
    detail = errno.errorcode.get(code, "an error") if code is not None else "a name that cannot be opened"
    return FileTrouble(f"{detail} from the operating system", "a readable file", "look at the disk or mount")
