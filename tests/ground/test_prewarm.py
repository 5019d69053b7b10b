"""Prewarming opens what its reader's questions need, and nothing else, and tells nothing of what others left open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ringfence.reader import Reader
from ringfence_governance import block_opening
from ringfence_governance.errors import Cancelled
from ringfence_governance.stopping import CancelToken
from ringfence_retrieval.questions import MODES

from .stocked_world import BOB, HAL, stocked_world
from .worlds import World, copy_world, draft, subject, vector

STRANGER = "borealis/user:oz"


@pytest.fixture(scope="module")
def stocked(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    template = stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))
    world = copy_world(template, tmp_path_factory.mktemp("world") / "world")
    yield world
    world.door.close()


@pytest.fixture
def opened(stocked: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which atoms were opened since, one number for each time."""
    stocked.ground.resident.clear()
    atoms: list[int] = []
    honest = block_opening.open_parts

    def noting(ground: Any, grant: Any, parts: Any) -> Any:
        atoms.extend(part.atom for part in parts)
        return honest(ground, grant, parts)

    monkeypatch.setattr(block_opening, "open_parts", noting)
    return atoms


def reader_of(world: World, who: str = HAL, asked: list[str] | None = None) -> Reader:
    def embed(text: str) -> Any:
        (asked if asked is not None else []).append(text)
        return vector(text)

    return Reader(world.door, subject(who), embed)


def test_afterwards_a_question_opens_nothing_more(stocked: World, opened: list[int]) -> None:
    asked: list[str] = []
    reader = reader_of(stocked, HAL, asked)
    found = reader.prewarm()
    assert (found.readable, found.within_budget) == (reader.count().chunks, True)
    assert found.as_of == reader.count().as_of
    assert asked == ["prewarm"]
    assert set(opened) == set(stocked.ground.grant(subject(HAL), "read").atoms) & set(opened)
    before = len(opened)
    assert before > 0
    for mode in MODES:
        assert len(reader.search("pump leak", 5, mode))
    assert len(opened) == before


def test_only_what_its_reader_may_read_is_opened(stocked: World, opened: list[int]) -> None:
    allowed = set(stocked.ground.grant(subject(BOB), "read").atoms)
    reader_of(stocked, BOB).prewarm()
    assert set(opened) <= allowed
    opened.clear()
    asked: list[str] = []
    found = reader_of(stocked, STRANGER, asked).prewarm()
    assert (found.readable, found.within_budget, opened, asked) == (0, True, [], [])


def test_what_he_is_told_does_not_hang_on_what_others_left_open(stocked: World, opened: list[int]) -> None:
    cold = reader_of(stocked, BOB).prewarm()
    reader_of(stocked, HAL).prewarm()
    assert reader_of(stocked, BOB).prewarm() == cold


def test_of_what_does_not_fit_into_memory_one_pass_is_opened(stocked: World, opened: list[int]) -> None:
    held, reader = stocked.ground.resident, reader_of(stocked)
    before, readable = held.budget, reader.prewarm().readable
    whole = len(opened)
    held.limit(held.size // 3)
    try:
        held.clear()
        opened.clear()
        found = reader.prewarm()
        assert (found.readable, found.within_budget) == (readable, False)
        # An index is asked then, if there is one; else a further pass would push out what the first one opened.
        assert (len(opened) == 0) if stocked.ground.tables.mode.indexed else (0 < len(opened) < whole)
        assert held.size <= held.budget
    finally:
        held.limit(before)


def test_it_leaves_a_record_and_can_be_cancelled(stocked: World, opened: list[int]) -> None:
    before = len(stocked.records())
    found = reader_of(stocked).prewarm(timeout=3600)
    (record,) = stocked.records()[before:]
    assert (record["verb"], record["plan"], record["rows"]) == ("prewarm", "prewarm", [])
    assert record["counts"] == {"readable": found.readable}
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        reader_of(stocked).prewarm(cancel=token)


def test_what_was_written_since_is_opened_by_prewarming_again(stocked: World, opened: list[int]) -> None:
    reader = reader_of(stocked)
    before = reader.prewarm()
    stocked.put(draft("new.txt", "a pump that is new"), who="acme/user:dex")
    opened.clear()
    after = reader.prewarm()
    assert (after.readable, after.as_of == before.as_of) == (before.readable + 1, False)
    assert len(opened) > 0
    opened.clear()
    assert "new" in reader.search("pump that is new", 1, "text")[0].text
    assert opened == []


def test_lineage_is_opened_only_if_asked_for_and_for_who_may_read_something(
    stocked: World, opened: list[int]
) -> None:
    held = stocked.ground.resident_lineage
    held.clear()
    plain = reader_of(stocked).prewarm()
    reader_of(stocked, STRANGER).prewarm(lineage=True)
    assert held.size == 0
    assert reader_of(stocked).prewarm(lineage=True) == plain
    assert held.size == stocked.ground.resident.lent > 0
