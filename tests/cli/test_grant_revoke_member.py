"""What changes of the policy do from the next question on, and who may make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

ADMIN, CARL, SAM = "acme/user:ada", "acme/user:carl", "acme/user:sam"
PAYROLL = "acme/label:payroll"
CASES = "acme/label:cases"
BY_ADMIN = ["--as", ADMIN, "--why", "asked for"]


def reads(call: Call, store: Path, subject: str, purpose: str = "support") -> set[str]:
    found = call("list", store, "--as", subject, "--purpose", purpose, "--json").json["documents"]
    return {each["path"] for each in found}


def test_a_grant_opens_and_a_revocation_closes(call: Call, own_firm: Path) -> None:
    assert "case.txt" not in reads(call, own_firm, CARL)
    granted = call("grant", own_firm, CARL, "read", CASES, *BY_ADMIN, "--ticket", "T-1", "--json")
    assert (granted.code, granted.json["changed"]) == (0, True)
    assert "case.txt" in reads(call, own_firm, CARL)
    revoked = call("revoke", own_firm, CARL, "read", CASES, *BY_ADMIN, "--json")
    assert (revoked.code, revoked.json["revoked"]) == (0, 1)
    assert "case.txt" not in reads(call, own_firm, CARL)


def test_a_grant_that_stands_is_done_already(call: Call, own_firm: Path) -> None:
    words = ["grant", own_firm, CARL, "read", CASES, *BY_ADMIN]
    assert call(*words).out == f"granted: {CARL} read {CASES}\n"
    again = call(*words)
    assert (again.code, again.out) == (0, f"stands already: {CARL} read {CASES}\n")
    assert call(*words, "--json").json["changed"] is False


def test_a_grant_holds_between_its_times_and_for_its_purpose(call: Call, own_firm: Path) -> None:
    grant = ["grant", own_firm, CARL, "read", CASES, *BY_ADMIN]
    over = [*grant, "--from", "2020-01-01T00:00:00Z", "--until", "2021-01-01T00:00:00Z"]
    assert call(*over).code == 0
    assert call(*grant, "--purpose", "tax").code == 0
    assert "case.txt" not in reads(call, own_firm, CARL)
    assert call(*grant, "--until", "9000-01-01T00:00:00Z", "--purpose", "support").code == 0
    assert "case.txt" in reads(call, own_firm, CARL)
    assert call("revoke", own_firm, CARL, "read", CASES, *BY_ADMIN, "--json").json["revoked"] == 3


def test_a_revocation_takes_only_the_grants_given_just_so(call: Call, own_firm: Path) -> None:
    words = [own_firm, CARL, "read", CASES, *BY_ADMIN]
    until = ["--until", "9000-01-01T00:00:00Z"]
    for options in ([], until, [*until, "--purpose", "tax"]):
        assert call("grant", *words, *options).code == 0
    assert call("revoke", *words, "--from", "2020-01-01T00:00:00Z").code == 1
    assert call("revoke", *words, "--purpose", "tax", "--json").json["revoked"] == 1
    assert call("revoke", *words, *until, "--json").json["revoked"] == 1
    assert call("revoke", *words, "--json").json["revoked"] == 1


def test_to_revoke_what_does_not_stand_finds_nothing(call: Call, own_firm: Path) -> None:
    run = call("revoke", own_firm, CARL, "read", PAYROLL, *BY_ADMIN, "--json")
    assert (run.code, run.json["revoked"]) == (1, 0)


def test_a_member_reads_what_the_group_reads_until_he_leaves(call: Call, own_firm: Path) -> None:
    words = [own_firm, SAM, "acme/group:sales", *BY_ADMIN]
    assert "offer.txt" not in reads(call, own_firm, SAM)
    assert call("member", "add", *words, "--ticket", "T-2", "--json").json["changed"] is True
    assert call("member", "add", *words).code == 0
    assert "offer.txt" in reads(call, own_firm, SAM)
    removed = call("member", "remove", *words, "--json")
    assert (removed.code, removed.json["changed"]) == (0, True)
    assert "offer.txt" not in reads(call, own_firm, SAM)
    again = call("member", "remove", *words, "--json")
    assert (again.code, again.json["changed"]) == (1, False)


def test_why_and_ticket_are_told_to_an_auditor(call: Call, own_firm: Path, offer: str) -> None:
    words = ["--as", ADMIN, "--why", "joins sales", "--ticket", "T-3"]
    assert call("member", "add", own_firm, SAM, "acme/group:sales", *words).code == 0
    shown = call("policy", "show", own_firm, "--as", ADMIN, "--json").json["rows"]
    (row,) = (row for row in shown if row["row"] == f"g, {SAM}, acme/group:sales")
    assert (row["who"], row["why"]) == (ADMIN, "joins sales")


CHANGES = {
    "grant": ["grant", CARL, "read", PAYROLL],
    "revoke": ["revoke", CARL, "read", PAYROLL],
    "member add": ["member", "add", SAM, "acme/group:sales"],
    "member remove": ["member", "remove", CARL, "acme/group:sales"],
}


def change(name: str, store: Path) -> list[object]:
    words = CHANGES[name]
    place = 2 if words[0] == "member" else 1
    return [*words[:place], store, *words[place:]]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("subject", [CARL, "acme/user:nobody"])
def test_who_may_not_administer_changes_nothing(call: Call, firm: Path, name: str, subject: str) -> None:
    run = call(*change(name, firm), "--as", subject, "--why", "mine", "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")
    assert reads(call, firm, CARL) == {"offer.txt", "notes.md"}


@pytest.mark.parametrize("name", ["member add", "member remove"])
def test_who_is_of_another_tenant_changes_no_group(call: Call, firm: Path, name: str) -> None:
    run = call(*change(name, firm), "--as", "borealis/user:bea", "--why", "mine", "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")


def test_a_grant_across_tenants_is_misuse_whatever_exists(call: Call, firm: Path) -> None:
    answers = {
        call("grant", firm, CARL, "read", label, "--as", "borealis/user:bea", "--why", "mine", "--json")
        for label in (PAYROLL, "acme/label:nothing")
    }
    (answer,) = answers
    assert (answer.code, answer.json["error"]["type"]) == (2, "PolicyRefused")


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_without_a_reason_is_misuse(call: Call, firm: Path, name: str) -> None:
    run = call(*change(name, firm), "--as", ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "Usage")
    assert "missing option '--why'" in run.err
    blank = call(*change(name, firm), "--as", ADMIN, "--why", " ", "--json")
    assert (blank.code, blank.json["error"]["type"]) == (2, "InvalidInput")


@pytest.mark.parametrize(
    "words",
    [
        ["grant", "Carl", "read", PAYROLL],
        ["grant", CARL, "peek", PAYROLL],
        ["grant", CARL, "read", "acme/label:nothing"],
        ["grant", CARL, "read", "payroll"],
        ["grant", CARL, "read", PAYROLL, "--until", "2027-01-01"],
        ["grant", CARL, "read", PAYROLL, "--from", "2027-01-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"],
        ["grant", CARL, "read", PAYROLL, "--purpose", "Tax Office"],
    ],
)
def test_a_malformed_grant_is_misuse(call: Call, firm: Path, words: list[str]) -> None:
    run = call(words[0], firm, *words[1:], *BY_ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "PolicyRefused"), run


def test_a_circle_of_groups_is_misuse(call: Call, own_firm: Path) -> None:
    first, second = "acme/group:sales", "acme/group:support"
    assert call("member", "add", own_firm, first, second, *BY_ADMIN).code == 0
    run = call("member", "add", own_firm, second, first, *BY_ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "PolicyRefused")


@pytest.mark.parametrize("option", ["--from", "--until", "--purpose"])
def test_an_empty_bound_is_no_unbounded_grant(call: Call, own_firm: Path, option: str) -> None:
    words = [
        "grant",
        own_firm,
        "acme/user:sam",
        "read",
        "acme/label:cases",
        "--as",
        "acme/user:ada",
        "--why",
        "x",
    ]
    run = call(*words, option, "", "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "PolicyRefused")
    rows = call("policy", "show", own_firm, "--as", "acme/user:ada", "--json").json["rows"]
    assert not [row for row in rows if row["row"].startswith("p, acme/user:sam")]
