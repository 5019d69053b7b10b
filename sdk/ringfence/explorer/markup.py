"""Make HTML and SVG of elements, so that no text can become markup.

Promise: text is escaped by the serialiser of the standard library, in
elements and attributes alike, and characters that hide or turn what stands
beside them are shown. There is no way to put markup in as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element, tostring  # nothing is parsed here

from ringfence.cli.printable import one_line

Child = Element | str | int | None
"""What stands in an element; None is nothing."""


def element(tag: str, attributes: Mapping[str, str | int | float] | None = None, *children: Child) -> Element:
    """Return an element with its children, in order; text among them is text, on one line."""
    made = Element(tag, {name: one_line(str(value)) for name, value in (attributes or {}).items()})
    for child in children:
        if isinstance(child, Element):
            _add_text(made, "")
            made.append(child)
        elif child is not None:
            _add_text(made, one_line(str(child)))
    return made


def link(address: str, *children: Child) -> Element:
    """Return a link within the pages."""
    return element("a", {"href": address}, *children)


def table(columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Element:
    """Return a table; its cells may hold elements."""
    head = element("tr", None, *(element("th", None, name) for name in columns))
    body = [element("tr", None, *(element("td", None, cell) for cell in row)) for row in rows]
    return element("table", None, element("thead", None, head), element("tbody", None, *body))


def document(title: str, stylesheet: str, *children: Child) -> bytes:
    """Return a whole page, UTF-8."""
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width"}),
        element("title", None, title),
        element("link", {"rel": "stylesheet", "href": stylesheet}),
    )
    page = element("html", {"lang": "en"}, head, element("body", None, *children))
    return f"<!doctype html>\n{tostring(page, encoding='unicode', method='html')}".encode()


def _add_text(made: Element, text: str) -> None:
    """Add text, a blank between it and what stands before."""
    if len(made):
        made[-1].tail = f"{made[-1].tail or ''} {text}"
    else:
        made.text = f"{made.text} {text}" if made.text else text
