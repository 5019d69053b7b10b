"""A read that takes too long, or that nobody waits for, stops: nothing of it leaves, and the log says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance import block_opening, reading, vector_scan
from ringfence_governance.errors import Cancelled, InvalidInput, TimedOut
from ringfence_governance.quantised import quantised
from ringfence_governance.stopping import CancelToken, TimeLimit
from ringfence_governance.vector_scan import Runs

from .stocked_world import HAL, stocked_world
from .test_reranking import Scripted, of_text
from .worlds import World, copy_world, subject, vector

QUERY = "pump leak of the rotor"
FAR = 3600.0

Ask = Callable[[Reader, Any], Any]
ASKS: dict[str, Ask] = {
    "vector": lambda reader, more: reader.search(QUERY, 5, "vector", **more),
    "text": lambda reader, more: reader.search(QUERY, 5, "text", **more),
    "hybrid": lambda reader, more: reader.search(QUERY, 5, where=ringfence.field("size") > 60, **more),
    "reranked": lambda reader, more: reader.search(QUERY, 5, rerank=8, **more),
    "many": lambda reader, more: reader.search_many([QUERY, "valve"], 3, **more),
    "context": lambda reader, more: reader.context(QUERY, k=8, **more),
}


@pytest.fixture(scope="module")
def stocked(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    template = stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))
    world = copy_world(template, tmp_path_factory.mktemp("world") / "world")
    yield world
    world.door.close()


def reader_of(world: World, model: Scripted | None = None) -> Reader:
    return Reader(world.door, subject(HAL), vector, lambda: model or Scripted())


class Looks:
    """Counts how often a read looks whether to stop, and cancels it at one of the looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cancel_at: int | None = None) -> None:
        self.number = 0
        self.token = CancelToken()
        honest = TimeLimit.check

        def look(limit: TimeLimit) -> None:
            if self.number == cancel_at:
                self.token.cancel()
            self.number += 1
            honest(limit)

        monkeypatch.setattr(TimeLimit, "check", look)


@pytest.mark.parametrize("name", ASKS)
def test_cancelled_at_any_look_nothing_leaves_and_the_log_says_so(
    stocked: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ask, reader = ASKS[name], reader_of(stocked)
    whole = ask(reader, {})
    stocked.ground.resident.clear()
    with monkeypatch.context() as patched:
        looks = Looks(patched)
        assert ask(reader, {"cancel": looks.token, "timeout": FAR}) == whole
    assert looks.number > 5
    outcomes = {"many": 2}
    for place in sorted({*range(6), *range(0, looks.number, 1 + looks.number // 12), looks.number - 1}):
        stocked.ground.resident.clear()
        before = len(stocked.records())
        with monkeypatch.context() as patched:
            stopped = Looks(patched, place)
            with pytest.raises(Cancelled):
                ask(reader, {"cancel": stopped.token})
        records = stocked.records()[before:]
        assert {record["outcome"] for record in records[-1:]} == {"error"}, place
        assert records[-1]["detail"]["error"] == "Cancelled"
        assert records[-1]["rows"] == []
        # Only of what a reranker is shown there is a record that says it was allowed, before this one.
        allowed = [record for record in records if record["outcome"] == "allowed"]
        assert len(allowed) == (1 if name == "reranked" and len(records) > 1 else 0)
        assert len(records) - len(allowed) in (1, outcomes.get(name, 1))
    # What was opened until then is whole: the next answer is as ever.
    assert ask(reader, {}) == whole


@pytest.mark.parametrize("name", ASKS)
def test_a_read_that_takes_too_long_ends_so(stocked: World, name: str) -> None:
    before = len(stocked.records())
    with pytest.raises(TimedOut, match="no answer within 1e-09 s") as failure:
        ASKS[name](reader_of(stocked), {"timeout": 1e-9})
    assert failure.value.__traceback__ is None or failure.value.__cause__ is None
    records = stocked.records()[before:]
    assert {record["detail"]["error"] for record in records} == {"TimedOut"}
    assert all(record["rows"] == [] for record in records)


def test_a_token_ends_every_read_it_is_given_to(stocked: World) -> None:
    token, reader = CancelToken(), reader_of(stocked)
    assert len(reader.search(QUERY, cancel=token))
    token.cancel()
    for ask in ASKS.values():
        with pytest.raises(Cancelled):
            ask(reader, {"cancel": token})
    assert (token.cancelled, repr(token)) == (True, "CancelToken(cancelled)")
    assert len(reader.search(QUERY))


def test_what_is_no_limit_is_refused(stocked: World) -> None:
    reader = reader_of(stocked)
    before = len(stocked.records())
    for wrong in (0, -1, float("nan"), float("inf"), 86_401, True, "3", [1]):
        for ask in ASKS.values():
            with pytest.raises(InvalidInput, match="timeout"):
                ask(reader, {"timeout": wrong})
    for token in (threading.Event(), True, lambda: None):
        with pytest.raises(InvalidInput, match="cancel"):
            reader.search(QUERY, cancel=token)  # type: ignore[arg-type]
    assert len(stocked.records()) == before


def test_who_waits_for_another_to_open_rows_waits_no_longer_than_his_time(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stocked.ground.resident.clear()
    begun, go_on = threading.Event(), threading.Event()
    honest = block_opening.open_parts

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return honest(*arguments)

    monkeypatch.setattr(block_opening, "open_parts", slow)
    other = threading.Thread(target=lambda: reader_of(stocked).search(QUERY))
    other.start()
    try:
        assert begun.wait(60)
        started = time.monotonic()
        with pytest.raises(TimedOut):
            reader_of(stocked).search(QUERY, timeout=0.2)
        assert time.monotonic() - started < 20
        token = CancelToken()
        threading.Timer(0.1, token.cancel).start()
        with pytest.raises(Cancelled):
            reader_of(stocked).search(QUERY, cancel=token)
        assert other.is_alive()
    finally:
        go_on.set()
        other.join()


def test_who_waits_for_changes_to_stand_still_waits_no_longer_than_his_time(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ATTEMPTS_BESIDE_CHANGES", 0)
    held, let_go = threading.Event(), threading.Event()

    def change() -> None:
        with stocked.ground.catalog.held_still():
            held.set()
            let_go.wait(60)

    other = threading.Thread(target=change)
    other.start()
    try:
        assert held.wait(60)
        before = len(stocked.records())
        with pytest.raises(TimedOut):
            reader_of(stocked).search(QUERY, timeout=0.2)
        (record,) = stocked.records()[before:]
        assert (record["verb"], record["outcome"]) == ("search", "error")
    finally:
        let_go.set()
        other.join()


def test_what_a_model_writes_meanwhile_is_not_stopped(stocked: World) -> None:
    """The read is cancelled: what its reranker calls goes on to its end, and the read ends behind it."""
    token, made = CancelToken(), list[str]()
    (hit,) = reader_of(stocked).search(QUERY, 1)

    def writing(question: str, text: str) -> float:
        token.cancel()
        made.append(reader_of(stocked).register_answer("It is the rotor.", [hit]))
        return of_text(question, text)

    with pytest.raises(Cancelled):
        reader_of(stocked, Scripted(writing)).search(QUERY, 3, rerank=8, cancel=token)
    assert [reader_of(stocked).text(each).text for each in made] == ["It is the rotor."]


@pytest.mark.parametrize("rows", [1, 3, 7, 50, 1000])
def test_rows_gone_through_in_pieces_are_gone_through_once_and_in_their_order(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = np.random.default_rng(5)
    vectors = dice.standard_normal((300, 8)).astype(np.float32)
    small, none = quantised(vectors), np.zeros(0, np.int64)
    starts, ends = np.asarray([0, 40, 41, 120], np.int64), np.asarray([10, 41, 100, 300], np.int64)
    runs = [Runs(vectors, small, starts, ends), Runs(vectors, small, none, none)]
    whole = vector_scan.products(runs, vectors[7])[0]
    monkeypatch.setattr(vector_scan, "ROWS_BETWEEN_LOOKS", rows)
    pieces = [list(zip(some, last, strict=True)) for _, some, last in vector_scan._pieces(runs)]
    found = [row for piece in pieces for start, end in piece for row in range(start, end)]
    assert found == [
        row for start, end in zip(starts, ends, strict=True) for row in range(int(start), int(end))
    ]
    assert max(sum(end - start for start, end in piece) for piece in pieces) <= 2 * rows
    assert vector_scan.products(runs, vectors[7])[0] == pytest.approx(whole, abs=1e-5)
