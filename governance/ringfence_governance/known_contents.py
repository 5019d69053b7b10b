"""Remember, while a store is open, of which bytes the documents are that were opened, and what was given to whom.

Promise: what is remembered is a keyed digest of a document's bytes, under its
id, its atom and its metadata as that is sealed, and is told to who has all three
from a row of his grant: of a row that was moved under another label nothing is.
Nothing of it is on a disk, where it would show which documents are equal.

Source: docs/decisions/0017-context-and-answers.md.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .seal import digest

DOCUMENTS_KEPT = 200_000
"""Of so many documents at most; the one noted first is forgotten first. Some 250 bytes each."""
PERSONS_KEPT = 64
"""For so many persons it is kept what the log says was given to them; the one not asked about longest goes first."""
DIGITS = 32


class KnownContents:
    """Which bytes documents are of. Safe to use from several threads.

    Args:
        key: Returns the key of the digests.
    """

    __slots__ = ("_held", "_key", "_lock")

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._held: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return "KnownContents(…)"

    def __reduce__(self) -> str:
        raise TypeError("what is known of documents cannot be pickled")

    def digest(self, sha256: str) -> bytes:
        """Return by what bytes are remembered."""
        return bytes.fromhex(digest(self._key(), "known content", sha256)[:DIGITS])

    def note(self, document_id: str, atom: int, metadata: bytes, sha256: str) -> None:
        """Remember of which bytes a document is.

        Args:
            atom: That its key was opened for.
            metadata: As it is sealed: sealed anew, it is another.
        """
        place = _place(document_id, atom, metadata)
        if place in self._held:
            return
        found = self.digest(sha256)
        with self._lock:
            self._held[place] = found
            while len(self._held) > DOCUMENTS_KEPT:
                del self._held[next(iter(self._held))]

    def of(self, document_id: str, atom: int, metadata: bytes) -> bytes | None:
        """Return the digest of a document's bytes; None if it is not remembered."""
        return self._held.get(_place(document_id, atom, metadata))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._held.clear()


def _place(document_id: str, atom: int, metadata: bytes) -> bytes:
    made = hashlib.blake2b(
        metadata, digest_size=16, person=bytes.fromhex(document_id), salt=atom.to_bytes(4, "big", signed=True)
    )
    return made.digest()


@dataclass(slots=True)
class _Given:
    """What was given to one person, and how far the log was read for it."""

    read_to: dict[str, int] = field(default_factory=dict)
    atoms: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


class KnownGiven:
    """What the log says was given to persons; it only grows. Safe to use from several threads."""

    __slots__ = ("_held", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Given] = OrderedDict()

    def __repr__(self) -> str:
        return "KnownGiven(…)"

    def __reduce__(self) -> str:
        raise TypeError("what was given cannot be pickled")

    def atoms(
        self, person: str, content: str, read: Callable[[dict[str, int]], Iterator[tuple[str, int]]]
    ) -> frozenset[int]:
        """Return the atoms under which bytes were ever given to a person.

        Args:
            content: Their keyed digest, as the log has it.
            read: Reads on in the log, from where its argument says, which it moves on.
        """
        with self._lock:
            found = self._held.pop(person, None) or _Given()
            # What raises is read again as a whole the next time.
            for other, atom in read(found.read_to):
                found.atoms[other].add(atom)
            self._held[person] = found
            while len(self._held) > PERSONS_KEPT:
                self._held.popitem(last=False)
            return frozenset(found.atoms.get(content, ()))
