"""Read a mail: who, when, what about, and the body a mail program would show.

Promise: malformed mails are read as far as they go. Bcc is never part of the
text. Attachments are named, not read.
"""

from __future__ import annotations

import email.policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser

from .errors import FileTrouble
from .media_types import MAIL
from .parsed import ParsedDocument, clean_text, parsed
from .parser_html import html_text

SHOWN_HEADERS = ("Subject", "From", "To", "Cc", "Date")

_MALFORMED = (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
"""What Python's mail package runs into on mails that break the standard."""


def parse_email(content: bytes) -> ParsedDocument:
    """Return a mail's headers and body as text; its title is the subject.

    Raises:
        FileTrouble: There is neither a header nor a body.
    """
    message = BytesParser(_class=EmailMessage, policy=email.policy.default).parsebytes(content)
    subject = _header(message, "Subject")
    body = _body(message)
    attachments = _attachment_names(message)
    shown = [f"{name}: {value}" for name in SHOWN_HEADERS if (value := _header(message, name))]
    if not shown and not body:
        raise FileTrouble("a mail without headers and body", "a mail", "nothing to do")
    parts = ["\n".join(shown), body, "\n".join(f"Attachment: {name}" for name in attachments)]
    return parsed("\n\n".join(part for part in parts if part), subject, MAIL)


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = message.get(name)
        return clean_text(str(value)).replace("\n", " ") if value is not None else ""
    except _MALFORMED:
        return _raw_header(message, name)


def _raw_header(message: EmailMessage, name: str) -> str:
    """Return a header as it was sent, where the mail package cannot take it apart."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            return clean_text(str(value)).replace("\n", " ")
    return ""


def _body(message: EmailMessage) -> str:
    try:
        part = message.get_body(preferencelist=("plain", "html"))
    except _MALFORMED:
        part = None
    if part is None:
        return _payload(message) if not message.is_multipart() and _is_text(message) else ""
    if part.get_content_type() == "text/html":
        return html_text(_payload(part)).text
    return clean_text(_payload(part))


def _payload(part: MIMEPart) -> str:
    try:
        content = part.get_content(errors="replace")
        return content if isinstance(content, str) else ""
    except _MALFORMED:
        # An unknown charset or a broken transfer encoding: what can be read as UTF-8 is.
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _is_text(part: EmailMessage) -> bool:
    return part.get_content_maintype() == "text"


def _attachment_names(message: EmailMessage) -> list[str]:
    names: list[str] = []
    try:
        for part in message.iter_attachments():
            name = part.get_filename()
            names.append(clean_text(name).replace("\n", " ") if name else part.get_content_type())
    except _MALFORMED:
        # What was named so far stands: the rest of the structure cannot be read.
        return names
    return names
