"""Models that are used by several threads of a process: embedding and reranking change nothing for one another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringfence_governance import torch_models
from ringfence_ingest.embedders import Embedder, open_embedder
from ringfence_retrieval.cross_encoder import CrossEncoderReranker, open_reranker

from .test_cross_encoder import QUESTION, TEXTS, made_model

WAIT_S = 120
ROUNDS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def reranker(folder: Path) -> CrossEncoderReranker:
    return open_reranker(folder)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return open_embedder("minilm")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Let torch have two threads in this process: with one, nothing could be changed."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@contextmanager
def at_each_pass(model: Any, do: Callable[[], None]) -> Iterator[None]:
    """Do something in the middle of every pass through a model of torch."""
    hook = model.register_forward_pre_hook(lambda *_: do())
    try:
        yield
    finally:
        hook.remove()


class Turn:
    """The lock of :mod:`torch_models`, which also says when it is asked for."""

    def __init__(self, lock: Any, asked: Callable[[], None]) -> None:
        self._lock, self._asked = lock, asked

    def __enter__(self) -> None:
        self._asked()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def in_a_thread(do: Callable[[], Any]) -> Any:
    """Return what a thread gives that torch has not seen before."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(do()))
    thread.start()
    thread.join(WAIT_S)
    (given,) = found
    return given


def numbers() -> tuple[int, int]:
    """Return how many threads torch has in this thread, and in the process: what a new thread begins with."""
    import torch

    return torch.get_num_threads(), in_a_thread(torch.get_num_threads)


def scores(reranker: CrossEncoderReranker) -> list[float]:
    return [reranker.score(QUESTION, text) for text in TEXTS]


def test_embedding_beside_reranking_changes_no_bit_of_either(
    reranker: CrossEncoderReranker, embedder: Embedder
) -> None:
    import torch

    alone, vectors = in_a_thread(lambda: scores(reranker)), embedder.embed(TEXTS)
    found: dict[str, list[Any]] = {"scores": [], "vectors": [], "threads": []}

    def rerank() -> None:
        found["scores"].extend(scores(reranker) for _ in range(ROUNDS * 4))

    def embed() -> None:
        found["vectors"].extend(embedder.embed(TEXTS) for _ in range(ROUNDS))

    def look() -> None:
        found["threads"].append(torch.get_num_threads())

    beside = [threading.Thread(target=each) for each in (rerank, embed, rerank, embed)]
    with at_each_pass(reranker._encoder, look), at_each_pass(embedder._transformer, look):  # type: ignore[attr-defined]
        for thread in beside:
            thread.start()
        for thread in beside:
            thread.join(WAIT_S)
    assert found["scores"] == [alone] * ROUNDS * 8
    assert all(np.array_equal(each, vectors) for each in found["vectors"])
    assert len(found["vectors"]) == ROUNDS * 2
    assert set(found["threads"]) == {1}
    assert numbers() == (2, 2)


@pytest.mark.parametrize("what", ["embed", "rerank", "load"])
def test_while_one_model_runs_no_other_runs_or_is_loaded(
    reranker: CrossEncoderReranker,
    embedder: Embedder,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    others: dict[str, Callable[[], object]] = {
        "embed": lambda: embedder.embed(["a pump"]),
        "rerank": lambda: reranker.score(QUESTION, "valve"),
        "load": lambda: open_reranker(folder),
    }
    asked_or_done, done = threading.Event(), threading.Event()
    early: list[bool] = []

    def run() -> None:
        others[what]()
        done.set()
        asked_or_done.set()

    other = threading.Thread(target=run)

    def meanwhile() -> None:
        if not early:
            early.append(True)
            monkeypatch.setattr(torch_models, "_turn", Turn(torch_models._turn, asked_or_done.set))
            other.start()
            assert asked_or_done.wait(WAIT_S)
            early[0] = done.is_set()

    with at_each_pass(reranker._encoder, meanwhile):
        reranker.score(QUESTION, "the pump")
    other.join(WAIT_S)
    assert early == [False]
    assert done.is_set()
    assert numbers() == (2, 2)


def test_a_pass_that_fails_gives_the_number_and_the_turn_back(reranker: CrossEncoderReranker) -> None:
    def fail() -> None:
        raise RuntimeError("in the middle")

    whole = scores(reranker)
    with at_each_pass(reranker._encoder, fail), pytest.raises(RuntimeError, match="in the middle"):
        reranker.score(QUESTION, "the pump")
    assert numbers() == (2, 2)
    assert in_a_thread(lambda: scores(reranker)) == whole
