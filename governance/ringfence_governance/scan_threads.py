"""Share the pieces of one long scan with a few other threads.

Promise: each piece is taken once, by one thread; when :func:`shared` is left, also by an error, no other thread works
on one any more. With no thread to spare the asking one does all.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from . import stopping

HELPERS_MAX = 3
"""So many threads beside the asking one: more wait for the memory and not for a processor."""

P = TypeVar("P")
T = TypeVar("T")


def shared(pieces: Iterable[P], work: Callable[[Iterator[P]], T]) -> list[T]:
    """Return what this thread made of the pieces it took, and what each other thread made of its own.

    Args:
        work: Goes through the pieces it is given; runs in several threads at once, and lets go the interpreter's lock
            while it works.

    Raises:
        TimedOut, Cancelled: The read that runs in this thread is to stop.
    """
    left = deque(pieces)
    asked = _asked(lambda: work(_taken(left)), min(_spare(), len(left) - 1))
    try:
        own = work(_taken(left, stopping.check))
    finally:
        left.clear()
        # One that did not begin has nothing to do any more.
        others = [each.result() for each in asked if not each.cancel()]
    return [own, *others]


def _spare() -> int:
    """Return how many threads may help: as many as the process has processors beside the asking one."""
    # macOS does not say which of them the process may use.
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(HELPERS_MAX, found - 1)


def _taken(left: deque[P], check: Callable[[], None] | None = None) -> Iterator[P]:
    while True:
        if check is not None:
            check()
        try:
            piece = left.popleft()
        except IndexError:
            return
        yield piece


def _asked(work: Callable[[], T], count: int) -> list[Future[T]]:
    if count < 1:
        return []
    try:
        return [_pool().submit(work) for _ in range(count)]
    except RuntimeError:
        # The process ends and begins no thread any more.
        return []


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(HELPERS_MAX, thread_name_prefix="ringfence-scan")


# A child process has none of its parent's threads.
os.register_at_fork(after_in_child=_pool.cache_clear)
