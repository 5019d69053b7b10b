"""Take a mailbox apart into mails, each with a name that a later run finds again.

Promise: a mail's name depends on its content alone, not on its place in the
mailbox or on whether it was read; two copies that are byte for byte equal
stay two mails. The memory used is that of one mail, whatever the mailbox's
size.

An mbox is split as RFC 4155 says: at each line that starts with `From ` at
the top or after an empty line.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

KEY_HEX_DIGITS = 32
"""Digits of a mail's name: 128 bits of SHA-256."""

LINE_BYTES_MAX = 1024 * 1024
"""Longest piece read as one line, so that a file without line ends fits in memory."""

# What mail programs rewrite inside a mailbox each time a mail is looked at.
_VOLATILE = re.compile(
    rb"(?im)^(?:status|x-status|x-mozilla-status2?|x-mozilla-keys|x-keywords|x-uid|x-imapbase|x-imap"
    rb"|content-length|lines):[^\n]*\n(?:[ \t][^\n]*\n)*"
)
_FROM_LINE = re.compile(rb"From \S+.*\d\d:\d\d.*\d{4}")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of a mailbox.

    Args:
        key: Its name within the mailbox, lower-case hex, with a number if it is an equal copy.
        content: Its bytes without the mailbox's own status lines; None if it is larger than allowed.
        size: Its bytes in the mailbox.
    """

    key: str
    content: bytes | None = field(repr=False)
    size: int


def is_mbox(first_line: bytes) -> bool:
    """Say whether a file that starts with this line is an mbox."""
    return _FROM_LINE.match(first_line) is not None


def split_mbox(file: BinaryIO, bytes_max: int) -> Iterator[Mail]:
    """Yield the mails of an mbox in order.

    Args:
        file: Open for reading, at its start.
        bytes_max: Largest mail that is kept; a larger one is yielded without content.
    """
    namer = MailNamer()
    lines = iter(lambda: file.readline(LINE_BYTES_MAX), b"")
    for content, size in _messages(lines, bytes_max):
        yield namer.mail(content, size, bytes_max)


class MailNamer:
    """Names the mails of one mailbox: equal copies are numbered in the order they come."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def mail(self, content: bytes, size: int, bytes_max: int) -> Mail:
        """Return the mail of these bytes; beyond `bytes_max`, `content` may be only its start."""
        kept = without_status_lines(content)
        key = hashlib.sha256(kept).hexdigest()[:KEY_HEX_DIGITS]
        self._seen[key] += 1
        if self._seen[key] > 1:
            key = f"{key}-{self._seen[key]}"
        return Mail(key=key, content=kept if size <= bytes_max else None, size=size)


def without_status_lines(content: bytes) -> bytes:
    """Return a mail without the headers a mail program writes for itself."""
    end = re.search(rb"\r?\n\r?\n", content)
    head = content[: end.start() + 1] if end else content
    return _VOLATILE.sub(b"", head) + content[len(head) :]


def _messages(lines: Iterable[bytes], bytes_max: int) -> Iterator[tuple[bytes, int]]:
    current: list[bytes] = []
    size = 0
    inside = False
    after_empty = True
    for line in lines:
        if after_empty and line.startswith(b"From "):
            if inside:
                yield _joined(current), size
            current, size, inside = [], 0, True
        elif inside:
            size += len(line)
            if size <= bytes_max:
                current.append(line)
        after_empty = line in (b"\n", b"\r\n")
    if inside:
        yield _joined(current), size


def _joined(lines: list[bytes]) -> bytes:
    # The empty line before the next `From ` belongs to the mailbox, not to the mail.
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    return b"".join(lines)
