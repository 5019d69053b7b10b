"""Read the audit log for somebody who may: in order, and only what is asked for.

Promise: reads records, never content; a damaged line is reported, not
skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import audit_segments
from .errors import StoreCorrupt

KEPT = ".kept"
"""Ending of the file that keeps, of a segment that was removed, what was given to whom."""

# What follows a segment's last line break is half a record: its writer died, and no result left with it.
_QUERY = """
select line
from (
    select unnest(string_split(content, chr(10))[:-2]) as line
    from segments
)
order by line ->> 'at', line ->> 'segment', cast(line ->> 'number' as bigint)
"""


def records(folder: Path) -> list[dict[str, Any]]:
    """Return all records of a store, by time, then segment, then number.

    Raises:
        StoreCorrupt: A segment holds a line that is no record.
    """
    # Read here: DuckDB would take '*', '?' and '[' in the folder's own path for a pattern.
    contents = [audit_segments.whole_lines(folder, segment) for segment in audit_segments.ids(folder)]
    if not contents:
        return []
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect(":memory:", config={"autoload_known_extensions": False})
    try:
        texts = pa.array([content.decode() for content in contents], pa.large_string())
        connection.register("segments", pa.table({"content": texts}))
        rows = connection.execute(_QUERY).fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise StoreCorrupt("the audit log holds a line that is no record") from error
    finally:
        connection.close()
    return [json.loads(row[0]) for row in rows]


def given_to(folder: Path, person: str, read_to: dict[str, int] | None = None) -> Iterator[tuple[str, int]]:
    """Yield (keyed digest of the bytes, atom) of all content that ever left to a person, whoever carried it.

    What he was told about as an auditor was not given to him. Of a segment that was removed, what it said
    of this is kept.

    Args:
        read_to: Segment → bytes read already; only what follows them is read, and they are moved on.
            None reads all.

    Raises:
        StoreCorrupt: A segment holds a line that is no record.
    """
    read_to = {} if read_to is None else read_to
    for line in _new_lines(folder, read_to):
        try:
            record = json.loads(line)
            yield from ((content, atom) for content, atom in given_in(record, person))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorrupt("the audit log holds a line that is no record") from error
    for file in sorted(folder.glob(f"*{KEPT}")):
        # Also of a segment that was read on: what came into it afterwards stands nowhere else any more.
        if file.name not in read_to:
            read_to[file.name] = 0
            yield from ((content, atom) for content, atom in _kept(file).get(person, ()))


def given_in(record: dict[str, Any], person: str | None = None) -> list[tuple[str, int]]:
    """Return what left by a record, if it was a read, and to this person; None for whoever it was."""
    chain, given = record["chain"], record.get("given", ())
    read = record["action"] == "read" and record["outcome"] == "allowed"
    if not read or (person is not None and chain[0]["actor"] != person):
        return []
    return [(content, atom) for content, atom in given]


def _kept(file: Path) -> dict[str, list[tuple[str, int]]]:
    try:
        found = json.loads(file.read_bytes())
        return {person: [(content, atom) for content, atom in given] for person, given in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoreCorrupt(f"audit segment {file.stem}: what was kept of it cannot be read") from error


def _new_lines(folder: Path, read_to: dict[str, int]) -> Iterator[bytes]:
    for segment in audit_segments.ids(folder):
        start = read_to.get(segment, 0)
        size = audit_segments.size(folder, segment)
        packed = f"{segment}{audit_segments.PACKED}"
        # One that is packed changes no more: it is read on once.
        if size == start and (size or packed in read_to):
            continue
        try:
            found = audit_segments.whole_lines(folder, segment, start)
        except FileNotFoundError:
            continue
        if not size:
            read_to[packed] = 0
        read_to[segment] = start + len(found)
        yield from filter(None, found.split(b"\n"))
