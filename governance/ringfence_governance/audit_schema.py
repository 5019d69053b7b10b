"""Say which tables an auditor asks, and what a column of each is.

Promise: no column holds content, a vector or a key. A time is text, UTC,
`YYYY-MM-DDTHH:MM:SSZ`, so that any two of them compare; when a record was made to
the microsecond is in a column of its own. What lasts ends with null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

FORMAT = 1
"""Of the tables; raised with each change of what a column means."""

TEXT, NUMBER, YES, MANY = pa.string(), pa.int64(), pa.bool_(), pa.list_(pa.string())

SCHEMAS: Mapping[str, Mapping[str, pa.DataType]] = {
    "about": {
        "store": TEXT,
        "tenant": TEXT,
        "auditor": TEXT,
        "time": TEXT,
        "as_of": TEXT,
        "whole": YES,
        "since": TEXT,
        "narrowed": YES,
        "format": NUMBER,
    },
    "hidden": {"kind": TEXT, "count": NUMBER},
    "nodes": {"id": TEXT, "kind": TEXT, "document": TEXT, "label": TEXT, "run": TEXT, "path": TEXT},
    "edges": {"child": TEXT, "parent": TEXT, "kind": TEXT, "run": TEXT, "current": YES},
    "hidden_ways": {"id": TEXT, "beneath": NUMBER, "above": NUMBER},
    "labels": {
        "label": TEXT,
        "named": YES,
        "owner": TEXT,
        "readers": MANY,
        "denied": MANY,
        "level": NUMBER,
        "compartments": MANY,
        "purposes": MANY,
        "valid_from": TEXT,
        "valid_until": TEXT,
        "parts": MANY,
    },
    "label_versions": {
        "label": TEXT,
        "since": TEXT,
        "change": TEXT,
        "definition": TEXT,
        "who": TEXT,
        "why": TEXT,
        "ticket": TEXT,
    },
    "document_labels": {"document": TEXT, "label": TEXT, "since": TEXT, "until": TEXT, "known": TEXT},
    "access": {"label": TEXT, "subject": TEXT, "purpose": TEXT, "since": TEXT, "until": TEXT},
    "reasons": {
        "label": TEXT,
        "subject": TEXT,
        "purpose": TEXT,
        "decision": TEXT,
        "part": TEXT,
        "effect": TEXT,
        "rule": TEXT,
        "membership": MANY,
        "relation": MANY,
        "granted_at": TEXT,
        "granted_by": TEXT,
        "granted_why": TEXT,
        "granted_ticket": TEXT,
        "steps_granted_by": MANY,
    },
    "policy": {
        "number": NUMBER,
        "time": TEXT,
        "change": TEXT,
        "what": TEXT,
        "who": TEXT,
        "why": TEXT,
        "ticket": TEXT,
    },
    "records": {
        "place": NUMBER,
        "time": TEXT,
        "verb": TEXT,
        "action": TEXT,
        "outcome": TEXT,
        "subject": TEXT,
        "via": MANY,
        "purpose": TEXT,
        "asserted_by": TEXT,
        "rows_hidden": NUMBER,
        "rules": pa.list_(NUMBER),
        "counts": TEXT,
        "duration_ms": pa.float64(),
        "precise": TEXT,
        "record": TEXT,
    },
    "record_rows": {"place": NUMBER, "id": TEXT, "label": TEXT},
    "runs": {
        "run": TEXT,
        "job": TEXT,
        "state": TEXT,
        "started_at": TEXT,
        "ended_at": TEXT,
        "who": TEXT,
        "documents": NUMBER,
    },
    "erasures": {
        "document": TEXT,
        "erasure": TEXT,
        "label": TEXT,
        "time": TEXT,
        "who": TEXT,
        "why": TEXT,
        "ticket": TEXT,
        "documents": NUMBER,
        "documents_hidden": NUMBER,
        "certificate": TEXT,
        "certified_at": TEXT,
        "clean": YES,
        "key_generation": NUMBER,
    },
    "erased_rows": {"erasure": TEXT, "id": TEXT},
    "log_chain": {"segment": TEXT, "number": NUMBER, "digest": TEXT, "previous": TEXT, "line": TEXT},
    "log_parts": {
        "checkpoint": NUMBER,
        "time": TEXT,
        "segment": TEXT,
        "to": NUMBER,
        "last": TEXT,
        "removed": YES,
    },
    "kept": {"what": TEXT, "id": TEXT, "since": TEXT, "until": TEXT, "state": TEXT},
}
"""Every table with its columns; docs/audit-sql.md says what they hold."""


def table(name: str, rows: Iterable[Iterable[object]]) -> pa.Table:
    """Return rows as a table of that name's columns."""
    columns = SCHEMAS[name]
    whole = [tuple(row) for row in rows]
    return pa.table(
        {
            column: pa.array([row[place] for row in whole], kind)
            for place, (column, kind) in enumerate(columns.items())
        }
    )
