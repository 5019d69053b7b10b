"""Gather what one publication will change: rows, keys and manifest, sealed as they come.

Promise: nothing here touches the tables; a row that is gathered is sealed
under its document's key and carries its label's atom and its run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .descendants import CHUNK, DERIVED, DOCUMENT
from .drafts import ChunkDraft, DocumentDraft, SourceIdentity
from .ground import Ground
from .journal import Relabelling
from .keyrings import WrappedKey
from .labels import LabelEntry
from .lineage_datasets import Lifecycle, Written
from .manifest import Held, ManifestChanges, path_cell
from .rows import cell
from .seal import Cipher
from .table_schemas import BLINDED, ROTATED, TABLES, WORD_COUNT, TableChange, Versions, moved


class WriteBatch:
    """The changes of one publication, before it is made."""

    __slots__ = (
        "_deleted_documents",
        "_dropped",
        "_former",
        "_ground",
        "_keys",
        "_labels",
        "_moved",
        "_relabelled",
        "_replaced",
        "_rows",
        "_run_id",
        "_source_id",
        "_touched",
    )

    def __init__(self, ground: Ground, run_id: str, source_id: str) -> None:
        self._ground = ground
        self._run_id = run_id
        self._source_id = source_id
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self._labels: dict[str, LabelEntry] = {}
        self._former: dict[str, Held | None] = {}
        self._keys: dict[str, list[WrappedKey]] = {}
        self._moved: dict[str, Relabelling] = {}
        self._replaced: set[str] = set()
        self._deleted_documents: set[str] = set()
        self._dropped: list[str] = []
        self._relabelled: dict[str, int] = {}
        self._touched: set[str] = set()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to publish."""
        return not (self._touched or self._dropped)

    def put(
        self,
        draft: DocumentDraft,
        source: SourceIdentity,
        document_id: str,
        entry: LabelEntry,
        held: Held | None,
        parents: Sequence[str],
    ) -> bytes:
        """Add a document's rows; return its path, sealed for the manifest."""
        self._touched.add(document_id)
        self._labels[document_id], self._former[document_id] = entry, held
        cipher = self._cipher(document_id, entry)
        if held is not None:
            self._replaced.add(document_id)
        self._add_document(draft, source, document_id, entry, cipher)
        for ordinal, chunk in enumerate(draft.chunks):
            self._add_chunk(chunk, ordinal, document_id, entry, cipher)
        self._add_edge(document_id, self._source_id, DOCUMENT, entry.atom)
        for parent in parents:
            self._add_edge(document_id, parent, DERIVED, entry.atom)
        return cipher.seal_packed(draft.path.encode(), path_cell(self._ground, document_id))

    def relabel(self, held: Held, entry: LabelEntry) -> None:
        """Give a document and all its chunks another atom."""
        self._touched.add(held.document_id)
        self._labels[held.document_id], self._former[held.document_id] = entry, held
        self._rewrap(held, entry)
        self._relabelled[held.document_id] = entry.atom

    def remove(self, held: Held) -> None:
        """Delete a document and its chunks."""
        self._deleted_documents.add(held.document_id)
        self._dropped.append(held.document_id)

    def label_of(self, document_id: str, held: Held | None) -> LabelEntry | None:
        """Return the label a document will have; None if it is removed, or there is none.

        Args:
            held: The document as it is published.
        """
        if document_id in self._deleted_documents:
            return None
        if document_id in self._labels:
            return self._labels[document_id]
        return None if held is None else self._ground.moment().table.entries[held.atom]

    def raise_label(self, document_id: str, entry: LabelEntry, held: Held | None) -> None:
        """Give a document another label, whether this batch touches it already or not.

        Args:
            held: The document as it is published; None if it is new in this batch.
        """
        now = self._labels.get(document_id)
        if now is None or document_id in self._relabelled:
            if held is not None:
                self.relabel(held, entry)
            return
        written = self._keys[document_id][0]
        self._labels[document_id] = entry
        again = self._ground.keys.wraps(lambda wraps: wraps.again(written, now, entry))
        self._keys[document_id] = [again, *self._replaced_keys(document_id, entry)]
        self._set_atom(document_id, entry.atom)

    def _set_atom(self, document_id: str, atom: int) -> None:
        """Give the rows of a document, gathered before, another atom."""
        documents = [row for row in self._rows["documents"] if row["id"] == document_id]
        chunks = [row for row in self._rows["chunks"] if row["document_id"] == document_id]
        children = {row["id"] for row in (*documents, *chunks)}
        edges = [row for row in self._rows["edges"] if row["child"] in children]
        for row in (*documents, *chunks, *edges):
            row["atom"] = atom

    def moved(self) -> Mapping[str, LabelEntry]:
        """Return the documents that get another label, with it."""
        return {document_id: self._labels[document_id] for document_id in self._moved}

    def derivations(self) -> Sequence[tuple[str, str]]:
        """Return (what was made, document or passage it was made from) of what this batch writes."""
        return tuple((row["child"], row["parent"]) for row in self._rows["edges"] if row["kind"] == DERIVED)

    def written(self) -> Sequence[Written]:
        """Return what this publication does to each document, for lineage."""
        parents: dict[str, list[str]] = {}
        for child, parent in self.derivations():
            parents.setdefault(child, []).append(parent)
        new = {row["id"] for row in self._rows["documents"]}

        def kind(document_id: str) -> Lifecycle:
            if document_id not in new:
                return "ALTER"
            return "OVERWRITE" if document_id in self._replaced else "CREATE"

        return [
            Written(each, kind(each), self._labels[each], tuple(parents.get(each, ())))
            for each in sorted(self._touched)
        ] + [Written(each, "DROP") for each in sorted(self._dropped)]

    def keep_keys(self) -> None:
        """Store the wrapped keys; called before the tables are written."""
        keys = [key for found in self._keys.values() for key in found]
        self._ground.keys.keep(keys, unswept=bool(self.stale()))

    def stale(self) -> frozenset[str]:
        """Return the documents of which keys are needed no more once this is published."""
        return frozenset(self._replaced | self._deleted_documents | self._moved.keys())

    def told(self) -> dict[str, object]:
        """Return which documents are removed or get another atom, for the record."""
        return {"removed": sorted(self._dropped), "relabelled": dict(sorted(self._relabelled.items()))}

    def relabellings(self) -> Sequence[Relabelling]:
        """Return which documents get another label, their content as it was or not, for the journal."""
        return tuple(self._moved.values())

    def counts(self) -> dict[str, int]:
        """Return how much this publication changes, for the record."""
        return {
            "documents": len(self._rows["documents"]),
            "chunks": len(self._rows["chunks"]),
            "relabelled": len(self._relabelled),
            "removed": len(self._dropped),
        }

    def changes(self, published: Versions) -> Mapping[str, TableChange]:
        """Return what to do to each table on top of a publication."""
        gone = self._replaced | self._deleted_documents
        tables, relabelled = self._ground.tables, self._relabelled
        chunk_ids = tables.ids_by("chunks", published["chunks"], "document_id", gone)
        documents = moved(relabelled)
        chunks = self._moved_with("chunks", published, "document_id", documents)
        # Whoever may no longer read a document may not count its edges either.
        edges = self._moved_with("edges", published, "child", pa.concat_tables([documents, chunks]))
        changes = {
            "documents": TableChange(
                deleted=tuple(sorted(gone)), atoms=documents, appended=self._table("documents")
            ),
            "chunks": TableChange(
                deleted=tuple(sorted(chunk for document in gone for chunk in chunk_ids[document])),
                atoms=chunks,
                appended=self._table("chunks"),
            ),
            "edges": TableChange(atoms=edges, appended=self._table("edges")),
        }
        return {name: change for name, change in changes.items() if _does_something(change)}

    def _moved_with(self, name: str, published: Versions, column: str, owners: pa.Table) -> pa.Table:
        """Return the new atoms of the rows of a table that go with those they name in a column."""
        found = self._ground.tables.looked_up(name, published[name], column, owners["id"], [])
        places = pc.index_in(found[column], owners["id"].combine_chunks())
        return pa.table({"id": found["id"], "atom": owners["atom"].take(places)})

    def manifest_changes(self, held: Mapping[str, Held]) -> ManifestChanges:
        """Return what this publication changes in the manifest."""
        put = tuple(document for document in held.values() if document.document_id in self._touched)
        return ManifestChanges(self._source_id, put, tuple(self._dropped))

    def _cipher(self, document_id: str, entry: LabelEntry) -> Cipher:
        # A writing has a key of its own: rows of the one before, put back by somebody, do not open.
        cipher, key = self._ground.keys.new_document_key(document_id, self._run_id, entry)
        self._keys[document_id] = [key, *self._replaced_keys(document_id, entry)]
        return cipher

    def _replaced_keys(self, document_id: str, entry: LabelEntry) -> list[WrappedKey]:
        """Return the keys of a document's former writings, as they are wrapped from now on."""
        held = self._former[document_id]
        if held is None:
            return []
        old = self._note_move(held, entry)
        until = self._ground.moment().publication.sequence
        return self._ground.keys.wraps(lambda wraps: wraps.replaced(document_id, old, entry, until))

    def _rewrap(self, held: Held, entry: LabelEntry) -> None:
        """Wrap a published document's keys for another label; for the one it had, there is nothing to do."""
        old = self._note_move(held, entry)
        if entry.atom == held.atom:
            self._keys.pop(held.document_id, None)
            return
        self._keys[held.document_id] = self._ground.keys.wraps(
            lambda wraps: wraps.moved(held.document_id, old, entry)
        )

    def _note_move(self, held: Held, entry: LabelEntry) -> LabelEntry:
        """Note which label a published document gets; return the one it has."""
        old = self._ground.moment().table.entries[held.atom]
        if entry.atom == held.atom:
            self._moved.pop(held.document_id, None)
        else:
            self._moved[held.document_id] = Relabelling(held.document_id, old.label_id, entry.label_id)
        return old

    def _add_document(
        self,
        draft: DocumentDraft,
        source: SourceIdentity,
        document_id: str,
        entry: LabelEntry,
        cipher: Cipher,
    ) -> None:
        metadata = {
            "path": draft.path,
            "title": draft.title,
            "media_type": draft.media_type,
            "modified": draft.modified,
            "size": draft.size,
            "sha256": draft.sha256,
            "source": source.uri,
            "source_kind": source.kind,
            "label_origin": draft.label_origin,
        }
        self._rows["documents"].append(
            {
                "id": document_id,
                "atom": entry.atom,
                "run_id": self._run_id,
                "metadata": self._sealed(cipher, "documents", document_id, document_id, "metadata", metadata),
                "text": cipher.seal_packed(
                    draft.text.encode(),
                    cell(self._ground.store_id, "documents", document_id, document_id, "text"),
                ),
            }
        )

    def _add_chunk(
        self, chunk: ChunkDraft, ordinal: int, document_id: str, entry: LabelEntry, cipher: Cipher
    ) -> None:
        chunk_id = self._ground.ambient.new_id("chunk", f"{document_id}|{self._run_id}|{ordinal}")
        store_id = self._ground.store_id
        vector = np.ascontiguousarray(chunk.vector, dtype="<f4").tobytes()
        self._rows["chunks"].append(
            {
                "id": chunk_id,
                "atom": entry.atom,
                "run_id": self._run_id,
                "document_id": document_id,
                "ordinal": ordinal,
                "token_count": chunk.tokens,
                "metadata": self._sealed(
                    cipher,
                    "chunks",
                    document_id,
                    chunk_id,
                    "metadata",
                    {"start": chunk.start, "end": chunk.end},
                ),
                "text": cipher.seal_packed(
                    chunk.text.encode(), cell(store_id, "chunks", document_id, chunk_id, "text")
                ),
                "vector": cipher.seal(vector, cell(store_id, "chunks", document_id, chunk_id, "vector")),
                "terms": self._sealed(cipher, "chunks", document_id, chunk_id, "terms", list(chunk.terms)),
                **self._blinded(chunk),
            }
        )
        self._add_edge(chunk_id, document_id, CHUNK, entry.atom)

    def _blinded(self, chunk: ChunkDraft) -> dict[str, Any]:
        """Return what an indexed store has of a passage besides; nothing in a sealed one."""
        blinding = self._ground.blinding
        if blinding is None:
            return {}
        return {
            ROTATED: blinding.rotated(np.asarray(chunk.vector, np.float32)[None])[0],
            BLINDED: blinding.text(chunk.terms),
            WORD_COUNT: len(chunk.terms),
        }

    def _add_edge(self, child: str, parent: str, kind: str, atom: int) -> None:
        self._rows["edges"].append(
            {
                "id": self._ground.ambient.new_id("edge", f"{child}|{parent}|{kind}|{self._run_id}"),
                "atom": atom,
                "run_id": self._run_id,
                "child": child,
                "parent": parent,
                "kind": kind,
            }
        )

    def _sealed(
        self, cipher: Cipher, table: str, document_id: str, row_id: str, column: str, value: object
    ) -> bytes:
        plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        return cipher.seal_packed(plain, cell(self._ground.store_id, table, document_id, row_id, column))

    def _table(self, name: str) -> pa.Table | None:
        rows = self._rows[name]
        return pa.Table.from_pylist(rows, schema=self._ground.tables.schemas[name]) if rows else None


def _does_something(change: TableChange) -> bool:
    moves = change.atoms is not None and change.atoms.num_rows > 0
    return bool(change.deleted or moves or change.appended is not None)
