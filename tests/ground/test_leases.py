"""One writer at a time; a dead one holds nobody up; one that lost its place publishes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

from ringfence_governance import leases
from ringfence_governance.errors import StoreBusy, StoreError, WriterExpelled
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import TableChange, Versions

from .worlds import World, database, draft, files_of_at_most

HAL = "acme/user:hal"


def lease(world: World) -> dict[str, object]:
    with database(world.path / "catalog.db") as opened:
        cursor = opened.execute("SELECT number, host, process, expires_at FROM leases")
        (row,) = cursor.fetchall()
        return dict(zip(("number", "host", "process", "expires_at"), row, strict=True))


def pretend(world: World, **fields: object) -> None:
    """Let the lease say that somebody else holds it."""
    with database(world.path / "catalog.db") as opened:
        for name, value in fields.items():
            opened.execute(f"UPDATE leases SET {name} = ?", [value])


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child.wait()
    return child.pid


def test_a_second_writer_is_told_to_wait(world: World) -> None:
    with world.ingestion():
        other = world.second()
        with pytest.raises(StoreBusy, match="another ingest") as caught:
            other.put(draft("b.txt", "late"))
        assert "try again when it is done" in caught.value.hint
    other.put(draft("b.txt", "in time"))
    assert world.see(HAL).texts == ("in time",)


def test_a_second_writer_of_the_same_open_store_is_told_to_wait(world: World) -> None:
    with world.ingestion(), pytest.raises(StoreBusy):
        world.put(draft("b.txt", "late"))


def test_a_refused_second_writer_takes_nothing_from_the_first(world: World) -> None:
    with world.ingestion() as first:
        first.put(draft("a.txt", "first"))
        with pytest.raises(StoreBusy):
            world.second().put(draft("b.txt", "second"))
        first.publish()
        first.put(draft("c.txt", "more"))
    assert world.see(HAL).paths == ("a.txt", "c.txt")


def test_the_number_rises_with_every_writer_and_stands_in_its_publication(world: World) -> None:
    for name in "abc":
        world.put(draft(name, name))
    with database(world.path / "catalog.db") as opened:
        numbers = [number for (number,) in opened.execute("SELECT lease FROM publications ORDER BY sequence")]
    assert numbers == [0, 1, 2, 3]
    assert lease(world)["number"] == 3


def test_a_dry_run_takes_no_lease(world: World) -> None:
    with world.ingestion(), world.ingestion(dry_run=True) as dry:
        assert dry.put(draft("a.txt", "first")) == ""


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(world: World) -> None:
    world.put(draft("a.txt", "first"))
    pretend(world, process=dead_process(), expires_at="9999-01-01T00:00:00Z")
    world.put(draft("b.txt", "second"))
    assert lease(world)["number"] == 2


def test_the_lease_of_a_living_process_is_not_taken(world: World) -> None:
    world.put(draft("a.txt", "first"))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pretend(world, process=child.pid, expires_at="9999-01-01T00:00:00Z")
        with pytest.raises(StoreBusy):
            world.put(draft("b.txt", "second"))


def test_the_lease_of_another_machine_is_waited_for_until_it_expires(world: World) -> None:
    world.put(draft("a.txt", "first"))
    pretend(world, host="elsewhere", process=dead_process(), expires_at="2026-06-01T00:10:00Z")
    with pytest.raises(StoreBusy):
        world.put(draft("b.txt", "second"))
    world.clock.advance(600)
    world.put(draft("b.txt", "second"))
    assert lease(world)["number"] == 2


def test_a_lease_is_renewed_while_it_is_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    with world.ingestion() as ingestion:
        before = lease(world)
        world.clock.advance(300)
        while lease(world)["expires_at"] == before["expires_at"]:
            pass
        assert lease(world)["number"] == before["number"]
        ingestion.put(draft("a.txt", "long run"))
    assert lease(world)["expires_at"] == ""


def expire(world: World) -> None:
    """Let a writer on another machine find this one's lease expired."""
    pretend(world, host="elsewhere")
    world.clock.advance(leases.LEASE_S + 1)


@pytest.mark.parametrize("wrote", [True, False], ids=["after it wrote", "before it wrote"])
def test_a_woken_writer_whose_lease_was_taken_publishes_nothing(world: World, wrote: bool) -> None:
    old = world.ingestion().__enter__()
    old.put(draft("old.txt", "from before the pause"))
    expire(world)
    if wrote:
        world.second().put(draft("new.txt", "from after it"))
    else:
        world.second().ingestion().__enter__()
    old.put(draft("more.txt", "still asleep"))
    with pytest.raises(WriterExpelled, match="took this one's place") as caught:
        old.__exit__(None, None, None)
    assert caught.value.hint == "run the command again"
    assert world.see(HAL).paths == (("new.txt",) if wrote else ())


def test_a_woken_writer_changes_no_table(world: World) -> None:
    old = world.ingestion().__enter__()
    old.put(draft("old.txt", "from before the pause"))
    expire(world)
    world.second().put(draft("new.txt", "from after it"))
    files = sorted((world.path / "lance").rglob("*"))
    with pytest.raises(WriterExpelled):
        old.__exit__(None, None, None)
    assert sorted((world.path / "lance").rglob("*")) == files


def test_a_writer_expelled_between_its_tables_and_its_publication_publishes_nothing(world: World) -> None:
    """The pause comes at the worst instant: the tables are written, the transaction is not yet begun."""

    class Pausing(LanceTables):
        def write(self, published: Versions, changes: Mapping[str, TableChange]) -> Versions:
            versions = super().write(published, changes)
            expire(world)
            world.second().put(draft("new.txt", "from after it"))
            return versions

    old = world.ingestion().__enter__()
    old.put(draft("old.txt", "from before the pause"))
    world.ground.tables = Pausing(world.path / "lance", world.ground.tables.mode, world.path / "temporary")
    with pytest.raises(WriterExpelled):
        old.__exit__(None, None, None)
    assert world.see(HAL).paths == ("new.txt",)
    again = world.reopened()
    again.put(draft("next.txt", "and the one after"))
    assert again.see(HAL).paths == ("new.txt", "next.txt")


def test_a_clock_set_back_does_not_give_the_lease_away(world: World) -> None:
    """Time is the later of the wall clock and the newest entry: the lease is not expired when it is taken."""
    world.clock.advance(7200)
    world.put(draft("a.txt", "first"))
    world.clock.advance(-3600)
    with world.ingestion():
        pretend(world, host="elsewhere")
        with pytest.raises(StoreBusy):
            world.second().put(draft("b.txt", "second"))


def test_a_lease_that_could_not_be_given_back_holds_up_nobody_of_the_same_process(world: World) -> None:
    with pytest.raises(StoreError), files_of_at_most(0), world.ingestion():
        pytest.fail("the lease could be taken on a full disk")
    ingestion = world.ingestion()
    ingestion.__enter__()
    ingestion.put(draft("a.txt", "first"))
    with pytest.raises(StoreError), files_of_at_most(0):
        ingestion.__exit__(None, None, None)
    assert str(lease(world)["expires_at"]) > "2026"
    world.put(draft("b.txt", "second"))
    assert world.see(HAL).paths == ("b.txt",)


def test_it_is_given_back_when_the_run_fails(world: World) -> None:
    ingestion = world.ingestion().__enter__()
    ingestion.put(draft("a.txt", "first"))
    ingestion.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert lease(world)["expires_at"] == ""
    assert world.see(HAL).paths == ()
