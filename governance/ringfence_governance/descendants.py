"""Find what was made from documents, directly or through others, by the edges of lineage.

Promise: everything one of whose inputs is among the documents, or among what
was made from them, is found; reads ids and edges, never content.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from .lance_tables import LanceTables
from .opaque_ids import Ids
from .table_schemas import Versions

DERIVED = "derived"
"""Kind of the edge from what was made to a document, or passage, that went into it."""
DOCUMENT = "document"
"""Kind of the edge from a document to its source."""
CHUNK = "chunk"
"""Kind of the edge from a passage to its document."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Documents with all their rows.

    Args:
        documents: Those that were asked for, and all that was made from them.
        chunks: Ids of their passages, and of those they ever had: older versions may hold these.
        edges: Ids of the edges that have one of them at either end.
    """

    documents: frozenset[str]
    chunks: frozenset[str]
    edges: frozenset[str]


def made_from(
    tables: LanceTables, versions: Versions, documents: Collection[str], *, ever: bool = False
) -> tuple[frozenset[str], pa.Array]:
    """Return the documents and everything made from them; and the ids of their passages, as strings.

    What was made from a passage that is there no more was made from its document; and what was made from a
    document that was removed was made from that one's inputs: the edges stay.

    Args:
        ever: Whether what once was made from them counts too, though it was written anew since from other
            inputs. Who asks what to keep somebody from takes it; who asks what to destroy does not.
    """
    found: set[str] = set()
    passages: list[pa.Array] = []
    waiting = set(documents)
    while waiting:
        found |= waiting
        under = _edges(tables, versions, "parent", waiting)
        once = under.filter(pc.equal(under["kind"], CHUNK))["child"]
        own = tables.looked_up("chunks", versions["chunks"], "document_id", waiting, [])["id"]
        passages.append(pc.unique(pa.chunked_array([*own.chunks, *once.chunks], pa.string())))
        made = pa.concat_tables([under, _edges(tables, versions, "parent", passages[-1])])
        waiting = set(_derived(tables, versions, made, ever=ever)["child"].to_pylist()) - found
    return frozenset(found), pa.concat_arrays([pa.array([], pa.string()), *passages])


def reach(tables: LanceTables, versions: Versions, documents: Collection[str]) -> Reach:
    """Return the documents, everything made from them, and all rows of both; see :func:`made_from`."""
    found, passages = made_from(tables, versions, documents)
    nodes = pa.concat_arrays([pa.array(sorted(found), pa.string()), passages])
    edges = [_edges(tables, versions, column, nodes)["id"] for column in ("child", "parent")]
    return Reach(
        found, frozenset(passages.to_pylist()), frozenset(edges[0].to_pylist() + edges[1].to_pylist())
    )


def writings(
    tables: LanceTables, versions: Versions, documents: Collection[str]
) -> dict[str, dict[str, tuple[int, str]]]:
    """Return of documents, also of those that are there no more, by whom they were written.

    Returns:
        Document → run → (atom of the label it was given, id of its source). Relabelling changes all of one.
    """
    found: dict[str, dict[str, tuple[int, str]]] = {}
    columns = ["child", "parent", "kind", "run_id", "atom"]
    for row in tables.rows_by("edges", versions["edges"], "child", documents, columns):
        if row["kind"] == DOCUMENT:
            found.setdefault(row["child"], {})[row["run_id"]] = (int(row["atom"]), row["parent"])
    return found


def parents(tables: LanceTables, versions: Versions, document: str) -> frozenset[str]:
    """Return the documents that a document, as it was last written, was made from, itself or a passage of them."""
    made = _edges(tables, versions, "child", [document])
    named = set(_derived(tables, versions, made, ever=False)["parent"].to_pylist())
    passages = {
        row["child"]: row["parent"]
        for row in _edges(tables, versions, "child", named).to_pylist()
        if row["kind"] == CHUNK
    }
    return frozenset(passages.get(parent, parent) for parent in named)


def _edges(tables: LanceTables, versions: Versions, column: str, nodes: Ids) -> pa.Table:
    columns = ["child", "parent", "kind", "run_id"]
    return tables.looked_up("edges", versions["edges"], column, nodes, columns).select(["id", *columns])


def _derived(tables: LanceTables, versions: Versions, edges: pa.Table, *, ever: bool) -> pa.Table:
    """Return the edges of derivation; those of the run that last wrote the child alone, unless `ever`."""
    derived = edges.filter(pc.equal(edges["kind"], DERIVED))
    if ever or not derived.num_rows:
        return derived
    written = tables.looked_up("documents", versions["documents"], "id", derived["child"], ["run_id"])
    runs = written["run_id"].take(pc.index_in(derived["child"], written["id"].combine_chunks()))
    # One that was removed has no newer writing.
    return derived.filter(pc.fill_null(pc.equal(runs, derived["run_id"]), fill_value=True))
