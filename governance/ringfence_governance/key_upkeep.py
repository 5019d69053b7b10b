"""Forget the wrapped keys of documents that nothing needs any more.

Promise: a wrap that the manifest names is never dropped: the catalog's write
lock is held between look and deed, so no writer publishes meanwhile, and only
the holder of the lease drops any.
"""

from __future__ import annotations

from collections.abc import Collection

from . import manifest
from .ground import Ground
from .leases import WriterLease


def forget(ground: Ground, lease: WriterLease, stale: Collection[tuple[str, int]]) -> None:
    """Drop the wraps that a publication made stale.

    Args:
        stale: (document id, atom) of each.

    Raises:
        WriterExpelled: Another writer took the lease; nothing was dropped.
    """
    if not stale:
        return
    with ground.catalog.write() as connection:
        lease.check(connection)
        current = manifest.current_pairs(connection, [document_id for document_id, _ in stale])
        ground.keys.forget([pair for pair in stale if pair not in current])


def forget_left(ground: Ground, lease: WriterLease) -> None:
    """Drop every wrap that the manifest does not name: what writers left who died before or after they published.

    Raises:
        WriterExpelled: Another writer took the lease; nothing was dropped.
    """
    with ground.catalog.write() as connection:
        lease.check(connection)
        if left := ground.keys.pairs() - manifest.all_pairs(connection):
            ground.keys.forget(left)
