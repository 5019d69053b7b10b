"""Hold the records of one segment to their chain, and to what checkpoints say of them.

Promise: the first record that is not as it was written is named; a damaged
line, an unknown version and a clock that went backwards are named too, and
nothing is skipped. Nothing here reads a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import merkle
from .audit_record import RECORD_VERSION
from .checkpoints import Part

FIRST_PREVIOUS = "0" * 64


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written.

    Args:
        kind: changed, dropped, damaged, version, cut, missing, rewritten, unregistered, checkpoint, forked or
            rolled back.
        segment: Where; empty if it is about the checkpoints.
        number: Of the first bad record, or of the checkpoint; 0 if it is about the whole.
        found: What was found; what was expected.
    """

    kind: str
    segment: str
    number: int
    found: str

    def to_mapping(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(slots=True)
class Chain:
    """What one segment's lines turned out to be.

    Args:
        digests: Of the records up to the first bad one.
        finding: That one; None if all are as they were written.
        backwards: Numbers of the records whose time is before that of the record before.
    """

    digests: list[bytes] = field(default_factory=list)
    finding: Finding | None = None
    backwards: list[int] = field(default_factory=list)


def chain(segment: str, store: str, lines: Sequence[bytes], after: int = 0, previous: str = "") -> Chain:
    """Follow a segment's chain as far as it holds.

    Args:
        lines: Without their line breaks.
        after: How many records come before them.
        previous: Digest of the last of those; empty for none.
    """
    made = Chain()
    previous, at = previous or FIRST_PREVIOUS, ""
    for number, line in enumerate(lines, start=after + 1):
        found = _record(line)
        fault = _fault(found, line, segment, store, number, previous)
        if fault is not None:
            made.finding = Finding(fault[0], segment, number, fault[1])
            return made
        previous = found["digest"]
        made.digests.append(bytes.fromhex(previous))
        if found["at"] < at:
            made.backwards.append(number)
        at = found["at"]
    return made


def against_parts(segment: str, digests: Sequence[bytes], parts: Sequence[Part]) -> Finding | None:
    """Return the first thing that is not as the checkpoints say; None if all they cover is there."""
    for part in parts:
        if len(digests) < part.to:
            number = max(len(digests), part.after) + 1
            lost = f"it ends before record {number}; a checkpoint covers {part.to}"
            return Finding("cut", segment, number, lost)
        covered = digests[part.after : part.to]
        root = merkle.root([merkle.leaf(digest) for digest in covered])
        if root.hex() != part.root or covered[-1].hex() != part.last:
            where = (
                f"record {part.to}" if part.to == part.after + 1 else f"records {part.after + 1} to {part.to}"
            )
            return Finding(
                "rewritten",
                segment,
                part.after + 1,
                f"{where}: a chain that holds by itself and is not the one a checkpoint signed",
            )
    return None


def _record(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fault(
    found: dict[str, Any], line: bytes, segment: str, store: str, number: int, previous: str
) -> tuple[str, str] | None:
    if not found:
        return "damaged", "a line that is no record"
    if found.get("version") != RECORD_VERSION:
        return "version", f"a record of version {found.get('version')!r}; expected {RECORD_VERSION}"
    body, _, digest = line.rpartition(b',"digest":"')
    if hashlib.sha256(body + b"}").hexdigest().encode() != digest.removesuffix(b'"}'):
        return "changed", "a record whose digest is not that of its bytes"
    if found.get("number") != number or found.get("segment") != segment:
        place = f"{found.get('segment')}:{found.get('number')}"
        return "dropped", f"record {place!r}; expected {f'{segment}:{number}'!r}"
    if found.get("previous") != previous:
        return "rewritten", "a record that does not follow the one before it: one of the two was changed"
    if found.get("store") != store or not isinstance(found.get("at"), str):
        return "changed", "a record of another store"
    return None
