"""Say, under a signature, which records the audit log held.

Promise: a checkpoint commits to every record it covers and to the checkpoint
before it. Each names, for each segment that grew, how many records it had
before and has now, the Merkle root over the digests of the new ones, and the
last one's digest; its own root is over all such parts since the store began.

The key is the store's own, for this alone; it lies wrapped among the keys.
Nothing here reads a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from . import merkle
from .certificates import canonical, public_key
from .key_store import KeyStore

VERSION = 1
"""Raised with each change of a field's meaning."""
PURPOSE = "audit checkpoint"
"""What the signing key is kept for, among the store's own keys."""
FIRST_PREVIOUS = "0" * 64
_DOMAIN = b"ringfence audit checkpoint 1\n"
FIELDS = frozenset(
    {
        "version",
        "store",
        "number",
        "at",
        "previous",
        "parts",
        "removed",
        "count",
        "peaks",
        "root",
        "records",
        "public_key",
        "signature",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """Records of one segment that one checkpoint covers.

    Args:
        segment: Its id.
        after: How many records of it were covered before.
        to: How many are now.
        root: Merkle root over the digests of those in between.
        last: Digest of the last of them, which the next record of the segment carries as `previous`.
    """

    segment: str
    after: int
    to: int
    root: str
    last: str

    def leaf(self) -> bytes:
        """Return its leaf in the tree of all parts."""
        return merkle.leaf(canonical(asdict(self)))


@dataclass(frozen=True, slots=True)
class Removed:
    """A segment that was removed for its age: what its parts say of it stays.

    Args:
        segment: Its id.
        records: How many it had.
        last: Digest of its last record.
        kept_sha256: SHA-256 of the file that keeps what it said was given to whom.
    """

    segment: str
    records: int
    last: str
    kept_sha256: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One signed statement.

    Args:
        number: From 1, without a gap.
        previous: SHA-256 of the line of the checkpoint before; zeros for the first.
        count: How many parts there are since the store began.
        peaks: The full subtrees of their tree, the largest first.
        root: That tree's root.
        records: How many records all of them cover.
    """

    store: str
    number: int
    at: str
    previous: str
    parts: tuple[Part, ...]
    removed: tuple[Removed, ...]
    count: int
    peaks: tuple[str, ...]
    root: str
    records: int
    public_key: str
    signature: str
    version: int = VERSION

    def line(self) -> bytes:
        """Return its canonical bytes, with a line break."""
        return canonical(asdict(self)) + b"\n"

    def digest(self) -> str:
        """Return what the next one names as `previous`."""
        return hashlib.sha256(self.line()).hexdigest()

    def is_genuine(self, public: str) -> bool:
        """Say whether the key with this public half signed it, and nothing in it was changed."""
        body = asdict(self)
        del body["signature"]
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            key.verify(bytes.fromhex(self.signature), _DOMAIN + canonical(body))
        except (InvalidSignature, ValueError):
            return False
        return self.public_key == public


def signing_key(keys: KeyStore) -> Ed25519PrivateKey:
    """Return the key that signs checkpoints, made at its first use."""
    return Ed25519PrivateKey.from_private_bytes(keys.ensure_store_key(PURPOSE))


def part(segment: str, after: int, digests: Sequence[bytes]) -> Part:
    """Return the part for records that follow the first `after` ones of a segment.

    Args:
        digests: Theirs, in order; at least one.
    """
    root = merkle.root([merkle.leaf(digest) for digest in digests])
    return Part(segment, after, after + len(digests), root.hex(), digests[-1].hex())


def following(
    before: Checkpoint | None,
    key: Ed25519PrivateKey,
    store: str,
    at: str,
    parts: Sequence[Part],
    removed: Sequence[Removed] = (),
) -> Checkpoint:
    """Return the signed checkpoint that follows another; None for the first."""
    count = 0 if before is None else before.count
    old = [] if before is None else [bytes.fromhex(peak) for peak in before.peaks]
    peaks = merkle.peaks([each.leaf() for each in parts], old, count)
    body: dict[str, Any] = {
        "store": store,
        "number": 1 if before is None else before.number + 1,
        "at": at,
        "previous": FIRST_PREVIOUS if before is None else before.digest(),
        "parts": [asdict(each) for each in parts],
        "removed": [asdict(each) for each in removed],
        "count": count + len(parts),
        "peaks": [peak.hex() for peak in peaks],
        "root": merkle.root_of_peaks(peaks).hex(),
        "records": (0 if before is None else before.records) + sum(each.to - each.after for each in parts),
        "public_key": public_key(key),
        "version": VERSION,
    }
    return parsed(canonical({**body, "signature": key.sign(_DOMAIN + canonical(body)).hex()}))


def parsed(line: bytes) -> Checkpoint:
    """Read a checkpoint; whether it is genuine is another question.

    Raises:
        ValueError: It is none, or of another version; the message says which.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("a line that is no checkpoint") from None
    if not isinstance(found, dict):
        raise ValueError("a line that is no checkpoint")
    if found.get("version") != VERSION:
        raise ValueError(f"a checkpoint of version {found.get('version')!r}; expected {VERSION}")
    if set(found) != FIELDS:
        raise ValueError("a checkpoint with other fields than its version has")
    try:
        made = Checkpoint(
            **{
                **found,
                "parts": tuple(Part(**each) for each in found["parts"]),
                "removed": tuple(Removed(**each) for each in found["removed"]),
                "peaks": tuple(found["peaks"]),
            }
        )
        if made.line().rstrip(b"\n") != line.rstrip(b"\n"):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError("a checkpoint whose fields are not as its version has them") from None
    return made
