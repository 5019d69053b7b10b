"""Whichever write, sync or rename fails, the error is clear and nothing is lost: before or after, never between."""

from __future__ import annotations

from pathlib import Path

import pytest

from .faults import ERRORS, OPERATIONS, chosen, compiled, run

SOME = 6
"""How many of an operation's changes fail in the test command; in the soak each does."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("faults"))


def changes_of(library: Path, folder: Path, operation: str) -> int:
    """How many changes the operation makes when none fails."""
    (whole,) = run(library, folder, operation, [0], "disk full")
    assert whole["error"] == ""
    assert whole["stands"] == ("before" if operation == "read" else "after")
    count = whole["changes"]
    assert isinstance(count, int)
    return count


def check(library: Path, folder: Path, operation: str, error: str, some: int) -> None:
    count = changes_of(library, folder / "whole", operation)
    assert count >= 2
    numbers = chosen(count, some, seed=count)
    print(f"{operation}, {error}: changes {numbers} of {count}")
    found = run(library, folder / "failing", operation, numbers, error)
    assert [each["number"] for each in found] == numbers
    for each in found:
        assert each["stands"] in ("before", "after"), each
        if not each["error"]:
            assert operation == "read" or each["stands"] == "after", each
        else:
            # Who makes a store has just said where.
            assert operation == "init" or str(folder) not in str(each["error"]), "an error names no path"
    refused = [each for each in found if each["error"]]
    # Some change nothing that is needed, and a sample may be of those; where each fails, most matter.
    assert len(refused) > (len(found) / 2 if len(found) == count else 1), "no failure was met"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", [*OPERATIONS, "init"])
def test_some_failing_change_leaves_all_or_nothing(
    operation: str, error: str, library: Path, tmp_path: Path
) -> None:
    check(library, tmp_path, operation, error, SOME)


@pytest.mark.soak
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", [*OPERATIONS, "init"])
def test_each_failing_change_leaves_all_or_nothing(
    operation: str, error: str, library: Path, tmp_path: Path
) -> None:
    check(library, tmp_path, operation, error, 10_000)
