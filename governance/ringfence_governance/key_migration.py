"""Bring a key database of an older format to the next one, each step in one transaction.

Promise: a crash leaves the format before a step or the one after it, whole. From
format 1 every key of store and labels is opened and wrapped anew; one that does not
open stops it, and so does a document's key whose label the catalog does not have.

Format 1 wrapped the keys of store and labels under the master key itself,
a label's bound to its id, which only the catalog has. Formats 1 and 2 had one key for
all writings of a document. What they did is spelled out here, whatever `key_schema` says by then.

Source: docs/decisions/0011-keys.md, 0027-a-key-for-each-writing.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, delete, inspect, select, text, update

from . import key_schema as schema
from .ambient import Ambient
from .errors import StoreBusy, StoreCorrupt, StoreVersionMismatch
from .key_generations import MasterGenerations, Prepared
from .key_provider import FIRST_GENERATION, KeyProvider
from .key_schema import generation_place, label_place, store_place
from .labels import LabelEntry
from .seal import Cipher, digest, place
from .sqlite_engine import SqliteDatabase


class FormerKeys:
    """The store's own keys, as a key database of format 1 has them. Prints nothing of itself."""

    __slots__ = ("database", "path", "provider", "store_id")

    def __init__(self, path: Path, store_id: str, provider: KeyProvider) -> None:
        self.path = path
        self.database = SqliteDatabase(path, secure_delete=True)
        self.provider = provider
        self.store_id = store_id

    def __repr__(self) -> str:
        return "FormerKeys(…)"

    def __reduce__(self) -> str:
        raise TypeError("a store's keys cannot be pickled")

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def store_key(self, purpose: str) -> bytes:
        """Return one of the store's own keys.

        Raises:
            StoreCorrupt: It is missing.
            KeyUnavailable: The master key is not the one it was wrapped under.
        """
        with self.database.read() as connection:
            found = connection.execute(
                select(schema.store_keys.c.wrapped).where(schema.store_keys.c.purpose == purpose)
            ).scalar()
        if found is None:
            raise StoreCorrupt(
                f"the key database has no key for {purpose!r}; it is of another store or damaged",
                hint="put back a copy of keys.db that is as new as the store",
            )
        return self.unwrap("store", purpose, found)

    def unwrap(self, kind: str, name: str, wrapped: bytes) -> bytes:
        """Return a key of format 1 that the master key wraps."""
        where = place(kind, self.store_id, name, FIRST_GENERATION)
        return self.provider.unwrap(FIRST_GENERATION, wrapped, where)


def is_former(path: Path) -> bool:
    """Say whether a key database is of format 1. One that is empty or of another format is not."""
    database = SqliteDatabase(path, secure_delete=True)
    try:
        with database.read() as connection:
            return _is_former(connection)
    finally:
        database.close()


def migrate(former: FormerKeys, ambient: Ambient, labels: Iterable[LabelEntry]) -> None:
    """Bring a key database of format 1 to format 2; leave one that somebody else brought there meanwhile.

    Args:
        labels: All there are; nobody may define one meanwhile.

    Raises:
        KeyUnavailable: The master key is not the one the keys were wrapped under. Nothing was changed.
        StoreCorrupt: A document's key is of no label there is. Nothing was changed.
    """
    with former.database.write() as connection:
        if _is_former(connection):
            _carry_out(connection, former, ambient, list(labels))
    # A reader may hold the older state; then the bytes go with the next checkpoint.
    with suppress(StoreBusy):
        former.database.checkpoint(0.0)


def bring_to_newest(database: SqliteDatabase, path: Path) -> None:
    """Bring a key database of format 2 to the newest one, and refuse any of another shape.

    Raises:
        StoreVersionMismatch: It is older or newer than this software reads.
        StoreCorrupt: It is empty or cut short.
    """
    give_writings(database)
    with database.read() as connection:
        tables = set(inspect(connection).get_table_names())
        query = select(schema.meta.c.value).where(schema.meta.c.name == "format")
        found = connection.execute(query).scalar() if schema.meta.name in tables else None
    if found == str(schema.FORMAT) and {table.name for table in schema.metadata.sorted_tables} <= tables:
        return
    if found is None and schema.store_keys.name not in tables:
        raise StoreCorrupt(
            f"key database: {str(path)!r} is empty or cut short; "
            f"expected the tables of format {schema.FORMAT}",
            hint="put back a copy of keys.db that is as new as the store",
        )
    raise StoreVersionMismatch(
        f"key database: {str(path)!r} is of format {found or 1}; expected {schema.FORMAT}",
        hint="open the store with the version of ringfence that wrote it",
    )


def give_writings(database: SqliteDatabase) -> None:
    """Bring a key database of format 2 to format 3; leave one of any other.

    What a key opens stays: all writings of its document until now, until it is written anew.
    """
    with database.read() as connection:
        if not _is_of_format_2(connection):
            return
    with database.write() as connection:
        if _is_of_format_2(connection):
            for statement in _GIVE_WRITINGS:
                connection.execute(text(statement))


_GIVE_WRITINGS = (
    "ALTER TABLE document_keys RENAME TO former_document_keys",
    "CREATE TABLE document_keys (document_id VARCHAR NOT NULL, atom INTEGER NOT NULL, run_id VARCHAR NOT NULL, "
    "former INTEGER NOT NULL, generation INTEGER NOT NULL, wrapped BLOB NOT NULL, until INTEGER NOT NULL, "
    "PRIMARY KEY (document_id, atom, run_id, former))",
    "INSERT INTO document_keys SELECT document_id, atom, '', -1, generation, wrapped, 0 FROM former_document_keys",
    "DROP TABLE former_document_keys",
    "UPDATE key_meta SET value = '3' WHERE name = 'format'",
)


def _is_of_format_2(connection: Connection) -> bool:
    if schema.meta.name not in inspect(connection).get_table_names():
        return False
    return (
        connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == "format")).scalar() == "2"
    )


def _is_former(connection: Connection) -> bool:
    tables = set(inspect(connection).get_table_names())
    return schema.store_keys.name in tables and schema.meta.name not in tables


def _carry_out(
    connection: Connection, former: FormerKeys, ambient: Ambient, labels: list[LabelEntry]
) -> None:
    _refuse_unknown_atoms(connection, {entry.atom for entry in labels})
    schema.meta.create(connection)
    schema.generations.create(connection)
    key = ambient.new_key("generation", str(FIRST_GENERATION))
    where = generation_place(former.store_id, FIRST_GENERATION)
    wrapped = former.provider.wrap(FIRST_GENERATION, key, where)
    # The first one, whatever newer ones the provider has: else an old copy would pass for a new one.
    first = Prepared(FIRST_GENERATION - 1, FIRST_GENERATION, key, wrapped)
    MasterGenerations(former.database, former.store_id, former.provider, ambient).add(connection, first)
    digest_key = _rewrap_store_keys(connection, former, Cipher(key))
    names = {digest(digest_key, "label key", entry.label_id): entry.label_id for entry in labels}
    _rewrap_label_keys(connection, former, Cipher(key), names)
    connection.execute(schema.meta.insert().values(name="format", value="2"))


def _refuse_unknown_atoms(connection: Connection, atoms: set[int]) -> None:
    found = {
        int(atom) for atom in connection.execute(select(schema.document_keys.c.atom).distinct()).scalars()
    }
    if found - atoms:
        raise StoreCorrupt(
            f"key database: it has keys under {len(found - atoms)} labels that the catalog does not have; "
            "expected a catalog as new as the keys; nothing was changed",
            hint="put back the store and the keys.db that belong together",
        )


def _rewrap_store_keys(connection: Connection, former: FormerKeys, cipher: Cipher) -> bytes:
    digest_key = b""
    for row in connection.execute(select(schema.store_keys)).all():
        plain = former.unwrap("store", row.purpose, row.wrapped)
        digest_key = plain if row.purpose == "digest" else digest_key
        sealed = cipher.seal(plain, store_place(former.store_id, row.purpose, FIRST_GENERATION))
        connection.execute(
            update(schema.store_keys)
            .where(schema.store_keys.c.purpose == row.purpose)
            .values(generation=FIRST_GENERATION, wrapped=sealed)
        )
    return digest_key


def _rewrap_label_keys(
    connection: Connection, former: FormerKeys, cipher: Cipher, names: Mapping[str, str]
) -> None:
    """Wrap the labels' keys anew.

    One of no label was made for a definition that never took effect: no document's key is under it, so it goes.
    """
    for row in connection.execute(select(schema.label_keys)).all():
        this = schema.label_keys.c.label_digest == row.label_digest
        label_id = names.get(row.label_digest)
        if label_id is None:
            connection.execute(delete(schema.label_keys).where(this))
            continue
        plain = former.unwrap("label", label_id, row.wrapped)
        sealed = cipher.seal(plain, label_place(former.store_id, row.label_digest, FIRST_GENERATION))
        connection.execute(
            update(schema.label_keys).where(this).values(generation=FIRST_GENERATION, wrapped=sealed)
        )
