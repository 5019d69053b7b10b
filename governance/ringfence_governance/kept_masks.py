"""Keep the allowlists of the readable sets that were asked with last.

Promise: an allowlist is given again only for the very set it was made of and
the very table version it was made for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .atom_sets import AtomSet

KEPT = 16


class KeptMasks:
    """Some allowlists. Safe to use from several threads."""

    __slots__ = ("_kept", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int], tuple[AtomSet, bytes]] = OrderedDict()

    def __repr__(self) -> str:
        return f"KeptMasks({len(self._kept)})"

    def of(self, name: str, version: int, atoms: AtomSet, make: Callable[[], bytes]) -> bytes:
        """Return the allowlist of the rows of some atoms in a table version.

        Args:
            make: Makes it, unless it is kept.
        """
        key = (name, version, id(atoms))
        with self._lock:
            found = self._kept.get(key)
        # The set is held with it, so its address is nobody else's.
        if found is not None and found[0] is atoms:
            return found[1]
        mask = make()
        with self._lock:
            self._kept[key] = (atoms, mask)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return mask
