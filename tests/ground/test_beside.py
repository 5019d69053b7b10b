"""Two processes write and four read, for ten minutes: nobody's work is lost, and no reader meets an error or a half."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from .beside import PEOPLE, STRANGER, WRITERS, look, number_seen, state_after, view
from .worlds import World, open_world, process

SOAK_S, SHORT_S = 600, 8


def work_beside(world: World, seconds: int) -> list[dict[str, object]]:
    """Let all work for so long and hold the end against what they said; return what they said."""
    world.door.close()
    parts = [("write", writer) for writer in WRITERS] + [("read", who) for who in PEOPLE]
    with ExitStack() as stack:
        talks = [
            stack.enter_context(process("beside", world.folder, part, who, str(seconds)))
            for part, who in parts
        ]
        for talk in talks:
            assert talk.hear() == {"ready": True}
        for talk in talks:
            talk.tell()
        said = [talk.hear() for talk in talks]
    print(json.dumps(said, indent=1))
    writers, readers = said[: len(WRITERS)], said[len(WRITERS) :]
    assert [reader["wrong"] for reader in readers] == [[]] * len(PEOPLE)
    assert all(reader["reads"] for reader in readers)
    hold_the_end(world.folder, {str(one["writer"]): int(one["published"]) for one in writers})
    return said


def hold_the_end(folder: Path, published: dict[str, int]) -> None:
    """Each writer's every document is there, under the label it was last given, and nothing else is."""
    after = open_world(folder)
    assert min(published.values()) > 1, "one of the writers never came to write"
    for who in PEOPLE:
        seen = look(after.door, who)
        expected = {}
        for writer, number in published.items():
            expected |= view(writer, number, who)
        assert seen == expected
    after.door.close()


def test_nothing_is_lost_and_nothing_half_is_read_while_two_write_and_four_read(world: World) -> None:
    work_beside(world, SHORT_S)


@pytest.mark.soak
def test_it_is_so_for_ten_minutes(world: World) -> None:
    said = work_beside(world, SOAK_S)
    for reader in said[len(WRITERS) :]:
        assert reader["who"] == STRANGER or all(number > 0 for number in reader["seen"].values()), reader


def test_a_reader_would_notice_a_half_a_loss_and_a_stale_label() -> None:
    """What the readers hold against the line: each of these is no publication."""
    who = "acme/user:r0"
    whole = view("w0", 4, who)
    assert number_seen("w0", who, whole) == 4
    assert number_seen("w0", who, {}) == 0
    lost = {path: text for path, text in whole.items() if path != "w0/kept 2"}
    stale = {**whole, "w0/b": "b of 4\nand more of 4"}
    unmoved = {path: text for path, text in whole.items() if path != "w0/moved"}
    half = {**whole, "w0/a": "a of 4\nand more of 3"}
    cut = {**whole, "w0/a": "a of 4\n"}
    early = {**whole, "w0/kept 6": state_after("w0", 6)["w0/kept 6"][0]}
    for wrong in (lost, stale, unmoved, half, cut, early):
        with pytest.raises(AssertionError, match="sees no publication"):
            number_seen("w0", who, wrong)
