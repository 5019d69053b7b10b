"""The key database's tables, and what each wrapped key in them is bound to.

Promise: no key and no label's name lies here in clear.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

from .seal import place

FORMAT = 2
"""Raised with each change of a table's shape or of what a wrapped key is bound to."""

metadata = MetaData()

meta = Table(
    "key_meta", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False)
)

# One key-encryption key for each master generation, wrapped by the provider; without it, it is retired.
generations = Table(
    "generations",
    metadata,
    Column("generation", Integer, primary_key=True),
    Column("wrapped", LargeBinary),
    Column("made_at", String, nullable=False),
    Column("retired_at", String),
)
store_keys = Table(
    "store_keys",
    metadata,
    Column("purpose", String, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
label_keys = Table(
    "label_keys",
    metadata,
    Column("label_digest", String, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
document_keys = Table(
    "document_keys",
    metadata,
    Column("document_id", String, primary_key=True),
    Column("atom", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)


def generation_place(store_id: str, generation: int) -> bytes:
    """Return what a generation's key-encryption key is bound to, under the provider."""
    return place("generation", store_id, generation)


def store_place(store_id: str, purpose: str, generation: int) -> bytes:
    """Return what one of the store's own keys is bound to, under its generation's key."""
    return place("store", store_id, purpose, generation)


def label_place(store_id: str, label_digest: str, generation: int) -> bytes:
    """Return what a label's key is bound to, under its generation's key."""
    return place("label", store_id, label_digest, generation)


def document_place(store_id: str, document_id: str, atom: int, generation: int) -> bytes:
    """Return what a document's key is bound to, under its label's key."""
    return place("document", store_id, document_id, atom, generation)
