"""How much memory opened rows may take is said in bytes, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import ringfence
from ringfence_governance.memory_budget import MEMORY_VARIABLE, budget, memory_share

ADA = "acme/user:ada"


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (1 << 20, 1 << 20),
        ("1048576", 1 << 20),
        ("512MiB", 512 << 20),
        ("2GB", 2 * 10**9),
        ("3000kB", 3 * 10**6),
    ],
)
def test_a_number_of_bytes_is_taken(said: int | str, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget(said) == taken
    monkeypatch.setenv(MEMORY_VARIABLE, str(said))
    assert budget(None) == taken


def test_where_nothing_is_said_a_share_of_the_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    assert budget(None) == memory_share() > 1 << 20
    monkeypatch.setenv(MEMORY_VARIABLE, "")
    assert budget(None) == memory_share()


BAD = [
    "",
    "none",
    "-5MB",
    "1.5GB",
    "2 GB",
    "2gb",
    "\u0662GB",
    "9" * 16,
    "1023kB",
    (1 << 20) - 1,
    True,
    2.0e9,
    0,
    -1,
]


@pytest.mark.parametrize("said", BAD)
def test_anything_else_is_refused_and_no_store_is_made(said: object, tmp_path: Path) -> None:
    with pytest.raises(ringfence.InvalidInput, match="memory: found"):
        ringfence.open(tmp_path / "store", admin=ADA, embedder="hash", memory=said)  # type: ignore[arg-type]
    assert not (tmp_path / "store").exists()


def test_the_environment_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "much")
    with pytest.raises(ringfence.InvalidInput, match=MEMORY_VARIABLE):
        ringfence.open(tmp_path / "store", admin=ADA, embedder="hash")


def test_opened_rows_take_no_more_than_was_said_and_answers_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "store"
    labels = [ringfence.Label.from_mapping({"owner": ADA, "readers": [f"acme/user:r{n}"]}) for n in range(12)]
    pages = [
        ringfence.Document(
            f"{n}.txt", "\n".join(f"pump {n} {line} " * 30 for line in range(40)), label=labels[n % 12]
        )
        for n in range(96)
    ]
    answers = []
    with ringfence.create(path, admin=ADA, embedder="hash") as store:
        store.ingest(pages, as_user=ADA)
        answers.append(store.as_user(ADA).search("pump 7").to_mapping())
        assert held(store) > 1 << 20
    with ringfence.open(path, embedder="hash", memory="1MiB") as store:
        for _ in range(2):
            answers.append(store.as_user(ADA).search("pump 7").to_mapping())
        assert 0 < held(store) <= 1 << 20
    assert answers[0] == answers[1] == answers[2]


def held(store: ringfence.Store) -> int:
    return int(store._Store__door._Door__ground.resident.size)  # type: ignore[attr-defined]
