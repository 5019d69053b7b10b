"""Read a store's segments, whether they are still lines or packed into Parquet.

Promise: a packed segment gives back the very bytes that were written; a
segment that is packed while it is read is read once and whole.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import durable_files
from .errors import StoreCorrupt

LINES = ".jsonl"
PACKED = ".parquet"
PACKED_VERSION = "1"
"""Of the Parquet file's shape, kept in its metadata; another is refused."""
ATTEMPTS = 5


def ids(folder: Path) -> list[str]:
    """Return the ids of all segments in a folder, sorted."""
    return sorted({file.stem for ending in (LINES, PACKED) for file in folder.glob(f"*{ending}")})


def whole_lines(folder: Path, segment: str, start: int = 0) -> bytes:
    """Return a segment's bytes from a place on, up to its last line break.

    What follows that is half a record: its writer died, and no result left with it.

    Raises:
        StoreCorrupt: It is packed and damaged, or of another version.
        FileNotFoundError: There is no such segment.
    """
    for _ in range(ATTEMPTS):
        # A segment is packed beside its lines, which go afterwards: looked at in the other order it may be missed.
        try:
            with (folder / f"{segment}{LINES}").open("rb") as file:
                file.seek(start)
                whole, line_break, _ = file.read().rpartition(b"\n")
                return whole + line_break
        except FileNotFoundError:
            packed = folder / f"{segment}{PACKED}"
            if packed.exists():
                return unpacked(packed)[start:]
    raise FileNotFoundError(segment)


def size(folder: Path, segment: str) -> int:
    """Return a number that grows with the segment: bytes of its lines; 0 if it is packed or gone."""
    try:
        return (folder / f"{segment}{LINES}").stat().st_size
    except FileNotFoundError:
        return 0


def unpacked(path: Path) -> bytes:
    """Return the bytes of the lines a packed segment was made from.

    Raises:
        StoreCorrupt: It is damaged, or of another version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreCorrupt(f"audit segment {path.stem}: the packed file cannot be read") from error
    version = (table.schema.metadata or {}).get(b"ringfence.audit_segment", b"").decode("utf-8", "replace")
    if version != PACKED_VERSION or table.column_names != ["number", "line"]:
        raise StoreCorrupt(
            f"audit segment {path.stem}: packed in version {version!r}; expected {PACKED_VERSION!r}"
        )
    return b"".join(line + b"\n" for line in table.column("line").to_pylist())


def pack(folder: Path, segment: str) -> None:
    """Put a closed segment's lines into a Parquet file, and remove them once that gives the same bytes back.

    Raises:
        OSError: The disk did not take it; the lines stay.
        StoreCorrupt: What was written does not give the same bytes back; the lines stay.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = whole_lines(folder, segment)
    rows = lines.split(b"\n")[:-1]
    table = pa.table(
        {"number": pa.array(range(1, len(rows) + 1), pa.int64()), "line": pa.array(rows, pa.binary())}
    ).replace_schema_metadata({"ringfence.audit_segment": PACKED_VERSION, "ringfence.segment": segment})
    draft, packed = folder / f"{segment}.packing", folder / f"{segment}{PACKED}"
    try:
        pq.write_table(table, draft, compression="zstd")
        draft.chmod(0o600)
        durable_files.sync(draft)
        if unpacked(draft) != lines:
            raise StoreCorrupt(f"audit segment {segment}: what was packed gives other bytes back")
        draft.replace(packed)
    finally:
        draft.unlink(missing_ok=True)
    durable_files.sync(folder)
    (folder / f"{segment}{LINES}").unlink()
    durable_files.sync(folder)


@contextmanager
def without_writer(folder: Path, segment: str) -> Iterator[bool]:
    """Yield whether nobody writes a segment, and let nobody begin to; a packed one has no writer."""
    try:
        descriptor = os.open(folder / f"{segment}{LINES}", os.O_RDONLY)
    except FileNotFoundError:
        yield (folder / f"{segment}{PACKED}").exists()
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
