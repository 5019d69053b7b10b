"""Questions asked together get what each gets alone, as of one moment, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringfence import field
from ringfence.reader import Reader
from ringfence_governance import row_map
from ringfence_governance.errors import InvalidInput
from ringfence_governance.ground import Ground
from ringfence_governance.readable_rows import ReadableRows
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.search import QUESTIONS_MAX, search, search_many

from .stocked_world import BOB, HAL, NOBODY, stocked_world
from .worlds import World, copy_world, subject, vector

QUERIES = ["pump leak", "rotor", "nothing of the sort", "pump leak", "seal of the shaft"]


@pytest.fixture(scope="module")
def stocked(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    template = stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))
    world = copy_world(template, tmp_path_factory.mktemp("world") / "world")
    yield world
    world.door.close()


def agree(world: World, who: str) -> None:
    asked = [Question(query, 5, mode) for query in QUERIES for mode in MODES]
    asked += [Question("pump", 3, where=field("size") > 60, group_by="document", facets=["media_type"])]
    alone = [search(world.door, subject(who), each, vector) for each in asked]
    assert list(search_many(world.door, subject(who), asked, vector)) == alone
    behind = [
        Question(each.text, 4, each.mode, cursor=result.cursor)
        for each, result in zip(asked[:-1], alone, strict=False)
        if result.cursor
    ]
    if behind:
        expected = [search(world.door, subject(who), each, vector) for each in behind]
        assert list(search_many(world.door, subject(who), behind, vector)) == expected


def test_together_they_get_what_each_gets_alone(stocked: World) -> None:
    for who in (HAL, BOB, NOBODY):
        agree(stocked, who)


def test_together_they_get_it_with_one_grant_and_rows_are_gone_through_once(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_map, "PART_ROWS_MAX", 7)
    # The parts of fragments that were looked at are known.
    monkeypatch.setattr(stocked.ground.tables, "_map", row_map.RowMap())
    before = stocked.ground.resident.budget
    search(stocked.door, subject(HAL), Question("pump"), vector)
    stocked.ground.resident.limit(stocked.ground.resident.size // 4)
    try:
        agree(stocked, BOB)
        counted = {"grants": 0, "passes": 0}
        granted, made = Ground.grant, ReadableRows.__init__

        def grant(*arguments: Any, **settings: Any) -> Any:
            counted["grants"] += 1
            return granted(*arguments, **settings)

        def make(*arguments: Any) -> None:
            counted["passes"] += 1
            made(*arguments)

        monkeypatch.setattr(Ground, "grant", grant)
        monkeypatch.setattr(ReadableRows, "__init__", make)
        search(stocked.door, subject(BOB), Question("pump", exact=True), vector)
        alone = dict(counted)
        counted.update(grants=0, passes=0)
        search_many(stocked.door, subject(BOB), [Question(query, exact=True) for query in QUERIES], vector)
        assert counted == alone
        assert alone["passes"] > 1
    finally:
        stocked.ground.resident.limit(before)


@pytest.mark.parametrize("queries", [[], ["pump"] * (QUESTIONS_MAX + 1), "pump", b"pump", 3, None])
def test_none_too_many_and_what_is_no_list_are_refused(queries: Any, stocked: World) -> None:
    with pytest.raises(InvalidInput, match="queries"):
        Reader(stocked.door, subject(HAL), vector).search_many(queries)


def test_one_bad_question_is_refused_with_all(stocked: World, tmp_path: Path) -> None:
    reader = Reader(stocked.door, subject(HAL), vector)
    with pytest.raises(InvalidInput, match="query"):
        reader.search_many(["pump", " "])
    asked = [Question("pump"), Question("pump", cursor="AAAA")]
    with pytest.raises(InvalidInput, match="cursor"):
        search_many(stocked.door, subject(HAL), asked, vector)
