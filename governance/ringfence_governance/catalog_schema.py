"""The catalog's tables as they are now.

Every change here needs a step in `catalog_migrations` that makes the same of a
catalog that stands; a test compares the two.

Promise: names of labels, documents and principals are sealed here; what
stands in clear is opaque ids, integers, times and keyed digests.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

Number = BigInteger().with_variant(Integer, "sqlite")
"""A sequence number: 64 bits in either database. SQLite counts up by itself only in a column named INTEGER."""

meta = Table(
    "meta", metadata, Column("name", String, primary_key=True), Column("value", Text, nullable=False)
)

# One sequence numbers everything a reader's answer depends on.
entries = Table(
    "entries",
    metadata,
    Column("sequence", Number, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("at", String, nullable=False),
    sqlite_autoincrement=True,
)

journal = Table(
    "journal",
    metadata,
    Column("sequence", Number, ForeignKey("entries.sequence"), primary_key=True),
    Column("kind", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("previous", String, nullable=False),
    Column("digest", String, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("atom", Integer, primary_key=True, autoincrement=True),
    Column("value_digest", String, nullable=False, unique=True),
    Column("sealed_id", LargeBinary, nullable=False),
    Column("sequence", Number, ForeignKey("entries.sequence"), nullable=False),
    sqlite_autoincrement=True,
)

# History of what a label means; a compound label's parts stand here too.
label_versions = Table(
    "label_versions",
    metadata,
    Column("atom", Integer, ForeignKey("labels.atom"), primary_key=True),
    Column("sequence", Number, ForeignKey("entries.sequence"), primary_key=True),
    Column("definition", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("job", String, nullable=False),
    Column("state", String, nullable=False),
    Column("started_at", String, nullable=False),
    Column("ended_at", String),
    Column("detail", LargeBinary, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("sequence", Number, ForeignKey("entries.sequence"), primary_key=True),
    Column("run_id", String, ForeignKey("runs.run_id"), nullable=False),
    Column("lease", Integer, nullable=False),
    Column("versions", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("holder", String, nullable=False),
    Column("host", String, nullable=False),
    Column("process", Integer, nullable=False),
    Column("expires_at", String, nullable=False),
)

# What each source holds now: written in the transaction that publishes it.
manifest = Table(
    "manifest",
    metadata,
    Column("document_id", String, primary_key=True),
    Column("source_id", String, ForeignKey("sources.source_id"), nullable=False, index=True),
    Column("path_digest", String, nullable=False),
    Column("content_digest", String, nullable=False),
    Column("atom", Integer, ForeignKey("labels.atom"), nullable=False),
    Column("run_id", String, ForeignKey("runs.run_id"), nullable=False),
    Column("sealed_path", LargeBinary, nullable=False),
    UniqueConstraint("source_id", "path_digest"),
)

sources = Table(
    "sources",
    metadata,
    Column("source_id", String, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("segment_id", String, primary_key=True),
    Column("opened_at", String, nullable=False),
    Column("host", String, nullable=False),
    Column("process", Integer, nullable=False),
)

# Which step of `catalog_migrations` led to which version, and when; empty in a store that was made new.
migrations = Table(
    "migrations",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("what", String, nullable=False),
    Column("at", String, nullable=False),
)

# What was erased: names of documents are opaque ids; who, why and ticket are sealed. Rows are only ever added.
erasures = Table(
    "erasures",
    metadata,
    Column("erasure_id", String, primary_key=True),
    Column("sequence", Number, ForeignKey("entries.sequence"), nullable=False, unique=True),
    Column("documents", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    # Digest of the certificate; null until the erasure is finished.
    Column("certificate", String),
)

# Events of lineage that no backend has taken yet, in the order they happened; sealed.
lineage_queue = Table(
    "lineage_queue",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("at", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
