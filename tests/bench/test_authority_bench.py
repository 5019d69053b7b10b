"""The authority benchmark runs, whatever it measures, and its page says what its result file says."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from .runs import REPO, ROOTS, python, quick_run, run

RESULTS = REPO / "bench" / "results" / "authority.json"


@pytest.fixture
def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return found


@pytest.fixture
def page_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.authority.page import page

    return page


def test_a_quick_run_gives_every_row_and_leaves_the_page_alone(tmp_path: Path) -> None:
    printed, results = quick_run("bench.authority", "bench-authority.md", tmp_path)
    settings = results["settings"]
    assert [[row["labels"], row["rules"]] for row in results["sets"]] == settings["sizes"]
    assert [row["rules"] for row in results["foreign"]["rows"]] == [200, 800]
    for row in results["sets"]:
        assert row["disagreed"] == 0
        assert row["cold_cpu_ms"]["count"] == settings["rounds"] * settings["people"]
        assert row["readable"]["max"] > 0
        assert row["stock"]["labels_asked"] > 0
        assert set(row["changed_us"]) == {"rule", "membership", "label in set", "facts"}
    for rows in (results["revocation"], results["opening"]):
        # The administrator's own two rules come on top, to the default policy's three or to those asked for.
        assert [row["rules"] for row in rows] == [5, 202]
    for row in results["revocation"]:
        assert row["visible_ms"]["count"] == row["visible_elsewhere_ms"]["count"] == 2
        assert row["journal_rows"] >= row["rules"] + row["labels"]
    assert "extrapolated" in printed


def test_the_page_is_that_of_the_stored_results(stored: dict[str, Any], page_of: Any) -> None:
    assert page_of(stored) == (REPO / "docs" / "bench-authority.md").read_text("utf-8")


def test_the_stored_results_are_of_the_sizes_and_counts_that_were_asked_for(stored: dict[str, Any]) -> None:
    sizes = [(row["labels"], row["rules"]) for row in stored["sets"]]
    assert sizes == [(1_000, 1_000), (10_000, 10_000), (100_000, 100_000), (100_000, 1_000_000)]
    assert [row["rules"] for row in stored["foreign"]["rows"]] == [1_000, 10_000, 100_000, 1_000_000]
    assert all(row["cold_cpu_ms"]["count"] >= 60 for row in stored["sets"])
    assert all(row["disagreed"] == 0 for row in stored["sets"])
    assert [row["rules"] - 2 for row in stored["revocation"]] == [3, 1_000, 10_000, 100_000]
    assert stored["revocation"][0]["visible_ms"]["count"] >= 200
    assert all(row["visible_ms"]["count"] >= 50 for row in stored["revocation"])


@pytest.mark.parametrize(
    ("part", "number", "figure"),
    [
        ("sets", 2, ("cold_wall_ms", "p50")),
        ("sets", 0, ("warm_us", "p50")),
        ("revocation", 0, ("grant_us", "p50")),
        ("revocation", 0, ("visible_ms", "p99")),
        ("foreign", -1, ("cold_cpu_ms", "p50")),
    ],
)
def test_a_figure_beyond_its_target_is_not_met_on_the_page(
    stored: dict[str, Any], page_of: Any, part: str, number: int, figure: tuple[str, str]
) -> None:
    good = copy.deepcopy(stored)
    rows = good[part]["rows"] if part == "foreign" else good[part]
    rows[number][figure[0]][figure[1]] = rows[0][figure[0]][figure[1]] if part == "foreign" else 1.0
    bad = copy.deepcopy(good)
    rows = bad[part]["rows"] if part == "foreign" else bad[part]
    rows[number][figure[0]][figure[1]] *= 1000
    assert page_of(bad).count("**not met**") == page_of(good).count("**not met**") + 1


def test_a_process_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(REPO / root) for root in ROOTS))
    from bench.authority.partner import Partner

    with (
        pytest.raises(RuntimeError, match="the process ended with 1"),
        Partner(["bench.authority.size", "100", "100", str(RESULTS)]) as partner,
    ):
        partner.ask("build")


def test_a_quick_run_of_who_may_read_finds_both_ways_alike() -> None:
    done = run("bench.authority.listing", "--quick", python=python())
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n| ") == 1 + 2, done.stdout
