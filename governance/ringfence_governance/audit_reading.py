"""Read the audit log for somebody who may: in order, and only what is asked for.

Promise: reads records, never content; a damaged line is reported, not
skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import StoreCorrupt

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
    contents = [segment.read_bytes() for segment in sorted(folder.glob("*.jsonl"))]
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

    What he was told about as an auditor was not given to him.

    Args:
        read_to: Segment → bytes read already; only what follows them is read, and they are moved on.
            None reads all.

    Raises:
        StoreCorrupt: A segment holds a line that is no record.
    """
    for line in _new_lines(folder, {} if read_to is None else read_to):
        try:
            record = json.loads(line)
            chain, given = record["chain"], record.get("given", ())
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorrupt("the audit log holds a line that is no record") from error
        read = record["action"] == "read" and record["outcome"] == "allowed"
        if read and chain[0]["actor"] == person:
            yield from ((content, atom) for content, atom in given)


def _new_lines(folder: Path, read_to: dict[str, int]) -> Iterator[bytes]:
    for segment in sorted(folder.glob("*.jsonl")):
        start = read_to.get(segment.name, 0)
        if segment.stat().st_size == start:
            continue
        with segment.open("rb") as file:
            file.seek(start)
            whole, line_break, _ = file.read().rpartition(b"\n")
        read_to[segment.name] = start + len(whole) + len(line_break)
        yield from filter(None, whole.split(b"\n"))
