"""Whichever write, sync or rename fails, the error is clear and nothing is lost: before or after, never between."""

from __future__ import annotations

from pathlib import Path

import pytest

from .faults import ERRORS, EVERY, OPERATIONS, READ_ONLY, compiled, drawn, run

SOME = {"publish": 6, "grant": 6, "read": 6, "init": 6}
"""How many of an operation's changes fail in the test command at a time; in the soak each does."""
OTHERS = 2
"""How many of any other's, and of each where the disk is broken."""


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
    """Fail some changes; more are drawn until two thirds as many ended in an error, as some change nothing needed."""
    wanted = some - some // 3
    count = changes_of(library, folder / "whole", operation)
    assert count >= 2
    found: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    left = drawn(count, seed=count)
    while left and (some >= count or len(refused) < wanted):
        numbers, left = sorted(left[: some + 2]), left[some + 2 :]
        print(f"{operation}, {error}: changes {numbers} of {count}")
        tried = run(library, folder / f"failing-{len(found)}", operation, numbers, error)
        assert [each["number"] for each in tried] == numbers
        found += tried
        refused = [each for each in found if each["error"]]
    for each in found:
        assert each["stands"] in ("before", "after"), each
        if not each["error"]:
            assert operation == "read" or each["stands"] == "after", each
        else:
            # Who makes a store has just said where; who rotates its keys has to know which file to mend.
            assert operation in ("init", "rotate") or str(folder) not in str(each["error"]), (
                "an error names no path"
            )
    assert len(refused) > len(found) / 2 if len(found) == count else len(refused) >= wanted, (
        "no failure was met"
    )


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (operation, error)
        for operation in [*OPERATIONS, "init"]
        for error in (ERRORS if operation in SOME else ["disk full"])
        # A relabel writes as an ingest does and a compaction as an erasure: theirs are in the soak.
        if operation not in ("relabel", "compact")
    ],
)
def test_some_failing_change_leaves_all_or_nothing(
    operation: str, error: str, library: Path, tmp_path: Path
) -> None:
    check(
        library, tmp_path, operation, error, SOME.get(operation, OTHERS) if error == "disk full" else OTHERS
    )


@pytest.mark.parametrize(
    "operation",
    [
        *("publish", "read", "erase", "rotate", "init"),
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("grant", "relabel", "compact")),
    ],
)
def test_on_a_read_only_disk_nothing_is_changed_and_no_result_leaves(
    operation: str, library: Path, tmp_path: Path
) -> None:
    (tried,) = run(library, tmp_path / "store", operation, [EVERY], READ_ONLY)
    assert tried["stands"] == "before"
    assert "cannot be written" in str(tried["error"]) or "cannot write" in str(tried["error"]), tried


@pytest.mark.soak
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", [*OPERATIONS, "init"])
def test_each_failing_change_leaves_all_or_nothing(
    operation: str, error: str, library: Path, tmp_path: Path
) -> None:
    check(library, tmp_path, operation, error, 10_000)
