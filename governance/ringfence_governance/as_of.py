"""Make the opaque handle that tells a reader whether his data is as it was.

Promise: equal for equal readable labels and rows, and nothing else goes in:
no atom, version, sequence number, size or time of the store. Two stores that
differ only in what a reader may not read give him the same handle.

Source: DESIGN.md §2, promise 4.
"""

from __future__ import annotations

from collections import defaultdict

from . import rows
from .grants import Grant
from .ground import Ground
from .label_table import LabelTable
from .labels import LabelEntry
from .seal import digest

DIGITS = 32


def handle(ground: Ground, grant: Grant) -> str:
    """Return the handle of what a grant reads: 32 hexadecimal digits."""
    key = ground.keys.store_key("as_of")
    by_atom: dict[int, list[str]] = defaultdict(list)
    for atom, document_id, run_id in rows.run_ids(ground, grant):
        by_atom[atom].append(f"{document_id}:{run_id}")
    parts = sorted(
        digest(key, "label", _canonical(grant.table, grant.table.entries[atom]), *sorted(held))
        for atom, held in by_atom.items()
    )
    return digest(key, "as of", *parts)[:DIGITS]


def _canonical(table: LabelTable, entry: LabelEntry) -> bytes:
    described = [
        (label_id.encode() if "/label:~" not in label_id else b"") + b"\0" + definition.canonical_bytes()
        for label_id, definition in table.definitions(entry)
    ]
    return b"\n".join(sorted(described))
