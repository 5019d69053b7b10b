"""Find rows of a grant by the indexes of an indexed store, when they are too many to be opened.

Promise: the index only says which of the grant's rows may matter. By meaning,
those are opened with the grant's keys and scored from what is sealed; by
words, each readable row that holds one is found, with how often it does.

Source: DESIGN.md §7; docs/decisions/0015-indexed-stores.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from . import block_opening, stopping
from .blinding import Blinding
from .errors import StoreCorrupt, StoreError
from .grants import Grant
from .ground import Ground
from .readable_rows import Places, ReadableRows
from .resident import ROWS_OPENED_AT_ONCE
from .row_map import Part, parts_of
from .segments import binary_ids

Addresses = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Held:
    """Which readable rows hold one word, and how often each does.

    Args:
        addresses: uint64 of shape (n,), ascending: where each row lies, of no meaning beyond the read.
        atoms: int32 of shape (n,).
        counts: int32 of shape (n,): how often each holds it.
        lengths: int32 of shape (n,): words of each row.
    """

    addresses: Addresses = field(repr=False)
    atoms: npt.NDArray[np.int32] = field(repr=False)
    counts: npt.NDArray[np.int32] = field(repr=False)
    lengths: npt.NDArray[np.int32] = field(repr=False)


class IndexedRows:
    """The rows one grant covers, as an indexed store's indexes know them. Useless once the read is over.

    Raises:
        StoreError: The store has no index.
    """

    __slots__ = ("_blinding", "_grant", "_ground", "_version")

    def __init__(self, ground: Ground, grant: Grant) -> None:
        if ground.blinding is None:
            raise StoreError("the store is sealed and has no index; nothing was read")
        self._blinding: Blinding = ground.blinding
        self._ground, self._grant = ground, grant
        self._version = grant.publication.versions["chunks"]

    def __repr__(self) -> str:
        return "IndexedRows(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("rows of a grant cannot be pickled")

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self._ground.tables.mode.dimensions

    def words_total(self) -> int:
        """Return how many words all readable rows hold together."""
        return self._ground.tables.map_of("chunks", self._version).words(self._grant.atoms)

    def nearest(self, query: npt.NDArray[np.float32], wanted: int) -> ReadableRows:
        """Return the rows nearest to a vector, opened; of the nearest, some may be missed.

        Args:
            query: float32 of shape (d,).
            wanted: How many at least, if there are so many.

        Raises:
            Refused: The grant is no longer valid, or not one to read.
            StoreCorrupt: A row is of an atom outside the grant, or does not open.
        """
        block_opening.check(self._ground, self._grant)
        rotated = self._blinding.rotated(query[None])[0]
        return self._opened(self._ground.tables.nearest(self._version, self._grant.atoms, rotated, wanted))

    def holding(self, word: str) -> Held:
        """Return every row that holds a word.

        Raises:
            Refused, StoreCorrupt: As :meth:`nearest`.
        """
        block_opening.check(self._ground, self._grant)
        tokens = self._blinding.tokens(word)
        rows = self._held(" ".join(tokens))
        counts = np.zeros(len(rows[0]), np.int32)
        for count, token in enumerate(tokens[:-1], start=1):
            if counts.all():
                break
            counts[np.searchsorted(rows[0], self._held(token)[0])] = count
        # So often or more: how often exactly is in what is sealed.
        often = np.flatnonzero(counts == 0)
        if len(often):
            counts[often] = self._counted(rows[0][often], rows[1][often], word)
        lengths = self._ground.tables.map_of("chunks", self._version).lengths(rows[0])
        return Held(*rows, counts, lengths)

    def ids(self, addresses: Addresses, atoms: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
        """Return the ids of some rows as pairs of numbers, ordered as the ids are: uint64 of shape (n, 2).

        Args:
            addresses: Ascending, with their atoms, as :meth:`holding` gave them.
        """
        if not len(addresses):
            return np.zeros((0, 2), np.uint64)
        found = self._ground.tables.scan_parts("chunks", self._version, parts_of(atoms, addresses), [])
        if found.num_rows != len(addresses):
            raise StoreCorrupt("the scan returned other rows than were asked for; no result leaves")
        return binary_ids(found["id"].take(np.argsort(found["_rowaddr"].to_numpy())).to_pylist())

    def opened(
        self, addresses: Addresses, atoms: npt.NDArray[np.int32]
    ) -> Iterator[tuple[ReadableRows, Places, slice]]:
        """Yield some rows, opened, as many together as are opened at once.

        Args:
            addresses: Ascending, with their atoms, as :meth:`holding` gave them.

        Returns:
            Rows; for each of their addresses, in order, its place among them; and which of the addresses these are.

        Raises:
            Refused, StoreCorrupt: As :meth:`nearest`.
        """
        block_opening.check(self._ground, self._grant)
        for start in range(0, len(addresses), ROWS_OPENED_AT_ONCE):
            here = slice(start, min(start + ROWS_OPENED_AT_ONCE, len(addresses)))
            rows = self._opened(parts_of(atoms[here], addresses[here]))
            opened, wanted = rows.ids(np.arange(len(rows))), self.ids(addresses[here], atoms[here])
            places = np.empty(len(rows), np.intp)
            places[np.lexsort((wanted[:, 1], wanted[:, 0]))] = np.lexsort((opened[:, 1], opened[:, 0]))
            yield rows, places, here

    def _held(self, tokens: str) -> tuple[Addresses, npt.NDArray[np.int32]]:
        """Return address and atom of every row that holds one of some tokens, by address."""
        stopping.check()
        parts = self._ground.tables.holding(self._version, self._grant.atoms, tokens)
        # What a token is in needs no key: so this is the guard behind the filter.
        block_opening.refuse_outside(self._grant, {part.atom for part in parts})
        if not parts:
            return np.zeros(0, np.uint64), np.zeros(0, np.int32)
        addresses = np.concatenate([part.addresses for part in parts])
        atoms = np.repeat(np.asarray([part.atom for part in parts], np.int32), [len(part) for part in parts])
        order = np.argsort(addresses)
        return addresses[order], atoms[order]

    def _opened(self, parts: Sequence[Part]) -> ReadableRows:
        if not parts:
            return ReadableRows([])
        segment = block_opening.open_parts(self._ground, self._grant, parts)
        return ReadableRows([(segment, np.arange(len(parts), dtype=np.int64))])

    def _counted(
        self, addresses: Addresses, atoms: npt.NDArray[np.int32], word: str
    ) -> npt.NDArray[np.int32]:
        """Return how often each of some rows holds a word, as what is sealed says."""
        found = np.zeros(len(addresses), np.int32)
        for rows, places, here in self.opened(addresses, atoms):
            held = np.zeros(len(rows), np.int32)
            held_at, counts = rows.holding(word)
            held[held_at] = counts
            found[here] = held[places]
        return found
