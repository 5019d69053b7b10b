"""An application's own witness keeps a store's checkpoints, and the log is held to what it has."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import ringfence

ADA = "acme/user:ada"


class Notary:
    """A witness as an application might write one; it can be down, or slow."""

    name = "the firm's notary"

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.down = False
        self.slow = threading.Event()
        self.slow.set()

    def publish(self, lines: Sequence[bytes]) -> None:
        self.slow.wait()
        if self.down:
            raise ConnectionError("the notary is away")
        self.kept += lines

    def lines(self) -> list[bytes]:
        if self.down:
            raise ConnectionError("the notary is away")
        return list(self.kept)


@pytest.fixture
def notary() -> Notary:
    return Notary()


@pytest.fixture
def store(tmp_path: Path, notary: Notary) -> ringfence.Store:
    return ringfence.create(tmp_path / "store", admin=ADA, embedder="hash", witness=notary)


def audited(store: ringfence.Store) -> ringfence.Reader:
    """The one who administers here, who may audit from now on."""
    reader = store.as_user(ADA)
    reader.grant(ADA, "audit", "*", why="the audit of May")
    return reader


def test_a_witness_of_ones_own_has_every_checkpoint_and_the_log_is_held_to_it(
    store: ringfence.Store, notary: Notary
) -> None:
    assert isinstance(notary, ringfence.Witness)
    reader = audited(store)
    made = reader.sign_log()
    assert made["waiting_for_witness"] == 0
    assert len(notary.kept) == made["checkpoint"]
    report = reader.verify_log()
    assert (report["valid"], report["witnessed"]) == (True, made["checkpoint"])
    assert store.as_user(ADA).status()["audit"]["witness"] == notary.name
    store.close()
    assert len(notary.kept) > made["checkpoint"]


def test_what_a_witness_is_handed_names_nobody(store: ringfence.Store, notary: Notary) -> None:
    audited(store)
    store.close()
    assert notary.kept
    assert ADA.encode() not in b"".join(notary.kept)


def test_an_older_copy_of_the_whole_store_is_found_by_it(
    store: ringfence.Store, notary: Notary, tmp_path: Path
) -> None:
    audited(store)
    store.close()
    path, older = tmp_path / "store", tmp_path / "older"
    shutil.copytree(path, older)
    with ringfence.open(path, witness=notary) as again:
        again.as_user(ADA).list()
    shutil.rmtree(path)
    older.rename(path)
    with ringfence.open(path, witness="") as restored:
        assert restored.as_user(ADA).verify_log()["valid"]
        found = restored.as_user(ADA).verify_log(witness=notary)["findings"]
    assert "rolled back" in [each["kind"] for each in found]


def test_one_that_is_away_holds_up_no_read_and_has_all_when_it_is_back(
    store: ringfence.Store, notary: Notary
) -> None:
    reader = audited(store)
    notary.down = True
    reader.list()
    with pytest.raises(ringfence.StoreError, match=r"did not confirm \(ConnectionError\)"):
        reader.sign_log()
    with pytest.raises(ringfence.StoreError, match="did not confirm"):
        reader.verify_log()
    assert reader.status()["audit"]["waiting_for_witness"] > 0
    notary.down = False
    assert reader.sign_log()["waiting_for_witness"] == 0
    assert reader.verify_log()["valid"]
    store.close()


def test_one_that_does_not_answer_holds_up_closing_for_a_second_at_most(
    store: ringfence.Store, notary: Notary
) -> None:
    audited(store)
    notary.slow.clear()
    started = time.monotonic()
    store.close()
    assert time.monotonic() - started < 4
    assert notary.kept == []
    notary.slow.set()


@pytest.mark.parametrize("given", [7, object(), [], Path("notary.jsonl")])
def test_what_is_no_witness_is_refused(tmp_path: Path, given: object) -> None:
    with pytest.raises(ringfence.InvalidInput, match="expected a path, an address, or an object"):
        ringfence.create(tmp_path / "store", admin=ADA, embedder="hash", witness=given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", 7, "x" * 5000])
def test_a_witness_without_a_name_is_refused(tmp_path: Path, name: object) -> None:
    unnamed = Notary()
    unnamed.name = name  # type: ignore[assignment]
    with pytest.raises(ringfence.InvalidInput, match="found the name"):
        ringfence.create(tmp_path / "store", admin=ADA, embedder="hash", witness=unnamed)
