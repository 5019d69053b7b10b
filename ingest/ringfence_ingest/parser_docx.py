"""Read a Word document: paragraphs, tables, notes, headers and footers.

Promise: the text is what stands in the document with all changes accepted:
inserted text is in, deleted and moved-away text is not, a text box comes
once. Comments are no part of the text. Opened by python-docx; why its own
`paragraphs` would lose text: docs/decisions/0004-parsers.md.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml import parse_xml
from lxml import etree  # type: ignore[import-untyped]

from .errors import FileTrouble
from .media_types import DOCX
from .parsed import ParsedDocument, clean_text, parsed
from .zip_limits import check_zip

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NOTES = ("footnotes", "endnotes")

_LEFT_OUT = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}pPr", f"{_W}rPr", f"{_W}sectPr", _FALLBACK})
"""Elements whose text is not the document's: deleted, moved away, or the second form of a text box."""

_TEXT_OF = {
    f"{_W}tab": "\t",
    f"{_W}ptab": "\t",
    f"{_W}br": "\n",
    f"{_W}cr": "\n",
    f"{_W}noBreakHyphen": "-",
}


def parse_docx(content: bytes) -> ParsedDocument:
    """Return the text of a Word document: body, then notes, then headers and footers.

    Raises:
        FileTrouble: A zip bomb, encrypted, or no Word document.
    """
    check_zip(content)
    try:
        document = docx.Document(io.BytesIO(content))
        title = document.core_properties.title or ""
        text = clean_text("\n".join(_blocks(document)))
    except (
        OpcError,
        zipfile.BadZipFile,
        etree.XMLSyntaxError,
        KeyError,
        ValueError,
        AttributeError,
    ) as error:
        raise FileTrouble(
            f"a zip archive that is no Word document ({type(error).__name__})",
            "a docx",
            "open it in a word processor and save it again",
        ) from None
    return parsed(text, title, DOCX)


def _blocks(document: WordDocument) -> Iterator[str]:
    yield _text(document.element.body)
    for relation in document.part.rels.values():
        if not relation.is_external and relation.reltype.rpartition("/")[2] in _NOTES:
            yield _text(parse_xml(relation.target_part.blob))
    seen: set[str] = set()
    for section in document.sections:
        for part in (section.header, section.footer, section.first_page_header, section.first_page_footer):
            if part.is_linked_to_previous:
                continue
            text = _text(part._element)
            if text not in seen:
                seen.add(text)
                yield text


def _text(root: Any) -> str:
    """Return the text beneath an element, a table's row on one line; iterative, whatever the nesting."""
    pieces: list[str] = []
    cells = 0
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        tag = element.tag
        if event == "start":
            if tag in _LEFT_OUT:
                walker.skip_subtree()
            elif tag == f"{_W}t":
                pieces.append(element.text or "")
            elif tag == f"{_W}tc":
                cells += 1
            else:
                pieces.append(_TEXT_OF.get(tag, ""))
        elif tag == f"{_W}p":
            pieces.append(" " if cells else "\n")
        elif tag == f"{_W}tc":
            cells -= 1
            pieces.append("\t")
        elif tag == f"{_W}tr":
            pieces.append("\n")
    return "".join(pieces)
