"""Keep a table's files few and free of what was deleted, on datasets the table module opened.

Promise: a version that is materialised is made of files that hold no deleted
row, and its own record names none; cleaning removes the versions it is told
to and no other, and what a dead writer left.

Source: DESIGN.md §5 (*Erase*). A plain delete leaves the row in its file, and
the predicate in the version's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .errors import StoreError, WriterExpelled

Dataset: TypeAlias = Any
"""A LanceDataset, as the table module opened it; only that module imports Lance."""
ROWS_PER_FILE = 1 << 20
"""How many rows Lance writes into one file; fewer rows in more files are worth writing anew."""
ROWS_TOGETHER = 4096
"""How many rows are in memory at once while a table is written in order."""
COMPACTIONS = ("Rewrite", "BaseOperation")
"""What compacting commits: new fragments, and first the numbers they get, which pylance knows by no name."""


def follows(found: int, previous: int) -> int:
    """Return a version that came right after another.

    Raises:
        WriterExpelled: Somebody committed in between. Publish nothing.
    """
    if found != previous + 1:
        raise WriterExpelled(
            f"another writer committed in between (found version {found}, expected {previous + 1}); "
            "nothing was published",
            hint="run the command again",
        )
    return found


def materialise(dataset: Dataset, version: int) -> int:
    """Write anew what has deleted rows; return the version without them, whose record names no row.

    Raises:
        WriterExpelled: Somebody else committed meanwhile. Publish nothing.
    """
    dataset.optimize.compact_files(materialize_deletions=True, materialize_deletions_threshold=0.0)
    found = int(dataset.version)
    done = dataset.get_transactions(found - version) if found > version else []
    if any(type(each.operation).__name__ not in COMPACTIONS for each in done if each is not None):
        follows(found + 1, version)
    if found == version:
        # Nothing was left to rewrite, so the last commit is a delete, whose predicate lies in its transaction.
        dataset.restore()
        found = follows(dataset.version, version)
    return found


def clean(dataset: Dataset, kept: Collection[int]) -> int:
    """Remove every version but some, and files no version needs; return how many bytes went."""
    versions = [int(each["version"]) for each in dataset.versions()]
    gone = [version for version in versions if version not in kept and version != dataset.version]
    # Files of a writer at work look like those of a dead one: only the lease's holder may do this.
    if gone:
        stats = dataset.cleanup_old_versions(versions=gone, delete_unverified=True)
    else:
        stats = dataset.cleanup_old_versions(retain_versions=len(versions), delete_unverified=True)
    return int(stats.bytes_removed)


def made_of(dataset: Dataset) -> dict[tuple[object, ...], Any]:
    """Return the fragments of a version, each by what it is made of: its number, files, sizes and deletions.

    Lance never writes to a file again that it has written, so two versions that have the same of these
    have the same rows there.
    """
    return {
        (
            fragment.fragment_id,
            tuple((file.path, file.file_size_bytes) for file in fragment.data_files()),
            fragment.deletion_file(),
        ): fragment
        for fragment in dataset.get_fragments()
    }


def read_new(
    dataset: Dataset, published: Dataset, name: str, sizes: Callable[[Collection[str]], Mapping[str, int]]
) -> None:
    """Read every file of a version that the published one has not, before it is published.

    Lance writes the end of a file in the background and loses the error if that fails, on a full disk
    say: it commits a version that cannot be read. Found by tests/ground/test_faults.py. What the
    published version is made of was read the same way before it was published.

    Args:
        sizes: Returns the sizes that some files have where they lie.

    Raises:
        StoreError: Something cannot be read. Publish nothing.
    """
    known, found = set(made_of(published)), made_of(dataset)
    new = [fragment for made, fragment in found.items() if made not in known]
    if len({fragment.fragment_id for fragment in found.values()}) != len(dataset.get_fragments()):
        raise StoreError(f"the {name} table has a fragment twice; nothing was published")
    expected = {file.path: file.file_size_bytes for fragment in new for file in fragment.data_files()}
    if sizes(expected) != expected:
        raise StoreError(f"the {name} table was not written whole; nothing was published")
    for fragment in new:
        fragment.validate()
    if new:
        dataset.scanner(columns=["id", "atom"], fragments=new).to_table()


def is_clustered(dataset: Dataset, columns: Sequence[str]) -> bool:
    """Say whether the rows lie in order, in as few files as they need, none deleted."""
    fragments = dataset.get_fragments()
    if len(fragments) > 1 + dataset.count_rows() // ROWS_PER_FILE:
        return False
    if any(fragment.num_deletions or len(fragment.data_files()) > 1 for fragment in fragments):
        return False
    found = order(dataset, columns)
    return bool((found == np.arange(len(found))).all())


def order(dataset: Dataset, columns: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the places of all rows, in the order of some columns."""
    keys = dataset.to_table(columns=list(columns))
    found = pc.sort_indices(keys, sort_keys=[(column, "ascending") for column in columns])
    places: npt.NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return places


def in_order(
    dataset: Dataset, places: npt.NDArray[np.int64], report: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in an order, some thousand at a time."""
    for start in range(0, len(places), ROWS_TOGETHER):
        part = places[start : start + ROWS_TOGETHER]
        yield from dataset.take(part.tolist()).combine_chunks().to_batches()
        report(start + len(part))
