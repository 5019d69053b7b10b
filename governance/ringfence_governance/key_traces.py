"""Get the bytes of deleted keys out of the key database's files.

Promise: when :func:`cleared` says so, everything committed stands in the
database file itself, where SQLite overwrote what was deleted, and its log is
empty; else an older page may still be in the log.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from .errors import StoreError

BUSY_S = 2.0
"""How long a reader in another process is waited for."""


def cleared(database: Path, *, busy_s: float = BUSY_S) -> bool:
    """Force a checkpoint and look whether it emptied the log. False: a reader still needs it, so not yet.

    Raises:
        StoreError: The disk did not take it.
    """
    try:
        with closing(sqlite3.connect(database, timeout=busy_s, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            busy, frames, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise StoreError(
            f"{database.name}: what was deleted cannot be taken out of its log ({error}); its keys are gone "
            "from the database, not yet from the file beside it",
            hint="make room on the disk, and run 'ringfence keys status', which tries again",
        ) from None
    log = database.with_name(f"{database.name}-wal")
    return busy == 0 and frames == 0 and (not log.exists() or log.stat().st_size == 0)
