"""The look at the hot path runs, its clocks leave nothing out, and its page says what its result file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .runs import REPO, quick_run

STORED = {"hot-path.json": "bench-hot-path.md", "hot-path-million.json": "bench-hot-path-million.md"}


def test_a_quick_run_times_every_stage_and_leaves_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _, results = quick_run("bench.hot_path", "bench-hot-path.md", tmp_path)
    assert [each["share"] for each in results["readers"]] == [0.1, 1.0, 10.0, 100.0]
    for reader in results["readers"]:
        # So few rows are all scored outright; every other stage takes time in every search.
        assert {name for name, us in reader["stages_us"].items() if not us} <= {"estimate every row"}
        assert 0 < reader["authorisation_us"] + reader["record_us"] < reader["whole_us"]
    assert [each["what"] for each in results["changes"]] == ["a document is added", "a document is removed"]
    for change in results["changes"]:
        assert change["publication_ms"]["count"] == change["first_ms"]["count"] == 2


@pytest.mark.parametrize("results", STORED)
def test_the_page_is_made_of_the_stored_results(monkeypatch: pytest.MonkeyPatch, results: str) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.hot_path import page

    stored: dict[str, Any] = json.loads((REPO / "bench" / "results" / results).read_text("utf-8"))
    text = page(stored)
    assert text == (REPO / "docs" / STORED[results]).read_text("utf-8")
    stored["readers"][0]["authorisation_us"] = 1234.5
    assert "1,234" in page(stored)
