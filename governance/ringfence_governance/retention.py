"""Remove the versions no publication that is kept names, and what dead writers left.

Promise: the newest publications stay whole, up to :data:`RETAINED_PUBLICATIONS`
and never back beyond an erasure; only the holder of the lease removes anything.
Keys of writings that only the others show are destroyed with them.
A reader of a version that goes learns at its re-check that the store moved on,
and starts again.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, func, select

from . import catalog_schema as schema
from . import erasure_ledger, publications
from .errors import StoreError
from .ground import Ground
from .leases import WriterLease
from .publications import Publication
from .table_schemas import TABLES

RETAINED_PUBLICATIONS = 8
"""How many publications are kept whole, the newest among them."""
PUBLICATIONS_BETWEEN = 32
"""After so many publications a writer removes older versions by itself, so that none pile up."""


def clean(ground: Ground, lease: WriterLease) -> int:
    """Remove what is not kept; return how many bytes went.

    Raises:
        WriterExpelled: Another writer took the lease; nothing more was removed.
        StoreError: A file cannot be removed; older versions may be left.
    """
    removed = 0
    for name in TABLES:
        with ground.catalog.write() as connection:
            # Under the catalog's lock no writer begins: files he had not committed yet would look left over.
            lease.check(connection)
            removed += ground.tables.clean(name, {each.versions[name] for each in _kept(connection)})
    with ground.catalog.write() as connection:
        # After the versions: a reader of an older publication finds it gone, not rows of it without their keys.
        lease.check(connection)
        ground.keys.forget_replaced(_kept(connection)[-1].sequence)
    return removed


def _kept(connection: Connection) -> tuple[Publication, ...]:
    horizon = erasure_ledger.version(connection)
    return publications.newest_few(connection, RETAINED_PUBLICATIONS, after=horizon)


def clean_now_and_then(ground: Ground, lease: WriterLease) -> None:
    """Remove what is not kept, at every 32nd publication; what cannot be removed is left to the next."""
    with ground.catalog.read() as connection:
        count = connection.execute(select(func.count()).select_from(schema.publications)).scalar() or 0
    if count % PUBLICATIONS_BETWEEN == 0:
        # It was published: that older versions are left is no reason to say it was not.
        with suppress(StoreError):
            clean(ground, lease)
