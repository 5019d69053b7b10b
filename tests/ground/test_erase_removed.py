"""A document that was removed is erased by its id like one that is there, and by nobody who might not have."""

from __future__ import annotations

import pytest

from ringfence_governance import erasure_ledger
from ringfence_governance.errors import NotReadable, Refused

from .test_erasure import DEX, chunks_of, erase, files_with, ids_remain_only_where_they_may, sealed_cells
from .worlds import WHY, World, draft, subject

BO, BEA = "borealis/user:bo", "borealis/user:bea"


def removed(world: World, path: str, who: str = DEX) -> None:
    with world.ingestion(who) as ingestion:
        assert ingestion.remove(path)


def test_all_that_older_versions_hold_of_it_goes(world: World) -> None:
    (gone,) = world.put(draft("a.txt", "the secret\nof two lines", "acme/label:staff"), who=DEX)
    world.put(draft("b.txt", "stays", "acme/label:staff"), who=DEX)
    passages = chunks_of(world, gone)
    removed(world, "a.txt")
    cells = sealed_cells(world, gone)
    assert cells
    assert all(files_with(cell, world.path) for cell in cells)
    world = world.reopened()
    certificate = world.door.erase(subject(DEX), [gone], WHY)[0]
    assert certificate["clean"]
    assert not [cell for cell in cells if files_with(cell, world.path)]
    for each in (gone, *passages):
        ids_remain_only_where_they_may(world, each)
    # Each of its passages was looked for, though no row of now has them.
    with world.ground.catalog.read() as connection:
        (entry,) = erasure_ledger.entries(connection)
    assert set(passages) <= set(entry.told(world.ground.catalog)["rows"])
    assert world.see("acme/user:bob").texts == ("stays",)


def test_what_was_made_from_it_through_it_goes_too(world: World) -> None:
    (source,) = world.put(draft("a", "a source", "acme/label:staff"), who=DEX)
    (made,) = world.put(
        draft("b", "made of it", "acme/label:staff", parents=[chunks_of(world, source)[0]]), who=DEX
    )
    removed(world, "a")
    assert world.see("acme/user:bob").documents == (made,)
    assert erase(world, source)["documents"] == [source]
    assert world.see("acme/user:bob").documents == ()
    assert world.ground.moment().erased == {source, made}


def test_who_ingested_it_may_and_others_may_as_while_it_was_there(world: World) -> None:
    (plans,) = world.put(draft("p", "of Borealis", "borealis/label:plans"), who=BO)
    removed(world, "p", BO)
    with pytest.raises(NotReadable):
        erase(world, plans, who=DEX)
    with pytest.raises(Refused):
        erase(world, plans, who=BEA)
    world.add("p", BO, "borealis", "*", "delete", "any", "*", "-", "-", "deny", who=BEA)
    with pytest.raises(Refused):
        erase(world, plans, who=BO)
    world.remove("p", BO, "borealis", "*", "delete", "any", "*", "-", "-", "deny", who=BEA)
    assert erase(world, plans, who=BO)["clean"]


@pytest.mark.parametrize("later", ["written", "relabelled"])
def test_it_goes_by_the_label_it_had_last(world: World, later: str) -> None:
    world.add("p", "acme/user:pam", "acme", "acme/label:staff", "delete", "any", "*", "-", "-", "allow")
    (gone,) = world.put(draft("a", "for all", "acme/label:staff"), who=DEX)
    if later == "written":
        world.put(draft("a", "for few", "acme/label:payroll"), who=DEX)
    else:
        with world.ingestion(DEX) as ingestion:
            assert ingestion.relabel("a", "acme/label:payroll")
    removed(world, "a")
    with pytest.raises(NotReadable):
        erase(world, gone, who="acme/user:pam")
    assert erase(world, gone)["clean"]
