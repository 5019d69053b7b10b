"""What `policy test` says of a policy and its tests, and with which exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

POLICY = """\
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, acme/user:olga, acme, *, read, any, *, 2026-01-01T00:00:00Z, 2026-02-01T00:00:00Z, allow
"""
LABELS = """\
labels:
  acme/label:diary:
    owner: acme/user:dora
    denied: [acme/user:eve]
"""
CASES = """\
cases:
  - {who: acme/user:dora, may: read, label: acme/label:diary, answer: allow}
  - {who: acme/user:eve, via: [acme/agent:desk], may: read, label: acme/label:diary, purpose: support, answer: allow}
  - {who: acme/user:olga, may: read, label: acme/label:diary, at: "2026-01-15T00:00:00Z", answer: deny}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("policy.csv", POLICY), ("labels.yaml", LABELS), ("tests.yaml", CASES)):
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_a_policy_that_passes_its_tests_is_one_line_and_code_0(call: Call, policy_folder: Path) -> None:
    run = call("policy", "test", policy_folder, "--json")
    assert (run.code, run.err) == (0, "")
    assert (run.json["passed"], run.json["failed"], len(run.json["cases"])) == (4, 0, 4)
    shown = call("policy", "test", policy_folder)
    assert shown.code == 0
    assert shown.out.splitlines()[-1] == "4 passed, 0 failed"
    assert "failed:" not in shown.out


def test_failed_cases_are_listed_with_their_reasons_and_code_1(call: Call, folder: Path) -> None:
    run = call("policy", "test", folder)
    assert run.code == 1
    file = folder / "tests.yaml"
    assert run.out.splitlines()[1:] == [
        "  expected allow, found deny",
        "  acme/user:eve: deny on acme/label:diary",
        "    rule      p, *, *, *, *, denied, *, -, -, deny",
        "      names   acme/user:eve",
        "      label   acme/user:eve",
        "  acme/agent:desk, carrying the request: no rule on acme/label:diary",
        f"failed: {file}:4: acme/user:olga, read acme/label:diary at 2026-01-15T00:00:00Z",
        "  expected deny, found allow",
        "  acme/user:olga: allow on acme/label:diary",
        "    rule      p, acme/user:olga, acme, *, read, any, *, 2026-01-01T00:00:00Z, 2026-02-01T00:00:00Z, allow",
        "      names   acme/user:olga",
        "no case turns on the rule  p, *, *, *, *, denied, *, -, -, deny",
        "1 passed, 2 failed",
    ]
    first = "acme/user:eve → acme/agent:desk, read acme/label:diary for support at "
    assert run.out.startswith(f"failed: {file}:3: {first}")


def test_the_object_holds_every_case_and_the_untested_rules(call: Call, folder: Path) -> None:
    run = call("policy", "test", folder, "--json")
    assert (run.code, run.json["passed"], run.json["failed"]) == (1, 1, 2)
    assert run.json["untested"] == ["p, *, *, *, *, denied, *, -, -, deny"]
    assert [case["failure"] for case in run.json["cases"]] == [None, "answer", "answer"]
    last = run.json["cases"][2]
    (reason,) = last.pop("reasons")
    assert last == {
        "line": 4,
        "who": "acme/user:olga",
        "via": [],
        "may": "read",
        "label": "acme/label:diary",
        "at": "2026-01-15T00:00:00Z",
        "purpose": "",
        "expected": "deny",
        "found": "allow",
        "failure": "answer",
        "ways": dict.fromkeys(("check", "readable", "what", "who", "why"), "allow"),
    }
    assert (reason["actor"], reason["reason"], len(reason["rules"])) == ("acme/user:olga", "allow", 1)
    assert run.json["cases"][0]["reasons"] == []


def test_a_case_without_a_time_is_asked_for_now(call: Call, folder: Path) -> None:
    before = call("policy", "test", folder, "--json").json["cases"][0]["at"]
    assert before > "2026-01-15T00:00:00Z"
    text = CASES.replace(', at: "2026-01-15T00:00:00Z"', "")
    (folder / "tests.yaml").write_text(text, "utf-8")
    cases = call("policy", "test", folder, "--json").json["cases"]
    assert (cases[2]["failure"], cases[2]["at"] >= before) == (None, True)


def test_ways_that_disagree_are_told_apart(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ringfence_governance import listings

    monkeypatch.setattr(listings, "who_may", lambda *rest: listings.Readers((), {}))
    run = call("policy", "test", folder)
    assert run.code == 1
    said = "check allow, readable allow, what allow, who deny, why allow"
    assert f"  the ways to ask disagree: {said}" in run.out.splitlines()
    assert call("policy", "test", folder, "--json").json["cases"][0]["failure"] == "disagreement"


def test_malformed_files_are_misuse_with_every_finding(call: Call, folder: Path) -> None:
    file = folder / "tests.yaml"
    file.write_text(
        CASES.replace("answer: deny", "answer: Deny").replace("who: acme/user:dora, ", ""), "utf-8"
    )
    run = call("policy", "test", folder, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "PolicyRefused")
    found = run.json["error"]["message"].splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in found] == [f"{file}:2", f"{file}:4"]
    (folder / "policy.csv").write_text(POLICY.replace("owner", "Owner"), "utf-8")
    shown = call("policy", "test", folder)
    assert shown.code == 2
    assert [name in shown.err for name in (f"{folder / 'policy.csv'}:1", f"{file}:2", f"{file}:4")] == [
        True
    ] * 3


def test_a_policy_without_tests_is_misuse(call: Call, folder: Path) -> None:
    """No tests must never look like tests that pass."""
    (folder / "tests.yaml").unlink()
    run = call("policy", "test", folder, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "PolicyRefused")
    assert str(folder / "tests.yaml") in run.json["error"]["message"]
    assert call("policy", "test", folder / "nothing").code == 2
