"""Find rows by their opaque ids: by an index where a table is large, by reading the column where it is not.

Promise: a look-up finds every row, whether an index has it yet or not. What an
index holds are ids and where their rows lie, in the order of the ids, which
are random: nothing that its column does not say.

Must never: leave an index that was made while an erased row was there.

Source: DESIGN.md §8; docs/bench-lineage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .lance_upkeep import Dataset, follows

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "documents": ("id",),
    "chunks": ("id", "document_id"),
    "edges": ("child", "parent"),
}
"""What each table is looked up by."""
ROWS_MIN = 100_000
"""Fewer rows are read about as soon as an index of them is."""
LOOSE_ROWS_MAX = 32_768
"""So many rows may be in no index yet; they are looked through at each look-up."""
FEW = 500
"""Up to so many ids are asked for and their rows read in one question."""
AT_ONCE = 10_000
"""How many ids one question to the index holds."""
SHARE = 16
"""For more ids than one for so many rows, the column is read once and compared."""


def is_due(dataset: Dataset, name: str) -> bool:
    """Say whether :func:`keep_current` has something to do."""
    covered = _covered(dataset)
    if not covered:
        return bool(dataset.count_rows() >= ROWS_MIN)
    return (
        set(covered) != {_named(column) for column in COLUMNS[name]} or _loose(dataset, name) > LOOSE_ROWS_MAX
    )


def keep_current(dataset: Dataset, name: str, version: int) -> int:
    """Bring the indexes of a table up to what was written since; return the version to publish.

    Raises:
        WriterExpelled: Somebody committed in between. Publish nothing.
    """
    if not is_due(dataset, name):
        return version
    covered = _covered(dataset)
    for column in COLUMNS[name]:
        if _named(column) not in covered:
            dataset.create_scalar_index(column, "BTREE", name=_named(column))
            version = follows(dataset.version, version)
    loose = _loose(dataset, name)
    if loose > LOOSE_ROWS_MAX:
        dataset.optimize.optimize_indices(
            index_names=[_named(column) for column in COLUMNS[name]],
            num_indices_to_merge=_to_merge(_pieces(dataset, name), loose),
        )
        version = follows(dataset.version, version)
    return version


def _loose(dataset: Dataset, name: str) -> int:
    """Return how many rows are in no index yet."""
    return int(dataset.count_rows()) - sum(_pieces(dataset, name))


def _pieces(dataset: Dataset, name: str) -> list[int]:
    """Return how many rows each piece of the indexes is of, the oldest first; all of a table have the same."""
    rows = {fragment.fragment_id: fragment.count_rows() for fragment in dataset.get_fragments()}
    return [sum(rows.get(each, 0) for each in piece) for piece in _covered(dataset)[_named(COLUMNS[name][0])]]


def _to_merge(pieces: Sequence[int], loose: int) -> int:
    """Return how many of the newest pieces to take together with the loose rows: those that are no larger.

    So each piece is larger than all that follow it: there are few, and a row is written seldom.
    """
    count, together = 0, loose
    for piece in reversed(pieces):
        if piece > together:
            break
        count, together = count + 1, together + piece
    return count


def drop(dataset: Dataset, version: int) -> int:
    """Take the indexes away; return the version without them.

    Raises:
        WriterExpelled: Somebody committed in between. Publish nothing.
    """
    for name in sorted(_covered(dataset)):
        dataset.drop_index(name)
        version = follows(dataset.version, version)
    return version


def read_whole(dataset: Dataset) -> None:
    """Read every file of the indexes, before they are published: a full disk may have cut one short.

    Raises:
        OSError, ValueError, RuntimeError: Something cannot be read.
    """
    for name in sorted(_covered(dataset)):
        dataset.prewarm_index(name)


def is_whole(dataset: Dataset, name: str) -> bool:
    """Say whether a version has the indexes that a table of its size has."""
    wanted = {_named(column) for column in COLUMNS[name]}
    return dataset.count_rows() < ROWS_MIN or set(_covered(dataset)) == wanted


def is_indexed(dataset: Dataset, column: str) -> bool:
    """Say whether there is an index of a column."""
    return _named(column) in _covered(dataset)


def rows_of(
    dataset: Dataset,
    column: str,
    values: pa.Array,
    names: Sequence[str],
    allowlist: Callable[[npt.NDArray[np.uint64]], bytes],
) -> pa.Table:
    """Return some columns of the rows that have one of some ids in a column, as they lie there.

    Args:
        values: Opaque ids, each once.
        allowlist: Makes the mask of some row addresses.
    """
    if not len(values):
        return dataset.schema.empty_table().select(names)
    found: pa.Table
    if len(values) <= FEW:
        found = dataset.scanner(columns=list(names), filter=pc.field(column).isin(values)).to_table()
    else:
        # In the order of their addresses rows are read in half the time that Lance takes for those of a predicate.
        mask = allowlist(located(dataset, column, values, [])["_rowaddr"].to_numpy())
        found = dataset.scanner(columns=list(names), row_addr_allowlist=mask).to_table()
    return found


def located(dataset: Dataset, column: str, values: pa.Array, names: Sequence[str]) -> pa.Table:
    """Return where the rows lie that have one of some ids in a column, in `_rowaddr`, and columns of few bytes.

    Args:
        values: Opaque ids, each once, at least one.
    """
    found: pa.Table
    if len(values) > AT_ONCE and len(values) * SHARE > dataset.count_rows():
        columns = list(dict.fromkeys([column, *names]))
        every = dataset.scanner(columns=columns, with_row_address=True).to_table()
        found = every.filter(pc.is_in(every[column], value_set=values)).select([*names, "_rowaddr"])
        return found
    # Neighbours in the index stand on the same of its pages.
    ordered = values.take(pc.sort_indices(values))
    pieces = [
        dataset.scanner(
            columns=list(names),
            filter=pc.field(column).isin(ordered.slice(first, AT_ONCE)),
            with_row_address=True,
        ).to_table()
        for first in range(0, len(ordered), AT_ONCE)
    ]
    found = pa.concat_tables(pieces)
    return found


def rewrite(dataset: Dataset, changed: pa.Table) -> None:
    """Give some rows other values in a column, and write no other column.

    Args:
        changed: Opaque ids in `id`, each once, and the column.
    """
    merge = dataset.merge_insert("id").when_matched_update_all().write_mode("rewrite_columns")
    # Asking the index for very many ids takes four times what reading all ids and comparing does.
    merge.use_index(changed.num_rows * SHARE <= dataset.count_rows()).execute(changed)


def _named(column: str) -> str:
    return f"by_{column}"


def _covered(dataset: Dataset) -> dict[str, list[Collection[int]]]:
    """Return the fragments of each piece of each index, the oldest first."""
    return {
        index.name: [frozenset(piece.fragment_ids) for piece in index.segments]
        for index in dataset.describe_indices()
        if index.name.startswith(_named(""))
    }
