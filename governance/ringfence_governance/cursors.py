"""Mark where an answer goes on, so that only who got it can go on there.

Promise: a cursor holds how many hits came before and a digest of the handle of
what was readable, and nothing of the store. It is taken from the same chain of actors,
for the same question, over the same readable rows and labels, and from
nobody else; what is altered, made up or another's is one answer.

Source: docs/decisions/0016-questions-about-metadata.md.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import struct

from . import as_of
from .errors import InvalidInput
from .grants import Grant
from .ground import Ground
from .seal import digest
from .subjects import Subject

START_BYTES = 8
AS_OF_BYTES = 16
SEAL_BYTES = 32


def made(ground: Ground, subject: Subject, question: str, start: int, seen: str) -> str:
    """Return the cursor behind some hits.

    Args:
        question: All that decides which hits come in which order.
        start: How many hits came before.
        seen: The handle of what was readable, see :func:`as_of.handle`.
    """
    mark = struct.pack(">Q", start) + _as_of(ground, seen)
    return base64.urlsafe_b64encode(mark + _seal(ground, subject, question, mark)).decode().rstrip("=")


def start_of(ground: Ground, grant: Grant, question: str, cursor: str) -> int:
    """Return how many hits came before a cursor.

    Raises:
        InvalidInput: It is not of this subject and question; or what he may read is not what it was.
    """
    raw = _decoded(cursor)
    mark, seal = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
    whole = len(raw) == START_BYTES + AS_OF_BYTES + SEAL_BYTES
    if not whole or not hmac.compare_digest(seal, _seal(ground, grant.subject, question, mark)):
        raise InvalidInput(
            "cursor: found one that was not given to you for this question; expected that of the page before; "
            "ask the same question of the same reader, or ask without one"
        )
    if mark[START_BYTES:] != _as_of(ground, as_of.handle(ground, grant)):
        raise InvalidInput(
            "cursor: what you may read has changed since it was given; ask without one, from the first page on"
        )
    return int(struct.unpack(">Q", mark[:START_BYTES])[0])


def _as_of(ground: Ground, seen: str) -> bytes:
    return bytes.fromhex(digest(ground.store_key("query"), "cursor as of", seen))[:AS_OF_BYTES]


def _seal(ground: Ground, subject: Subject, question: str, mark: bytes) -> bytes:
    who = json.dumps([*subject.chain, subject.purpose])
    return bytes.fromhex(digest(ground.store_key("query"), "cursor", who, question, mark))


def _decoded(cursor: str) -> bytes:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    # Of the texts that stand for the same bytes, only the one that was given is taken.
    return raw if base64.urlsafe_b64encode(raw).decode().rstrip("=") == cursor else b""
