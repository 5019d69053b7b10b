"""Killed at any instant of registering an answer: it is there whole, or it never was.

The number in a test's name is its seed; the same seed kills at the same instant.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .dying import ANSWER, WRITER, Instants, register, watched, write_publication
from .killed import killed, unfinished
from .worlds import World, copy_world, draft, open_world
from .writings import wraps_are_those_of_the_manifest

SEEDS, SOAK_SEEDS = range(3), range(3, 150)


@pytest.fixture(scope="module")
def written(template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One publication, all of which the writer may read."""
    world = copy_world(template, tmp_path_factory.mktemp("written"))
    world.add("p", WRITER, "acme", "*", "read", "any", "*", "-", "-", "allow")
    write_publication(world, 1)
    world.door.close()
    return world


@pytest.fixture(scope="module")
def instants(written: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many instants there are, when nobody is killed."""
    world = copy_world(written, tmp_path_factory.mktemp("counted"))
    with watched(Instants()) as counted:
        register(world, lambda **_: None)
    assert texts(world) == [*texts(written), ANSWER]
    assert counted.count > 30
    return counted.count


def texts(world: World) -> list[str]:
    """What the writer may read, the answer last."""
    after = open_world(world.folder)
    found = sorted(after.see(WRITER).texts, key=lambda text: (text == ANSWER, text))
    after.door.close()
    return found


def kill_and_look(written: World, folder: Path, seed: int, instants: int) -> None:
    world = copy_world(written, folder)
    world.door.close()
    said = killed("die_registering", world.folder, seed, instants)

    before, found = texts(written), texts(world)
    assert found in (before, [*before, ANSWER]), "something is half written"
    told = [each for each in said if "answer" in each]
    assert not told or found != before, "what was said to be registered is not"

    after = open_world(world.folder)
    after.put(draft("last", "and one more", "acme/label:staff"), who=WRITER)
    assert after.see("acme/user:hal").texts == ("and one more",), "something rode along"
    assert wraps_are_those_of_the_manifest(after)
    assert not unfinished(after)
    register(after, lambda **_: None)
    assert sorted(after.see(WRITER).texts) == sorted([*found, "and one more", ANSWER])
    after.door.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_is_there_whole_or_never_was(
    written: World, tmp_path: Path, seed: int, instants: int
) -> None:
    kill_and_look(written, tmp_path / "world", seed, instants)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_an_answer_is_there_whole_or_never_was_at_many_instants(
    written: World, tmp_path: Path, seed: int, instants: int
) -> None:
    kill_and_look(written, tmp_path / "world", seed, instants)
