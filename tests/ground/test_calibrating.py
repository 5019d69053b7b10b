"""Calibrating sets how questions are answered, by who may, and changes no answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringfence.reader import Reader
from ringfence_governance import thresholds, vector_scan
from ringfence_governance.errors import InvalidInput, Refused, StoreCorrupt
from ringfence_governance.policy_changes import Reasoned
from ringfence_retrieval import calibration

from .policy_files import HAL, OWN, OWN_LABELS, STAFF
from .worlds import (
    ADMIN,
    World,
    bundle,
    copy_world,
    database,
    draft,
    make_world,
    open_world,
    subject,
    vector,
)

WHY = Reasoned("a test asks for it")


@pytest.fixture(scope="module")
def many(alone_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A store of one tenant, with more passages than are scored outright at the least."""
    world = copy_world(alone_template, tmp_path_factory.mktemp("many") / "world")
    world.put(draft("many.txt", "\n".join(f"a pump and leak {number}" for number in range(300)), STAFF))
    world.door.close()
    return world


@pytest.fixture
def world(many: World, tmp_path: Path) -> Iterator[World]:
    world = copy_world(many, tmp_path / "world")
    yield world
    world.door.close()


def asked(world: World) -> dict[str, Any]:
    found = Reader(world.door, subject(HAL), vector).search("pump leak", 3, "vector", explain=True)
    return {**(found.plan or {}), "hits": [(hit.id, hit.score) for hit in found]}


def calibrate(world: World, found: int, who: str = ADMIN) -> dict[str, Any]:
    return world.door.calibrate(subject(who), lambda dimensions: (found, [dimensions]), WHY)


def test_what_was_measured_decides_from_the_next_question_on_and_changes_no_answer(world: World) -> None:
    before = asked(world)
    assert (before["name"], before["thresholds"]["every_row_max"]) == ("every row", 1024)
    assert 256 < before["rows"] < 512
    beside = world.second()
    for found, last in ((128, None), (512, 128), (256, 512)):
        done = calibrate(world, found)
        assert done == {"every_row_max": found, "before": last, "measured": [8]}
        for each in (world, beside):
            after = asked(each)
            assert after["thresholds"]["every_row_max"] == found
            assert after["name"] == ("every row" if after["rows"] <= found else "estimate first")
            assert after["hits"] == before["hits"]
    beside.door.close()
    assert world.ground.resident.size > 0
    world.door.close()
    again = open_world(world.folder, world.clock)
    assert asked(again)["thresholds"]["every_row_max"] == 256
    again.door.close()


def test_only_who_may_administer_every_tenant_sets_it_and_nothing_is_measured_for_others(
    filled: World,
) -> None:
    measured: list[int] = []

    def measure(dimensions: int) -> tuple[int, Any]:
        measured.append(dimensions)
        return 128, None

    for who in (ADMIN, HAL):
        with pytest.raises(Refused, match="may not administer every tenant"):
            filled.door.calibrate(subject(who), measure, WHY)
    assert measured == []
    assert filled.ground.moment().every_row_max is None
    assert {each["outcome"] for each in filled.records()[-2:]} == {"refused"}


def test_its_record_is_there_before_it_is_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, seen = thresholds.keep, []

    def keep(*arguments: Any) -> None:
        seen.append(world.records()[-1])
        honest(*arguments)

    monkeypatch.setattr(thresholds, "keep", keep)
    calibrate(world, 512)
    (record,) = seen
    assert (record["verb"], record["action"], record["outcome"]) == ("calibrate", "administer", "allowed")
    assert record["detail"] == {"every_row_max": 512, "before": None, "why": WHY.why, "ticket": ""}


def test_who_can_write_the_files_can_take_it_away_and_make_no_other(world: World) -> None:
    calibrate(world, 128)
    path = world.path / "catalog.db"
    world.door.close()
    with database(path) as catalog:
        (kept,) = catalog.execute("SELECT value FROM meta WHERE name = 'thresholds'").fetchone()
    assert "128" not in kept
    for forged in ("128", kept[:-4] + "AAA=", "", kept.swapcase()):
        with database(path) as catalog:
            catalog.execute("UPDATE meta SET value = ? WHERE name = 'thresholds'", (forged,))
        with pytest.raises(StoreCorrupt):
            asked(open_world(world.folder, world.clock))
    with database(path) as catalog:
        catalog.execute("DELETE FROM meta WHERE name = 'thresholds'")
    again = open_world(world.folder, world.clock)
    assert asked(again)["thresholds"]["every_row_max"] == 1024
    again.door.close()


def test_a_number_that_was_not_measured_is_not_kept(world: World) -> None:
    for wrong in (0, 1000, 10**9, True):
        with pytest.raises(ValueError, match="expected one of"):
            calibrate(world, wrong)
    assert world.ground.moment().every_row_max is None


def test_a_store_without_a_vector_cannot_be_calibrated(tmp_path: Path) -> None:
    empty = make_world(tmp_path / "empty", policy=bundle(OWN, OWN_LABELS))
    with pytest.raises(InvalidInput, match="ingest first"):
        calibrate(empty, 128)
    empty.door.close()


def test_measuring_gives_one_of_the_numbers_and_both_times_for_each() -> None:
    found, told = calibration.measured(8)
    assert found in thresholds.CHOICES
    assert [each["rows"] for each in told] == list(thresholds.CHOICES)
    assert found == calibration.chosen(told)
    assert all(each["every_row_ms"] > 0 and each["estimate_first_ms"] > 0 for each in told)


def test_without_compiled_loops_numpy_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_scan, "load_kernels", lambda dimensions: False)
    monkeypatch.setattr(vector_scan, "_kernels", lambda dimensions, rows: None)
    monkeypatch.setattr(calibration, "TIMES", 1)
    told = calibration.measured(64)[1]
    # So many rows take longer than so few: it is they that are scored.
    assert told[-1]["every_row_ms"] > 2 * told[0]["every_row_ms"]


def test_the_number_chosen_is_the_largest_up_to_which_outright_was_never_slower() -> None:
    def times(*slower: int) -> list[dict[str, Any]]:
        return [
            {"rows": rows, "every_row_ms": 2.0 if rows in slower else 1.0, "estimate_first_ms": 1.0}
            for rows in thresholds.CHOICES
        ]

    assert calibration.chosen(times()) == 16_384
    assert calibration.chosen(times(2048, 4096, 8192, 16_384)) == 1024
    assert calibration.chosen(times(256)) == 128
    assert calibration.chosen(times(*thresholds.CHOICES)) == 128
