"""Keep which journaled rules allowed a subject what, for the record of the next read.

Promise: what is kept holds for one policy as journaled, one label table, one
subject and action, and only until time alone could change it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from .grants import Grant

SUBJECTS_KEPT = 256

_Key: TypeAlias = tuple[object, ...]


class KeptRules:
    """The numbers of the rules that allowed, by subject and atom. Safe to use from several threads."""

    __slots__ = ("_kept", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, tuple[str, str, dict[int, frozenset[int]]]] = OrderedDict()

    def numbers(
        self, grant: Grant, policy: int, atoms: set[int], find: Callable[[int], frozenset[int]]
    ) -> list[int]:
        """Return the numbers of the rules that allowed some atoms, ascending.

        Args:
            policy: Number of the newest row of the policy journal.
            find: Finds those of one atom.
        """
        key = (policy, grant.table.version, grant.subject, grant.action)
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or not kept[0] <= grant.now < kept[1]:
                kept = self._kept[key] = (grant.now, grant.expires_at, {})
            self._kept.move_to_end(key)
            while len(self._kept) > SUBJECTS_KEPT:
                self._kept.popitem(last=False)
        by_atom = kept[2]
        for atom in atoms:
            if atom not in by_atom:
                by_atom[atom] = find(atom)
        return sorted(set().union(*(by_atom[atom] for atom in atoms)))
