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
    from read_text(?)
)
order by line ->> 'at', line ->> 'segment', cast(line ->> 'number' as bigint)
"""


def records(folder: Path) -> list[dict[str, Any]]:
    """Return all records of a store, by time, then segment, then number.

    Raises:
        StoreCorrupt: A segment holds a line that is no record.
    """
    if not any(folder.glob("*.jsonl")):
        return []
    import duckdb

    connection = duckdb.connect(":memory:", config={"autoload_known_extensions": False})
    try:
        rows = connection.execute(_QUERY, [str(folder / "*.jsonl")]).fetchall()
    except duckdb.Error as error:
        raise StoreCorrupt("the audit log holds a line that is no record") from error
    finally:
        connection.close()
    return [json.loads(row[0]) for row in rows]


def given_to(folder: Path, person: str) -> Iterator[str]:
    """Yield the ids of all rows that ever left to a person to read, whoever carried the request.

    What he was told about as an auditor was not given to him.
    """
    for record in records(folder):
        chain = record.get("chain") or [{}]
        read = record.get("action") == "read" and record.get("outcome") == "allowed"
        if read and chain[0].get("actor") == person:
            yield from record.get("rows", ())
