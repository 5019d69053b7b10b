"""`ringfence compact`, as people and programs call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_an_administrator_compacts_and_answers_stay(call: Call, own_firm: Path) -> None:
    words = ["list", own_firm, "--as", "acme/user:carl", "--json"]
    before = call(*words).json["documents"]
    run = call("compact", own_firm, "--as", "acme/user:ada", "--json")
    assert run.code == 0, run
    assert set(run.json) == {"rewritten", "rows", "bytes_removed"}
    assert "chunks" in run.json["rewritten"]
    assert run.json["bytes_removed"] is not None
    assert call(*words).json["documents"] == before
    again = call("compact", own_firm, "--as", "acme/user:ada")
    assert again.out.startswith("rewritten  nothing\n")


def test_who_may_not_administer_is_refused(call: Call, own_firm: Path) -> None:
    run = call("compact", own_firm, "--as", "acme/user:carl")
    assert run.code == 1
    assert "may not administer" in run.err
