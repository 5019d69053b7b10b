"""Prove that one record was in the log when a checkpoint was signed.

Promise: a proof holds only for the record's own bytes, at its own place,
under a checkpoint the key signed; it shows nothing of any other record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import audit_segments, merkle
from .audit_chain import chain
from .certificates import canonical
from .checkpoint_file import CheckpointFile, read_line
from .checkpoints import Checkpoint, Part, parsed
from .errors import StoreCorrupt


def prove(root: Path, store: str, segment: str, number: int) -> dict[str, Any] | None:
    """Return a proof for a record; None if no checkpoint covers it.

    Raises:
        StoreCorrupt: The log is not what was signed: there is nothing to prove.
    """
    known = [read_line(line) for line in CheckpointFile(root).lines()[0]]
    parts = [part for each in known for part in each.parts]
    place = next((i for i, part in enumerate(parts) if _holds(part, segment, number)), None)
    if place is None:
        return None
    part = parts[place]
    lines = audit_segments.whole_lines(root / "audit", segment).split(b"\n")[:-1]
    digests = chain(segment, store, lines).digests[part.after : part.to]
    leaves = [merkle.leaf(digest) for digest in digests]
    if len(leaves) != part.to - part.after or merkle.root(leaves).hex() != part.root:
        raise StoreCorrupt("the audit log is not what was signed; verify it")
    within = merkle.path(leaves, number - part.after - 1)
    above = merkle.path([each.leaf() for each in parts], place)
    return {
        "record": f"{segment}:{number}",
        "digest": digests[number - part.after - 1].hex(),
        "within": [each.hex() for each in within],
        "part": asdict(part),
        "part_number": place,
        "above": [each.hex() for each in above],
        "checkpoint": asdict(known[-1]),
    }


def holds(proof: Mapping[str, Any], public: str, line: bytes | None = None) -> bool:
    """Say whether a proof holds under the key with this public half.

    Args:
        line: The record's line, whose digest is to be the one that is proven; None if that was compared.
    """
    try:
        checkpoint: Checkpoint = parsed(canonical(proof["checkpoint"]))
        part = Part(**proof["part"])
        segment, _, number = proof["record"].rpartition(":")
        place = int(number) - part.after - 1
        digest = bytes.fromhex(proof["digest"])
        within = merkle.root_by_path(
            merkle.leaf(digest), place, part.to - part.after, _bytes(proof["within"])
        )
        above = merkle.root_by_path(
            part.leaf(), proof["part_number"], checkpoint.count, _bytes(proof["above"])
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    if line is not None and _digest_of(line) != proof["digest"]:
        return False
    return (
        checkpoint.is_genuine(public)
        and part.segment == segment
        and within is not None
        and within.hex() == part.root
        and above is not None
        and above.hex() == checkpoint.root
    )


def _holds(part: Part, segment: str, number: int) -> bool:
    return part.segment == segment and part.after < number <= part.to


def _bytes(found: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in found]


def _digest_of(line: bytes) -> str:
    body, _, _ = line.rstrip(b"\n").rpartition(b',"digest":"')
    return hashlib.sha256(body + b"}").hexdigest()
