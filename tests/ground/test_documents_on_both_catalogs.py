"""Erasing, relabelling and compacting keep what they promise, whichever database keeps the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence_governance.errors import Refused, WriteRefused

from .catalogs import rows
from .worlds import ADMIN, WHY, World, draft, label, make_world, subject

DEX, ANN = "acme/user:dex", "acme/user:ann"
SHARED, OWN = label(DEX, ANN), label(DEX)


@pytest.fixture
def kept(catalog_url: str | None, tmp_path: Path) -> Iterator[World]:
    """A store where Dex wrote a document that Ann may read, and another one made from it."""
    world = make_world(tmp_path / "world", catalog=catalog_url)
    world.put(draft("one.txt", "a pump", SHARED), who=DEX)
    parent = world.see(ANN).ids["one.txt"]
    world.put(draft("made.txt", "made of a pump", SHARED, parents=(parent,)), who=DEX)
    yield world
    world.door.close()


def test_an_erased_document_and_what_was_made_from_it_are_gone_for_every_door(
    kept: World, catalog_url: str | None
) -> None:
    other = kept.second()
    parent, made = (other.see(ANN).ids[path] for path in ("one.txt", "made.txt"))
    (certificate,) = kept.door.erase(subject(DEX), [parent], WHY)
    assert certificate["clean"]
    # What the certificate did not look at it says: the files of a server.
    assert len(certificate["not_looked_at"]) == (catalog_url is not None)
    assert other.see(ANN).texts == ()
    assert rows(kept, "SELECT document_id FROM manifest") == []
    ((documents,),) = rows(kept, "SELECT documents FROM erasures WHERE certificate IS NOT NULL")
    assert parent in documents
    assert made in documents
    other.door.close()
    again = kept.second()
    assert again.see(ANN).texts == ()
    again.door.close()


def test_a_raised_label_reaches_what_was_made_from_it_for_every_door(kept: World) -> None:
    other = kept.second()
    parent, made = (other.see(ANN).ids[path] for path in ("one.txt", "made.txt"))
    assert kept.door.relabel(subject(DEX), parent, OWN, WHY)["changed"]
    assert other.see(ANN).texts == ()
    assert sorted(other.see(DEX).texts) == ["a pump", "made of a pump"]
    moved = [entry for entry in kept.ground.history() if entry.change.kind == "relabelled"]
    assert {entry.change.relabelling.document_id for entry in moved if entry.change.relabelling} == {
        parent,
        made,
    }
    assert {(entry.who, entry.why) for entry in moved} == {(DEX, WHY.why)}
    other.door.close()


def test_a_lower_label_needs_the_right_to_declassify(kept: World) -> None:
    parent = kept.see(ANN).ids["one.txt"]
    kept.door.relabel(subject(DEX), parent, OWN, WHY)
    right = ("p", DEX, "acme", "*", "declassify", "any", "*", "-", "-", "allow")
    assert kept.remove(*right)
    with pytest.raises((Refused, WriteRefused), match="lower") as refused:
        kept.door.relabel(subject(DEX), parent, SHARED, WHY)
    assert "'declassify'" in refused.value.hint
    assert kept.see(ANN).texts == ()
    assert kept.add(*right)
    assert kept.door.relabel(subject(DEX), parent, SHARED, WHY)["changed"]
    assert "a pump" in kept.see(ANN).texts


def test_compacting_changes_nobodys_answer(kept: World) -> None:
    before = kept.see(ANN)
    kept.door.compact(subject(ADMIN))
    assert (kept.see(ANN).texts, kept.see(ANN).ids) == (before.texts, before.ids)
