"""Killed at any instant of relabelling: the label is the old one or the new one, for all that was made from it too.

The number in a test's name is its seed; the same seed kills at the same instant.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .dying import (
    OTHER,
    READERS,
    RELABELLED,
    WRITER,
    Instants,
    id_of,
    relabel,
    state_after,
    watched,
    write_publication,
)
from .killed import killed, seen, unfinished, views
from .worlds import WHY, World, copy_world, draft, label, open_world, subject
from .writings import wraps_are_those_of_the_manifest

SEEDS, SOAK_SEEDS = range(4), range(4, 200)
MADE = "made of it"
BOTH = label("acme/user:dora", *READERS)


@pytest.fixture(scope="module")
def written(template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One publication, and a document that was made from the one that will be relabelled."""
    world = copy_world(template, tmp_path_factory.mktemp("written"))
    world.add("p", WRITER, "acme", "*", "read", "any", "*", "-", "-", "allow")
    write_publication(world, 1)
    world.put(draft(MADE, "made of a", BOTH, parents=[id_of(world, RELABELLED)]), who=WRITER)
    world.door.close()
    return world


@pytest.fixture(scope="module")
def instants(written: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many instants there are, when nobody is killed."""
    world = copy_world(written, tmp_path_factory.mktemp("counted"))
    with watched(Instants()) as counted:
        relabel(world, lambda **_: None)
    assert seen(world) == after_it()
    assert counted.count > 30
    return counted.count


def before() -> list[dict[str, str]]:
    """What each reader sees: path → text."""
    shown = views(state_after(1))
    shown[1][MADE] = "made of a"
    return shown


def after_it() -> list[dict[str, str]]:
    """The same, when the other may read the source: what was made from it is for who may read under both labels."""
    shown = views(state_after(1))
    shown[0][RELABELLED] = shown[1].pop(RELABELLED)
    return shown


def kill_and_look(written: World, folder: Path, seed: int, instants: int) -> None:
    world = copy_world(written, folder)
    world.door.close()
    said = killed("die_relabelling", world.folder, seed, instants)

    after = open_world(world.folder)
    found = seen(after)
    assert found in (before(), after_it()), "something is half relabelled"
    assert found == after_it() or {"relabelled": True} not in said, "what was said to be relabelled is not"

    after.put(draft("last", "and one more", "acme/label:staff"), who=WRITER)
    assert after.see("acme/user:hal").texts == ("and one more",), "something rode along"
    assert seen(after) == found
    assert wraps_are_those_of_the_manifest(after), "a key is left that opens under the label it had"
    assert not unfinished(after)
    after.door.relabel(subject(WRITER), id_of(after, RELABELLED), OTHER, WHY)
    assert seen(after) == after_it()
    assert wraps_are_those_of_the_manifest(after)
    after.door.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_old_or_new_the_label_is_whole_before_and_after_the_next_writer(
    written: World, tmp_path: Path, seed: int, instants: int
) -> None:
    kill_and_look(written, tmp_path / "world", seed, instants)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_it_is_so_at_many_more_instants(written: World, tmp_path: Path, seed: int, instants: int) -> None:
    kill_and_look(written, tmp_path / "world", seed, instants)
