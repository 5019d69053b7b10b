"""Say where the rows of each atom lie in one version of a table.

Promise: a version's map holds exactly its rows, each under the atom it
carries there. What was learnt of a fragment is used again only for a
fragment of the same data files, deletions and number; everything else is
read. Nothing here opens a table.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .atom_sets import AtomSet

SETS_COUNTED = 256
"""Of so many sets of atoms it is kept how many rows they have."""
PART_ROWS_MAX = 16_384
"""Rows of one part; an atom with more of them in a fragment has several. Bounds what must be in memory at once."""
PART_ROWS_MIN = 2_048
"""Of one that another follows. One in so many rows may end a part."""
MIXING = np.uint32(0x9E3779B1)
"""Spreads the places of rows, so that which of them end a part does not go with how they came (Knuth, 6.4)."""
MAPS_KEPT = 8
"""How many maps of table versions are kept; what they share is held once."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one atom in one fragment: what one resident block is made of.

    Args:
        identity: Equal only for the same rows with the same content under the same atom.
        addresses: uint64 of shape (n,), ascending, n from 1.
    """

    atom: int
    identity: bytes
    addresses: npt.NDArray[np.uint64] = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.addresses)


@dataclass(frozen=True, slots=True)
class FragmentColumns:
    """What is read of the rows of one fragment.

    Args:
        offsets: uint32 of shape (n,): where each row lies.
        atoms: int32 of shape (n,).
        words: int32 of shape (n,): how many words each has; None in a sealed store, which says so nowhere.
    """

    offsets: npt.NDArray[np.uint32]
    atoms: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32] | None = None


NO_ROWS = FragmentColumns(np.zeros(0, np.uint32), np.zeros(0, np.int32))


class FragmentRows:
    """The rows of one fragment, by atom."""

    __slots__ = ("_content", "_identities", "_lengths", "_words", "atoms", "number", "offsets", "starts")

    def __init__(self, number: int, content: str, columns: FragmentColumns) -> None:
        offsets, atoms = columns.offsets, columns.atoms
        order = np.lexsort((offsets, atoms))
        self.number = np.uint64(number << 32)
        self._content = content.encode()
        self._identities: dict[int, tuple[bytes, ...]] = {}
        self.offsets = offsets[order]
        self.atoms, starts = np.unique(atoms[order], return_index=True)
        self.starts = np.append(starts, len(order)).astype(np.int64)
        self._lengths = np.zeros(0, np.int32)
        self._words = np.zeros(len(self.atoms), np.int64)
        if columns.words is not None and len(order):
            self._lengths = np.zeros(int(offsets.max()) + 1, np.int32)
            self._lengths[offsets] = columns.words
            self._words = np.add.reduceat(columns.words[order].astype(np.int64), self.starts[:-1])

    def words(self, places: npt.NDArray[np.intp]) -> int:
        """Return how many words the rows of some of its atoms have together."""
        return int(self._words[places].sum())

    def lengths(self, addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return how many words each of some of its rows has."""
        return self._lengths[(addresses & np.uint64(0xFFFFFFFF)).astype(np.intp)]

    def places(self, atoms: AtomSet) -> npt.NDArray[np.intp]:
        """Return which of this fragment's atoms are among some."""
        return np.flatnonzero(atoms.holds_each(self.atoms))

    def addresses(self, place: int) -> npt.NDArray[np.uint64]:
        """Return the row addresses of its atom number `place`, ascending."""
        return self.number | self.offsets[self.starts[place] : self.starts[place + 1]].astype(np.uint64)

    def parts(self, place: int) -> list[Part]:
        """Return its rows of its atom number `place`, at most :data:`PART_ROWS_MAX` in each."""
        atom, identities = int(self.atoms[place]), self.identities(place)
        return [
            Part(atom, each, addresses)
            for each, addresses in zip(identities, self._pieces(place), strict=True)
        ]

    def identities(self, place: int) -> tuple[bytes, ...]:
        """Return the identities of :meth:`parts`; made once, since neither rows nor content ever change."""
        found = self._identities.get(place)
        if found is None:
            atom = int(self.atoms[place])
            found = tuple(_identity(atom, self._content, piece) for piece in self._pieces(place))
            self._identities[place] = found
        return found

    def _pieces(self, place: int) -> list[npt.NDArray[np.uint64]]:
        """Return its rows in pieces that end where a row says so, not after so many: all others stay if one goes."""
        addresses = self.addresses(place)
        mixed = (addresses.astype(np.uint32) * MIXING).astype(np.uint64) * np.uint64(PART_ROWS_MIN)
        ends = np.flatnonzero(mixed < 1 << 32) + 1
        bounds = [0]
        for end in [*ends.tolist(), len(addresses)]:
            while end - bounds[-1] > PART_ROWS_MAX:
                bounds.append(bounds[-1] + PART_ROWS_MAX)
            if end - bounds[-1] >= PART_ROWS_MIN:
                bounds.append(end)
        if bounds[-1] < len(addresses):
            bounds.append(len(addresses))
        return [addresses[start:end] for start, end in pairwise(bounds)]


def _identity(atom: int, content: bytes, addresses: npt.NDArray[np.uint64]) -> bytes:
    made = hashlib.blake2b(content, digest_size=16)
    made.update(addresses.tobytes())
    return atom.to_bytes(4, "big") + made.digest()


def parts_of(atoms: npt.NDArray[np.int32], addresses: npt.NDArray[np.uint64]) -> tuple[Part, ...]:
    """Return some rows of one table version by atom; of no meaning in another version.

    Args:
        atoms: int32 of shape (n,): of each row.
        addresses: uint64 of shape (n,), no two alike.
    """
    order = np.lexsort((addresses, atoms))
    found, starts = np.unique(atoms[order], return_index=True)
    pieces = np.split(addresses[order], starts[1:]) if len(found) else []
    return tuple(
        Part(atom, _identity(atom, b"", piece), piece)
        for atom, piece in zip(found.tolist(), pieces, strict=True)
    )


class TableRows:
    """The rows of one table version, by atom."""

    __slots__ = ("_counted", "fragments")

    def __init__(self, fragments: Sequence[FragmentRows]) -> None:
        self.fragments = tuple(fragments)
        # Neither the rows nor a set of atoms ever changes: a set is counted once.
        self._counted: dict[int, tuple[AtomSet, int]] = {}

    def count(self, atoms: AtomSet) -> int:
        """Return how many rows carry one of `atoms`."""
        kept = self._counted.get(id(atoms))
        if kept is not None and kept[0] is atoms:
            return kept[1]
        found = sum(
            int((np.diff(fragment.starts)[fragment.places(atoms)]).sum()) for fragment in self.fragments
        )
        if len(self._counted) >= SETS_COUNTED:
            self._counted.clear()
        self._counted[id(atoms)] = (atoms, found)
        return found

    def words(self, atoms: AtomSet) -> int:
        """Return how many words the rows of `atoms` have together; 0 in a sealed store."""
        return sum(fragment.words(fragment.places(atoms)) for fragment in self.fragments)

    def lengths(self, addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return how many words each of some rows has."""
        found = np.zeros(len(addresses), np.int32)
        numbers = addresses & ~np.uint64(0xFFFFFFFF)
        for fragment in self.fragments:
            here = numbers == fragment.number
            found[here] = fragment.lengths(addresses[here])
        return found

    def addresses(self, atoms: AtomSet) -> npt.NDArray[np.uint64]:
        """Return where the rows of `atoms` lie."""
        found = [fragment.addresses(place) for fragment in self.fragments for place in fragment.places(atoms)]
        return np.concatenate(found) if found else np.zeros(0, np.uint64)

    def parts(self, atoms: AtomSet) -> tuple[Part, ...]:
        """Return the rows of `atoms`, by atom, then by fragment."""
        found = [
            part
            for fragment in self.fragments
            for place in fragment.places(atoms).tolist()
            for part in fragment.parts(place)
        ]
        return tuple(sorted(found, key=lambda part: part.atom))

    def identities(self) -> frozenset[bytes]:
        """Return the identities of the parts of all atoms."""
        return frozenset(
            identity
            for fragment in self.fragments
            for place in range(len(fragment.atoms))
            for identity in fragment.identities(place)
        )


@dataclass(frozen=True, slots=True)
class FragmentFacts:
    """What a table version says of one fragment, before anything of it is read.

    Args:
        number: Its number in the table.
        signature: All that makes it: data files, deletions, number.
        content: The files that hold anything but the atoms.
        rows: How many there are.
    """

    number: int
    signature: str
    content: str
    rows: int


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a table version says of itself, before any row of it is read.

    Args:
        fragments: All it has.
        read: Reads the rows of the fragments of some numbers, all at once; of one without rows it says nothing.
        batches: Reads some columns of them, and the atoms, a piece at a time, each row with its address.
    """

    fragments: Sequence[FragmentFacts]
    read: Callable[[Collection[int]], Mapping[int, FragmentColumns]]
    batches: Callable[[Collection[int], Sequence[str]], Iterator[Any]]


class RowMap:
    """The maps of some table versions. Safe to use from several threads."""

    __slots__ = ("_fragments", "_lock", "_tables")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: OrderedDict[tuple[str, int], TableRows] = OrderedDict()
        self._fragments: dict[str, dict[str, FragmentRows]] = {}

    def of(self, name: str, version: int, facts: Callable[[], VersionFacts]) -> TableRows:
        """Return the map of a table version.

        Args:
            facts: What the version says of itself; called if its map is not kept.
        """
        with self._lock:
            found = self._tables.get((name, version))
            known = self._fragments.get(name, {})
        if found is not None:
            return found
        read = _fragments(facts(), known)
        made = TableRows(tuple(read.values()))
        with self._lock:
            self._tables[name, version] = made
            # Only of the version read last: an older one shares what it has in common while its map is kept.
            self._fragments[name] = read
            while len(self._tables) > MAPS_KEPT:
                self._tables.popitem(last=False)
        return made


def _fragments(facts: VersionFacts, known: Mapping[str, FragmentRows]) -> dict[str, FragmentRows]:
    """Return the rows of all fragments, by signature; those that are not known are read, in one go."""
    new = [fact.number for fact in facts.fragments if fact.signature not in known]
    columns = facts.read(new) if new else {}
    return {
        fact.signature: known.get(fact.signature)
        or FragmentRows(fact.number, fact.content, columns.get(fact.number, NO_ROWS))
        for fact in facts.fragments
    }
