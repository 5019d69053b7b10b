"""Find the labels a new document may not go below: its parents', and those of equal bytes.

Promise: only what the ingester may read, or was ever given, is looked at;
what he never could read has no effect on any answer, error, summary or count.

Source: DESIGN.md §2, promise 6.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence

from . import audit_reading, authority, rows
from .errors import NotReadable, Refused
from .ground import Ground
from .labels import LabelEntry
from .rows import cell
from .subjects import Subject


class Floors:
    """The labels one ingester may not go below, as of the start of a run."""

    __slots__ = ("_by_bytes", "_ground", "_subject")

    def __init__(self, ground: Ground, subject: Subject) -> None:
        self._ground = ground
        self._subject = subject
        self._by_bytes: dict[str, list[tuple[str, LabelEntry]]] | None = None

    def parents(self, document_ids: Sequence[str]) -> list[LabelEntry]:
        """Return the labels of the documents something was made from.

        Raises:
            Refused: One of them is unknown, or the ingester may not read it.
        """
        if not document_ids:
            return []
        grant = self._ground.grant(self._subject, "read")
        try:
            return [rows.label_of(self._ground, grant, document_id)[0] for document_id in document_ids]
        except NotReadable as error:
            raise Refused(
                "a parent is unknown, or the ingester may not read it; expected ids of documents he may read"
            ) from error

    def equal_bytes(self, sha256: str, *, except_document: str | None) -> list[LabelEntry]:
        """Return the labels of documents with these bytes that the ingester may read or was given."""
        if self._by_bytes is None:
            self._by_bytes = self._load()
        return [entry for document, entry in self._by_bytes.get(sha256, []) if document != except_document]

    def note(self, sha256: str, document_id: str, entry: LabelEntry) -> None:
        """Count what this run writes among what the ingester may read, if he may."""
        moment = self._ground.moment()
        if self._by_bytes is not None and authority.allowed(
            moment.snapshot, self._subject, entry, moment.table, "read", moment.now
        ):
            self._by_bytes[sha256].append((document_id, entry))

    def _load(self) -> dict[str, list[tuple[str, LabelEntry]]]:
        grant = self._ground.grant(self._subject, "read")
        found: dict[str, list[tuple[str, LabelEntry]]] = defaultdict(list)
        readable = rows.documents(self._ground, grant)
        for row in readable:
            found[row.metadata["sha256"]].append((row.document_id, grant.table.entries[row.atom]))
        for document_id, sha256, entry in self._given({row.document_id for row in readable}):
            found[sha256].append((document_id, entry))
        return found

    def _given(self, readable: Collection[str]) -> list[tuple[str, str, LabelEntry]]:
        """Return what left to this person once and is no longer readable. Compared here, never shown."""
        ids = set(audit_reading.given_to(self._ground.root / "audit", self._subject.person))
        moment = self._ground.moment()
        versions, table = moment.publication.versions, moment.table
        chunks = self._ground.tables.scan(
            "chunks", versions["chunks"], table.entries, ["document_id"], ids=ids
        )
        wanted = (ids | set(chunks["document_id"].to_pylist())) - set(readable)
        documents = self._ground.tables.scan(
            "documents", versions["documents"], table.entries, ["metadata"], ids=wanted
        ).to_pylist()
        entries = [table.entries[atom] for atom in sorted({row["atom"] for row in documents})]
        keyring = self._ground.keys.keyring(entries, [row["id"] for row in documents])
        given: list[tuple[str, str, LabelEntry]] = []
        for row in documents:
            place = cell(self._ground.store_id, "documents", row["id"], row["id"], "metadata")
            opened = keyring.cipher(row["id"], row["atom"]).open_packed(row["metadata"], place)
            given.append((row["id"], str(json.loads(opened)["sha256"]), table.entries[row["atom"]]))
        return given
