"""Killed at any instant, a writer leaves the last publication, and nothing of it rides along with the next.

The number in a test's name is its seed; the same seed kills at the same instant.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ringfence_governance import key_upkeep
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import TableChange, Versions

from .dying import PUBLICATIONS, WRITER, Instants, state_after, watched, write_publication
from .killed import killed, seen, views
from .worlds import World, copy_world, database, draft, open_world, process

SEEDS, SOAK_SEEDS = range(8), range(8, 200)


@pytest.fixture(scope="session")
def instants(template: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many instants the line of publications has, when nobody is killed."""
    world = copy_world(template, tmp_path_factory.mktemp("counted"))
    with watched(Instants()) as counted:
        for number in range(1, PUBLICATIONS + 1):
            write_publication(world, number)
    assert seen(world) == views(state_after(PUBLICATIONS))
    assert counted.count > 150
    return counted.count


def publications_of(world: World) -> int:
    """How many publications there are, the empty one of init not counted."""
    with database(world.path / "catalog.db") as opened:
        (count,) = opened.execute("SELECT count(*) FROM publications").fetchone()
    return int(count) - 1


def kill_and_look(world: World, seed: int, instants: int) -> None:
    world.door.close()
    said = killed("die", world.folder, seed, instants, late_ms=4.0)
    told = [one["published"] for one in said if "published" in one]

    after = open_world(world.folder)
    number = publications_of(after)
    assert number - len(told) in (0, 1), "what was said to be published was not, or more was"
    assert seen(after) == views(state_after(number)), "the last publication is not whole"

    write_publication(after, number + 1)
    assert seen(after) == views(state_after(number + 1)), "something of the dead writer rode along"
    with after.ingestion(WRITER) as ingestion:
        assert ingestion.paths() == set(state_after(number + 1))
        ingestion.put(draft("last", "and one more", "acme/label:staff"))
    assert after.see("acme/user:hal").texts == ("and one more",)
    after.door.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_publication_is_whole_before_and_after_the_next_writer(
    world: World, seed: int, instants: int
) -> None:
    kill_and_look(world, seed, instants)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_it_is_so_at_many_more_instants(world: World, seed: int, instants: int) -> None:
    kill_and_look(world, seed, instants)


@pytest.mark.parametrize("forgets", [False, True])
def test_the_attack_works_on_a_writer_that_does_not_restore(
    world: World, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    """The same line, the same death, and a next writer that goes on from the newest version.

    What the dead writer kept keys for opens then, unless the next one forgets them, as it does.
    """
    if not forgets:
        monkeypatch.setattr(key_upkeep, "forget_left", lambda *_: None)

    class Trusting(LanceTables):
        def write(self, published: Versions, changes: Mapping[str, TableChange]) -> Versions:
            newest = {name: self._open(name).version for name in published}
            return super().write(newest, changes)

    write_publication(world, 1)
    dead = world.ingestion(WRITER).__enter__()
    dead.put(draft("dead", "of a dead writer", "acme/label:staff"))
    publication = world.ground.moment().publication
    dead._batch.keep_keys()
    world.ground.tables.write(publication.versions, dead._batch.changes(publication.versions))
    dead._lease.__exit__(None, None, None)

    trusting = world.second()
    trusting.ground.tables = Trusting(
        world.path / "lance", world.ground.tables.mode, world.path / "temporary"
    )
    trusting.put(draft("next", "of the next", "acme/label:staff"))
    if forgets:
        with pytest.raises(StoreCorrupt, match="no key for its document"):
            world.see("acme/user:hal")
    else:
        assert world.see("acme/user:hal").texts == ("of a dead writer", "of the next")


def test_opening_a_store_after_a_crash_reads_and_mends_nothing(world: World, instants: int) -> None:
    """No replay, no check at start: what the dead writer left stays until somebody writes."""
    world.door.close()
    with process("die", world.folder, str(instants // 2), "0") as writer:
        writer.hear_out()
    before = {path: path.stat().st_mtime_ns for path in (world.path / "lance").rglob("*")}
    after = open_world(world.folder)
    seen(after)
    assert {path: path.stat().st_mtime_ns for path in (world.path / "lance").rglob("*")} == before
