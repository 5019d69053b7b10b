"""A service asks from an event loop: the same answers, a bounded number at once, and a task that ends its search."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence import AsyncReader, asynchronous
from ringfence.reader import Reader
from ringfence_governance.stopping import CancelToken

ADA, BEN = "acme/user:ada", "acme/user:ben"
LONG_S = 60


class Waiting:
    """A reranker that waits until it is told to go on."""

    name = "waiting"

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.scored = 0

    def score(self, question: str, text: str) -> float:
        self.begun.release()
        assert self.go_on.wait(LONG_S)
        self.scored += 1
        return float(len(text))


@pytest.fixture(scope="module")
def model() -> Waiting:
    return Waiting()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, model: Waiting) -> Iterator[ringfence.Store]:
    folder = tmp_path_factory.mktemp("async")
    made = ringfence.create(folder / "store", admin=ADA, embedder="hash", reranker=model)
    texts = {"one": "a pump of hers", "two": "another pump", "three": "a pump again"}
    made.ingest(
        [
            ringfence.Document(
                f"{name}.txt",
                text,
                label=ringfence.Label.from_mapping({"owner": ADA, "readers": [BEN] if name == "two" else []}),
            )
            for name, text in texts.items()
        ],
        as_user=ADA,
    )
    yield made
    made.close()


@pytest.fixture(autouse=True)
def going_on(model: Waiting) -> Iterator[None]:
    model.go_on.clear()
    model.begun, model.scored = threading.Semaphore(0), 0
    yield
    model.go_on.set()


async def begun(model: Waiting, count: int = 1) -> None:
    for _ in range(count):
        assert await asyncio.to_thread(model.begun.acquire, timeout=LONG_S)


def records(store: ringfence.Store) -> list[dict[str, Any]]:
    import json

    log = Path(store._Store__path) / "audit"  # type: ignore[attr-defined]
    lines = [line for file in log.glob("*.jsonl") for line in file.read_text().splitlines()]
    return sorted(map(json.loads, lines), key=lambda record: (record["at"], record["number"]))


def test_every_verb_of_a_reader_is_a_coroutine_with_the_same_arguments() -> None:
    verbs = {name for name in dir(Reader) if not name.startswith("_") and callable(getattr(Reader, name))}
    offered = {name for name in dir(ringfence.AsyncReader) if not name.startswith("_")} - {"reader"}
    assert offered == verbs
    for name in verbs:
        found = getattr(ringfence.AsyncReader, name)
        assert inspect.iscoroutinefunction(found)
        assert inspect.signature(found) == inspect.signature(getattr(Reader, name)), name


def test_two_readers_at_once_get_what_each_gets_alone(store: ringfence.Store) -> None:
    readers = [store.as_user(who) for who in (ADA, BEN)]
    alone = [reader.search("pump", 5) for reader in readers]

    async def ask() -> list[ringfence.SearchResult]:
        return await asyncio.gather(*(AsyncReader(reader).search("pump", 5) for reader in readers * 8))

    assert asyncio.run(ask()) == alone * 8
    assert len(alone[0]) > len(alone[1]) > 0

    async def others() -> tuple[Any, ...]:
        aio = AsyncReader(readers[1])
        found = await aio.list()
        return (
            found,
            await aio.text(found[0]),
            await aio.why(found[0]),
            await aio.count(),
            await aio.context("pump"),
        )

    reader = readers[1]
    found = reader.list()
    expected = (found, reader.text(found[0]), reader.why(found[0]), reader.count(), reader.context("pump"))
    assert asyncio.run(others()) == expected


def test_the_loop_goes_on_while_a_search_runs(store: ringfence.Store, model: Waiting) -> None:
    async def ask() -> int:
        task = asyncio.create_task(AsyncReader(store.as_user(ADA)).search("pump", 2, rerank=3))
        await begun(model)
        # Another reader is answered meanwhile.
        assert len(await AsyncReader(store.as_user(BEN)).search("pump", 2))
        assert not task.done()
        model.go_on.set()
        return len(await task)

    assert asyncio.run(ask()) == 2


def test_cancelling_the_task_ends_the_search_and_the_log_says_so(
    store: ringfence.Store, model: Waiting
) -> None:
    before = len(records(store))

    async def ask() -> None:
        task = asyncio.create_task(AsyncReader(store.as_user(ADA)).search("pump", 2, rerank=3))
        await begun(model)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())
    model.go_on.set()
    ended = time.monotonic() + LONG_S
    while len(found := records(store)[before:]) < 2:
        assert time.monotonic() < ended, "the search was not ended"
        time.sleep(0.01)
    assert [record["outcome"] for record in found] == ["allowed", "error"]
    assert found[1]["detail"]["error"] == "Cancelled"
    assert model.scored == 1, "the model was asked on"


def test_a_token_of_the_callers_own_and_a_timeout_end_it_too(store: ringfence.Store, model: Waiting) -> None:
    model.go_on.set()

    async def ask() -> None:
        aio, token = AsyncReader(store.as_user(ADA)), CancelToken()
        assert len(await aio.search("pump", 2, cancel=token))
        token.cancel()
        with pytest.raises(ringfence.Cancelled):
            await aio.search("pump", 2, cancel=token)
        with pytest.raises(ringfence.TimedOut):
            await aio.context("pump", timeout=1e-9)
        with pytest.raises(ringfence.InvalidInput, match="cancel"):
            await aio.search("pump", cancel="yes")  # type: ignore[arg-type]

    asyncio.run(ask())


def test_no_more_run_at_once_than_there_are_threads_and_who_waits_can_be_cancelled(
    store: ringfence.Store, model: Waiting
) -> None:
    async def ask() -> None:
        aio = AsyncReader(store.as_user(ADA))
        count = asynchronous.THREADS + 3
        tasks = [asyncio.create_task(aio.search("pump", 1, rerank=1)) for _ in range(count)]
        await begun(model, asynchronous.THREADS)
        await asyncio.sleep(0.2)
        assert not model.begun.acquire(blocking=False), "more run than there are threads"
        before = len(records(store))
        tasks[-1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[-1]
        # It never began, so there is nothing to record.
        assert len(records(store)) == before
        model.go_on.set()
        assert {len(each) for each in await asyncio.gather(*tasks[:-1])} == {1}

    asyncio.run(ask())


def test_an_error_brings_no_frame_that_leads_inside(store: ringfence.Store) -> None:
    async def ask() -> BaseException:
        try:
            await AsyncReader(store.as_user(BEN)).text("0" * 32)
        except ringfence.NotReadable as error:
            return error
        raise AssertionError("it was readable")

    error = asyncio.run(ask())
    assert error.__cause__ is None
    assert error.__context__ is None
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    inside = [frame for frame in frames if frame.f_code.co_filename != __file__]
    assert [frame.f_code.co_name for frame in inside] == ["call"]
    assert not {"args", "kwargs"} & set(inside[0].f_locals)


def test_it_prints_whom_it_is_for_and_cannot_be_pickled(store: ringfence.Store) -> None:
    aio = AsyncReader(store.as_user(BEN))
    assert repr(aio) == f"AsyncReader({BEN!r})"
    assert repr(aio.reader) == f"Reader({BEN!r})"
    with pytest.raises(TypeError):
        pickle.dumps(aio)


def test_what_is_no_reader_is_refused() -> None:
    with pytest.raises(ringfence.InvalidInput, match="expected a Reader"):
        AsyncReader("acme/user:ada")  # type: ignore[arg-type]
