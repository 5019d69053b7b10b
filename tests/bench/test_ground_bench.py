"""The ground benchmark runs, whatever it measures, and its page says what its result file says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from .runs import REPO, quick_run

RESULTS = REPO / "bench" / "results" / "ground.json"


@pytest.fixture
def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return found


@pytest.fixture
def page_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.ground.page import page

    return page


def test_a_quick_run_gives_every_row_and_leaves_the_page_alone(tmp_path: Path) -> None:
    _, results = quick_run("bench.ground", "bench-ground.md", tmp_path)
    settings = results["settings"]
    assert [store["publications"] for store in results["stores"]] == settings["publications"]
    opened = [(row["publications"], row["state"]) for row in results["opening"]]
    assert opened == [(2, "left in peace"), (2, "writer killed")]
    # What the killed writer wrote is no answer.
    assert {row["hits"] for row in results["opening"]} == {settings["documents"]}
    assert [row["documents"] for row in results["batches"]] == settings["batches"]
    assert all(sum(row["steps_ms"].values()) <= row["ms"] for row in results["batches"])
    (cost,) = results["sealing"]
    assert cost["kinds"]["sealed"]["search"]["wall"]["count"] == settings["questions"]
    vectors = next(row for row in results["weights"] if row["what"] == "chunks.vector")
    # A nonce, a tag and no compression: the sealed numbers are not the plain ones.
    assert vectors["sealed_bytes"] - vectors["plain_bytes"] >= 28 * vectors["rows"]


def test_the_page_is_that_of_the_stored_results(stored: dict[str, Any], page_of: Any) -> None:
    assert page_of(stored) == (REPO / "docs" / "bench-ground.md").read_text("utf-8")


def test_the_stored_results_are_those_of_a_full_run(stored: dict[str, Any]) -> None:
    publications = [store["publications"] for store in stored["stores"]]
    assert publications[0] == 1
    assert publications[-1] >= 200
    assert len(stored["opening"]) == 2 * len(publications)
    assert all(row["first_ms"]["count"] >= 5 for row in stored["opening"])
    assert len({row["hits"] for row in stored["opening"]}) == 1
    assert [cost["embedder"] for cost in stored["sealing"]] == ["digest", "minilm"]
    assert [row["documents"] for row in stored["batches"]] == [1, 10, 100, 1000]


def worsened(results: dict[str, Any], what: str) -> dict[str, Any]:
    """Return results in which one figure is a thousand times what the others allow."""
    bad = copy.deepcopy(results)
    if what in ("ingest", "search"):
        # The ingest ratio is the real embedder's, the last; the search ratio is that of the larger store.
        kinds = bad["sealing"][-1 if what == "ingest" else 0]["kinds"]
        kinds["sealed"][what]["cpu"]["p50"] = 1000 * kinds["unsealed"][what]["cpu"]["p50"]
    elif what == "publication":
        taken = bad["stores"][-1]["taken"]
        taken[-1]["ms"] = 1000 * taken[0]["ms"]
    elif what in ("vectors", "all"):
        (row,) = [
            row for row in bad["weights"] if row["what"].endswith({"vectors": "vector", "all": "both"}[what])
        ]
        row["sealed_bytes"] = 1000 * row["plain_bytes"]
    else:
        bad["opening"][-1][f"{what}_ms"]["p50"] *= 1000
    return bad


def bettered(results: dict[str, Any]) -> dict[str, Any]:
    """Return results in which every target is met."""
    good = copy.deepcopy(results)
    for cost in good["sealing"]:
        for act in ("ingest", "search"):
            cost["kinds"]["sealed"][act]["cpu"]["p50"] = cost["kinds"]["unsealed"][act]["cpu"]["p50"] = 1.0
    for row in good["weights"]:
        row["sealed_bytes"] = row["plain_bytes"]
    for row in good["opening"]:
        for name in ("open_ms", "first_ms"):
            row[name]["p50"] = 1.0
    for row in good["stores"][-1]["taken"]:
        row["ms"] = 1.0
    return good


@pytest.mark.parametrize("what", ["ingest", "search", "publication", "vectors", "all", "open", "first"])
def test_a_figure_beyond_its_target_is_not_met_on_the_page(
    stored: dict[str, Any], page_of: Any, what: str
) -> None:
    good = bettered(stored)
    assert "**not met**" not in page_of(good)
    assert page_of(worsened(good, what)).count("**not met**") == 1
