"""Keep what was erased, for ever: in the catalog, and once more beside the keys.

Promise: an id that stands here never names a row again. The entry is written
in the transaction whose publication no longer has the rows. The copy beside
the keys is not in a backup of the store, so a backup that is put back knows
from it what was erased since.

Ids of documents are opaque; who, why and ticket are sealed.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from . import catalog_schema as schema
from . import durable_files
from .catalog import Catalog
from .errors import StoreCorrupt, StoreError, WriteRefused

FILE_NAME = "erasures.log"
GENESIS = "0" * 64
"""What the first line of the copy names as the one before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One erasure.

    Args:
        erasure_id: Opaque.
        documents: Ids of all documents it took: those asked for, and what was made from them.
        sealed: :class:`Told`, as it lies in catalog and copy.
        sequence: Its catalog number; 0 in the copy.
        certificate: Digest of its certificate; None while it is not finished.
    """

    erasure_id: str
    documents: tuple[str, ...]
    sealed: bytes
    sequence: int = 0
    certificate: str | None = None

    def told(self, catalog: Catalog) -> dict[str, Any]:
        """Return who erased it, why, and which rows and atoms it had."""
        found: dict[str, Any] = json.loads(catalog.open(self.sealed, "erasure", self.erasure_id))
        return found


def entry(catalog: Catalog, erasure_id: str, documents: Collection[str], told: dict[str, object]) -> Entry:
    """Return an entry to :func:`add`.

    Args:
        told: `who`, `asserted_by`, `why`, `ticket`, `at`, `asked`, `atoms`, `ingesters`, `rows`.
    """
    plain = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    return Entry(erasure_id, tuple(sorted(documents)), catalog.seal(plain, "erasure", erasure_id))


def add(catalog: Catalog, connection: Connection, made: Entry) -> int:
    """Add an entry in the caller's transaction; return its sequence number."""
    sequence, _ = catalog.next_entry(connection, "erasure")
    connection.execute(
        insert(schema.erasures).values(
            erasure_id=made.erasure_id,
            sequence=sequence,
            documents=json.dumps(made.documents),
            sealed=made.sealed,
        )
    )
    return sequence


def certify(connection: Connection, erasure_id: str, digest: str) -> None:
    """Say that an erasure is finished, by the digest of its certificate."""
    connection.execute(
        update(schema.erasures).where(schema.erasures.c.erasure_id == erasure_id).values(certificate=digest)
    )


def version(connection: Connection) -> int:
    """Return the number of the newest entry; 0 if there is none."""
    return int(connection.execute(select(func.max(schema.erasures.c.sequence))).scalar() or 0)


def entries(connection: Connection, *, after: int = 0) -> tuple[Entry, ...]:
    """Return the entries in order."""
    newer = select(schema.erasures).where(schema.erasures.c.sequence > after)
    return tuple(map(_entry, connection.execute(newer.order_by(schema.erasures.c.sequence))))


def erased(connection: Connection, *, after: int = 0) -> frozenset[str]:
    """Return the ids of all erased documents."""
    return frozenset(document for found in entries(connection, after=after) for document in found.documents)


def newest_id(connection: Connection) -> str | None:
    """Return the id of the newest erasure."""
    newest = select(schema.erasures.c.erasure_id).order_by(schema.erasures.c.sequence.desc())
    found = connection.execute(newest.limit(1)).scalar()
    return None if found is None else str(found)


def refuse_erased(connection: Connection, documents: Collection[str]) -> None:
    """Let no erased id name a document again.

    Raises:
        WriteRefused: One of them was erased; roll back.
    """
    if erased(connection) & set(documents):
        raise WriteRefused("a document with the id of an erased one was about to be written; nothing was")


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.erasure_id, tuple(json.loads(row.documents)), row.sealed, row.sequence, row.certificate)


class LedgerCopy:
    """The copy of the ledger in the folder of the keys: one line for each erasure, chained."""

    __slots__ = ("_path",)

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def __repr__(self) -> str:
        return "LedgerCopy(…)"

    @property
    def folder(self) -> Path:
        """The folder of the keys."""
        return self._path.parent

    def newest_id(self) -> str | None:
        """Return the id in the last line."""
        lines = self._lines()
        return None if not lines else str(_parsed(lines[-1])["erasure"])

    def entries(self, catalog: Catalog) -> tuple[Entry, ...]:
        """Return all entries in order.

        Raises:
            StoreCorrupt: A line was changed, dropped or slipped in.
        """
        return tuple(self._checked(catalog))

    def append(self, catalog: Catalog, made: Iterable[Entry]) -> None:
        """Add entries, and wait until they are on the disk.

        Raises:
            StoreError: They cannot be written. Erase nothing.
        """
        lines = self._lines()
        previous = GENESIS if not lines else str(_parsed(lines[-1])["digest"])
        added = b""
        for each in made:
            line = {
                "erasure": each.erasure_id,
                "documents": list(each.documents),
                "sealed": base64.b64encode(each.sealed).decode(),
                "previous": previous,
            }
            previous = _digest(catalog, line)
            added += json.dumps({**line, "digest": previous}, sort_keys=True).encode() + b"\n"
        try:
            self._write(b"".join(line + b"\n" for line in lines), added)
        except OSError as error:
            raise StoreError(
                f"{FILE_NAME} cannot be written ({error.strerror}); nothing was erased",
                hint="make room in the folder of the keys, or mend its permissions",
            ) from None

    def _write(self, whole: bytes, added: bytes) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Half a line is of a process that died while it wrote: nothing was erased by it.
            os.ftruncate(descriptor, len(whole))
            os.lseek(descriptor, 0, os.SEEK_END)
            while added:
                added = added[os.write(descriptor, added) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        durable_files.sync(self._path.parent)

    def _lines(self) -> list[bytes]:
        """Return the whole lines; what follows the last line break is half of one."""
        if not self._path.exists():
            return []
        return self._path.read_bytes().split(b"\n")[:-1]

    def _checked(self, catalog: Catalog) -> Iterator[Entry]:
        previous = GENESIS
        for number, line in enumerate(self._lines(), 1):
            fields = _parsed(line)
            digest = fields.pop("digest")
            if fields["previous"] != previous or digest != _digest(catalog, fields):
                raise StoreCorrupt(
                    f"{FILE_NAME}:{number}: its chain does not fit; what was erased cannot be known; "
                    "put the file back as it was"
                )
            previous = digest
            yield Entry(fields["erasure"], tuple(fields["documents"]), base64.b64decode(fields["sealed"]))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
        if set(fields) == {"erasure", "documents", "sealed", "previous", "digest"}:
            return dict(fields)
    except (ValueError, TypeError):
        pass
    raise StoreCorrupt(f"{FILE_NAME} holds a line that is no erasure; put the file back as it was")


def _digest(catalog: Catalog, fields: dict[str, Any]) -> str:
    return catalog.digest("erasure copy", json.dumps(fields, sort_keys=True, separators=(",", ":")))
