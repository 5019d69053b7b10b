"""The handle `as_of` is equal for equal readable labels and rows, and nothing hidden moves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.labels import NamedLabel

from .worlds import FOLDER, WHY, Seen, World, draft, label, make_world, sha256, subject

HAL, BOB = "acme/user:hal", "acme/user:bob"
SECRET = SourceIdentity("file:///srv/secret", "folder")


def test_twins_that_differ_in_hidden_data_alone_give_equal_answers(tmp_path: Path) -> None:
    """The same seed gives the reader's rows the same ids; the second store holds more that he may not read."""

    def shared(world: World) -> None:
        world.put(
            draft("a.txt", "for everybody\nsecond line", "acme/label:staff"),
            draft("b.txt", "hal alone", label("acme/user:hal")),
        )

    def hidden(world: World, round_: int) -> None:
        texts = [f"secret {round_} {n}" for n in range(3)]
        labels = [label(f"acme/user:s{n}") for n in range(2)]
        world.put(*(draft(f"{n}.txt", text, labels[n % 2]) for n, text in enumerate(texts)), source=SECRET)
        world.add("g", f"acme/user:x{round_}", "acme/group:sales")

    twins = [make_world(tmp_path / name, seed="twin") for name in ("one", "two")]
    hidden(twins[1], 0)
    for world in twins:
        shared(world)
    hidden(twins[1], 1)
    seen: list[Seen] = [world.see(HAL) for world in twins]
    assert seen[0] == seen[1]
    assert seen[0].paths == ("a.txt", "b.txt")
    assert twins[0].ground.moment().sequence != twins[1].ground.moment().sequence
    document = seen[0].documents[0]
    answers = [world.door.why(subject(HAL), document) for world in twins]
    assert answers[0] == answers[1]
    statuses = [world.door.status(subject(HAL)) for world in twins]
    assert statuses[0] == statuses[1]


HIDDEN: dict[str, Callable[[World], object]] = {
    "ingest": lambda world: world.put(draft("more.txt", "hidden", "acme/label:payroll")),
    "ingest of a new label": lambda world: world.put(draft("more.txt", "hidden", label("acme/user:zoe"))),
    "change": lambda world: world.put(draft("ann.txt", "another note", label("acme/user:ann"))),
    "relabel": lambda world: relabel(world, "ann.txt", label("acme/user:ann", level=3)),
    "removal": lambda world: remove(world, "pay/salaries.txt"),
    "grant": lambda world: world.add("g", "acme/user:eve", "acme/group:hr"),
    "definition": lambda world: world.door.define_label(
        subject("acme/user:ada"), NamedLabel("acme/label:new", label()), WHY
    ),
    "other tenant": lambda world: world.put(
        draft("more.txt", "hidden", "borealis/label:plans"), who="borealis/user:bo"
    ),
    "reads": lambda world: world.see(HAL),
    "time": lambda world: world.clock.advance(86_400),
    "reopening": lambda world: world.reopened(),
}


def relabel(world: World, path: str, choice: object) -> None:
    with world.ingestion() as ingestion:
        assert ingestion.relabel(path, choice)  # type: ignore[arg-type]


def remove(world: World, path: str) -> None:
    with world.ingestion() as ingestion:
        assert ingestion.remove(path)


@pytest.mark.parametrize("what", HIDDEN)
def test_what_is_hidden_does_not_move_it(filled: World, what: str) -> None:
    before = filled.see(BOB)
    HIDDEN[what](filled)
    world = filled.second() if what == "reopening" else filled
    assert world.see(BOB) == before


READABLE: dict[str, Callable[[World], object]] = {
    "ingest": lambda world: world.put(draft("more.txt", "readable", "acme/label:project")),
    "change": lambda world: world.put(draft("project.txt", "the better offer", "acme/label:project")),
    "removal": lambda world: remove(world, "project.txt"),
    "relabel": lambda world: relabel(world, "project.txt", label("acme/user:dora", "acme/user:bob")),
    "grant": lambda world: world.add("g", BOB, "acme/group:hr"),
}


@pytest.mark.parametrize("what", READABLE)
def test_what_is_readable_moves_it(filled: World, what: str) -> None:
    if what == "relabel":
        filled.add("p", "acme/user:ada", "acme", "*", "declassify", "any", "*", "-", "-", "allow")
    before = filled.see(BOB)
    READABLE[what](filled)
    assert filled.see(BOB).as_of != before.as_of


def test_the_same_words_under_the_same_path_and_id_written_anew_move_it(filled: World) -> None:
    """A row is its document and the run that wrote it; else a change back and forth would go unseen."""
    before = filled.see(BOB)
    filled.put(draft("project.txt", "the offer to meridian", "acme/label:project"))
    after = filled.see(BOB)
    assert (after.documents, after.texts) == (before.documents, before.texts)
    assert after.as_of != before.as_of


def test_an_unknown_subject_and_one_without_rights_have_the_same(filled: World) -> None:
    filled.add("g", "acme/user:new", "acme/group:empty")
    filled.remove("g", "acme/user:new", "acme/group:empty")
    handles = {filled.see(who).as_of for who in ("acme/user:nobody", "acme/user:new", "borealis/user:x")}
    assert len(handles) == 1
    assert handles != {filled.see(HAL).as_of}


def test_two_readers_of_the_same_rows_have_the_same(filled: World) -> None:
    assert filled.see("acme/user:ada").as_of == filled.see("acme/user:olga").as_of


def test_it_is_no_digest_that_anybody_could_compute(tmp_path: Path) -> None:
    """Without the store's key, whoever knows ids and labels cannot tell what a handle is of."""
    one, two = make_world(tmp_path / "one"), make_world(tmp_path / "two")
    assert one.see(HAL).as_of != two.see(HAL).as_of
    assert len(one.see(HAL).as_of) == 32
    assert sha256("")[:32] != one.see(HAL).as_of


def test_it_does_not_depend_on_the_order_in_which_labels_were_interned(tmp_path: Path) -> None:
    """An atom is a number of the store: how many labels came before is hidden data."""
    first, second = label("acme/user:hal", level=0), label("acme/user:hal", "acme/user:bob")
    worlds = [make_world(tmp_path / name, seed="order") for name in ("one", "two")]
    for world, labels in zip(worlds, [(first, second), (second, first)], strict=True):
        for choice in labels:
            world.put(draft("x", "makes an atom", choice), source=SECRET, who="acme/user:dex")
        with world.ingestion("acme/user:dex", SECRET) as ingestion:
            ingestion.remove("x")
        with world.ingestion(source=FOLDER) as ingestion:
            for number, choice in enumerate((first, second)):
                ingestion.put(draft(f"{number}.txt", f"text {number}", choice))
    tables = [world.ground.moment().table.by_value for world in worlds]
    assert tables[0][first].atom == tables[1][second].atom
    assert worlds[0].see(HAL) == worlds[1].see(HAL)
