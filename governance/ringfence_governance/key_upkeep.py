"""Forget the wrapped keys of documents that nothing needs any more.

Promise: a wrap that the manifest names is never dropped: the catalog's write
lock is held between look and deed, so no writer publishes meanwhile, and only
the holder of the lease drops any.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from . import manifest
from .ground import Ground
from .key_schema import ANY_RUN, STANDING
from .keyrings import KeyName
from .leases import WriterLease


def forget(ground: Ground, lease: WriterLease, documents: Collection[str]) -> None:
    """Drop the wraps of some documents that a publication made stale.

    Raises:
        WriterExpelled: Another writer took the lease; nothing was dropped.
    """
    if not documents:
        return
    with ground.catalog.write() as connection:
        lease.check(connection)
        standing = manifest.standing(connection, documents)
        ground.keys.forget(_unneeded(ground.keys.names(documents), standing), swept=True)


def forget_left(ground: Ground, lease: WriterLease) -> None:
    """Drop every wrap that the manifest does not name: what writers left who died before or after they published.

    Raises:
        WriterExpelled: Another writer took the lease; nothing was dropped.
    """
    with ground.catalog.write() as connection:
        lease.check(connection)
        left = list(_unneeded(ground.keys.names(), manifest.standing(connection)))
        if left or ground.keys.unswept:
            ground.keys.forget(left, swept=True)


def _unneeded(names: Iterable[KeyName], standing: Mapping[str, tuple[int, str]]) -> Iterator[KeyName]:
    """Yield the names of keys that open nothing of what stands, nor of what stood while its document has this label."""
    by_document: dict[str, list[KeyName]] = defaultdict(list)
    for name in names:
        by_document[name.document_id].append(name)
    for document_id, found in by_document.items():
        atom, run_id = standing.get(document_id, (STANDING, ANY_RUN))
        own = KeyName(document_id, atom, run_id, STANDING) in found
        if document_id in standing and not own and KeyName(document_id, atom, ANY_RUN, STANDING) not in found:
            # No writer leaves a document without a key: the catalog is older than the keys, which may be needed yet.
            continue
        for name in found:
            if name.atom != atom:
                yield name
            elif name.former != STANDING:
                # Of the writing that stands: who would have replaced it died before he published.
                if name.run_id == run_id:
                    yield name
            elif name.run_id != run_id and (own or name.run_id != ANY_RUN):
                yield name
