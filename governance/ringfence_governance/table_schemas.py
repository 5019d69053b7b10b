"""Say what the store's tables are made of, and what a writer may do to one.

Promise: every row of every table has an id, an atom and a run; whatever is
of the content is sealed; no column may be null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from .store_modes import SEALED, StoreMode


def _schema(*sealed: str, extra: Sequence[pa.Field] = ()) -> pa.Schema:
    common = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("atom", pa.int32(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
    return pa.schema([*common, *extra, *(pa.field(name, pa.binary(), nullable=False) for name in sealed)])


SCHEMAS: Mapping[str, pa.Schema] = {
    "documents": _schema("metadata", "text"),
    "chunks": _schema(
        "metadata",
        "text",
        "vector",
        "terms",
        extra=[
            pa.field("document_id", pa.string(), nullable=False),
            pa.field("ordinal", pa.int32(), nullable=False),
            pa.field("token_count", pa.int32(), nullable=False),
        ],
    ),
    "edges": _schema(
        extra=[
            pa.field("child", pa.string(), nullable=False),
            pa.field("parent", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
        ]
    ),
}
"""The three tables of a sealed store. Every row has an id, an atom and a run; no column may be null."""

TABLES = tuple(SCHEMAS)
ORDERS: Mapping[str, tuple[str, ...]] = {
    "documents": ("atom", "id"),
    "chunks": ("atom", "document_id", "ordinal"),
    "edges": ("atom", "child", "id"),
}
"""The order compaction writes rows in: those of one label together."""
ROTATED, BLINDED, WORD_COUNT = "rotated", "blinded", "word_count"
"""What the chunks of an indexed store have besides: in clear, though blinded. See :mod:`blinding`."""


def schemas(mode: StoreMode = SEALED) -> Mapping[str, pa.Schema]:
    """Return the schema of each table of a store."""
    if not mode.indexed:
        return SCHEMAS
    # As Lance keeps it: it knows no list whose numbers may not be null.
    number = pa.field("item", pa.float32())
    added = [
        pa.field(ROTATED, pa.list_(number, mode.padded), nullable=False),
        pa.field(BLINDED, pa.string(), nullable=False),
        pa.field(WORD_COUNT, pa.int32(), nullable=False),
    ]
    return {**SCHEMAS, "chunks": pa.schema([*SCHEMAS["chunks"], *added])}


Versions = Mapping[str, int]
"""One publication: table → Lance version."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """What a writer does to one table: delete, give other atoms, then append.

    Args:
        deleted: Row ids.
        atoms: The new atom of each row that gets one; see :func:`moved`.
        appended: Rows in the table's schema, or None.
        materialised: Write fragments that have deleted rows anew, so that no file of the new version holds them;
            an index is made anew too.
        clustered: Write all rows anew in the order of :data:`ORDERS`.
        on_progress: Called with table, rows written and rows to write while they are clustered.
    """

    deleted: tuple[str, ...] = ()
    atoms: pa.Table | None = None
    appended: pa.Table | None = None
    materialised: bool = False
    clustered: bool = False
    on_progress: Callable[[str, int, int], None] | None = None


def moved(atoms: Mapping[str, int]) -> pa.Table:
    """Return rows with their new atoms: columns `id`, string, and `atom`, int32."""
    return pa.table(
        {"id": pa.array(list(atoms), pa.string()), "atom": pa.array(list(atoms.values()), pa.int32())}
    )
