"""Each make target says what it does, and the continuous check runs the same words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

PROMISED = {
    "help",
    "venv",
    "demo",
    "test",
    "test-browser",
    "test-real",
    "lint",
    "types",
    "docs",
    "wheel",
    "bench",
    "bench-authority",
    "bench-ground",
    "bench-audit",
    "bench-indexed",
    "bench-upkeep",
    "test-indexed",
    "bench-lineage",
    "bench-peers",
    "soak",
    "notebooks",
    "clean",
}


@pytest.fixture(scope="session")
def makefile(repo: Path) -> str:
    return (repo / "Makefile").read_text("utf-8")


def test_every_target_has_a_comment(makefile: str) -> None:
    described = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", makefile, re.MULTILINE))
    assert set(described) == PROMISED
    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[0].split()
    assert set(phony) == PROMISED


def test_every_target_but_help_and_clean_sets_up_what_it_needs(makefile: str) -> None:
    needs = dict(re.findall(r"^([a-z-]+):(.*?)## .+$", makefile, re.MULTILINE))
    bare = {name for name, prerequisites in needs.items() if "$(READY" not in prerequisites}
    assert bare == {"help", "clean"}


def test_the_continuous_check_runs_targets_that_exist(repo: Path) -> None:
    script = repo / ".ci" / "run"
    lines = script.read_text("utf-8").splitlines()
    assert os.access(script, os.X_OK)
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    words = [line.strip().removeprefix("make ") for line in lines if line.strip().startswith("make ")]
    assert words[-1] == "test", "its last lines are pytest's summary"
    assert {"lint", "types", "test", "test-browser"} <= set(words) <= PROMISED
