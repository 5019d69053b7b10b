"""Turn what a look found into a page.

Promise: a page holds what the look says and nothing else: names, ids, people,
rules and times; never content. Every text goes through :mod:`markup`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element

from . import drawing
from .looks import Listing, Look
from .markup import document, element, link, table

ARROW = " → "
READ, AUDIT = "read", "audit"


class Pages:
    """The pages of one subject.

    Args:
        base: What every address begins with.
        subject: Who looks.
    """

    def __init__(self, base: str, subject: str) -> None:
        self._base = base
        self._subject = subject

    def home(self) -> bytes:
        """Return the first page."""
        return self._page(
            "Ringfence",
            element(
                "p",
                None,
                "Lineage, rights and reads; no content. Each page is a record of the audit log.",
            ),
            self._form(READ, "A document or passage that you may read, by its id:"),
            self._form(AUDIT, "One that you may audit:"),
        )

    def listing(self, found: Listing, way: str) -> bytes:
        """Return a list of documents."""
        rows = [
            (link(self._object(way, each), name or f"{each}"), label or "")
            for each, name, label in found.documents
        ]
        more = found.count - len(found.documents)
        return self._page(
            "What you may audit" if way == AUDIT else "What you may read",
            self._form(way, "By its id:"),
            table(("document", "label"), rows) if rows else element("p", None, "Nothing."),
            element("p", {"class": "soft"}, f"and {more} more") if more else None,
        )

    def look(self, found: Look, way: str) -> bytes:
        """Return the page of a document or passage."""
        other = AUDIT if way == READ else READ
        return self._page(
            found.name,
            element(
                "p",
                {"class": "soft"},
                f"{'document' if found.asked == found.document else 'passage'}",
                element("code", None, found.asked),
                f"label {found.label}" if found.label else None,
            ),
            element("p", None, link(self._object(other, found.asked), f"what you may {other} of it")),
            *self._lineage(found, way),
            *self._own(found.own),
            *self._readers(found),
            *_timeline(found),
        )

    def explained(self, asked: str, facts: Mapping[str, Any]) -> bytes:
        """Return why a subject may, or may not, read something."""
        rows = [
            (
                verdict["actor"],
                rule["rule"],
                ARROW.join(rule["membership"]),
                ARROW.join(rule["relation"]),
                _granted(rule),
            )
            for verdict in facts["verdicts"]
            for rule in verdict["rules"]
        ]
        return self._page(
            f"{facts['subject']}: {facts['decision']}",
            element("p", None, "Of", link(self._object(AUDIT, asked), asked)),
            table(("actor", "rule", "member by", "related by", "granted"), rows),
        )

    def error(self, title: str, message: str) -> bytes:
        """Return a page that says what is not to be had."""
        return self._page(title, element("p", None, message))

    def _lineage(self, found: Look, way: str) -> list[Element]:
        graph = found.graph
        parts = [element("h2", None, "Lineage")]
        if graph.hidden is not None:
            above, beneath = graph.hidden
            told = f"Outside what you may audit: {above} above, {beneath} beneath."
            parts.append(element("p", {"class": "soft"}, told))
        if not graph.complete:
            parts.append(element("p", None, "There is more than is shown."))
        picture = drawing.graph(graph, found.asked, lambda each: self._object(way, each))
        return [*parts, element("div", {"class": "picture"}, picture)]

    def _own(self, own: Mapping[str, Any] | None) -> list[Element]:
        if own is None:
            return []
        rows = [
            (rule["actor"], rule["rule"], ARROW.join(rule["path"]), ARROW.join(rule["relation"]))
            for rule in own["rules"]
        ]
        shown = table(("actor", "rule", "member by", "related by"), rows)
        return [element("h2", None, "Why you may read it"), shown]

    def _readers(self, found: Look) -> list[Element]:
        if found.readers is None:
            return []
        rows = [
            (
                who,
                purpose,
                link(
                    f"{self._base}/why?{urlencode({'id': found.asked, 'who': who, 'purpose': purpose})}",
                    "why",
                ),
            )
            for who, purpose in found.readers
        ]
        return [element("h2", None, "Who can read it"), table(("subject", "purpose", ""), rows)]

    def _form(self, way: str, said: str) -> Element:
        field = element("input", {"name": "id", "aria-label": said, "autocomplete": "off"})
        where = {"action": f"{self._base}/{way}", "method": "get"}
        return element("form", where, element("p", None, said, field, element("button", None, "look")))

    def _object(self, way: str, each: str) -> str:
        return f"{self._base}/{way}?id={quote(each, safe='')}"

    def _page(self, title: str, *children: Element | None) -> bytes:
        nav = element(
            "nav",
            None,
            link(f"{self._base}/", "Ringfence"),
            link(f"{self._base}/{READ}", "what you may read"),
            link(f"{self._base}/{AUDIT}", "what you may audit"),
            element("span", {"class": "soft"}, f"as {self._subject}"),
        )
        return document(title, f"{self._base}/style.css", nav, element("h1", None, title), *children)


def _timeline(found: Look) -> list[Element]:
    if found.timeline is None:
        return []
    rows = [
        (time, change, what, who, f"{why} {ticket}".strip())
        for time, change, what, who, why, ticket in found.timeline.changes
    ]
    return [
        element("h2", None, "Rights and reads over time"),
        element(
            "p",
            {"class": "soft"},
            "A bar: might read it. A dot: read it; an empty one: read something made from it.",
        ),
        element("div", {"class": "picture"}, drawing.timeline(found.timeline)),
        element("h2", None, "Changes of policy when a bar begins or ends"),
        table(("time", "change", "what", "by", "why"), rows),
    ]


def _granted(rule: Mapping[str, Any]) -> str:
    granted = rule["granted"]
    if granted is None:
        return ""
    return f"{granted['at']} by {granted['who']}: {granted['why']} {granted['ticket']}".strip()
