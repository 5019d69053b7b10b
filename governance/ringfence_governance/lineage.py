"""Tell OpenLineage what each run did: queue it with what it tells of, send it when that can be done.

Promise: no job waits for a backend, and none fails because of one; what it
did is told once a backend can be reached, in the order it happened, at least
once. An event names runs and datasets by opaque id, in any transport.

Source: the OpenLineage specification; docs/decisions/0019-lineage-events.md.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection

from . import durable_files, lineage_backends, lineage_facets, lineage_queue
from .catalog import Catalog
from .errors import RingfenceError
from .lineage_backends import Backend
from .lineage_facets import PRODUCER, Facets, Name, event_facet, parent_facets
from .lineage_transports import NeverTaken

FILE_NAME = "openlineage.jsonl"
SET_ASIDE_NAME = "set-aside.jsonl"
"""Events that were more than may wait, or that a backend will never take; nothing sends them by itself."""
LOCK_NAME = "sending.lock"
FLUSH_WAIT_S = 10.0
"""How long one who wants all sent now waits for another process that is sending."""
BESIDE_OTHERS_S = 0.5
"""How long a job waits for one; after that its events are sent beside it."""
CLOSE_WAIT_S = 2.0
"""How long closing a store waits for a backend; what is not sent then is by the next one who opens it."""
GATHER_S = 0.2
"""How long events are gathered that are sent beside a job."""
PAUSE_S, PAUSE_MAX_S = 1.0, 60.0
"""How long a backend that is down is left alone, doubling up to the second."""

State = Literal["START", "RUNNING", "COMPLETE", "FAIL", "ABORT"]


class Lineage:
    """The events of one store's runs."""

    __slots__ = (
        "__weakref__",
        "_abandoned",
        "_backends",
        "_catalog",
        "_closing",
        "_folder",
        "_noting",
        "_problem",
        "_sending",
        "_starting",
        "_thread",
        "_wake",
        "name",
    )

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.name = Name(catalog)
        self._folder = folder
        self._catalog = catalog
        self._backends: tuple[object, list[Backend]] | None = None
        self._problem = ""
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._abandoned = False
        self._sending = threading.Lock()
        self._noting = threading.Lock()
        self._starting = threading.Lock()

    def __repr__(self) -> str:
        return "Lineage(…)"

    def __reduce__(self) -> str:
        raise TypeError("a store's lineage cannot be pickled")

    def queue(
        self,
        connection: Connection,
        state: State,
        run_id: str,
        job: str,
        *,
        run_facets: Facets | None = None,
        job_facets: Facets | None = None,
        inputs: Sequence[Mapping[str, Any]] = (),
        outputs: Sequence[Mapping[str, Any]] = (),
        part: str = "",
    ) -> None:
        """Keep one event, in the transaction that does what it tells of; :meth:`deliver` sends it.

        Args:
            run_id: 32 hexadecimal digits; becomes the event's UUID.
            job: One of :data:`lineage_facets.JOBS`.
            inputs: Datasets that were read.
            outputs: Datasets that were written.
            part: Which of several events of one state it is.
        """
        if lineage_backends.disabled():
            return
        ambient = self._catalog.ambient
        at = ambient.now_precise()
        event_id = ambient.new_id("event", f"{run_id}|{state}|{part}|{at}")
        event = {
            "eventTime": at,
            "producer": PRODUCER,
            "eventType": state,
            "run": {
                "runId": str(uuid.UUID(run_id)),
                "facets": {"ringfence_event": event_facet(event_id), **parent_facets(), **(run_facets or {})},
            },
            "job": {
                "namespace": self.name.namespace,
                "name": job,
                "facets": job_facets or lineage_facets.job_facets(self.name, job),
            },
            "inputs": list(inputs),
            "outputs": list(outputs),
        }
        lineage_queue.add(self._catalog, connection, event_id, at, event)

    def deliver(self) -> None:
        """Send what waits: into the store's own file at once, to any other backend beside this.

        Never fails: what is not sent waits, and :meth:`status` says why.
        """
        if lineage_backends.is_configured() or not self._try(BESIDE_OTHERS_S):
            self.deliver_soon()

    def deliver_soon(self) -> None:
        """Send what waits, beside this."""
        if lineage_backends.disabled() or self._closing.is_set():
            return
        with self._starting:
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ringfence-lineage", daemon=True)
                self._thread.start()

    def resume(self) -> None:
        """Send, beside this, what those before left."""
        with self._catalog.read() as connection:
            waiting, _ = lineage_queue.length(connection)
        if waiting:
            self.deliver_soon()

    def flush(self) -> dict[str, object]:
        """Send all that waits, now, and wait for it; return :meth:`status`."""
        self._try(FLUSH_WAIT_S)
        return self.status()

    def status(self) -> dict[str, object]:
        """Return `backends` (their kinds), how many events are `waiting`, `since` when, how many were `set_aside`
        and the latest `problem`, empty if there is none."""
        with self._catalog.read() as connection:
            waiting, since = lineage_queue.length(connection)
            aside = lineage_queue.set_aside(self._catalog, connection)
        problem = self._problem
        try:
            kinds = [] if lineage_backends.disabled() else [each.kind for each in self._open_backends()]
            lineage_facets.parent()
        except (RingfenceError, OSError) as error:
            kinds, problem = [], problem or str(error)
        return {"backends": kinds, "waiting": waiting, "since": since, "set_aside": aside, "problem": problem}

    def close(self) -> None:
        """Stop sending. What a backend has not taken by then waits in the catalog."""
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_WAIT_S)
        self._abandoned = True
        if self._backends is not None and (thread is None or not thread.is_alive()):
            for backend in self._backends[1]:
                backend.close()

    def _run(self) -> None:
        pause = PAUSE_S
        while True:
            self._wake.wait()
            # What comes in quick succession is sent at once, and holds up those who change the catalog once.
            self._closing.wait(GATHER_S)
            self._wake.clear()
            if self._try(0.0):
                pause = PAUSE_S
                if self._closing.is_set():
                    return
                continue
            if self._closing.wait(pause):
                if self._backends is not None and len(self._backends[1]) > 1:
                    # Only one of them may be down.
                    self._try(0.0)
                return
            pause = min(2 * pause, PAUSE_MAX_S)
            self._wake.set()

    def _try(self, wait_s: float) -> bool:
        """Send what waits; say whether nothing of it is left behind."""
        if lineage_backends.disabled() or self._abandoned:
            return True
        try:
            with self._sending, self._alone(wait_s) as alone:
                if alone:
                    # Only once it is known: whoever asks meanwhile is told of the pass before.
                    self._problem = self._send()
                    return not self._problem
                return False
        except (RingfenceError, OSError) as error:
            self._problem = _described(error)
            return False

    def _send(self) -> str:
        """Send what waits to every backend; return what keeps any of them from it."""
        problems: dict[str, str] = {}
        try:
            backends = {self._key(each): each for each in self._open_backends()}
            problems = {key: f"the {each.kind} backend: sending stopped" for key, each in backends.items()}
            with self._catalog.read() as connection:
                taken = lineage_queue.cursors(self._catalog, connection)
            reached = {key: taken.get(key, 0) for key in backends}

            busy = set(backends)

            def send_to(key: str) -> None:
                try:
                    last, problem = False, ""
                    while not last:
                        closing = self._closing.is_set()
                        number, problem = self._send_to(backends[key], reached[key])
                        self._note(key, number, reached)
                        busy.discard(key)
                        # While another keeps all waiting, what comes meanwhile is sent too.
                        last = closing or bool(problem) or not busy
                        if not last:
                            self._closing.wait(GATHER_S)
                except (RingfenceError, OSError) as error:
                    problem = _described(error)
                    busy.discard(key)
                problems[key] = problem

            _side_by_side(send_to, list(backends))
        except (RingfenceError, OSError) as error:
            problems = {"": _described(error)}
        self._bound()
        return "; ".join(filter(None, problems.values()))

    def _send_to(self, backend: Backend, after: int) -> tuple[int, str]:
        """Send all events after a number; return the number of the last one that was taken, and what is wrong."""
        taken = after
        while not self._abandoned:
            with self._catalog.read() as connection:
                waiting = lineage_queue.after(self._catalog, connection, taken)
            if not waiting:
                break
            sent, problem = taken, ""
            for each in waiting:
                try:
                    backend.send(each.event)
                except NeverTaken:
                    self._set_aside([each.event])
                except RingfenceError as error:
                    problem = str(error)
                    break
                sent = each.number
            try:
                backend.settle()
            except OSError as error:
                return taken, f"the {backend.kind} backend did not keep it ({type(error).__name__})"
            taken = sent
            if problem:
                return taken, problem
        return taken, ""

    def _note(self, key: str, number: int, reached: dict[str, int]) -> None:
        """Forget the events that all have; remember who is ahead of whom."""
        with self._noting:
            if number == reached[key] or self._abandoned:
                return
            reached[key] = number
            behind = min(reached.values())
            ahead = {key: number for key, number in reached.items() if number > behind}
            with self._catalog.write() as connection:
                lineage_queue.remove(connection, behind)
                if ahead or lineage_queue.cursors(self._catalog, connection):
                    lineage_queue.keep_cursors(self._catalog, connection, ahead)

    def _bound(self) -> None:
        """Set the oldest events aside that are more than may wait."""
        while not self._abandoned:
            with self._catalog.read() as connection:
                waiting, _ = lineage_queue.length(connection)
                excess = min(waiting - lineage_queue.WAITING_MAX, lineage_queue.READ_AT_ONCE)
                oldest = lineage_queue.after(self._catalog, connection, 0, excess) if excess > 0 else ()
            if not oldest:
                return
            self._set_aside([each.event for each in oldest])
            with self._catalog.write() as connection:
                lineage_queue.remove(connection, oldest[-1].number)

    def _set_aside(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Write events into a file of the store, durably, and count them."""
        path = self._folder / SET_ASIDE_NAME
        with self._noting:
            lineage_backends.whole_lines(path)
            with path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(each, sort_keys=True) + "\n" for each in events)
            durable_files.sync(path)
            with self._catalog.write() as connection:
                lineage_queue.count_set_aside(self._catalog, connection, len(events))

    def _open_backends(self) -> list[Backend]:
        """Return where events go, made anew when OpenLineage's own configuration changed."""
        settings = sorted(
            (name, value) for name, value in os.environ.items() if name.startswith("OPENLINEAGE")
        )
        made_from = (settings, lineage_backends.is_configured())
        if self._backends is None or self._backends[0] != made_from:
            found = lineage_backends.configured() or [lineage_backends.own_file(self._folder / FILE_NAME)]
            self._backends = (made_from, found)
        return self._backends[1]

    def _key(self, backend: Backend) -> str:
        """Return what a backend is remembered by: another configuration is another backend."""
        return self.name.of("backend", f"{backend.kind}|{backend.settings}")

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[bool]:
        """Let one process at a time send, so that order is kept. False: another one is sending."""
        until = time.monotonic() + wait_s
        descriptor = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= until:
                        yield False
                        return
                    time.sleep(0.01)
                else:
                    yield True
                    return
        finally:
            os.close(descriptor)


def _described(error: Exception) -> str:
    """Return what is said of an error: one of the operating system's names a path."""
    return str(error) if isinstance(error, RingfenceError) else type(error).__name__


def _side_by_side(send_to: Callable[[str], None], keys: Sequence[str]) -> None:
    """Send to all at once: one that does not answer would use up the time of those after it.

    A process ends without waiting for them.
    """
    others = [threading.Thread(target=send_to, args=(key,), daemon=True) for key in keys[1:]]
    for other in others:
        other.start()
    for key in keys[:1]:
        send_to(key)
    for other in others:
        other.join()
