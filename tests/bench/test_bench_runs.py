"""The benchmark runs, whatever it measures: no time is compared with a limit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .runs import REPO, quick_run, run


def test_a_quick_run_gives_every_row_and_leaves_the_page_alone(tmp_path: Path) -> None:
    printed, results = quick_run("bench", "bench.md", tmp_path)
    (ingest,) = results["ingest"]
    assert set(ingest["kinds"]) == {"pipeline", "plain", "governed"}
    assert ingest["passages"] == results["settings"]["passages"]
    assert {(row["percent"], row["mode"]) for row in results["search"]} == {
        (percent, mode) for percent in (0.1, 1.0, 10.0, 50.0, 100.0) for mode in ("vector", "text", "hybrid")
    }
    assert results["search"][-1]["readable"] == ingest["passages"], "the last reader reads everything"
    assert results["search"][0]["readable"] < ingest["passages"]
    assert "| governed (text search included) |" in printed


def test_a_wrong_argument_is_a_misuse() -> None:
    done = run("bench", "--passages", "15")
    assert done.returncode == 2
    assert "error: --passages must be a multiple of 10 from 20" in done.stderr


def test_the_page_is_that_of_the_stored_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.page import page

    stored = json.loads((REPO / "bench" / "results" / "governed-against-plain.json").read_text("utf-8"))
    assert page(stored) == (REPO / "docs" / "bench.md").read_text("utf-8")
