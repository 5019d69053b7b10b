"""Wrap every key of a store anew, without touching what they seal.

Promise: all or nothing, in the caller's transaction; a key that does not open
stops it. Keys are opened one by one and never stored in clear.

Source: DESIGN.md §5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, func, select, tuple_, update

from . import key_schema as schema
from .errors import StoreCorrupt
from .key_schema import label_place, store_place
from .keyrings import WrappedKey
from .seal import Cipher

BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many keys of each kind were wrapped anew."""

    store: int
    label: int
    document: int


def rewrap_all(
    connection: Connection,
    store_id: str,
    old: Callable[[int], Cipher],
    label_keys: Mapping[int, bytes],
    new: tuple[int, Cipher],
) -> Rewrapped:
    """Wrap the keys of store, labels and documents under another generation.

    Args:
        old: Gives the cipher of the generation a key is wrapped under now.
        label_keys: Atom → its label's key, of every label.
        new: Number and cipher of the generation to wrap under.

    Raises:
        StoreCorrupt: A key does not open; roll back.
    """
    generation, cipher = new

    def store_key(row: Row[Any]) -> bytes:
        plain = old(row.generation).open(row.wrapped, store_place(store_id, row.purpose, row.generation))
        return cipher.seal(plain, store_place(store_id, row.purpose, generation))

    def label_key(row: Row[Any]) -> bytes:
        where = label_place(store_id, row.label_digest, row.generation)
        plain = old(row.generation).open(row.wrapped, where)
        return cipher.seal(plain, label_place(store_id, row.label_digest, generation))

    labels = {atom: Cipher(key) for atom, key in label_keys.items()}

    def document_key(row: Row[Any]) -> bytes:
        label = labels.get(row.atom)
        if label is None:
            raise StoreCorrupt("its label is unknown")
        key = WrappedKey(**row._mapping)
        # Of a replaced writing this is its key under the label that one had: no generation stands in that.
        inner = label.open(row.wrapped, key.place(store_id))
        return label.seal(inner, key._replace(generation=generation).place(store_id))

    done = Rewrapped(
        _rewrap(connection, schema.store_keys, store_key, generation),
        _rewrap(connection, schema.label_keys, label_key, generation),
        _rewrap(connection, schema.document_keys, document_key, generation),
    )
    _refuse_left_over(connection, generation)
    return done


def _rewrap(
    connection: Connection, table: Table, rewrapped: Callable[[Row[Any]], bytes], generation: int
) -> int:
    """Go through a table in the order of its key, some rows at a time; return how many there were."""
    key = list(table.primary_key.columns)
    changed = (
        update(table)
        .where(*(column == bindparam(f"key_{column.name}") for column in key))
        .values(generation=generation, wrapped=bindparam("new_wrap"))
    )
    query = select(table).order_by(*key).limit(BATCH_ROWS)
    rows, count = connection.execute(query).all(), 0
    while rows:
        values = []
        for row in rows:
            names = {f"key_{column.name}": getattr(row, column.name) for column in key}
            values.append({**names, "new_wrap": _or_name_it(row, table, rewrapped)})
        connection.execute(changed, values)
        count += len(rows)
        last = [getattr(rows[-1], column.name) for column in key]
        rows = connection.execute(query.where(tuple_(*key) > tuple_(*last))).all()
    return count


def _or_name_it(row: Row[Any], table: Table, rewrapped: Callable[[Row[Any]], bytes]) -> bytes:
    try:
        return rewrapped(row)
    except StoreCorrupt as error:
        raise StoreCorrupt(
            f"key database: the key {row[0]!r} in {table.name} does not open ({error}); "
            "nothing was wrapped anew, the old generation stands",
            hint="put back a copy of keys.db that is whole, or remove what that key is for",
        ) from None


def _refuse_left_over(connection: Connection, generation: int) -> None:
    for table in (schema.store_keys, schema.label_keys, schema.document_keys):
        left = select(func.count()).select_from(table).where(table.c.generation != generation)
        if connection.execute(left).scalar():
            raise StoreCorrupt(f"key database: keys in {table.name} were not wrapped anew; nothing was")
