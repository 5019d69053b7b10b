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


def bytes_in(folder: Path) -> int:
    """Return how many bytes the log holds: another number means that something was added."""
    return sum(segment.stat().st_size for segment in folder.glob("*.jsonl"))


def given_to(folder: Path, person: str) -> Iterator[tuple[str, int]]:
    """Yield (keyed digest of the bytes, atom) of all content that ever left to a person, whoever carried it.

    What he was told about as an auditor was not given to him.
    """
    for record in records(folder):
        chain = record.get("chain") or [{}]
        read = record.get("action") == "read" and record.get("outcome") == "allowed"
        if read and chain[0].get("actor") == person:
            yield from ((content, atom) for content, atom in record.get("given", ()))
