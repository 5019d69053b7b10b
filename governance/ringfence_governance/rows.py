"""Open the rows a grant covers: documents, chunks, and what they hold.

Promise: every function takes a grant, checks it, reads the grant's own
publication through the mask, and opens rows with the keys of the grant's
atoms and no other. A row that does not open is an error, never skipped.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import stopping
from .errors import ErasedRow, NotReadable, Refused, StoreCorrupt
from .grants import Grant
from .ground import Ground
from .keyrings import Keyring
from .labels import LabelEntry
from .seal import place, places

DOCUMENT_COLUMN = {"documents": "id", "chunks": "document_id"}
"""Where a row names its document."""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One readable document, opened.

    Args:
        metadata: `path`, `title`, `media_type`, `modified`, `size`, `source`, `source_kind`, `label_origin`.
    """

    document_id: str
    atom: int = field(repr=False)
    run_id: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChunkBlock:
    """All readable chunks, opened as far as asked for; row i of each part is the same chunk.

    Args:
        ids: Opaque ids, ascending.
        document_ids: The document of each.
        atoms: int32 of shape (n,).
        vectors: float32 of shape (n, d), or None if not asked for; (0, 0) if there is no row.
        terms: The terms of each chunk in order, or None if not asked for.
    """

    ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    atoms: npt.NDArray[np.int32] = field(repr=False)
    vectors: npt.NDArray[np.float32] | None = field(repr=False)
    terms: tuple[tuple[str, ...], ...] | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ChunkText:
    """One chunk's text and where it stands in its document."""

    chunk_id: str
    document_id: str
    run_id: str
    start: int
    end: int
    text: str


def documents(ground: Ground, grant: Grant, ids: Collection[str] | None = None) -> tuple[DocumentRow, ...]:
    """Return the readable documents, by id; only `ids` if given."""
    found = _content(ground, grant, "documents", ["metadata"], ids)
    keys = keyring(ground, grant, {row["atom"] for row in found}, [row["id"] for row in found])
    return tuple(
        DocumentRow(
            document_id=row["id"],
            atom=row["atom"],
            run_id=row["run_id"],
            metadata=_metadata(ground, keys, row),
        )
        for row in found
    )


def contents(ground: Ground, grant: Grant) -> list[tuple[str, int, bytes]]:
    """Return (document id, atom, keyed digest of its bytes) of every readable document; see :mod:`known_contents`.

    Only those of which it is not remembered are opened.

    Raises:
        StoreCorrupt: A row came past the filter.
    """
    found = _content(ground, grant, "documents", ["metadata"], None)
    # What is remembered needs no key: so this is the guard behind the filter.
    if not {row["atom"] for row in found} <= grant.atoms:
        raise StoreCorrupt("found rows of a label outside the grant; nothing leaves")
    known = [ground.contents.of(row["id"], row["atom"], row["metadata"]) for row in found]
    missing = [row for row, content in zip(found, known, strict=True) if content is None]
    keys = keyring(ground, grant, {row["atom"] for row in missing}, [row["id"] for row in missing])
    return [
        (
            row["id"],
            row["atom"],
            content or ground.contents.digest(_metadata(ground, keys, row)["sha256"]),
        )
        for row, content in zip(found, known, strict=True)
    ]


def _metadata(ground: Ground, keys: Keyring, row: dict[str, Any]) -> dict[str, Any]:
    """Return a document's metadata, opened; of which bytes it is is remembered."""
    found: dict[str, Any] = json.loads(_open(ground, keys, "documents", row["id"], row, "metadata"))
    ground.contents.note(row["id"], row["atom"], row["metadata"], found["sha256"])
    return found


def document_text(ground: Ground, grant: Grant, document_id: str) -> str:
    """Return the whole text of one readable document.

    Raises:
        NotReadable: There is no such document for this grant.
    """
    found = _content(ground, grant, "documents", ["text"], [document_id])
    if not found:
        raise NotReadable()
    keys = keyring(ground, grant, {found[0]["atom"]}, [document_id])
    return _open(ground, keys, "documents", document_id, found[0], "text").decode()


def chunk_block(ground: Ground, grant: Grant, *, vectors: bool = False, terms: bool = False) -> ChunkBlock:
    """Return all readable chunks, by id."""
    columns = [*(["vector"] if vectors else []), *(["terms"] if terms else [])]
    found = _content(ground, grant, "chunks", columns, None)
    keys = keyring(ground, grant, {row["atom"] for row in found}, [row["document_id"] for row in found])
    return ChunkBlock(
        ids=tuple(row["id"] for row in found),
        document_ids=tuple(row["document_id"] for row in found),
        atoms=np.fromiter((row["atom"] for row in found), np.int32, len(found)),
        vectors=_vectors(ground, keys, found) if vectors else None,
        terms=_terms(ground, keys, found) if terms else None,
    )


def chunk_texts(ground: Ground, grant: Grant, ids: Sequence[str]) -> dict[str, ChunkText]:
    """Return the text and place of some readable chunks, by chunk id; absent ones are left out."""
    found = _content(ground, grant, "chunks", ["text", "metadata"], ids)
    keys = keyring(ground, grant, {row["atom"] for row in found}, [row["document_id"] for row in found])
    texts: dict[str, ChunkText] = {}
    for row in found:
        span = json.loads(_open(ground, keys, "chunks", row["document_id"], row, "metadata"))
        text = _open(ground, keys, "chunks", row["document_id"], row, "text").decode()
        texts[row["id"]] = ChunkText(
            row["id"], row["document_id"], row["run_id"], span["start"], span["end"], text
        )
    return texts


def count(ground: Ground, grant: Grant, table: str) -> int:
    """Return how many rows of a table the grant covers."""
    check(ground, grant)
    if not grant.atoms:
        return 0
    version = grant.publication.versions[table]
    if grant.standing is None:
        return ground.tables.count(table, version, grant.atoms)
    column = DOCUMENT_COLUMN[table]
    found = ground.tables.scan(table, version, grant.atoms, [column, "run_id"])
    return sum(map(grant.covers, found[column].to_pylist(), found["run_id"].to_pylist()))


def label_of(ground: Ground, grant: Grant, object_id: str) -> tuple[LabelEntry, str]:
    """Return the label and document of a document or chunk the grant covers, whatever its action.

    Raises:
        NotReadable: Unknown, malformed, or outside the grant: one answer.
    """
    return labels_of(ground, grant, [object_id])[object_id]


def labels_of(ground: Ground, grant: Grant, object_ids: Collection[str]) -> dict[str, tuple[LabelEntry, str]]:
    """Return the label and document of documents and chunks the grant covers, by id, whatever its action.

    Raises:
        NotReadable: One is unknown, malformed, or outside the grant: one answer.
    """
    check(ground, grant)
    missing = set(object_ids)
    if not all(map(is_opaque, missing)):
        raise NotReadable()
    found: dict[str, tuple[LabelEntry, str]] = {}
    for table, column in DOCUMENT_COLUMN.items():
        if missing:
            version = grant.publication.versions[table]
            columns = [column, "run_id"]
            rows = ground.tables.scan(table, version, grant.atoms, columns, ids=sorted(missing))
            refuse_erased(grant, rows[column].to_pylist())
            for row in rows.to_pylist():
                if grant.covers(row[column], row["run_id"]):
                    found[row["id"]] = grant.table.entries[row["atom"]], row[column]
            missing -= found.keys()
    if missing:
        raise NotReadable()
    return found


def run_ids(ground: Ground, grant: Grant, atoms: Set[int] | None = None) -> list[tuple[int, str, str]]:
    """Return (atom, document id, run id) of every document the grant covers; only under `atoms` if given."""
    check(ground, grant)
    wanted = grant.atoms if atoms is None else grant.atoms & atoms
    found = ground.tables.scan("documents", grant.publication.versions["documents"], wanted, ["run_id"])
    refuse_erased(grant, found["id"].to_pylist())
    return [
        (row["atom"], row["id"], row["run_id"])
        for row in found.to_pylist()
        if grant.covers(row["id"], row["run_id"])
    ]


def is_opaque(text: str) -> bool:
    """Say whether `text` has the form of an id: 32 hexadecimal digits."""
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def check(ground: Ground, grant: Grant) -> None:
    """Hold a grant to its store and its time, see :meth:`Issued.check`, and a read to its limit."""
    stopping.check()
    ground.issued.check(grant, ground.ambient.now())


def refuse_erased(grant: Grant, documents: Collection[str]) -> None:
    """Let nothing of an erased document leave, whatever brought it back.

    Raises:
        ErasedRow: There is such a row where the grant reads.
    """
    if grant.erased and not grant.erased.isdisjoint(documents):
        raise ErasedRow()


def _content(
    ground: Ground, grant: Grant, table: str, columns: Sequence[str], ids: Collection[str] | None
) -> list[dict[str, Any]]:
    check(ground, grant)
    if grant.action != "read":
        raise Refused(
            f"found a grant for {grant.action!r}; expected one to read; content opens only for reading"
        )
    version, document = grant.publication.versions[table], DOCUMENT_COLUMN[table]
    columns = [*columns, document, "run_id"]
    rows: list[dict[str, Any]] = ground.tables.scan(table, version, grant.atoms, columns, ids=ids).to_pylist()
    refuse_erased(grant, [row[document] for row in rows])
    covered = (row for row in rows if grant.covers(row[document], row["run_id"]))
    return sorted(covered, key=lambda row: str(row["id"]))


def keyring(ground: Ground, grant: Grant, atoms: Set[int], ids: Collection[str]) -> Keyring:
    """Return the keys of some documents under some atoms, as far as the grant covers them.

    Args:
        atoms: Those the rows carry; one outside the grant has no key here, so its rows do not open.
    """
    if grant.standing is not None:
        # A key is wrapped for the label its document has now, and for the last one of a writing that was replaced;
        # the one it had then does not open it any more.
        atoms = grant.standing.atoms
    entries = [grant.table.entries[atom] for atom in sorted(atoms) if atom in grant.atoms]
    return ground.keys.keyring(entries, ids, standing=grant.standing, covered=grant.atoms)


def _open(
    ground: Ground, keys: Keyring, table: str, document_id: str, row: dict[str, Any], column: str
) -> bytes:
    stopping.check()
    cipher = keys.cipher(document_id, row["run_id"], row["atom"])
    return cipher.open_packed(row[column], cell(ground.store_id, table, document_id, row["id"], column))


def cell(store_id: str, table: str, document_id: str, row_id: str, column: str) -> bytes:
    """Return the place a sealed value is bound to."""
    return place("cell", store_id, table, document_id, row_id, column)


def cells(store_id: str, table: str, document_id: str, row_id: str, columns: Iterable[str]) -> list[bytes]:
    """Return the places of several sealed values of one row, each as :func:`cell` gives it."""
    return places("cell", store_id, table, document_id, row_id, last=columns)


def _vectors(ground: Ground, keys: Keyring, found: list[dict[str, Any]]) -> npt.NDArray[np.float32]:
    if not found:
        return np.zeros((0, 0), np.float32)
    opened = [
        keys.cipher(row["document_id"], row["run_id"], row["atom"]).open(
            row["vector"], cell(ground.store_id, "chunks", row["document_id"], row["id"], "vector")
        )
        for row in found
    ]
    return np.frombuffer(b"".join(opened), dtype="<f4").reshape(len(found), -1)


def _terms(ground: Ground, keys: Keyring, found: list[dict[str, Any]]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(json.loads(_open(ground, keys, "chunks", row["document_id"], row, "terms"))) for row in found
    )
