"""Let nothing but opaque ids into a predicate: what stands in one, Lance writes down."""

from __future__ import annotations

import re
from collections.abc import Collection

from .errors import StoreError

_OPAQUE = re.compile("[0-9a-f]{32}")
IDS_PER_PREDICATE = 500
"""How many ids one delete or look-up predicate holds."""


def in_batches(ids: Collection[str]) -> list[list[str]]:
    """Return ids in order, as many together as one predicate holds.

    Raises:
        StoreError: One is not opaque.
    """
    ordered = sorted(opaque(ids))
    return [ordered[start : start + IDS_PER_PREDICATE] for start in range(0, len(ordered), IDS_PER_PREDICATE)]


def opaque(ids: Collection[str]) -> Collection[str]:
    """Return ids if each is one.

    Raises:
        StoreError: One is no 32 hexadecimal digits. Nothing was read or written.
    """
    for row_id in ids:
        if not _OPAQUE.fullmatch(row_id):
            raise StoreError(
                "a row id is not opaque; expected 32 hexadecimal digits; nothing was read or written"
            )
    return ids
