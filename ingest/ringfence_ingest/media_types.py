"""Say what kind of document a file is, by its ending and by its first bytes.

Promise: an ending is believed only as far as the bytes agree: what says it is
a PDF and is none is a defect, never text. What is neither a known format nor
text is skipped with its kind named.
"""

from __future__ import annotations

import re

from .errors import FileSkipped, FileTrouble

PLAIN = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MAIL = "message/rfc822"

TEXT_TYPES = frozenset({PLAIN, MARKDOWN, HTML, MAIL})
"""Kinds whose content can be given as text."""

KNOWN_TYPES = frozenset({PLAIN, MARKDOWN, HTML, PDF, DOCX, MAIL})

_ENDINGS = {
    "txt": PLAIN,
    "text": PLAIN,
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "html": HTML,
    "htm": HTML,
    "xhtml": HTML,
    "pdf": PDF,
    "docx": DOCX,
    "docm": DOCX,
    "eml": MAIL,
}

SNIFF_BYTES = 4096
"""How much of a file's start is looked at."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAIL_START = re.compile(
    rb"(?:return-path|received|from|to|date|subject|message-id|mime-version|delivered-to|x-[a-z-]+):[ \t]",
    re.I,
)
_MAIL_LATER = re.compile(rb"(?im)^(?:from|message-id|received|mime-version):[ \t]")
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.I)

_OTHER_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a zip archive that is no docx"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
    (_OLE, "an old Office file (.doc, .xls, .ppt)"),
)


def media_type_of_path(path: str) -> str | None:
    """Return the kind a path's ending names, or None."""
    name = path.rpartition("/")[2]
    return _ENDINGS.get(name.rpartition(".")[2].lower()) if "." in name else None


def media_type_of(path: str, content: bytes, declared: str | None) -> str:
    """Return the kind of a document.

    Args:
        path: Its path, for the ending.
        content: Its bytes.
        declared: What its source says, or None.

    Raises:
        FileSkipped: Empty, or of a kind Ringfence does not read.
        FileTrouble: It says it is one kind and is another.
    """
    if not content:
        raise FileSkipped("an empty file", "a file with text", "nothing to do")
    named = _declared(declared) or media_type_of_path(path)
    start = content[:SNIFF_BYTES]
    if named in (PDF, DOCX):
        _check_container(named, start)
        return named
    if named is not None:
        return named
    return _sniffed(start)


def _declared(declared: str | None) -> str | None:
    if declared is None:
        return None
    plain = declared.partition(";")[0].strip().lower()
    if plain in KNOWN_TYPES:
        return plain
    if plain.startswith("text/"):
        return PLAIN
    raise FileSkipped(f"media type {plain!r}", f"one of {', '.join(sorted(KNOWN_TYPES))}", "convert it first")


def _check_container(named: str, start: bytes) -> None:
    if named == PDF and b"%PDF-" not in start[:1024]:
        raise FileTrouble("no PDF header in a file called .pdf", "'%PDF-' at its start", "export it again")
    if named == DOCX and start.startswith(_OLE):
        raise FileTrouble(
            "an encrypted document, or an old .doc with a new name",
            "a docx without a password",
            "save it without a password, as docx",
        )
    if named == DOCX and not start.startswith(b"PK\x03\x04"):
        raise FileTrouble("no zip archive in a file called .docx", "a docx", "save it again as docx")


def _sniffed(start: bytes) -> str:
    if b"%PDF-" in start[:16]:
        return PDF
    if start.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in start and b"word/" in start:
        return DOCX
    for mark, kind in _OTHER_KINDS:
        if start.startswith(mark):
            raise FileSkipped(kind, "txt, md, html, pdf, docx or eml", "convert it, or exclude it")
    if b"\x00" in start and not start.startswith(_UTF16_MARKS):
        raise FileSkipped(
            "binary data of an unknown kind", "txt, md, html, pdf, docx or eml", "convert it, or exclude it"
        )
    if _HTML_START.match(start):
        return HTML
    if _MAIL_START.match(start) and _MAIL_LATER.search(start):
        return MAIL
    return PLAIN
