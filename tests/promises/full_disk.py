"""What a full disk does, without filling one."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def no_file_grows(folder: Path, by: int = 0) -> Iterator[None]:
    """As on a full disk: no file gets longer than the folder's longest, or so many bytes longer."""
    longest = max(file.stat().st_size for file in folder.iterdir()) + by
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
