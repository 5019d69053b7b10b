"""Find what was made from documents, directly or through others, by the edges of lineage.

Promise: everything one of whose inputs is among the documents, or among what
was made from them, is found; reads ids and edges, never content.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .lance_tables import LanceTables
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


def reach(
    tables: LanceTables, versions: Versions, documents: Collection[str], *, ever: bool = False
) -> Reach:
    """Return the documents, everything made from them, and all rows of both.

    What was made from a passage that is there no more was made from its document; and what was made from a
    document that was removed was made from that one's inputs: the edges stay.

    Args:
        ever: Whether what once was made from them counts too, though it was written anew since from other
            inputs. Who asks what to keep somebody from takes it; who asks what to destroy does not.
    """
    found: set[str] = set()
    chunks: set[str] = set()
    edges: set[str] = set()
    waiting = set(documents)
    while waiting:
        found |= waiting
        own = tables.ids_by("chunks", versions["chunks"], "document_id", waiting)
        chunks |= {chunk for ids in own.values() for chunk in ids}
        passages = {
            row["child"] for row in _edges(tables, versions, "parent", waiting) if row["kind"] == CHUNK
        }
        chunks |= passages
        nodes = waiting | chunks
        edges.update(row["id"] for row in _edges(tables, versions, "child", nodes))
        made = _edges(tables, versions, "parent", nodes)
        edges.update(row["id"] for row in made)
        waiting = {row["child"] for row in _derived(tables, versions, made, ever=ever)} - found
    return Reach(frozenset(found), frozenset(chunks), frozenset(edges))


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
    named = {row["parent"] for row in _derived(tables, versions, made, ever=False)}
    passages = {
        row["child"]: row["parent"]
        for row in _edges(tables, versions, "child", named)
        if row["kind"] == CHUNK
    }
    return frozenset(passages.get(parent, parent) for parent in named)


def _edges(
    tables: LanceTables, versions: Versions, column: str, nodes: Collection[str]
) -> list[dict[str, Any]]:
    return tables.rows_by("edges", versions["edges"], column, nodes, ["child", "parent", "kind", "run_id"])


def _derived(
    tables: LanceTables, versions: Versions, edges: Collection[dict[str, Any]], *, ever: bool
) -> list[dict[str, Any]]:
    """Return the edges of derivation; those of the run that last wrote the child alone, unless `ever`."""
    derived = [row for row in edges if row["kind"] == DERIVED]
    if ever or not derived:
        return derived
    children = {row["child"] for row in derived}
    written = {
        row["id"]: row["run_id"]
        for row in tables.rows_by("documents", versions["documents"], "id", children, ["run_id"])
    }
    # One that was removed has no newer writing.
    return [row for row in derived if written.get(row["child"], row["run_id"]) == row["run_id"]]
