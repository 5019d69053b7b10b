"""The benchmark of walks along lineage runs, and its page says what its result file says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .runs import REPO, quick_run


def test_a_quick_run_walks_every_way_to_the_same_nodes_and_leaves_the_page_alone(tmp_path: Path) -> None:
    _, results = quick_run("bench.lineage_cost", "bench-lineage.md", tmp_path)
    assert [way["way"] for way in results["ways"]] == ["no index", "indexes", "resident"]
    assert results["settings"]["indexes"] == 2
    for walks in (way[direction] for way in results["ways"] for direction in ("descendants", "ancestors")):
        assert [walk["depth"] for walk in walks] == [1, 3, 6]
        assert walks[0]["nodes"] < walks[1]["nodes"] < walks[2]["nodes"]


def test_the_page_is_that_of_the_stored_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.lineage_cost import page

    stored = json.loads((REPO / "bench" / "results" / "lineage.json").read_text("utf-8"))
    assert page(stored) == (REPO / "docs" / "bench-lineage.md").read_text("utf-8")
    assert stored["settings"]["edges"] >= 1_000_000
