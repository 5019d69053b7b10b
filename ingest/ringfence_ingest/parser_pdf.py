"""Read the text layer of a PDF, page after page.

Promise: a PDF that needs a password, is broken or holds only pictures is
reported as that; no page is left out silently.
"""

from __future__ import annotations

import io

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from .errors import FileTrouble
from .limits import PAGES_MAX, TEXT_CHARS_MAX
from .media_types import PDF
from .parsed import ParsedDocument, clean_text, parsed


def parse_pdf(content: bytes) -> ParsedDocument:
    """Return the text of a PDF, pages separated by an empty line.

    Raises:
        FileTrouble: Encrypted, broken, too long, or without a text layer.
    """
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileTrouble(
                "an encrypted PDF", "one that opens without a password", "save a copy without the password"
            )
        pages = len(reader.pages)
        if pages > PAGES_MAX:
            raise FileTrouble(f"a PDF of {pages} pages", f"at most {PAGES_MAX}", "split it")
        text = _text(reader)
        title = _title(reader)
    except (PyPdfError, RecursionError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        # pypdf answers damage with whatever its own code then runs into.
        raise FileTrouble(
            f"a corrupt PDF ({type(error).__name__})",
            "a PDF that opens",
            "open it in a viewer and save it again",
        ) from None
    if not text:
        raise FileTrouble(
            f"{pages} pages and no text layer", "a PDF with text", "run text recognition (OCR) on it first"
        )
    return parsed(text, title, PDF)


def _text(reader: PdfReader) -> str:
    pages: list[str] = []
    length = 0
    for page in reader.pages:
        pages.append(clean_text(page.extract_text()))
        length += len(pages[-1])
        if length > TEXT_CHARS_MAX:
            raise FileTrouble(
                f"more than {TEXT_CHARS_MAX} characters", f"at most {TEXT_CHARS_MAX}", "split the PDF"
            )
    return "\n\n".join(page for page in pages if page)


def _title(reader: PdfReader) -> str:
    metadata = reader.metadata
    title = metadata.title if metadata is not None else None
    return title if isinstance(title, str) else ""
