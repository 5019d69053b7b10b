"""Readers beside changes of policy: no wrong answer, no error, and no answer nobody vouches for."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from ringfence_governance import authority, sqlite_engine
from ringfence_governance.errors import SequenceUnconfirmed
from ringfence_governance.policy_rows import Link
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

from .worlds import World, open_world, row, subject

HAL, BOB = "acme/user:hal", "acme/user:bob"
MEMBER = ("g", BOB, "acme/group:hr")
READERS = 8
CHANGES = 1000
CHANGES_OF_A_STORE = 150


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    """Ten times as often as Python has them do: more ways to meet, and a change waits less for its turn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 10)
    yield
    sys.setswitchinterval(before)


@contextmanager
def beside(work: Callable[[], None], *, threads: int = READERS) -> Iterator[list[BaseException]]:
    """Run work over and over in threads, beside what happens in the block; collect what they raise."""
    done, raised = threading.Event(), list[BaseException]()

    def over_and_over() -> None:
        while not done.is_set():
            try:
                work()
            except BaseException as error:  # noqa: BLE001
                raised.append(error)
                return
            # So that the one who changes something comes to it sooner than every ninth time.
            time.sleep(0.001)

    running = [threading.Thread(target=over_and_over) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield raised
    finally:
        done.set()
        for thread in running:
            thread.join()


def test_eight_threads_ask_while_the_policy_changes_a_thousand_times(filled: World) -> None:
    """Each asks the policy that stands as he asks; the answer is that of this one policy, by set and by enforce."""
    moment = filled.ground.moment()
    link = Link("g", BOB, "acme/group:hr")
    out, within = moment.snapshot, moment.snapshot.with_row(link)
    payroll = moment.table.by_id["acme/label:payroll"]
    standing = [out]
    answers = Counter[bool]()

    def ask() -> None:
        snapshot: Snapshot = standing[0]
        expected = link in snapshot.index
        atoms = authority.readable_atoms(snapshot, moment.table, Subject(BOB), now=moment.now)
        assert (payroll.atom in atoms) is expected
        assert (
            authority.allowed(snapshot, Subject(BOB), payroll, moment.table, "read", moment.now) is expected
        )
        answers[expected] += 1

    with beside(ask) as raised:
        for number in range(CHANGES):
            standing[0] = within if number % 2 else standing[0].without_row(link)
            within = within.without_row(link).with_row(link)
            time.sleep(0.0005)
    assert raised == []
    assert min(answers[True], answers[False]) > 20


def test_eight_readers_of_a_store_whose_policy_changes_see_no_more_than_stands(filled: World) -> None:
    """Who begins to read when the right is gone sees nothing; nobody meets an error."""
    gone = threading.Event()
    seen = Counter[tuple[bool, bool]]()
    payroll = filled.ground.moment().table.by_id["acme/label:payroll"].atom

    def work(reader: GrantedReader) -> Answer[bool]:
        found = reader.documents()
        pay = any(document.atom == payroll for document in found)
        return Answer([(document.document_id, document.atom) for document in found], lambda as_of: pay)

    def read() -> None:
        began_after = gone.is_set()
        pay = filled.door.read(subject(BOB), "list", work)
        seen[began_after, pay] += 1
        assert not (began_after and pay)

    with beside(read) as raised:
        for _ in range(CHANGES_OF_A_STORE // 2):
            filled.add(*MEMBER)
            filled.remove(*MEMBER)
        gone.set()
        time.sleep(0.5)
    assert raised == []
    assert seen[True, False] > READERS
    assert seen[False, False]


def test_a_read_that_the_store_keeps_moving_under_holds_its_changes_back(filled: World) -> None:
    """Without that a busy administrator would starve the readers."""
    attempts = [0]

    def work(reader: GrantedReader) -> Answer[int]:
        attempts[0] += 1
        changer = threading.Thread(target=lambda: filled.add(*MEMBER) or filled.remove(*MEMBER))
        changer.start()
        changer.join(timeout=2)
        waiting.append(changer)
        return Answer([], lambda as_of: attempts[0])

    waiting: list[threading.Thread] = []
    assert filled.door.read(subject(HAL), "list", work) == 4
    for changer in waiting:
        changer.join()
    assert row(*MEMBER) not in filled.ground.moment().snapshot.index or filled.remove(*MEMBER)


def test_who_cannot_learn_of_changes_in_time_answers_no(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the catalog for itself alone: nobody can say what the policy is now."""
    monkeypatch.setattr(sqlite_engine, "CONFIRM_TIMEOUT_S", 0.3)
    filled.see(HAL)
    filled.ground.catalog.close()
    with closing(sqlite3.connect(filled.path / "catalog.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE meta SET value = value")
        started = time.monotonic()
        with pytest.raises(SequenceUnconfirmed, match="nothing is answered"):
            filled.see(HAL)
        assert time.monotonic() - started < 5
        other.execute("ROLLBACK")
    assert open_world(filled.folder, filled.clock).see(HAL).paths


def test_an_answer_that_took_too_long_to_be_confirmed_is_a_no(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.see(HAL)
    monkeypatch.setattr(sqlite_engine, "CONFIRM_TIMEOUT_S", 0.0)
    with pytest.raises(SequenceUnconfirmed, match="to say whether anything changed; nothing is answered"):
        filled.see(HAL)
