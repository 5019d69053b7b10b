"""The benchmark of indexed stores runs, its index is never wrong, and its page says what its result file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .runs import REPO, quick_run

RESULTS = REPO / "bench" / "results" / "indexed.json"


def test_a_quick_run_gives_every_row_and_leaves_the_page_alone(tmp_path: Path) -> None:
    _, results = quick_run("bench.indexed", "bench-indexed.md", tmp_path)
    assert len(results["asked"]) == 15
    assert {row["wrong"] for row in results["asked"]} == {0}
    # By words no row can be missed, whatever the store.
    assert {row["recall"] for row in results["asked"] if row["mode"] == "text"} == {1.0}
    assert results["ingest_s"].keys() == results["bytes"].keys() == {"sealed", "indexed"}


def test_the_page_is_made_of_the_stored_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.indexed import page

    stored: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    text = page(stored)
    assert text == (REPO / "docs" / "bench-indexed.md").read_text("utf-8")
    stored["asked"][0]["recall"] = 0.1234
    assert "0.1234" in page(stored)
