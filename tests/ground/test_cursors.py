"""The pages of an answer are the whole of it, for who got them and for nobody else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringfence import field
from ringfence_governance import cursors
from ringfence_governance.errors import InvalidInput
from ringfence_governance.subjects import Subject
from ringfence_retrieval import plans
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.results import SearchResult
from ringfence_retrieval.search import search

from .stocked_world import BOB, HAL, ask, stocked_world
from .worlds import World, copy_world, draft, make_world, subject, vector

WHERE = field("media_type") == "text/markdown"


@pytest.fixture(scope="module")
def template_of_pages(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))


@pytest.fixture
def stocked(template_of_pages: World, tmp_path: Path) -> Iterator[World]:
    world = copy_world(template_of_pages, tmp_path / "world")
    yield world
    world.door.close()


@pytest.fixture(scope="module")
def shared(template_of_pages: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One that no test changes."""
    world = copy_world(template_of_pages, tmp_path_factory.mktemp("shared") / "world")
    yield world
    world.door.close()


def pages(world: World, who: str, mode: str, sizes: tuple[int, ...], **more: Any) -> list[SearchResult]:
    found = [ask(world, who, mode, sizes[0], **more)]
    while found[-1].cursor is not None:
        size = sizes[len(found) % len(sizes)]
        found.append(ask(world, who, mode, size, cursor=found[-1].cursor, **more))
    return found


@pytest.mark.parametrize("every_row_max", [plans.EVERY_ROW_MAX, 10])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "more", [{}, {"where": WHERE}, {"group_by": "document"}, {"min_score": 0.01}], ids=str
)
def test_the_pages_together_are_the_whole_answer(
    mode: str, more: dict[str, Any], every_row_max: int, shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "EVERY_ROW_MAX", every_row_max)
    for who in (HAL, BOB):
        whole = ask(shared, who, mode, **more)
        assert whole.cursor is None
        assert len(whole) > 7
        found = pages(shared, who, mode, (7, 50, 1), **more)
        assert [hit for page in found for hit in page] == list(whole)
        assert {(page.matching, page.readable) for page in found} == {(whole.matching, whole.readable)}
        exactly = ask(shared, who, mode, len(whole), **more)
        assert exactly.cursor is None
        assert ask(shared, who, mode, len(whole) - 1, **more).cursor is not None


def test_a_cursor_lives_through_what_does_not_change_its_readers_rows(stocked: World) -> None:
    first = ask(stocked, BOB, "hybrid", 5)
    second = ask(stocked, BOB, "hybrid", 5, cursor=first.cursor)
    stocked.put(draft("more.txt", "the pump of payroll leaks", "acme/label:payroll"), who="acme/user:dex")
    stocked.put(draft("else.txt", "a pump in borealis", "borealis/label:plans"), who="borealis/user:bo")
    stocked.door.compact(subject("acme/user:ada"))
    again = stocked.reopened()
    assert list(ask(again, BOB, "hybrid", 5, cursor=first.cursor)) == list(second)
    again.door.close()


def test_a_cursor_ends_with_what_its_reader_may_read_and_says_so(stocked: World) -> None:
    cursor = ask(stocked, BOB, "hybrid", 5).cursor
    stocked.put(draft("own.txt", "a pump for the staff", "acme/label:staff"), who="acme/user:dex")
    with pytest.raises(InvalidInput, match="changed since"):
        ask(stocked, BOB, "hybrid", 5, cursor=cursor)


def refusal(world: World, who: Subject, question: Question) -> str:
    with pytest.raises(InvalidInput) as told:
        search(world.door, who, question, vector)
    return str(told.value)


def test_a_cursor_that_is_refused_leaves_a_record_of_no_row(stocked: World) -> None:
    cursor = ask(stocked, BOB, "hybrid", 5).cursor
    before = len(stocked.records())
    refusal(stocked, subject(HAL), Question("pump", 5, cursor=cursor))
    (record,) = stocked.records()[before:]
    assert (record["chain"][0]["actor"], record["verb"], record["outcome"]) == (HAL, "search", "error")
    assert (record["rows"], record["detail"]) == ([], {"error": "InvalidInput"})


def test_a_cursor_of_somebody_else_or_of_another_question_and_one_that_is_none_are_one_answer(
    shared: World, tmp_path: Path
) -> None:
    text = "pump leak of the rotor"
    cursor = ask(shared, HAL, "hybrid", 5).cursor
    assert cursor is not None
    told = {
        refusal(shared, who, Question(text, 5, cursor=cursor))
        for who in (
            subject(BOB),
            subject("acme/user:nobody"),
            subject("borealis/user:bo"),
            Subject(HAL, ("acme/agent:x",)),
            Subject(HAL, (), "audit"),
        )
    }
    others: list[dict[str, Any]] = [
        {"mode": "text"},
        {"language": "german"},
        {"where": WHERE},
        {"since": "2026-01-01T00:00:00Z"},
        {"min_score": 0.0},
        {"group_by": "document"},
    ]
    told |= {refusal(shared, subject(HAL), Question(text, 5, cursor=cursor, **other)) for other in others}
    told |= {refusal(shared, subject(HAL), Question("pump", 5, cursor=cursor))}
    another = make_world(tmp_path / "another")
    told |= {refusal(another, subject(HAL), Question(text, 5, cursor=cursor))}
    another.door.close()
    for wrong in (
        "",
        "AAAA",
        "=",
        cursor + "=",
        f" {cursor}",
        cursor + "\n",
        cursor[:-4],
        cursor + "AAAA",
        "?" * 75,
    ):
        told |= {refusal(shared, subject(HAL), Question(text, 5, cursor=wrong))}
    assert len(told) == 1
    assert "given to you for this question" in told.pop()


def test_a_cursor_with_any_bit_changed_is_refused(shared: World) -> None:
    cursor = ask(shared, HAL, "text", 5).cursor
    assert cursor is not None
    raw = base64.urlsafe_b64decode(cursor + "=")
    told = set()
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        made = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        told |= {refusal(shared, subject(HAL), Question("pump leak of the rotor", 5, "text", cursor=made))}
    assert len(told) == 1
    # The last digit of a text stands for fewer bits than it has: of its neighbours, none is taken for it.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for digit in set(last) - {cursor[-1]}:
        wrong = Question("pump leak of the rotor", 5, "text", cursor=cursor[:-1] + digit)
        told |= {refusal(shared, subject(HAL), wrong)}
    assert len(told) == 1


def test_a_cursor_holds_a_place_and_digests_and_is_the_same_each_time(shared: World) -> None:
    result = ask(shared, HAL, "text", 5)
    raw = base64.urlsafe_b64decode(f"{result.cursor}=")
    assert raw[: cursors.START_BYTES] == (5).to_bytes(8, "big")
    assert len(raw) == cursors.START_BYTES + cursors.AS_OF_BYTES + cursors.SEAL_BYTES
    assert ask(shared, HAL, "text", 5).cursor == result.cursor


@pytest.mark.parametrize("wrong", [3, b"AAAA", "é", "A" * 257])
def test_what_is_no_text_of_a_cursor_is_no_question(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        Question("pump", cursor=wrong)
