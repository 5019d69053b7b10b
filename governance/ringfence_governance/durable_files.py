"""Make what was written to a folder outlast a power cut.

Promise: when a function here returns, the named files and their folders'
entries are on the disk, not only in the machine's memory. Lance itself never
asks for that; a publication must not name what could still vanish.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def names(folder: Path) -> frozenset[str]:
    """Return the paths of all files beneath a folder, at any depth; none if it does not exist."""
    # As text: a table that was published often has thousands, and a Path costs more than the look at the disk.
    return frozenset(f"{parent}/{name}" for parent, _, files in os.walk(folder) for name in files)


def sync_new(folder: Path, known: Collection[str]) -> None:
    """Write every file beneath `folder` that is not in `known`, and the folders they are in, to the disk.

    Raises:
        OSError: The disk did not take it; nothing may rely on these files.
    """
    new = [Path(name) for name in sorted(names(folder) - frozenset(known))]
    for path in new:
        sync(path)
    for parent in sorted(
        {parent for path in new for parent in path.parents if parent.is_relative_to(folder)}
    ):
        sync(parent)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Write one file, or one folder's entries, to the disk.

    Raises:
        OSError: The disk did not take it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
