"""Ask a Postgres for one number within a stated time.

Promise: an answer comes from the server that was asked just now, or not at
all. A server that is frozen, gone or cut off makes nobody wait longer than
the bound; one that was started anew is asked again by a new connection.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

import psycopg
from psycopg import pq

Connect = Callable[[], "psycopg.Connection[tuple[object, ...]]"]


class NotInTime(Exception):
    """The bound passed without an answer."""


class PostgresWatch:
    """A connection of its own that asks one question, and is made anew when it is lost."""

    __slots__ = ("_connect", "_connection", "_lock", "_number", "_process", "_statement")

    def __init__(self, connect: Connect, statement: str) -> None:
        self._connect = connect
        self._statement = statement.encode()
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._number = 0
        self._process = os.getpid()

    def __repr__(self) -> str:
        return "PostgresWatch(…)"

    def ask(self, timeout_s: float) -> tuple[int, int]:
        """Return (which connection answered, its answer).

        Raises:
            NotInTime: No answer came within `timeout_s`.
            psycopg.Error: The server cannot be reached, or refuses the question.
        """
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            raise NotInTime
        try:
            known = self._living()
            if known is not None:
                try:
                    return self._numbered(known, deadline)
                except psycopg.OperationalError:
                    # It was lost since the last question; a new one may be had in what is left of the time.
                    self._drop()
            return self._numbered(self._renewed(deadline), deadline)
        except BaseException:
            self._drop()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _living(self) -> psycopg.Connection[tuple[object, ...]] | None:
        if self._process != os.getpid():
            # A forked child must not speak on its parent's socket, nor end it.
            self._connection, self._process = None, os.getpid()
        return self._connection

    def _renewed(self, deadline: float) -> psycopg.Connection[tuple[object, ...]]:
        self._connection = self._connect()
        self._number += 1
        if time.monotonic() > deadline:
            raise NotInTime
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _numbered(
        self, connection: psycopg.Connection[tuple[object, ...]], deadline: float
    ) -> tuple[int, int]:
        # The number of the connection that answers: another server may have another past.
        answer = self._answer(connection, deadline)
        return self._number, answer

    def _answer(self, connection: psycopg.Connection[tuple[object, ...]], deadline: float) -> int:
        raw = connection.pgconn
        raw.send_query(self._statement)
        _until(raw, deadline, lambda: raw.flush() == 0, select.POLLOUT)
        _until(raw, deadline, lambda: not raw.is_busy(), select.POLLIN)
        result = raw.get_result()
        if result is None:
            raise psycopg.OperationalError("the connection gave no answer")
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        value = result.get_value(0, 0) if result.ntuples else None
        while raw.get_result() is not None:
            pass
        if value is None:
            raise psycopg.errors.NoDataFound("there is no row")
        return int(value)


def _until(raw: pq.abc.PGconn, deadline: float, done: Callable[[], bool], event: int) -> None:
    poll = select.poll()
    poll.register(raw.socket, event)
    while not done():
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise NotInTime
        if event == select.POLLIN:
            raw.consume_input()
