"""Keep what was found out about atoms for one subject: whether Casbin allows him, or by which rules.

Promise: what is kept holds for one policy as journaled, one label table, one
subject and action, and only until time alone could change it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Generic, TypeAlias, TypeVar

from .grants import Grant

SUBJECTS_KEPT = 256

T = TypeVar("T")
_Key: TypeAlias = tuple[object, ...]


class KeptByAtom(Generic[T]):
    """Findings by subject and atom. Safe to use from several threads."""

    __slots__ = ("_kept", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, tuple[str, str, dict[int, T]]] = OrderedDict()

    def of(self, grant: Grant, atoms: Collection[int], find: Callable[[int], T]) -> list[T]:
        """Return what is known of some atoms, in their order.

        Args:
            find: Finds out about one of them.
        """
        key = (grant.policy.version, grant.policy.digest, grant.table.version, grant.subject, grant.action)
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
        return [by_atom[atom] for atom in atoms]
