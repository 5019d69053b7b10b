"""Find what was made from documents, directly or through others, by the edges of lineage.

Promise: everything one of whose inputs is among the documents, or among what
was made from them, is found; reads ids and edges, never content.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .lance_tables import LanceTables, Versions

DERIVED = "derived"
"""Kind of the edge from what was made to a document, or passage, that went into it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Documents with all their rows.

    Args:
        documents: Those that were asked for, and all that was made from them.
        chunks: Ids of their passages.
        edges: Ids of the edges that have one of them at either end.
    """

    documents: frozenset[str]
    chunks: frozenset[str]
    edges: frozenset[str]


def reach(tables: LanceTables, versions: Versions, documents: Collection[str]) -> Reach:
    """Return the documents, everything made from them, and all rows of both."""
    found: set[str] = set()
    chunks: set[str] = set()
    edges: set[str] = set()
    waiting = set(documents)
    while waiting:
        found |= waiting
        own = tables.ids_by("chunks", versions["chunks"], "document_id", waiting)
        own_chunks = {chunk for ids in own.values() for chunk in ids}
        chunks |= own_chunks
        nodes = waiting | own_chunks
        for held in tables.ids_by("edges", versions["edges"], "child", nodes).values():
            edges.update(held)
        made = tables.rows_by("edges", versions["edges"], "parent", nodes, ["child", "kind"])
        edges.update(row["id"] for row in made)
        waiting = {row["child"] for row in made if row["kind"] == DERIVED} - found
    return Reach(frozenset(found), frozenset(chunks), frozenset(edges))


def parents(tables: LanceTables, versions: Versions, documents: Collection[str]) -> dict[str, set[str]]:
    """Return, for each document, the documents and passages it was made from."""
    found: dict[str, set[str]] = {document: set() for document in documents}
    for row in tables.rows_by("edges", versions["edges"], "child", documents, ["parent", "kind"]):
        if row["kind"] == DERIVED:
            found[row["child"]].add(row["parent"])
    return found
