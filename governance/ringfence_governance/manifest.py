"""Say what each source holds now, so that an unchanged file is skipped.

Promise: digests are keyed per tenant, ingester and source, and over the path,
so that nobody learns from them that a file of somebody else exists or is
equal. The manifest changes in the transaction that publishes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from . import catalog_schema as schema
from .drafts import SourceIdentity
from .errors import StoreCorrupt, StoreError
from .ground import Ground
from .label_table import LabelTable
from .rows import cell
from .subjects import Subject
from .vector_models import VectorModel

MODEL = "vector_model"


@dataclass(frozen=True, slots=True)
class Held:
    """One document a source holds.

    Args:
        run_id: Of the run that wrote it as it stands; one that gave it another label alone is not.
    """

    document_id: str
    path_digest: str
    content_digest: str
    atom: int
    run_id: str
    sealed_path: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ManifestChanges:
    """Rows to replace or add, and documents to drop."""

    source_id: str
    put: tuple[Held, ...]
    dropped: tuple[str, ...]


def source_id(ground: Ground, subject: Subject, source: SourceIdentity, *, make: bool) -> str:
    """Return the opaque id of a source as this subject ingests it; empty if it is new and not made.

    Raises:
        StoreCorrupt: The catalog has another source in its place.
    """
    digest = ground.catalog.digest("source", subject.tenant, subject.person, source.kind, source.uri)
    body = json.dumps({"uri": source.uri, "kind": source.kind, "subject": subject.person}, sort_keys=True)
    if not make:
        with ground.catalog.read() as connection:
            return _known_source(ground, connection, digest, body) or ""
    new = ground.ambient.new_id("source", f"{source.uri}|{subject.person}")
    sealed = ground.catalog.seal(body.encode(), "source", new)
    # Looked up under the write lock: two runs that begin at once must not both make it.
    with ground.catalog.write() as connection:
        known = _known_source(ground, connection, digest, body)
        if known is None:
            connection.execute(insert(schema.sources).values(source_id=new, digest=digest, sealed=sealed))
    return known or new


def _known_source(ground: Ground, connection: Connection, digest: str, body: str) -> str | None:
    columns = schema.sources.c
    query = select(columns.source_id, columns.sealed).where(columns.digest == digest)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    # What it holds is told to who ingests from it: so it must be his.
    if ground.catalog.open(found.sealed, "source", found.source_id) != body.encode():
        raise StoreCorrupt("the catalog was changed: it has another source in the place of this one")
    return str(found.source_id)


def ingester_of(ground: Ground, document_id: str) -> str | None:
    """Return who ingested a document that is there; None if there is none."""
    query = (
        select(schema.sources.c.source_id, schema.sources.c.sealed)
        .join(schema.manifest, schema.manifest.c.source_id == schema.sources.c.source_id)
        .where(schema.manifest.c.document_id == document_id)
    )
    return _ingester(ground, query)


def ingester_from(ground: Ground, source: str) -> str | None:
    """Return who ingests from a source, by its opaque id; None if there is no such source."""
    columns = schema.sources.c
    return _ingester(ground, select(columns.source_id, columns.sealed).where(columns.source_id == source))


def _ingester(ground: Ground, query: Select[tuple[Any, ...]]) -> str | None:
    with ground.catalog.read() as connection:
        found = connection.execute(query).one_or_none()
    if found is None:
        return None
    return str(json.loads(ground.catalog.open(found.sealed, "source", found.source_id))["subject"])


def path_digest(ground: Ground, source: str, path: str) -> str:
    """Return the keyed digest of a path within its source."""
    return ground.catalog.digest("path", source, path)


def content_digest(ground: Ground, source: str, path: str, sha256: str, settings: str) -> str:
    """Return the keyed digest of a file's bytes, at its path, as these settings process them."""
    return ground.catalog.digest("content", source, path, sha256, settings)


def held(ground: Ground, source: str) -> dict[str, Held]:
    """Return what a source holds, by path digest."""
    columns = schema.manifest.c
    query = select(
        columns.document_id,
        columns.path_digest,
        columns.content_digest,
        columns.atom,
        columns.run_id,
        columns.sealed_path,
    ).where(columns.source_id == source)
    with ground.catalog.read() as connection:
        return {row.path_digest: Held(*row) for row in connection.execute(query)}


def held_documents(ground: Ground, document_ids: Collection[str]) -> dict[str, Held]:
    """Return what is held of some documents, of whatever source, by id."""
    columns = schema.manifest.c
    query = select(*(columns[each.name] for each in fields(Held)))
    with ground.catalog.read() as connection:
        rows = [
            connection.execute(query.where(columns.document_id == document_id)).one_or_none()
            for document_id in document_ids
        ]
    return {row.document_id: Held(*row) for row in rows if row is not None}


def move(connection: Connection, atoms: Mapping[str, int]) -> None:
    """Say which atom documents have now, in the publishing transaction."""
    columns = schema.manifest.c
    for document_id, atom in atoms.items():
        connection.execute(
            update(schema.manifest).where(columns.document_id == document_id).values(atom=atom)
        )


def open_paths(ground: Ground, table: LabelTable, source: str, documents: Iterable[Held]) -> list[str]:
    """Return the paths of documents of one source, opened with their own keys.

    Raises:
        StoreCorrupt: One is of another source, or does not open. No path leaves.
    """
    wanted = list(documents)
    entries = [table.entries[atom] for atom in sorted({document.atom for document in wanted})]
    keyring = ground.keys.keyring(entries, [document.document_id for document in wanted])
    paths = [
        keyring.cipher(document.document_id, document.run_id, document.atom)
        .open_packed(document.sealed_path, path_cell(ground, document.document_id))
        .decode()
        for document in wanted
    ]
    # A path is sealed for its document; that it is of this source, its keyed digest says.
    if [path_digest(ground, source, path) for path in paths] != [each.path_digest for each in wanted]:
        raise StoreCorrupt("the catalog was changed: it names a document under a source that is not its own")
    return paths


def path_cell(ground: Ground, document_id: str) -> bytes:
    """Return the place a document's path in the manifest is bound to."""
    return cell(ground.store_id, "manifest", document_id, document_id, "path")


def store(connection: Connection, changes: ManifestChanges) -> None:
    """Write the changes in the publishing transaction."""
    drop(connection, [*changes.dropped, *(document.document_id for document in changes.put)])
    if changes.put:
        connection.execute(
            insert(schema.manifest),
            [asdict(document) | {"source_id": changes.source_id} for document in changes.put],
        )


def standing(
    connection: Connection, document_ids: Collection[str] | None = None
) -> dict[str, tuple[int, str]]:
    """Return document → (atom, run that wrote it) as they stand: of some, or of all there are."""
    columns = schema.manifest.c
    query = select(columns.document_id, columns.atom, columns.run_id)
    wanted = (
        [query]
        if document_ids is None
        else (query.where(columns.document_id == document_id) for document_id in document_ids)
    )
    return {row.document_id: (row.atom, row.run_id) for each in wanted for row in connection.execute(each)}


def drop(connection: Connection, document_ids: Collection[str]) -> None:
    """Drop documents from what their sources hold."""
    for document_id in document_ids:
        connection.execute(delete(schema.manifest).where(schema.manifest.c.document_id == document_id))


def check_model(ground: Ground, connection: Connection, model: VectorModel, *, keep: bool = False) -> None:
    """Hold a model to the one the store's vectors were made with; keep it if there is none yet.

    Args:
        keep: The transaction publishes the first vectors: the model is the store's from now on.

    Raises:
        StoreError: The store holds vectors of another model; they never mix.
    """
    text = json.dumps(asdict(model), sort_keys=True)
    known = ground.catalog.meta(connection, MODEL)
    if known is None and keep:
        ground.catalog.set_meta(connection, MODEL, text)
    if known is not None and known != text:
        own = json.loads(known)
        raise StoreError(
            f"model: found {model.model_id!r} (weights {model.weights_sha256[:12]}…); "
            f"expected the store's own, {own['model_id']!r} (weights {own['weights_sha256'][:12]}…)",
            hint="use the store's model, or ingest into a new store; vectors of two models never mix",
        )
    made_for = ground.tables.mode.dimensions
    if made_for not in (0, model.dimensions):
        raise StoreError(
            f"model: found {model.model_id!r}, whose vectors are {model.dimensions} long; "
            f"expected {made_for}, which this indexed store was made for",
            hint="use a model of that length, or make a new store with this one",
        )


def known_model(ground: Ground) -> VectorModel | None:
    """Return the model the store's vectors were made with; None before the first ingest."""
    with ground.catalog.read() as connection:
        known = ground.catalog.meta(connection, MODEL)
    return None if known is None else VectorModel(**json.loads(known))
