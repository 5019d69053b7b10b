"""Let no file of a database go open through a fork.

SQLite keeps once for a process what it knows of a file's locks and of the log beside it. A child gets that from its
parent and holds none of the locks: once the parent closes the file, the log is removed under the child, which then
sees no change any more, and what it writes is lost or does harm. So a process closes what it has open before it
forks; both open it anew when they need it.

Promise: a child begins without an open file, and learns of every change; where another thread was in the middle
of a transaction for too long, it uses the database no more.

Source: https://www.sqlite.org/howtocorrupt.html, *Carrying an open database connection across a fork*.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

WAITED_S = 20.0
"""How long a fork waits for the transactions of other threads."""


class Forked(Protocol):
    """What has files open."""

    def rest(self) -> None:
        """Close all files; they are opened again when they are needed."""

    def leave(self) -> None:
        """Use none of them any more: what the process knows of them is its parent's."""


class _Gate:
    """Who is in the middle of something; held shut while the process forks. Knows nothing that has files open."""

    def __init__(self) -> None:
        self.quiet = True
        self.begin()

    def begin(self) -> None:
        self.changed = threading.Condition()
        self.busy: Counter[int] = Counter()
        self.forker: int | None = None

    def shut(self) -> None:
        """Wait until nobody is in the middle of anything, and let nobody begin."""
        own = threading.get_ident()
        if self.forker == own:
            return
        self.changed.acquire()
        self.changed.wait_for(lambda: self.forker is None)
        self.forker = own
        self.quiet = self.changed.wait_for(lambda: self.busy.keys() <= {own}, WAITED_S) and not self.busy

    def open(self) -> None:
        self.forker = None
        self.changed.notify_all()
        self.changed.release()


_gate = _Gate()
# In the child the threads that waited are not there.
os.register_at_fork(before=_gate.shut, after_in_parent=_gate.open, after_in_child=_gate.begin)


def know(opened: Forked) -> None:
    """Have it close its files before each fork, for as long as it is there.

    It is known to the interpreter alone: a list of ours would be a way to it for all code of the process.
    """
    there = weakref.ref(opened)

    def before() -> None:
        if (found := there()) is not None:
            _gate.shut()
            try:
                found.rest()
            except Exception:  # noqa: BLE001  (a fork cannot be refused; its child relies on nothing then)
                _gate.quiet = False

    def after_in_child() -> None:
        if not _gate.quiet and (found := there()) is not None:
            found.leave()

    os.register_at_fork(before=before, after_in_child=after_in_child)


def still() -> threading.Condition:
    """Return what is held so that this process does not fork meanwhile: for what takes microseconds."""
    return _gate.changed


@contextmanager
def held_off() -> Iterator[None]:
    """Let this process fork only when the block is done: for what others may wait for."""
    own = threading.get_ident()
    with _gate.changed:
        # Who is in the middle of something comes to its end by beginning more.
        while _gate.forker is not None and own not in _gate.busy:
            _gate.changed.wait()
        _gate.busy[own] += 1
    try:
        yield
    finally:
        with _gate.changed:
            _gate.busy[own] -= 1
            if _gate.busy[own] <= 0:
                del _gate.busy[own]
                _gate.changed.notify_all()
