"""Keep a table's files few and free of what was deleted, on datasets the table module opened.

Promise: a version that is materialised is made of files that hold no deleted
row, and its own record names none; cleaning removes the versions it is told
to and no other, and what a dead writer left.

Source: DESIGN.md §5 (*Erase*). A plain delete leaves the row in its file, and
the predicate in the version's transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from .errors import WriterExpelled

if TYPE_CHECKING:
    import lance

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


def materialise(dataset: lance.LanceDataset, version: int) -> int:
    """Write anew what has deleted rows; return the version without them, whose record names no row.

    Raises:
        WriterExpelled: Somebody else committed meanwhile. Publish nothing.
    """
    dataset.optimize.compact_files(materialize_deletions=True, materialize_deletions_threshold=0.0)
    found = dataset.version
    done = dataset.get_transactions(found - version) if found > version else []
    if any(type(each.operation).__name__ not in COMPACTIONS for each in done if each is not None):
        follows(found + 1, version)
    if found == version:
        # Nothing was left to rewrite, so the last commit is a delete, whose predicate lies in its transaction.
        dataset.restore()
        found = follows(dataset.version, version)
    return found


def clean(dataset: lance.LanceDataset, kept: Collection[int]) -> int:
    """Remove every version but some, and files no version needs; return how many bytes went."""
    versions = [int(each["version"]) for each in dataset.versions()]
    gone = [version for version in versions if version not in kept and version != dataset.version]
    # Files of a writer at work look like those of a dead one: only the lease's holder may do this.
    if gone:
        stats = dataset.cleanup_old_versions(versions=gone, delete_unverified=True)
    else:
        stats = dataset.cleanup_old_versions(retain_versions=len(versions), delete_unverified=True)
    return int(stats.bytes_removed)
