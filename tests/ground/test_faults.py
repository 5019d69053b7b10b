"""Whichever write, sync or rename fails, the error is clear and nothing is lost: before or after, never between."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from .faults import ERRORS, EVERY, OPERATIONS, READ_ONLY, Trials, compiled, drawn

SOME = {"publish": 6, "grant": 6, "read": 6, "init": 6}
"""How many of an operation's changes fail in the test command at a time; in the soak each does."""
OTHERS = 2
"""How many of any other's, and of each where the disk is broken."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def trials_of(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Trials]]:
    """One process for each operation."""
    folder = tmp_path_factory.mktemp("trials")
    with ExitStack() as stack:

        @functools.cache
        def trials(operation: str) -> Trials:
            return stack.enter_context(closing(Trials(library, folder, operation)))

        yield trials


def check(trials: Trials, error: str, some: int) -> None:
    """Fail some changes; more are drawn until two thirds as many ended in an error, as some change nothing needed."""
    operation, count, wanted = trials.operation, trials.changes, some - some // 3
    assert count >= 2
    found: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    for number in drawn(count, seed=count):
        if len(found) >= some and len(refused) >= wanted:
            break
        print(f"{operation}, {error}: change {number} of {count}")
        found.append(trials.run(number, error))
        refused = [each for each in found if each["error"]]
    for each in found:
        assert each["stands"] in ("before", "after"), each
        if not each["error"]:
            assert operation == "read" or each["stands"] == "after", each
        else:
            # Who makes a store has just said where; who rotates its keys has to know which file to mend.
            assert operation in ("init", "rotate") or str(trials.folder) not in str(each["error"]), (
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
    operation: str, error: str, trials_of: Callable[[str], Trials]
) -> None:
    check(trials_of(operation), error, SOME.get(operation, OTHERS) if error == "disk full" else OTHERS)


@pytest.mark.parametrize(
    "operation",
    [
        *("publish", "read", "erase", "rotate", "init"),
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("grant", "relabel", "compact")),
    ],
)
def test_on_a_read_only_disk_nothing_is_changed_and_no_result_leaves(
    operation: str, trials_of: Callable[[str], Trials]
) -> None:
    tried = trials_of(operation).run(EVERY, READ_ONLY)
    assert tried["stands"] == "before"
    assert "cannot be written" in str(tried["error"]) or "cannot write" in str(tried["error"]), tried


@pytest.mark.soak
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", [*OPERATIONS, "init"])
def test_each_failing_change_leaves_all_or_nothing(
    operation: str, error: str, trials_of: Callable[[str], Trials]
) -> None:
    check(trials_of(operation), error, 10_000)
