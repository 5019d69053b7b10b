"""The catalog's tables as each version of the software made them, frozen: what a store of that version holds.

Nothing here follows `catalog_schema`. When a version is added, the one before it is written down here.
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

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _version_1() -> MetaData:
    tables = MetaData()
    Table("meta", tables, Column("name", String, primary_key=True), Column("value", Text, nullable=False))
    Table(
        "entries",
        tables,
        Column("sequence", _NUMBER, primary_key=True, autoincrement=True),
        Column("kind", String, nullable=False),
        Column("at", String, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "journal",
        tables,
        Column("sequence", _NUMBER, ForeignKey("entries.sequence"), primary_key=True),
        Column("kind", String, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("previous", String, nullable=False),
        Column("digest", String, nullable=False),
    )
    Table(
        "labels",
        tables,
        Column("atom", Integer, primary_key=True, autoincrement=True),
        Column("value_digest", String, nullable=False, unique=True),
        Column("sealed_id", LargeBinary, nullable=False),
        Column("sequence", _NUMBER, ForeignKey("entries.sequence"), nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "label_versions",
        tables,
        Column("atom", Integer, ForeignKey("labels.atom"), primary_key=True),
        Column("sequence", _NUMBER, ForeignKey("entries.sequence"), primary_key=True),
        Column("definition", LargeBinary, nullable=False),
    )
    Table(
        "runs",
        tables,
        Column("run_id", String, primary_key=True),
        Column("job", String, nullable=False),
        Column("state", String, nullable=False),
        Column("started_at", String, nullable=False),
        Column("ended_at", String),
        Column("detail", LargeBinary, nullable=False),
    )
    Table(
        "publications",
        tables,
        Column("sequence", _NUMBER, ForeignKey("entries.sequence"), primary_key=True),
        Column("run_id", String, ForeignKey("runs.run_id"), nullable=False),
        Column("lease", Integer, nullable=False),
        Column("versions", Text, nullable=False),
    )
    Table(
        "leases",
        tables,
        Column("name", String, primary_key=True),
        Column("number", Integer, nullable=False),
        Column("holder", String, nullable=False),
        Column("host", String, nullable=False),
        Column("process", Integer, nullable=False),
        Column("expires_at", String, nullable=False),
    )
    Table(
        "sources",
        tables,
        Column("source_id", String, primary_key=True),
        Column("digest", String, nullable=False, unique=True),
        Column("sealed", LargeBinary, nullable=False),
    )
    Table(
        "manifest",
        tables,
        Column("document_id", String, primary_key=True),
        Column("source_id", String, ForeignKey("sources.source_id"), nullable=False, index=True),
        Column("path_digest", String, nullable=False),
        Column("content_digest", String, nullable=False),
        Column("atom", Integer, ForeignKey("labels.atom"), nullable=False),
        Column("run_id", String, ForeignKey("runs.run_id"), nullable=False),
        Column("sealed_path", LargeBinary, nullable=False),
        UniqueConstraint("source_id", "path_digest"),
    )
    Table(
        "segments",
        tables,
        Column("segment_id", String, primary_key=True),
        Column("opened_at", String, nullable=False),
        Column("host", String, nullable=False),
        Column("process", Integer, nullable=False),
    )
    return tables


def _version_2() -> MetaData:
    tables = _version_1()
    Table(
        "migrations",
        tables,
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("what", String, nullable=False),
        Column("at", String, nullable=False),
    )
    return tables


def _version_3() -> MetaData:
    tables = _version_2()
    Table(
        "erasures",
        tables,
        Column("erasure_id", String, primary_key=True),
        Column("sequence", _NUMBER, ForeignKey("entries.sequence"), nullable=False, unique=True),
        Column("documents", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("certificate", String),
    )
    return tables


SHAPES: dict[int, MetaData] = {1: _version_1(), 2: _version_2(), 3: _version_3()}
"""Version → its tables; every version but the newest stands here."""
