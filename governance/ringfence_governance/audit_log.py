"""Make every record durable before a result leaves.

Promise: when :meth:`AuditLog.append` returns, the record is on the disk; if
it cannot be, it raises and the caller has no result to give. Each process
writes its own segment, registered in the catalog before its first record.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

from sqlalchemy import insert

from . import catalog_schema as schema
from . import durable_files
from .audit_record import AuditRecord, chained
from .catalog import Catalog
from .errors import AuditUnavailable, StoreError

GENESIS = "0" * 64


class AuditLog:
    """This process's segment of a store's audit log."""

    __slots__ = (
        "_catalog",
        "_descriptor",
        "_folder",
        "_lock",
        "_number",
        "_previous",
        "_process",
        "_segment",
    )

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder
        self._catalog = catalog
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._segment = ""
        self._process = 0
        self._number = 0
        self._previous = GENESIS

    def __repr__(self) -> str:
        return "AuditLog(…)"

    def __reduce__(self) -> str:
        raise TypeError("an audit log cannot be pickled")

    def append(self, record: AuditRecord) -> None:
        """Write one record and wait until it is durable.

        Raises:
            AuditUnavailable: It could not be made durable. No result may leave.
        """
        with self._lock:
            try:
                self._append(record)
            except (OSError, StoreError) as error:
                self._close()
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise AuditUnavailable(
                    f"the audit log cannot be written ({reason}); no result leaves without its record",
                    hint="make room on the store's disk, or mend its permissions",
                ) from None

    def close(self) -> None:
        """Close the segment."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _append(self, record: AuditRecord) -> None:
        descriptor = self._descriptor
        # A child after fork must not go on in its parent's segment.
        if descriptor is None or self._process != os.getpid():
            descriptor = self._open_segment()
        fields = {
            **record.to_mapping(),
            "store": self._catalog.store_id,
            "segment": self._segment,
            "number": self._number + 1,
            "at": self._catalog.ambient.now_precise(),
        }
        line, digest = chained(fields, self._previous)
        _write_whole(descriptor, line)
        os.fdatasync(descriptor)
        self._number += 1
        self._previous = digest

    def _open_segment(self) -> int:
        segment = self._catalog.ambient.randomness.draw(16, "id:segment", str(os.getpid())).hex()
        path = self._folder / f"{segment}.jsonl"
        while path.exists():
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
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._descriptor = descriptor
        durable_files.sync(self._folder)
        self._segment, self._process, self._number, self._previous = segment, os.getpid(), 0, GENESIS
        return descriptor


def _write_whole(descriptor: int, line: bytes) -> None:
    start = os.fstat(descriptor).st_size
    written = 0
    try:
        while written < len(line):
            written += os.write(descriptor, line[written:])
    except OSError:
        # Half a record is no record: take it back. If it stays, readers know it by its missing line break,
        # and nothing is written behind it: the segment is closed.
        with suppress(OSError):
            os.ftruncate(descriptor, start)
        raise
