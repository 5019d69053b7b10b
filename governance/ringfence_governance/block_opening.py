"""Open the rows of a grant's atoms into resident blocks, and the passages that are found in them.

Promise: a row is opened with a key of the grant that asks, under the atom it
stands under; an atom outside the grant is refused before anything is read.
Which rows there are is asked of the grant's own publication.

Source: DESIGN.md §5, §7; docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import select

from . import catalog_schema as schema
from . import stopping, thresholds
from .catalog import NEW_LABEL
from .document_facts import with_facts
from .errors import Refused, StoreCorrupt
from .grants import Grant
from .ground import Ground
from .keyrings import Keyring
from .quantised import quantised
from .readable_rows import ReadableRows, SealedPassage
from .resident import batches
from .row_map import Part
from .rows import cell, cells, keyring, refuse_erased
from .segments import Segment, binary_ids, word_lists

KEPT_THROUGH = frozenset({NEW_LABEL, "policy", "publication", thresholds.SETTING})
"""Kinds of catalog entries that leave blocks as they are, but for those whose rows went. Any other lets all go."""

KEPT = ("id", "run_id", "text")
"""Of a row, as it lies in the table."""
OPENED = ("vector", "terms", "metadata")


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage that was found, opened, with its document.

    Args:
        metadata: Of the document: of what :class:`rows.DocumentRow` has, at least
            :data:`readable_rows.SHOWN_OF_DOCUMENT`.
    """

    chunk_id: str
    document_id: str
    atom: int = field(repr=False)
    run_id: str
    start: int
    end: int
    text: str
    metadata: Mapping[str, Any]


def passes(ground: Ground, grant: Grant) -> Iterator[ReadableRows]:
    """Yield all rows a grant covers: at once if they fit into the budget together, else in passes.

    Raises:
        Refused: The grant is no longer valid, or not one to read.
        Outdated: A newer publication was read meanwhile.
    """
    check(ground, grant)
    version = grant.publication.versions["chunks"]
    if not grant.atoms:
        return
    if grant.standing is not None:
        yield from _passes_then(ground, grant, version)
        return
    ground.resident.hold_to(grant.sequence, version, lambda last: _standing(ground, last, version))
    yield from ground.resident.passes(
        grant.atoms,
        version,
        lambda: ground.tables.parts("chunks", version, grant.atoms),
        lambda parts: open_parts(ground, grant, parts),
    )


def _passes_then(ground: Ground, grant: Grant, version: int) -> Iterator[ReadableRows]:
    """Yield the rows of an older cut that may leave, opened for this read alone and kept by nobody.

    Resident blocks are of the newest cut: what a change took from them does not come back by a look at an older one.
    """
    for batch in batches(ground.tables.parts("chunks", version, grant.atoms)):
        found = ground.tables.scan_parts("chunks", version, batch, ["document_id", "run_id"])
        documents = found["document_id"].to_pylist()
        refuse_erased(grant, documents)
        leave = list(map(grant.covers, documents, found["run_id"].to_pylist()))
        covered = found["_rowaddr"].to_numpy()[leave]
        parts = [
            Part(part.atom, part.identity, part.addresses[np.isin(part.addresses, covered)]) for part in batch
        ]
        if kept := [part for part in parts if len(part)]:
            segment = open_parts(ground, grant, kept)
            yield ReadableRows([(segment, np.arange(len(kept), dtype=np.int64))])


def open_parts(ground: Ground, grant: Grant, parts: Sequence[Part]) -> Segment:
    """Return the rows of some parts, opened, in their order.

    Raises:
        StoreCorrupt: A part is of an atom outside the grant, or a row is missing, is another's, or does not
            open. Nothing is kept.
        ErasedRow: A row is of an erased document. Nothing is kept.
    """
    stopping.check()
    atoms = {part.atom for part in parts}
    refuse_outside(grant, atoms)
    version = grant.publication.versions["chunks"]
    found = ground.tables.scan_parts("chunks", version, parts, ["document_id", *KEPT[1:], *OPENED])
    found, starts = _ordered(found, parts)
    document_ids = found["document_id"].to_pylist()
    refuse_erased(grant, document_ids)
    documents = _documents(ground, grant, atoms, set(document_ids))
    places = {document_id: place for place, document_id in enumerate(documents["id"].to_pylist())}
    keys = keyring(ground, grant, atoms, places)
    vectors, terms, spans = _opened(ground, keys, found)
    metadata = [_document_metadata(ground, keys, each) for each in documents.to_pylist()]
    return Segment(
        blocks=tuple(part.identity for part in parts),
        starts=starts,
        ids=binary_ids(found["id"].to_pylist()),
        vectors=vectors,
        small=quantised(vectors),
        words=word_lists(terms, starts),
        spans=spans,
        chunks=found.select(KEPT).combine_chunks(),
        documents=with_facts(documents.select(["id", "atom"]), metadata),
        document_of=np.fromiter((places[each] for each in document_ids), np.int32, len(document_ids)),
    )


def refuse_outside(grant: Grant, atoms: Set[int]) -> None:
    """Refuse rows that came past the filter.

    Raises:
        StoreCorrupt: An atom is not of the grant.
    """
    if not atoms <= grant.atoms:
        raise StoreCorrupt("found rows of a label outside the grant; nothing is kept")


def open_passages(ground: Ground, grant: Grant, sealed: Sequence[SealedPassage]) -> list[Passage]:
    """Return passages that were found, each opened with its document's key as it is now.

    Raises:
        StoreCorrupt: One does not open, or stands under an atom outside the grant.
        ErasedRow: One is of an erased document.
    """
    check(ground, grant)
    ids = {each.document_id for each in sealed}
    refuse_erased(grant, ids)
    keys = keyring(ground, grant, {each.atom for each in sealed}, ids)
    found = []
    for each in sealed:
        stopping.check()
        place = cell(ground.store_id, "chunks", each.document_id, each.chunk_id, "text")
        text = keys.cipher(each.document_id, each.run_id, each.atom).open_packed(each.text, place).decode()
        found.append(
            Passage(
                each.chunk_id,
                each.document_id,
                each.atom,
                each.run_id,
                each.start,
                each.end,
                text,
                each.metadata,
            )
        )
    return found


def check(ground: Ground, grant: Grant) -> None:
    """Refuse a grant that is over, or not one to read.

    Raises:
        Refused: It is.
    """
    ground.issued.check(grant, ground.ambient.now())
    if grant.action != "read":
        raise Refused(
            f"found a grant for {grant.action!r}; expected one to read; content opens only for reading"
        )


def _standing(ground: Ground, last: int, version: int) -> frozenset[bytes] | None:
    """Return the identities of all blocks there are; None if something happened that lets all go."""
    other = select(schema.entries.c.sequence).where(
        schema.entries.c.sequence > last, schema.entries.c.kind.not_in(KEPT_THROUGH)
    )
    with ground.catalog.read() as connection:
        if connection.execute(other.limit(1)).scalar() is not None:
            return None
    return ground.tables.identities("chunks", version)


def _ordered(found: pa.Table, parts: Sequence[Part]) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return the rows part by part, in each by id, and where each part begins."""
    sizes = [len(part) for part in parts]
    addresses = np.concatenate([part.addresses for part in parts])
    owners = np.repeat(np.arange(len(parts)), sizes)
    by_address = np.argsort(addresses)
    at = found["_rowaddr"].to_numpy()
    place = np.minimum(np.searchsorted(addresses, at, sorter=by_address), len(addresses) - 1)
    exact = len(at) == len(addresses) and bool((addresses[by_address][place] == at).all())
    if not exact or len(np.unique(at)) != len(at):
        raise StoreCorrupt("the scan returned other rows than were asked for; nothing is kept")
    owner = owners[by_address][place]
    atoms = np.asarray([part.atom for part in parts])
    if not (found["atom"].to_numpy() == atoms[owner]).all():
        raise StoreCorrupt("a row stands under another label than its block; nothing is kept")
    order = np.lexsort((found["id"].to_numpy(zero_copy_only=False).astype("S32"), owner))
    return found.take(pa.array(order)), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _documents(ground: Ground, grant: Grant, atoms: set[int], ids: set[str]) -> pa.Table:
    """Return the documents of some rows, sealed.

    Raises:
        StoreCorrupt: One is missing under the atoms its passages stand under.
    """
    version = grant.publication.versions["documents"]
    few = ids if len(ids) <= FEW_DOCUMENTS else None
    found = ground.tables.scan("documents", version, atoms, ["run_id", "metadata"], ids=few)
    held = found["id"].to_pylist()
    found = found.take(pa.array([place for place, each in enumerate(held) if each in ids], pa.int64()))
    if found.num_rows != len(ids):
        raise StoreCorrupt("a passage has no document under its label; nothing is kept")
    return found.combine_chunks()


FEW_DOCUMENTS = 500
"""Up to this many documents are looked up by id; more are read with all of their labels."""


def _opened(
    ground: Ground, keys: Keyring, found: pa.Table
) -> tuple[npt.NDArray[np.float32], list[list[str]], npt.NDArray[np.int64]]:
    """Return vectors, words and spans of some rows, in their order."""
    vectors: list[bytes] = []
    terms: list[list[str]] = []
    spans = np.empty((found.num_rows, 2), np.int64)
    columns = (found[name].to_pylist() for name in ("id", "document_id", "run_id", "atom", *OPENED))
    for row, (chunk_id, document_id, run_id, atom, vector, words, span) in enumerate(
        zip(*columns, strict=True)
    ):
        stopping.check()
        cipher = keys.cipher(document_id, run_id, atom)
        vector_at, words_at, span_at = cells(ground.store_id, "chunks", document_id, chunk_id, OPENED)
        vectors.append(cipher.open(vector, vector_at))
        # As text: told bytes, json looks first for how they are encoded.
        terms.append(json.loads(cipher.open_packed(words, words_at).decode()))
        opened = json.loads(cipher.open_packed(span, span_at).decode())
        spans[row] = opened["start"], opened["end"]
    return np.frombuffer(b"".join(vectors), "<f4").astype(np.float32).reshape(len(terms), -1), terms, spans


def _document_metadata(ground: Ground, keys: Keyring, document: dict[str, Any]) -> dict[str, Any]:
    place = cell(ground.store_id, "documents", document["id"], document["id"], "metadata")
    cipher = keys.cipher(document["id"], document["run_id"], document["atom"])
    found: dict[str, Any] = json.loads(cipher.open_packed(document["metadata"], place))
    ground.contents.note(document["id"], document["atom"], document["metadata"], found["sha256"])
    return found
