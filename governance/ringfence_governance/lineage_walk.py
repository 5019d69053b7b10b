"""Tell what something came from, or what was made from it, hop by hop along the edges.

Promise: to a reader only documents and passages that he may read exist: he
walks his own edges, and what lies behind something hidden is not there for
him. An auditor walks all of them; what lies outside what he may audit he gets
as a number and nothing else. Ids and edges are read here, never content.

Source: DESIGN.md §8; `research/landscape.md`, *Lineage itself leaks*.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from . import rows
from .descendants import DERIVED
from .errors import InvalidInput
from .grants import Grant
from .ground import Ground
from .reading import Answer, GrantedReader, read
from .subjects import Subject

DEPTH_MAX = 16
NODES_MAX = 10_000
"""How many documents, passages and sources one answer holds; to an auditor hidden ones count."""
FROM_SOURCE = "document"
"""Kind of the edge from a document to the source it was read from."""

NodeKind = Literal["document", "passage", "source"]
_ENDS: Mapping[str, tuple[str, str]] = {"ancestors": ("child", "parent"), "descendants": ("parent", "child")}


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that came from something.

    Args:
        run_id: The run that wrote it last; empty for a source.
        document: The document of a passage; of anything else its own id.
    """

    node_id: str
    kind: NodeKind
    atom: int
    run_id: str
    document: str


@dataclass(slots=True)
class Walked:
    """What a walk found.

    Args:
        nodes: Those that may be told, with how many hops away they are.
        edges: Those between them that were walked along, with the run of each.
        hidden: Ids of all others; they are counted, and never told.
        complete: Whether everything within the depth was looked at.
    """

    nodes: dict[str, tuple[Node, int]]
    edges: dict[tuple[str, str, str], str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    complete: bool = True


class Sight(Protocol):
    """What one who walks has before him."""

    def edges(self, column: str, ids: Collection[str]) -> list[dict[str, Any]]:
        """Return the edges that have one of some ids in a column."""

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        """Return those of some documents and passages that are there for him."""

    def may_be_told(self, atom: int) -> bool:
        """Say whether he may be told of what carries an atom."""

    def ways_on(self, reached: Collection[str], nodes: Collection[str]) -> Collection[str]:
        """Return from which of what was reached he walks on; `nodes` are those that are there for him."""


def lineage(
    ground: Ground, subject: Subject, object_id: str, *, direction: str, depth: int, audit: bool
) -> dict[str, Any]:
    """Return what a document or passage came from, or what was made from it.

    Args:
        direction: `ancestors` or `descendants`.
        depth: How many hops, 1 to 16. From a passage to its document is one.
        audit: Ask as an auditor.

    Returns:
        `object`, `direction`, `depth`, `nodes` (each with `id`, `kind`, `depth`, `document`), `edges` (each with
        `child`, `parent`, `kind`, `run`), `hidden` (how many there are besides; None for a reader), `complete`
        (False if there were more than 10,000), and for a reader `as_of`.

    Raises:
        NotReadable: Unknown, or under a label that this subject may not read, or audit.
        InvalidInput: Direction or depth is none.
    """
    if direction not in _ENDS:
        raise InvalidInput(f"direction: found {direction!r}; expected 'ancestors' or 'descendants'")
    if type(depth) is not int or not 1 <= depth <= DEPTH_MAX:
        raise InvalidInput(f"depth: found {depth!r}; expected an integer from 1 to {DEPTH_MAX}")

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        reader.check_row(object_id)
        sight: Sight = _Audited(ground, reader.grant) if audit else _Own(ground, reader.grant)
        found = walk(sight, object_id, direction, depth)
        told = _told(found) | {"hidden": len(found.hidden) if audit else None, "complete": found.complete}
        answer = {"object": object_id, "direction": direction, "depth": depth, **told}
        left = [(node.node_id, node.atom) for node, _ in _in_order(found)]
        return Answer(
            left,
            lambda as_of: answer if audit else {**answer, "as_of": as_of},
            plan=f"lineage {direction}",
            counts={"nodes": len(found.nodes), "hidden": len(found.hidden)},
        )

    return read(ground, subject, "lineage", work, action="audit" if audit else "read")


def walk(sight: Sight, start: str, direction: str, depth: int) -> Walked:
    """Walk from one document or passage, breadth first; each node is found at its least distance."""
    near, far = _ENDS[direction]
    known = sight.nodes([start])
    found = Walked({each: (node, 0) for each, node in known.items()})
    frontier, seen, walked = {start}, {start}, {start}
    for hop in range(1, depth + 1):
        edges = sight.edges(near, frontier) if frontier else []
        known |= sight.nodes({edge[far] for edge in edges} - seen)
        standing = [edge for edge in edges if _stands(edge, known)]
        reached = {edge[far] for edge in standing} - seen
        known |= _sources(sight, standing, reached)
        ways = set(sight.ways_on(reached, known.keys() & reached))
        if len(walked) + len(ways) > NODES_MAX:
            found.complete = False
            break
        walked |= ways
        for each in ways:
            if each in known and sight.may_be_told(known[each].atom):
                found.nodes[each] = (known[each], hop)
            else:
                found.hidden.add(each)
        found.edges |= {
            (edge["child"], edge["parent"], edge["kind"]): edge["run_id"]
            for edge in sorted(standing, key=lambda edge: _writing(edge, known))
            if found.nodes.keys() >= {edge["child"], edge["parent"]}
        }
        seen |= reached
        frontier = ways
    return found


def _stands(edge: Mapping[str, Any], known: Mapping[str, Node]) -> bool:
    """Say whether an edge is of the writing that stands: what was written anew since came from other inputs."""
    child = known.get(edge["child"])
    return edge["kind"] != DERIVED or child is None or child.run_id == edge["run_id"]


def _writing(edge: Mapping[str, Any], known: Mapping[str, Node]) -> tuple[bool, str]:
    """Return what orders the writings of one edge: of several runs the one that last wrote the child is told."""
    child = known.get(edge["child"])
    return child is not None and child.run_id == edge["run_id"], edge["run_id"]


def _sources(sight: Sight, edges: Iterable[Mapping[str, Any]], reached: Collection[str]) -> dict[str, Node]:
    """Return the sources among what was reached; who may be told of a document may know what it was read from."""
    found: dict[str, Node] = {}
    read_from = [edge for edge in edges if edge["kind"] == FROM_SOURCE and edge["parent"] in reached]
    for edge in sorted(read_from, key=lambda edge: int(edge["atom"])):
        source = edge["parent"]
        if source not in found or not sight.may_be_told(found[source].atom):
            found[source] = Node(source, "source", edge["atom"], "", source)
    return found


def _in_order(found: Walked) -> list[tuple[Node, int]]:
    return sorted(found.nodes.values(), key=lambda each: (each[1], each[0].node_id))


def _told(found: Walked) -> dict[str, Any]:
    return {
        "nodes": [
            {"id": node.node_id, "kind": node.kind, "depth": hop, "document": node.document}
            for node, hop in _in_order(found)
        ],
        "edges": [
            {"child": child, "parent": parent, "kind": kind, "run": run}
            for (child, parent, kind), run in sorted(found.edges.items())
        ],
    }


class _Own:
    """A reader's own edges, documents and passages: read through the mask of his grant."""

    def __init__(self, ground: Ground, grant: Grant) -> None:
        self._ground = ground
        self._grant = grant

    def edges(self, column: str, ids: Collection[str]) -> list[dict[str, Any]]:
        return self._scan("edges", ids, ["child", "parent", "kind", "run_id"], column)

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        documents = self._scan("documents", ids, ["id", "run_id"], "id")
        passages = self._scan("chunks", _besides(documents, ids), ["id", "run_id", "document_id"], "id")
        found = _nodes(documents, passages)
        rows.refuse_erased(self._grant, [node.document for node in found.values()])
        return found

    def may_be_told(self, atom: int) -> bool:
        return atom in self._grant.atoms

    def ways_on(self, reached: Collection[str], nodes: Collection[str]) -> Collection[str]:
        # An edge of his own can name what he may not read: for him it ends there.
        return nodes

    def _scan(
        self, table: str, ids: Collection[str], columns: list[str], column: str
    ) -> list[dict[str, Any]]:
        rows.check(self._ground, self._grant)
        return self._ground.resident_lineage.granted(self._grant, table, columns, column, ids)


class _Audited:
    """All edges, documents and passages; those under a label that may be audited may be told."""

    def __init__(self, ground: Ground, grant: Grant) -> None:
        self._ground = ground
        self._grant = grant

    def edges(self, column: str, ids: Collection[str]) -> list[dict[str, Any]]:
        return self._rows("edges", column, ids, ["child", "parent", "kind", "run_id"])

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        documents = self._rows("documents", "id", ids, ["id", "run_id"])
        return _nodes(
            documents,
            self._rows("chunks", "id", _besides(documents, ids), ["id", "run_id", "document_id"]),
        )

    def may_be_told(self, atom: int) -> bool:
        return atom in self._grant.atoms

    def ways_on(self, reached: Collection[str], nodes: Collection[str]) -> Collection[str]:
        # Through what is hidden, and through what is there no more, to what he may be told.
        return reached

    def _rows(
        self, table: str, column: str, ids: Collection[str], columns: list[str]
    ) -> list[dict[str, Any]]:
        rows.check(self._ground, self._grant)
        return self._ground.resident_lineage.every(self._grant, table, columns, column, ids)


def _besides(found: Iterable[Mapping[str, Any]], ids: Collection[str]) -> Collection[str]:
    """Return the ids of which no row was found."""
    return set(ids) - {row["id"] for row in found}


def _nodes(documents: Iterable[Mapping[str, Any]], passages: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    found = {
        row["id"]: Node(row["id"], "document", row["atom"], row["run_id"], row["id"]) for row in documents
    }
    return found | {
        row["id"]: Node(row["id"], "passage", row["atom"], row["run_id"], row["document_id"])
        for row in passages
    }
