"""Promise 3, beside changes: what a reader gets while others change policy and documents is what stock Casbin
allows, in one of the states the store was in while he asked.

Rows that left are counted: 2,000 in the test command, a million in `make soak`. None may be one too many, and
nobody may meet an error.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence_governance import casbin_engine, reading

from .casbin_oracle import StockCasbin
from .random_firm import VOCABULARY, Asker, Firm, Held
from .test_3_casbin_decides import keeps_yesterdays_answer

SEED = int(os.environ.get("PROMISES_SEED") or random.SystemRandom().randrange(2**32))
"""Another one each time; a failure prints it, and `PROMISES_SEED=N` makes the same firms and changes again."""

ROWS, ROWS_SOAK = 2_000, int(os.environ.get("PROMISES_ROWS") or 1_000_000)
"""In the test command, and in `make soak`; `PROMISES_ROWS=N` splits that among several runs with seeds of their own."""
ROWS_OF_A_FIRM = 20_000
"""After so many rows another firm is made up, with another policy."""
READERS = 4
DOCUMENTS = 120
PAUSE_S = 0.05
"""Between two changes; a read that meets one starts again."""
WAIT_S = 120

Answered = Counter[tuple[str, str]]
"""Document id and text of the passages that left, or document id and path."""


class OneAtATime(StockCasbin):
    """Stock Casbin, asked by one thread at a time: it parses at each question, and `ast.parse` fails at random when
    several threads parse."""

    def may(self, *question: Any, **more: Any) -> bool:
        with casbin_engine.PARSING:
            return super().may(*question, **more)


class BusyFirm(Firm):
    """A firm whose oracle is asked by several threads."""

    @property
    def oracle(self) -> StockCasbin:
        if self._oracle is None:
            self._oracle = OneAtATime(self.lines)
        return self._oracle


@dataclass(frozen=True)
class State:
    """What is true of a firm between two changes."""

    oracle: StockCasbin
    documents: tuple[tuple[Held, dict[str, Any]], ...]
    now: str
    kept: dict[tuple[object, ...], list[Held]] = field(default_factory=dict, repr=False)

    def readable(self, asker: Asker) -> list[Held]:
        """Return what brute force allows."""
        key = (asker.chain, asker.purpose)
        if key not in self.kept:
            self.kept[key] = [
                document
                for document, parts in self.documents
                if self.oracle.may(asker.chain, parts, "read", purpose=asker.purpose, now=self.now)
            ]
        return self.kept[key]


class Watched:
    """A firm that changes, and the states it was in, for those who ask meanwhile."""

    def __init__(self, firm: Firm) -> None:
        self.firm = firm
        self.asked = self.rows = 0
        self.seen: Counter[str] = Counter()
        self.raised: list[BaseException] = []
        self.done = threading.Event()
        self._changing = threading.Condition()
        self._busy = False
        self._begun: dict[int, int] = {}
        self._states = {0: self._state()}
        self._newest = 0

    def _state(self) -> State:
        # The parts of a document are given to it anew when it is relabelled, never changed.
        documents = tuple((document, document.parts) for document in self.firm.documents)
        return State(self.firm.oracle, documents, self.firm.now)

    def change(self) -> str:
        """Change something, and keep what is true then."""
        with self._changing:
            self._busy = True
        try:
            said = self.firm.change()
        finally:
            with self._changing:
                self._newest += 1
                self._states[self._newest] = self._state()
                self._busy = False
                oldest = min([*self._begun.values(), self._newest])
                for number in [number for number in self._states if number < oldest]:
                    del self._states[number]
                self._changing.notify_all()
        return said

    @contextmanager
    def window(self) -> Iterator[list[State]]:
        """Yield a list that holds, afterwards, every state there was meanwhile."""
        states: list[State] = []
        me = threading.get_ident()
        with self._changing:
            first = self._begun[me] = self._newest
        try:
            yield states
            with self._changing:
                last = self._newest + self._busy
                assert self._changing.wait_for(lambda: self._newest >= last, WAIT_S)
                states += [self._states[number] for number in range(first, last + 1)]
        finally:
            with self._changing:
                del self._begun[me]

    def ask(self, dice: random.Random) -> None:
        """Ask something as somebody, and hold what comes to what was allowed meanwhile."""
        asker = dataclasses.replace(self.firm, dice=dice).asker()
        reader = self.firm.store.reader(asker.person, via=asker.chain[1:], purpose=asker.purpose)
        query = " ".join(dice.sample(VOCABULARY, 2))
        name = dice.choice(list(ASKS))
        with self.window() as states:
            found, whole = ASKS[name](reader, query, dice)
        told = Counter(found)
        fitting = [state for state in states if fits(told, rows_of(state, asker, name), whole=whole)]
        assert fitting, f"{name} as {asker}: in none of {len(states)} states; {len(told)} rows"
        with self._changing:
            self.rows += sum(told.values())
            self.asked += 1
            self.seen[name] += sum(told.values())
            self.seen["beside a change"] += len(states) > 1
            self.seen["hidden"] += len(states[-1].documents) > len(states[-1].readable(asker))


def rows_of(state: State, asker: Asker, name: str) -> Answered:
    readable = state.readable(asker)
    if name == "list":
        return Counter((document.document_id, document.path) for document in readable)
    return Counter((document.document_id, passage) for document in readable for passage in document.passages)


def fits(told: Answered, allowed: Answered, *, whole: bool) -> bool:
    return told == allowed if whole else told <= allowed


def passages(*results: Any) -> list[tuple[str, str]]:
    return [(hit.document, hit.text) for result in results for hit in result]


def in_context(reader: Any, query: str) -> list[tuple[str, str]]:
    """Return the stored passages in a context: those of one document that are neighbours stand in it as one."""
    found = reader.context(query, 100_000, 200)
    return [
        (each.citation.document, text) for each in found for text in each.text.split("\n\n") if text.strip()
    ]


ASKS: dict[str, Any] = {
    "vector": lambda reader, query, dice: (passages(reader.search(query, 1000, "vector")), True),
    "hybrid": lambda reader, query, dice: (passages(reader.search(query, 1000)), True),
    "text": lambda reader, query, dice: (passages(reader.search(query, 1000, "text")), False),
    "where": lambda reader, query, dice: (
        passages(reader.search(query, 1000, where=ringfence.field("size") > dice.choice([0, 60, 120]))),
        False,
    ),
    "reranked": lambda reader, query, dice: (passages(reader.search(query, 20, rerank=40)), False),
    "list": lambda reader, query, dice: ([(each.id, each.path) for each in reader.list()], True),
    "context": lambda reader, query, dice: (in_context(reader, query), False),
}


def work_beside_changes(firm: Firm, rows: int, seed: int) -> Watched:
    """Let readers ask until so many rows have left, while the firm changes."""
    watched = Watched(firm)

    def over_and_over(number: int) -> None:
        dice = random.Random(f"{seed} {number}")
        try:
            while not watched.done.is_set():
                watched.ask(dice)
        except BaseException as error:  # noqa: BLE001
            watched.raised.append(error)
            watched.done.set()

    running = [threading.Thread(target=over_and_over, args=(number,)) for number in range(READERS)]
    for thread in running:
        thread.start()
    history: list[str] = []
    try:
        while watched.rows < rows and not watched.done.is_set():
            history.append(watched.change())
            time.sleep(PAUSE_S)
    finally:
        watched.done.set()
        for thread in running:
            thread.join()
    for error in watched.raised:
        error.add_note(f"PROMISES_SEED={seed}: {len(history)} changes, the last: {history[-5:]}")
        raise error
    return watched


def run_firms(folder: Path, rows: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for number in itertools.count():
        wanted = min(ROWS_OF_A_FIRM, rows - seen["rows"])
        if wanted <= 0:
            return seen
        firm = BusyFirm.make(folder / str(number), SEED + number, documents=DOCUMENTS)
        try:
            watched = work_beside_changes(firm, wanted, SEED + number)
        finally:
            firm.store.close()
        seen += watched.seen
        seen["rows"] += watched.rows
        seen["asked"] += watched.asked
        seen["firms"] += 1
        print(f"{seen['rows']} rows of {rows}, {seen['asked']} questions, {seen['firms']} firms", flush=True)
    return seen


@pytest.mark.parametrize("rows", [ROWS, pytest.param(ROWS_SOAK, marks=pytest.mark.soak)])
def test_no_row_that_leaves_beside_changes_is_one_too_many_and_nobody_meets_an_error(
    rows: int, tmp_path: Path
) -> None:
    started = time.monotonic()
    seen = run_firms(tmp_path, rows)
    print(f"seed {SEED}, {time.monotonic() - started:.0f} s: {dict(sorted(seen.items()))}")
    assert seen["rows"] >= rows
    # Worth something: many ways of asking gave rows, often beside a change, and mostly something was hidden.
    assert sum(seen[name] > 0 for name in ASKS) >= 4, seen
    assert seen["beside a change"] > seen["asked"] / 20, seen
    assert seen["hidden"] > seen["asked"] / 2, seen


def gives_what_was_right_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A right that goes while a read runs does not end it, and a set that was made stays."""
    keeps_yesterdays_answer(monkeypatch)
    monkeypatch.setattr(reading, "_refuse_moved", lambda *_: None)


def test_a_planted_mistake_is_found_beside_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gives_what_was_right_before(monkeypatch)
    # A row too many; or an error that a reader meets: the rows of what he keeps from before are gone, its time is over.
    with pytest.raises((AssertionError, ringfence.StoreError, ringfence.Refused)):
        run_firms(tmp_path, ROWS)
