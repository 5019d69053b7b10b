"""A store that was closed answers nothing, writes nothing and holds nothing; others over the same folder go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence_governance.lance_tables import LanceTables

ADA = "acme/user:ada"
VERBS: dict[str, Callable[[ringfence.Store, ringfence.Reader, str], object]] = {
    "search": lambda store, reader, _: reader.search("pump"),
    "context": lambda store, reader, _: reader.context("pump"),
    "list": lambda store, reader, _: reader.list(),
    "text": lambda store, reader, document: reader.text(document),
    "why": lambda store, reader, document: reader.why(document),
    "lineage": lambda store, reader, document: reader.lineage(document),
    "log": lambda store, reader, _: list(reader.log()),
    "status": lambda store, reader, _: reader.status(),
    "prewarm": lambda store, reader, _: reader.prewarm(lineage=True),
    "audit": lambda store, reader, _: reader.audit_database(),
    "grant": lambda store, reader, _: reader.grant("acme/user:bob", "read", "acme/label:x", why="w"),
    "relabel": lambda store, reader, document: reader.relabel(document, "acme/label:x", why="w"),
    "erase": lambda store, reader, document: reader.erase(document, why="w"),
    "rotate": lambda store, reader, _: reader.rotate_keys(why="w"),
    "compact": lambda store, reader, _: reader.compact(),
    "answer": lambda store, reader, document: reader.register_answer("because", [document]),
    "ingest": lambda store, reader, _: store.ingest([page("b.txt")], as_user=ADA),
    "somebody else": lambda store, reader, _: store.as_user("acme/user:bob").count(),
}


def page(name: str) -> ringfence.Document:
    return ringfence.Document(name, "the pump leaks at its rotor", label=ringfence.Label("acme", ADA))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[ringfence.Store, ringfence.Reader, str, Path]:
    path = tmp_path_factory.mktemp("closed") / "store"
    store = ringfence.create(path, admin=ADA, embedder="hash")
    store.ingest([page("a.txt")], as_user=ADA)
    reader = store.as_user(ADA)
    (hit,) = reader.search("pump")
    store.close()
    store.close()
    return store, reader, hit.document, path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_that_it_is_closed_and_leaves_nothing(closed: Any, verb: str) -> None:
    store, reader, document, path = closed
    before = written(path)
    with pytest.raises(ringfence.StoreError, match="the store is closed") as refused:
        VERBS[verb](store, reader, document)
    assert refused.value.hint == "open it again"
    assert written(path) == before
    assert not store._Store__door._Door__ground.resident.size


def test_others_over_the_same_folder_go_on(closed: Any) -> None:
    *_, document, path = closed
    with ringfence.open(path, embedder="hash") as one, ringfence.open(path, embedder="hash") as other:
        one.close()
        assert [hit.document for hit in other.as_user(ADA).search("pump")] == [document]


def written(path: Path) -> dict[str, int]:
    return {
        str(file): file.stat().st_size
        for file in path.rglob("*")
        if file.is_file() and not file.name.endswith(("-shm", "-wal"))
    }


def test_a_read_that_is_at_work_ends_without_an_answer_and_what_it_opened_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    with ringfence.create(path, admin=ADA, embedder="hash") as store:
        store.ingest([page("a.txt")], as_user=ADA)
    store = ringfence.open(path, embedder="hash")
    ground = store._Store__door._Door__ground  # type: ignore[attr-defined]
    before = written(path)
    closing = threading.Thread(target=store.close)
    opening = LanceTables.scan_parts

    def close_meanwhile(*arguments: Any) -> Any:
        closing.start()
        # It is closed for everybody at once; what is opened here it waits for.
        while not ground._closed:
            time.sleep(0.001)
        return opening(*arguments)

    monkeypatch.setattr(LanceTables, "scan_parts", close_meanwhile)
    with pytest.raises(ringfence.StoreError, match="closed"):
        store.as_user(ADA).search("pump")
    closing.join()
    assert not ground.resident.size
    assert written(path) == before
