"""Turn a document's bytes into text, by its kind.

Promise: a file gives its text or one :class:`FileTrouble`; whatever a parser
runs into is reported with the error's kind and never with its words, which
may be the document's. Parsers are imported when they are first needed.
"""

from __future__ import annotations

from .errors import FileTrouble
from .media_types import DOCX, HTML, MAIL, MARKDOWN, PDF, PLAIN
from .parsed import ParsedDocument

IN_PROCESS = frozenset({PLAIN, MARKDOWN})
"""Kinds that are only decoded, so need no process of their own."""

PARSERS_VERSION = 1
"""Raised whenever the same bytes give another text: every document is then read again."""


def parse(content: bytes, media_type: str, encoding: str | None = None) -> ParsedDocument:
    """Return the text of a document.

    Args:
        content: Its bytes.
        media_type: One of :data:`~ringfence_ingest.media_types.KNOWN_TYPES`.
        encoding: What text files are encoded in; None: their mark or declaration, else UTF-8.

    Raises:
        FileTrouble: It cannot be read; says why and what to do.
    """
    try:
        return _parse(content, media_type, encoding)
    except FileTrouble:
        raise
    except MemoryError:
        raise FileTrouble("a file that needs more memory than a parser may use", "less", "split it") from None
    except Exception as error:  # noqa: BLE001 - the boundary to foreign parsers: any failure is this file's
        raise FileTrouble(
            f"a file its parser cannot read ({type(error).__name__})",
            f"a sound {media_type}",
            "open it in its program and save it again",
        ) from None


def _parse(content: bytes, media_type: str, encoding: str | None) -> ParsedDocument:
    if media_type in IN_PROCESS:
        from .parser_text import parse_text

        return parse_text(content, media_type, encoding)
    if media_type == HTML:
        from .parser_html import parse_html

        return parse_html(content, encoding)
    if media_type == PDF:
        from .parser_pdf import parse_pdf

        return parse_pdf(content)
    if media_type == DOCX:
        from .parser_docx import parse_docx

        return parse_docx(content)
    if media_type == MAIL:
        from .parser_email import parse_email

        return parse_email(content)
    raise ValueError(media_type)
