"""Named labels through the command line: defined, redefined, expired, listed, with their history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

ADMIN, AUDITOR, CARL, SAM, DORA = (f"acme/user:{name}" for name in ("ada", "olga", "carl", "sam", "dora"))
PAYROLL, CASES = "acme/label:payroll", "acme/label:cases"
BY_ADMIN = ["--as", ADMIN, "--why", "asked for"]


def reads(call: Call, store: Path, subject: str) -> set[str]:
    found = call("list", store, "--as", subject, "--purpose", "support", "--json").json["documents"]
    return {each["path"] for each in found}


def means(call: Call, store: Path, name: str) -> dict[str, Any]:
    shown = call("label", "list", store, "--as", ADMIN, "--json").json["labels"]
    return next(each["definition"] for each in shown if each["name"] == name)


def test_a_label_is_defined_from_options_and_means_what_they_say(call: Call, own_firm: Path) -> None:
    given = ["--owner", DORA, "--reader", CARL, "--reader", "acme/group:sales", "--denied", SAM, "--level", 2]
    more = ["--compartment", "payroll", "--purpose", "tax", "--from", "2026-01-01T00:00:00Z"]
    until = ["--until", "2027-01-01T00:00:00Z"]
    run = call("label", "define", own_firm, "acme/label:new", *given, *more, *until, *BY_ADMIN, "--json")
    assert (run.code, run.json["changed"], run.json["label"]) == (0, True, "acme/label:new")
    expected = {
        "tenant": "acme",
        "owner": DORA,
        "readers": ["acme/group:sales", CARL],
        "denied": [SAM],
        "level": 2,
        "compartments": ["payroll"],
        "purposes": ["tax"],
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2027-01-01T00:00:00Z",
    }
    assert run.json["definition"] == means(call, own_firm, "acme/label:new") == expected


def test_a_label_is_defined_from_a_file(call: Call, own_firm: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text(
        f"labels:\n  acme/label:a: {{owner: {DORA}}}\n  acme/label:b: {{owner: {CARL}}}\n", "utf-8"
    )
    run = call("label", "define", own_firm, "acme/label:b", "--file", file, *BY_ADMIN)
    assert (run.code, run.out) == (0, f"defined: acme/label:b, owner {CARL}\n")
    assert means(call, own_firm, "acme/label:b")["owner"] == CARL
    absent = call("label", "define", own_firm, "acme/label:c", "--file", file, *BY_ADMIN, "--json")
    assert (absent.code, absent.json["error"]["type"]) == (2, "Usage")


def test_a_new_meaning_is_in_force_for_the_next_question(call: Call, own_firm: Path) -> None:
    words = ["label", "redefine", own_firm, CASES, "--owner", DORA, "--purpose", "support", *BY_ADMIN]
    assert reads(call, own_firm, SAM) == {"case.txt"}
    run = call(*words)
    assert (run.code, run.out) == (0, f"redefined: {CASES}, owner {DORA}, purposes support\n")
    assert reads(call, own_firm, SAM) == set()
    again = call(*words, "--json")
    assert (again.code, again.json["changed"]) == (0, False)


def test_what_is_not_given_is_the_default_and_not_what_it_was(call: Call, own_firm: Path) -> None:
    """A forgotten option is a lower label, and refused."""
    run = call("label", "redefine", own_firm, PAYROLL, "--owner", DORA, *BY_ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")
    assert "level falls from 2 to 0, compartments lose payroll" in run.json["error"]["message"]
    assert means(call, own_firm, PAYROLL)["level"] == 2


def test_a_lower_meaning_takes_declassify(call: Call, own_firm: Path) -> None:
    words = ["label", "redefine", own_firm, CASES, "--owner", DORA, "--reader", CARL, "--purpose", "support"]
    words += ["--reader", "acme/group:support", *BY_ADMIN]
    refused = call(*words)
    assert refused.code == 1
    assert f"error: {ADMIN} may not lower this label" in refused.err
    assert "hint: besides 'administer' it needs 'declassify'" in refused.err
    assert call("grant", own_firm, ADMIN, "declassify", CASES, *BY_ADMIN).code == 0
    assert call(*words).code == 0
    assert reads(call, own_firm, CARL) >= {"case.txt"}


def test_an_expired_label_is_read_by_nobody(call: Call, own_firm: Path) -> None:
    run = call("label", "expire", own_firm, CASES, *BY_ADMIN, "--ticket", "T-9")
    assert (run.code, run.out) == (0, f"expired: {CASES}\n")
    assert reads(call, own_firm, SAM) == reads(call, own_firm, DORA) - {"salaries.txt"} == set()
    again = call("label", "expire", own_firm, CASES, *BY_ADMIN, "--json")
    assert (again.code, again.json["changed"]) == (0, False)


def test_the_history_holds_who_when_and_why(call: Call, own_firm: Path) -> None:
    call("label", "expire", own_firm, CASES, "--as", ADMIN, "--why", "closed", "--ticket", "T-9")
    run = call("label", "history", own_firm, CASES, "--as", AUDITOR, "--json")
    assert [each["change"] for each in run.json["meanings"]] == ["label_defined", "label_expired"]
    last = run.json["meanings"][-1]
    assert (last["who"], last["why"], last["ticket"]) == (ADMIN, "closed", "T-9")
    assert last["definition"]["valid_until"] == last["at"]
    shown = call("label", "history", own_firm, CASES, "--as", AUDITOR).out
    assert "label_expired" in shown
    assert "T-9" in shown


def test_the_labels_are_listed_for_people(call: Call, firm: Path) -> None:
    out = call("label", "list", firm, "--as", ADMIN).out
    assert f"{PAYROLL}  owner {DORA}, level 2, compartments payroll" in out


def test_a_tenant_without_labels_has_none_to_list(call: Call, tmp_path: Path) -> None:
    assert call("init", tmp_path / "s", "--admin", ADMIN).code == 0
    run = call("label", "list", tmp_path / "s", "--as", ADMIN, "--json")
    assert (run.code, run.json) == (1, {"labels": [], "count": 0})


COMMANDS: dict[str, list[str]] = {
    "define": ["acme/label:new", "--owner", CARL, "--why", "mine"],
    "redefine": [PAYROLL, "--owner", CARL, "--why", "mine"],
    "expire": [PAYROLL, "--why", "mine"],
    "list": [],
    "history": [PAYROLL],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("subject", [CARL, "acme/user:nobody", "borealis/user:bea"])
def test_who_may_not_administer_does_nothing(call: Call, firm: Path, name: str, subject: str) -> None:
    before = means(call, firm, PAYROLL)
    run = call("label", name, firm, *COMMANDS[name], "--as", subject, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")
    assert means(call, firm, PAYROLL) == before


@pytest.mark.parametrize(
    "words",
    [
        ["define", "payroll", "--owner", DORA],
        ["define", "acme/label:New", "--owner", DORA],
        ["define", "acme/label:new"],
        ["define", "acme/label:new", "--owner", "Dora"],
        ["define", "acme/label:new", "--owner", "borealis/user:bea"],
        ["define", "acme/label:new", "--owner", DORA, "--level", "10"],
        ["define", "acme/label:new", "--owner", DORA, "--until", ""],
        ["define", "acme/label:new", "--owner", DORA, "--until", "2027-01-01"],
        ["define", PAYROLL, "--owner", DORA],
        ["redefine", "acme/label:none", "--owner", DORA],
        ["redefine", PAYROLL],
        ["redefine", PAYROLL, "--file", "nowhere.yaml"],
        ["redefine", PAYROLL, "--file", "nowhere.yaml", "--owner", DORA],
        ["expire", "acme/label:none"],
        ["expire", "payroll"],
    ],
    ids=" ".join,
)
def test_what_is_malformed_or_unknown_is_misuse(call: Call, firm: Path, words: list[str]) -> None:
    before = call("label", "list", firm, "--as", ADMIN, "--json").json
    run = call("label", words[0], firm, *words[1:], *BY_ADMIN, "--json")
    assert (run.code, list(run.json)) == (2, ["error"]), run
    assert call("label", "list", firm, "--as", ADMIN, "--json").json == before


@pytest.mark.parametrize("name", ["define", "redefine", "expire"])
def test_a_change_without_a_reason_is_misuse(call: Call, firm: Path, name: str) -> None:
    words = [word for word in COMMANDS[name] if word not in ("--why", "mine")]
    run = call("label", name, firm, *words, "--as", ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "Usage")
