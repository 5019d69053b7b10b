"""Commit to a list by one digest, and prove that one item is in it.

Promise: two lists with one root are one list, in one order; a path proves
membership at a place and nothing else. Nothing here reads a file.

Source: RFC 6962, section 2.1: a leaf is hashed behind a zero byte, a node
behind a one, so that no node can pose as a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY = hashlib.sha256(b"").digest()
"""The root of no item."""


def leaf(item: bytes) -> bytes:
    """Return the digest of an item as a leaf."""
    return hashlib.sha256(b"\0" + item).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the digest of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


def peaks(leaves: Sequence[bytes], before: Sequence[bytes] = (), count: int = 0) -> list[bytes]:
    """Return the roots of the full subtrees a tree is made of, the largest first.

    Args:
        leaves: Digests of the leaves that are added.
        before: The peaks of the tree they are added to.
        count: How many leaves that tree has.
    """
    found = list(before)
    for added in leaves:
        digest, size = added, count
        while size & 1:
            digest = node(found.pop(), digest)
            size >>= 1
        found.append(digest)
        count += 1
    return found


def root_of_peaks(found: Sequence[bytes]) -> bytes:
    """Return the root of the tree with these peaks."""
    if not found:
        return EMPTY
    digest = found[-1]
    for left in reversed(found[:-1]):
        digest = node(left, digest)
    return digest


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaves, given as digests."""
    return root_of_peaks(peaks(leaves))


def path(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """Return the digests beside the way from a leaf to the root, the nearest first."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if place < split:
        return [*path(leaves[:split], place), root(leaves[split:])]
    return [*path(leaves[split:], place - split), root(leaves[:split])]


def root_by_path(digest: bytes, place: int, count: int, beside: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to; None if the path does not fit a tree of `count` leaves."""
    if not 0 <= place < count:
        return None
    if count == 1:
        return None if beside else digest
    if not beside:
        return None
    split = _split(count)
    if place < split:
        below = root_by_path(digest, place, split, beside[:-1])
        return None if below is None else node(below, beside[-1])
    below = root_by_path(digest, place - split, count - split, beside[:-1])
    return None if below is None else node(beside[-1], below)


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return int(1 << ((count - 1).bit_length() - 1))
