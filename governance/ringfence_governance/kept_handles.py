"""Keep what `as_of` is made of, label by label, so that a read adds up only what changed.

Promise: what is kept for an atom was made of exactly the rows and the
definition it is found by.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from .atom_sets import AtomSet

WHOLE_KEPT = 256
"""How many whole handles are kept; the one not asked for longest goes first."""

Made = tuple[object, str]
"""What a label's digest was made of, and the digest."""


class KeptHandles:
    """Digests of one store's labels. Safe to use from several threads."""

    __slots__ = ("_by_atom", "_lock", "_whole")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_atom: dict[int, Made] = {}
        self._whole: OrderedDict[tuple[int, int, int], tuple[AtomSet, str]] = OrderedDict()

    def whole(self, atoms: AtomSet, documents: int, labels: int, make: Callable[[], str]) -> str:
        """Return the handle of a set of atoms, made unless it is kept.

        Args:
            documents: Version of the documents table.
            labels: Version of the label table.
        """
        key = (id(atoms), documents, labels)
        with self._lock:
            found = self._whole.get(key)
            if found is not None and found[0] is atoms:
                self._whole.move_to_end(key)
                return found[1]
        made = make()
        with self._lock:
            self._whole[key] = (atoms, made)
            while len(self._whole) > WHOLE_KEPT:
                self._whole.popitem(last=False)
        return made

    def known(self, made_of: Mapping[int, object]) -> dict[int, str]:
        """Return the digests of those atoms whose rows and definition are as they were."""
        with self._lock:
            return {
                atom: found[1]
                for atom, source in made_of.items()
                if (found := self._by_atom.get(atom)) is not None and found[0] == source
            }

    def keep(self, made_of: Mapping[int, object], digests: Mapping[int, str]) -> None:
        """Keep the digests of some atoms, with what they were made of."""
        with self._lock:
            for atom, made in digests.items():
                self._by_atom[atom] = (made_of[atom], made)
