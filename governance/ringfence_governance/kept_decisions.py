"""Keep what Casbin decided, for as long as asking again would give the same.

Promise: what is kept was decided under one policy, for exactly the request it
is found by, the label's definition included, and only until time alone could
change it. Nothing is found for a time before it was decided.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from .decisions import Request

T = TypeVar("T")

KEPT_MAX = 65_536
"""How many decisions of one policy are kept; the one not asked for longest goes first."""

_Key = tuple[object, ...]


class KeptDecisions(Generic[T]):
    """What one policy answered. Safe to use from several threads."""

    __slots__ = ("_kept", "_lock")

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, tuple[str, str, T]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, request: Request) -> T | None:
        """Return the answer to a well-formed request, if it was given and still holds."""
        key = _key(request)
        with self._lock:
            found = self._kept.get(key)
            if found is None or not found[0] <= request.now < found[1]:
                return None
            self._kept.move_to_end(key)
        return found[2]

    def keep(self, request: Request, answer: T, valid_until: str) -> None:
        """Keep an answer from the request's time until another."""
        with self._lock:
            self._kept[_key(request)] = (request.now, valid_until, answer)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)


def _key(request: Request) -> _Key:
    return (
        request.actor,
        request.object_id,
        request.label,
        request.action,
        request.purpose,
        request.carried,
    )
