"""Gather what came from what, as one auditor may be told it.

Promise: a document, a passage or a way between them is told only if he may
audit the labels of both ends; of others it is told how many there are. Nothing
he may audit was made through what he may not: a label made from others holds
theirs. Ids alone; no content.

Source: DESIGN.md §8.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .audit_scope import AuditScope
from .descendants import CHUNK, DERIVED
from .ground import Ground
from .rows import check, refuse_erased

SOURCE = "document"
"""Kind of the edge from a document to the source it was read from."""
PLACES = (("documents", "document", "id"), ("chunks", "passage", "document_id"))
"""Table, kind of its rows, and the column that names their document."""


@dataclass(frozen=True, slots=True)
class Node:
    """A document, a passage of one, or a source.

    Args:
        id: Opaque.
        kind: `document`, `passage` or `source`; `former document` and `former passage` for what an ingest removed
            or wrote anew, as far as lineage still knows it.
        document: Of a passage; of a document itself; empty for a source.
        label: Id of its label; empty for a source.
        run: Opaque id of the run that last wrote it; empty for a source.
    """

    id: str
    kind: str
    document: str
    label: str
    run: str


@dataclass(frozen=True, slots=True)
class Way:
    """One step of lineage between two nodes that may be told.

    Args:
        child: What was made.
        parent: What it was made from.
        kind: `chunk`, `derived`, or `document` for the way to a source.
        run: Opaque.
        current: Whether the child, as it was last written, was made from it.
    """

    child: str
    parent: str
    kind: str
    run: str
    current: bool


@dataclass(frozen=True, slots=True)
class Lineage:
    """All nodes and ways that may be told.

    Args:
        beneath: Node → how many others were made from it, directly or through others alone.
        above: Node → how many others it was made from so.
    """

    nodes: tuple[Node, ...]
    ways: tuple[Way, ...]
    beneath: Mapping[str, int]
    above: Mapping[str, int]


@dataclass(frozen=True, slots=True, order=True)
class _Edge:
    """One edge as it lies in the store; its label is empty if it may not be told."""

    child: str
    parent: str
    kind: str
    run: str
    label: str


@dataclass(slots=True)
class _Graph:
    """Ways that were read: child → parents and parent → children, those as last written alone."""

    parents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    children: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, child: str, parent: str) -> None:
        self.parents[child].add(parent)
        self.children[parent].add(child)


def lineage(ground: Ground, scope: AuditScope) -> Lineage:
    """Return what came from what within a scope."""
    check(ground, scope.grant)
    nodes = _nodes(ground, scope)
    edges = _edges(ground, scope)
    _add_former(ground, scope, nodes, edges)
    whole = _Graph()
    ways: list[Way] = []
    for edge in edges:
        # One that was removed has no newer writing.
        written = nodes[edge.child].run if edge.child in nodes else ""
        current = edge.kind != DERIVED or (written or edge.run) == edge.run
        if current:
            whole.add(edge.child, edge.parent)
        if edge.label and edge.child in nodes and edge.parent in nodes:
            ways.append(Way(edge.child, edge.parent, edge.kind, edge.run, current))
    return Lineage(
        tuple(sorted(nodes.values(), key=lambda node: (node.kind, node.id))),
        tuple(ways),
        _numbers(nodes, whole.children),
        _numbers(nodes, whole.parents),
    )


def _nodes(ground: Ground, scope: AuditScope) -> dict[str, Node]:
    grant = scope.grant
    found: dict[str, Node] = {}
    for table, kind, column in PLACES:
        rows = ground.tables.scan(table, grant.publication.versions[table], grant.atoms, [column, "run_id"])
        refuse_erased(grant, rows[column].to_pylist())
        for row in rows.to_pylist():
            label = scope.labels[row["atom"]].label_id
            found[row["id"]] = Node(row["id"], kind, row[column], label, row["run_id"])
    return found


def _edges(ground: Ground, scope: AuditScope) -> list[_Edge]:
    """Return the ways whose label may be audited, and those of others, without their label, to be counted."""
    version = scope.grant.publication.versions["edges"]
    found: set[_Edge] = set()
    for atoms in (scope.grant.atoms, scope.others):
        rows = ground.tables.scan("edges", version, atoms, ["child", "parent", "kind", "run_id"]).to_pylist()
        for row in rows:
            label = scope.labels[row["atom"]].label_id if row["atom"] in scope.labels else ""
            # Where another's document was read from is his business alone.
            if label or row["kind"] in (CHUNK, DERIVED):
                found.add(_Edge(row["child"], row["parent"], row["kind"], row["run_id"], label))
    return sorted(found)


def _add_former(ground: Ground, scope: AuditScope, nodes: dict[str, Node], edges: Iterable[_Edge]) -> None:
    """Add sources, and what is known by its edges alone: what was removed or written anew."""
    there = {
        str(each)
        for table, _, _ in PLACES
        for each in ground.tables.scan(table, scope.grant.publication.versions[table], scope.others, [])[
            "id"
        ].to_pylist()
    }
    told = [edge for edge in edges if edge.label and edge.child not in there]
    for edge in told:
        if edge.kind == SOURCE:
            nodes.setdefault(edge.child, Node(edge.child, "former document", edge.child, edge.label, ""))
            nodes.setdefault(edge.parent, Node(edge.parent, "source", "", "", ""))
    for edge in told:
        if edge.kind == CHUNK and edge.parent in nodes:
            nodes.setdefault(edge.child, Node(edge.child, "former passage", edge.parent, edge.label, ""))


def _numbers(nodes: Mapping[str, object], step: Mapping[str, set[str]]) -> dict[str, int]:
    counted = {node: _others(node, nodes, step) for node in nodes}
    return {node: count for node, count in counted.items() if count}


def _others(start: str, nodes: Mapping[str, object], step: Mapping[str, set[str]]) -> int:
    """Return how many others are reached from a node through others alone."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = [each for each in step.get(waiting.pop(), ()) if each not in nodes and each not in found]
        found.update(new)
        waiting.extend(new)
    return len(found)
