"""Ask a subject's own questions, and gather what the answers say for one page.

Promise: everything here comes from the public verbs of a :class:`Reader`,
asked as the subject, each a record of the log; nothing is kept between pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.audit_database import AuditDatabase
from ringfence.reader import Reader

DEPTH = 6
LISTED_MAX = 500
NOTHING = "9999-12-31T23:59:59Z"
"""Ends what lasts."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Documents: (id, path or None, label or None) of each, at most 500, and how many there are."""

    documents: Sequence[tuple[str, str | None, str | None]]
    count: int


@dataclass(frozen=True, slots=True)
class Node:
    """Something in the graph: a document, a source, or all passages of one document at one distance.

    Args:
        key: What edges name.
        layer: How many steps away; below 0 what it came from.
        count: How many passages.
    """

    key: str
    kind: str
    name: str
    layer: int
    document: str
    count: int = 1


@dataclass(slots=True)
class Graph:
    """What something came from and what was made from it.

    Args:
        edges: (child, parent), of nodes.
        hidden: How many lie (above, beneath) outside of what may be audited; None for a reader.
        complete: Whether all within the depth is there.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: set[tuple[str, str]] = field(default_factory=set)
    hidden: tuple[int, int] | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Timeline:
    """When who could read a document, and did.

    Args:
        spans: (subject, since, until) in order; `until` is the end of the picture for what lasts.
        reads: (subject, time, verb, itself) of each; `itself` is false for something made from it.
        changes: (time, change, what, who, why, ticket) of the policy, at the ends of a span.
    """

    start: str
    end: str
    spans: Sequence[tuple[str, str, str]]
    reads: Sequence[tuple[str, str, str, bool]]
    changes: Sequence[tuple[str, str, str, str, str, str]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one page about a document or passage shows; what the subject is not told is None.

    Args:
        own: Why the subject himself may read it.
        readers: (subject, purpose) of everybody who may.
    """

    asked: str
    document: str
    name: str
    label: str | None
    graph: Graph
    own: Mapping[str, Any] | None = None
    readers: Sequence[tuple[str, str]] | None = None
    timeline: Timeline | None = None


def own_documents(reader: Reader) -> Listing:
    """Return what the subject may read."""
    found = reader.list()
    return Listing([(each.id, each.path, each.label) for each in found.documents[:LISTED_MAX]], len(found))


def audited_documents(reader: Reader) -> Listing:
    """Return what the subject may audit; a path if he may also read it.

    Raises:
        Refused: He may audit nothing here.
    """
    with reader.audit_database() as database:
        rows = database.sql("SELECT id, path, label FROM documents ORDER BY path, id LIMIT ?", [LISTED_MAX])
        (counted,) = database.sql("SELECT count(*) AS number FROM documents").rows
    return Listing([(row["id"], row["path"], row["label"]) for row in rows], int(counted[0]))


def own_look(reader: Reader, asked: str) -> Look:
    """Return what a reader is told of something he may read.

    Raises:
        NotReadable: Unknown, or he may not: one answer.
    """
    own = reader.why(asked).to_mapping()
    asked = str(own["object"])
    names = {each.id: each.path for each in reader.list()}
    graph = _graph(reader, asked, names, audit=False)
    document = str(own["document"])
    return Look(asked, document, names.get(document) or short(document), own["label"], graph, own=own)


def audited_look(reader: Reader, asked: str) -> Look:
    """Return what an auditor is told of something he may audit.

    Raises:
        NotReadable: Unknown, or he may not: one answer.
        Refused: He may audit nothing here.
    """
    who = reader.who(asked).to_mapping()
    document = str(who["document"])
    readers = [(each, "") for each in who["readers"]]
    readers += [(each, purpose) for purpose, found in who["purposes"].items() for each in found]
    with reader.audit_database() as database:
        known = list(database.sql("SELECT id, path, label FROM documents"))
        names = {row["id"]: row["path"] for row in known if row["path"]}
        label = next((row["label"] for row in known if row["id"] == document), None)
        timeline = _timeline(database, document)
    graph = _graph(reader, asked, names, audit=True)
    name = names.get(document) or short(document)
    return Look(asked, document, name, label, graph, readers=readers, timeline=timeline)


def explained(reader: Reader, asked: str, subject: str, purpose: str) -> Mapping[str, Any]:
    """Return why another subject may, or may not, read something.

    Raises:
        NotReadable: Unknown, or under a label that the one who asks may not audit.
        InvalidInput: The subject's name is none.
    """
    return reader.why_for(subject, asked, purpose=purpose).to_mapping()


def short(opaque: str) -> str:
    """Return the beginning of an id, as it stands in a picture."""
    return f"{opaque[:8]}…"


def _graph(reader: Reader, asked: str, names: Mapping[str, str], *, audit: bool) -> Graph:
    graph = Graph()
    keys: dict[str, str] = {}
    hidden: list[int] = []
    for direction, sign in (("ancestors", -1), ("descendants", 1)):
        found = reader.lineage(asked, direction=direction, depth=DEPTH, audit=audit)
        for each in found["nodes"]:
            node = _node(each, sign, names, asked)
            keys.setdefault(each["id"], node.key)
            held = graph.nodes.get(node.key)
            if held is None:
                graph.nodes[node.key] = node
            elif held.kind == "passage" and each["id"] != asked:
                graph.nodes[node.key] = Node(
                    held.key, held.kind, held.name, held.layer, held.document, held.count + 1
                )
        edges = ((keys[each["child"]], keys[each["parent"]]) for each in found["edges"])
        graph.edges |= {edge for edge in edges if edge[0] != edge[1]}
        hidden.append(found["hidden"] or 0)
        graph.complete &= found["complete"]
    graph.hidden = (hidden[0], hidden[1]) if audit else None
    return graph


def _node(each: Mapping[str, Any], sign: int, names: Mapping[str, str], asked: str) -> Node:
    layer, document = sign * each["depth"], each["document"]
    # The passages of one document stand as one: there may be thousands.
    together = each["kind"] == "passage" and each["id"] != asked
    key = f"passages {document} {layer}" if together else each["id"]
    name = names.get(document) or short(document)
    return Node(key, each["kind"], name, layer, "" if each["kind"] == "source" else document)


def _timeline(database: AuditDatabase, document: str) -> Timeline:
    held = list(
        database.sql("SELECT label, since, until FROM document_labels WHERE document = ?", [document])
    )
    spans, moments = [], {row["since"] for row in held}
    for row in held:
        asked = "SELECT subject, purpose, since, until FROM access WHERE label = ?"
        for each in database.sql(asked, [row["label"]]):
            since = max(each["since"], row["since"])
            until = min(each["until"] or NOTHING, row["until"] or NOTHING)
            if since < until:
                spans.append((_for(each["subject"], each["purpose"]), since, min(until, database.time)))
                moments |= {since, until}
    asked = "SELECT DISTINCT subject, time, verb, document FROM who_did_read(?) ORDER BY ALL"
    reads = [
        (row["subject"], row["time"], row["verb"], row["document"] == document)
        for row in database.sql(asked, [document])
    ]
    changes = [
        (row["time"], row["change"], row["what"], row["who"], row["why"], row["ticket"])
        for row in database.sql("FROM policy ORDER BY number")
        if row["time"] in moments or document in row["what"]
    ]
    start = min([*(since for _, since, _ in spans), *(time for _, time, _, _ in reads), database.time])
    return Timeline(start, database.time, sorted(spans), reads, changes)


def _for(subject: str, purpose: str) -> str:
    return f"{subject} for {purpose}" if purpose else subject
