"""Draw lineage as a graph, and rights and reads over time, as SVG.

Promise: a picture is as large as what it shows needs, up to a bound; what is
left out of it is said in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from xml.etree.ElementTree import Element

from .looks import Graph, Node, Timeline
from .markup import element, link

NODES_IN_A_ROW = 8
LANES_MAX = 60
BOX_WIDTH, BOX_HEIGHT, GAP, ROW = 176, 44, 16, 92
NAME_CHARACTERS = 22
LANE, NAMES_WIDTH, TIME_WIDTH = 22, 240, 640
KINDS = {"passage": ("passage", "passages"), "document": ("document",) * 2, "source": ("source",) * 2}

Address = Callable[[str], str]
"""Returns where a document's page is."""


def graph(found: Graph, asked: str, address: Address) -> Element:
    """Return the picture of a graph: above what something came from, beneath what was made from it."""
    rows: dict[int, list[Node]] = defaultdict(list)
    for node in sorted(found.nodes.values(), key=lambda node: (node.layer, node.kind, node.name, node.key)):
        rows[node.layer].append(node)
    widest = max(min(len(row), NODES_IN_A_ROW + 1) for row in rows.values())
    width = widest * (BOX_WIDTH + GAP) + GAP
    places = _places(rows, width)
    lines = [
        _edge(places[child], places[parent])
        for child, parent in sorted(found.edges)
        if child in places and parent in places
    ]
    boxes = [_box(found.nodes[key], places[key], asked, address) for key in places]
    more = [
        _said(f"and {len(row) - NODES_IN_A_ROW} more", width, _height(rows, layer))
        for layer, row in rows.items()
        if len(row) > NODES_IN_A_ROW
    ]
    return _svg(width, len(rows) * ROW + GAP, "Lineage", *lines, *boxes, *more)


def _places(rows: dict[int, list[Node]], width: int) -> dict[str, tuple[float, float]]:
    """Return the middle of each node that is drawn."""
    places: dict[str, tuple[float, float]] = {}
    for layer, row in rows.items():
        drawn = row[:NODES_IN_A_ROW]
        for number, node in enumerate(drawn):
            middle = width / 2 + (number - (len(drawn) - 1) / 2) * (BOX_WIDTH + GAP)
            places[node.key] = (middle, _height(rows, layer))
    return places


def _height(rows: dict[int, list[Node]], layer: int) -> float:
    return GAP + BOX_HEIGHT / 2 + sorted(rows).index(layer) * ROW


def _edge(child: tuple[float, float], parent: tuple[float, float]) -> Element:
    (x, y), (x0, y0) = child, parent
    middle = (y + y0) / 2
    return element(
        "path",
        {
            "class": "edge",
            "d": f"M{x0:.0f} {y0:.0f}C{x0:.0f} {middle:.0f} {x:.0f} {middle:.0f} {x:.0f} {y:.0f}",
        },
    )


def _box(node: Node, place: tuple[float, float], asked: str, address: Address) -> Element:
    x, y = place[0] - BOX_WIDTH / 2, place[1] - BOX_HEIGHT / 2
    kind = KINDS.get(node.kind, (node.kind,) * 2)[node.count > 1]
    shown = [
        element("title", None, f"{node.kind} {node.key if node.count == 1 else node.document}"),
        element(
            "rect",
            {
                "class": f"node {node.kind}{' asked' if node.key == asked else ''}",
                "x": f"{x:.0f}",
                "y": f"{y:.0f}",
                "width": BOX_WIDTH,
                "height": BOX_HEIGHT,
                "rx": 6,
            },
        ),
        _text(place[0], place[1] - 4, _cut(node.name), "name"),
        _text(place[0], place[1] + 13, f"{node.count} {kind}" if node.count > 1 else kind, "kind"),
    ]
    return link(address(node.document), *shown) if node.document else element("g", None, *shown)


def timeline(found: Timeline) -> Element:
    """Return the picture of who could read when, with a dot for each read."""
    first, last = _seconds(found.start), _seconds(found.end)
    scale = TIME_WIDTH / max(last - first, 1)
    readers = {subject for subject, _, _ in found.spans}
    lanes = sorted(readers | {subject for subject, _, _, _ in found.reads})
    drawn = {subject: number for number, subject in enumerate(lanes[:LANES_MAX])}

    def across(time: str) -> float:
        return NAMES_WIDTH + (_seconds(time) - first) * scale

    def down(subject: str) -> float:
        return (drawn[subject] + 0.5) * LANE

    names = [_text(NAMES_WIDTH - 8, down(each) + 4, _cut(each, 34), "lane") for each in drawn]
    spans = [
        element(
            "rect",
            {
                "class": "span",
                "x": f"{across(since):.1f}",
                "y": f"{down(subject) - 6:.1f}",
                "width": f"{max(across(until) - across(since), 1.5):.1f}",
                "height": 12,
            },
            element("title", None, f"{subject} could read it from {since} to {until}"),
        )
        for subject, since, until in found.spans
        if subject in drawn
    ]
    reads = [
        element(
            "circle",
            {
                "class": "read" if itself else "read made",
                "cx": f"{across(time):.1f}",
                "cy": f"{down(subject):.1f}",
                "r": 4,
            },
            element(
                "title", None, f"{time}: {subject}, {verb}{'' if itself else ', of something made from it'}"
            ),
        )
        for subject, time, verb, itself in found.reads
        if subject in drawn
    ]
    height = (len(drawn) + 1) * LANE
    ends = [
        _text(NAMES_WIDTH, height, found.start, "start"),
        _text(NAMES_WIDTH + TIME_WIDTH, height, found.end, "end"),
    ]
    more = (
        [_said(f"and {len(lanes) - LANES_MAX} more", NAMES_WIDTH, height - LANE)]
        if len(lanes) > LANES_MAX
        else []
    )
    return _svg(
        NAMES_WIDTH + TIME_WIDTH + GAP, height + GAP, "Rights and reads", *names, *spans, *reads, *ends, *more
    )


def _svg(width: float, height: float, title: str, *children: Element) -> Element:
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}"}
    box = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "role": "img", "aria-label": title}
    return element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **box}, *children)


def _text(x: float, y: float, text: str, kind: str) -> Element:
    return element("text", {"class": kind, "x": f"{x:.0f}", "y": f"{y:.0f}"}, text)


def _said(text: str, width: float, y: float) -> Element:
    return _text(width - GAP, y, text, "more")


def _cut(text: str, characters: int = NAME_CHARACTERS) -> str:
    """Return the end of a long name, which tells more than its beginning."""
    return text if len(text) <= characters else f"…{text[1 - characters :]}"


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
