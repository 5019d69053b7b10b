"""Stop a read that takes too long, or that nobody waits for any more.

Promise: a read that is stopped gives nothing. It looks whether it is to stop
between its stages and within the long ones; what cannot be interrupted (a scan
of a table, a model at work) is waited for. A write is never stopped: only a
read has a limit.

The limit stands beside the call stack of the thread that reads and not in
every signature on the way down: each loop that may last asks :func:`check`.

Source: docs/decisions/0022-time-limits.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .errors import Cancelled, InvalidInput, TimedOut

TIMEOUT_MAX_S = 86_400.0
WAITED_AT_ONCE_S = 0.02
"""How long a lock is waited for before looking whether to stop."""


class CancelToken:
    """Given to a read, ends it from another thread. One may be given to several reads; cancelled, it stays so.

    Args:
        also: Another; this one is cancelled with it, not it with this one.

    Raises:
        InvalidInput: `also` is none.
    """

    __slots__ = ("_also", "_cancelled")

    def __init__(self, also: CancelToken | None = None) -> None:
        self._also = _checked(also)
        self._cancelled = threading.Event()

    def __repr__(self) -> str:
        return f"CancelToken({'cancelled' if self.cancelled else 'not cancelled'})"

    def cancel(self) -> None:
        """End the reads this was given to, soon; those it is given to from now on end at once."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set() or (self._also is not None and self._also.cancelled)


def _checked(token: CancelToken | None) -> CancelToken | None:
    found: object = token
    if found is not None and type(found) is not CancelToken:
        raise InvalidInput(f"cancel: found {type(token).__name__}; expected a ringfence.CancelToken")
    return token


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """When a read is to stop. Made by :meth:`of`.

    Args:
        timeout: Seconds it may take; None for as long as it takes.
        ends: When they are over, seconds, monotonic.
        cancel: Ends it from outside; None for nothing.
    """

    timeout: float | None
    ends: float
    cancel: CancelToken | None

    @classmethod
    def of(cls, timeout: float | None, cancel: CancelToken | None = None) -> TimeLimit | None:
        """Return the limit of a read that begins now; None if it has none.

        Raises:
            InvalidInput: `timeout` is no number of seconds above 0 and of a day at most, or `cancel` no token.
        """
        found: object = timeout
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if found is not None and not (is_number and 0 < found <= TIMEOUT_MAX_S):  # type: ignore[operator]
            raise InvalidInput(
                f"timeout: found {timeout!r}; expected seconds, above 0 and at most {TIMEOUT_MAX_S:g}"
            )
        if timeout is None and _checked(cancel) is None:
            return None
        ends = float("inf") if timeout is None else time.monotonic() + timeout
        return cls(timeout, ends, _checked(cancel))

    def check(self) -> None:
        """Go on, unless it is over.

        Raises:
            Cancelled, TimedOut: It is.
        """
        if self.cancel is not None and self.cancel.cancelled:
            raise Cancelled()
        if time.monotonic() >= self.ends:
            raise TimedOut(self.timeout or 0.0)


_running: ContextVar[TimeLimit | None] = ContextVar("ringfence_limit", default=None)


@contextmanager
def within(limit: TimeLimit | None) -> Iterator[None]:
    """Hold what this thread does meanwhile to a limit; None for none."""
    before = _running.set(limit)
    try:
        yield
    finally:
        _running.reset(before)


def check() -> None:
    """Go on, unless the read that runs in this thread is to stop.

    Raises:
        Cancelled, TimedOut: It is; nothing of it leaves.
    """
    limit = _running.get()
    if limit is not None:
        limit.check()


@contextmanager
def holding(lock: Any) -> Iterator[None]:
    """Hold a lock; a read that has a limit waits for it no longer than that.

    Args:
        lock: One of `threading`.

    Raises:
        Cancelled, TimedOut: It was not free in time.
    """
    limit = _running.get()
    if limit is None:
        lock.acquire()
    else:
        limit.check()
        while not lock.acquire(timeout=WAITED_AT_ONCE_S):
            limit.check()
    try:
        yield
    finally:
        lock.release()
