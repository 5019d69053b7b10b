"""`--time-limit` of the commands that search: an answer in time, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CARL, AUDITOR = "acme/user:carl", "acme/user:olga"
COMMANDS = ["search", "context"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_answer_in_time_is_the_answer(call: Call, firm: Path, command: str) -> None:
    words = [command, firm, "pump", "--as", CARL, "--json"]
    for limit in ("3600", "86400", "99.5"):
        assert call(*words, "--time-limit", limit) == call(*words)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_takes_longer_is_refused_whole_and_recorded(call: Call, own_firm: Path, command: str) -> None:
    words = [command, own_firm, "pump", "--as", CARL, "--time-limit", "1e-9"]
    run = call(*words, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "TimedOut")
    assert run.json["error"]["message"] == "timeout: found no answer within 1e-09 s; nothing left"
    assert "allow more time" in run.json["error"]["hint"]
    people = call(*words)
    assert (people.code, people.out) == (1, "")
    assert people.err.startswith("error: timeout: found no answer within 1e-09 s")
    assert "\nhint: allow more time" in people.err
    records = call("log", own_firm, "--as", AUDITOR, "--json").json["records"][-2:]
    assert [(each["subject"], each["outcome"], each["rows"]) for each in records] == [(CARL, "error", [])] * 2


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "86401", "1e400", "soon", ""])
def test_what_is_no_limit_is_misuse_before_a_store_is_opened(
    call: Call, tmp_path: Path, command: str, wrong: str
) -> None:
    run = call(command, tmp_path / "none", "pump", "--time-limit", wrong, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "Usage")
    assert "'--time-limit'" in run.json["error"]["message"]


def test_a_wrong_limit_says_what_is_expected(call: Call, tmp_path: Path) -> None:
    run = call("search", tmp_path / "none", "pump", "--time-limit", "0")
    assert run.err.startswith(
        "error: invalid value for '--time-limit': found 0; expected seconds, above 0 and at most 86400"
    )
