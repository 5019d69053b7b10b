"""Let nothing but opaque ids into a predicate: what stands in one, Lance writes down."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import StoreError

_OPAQUE = re.compile("[0-9a-f]{32}")
_LENGTH = 32
_DIGITS = np.zeros(256, bool)
_DIGITS[list(b"0123456789abcdef")] = True
IDS_PER_PREDICATE = 500
"""How many ids one delete's predicate holds."""

Ids: TypeAlias = Collection[str] | pa.Array | pa.ChunkedArray
"""Opaque ids; arrays where there are many."""


def in_batches(ids: Collection[str]) -> list[list[str]]:
    """Return ids in order, as many together as one predicate holds.

    Raises:
        StoreError: One is not opaque.
    """
    ordered = sorted(opaque(ids))
    return [ordered[start : start + IDS_PER_PREDICATE] for start in range(0, len(ordered), IDS_PER_PREDICATE)]


def each_once(ids: Ids) -> pa.Array:
    """Return ids as an array, each once.

    Raises:
        StoreError: As :func:`opaque`.
    """
    given = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(list(ids), pa.string())
    made = pc.unique(given)
    held = pc.equal(pc.binary_length(made), _LENGTH)
    if not pc.all(held, skip_nulls=False, min_count=0).as_py():
        raise _not_opaque()
    # All of them have one length, so they lie one behind the other: quicker than a pattern for each.
    if len(made) and not _DIGITS[np.frombuffer(made.buffers()[2], np.uint8, len(made) * _LENGTH)].all():
        raise _not_opaque()
    return made


def opaque(ids: Collection[str]) -> Collection[str]:
    """Return ids if each is one.

    Raises:
        StoreError: One is no 32 hexadecimal digits. Nothing was read or written.
    """
    for row_id in ids:
        if not _OPAQUE.fullmatch(row_id):
            raise _not_opaque()
    return ids


def _not_opaque() -> StoreError:
    return StoreError("a row id is not opaque; expected 32 hexadecimal digits; nothing was read or written")
