"""Make every record durable before a result leaves.

Promise: when :meth:`AuditLog.append` returns, the record is on the disk; if
it cannot be, it raises and the caller has no result to give. Each process
writes its own segment, registered in the catalog before its first record.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from sqlalchemy import insert

from . import catalog_schema as schema
from .audit_record import AuditRecord, chained
from .catalog import Catalog
from .errors import AuditUnavailable

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
            except OSError as error:
                self._descriptor = None
                raise AuditUnavailable(
                    f"the audit log cannot be written ({error.strerror}); no result leaves without its record",
                    hint="make room on the store's disk, or mend its permissions",
                ) from None

    def close(self) -> None:
        """Close the segment."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _append(self, record: AuditRecord) -> None:
        # A child after fork must not go on in its parent's segment.
        if self._descriptor is None or self._process != os.getpid():
            self._open_segment()
        assert self._descriptor is not None
        fields = {
            **record.to_mapping(),
            "store": self._catalog.store_id,
            "segment": self._segment,
            "number": self._number + 1,
            "at": self._catalog.ambient.now_precise(),
        }
        line, digest = chained(fields, self._previous)
        _write_whole(self._descriptor, line)
        os.fdatasync(self._descriptor)
        self._number += 1
        self._previous = digest

    def _open_segment(self) -> None:
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
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        _sync_folder(self._folder)
        self._segment, self._process, self._number, self._previous = segment, os.getpid(), 0, GENESIS


def _write_whole(descriptor: int, line: bytes) -> None:
    start = os.fstat(descriptor).st_size
    written = 0
    try:
        while written < len(line):
            written += os.write(descriptor, line[written:])
    except OSError:
        # Half a record is no record: take it back, so that the segment stays readable.
        os.ftruncate(descriptor, start)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
