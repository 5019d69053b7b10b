"""A child of a process that has a store open learns of every change, and harms nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance import forks
from ringfence_governance.reading import Answer
from ringfence_governance.sqlite_engine import SqliteDatabase

from .worlds import World, database, open_world, subject

HAL = "acme/user:hal"
TAKEN = ("p", HAL, "acme", "*", "read", "any", "*", "-", "-", "deny")


def documents(world: World) -> int:
    """How many documents Hal may read; of what is in memory, as nothing of Lance lives on in a child."""
    return world.door.read(subject(HAL), "count", lambda reader: _counted(reader.count("documents")))


def _counted(found: int) -> Answer[int]:
    return Answer([], lambda as_of: found, plan="count")


class Child:
    """A fork of this process that does something once it is told to, and says what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        begin, self._begin = os.pipe()
        self._says, says = os.pipe()
        with warnings.catch_warnings():
            # Of Python 3.12 and of Lance: both of threads that the child does not need.
            warnings.simplefilter("ignore")
            self._pid = os.fork()
        if self._pid == 0:
            signal.alarm(60)
            try:
                os.read(begin, 1)
                try:
                    found = work()
                except Exception as error:  # noqa: BLE001  (what went wrong is what it says)
                    found = f"{type(error).__name__}: {error}"
                os.write(says, json.dumps(found).encode())
            finally:
                os._exit(0)
        os.close(says)

    @property
    def pid(self) -> int:
        return self._pid

    def hear(self) -> Any:
        os.write(self._begin, b"x")
        found = os.read(self._says, 1 << 16)
        os.waitpid(self._pid, 0)
        return json.loads(found)


def test_a_right_that_is_taken_once_the_parent_closed_the_store_is_gone_in_the_child(filled: World) -> None:
    assert documents(filled) == 2
    child = Child(lambda: documents(filled))
    filled.door.close()
    other = open_world(filled.folder, filled.clock)
    assert other.add(*TAKEN)
    other.door.close()
    assert child.hear() == 0


def test_what_a_child_does_is_in_the_catalog_for_all_and_the_catalog_is_whole(filled: World) -> None:
    assert documents(filled) == 2
    child = Child(lambda: [documents(filled), filled.ground.audit._segment.segment_id])  # type: ignore[union-attr]
    filled.door.close()
    other = open_world(filled.folder, filled.clock)
    for _ in range(30):
        other.add(*TAKEN)
        other.remove(*TAKEN)
    other.door.close()
    count, segment = child.hear()
    assert count == 2
    with database(filled.path / "catalog.db") as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        known = dict(opened.execute("SELECT segment_id, process FROM segments"))
    assert known[segment] == child.pid


def test_a_record_of_a_child_says_that_the_child_vouched(filled: World) -> None:
    documents(filled)
    child = Child(lambda: documents(filled))
    assert child.hear() == 2
    documents(filled)
    made = [each["asserted_by"]["process"] for each in filled.records()[-3:]]
    assert made.count(child.pid) == 1
    assert made.count(os.getpid()) == 2


def test_nothing_is_open_while_a_process_forks(filled: World) -> None:
    documents(filled)
    files = str(filled.folder)
    child = Child(
        lambda: [
            each for each in map(_target, os.listdir("/proc/self/fd")) if ".db" in each and files in each
        ]
    )
    assert child.hear() == []
    assert documents(filled) == 2


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def test_a_fork_waits_for_the_transaction_of_another_thread(tmp_path: Path) -> None:
    used = SqliteDatabase(tmp_path / "a.db")
    used.mark()
    began, ends = threading.Event(), threading.Event()

    def transaction() -> None:
        with used.write() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a)")
            began.set()
            ends.wait(20)

    thread = threading.Thread(target=transaction)
    thread.start()
    began.wait(20)
    threading.Timer(0.2, ends.set).start()
    child = Child(lambda: _tables(used))
    thread.join()
    assert child.hear() == ["t"]
    used.close()


def test_who_comes_while_a_fork_waits_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one transaction after the other could put it off for ever."""
    monkeypatch.setattr(forks, "WAITED_S", 3.0)
    used = SqliteDatabase(tmp_path / "a.db")
    began, order = threading.Event(), []

    def transaction() -> None:
        with used.write() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a)")
            began.set()
            late.start()
            waits_for_a_fork()
            # Who is in the middle of something may go on.
            _tables(used)
            time.sleep(0.2)
            order.append("before")

    def comer() -> None:
        waits_for_a_fork()
        _tables(used)
        order.append("after")

    late, early = threading.Thread(target=comer), threading.Thread(target=transaction)
    early.start()
    began.wait(20)
    child = Child(lambda: _tables(used))
    early.join()
    late.join()
    assert order == ["before", "after"]
    assert child.hear() == ["t"]
    used.close()


def test_a_child_uses_nothing_of_what_its_parent_was_in_the_middle_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "WAITED_S", 0.01)
    used = SqliteDatabase(tmp_path / "a.db")
    with used.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        child = Child(lambda: _tables(used))
        mark = Child(used.mark)
        assert "was in use when this process was forked" in child.hear()
        assert "was in use when this process was forked" in mark.hear()
    assert _tables(used) == ["t"]
    assert Child(lambda: _tables(used)).hear() == ["t"]
    used.close()


def test_a_mark_of_one_connection_is_none_of_the_next(tmp_path: Path) -> None:
    used = SqliteDatabase(tmp_path / "a.db")
    marks = []
    for _ in range(20):
        marks.append(used.mark())
        used.rest()
    assert len(set(marks)) == 20
    used.close()


def _tables(used: SqliteDatabase) -> list[str]:
    with used.read() as connection:
        return [name for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master")]


def waits_for_a_fork() -> None:
    until = time.monotonic() + 10
    while forks._gate.forker is None and time.monotonic() < until:
        time.sleep(0.001)
