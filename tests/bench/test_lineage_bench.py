"""The benchmark of walks along lineage runs, and its page says what its result file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .runs import REPO, quick_run

DIRECTIONS = ("descendants", "ancestors")
SMALLEST = 75_000
"""Documents: with fewer no tree has a walk that goes beyond what an answer holds."""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    return quick_run("bench.lineage_cost", "bench-lineage.md", tmp_path_factory.mktemp("quick"))


def test_a_quick_run_walks_every_way_to_the_same_nodes_and_leaves_the_page_alone(
    quick: tuple[str, dict[str, Any]],
) -> None:
    _, results = quick
    assert [way["way"] for way in results["ways"]] == ["no index", "indexes", "resident"]
    assert results["settings"]["indexes"] == 2
    for walks in (way[direction] for way in results["ways"] for direction in DIRECTIONS):
        assert [walk["depth"] for walk in walks] == [1, 3, 6]
        assert walks[0]["nodes"] < walks[1]["nodes"] < walks[2]["nodes"]


def test_a_quick_run_walks_through_the_door_as_two_readers_in_both_ways(
    quick: tuple[str, dict[str, Any]],
) -> None:
    printed, results = quick
    walks = results["walks"]
    assert walks["edges"] >= walks["documents"] == results["settings"]["edges"]
    assert walks["held_bytes"] > 0
    every, tenth = walks["readers"]
    assert walks["documents"] == every["documents"] > 5 * tenth["documents"] > 0
    for reader in walks["readers"]:
        by_index, resident = reader["ways"]
        assert [by_index["way"], resident["way"]] == ["indexes", "resident"]
        for direction in DIRECTIONS:
            for first, second, depth in zip(by_index[direction], resident[direction], (1, 3, 6), strict=True):
                assert first["depth"] == second["depth"] == depth
                assert first["nodes"] == second["nodes"] > depth
                assert first["whole"] == first["ms"]["count"] == first["bare_ms"]["count"] > 0
                assert first["record_bytes"] > 32 * first["nodes"]
        assert by_index["beyond"]["whole"] == resident["beyond"]["whole"] == 0
        assert by_index["beyond"]["nodes"] == resident["beyond"]["nodes"] < 10_000
    # What stands under labels that he may not read is not there for him.
    fewer, more = (reader["ways"][0]["descendants"][-1]["nodes"] for reader in (tenth, every))
    assert fewer < more
    assert f"{walks['documents']:,} documents that were" in printed
    for title in (
        "Descendants, through the door",
        "Ancestors, through the door",
        "More than an answer holds",
    ):
        assert f"### {title}\n" in printed, title


def test_a_run_fails_where_a_reader_is_told_of_other_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import lineage_walks

    honest = lineage_walks.PlainWalk

    def of_everything(forest: Any, readable: Any, nodes_max: int) -> Any:
        return honest(forest, np.ones_like(readable), nodes_max)

    monkeypatch.setattr(lineage_walks, "PlainWalk", of_everything)
    with pytest.raises(RuntimeError, match="other documents"):
        lineage_walks.measured(SMALLEST, 1, tmp_path)


def test_a_run_fails_where_rows_are_held_that_were_to_be_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import lineage_walks

    monkeypatch.setattr(lineage_walks, "SMALL_BYTES", lineage_walks.LARGE_BYTES)
    with pytest.raises(RuntimeError, match="held in memory"):
        lineage_walks.measured(SMALLEST, 1, tmp_path)


def test_what_was_made_from_something_is_under_all_its_labels() -> None:
    from bench.lineage_forest import grown

    forest = grown(30_000)
    children, parents = forest.edges(0, len(forest))
    joined = 0
    for child, parent in zip(children.tolist(), parents.tolist(), strict=True):
        inherited, own = (set(forest.parts[forest.labels[each]]) for each in (parent, child))
        assert inherited <= own
        joined += inherited < own
    assert joined > 100
    assert (children > parents).all()
    assert len(set(zip(children.tolist(), parents.tolist(), strict=True))) == len(children) > 30_000


def test_ids_are_of_one_thing_each() -> None:
    from bench.lineage_forest import EDGE, NODE, RUN, ids_of

    made = [each for kind in (NODE, EDGE, RUN) for each in ids_of(np.arange(10_000), kind).to_pylist()]
    assert len(set(made)) == 30_000
    assert all(len(each) == 32 and set(each) <= set("0123456789abcdef") for each in made)


def test_the_page_is_that_of_the_stored_results() -> None:
    from bench.lineage_cost import page

    stored = json.loads((REPO / "bench" / "results" / "lineage.json").read_text("utf-8"))
    assert page(stored) == (REPO / "docs" / "bench-lineage.md").read_text("utf-8")
    assert stored["settings"]["edges"] >= 1_000_000
