"""Keep a store's checkpoints, and how far each witness has them.

Promise: a checkpoint is on the disk before anything relies on it, and is
never changed. What a witness has not confirmed is still to be sent, whoever
opens the store next.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import durable_files
from .checkpoints import Checkpoint, parsed
from .errors import StoreCorrupt

FOLDER = "checkpoints"
FILE = "checkpoints.jsonl"
TAIL_BYTES = 1 << 16


class CheckpointFile:
    """The file of one store's checkpoints; many processes may add to it."""

    __slots__ = ("_folder",)

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def __repr__(self) -> str:
        return "CheckpointFile(…)"

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder / FILE

    @contextmanager
    def locked(self, name: str = "lock", *, wait: bool = True) -> Iterator[bool]:
        """Hold a lock that one process at a time has; yields False if another has it and `wait` is off."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def lines(self, start: int = 0) -> tuple[list[bytes], int]:
        """Return the whole lines from a byte on, and the byte after them."""
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                whole, line_break, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return [], 0
        return [line + b"\n" for line in whole.split(b"\n")] if line_break else [], start + len(whole) + len(
            line_break
        )

    def size(self) -> int:
        """Return how many bytes it has."""
        return self.path.stat().st_size if self.path.exists() else 0

    def last(self) -> Checkpoint | None:
        """Return the newest checkpoint.

        Raises:
            StoreCorrupt: What stands there is none.
        """
        size = self.size()
        span = TAIL_BYTES
        while size:
            found, _ = self.lines(max(0, size - span))
            # The first line of a tail may be half a line.
            if len(found) > 1 or (found and span >= size):
                return read_line(found[-1])
            if span >= size:
                break
            span *= 4
        return None

    def append(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint, durably. Called under the lock.

        Raises:
            OSError: The disk did not take it; it is not there.
        """
        _, end = self.lines()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # Half a line of a process that died is no checkpoint.
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            line = checkpoint.line()
            written = 0
            try:
                while written < len(line):
                    written += os.write(descriptor, line[written:])
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
        durable_files.sync(self._folder)

    def delivered(self, witness: str) -> int:
        """Return the number of the newest checkpoint a witness has confirmed; 0 if none."""
        try:
            found = json.loads(self._cursor(witness).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return 0
        number = found.get("number") if isinstance(found, dict) else None
        return number if isinstance(number, int) and number >= 0 else 0

    def note_delivered(self, witness: str, number: int) -> None:
        """Note that a witness has confirmed every checkpoint up to a number."""
        cursor = self._cursor(witness)
        draft = cursor.with_suffix(".new")
        draft.write_text(json.dumps({"number": number}), "utf-8")
        durable_files.sync(draft)
        draft.replace(cursor)

    def _cursor(self, witness: str) -> Path:
        return self._folder / f"sent-{hashlib.sha256(witness.encode()).hexdigest()[:32]}.json"


def read_line(line: bytes) -> Checkpoint:
    """Read a checkpoint that this store keeps.

    Raises:
        StoreCorrupt: It is none.
    """
    try:
        return parsed(line)
    except ValueError as error:
        raise StoreCorrupt(f"the store's checkpoints hold {error}") from None
