"""Hold a set of atoms so that asking, counting and intersecting cost little at any size.

Promise: a set never changes. Made of nothing, it holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import NoReturn

import numpy as np
import numpy.typing as npt


class AtomSet(Set[int]):
    """Atoms, ascending.

    Args:
        mask: bool of shape (n,): whether atom i is in the set. Taken over; never change it afterwards.
    """

    __slots__ = ("_array", "_mask")

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        self._mask = mask
        self._array = np.flatnonzero(mask).astype(np.int32)
        self._mask.setflags(write=False)
        self._array.setflags(write=False)

    @classmethod
    def of(cls, atoms: Iterable[int]) -> AtomSet:
        """Return the set of these atoms, each 0 or more; a set of atoms itself."""
        if isinstance(atoms, AtomSet):
            return atoms
        found = np.fromiter(atoms, np.int64)
        mask = np.zeros(int(found.max()) + 1 if found.size else 0, np.bool_)
        mask[found] = True
        return cls(mask)

    @classmethod
    def _from_iterable(cls, atoms: Iterable[int]) -> AtomSet:  # type: ignore[override]
        return cls.of(atoms)

    @property
    def array(self) -> npt.NDArray[np.int32]:
        """int32 of shape (len,), ascending; not to be written to."""
        return self._array

    def holds_each(self, atoms: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Return, for each of some atoms (any shape, 0 or more), whether it is in the set."""
        known = atoms < len(self._mask)
        found = np.zeros(atoms.shape, np.bool_)
        found[known] = self._mask[atoms[known]]
        return found

    def __contains__(self, atom: object) -> bool:
        if not isinstance(atom, int | np.integer):
            return False
        return bool(0 <= atom < len(self._mask) and self._mask[atom])

    def __iter__(self) -> Iterator[int]:
        return iter(self._array.tolist())

    def __len__(self) -> int:
        return len(self._array)

    def __hash__(self) -> int:
        return hash(self._array.tobytes())

    def __repr__(self) -> str:
        return f"AtomSet({len(self)} atoms)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a set of readable atoms is neither copied nor pickled")
