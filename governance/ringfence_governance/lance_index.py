"""Keep the indexes of an indexed store's chunks current, and ask them, on datasets the table module opened.

Promise: a version that is published has both indexes; few of its rows are in
neither, and those are looked through one by one. Every question passes an
allowlist. What comes back is which rows may matter, never a score.

Must never: let Lance's own score or order leave; leave an index that was made
while an erased row was there.

Source: DESIGN.md §5, §7; docs/decisions/0015-indexed-stores.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import StoreCorrupt
from .lance_upkeep import Dataset, follows
from .table_schemas import BLINDED, ROTATED

VECTORS, WORDS = "vectors", "words"
LOOSE_ROWS_MAX = 4096
"""So many rows, or this share of all of them if that is more, may be in no index yet."""
LOOSE_SHARE = 16
PIECES_MAX = 8
"""An index that was added to so often is made anew."""
GROWN = 4
"""So is one whose table has become so many times as large."""
REFINED = 5
"""So many times as many rows as are wanted are compared by their whole vectors."""
MARGIN = 16
"""So many more are asked for than are wanted, for vectors that differ by less than rounding does."""


def make(dataset: Dataset, version: int) -> int:
    """Make both indexes over all rows; return the version that has them.

    Raises:
        WriterExpelled: Somebody committed in between. Publish nothing.
    """
    dataset.create_scalar_index(
        BLINDED,
        "INVERTED",
        name=WORDS,
        replace=True,
        base_tokenizer="whitespace",
        stem=False,
        remove_stop_words=False,
        lower_case=False,
        ascii_folding=False,
        max_token_length=None,
    )
    version = follows(dataset.version, version)
    partitions = max(1, math.isqrt(dataset.count_rows()))
    # Over unit vectors the order by this distance is the order by cosine.
    dataset.create_index(
        ROTATED, "IVF_RQ", name=VECTORS, metric="l2", num_partitions=partitions, replace=True
    )
    return follows(dataset.version, version)


def drop(dataset: Dataset, version: int) -> int:
    """Take both indexes away; return the version without them."""
    for name in sorted(_covered(dataset)):
        dataset.drop_index(name)
        version = follows(dataset.version, version)
    return version


def keep_current(dataset: Dataset, version: int) -> int:
    """Bring the indexes up to what was written since; return the version to publish.

    Raises:
        WriterExpelled: Somebody committed in between. Publish nothing.
    """
    covered = _covered(dataset)
    if not is_whole(dataset):
        return make(dataset, version)
    rows = {fragment.fragment_id: fragment.count_rows() for fragment in dataset.get_fragments()}
    every = sum(rows.values())
    for pieces in covered.values():
        loose = every - sum(rows.get(each, 0) for piece in pieces for each in piece)
        first = max(sum(rows.get(each, 0) for each in piece) for piece in pieces)
        if loose <= max(LOOSE_ROWS_MAX, every // LOOSE_SHARE):
            continue
        if len(pieces) >= PIECES_MAX or every > GROWN * first:
            return make(dataset, version)
        dataset.optimize.optimize_indices(index_names=[VECTORS, WORDS], num_indices_to_merge=0)
        return follows(dataset.version, version)
    return version


def read_whole(dataset: Dataset) -> None:
    """Read every file of both indexes, before they are published: a full disk may have cut one short.

    Raises:
        OSError, ValueError, RuntimeError: Something cannot be read.
    """
    # Of no row there is nothing to read, and Lance refuses to.
    for name in (VECTORS, WORDS) if dataset.count_rows() else ():
        dataset.prewarm_index(name)


def is_whole(dataset: Dataset) -> bool:
    """Say whether a version has both indexes."""
    return set(_covered(dataset)) == {VECTORS, WORDS}


def refuse_unindexed(dataset: Dataset) -> None:
    """Refuse a version without its indexes: words would be looked for by another rule.

    Raises:
        StoreCorrupt: One is missing.
    """
    if missing := {VECTORS, WORDS} - set(_covered(dataset)):
        raise StoreCorrupt(
            f"the chunks table has no index of its {' and '.join(sorted(missing))}; nothing was read",
            hint="make them anew with 'ringfence compact'",
        )


def facts(dataset: Dataset) -> list[dict[str, object]]:
    """Return of each index its name, how many pieces it has and how many rows they were made over."""
    rows = {fragment.fragment_id: fragment.count_rows() for fragment in dataset.get_fragments()}
    return [
        {
            "index": name,
            "pieces": len(pieces),
            "rows": sum(rows.get(each, 0) for piece in pieces for each in piece),
            "of": sum(rows.values()),
        }
        for name, pieces in sorted(_covered(dataset).items())
    ]


def _covered(dataset: Dataset) -> dict[str, list[frozenset[int]]]:
    """Return the fragments of each piece of each index."""
    return {
        index.name: [frozenset(piece.fragment_ids) for piece in index.segments]
        for index in dataset.describe_indices()
        if index.name in (VECTORS, WORDS)
    }


def nearest(dataset: Dataset, mask: bytes, query: npt.NDArray[np.float32], wanted: int) -> pa.Table:
    """Return atom and `_rowaddr` of the rows nearest to a vector, about; every partition is looked at.

    Args:
        query: float32 of shape (p,), rotated.
        wanted: How many; somewhat more come back, if there are.
    """
    asked = {
        "column": ROTATED,
        "q": query,
        "k": wanted + MARGIN,
        "search_effort": 1.0,
        "refine_factor": REFINED,
    }
    found: pa.Table = dataset.scanner(
        columns=["atom", "_distance"], nearest=asked, row_addr_allowlist=mask, with_row_address=True
    ).to_table()
    return found.select(["atom", "_rowaddr"])


def holding(dataset: Dataset, mask: bytes, token: str) -> pa.Table:
    """Return atom and `_rowaddr` of every row that holds a token."""
    rows = dataset.count_rows()
    if not rows:
        return (
            dataset.schema.empty_table().select(["atom"]).append_column("_rowaddr", pa.array([], pa.uint64()))
        )
    found: pa.Table = dataset.scanner(
        columns=["atom", "_score"],
        full_text_query={"query": token, "columns": [BLINDED]},
        limit=rows,
        row_addr_allowlist=mask,
        with_row_address=True,
    ).to_table()
    return found.select(["atom", "_rowaddr"])


def held_elsewhere(dataset: Dataset, documents: Collection[str], cells: Collection[bytes]) -> set[bytes]:
    """Return which beginnings of rotated vectors are of rows of other documents too: an equal text's are equal.

    Args:
        cells: Some bytes each, all of one length.
    """
    found: set[bytes] = set()
    if not cells:
        return found
    size, skipped = len(next(iter(cells))), pa.array(sorted(documents), pa.string())
    for batch in dataset.scanner(columns=["document_id", ROTATED]).to_batches():
        others = batch.filter(pc.invert(pc.is_in(batch["document_id"], value_set=skipped)))
        # A batch is of one fragment: there may be nothing in it but the documents that are left out.
        if others.num_rows:
            flat = np.asarray(others[ROTATED].flatten(), "<f4").reshape(others.num_rows, -1)
            found |= {row[:size].tobytes() for row in flat.view(np.uint8)} & set(cells)
    return found
