"""Killed at any instant of erasing or compacting: the last publication is whole, and what was erased stays so.

The number in a test's name is its seed; the same seed kills at the same instant.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .dying import ERASED, WRITER, Instants, State, id_of, state_after, upkeep, watched, write_publication
from .killed import killed, seen, views
from .worlds import WHY, World, copy_world, draft, open_world, subject

SEEDS, SOAK_SEEDS = range(8), range(8, 200)
WRITTEN = 2


@pytest.fixture(scope="module")
def written(template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = copy_world(template, tmp_path_factory.mktemp("written"))
    for number in range(1, WRITTEN + 1):
        write_publication(world, number)
    world.door.close()
    return world


@pytest.fixture(scope="module")
def instants(written: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many instants there are, when nobody is killed."""
    world = copy_world(written, tmp_path_factory.mktemp("counted"))
    said: list[str] = []
    with watched(Instants()) as counted:
        upkeep(world, lambda **facts: said.extend(facts))
    assert said == ["erased", "compacted"]
    assert seen(world) == views(without_erased())
    assert counted.count > 60
    return counted.count


def without_erased() -> State:
    return {path: found for path, found in state_after(WRITTEN).items() if path != ERASED}


def kill_and_look(written: World, folder: Path, seed: int, instants: int) -> None:
    world = copy_world(written, folder)
    document_id = id_of(world, ERASED)
    world.door.close()
    said = killed("die_in_upkeep", world.folder, seed, instants)

    after = open_world(world.folder)
    gone = document_id in after.ground.moment().erased
    assert gone or {"erased": True} not in said, "what was said to be erased is there"
    expected = without_erased() if gone else state_after(WRITTEN)
    assert seen(after) == views(expected), "the last publication is not whole"

    with after.ingestion(WRITER) as ingestion:
        assert ingestion.paths() == set(expected)
        ingestion.put(draft("last", "and one more", "acme/label:staff"))
    assert after.see("acme/user:hal").texts == ("and one more",), "something rode along"
    (certificate,) = after.door.erase(subject(WRITER), [document_id], WHY)
    assert certificate["clean"]
    after.door.compact(subject("acme/user:ada"))
    assert views(without_erased()) == [
        {path: text for path, text in view.items() if path != "last"} for view in seen(after)
    ]
    after.door.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_erased_or_not_the_store_is_whole_before_and_after_the_next_writer(
    written: World, tmp_path: Path, seed: int, instants: int
) -> None:
    kill_and_look(written, tmp_path / "world", seed, instants)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_it_is_so_at_many_more_instants(written: World, tmp_path: Path, seed: int, instants: int) -> None:
    kill_and_look(written, tmp_path / "world", seed, instants)
