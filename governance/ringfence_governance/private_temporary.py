"""Give Lance a temporary folder that belongs to the store, emptied before and after it is used.

Promise: what an index is made of passes through no folder but the store's own;
what a dead writer left there is gone before the next one begins, and an
erasure's scan looks at it.

Source: DESIGN.md §5 (*Seal*); research: a making that is killed leaves what it was sorting.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreError

NAME = "temporary"
"""Of the folder, in that of the store."""
VARIABLE = "TMPDIR"
_lock = threading.Lock()


@contextmanager
def private_temporary(folder: Path) -> Iterator[None]:
    """Let this process's libraries put their temporary files into a folder, one caller at a time.

    Lance asks the environment each time. Python's own temporary folder is settled before and stays.

    Raises:
        StoreError: The folder cannot be made or emptied.
    """
    with _lock:
        tempfile.gettempdir()
        _emptied(folder)
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before
            _emptied(folder)


def _emptied(folder: Path) -> None:
    try:
        if folder.is_symlink():
            # What lies where it leads is not the store's: it is neither emptied nor given anything to hold.
            folder.unlink()
        folder.mkdir(mode=0o700, exist_ok=True)
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise StoreError(
            f"the store's temporary folder cannot be emptied ({error.strerror}); nothing was published",
            hint=f"empty {NAME!r} in the store's folder by hand",
        ) from None
