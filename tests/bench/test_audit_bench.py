"""The benchmark of the audit log runs, and its page says what its result file says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .runs import REPO, quick_run


def test_a_quick_run_measures_every_row_and_leaves_the_page_alone(tmp_path: Path) -> None:
    _, results = quick_run("bench.audit_cost", "bench-audit.md", tmp_path)
    asked = results["settings"]["queries"] * results["settings"]["rounds"]
    for row in results["costs"]:
        # As many records as queries: each waited for its own.
        assert row["query_ms"]["count"] == row["record_ms"]["count"] == row["readers"] * asked
        assert row["record_ms"]["p50"] < row["query_ms"]["p50"]
    assert results["verified"]["records"] > 400


def test_the_page_is_that_of_the_stored_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.audit_cost import page

    stored = json.loads((REPO / "bench" / "results" / "audit.json").read_text("utf-8"))
    assert page(stored) == (REPO / "docs" / "bench-audit.md").read_text("utf-8")
    assert stored["verified"]["records"] >= 50_000
