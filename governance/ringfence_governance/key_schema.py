"""The key database's tables, and what each wrapped key in them is bound to.

Promise: no key and no label's name lies here in clear.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

from .seal import place

FORMAT = 3
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
# One key for each writing of a document. `former` and `until` are of one that was written anew since.
document_keys = Table(
    "document_keys",
    metadata,
    Column("document_id", String, primary_key=True),
    Column("atom", Integer, primary_key=True),
    Column("run_id", String, primary_key=True),
    Column("former", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("until", Integer, nullable=False),
)

STANDING = -1
"""In place of the former atom: the key of a writing that stands, or will once it is published."""
ANY_RUN = ""
"""In place of the run: a key from before format 3, which every writing of its document until then has."""


def generation_place(store_id: str, generation: int) -> bytes:
    """Return what a generation's key-encryption key is bound to, under the provider."""
    return place("generation", store_id, generation)


def store_place(store_id: str, purpose: str, generation: int) -> bytes:
    """Return what one of the store's own keys is bound to, under its generation's key."""
    return place("store", store_id, purpose, generation)


def label_place(store_id: str, label_digest: str, generation: int) -> bytes:
    """Return what a label's key is bound to, under its generation's key."""
    return place("label", store_id, label_digest, generation)


def document_place(
    store_id: str, document_id: str, atom: int, run_id: str, former: int, generation: int
) -> bytes:
    """Return what the key of a document's writing is bound to, under the key of the label the document has."""
    if former != STANDING:
        return place("replaced", store_id, document_id, atom, run_id, former, generation)
    if run_id == ANY_RUN:
        return place("document", store_id, document_id, atom, generation)
    return place("writing", store_id, document_id, atom, run_id, generation)


def former_place(store_id: str, document_id: str, run_id: str, former: int) -> bytes:
    """Return what the key of a replaced writing is bound to, under the key of the label that one had last."""
    return place("former", store_id, document_id, run_id, former)
