"""Make every record durable before a result leaves.

Promise: when :meth:`AuditLog.append` returns, the record is on the disk; if
it cannot be, it raises and the caller has no result to give. Each process
writes its own segments, registered in the catalog before their first record.
Threads that wait at the same time wait for one write of the disk.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import delete, insert

from . import catalog_schema as schema
from . import durable_files
from .audit_record import AuditRecord, chained
from .audit_settings import AuditSettings
from .catalog import Catalog
from .errors import AuditUnavailable, RingfenceError, StoreError

GENESIS = "0" * 64
DIGEST_BYTES = 32


class OpenSegment:
    """One segment this process writes, or has written.

    Nobody else writes it: its file is locked for as long as it is open, so that who
    would pack or remove it can see whether its writer lives.
    """

    __slots__ = (
        "covered",
        "descriptor",
        "digests",
        "durable",
        "failure",
        "flushing",
        "number",
        "opened",
        "pending",
        "previous",
        "process",
        "segment_id",
        "size",
    )

    def __init__(self, segment_id: str, descriptor: int) -> None:
        self.segment_id = segment_id
        self.descriptor = descriptor
        self.process = os.getpid()
        self.opened = time.monotonic()
        self.number = 0
        self.durable = 0
        self.previous = GENESIS
        self.size = 0
        self.pending: list[tuple[bytes, bytes]] = []
        self.flushing = False
        self.failure: Exception | None = None
        self.covered = 0
        """How many records are under a checkpoint: more than are durable, if who sweeps the disk saw them first."""
        self.digests = bytearray()
        """Digests of the durable records that follow those, one after the other."""

    def __repr__(self) -> str:
        return "OpenSegment(…)"

    @property
    def signed(self) -> int:
        """How many of the durable records are under a checkpoint."""
        return self.durable - len(self.digests) // DIGEST_BYTES

    def add(self, digests: Sequence[bytes]) -> None:
        """Note that the next records are durable."""
        self.durable += len(digests)
        self.digests += b"".join(digests)
        self.cover(self.covered)

    def cover(self, number: int) -> None:
        """Note that the records up to this one are under a checkpoint."""
        self.covered = max(self.covered, number)
        if self.covered > self.signed:
            del self.digests[: (self.covered - self.signed) * DIGEST_BYTES]


class AuditLog:
    """This process's segments of a store's audit log."""

    __slots__ = ("_catalog", "_changed", "_folder", "_left", "_segment", "_settings", "on_durable")

    def __init__(self, folder: Path, catalog: Catalog, settings: AuditSettings | None = None) -> None:
        self._folder = folder
        self._catalog = catalog
        self._settings = settings or AuditSettings()
        self._changed = threading.Condition()
        self._segment: OpenSegment | None = None
        self._left: list[OpenSegment] = []
        self.on_durable: Callable[[], None] | None = None
        """Called after records became durable."""

    def __repr__(self) -> str:
        return "AuditLog(…)"

    def __reduce__(self) -> str:
        raise TypeError("an audit log cannot be pickled")

    def append(self, *records: AuditRecord) -> None:
        """Write one record, or some one after the other, and wait until all are durable.

        Raises:
            AuditUnavailable: One could not be made durable. No result may leave.
        """
        with self._changed:
            segment = None
            try:
                segment = self._current()
                self._wait(segment, max(self._enqueue(segment, each) for each in records))
            except (OSError, StoreError) as error:
                # Another thread may have begun a new segment meanwhile: that one goes on.
                if segment is not None and segment is self._segment:
                    self._leave()
                raise _unavailable(error) from None
        if self.on_durable is not None:
            self.on_durable()

    def close(self) -> None:
        """Close the segment."""
        with self._changed:
            self._leave()

    def own(self) -> list[OpenSegment]:
        """Return the segments of this process that have durable records beyond their checkpoint."""
        with self._changed:
            mine = os.getpid()
            self._left = [each for each in self._left if each.digests and each.process == mine]
            current = self._segment
            here = [current] if current is not None and current.process == mine and current.digests else []
            return [*self._left, *here]

    def uncovered(self, segment: OpenSegment) -> tuple[int, list[bytes]]:
        """Return how many records of a segment are under a checkpoint, and the digests of those after them."""
        with self._changed:
            start, held = segment.signed, bytes(segment.digests)
        return start, [held[at : at + DIGEST_BYTES] for at in range(0, len(held), DIGEST_BYTES)]

    def cover(self, segment_id: str, number: int) -> None:
        """Note that the records of a segment up to this one are under a checkpoint, if it is one of this process."""
        with self._changed:
            for segment in (*self._left, self._segment):
                if segment is not None and segment.segment_id == segment_id:
                    segment.cover(number)

    def _current(self) -> OpenSegment:
        segment = self._segment
        if segment is not None and segment.process != os.getpid():
            # A child after fork must not go on in its parent's segment.
            self._segment, self._left, segment = None, [], None
        if segment is not None and not segment.pending and not segment.flushing:
            age = time.monotonic() - segment.opened
            if segment.size >= self._settings.segment_bytes or age >= self._settings.segment_seconds:
                self._leave()
                segment = None
        if segment is None:
            segment = self._segment = self._open_segment()
        return segment

    def _enqueue(self, segment: OpenSegment, record: AuditRecord) -> int:
        fields = {
            **record.to_mapping(),
            "store": self._catalog.store_id,
            "segment": segment.segment_id,
            "number": segment.number + 1,
            "at": self._catalog.ambient.now_precise(),
        }
        line, digest = chained(fields, segment.previous)
        segment.number += 1
        segment.previous = digest
        segment.pending.append((line, bytes.fromhex(digest)))
        return segment.number

    def _wait(self, segment: OpenSegment, number: int) -> None:
        """Return once the record is durable: by this thread's own write, or by one that took it along."""
        while segment.durable < number:
            if segment.failure is not None:
                raise segment.failure
            if segment.flushing:
                self._changed.wait()
            else:
                self._flush(segment)

    def _flush(self, segment: OpenSegment) -> None:
        """Write all that is waiting, with the lock let go meanwhile: what comes then goes with the next write."""
        batch, segment.pending, segment.flushing = segment.pending, [], True
        self._changed.release()
        failure: Exception | None = StoreError("the write was interrupted")
        try:
            _write_whole(segment.descriptor, b"".join(line for line, _ in batch))
            os.fdatasync(segment.descriptor)
            failure = None
        except OSError as error:
            failure = error
        finally:
            self._changed.acquire()
            segment.flushing = False
            if failure is None:
                segment.size += sum(len(line) for line, _ in batch)
                segment.add([digest for _, digest in batch])
            else:
                # What was chained behind it can never follow it: the segment ends here, for all who wait.
                segment.failure = failure
            self._changed.notify_all()

    def _leave(self) -> None:
        segment = self._segment
        while segment is not None and segment.flushing and segment.process == os.getpid():
            self._changed.wait()
        if segment is None or self._segment is not segment:
            return
        self._segment = None
        if segment.durable < segment.number and segment.failure is None:
            segment.failure = StoreError("the log was closed")
            self._changed.notify_all()
        os.close(segment.descriptor)
        if segment.digests and segment.process == os.getpid():
            self._left.append(segment)

    def _open_segment(self) -> OpenSegment:
        segment = self._catalog.ambient.randomness.draw(16, "id:segment", str(os.getpid())).hex()
        while any((self._folder / f"{segment}{ending}").exists() for ending in (".jsonl", ".parquet")):
            segment = os.urandom(16).hex()
        path = self._folder / f"{segment}.jsonl"
        with self._catalog.write() as connection:
            connection.execute(
                insert(schema.segments).values(
                    segment_id=segment,
                    opened_at=self._catalog.ambient.now(),
                    host=socket.gethostname(),
                    process=os.getpid(),
                )
            )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError:
            # Registered and without a file it would look like one that somebody took away.
            with suppress(RingfenceError), self._catalog.write() as connection:
                connection.execute(delete(schema.segments).where(schema.segments.c.segment_id == segment))
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            durable_files.sync(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        return OpenSegment(segment, descriptor)


def _unavailable(error: Exception) -> AuditUnavailable:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return AuditUnavailable(
        f"the audit log cannot be written ({reason}); no result leaves without its record",
        hint="make room on the store's disk, or mend its permissions",
    )


def _write_whole(descriptor: int, lines: bytes) -> None:
    start = os.fstat(descriptor).st_size
    written = 0
    try:
        while written < len(lines):
            written += os.write(descriptor, lines[written:])
    except OSError:
        # Half a record is no record: take it back. If it stays, readers know it by its missing line break,
        # and nothing is written behind it: the segment is closed. Whole ones stay: others may have read them.
        with suppress(OSError):
            os.ftruncate(descriptor, start + lines.rfind(b"\n", 0, written) + 1)
        raise
