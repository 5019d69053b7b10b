"""What `why`, `who` and `log` tell a reader, an auditor, and somebody without rights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CARL, SAM, NOBODY, AUDITOR = "acme/user:carl", "acme/user:sam", "acme/user:nobody", "acme/user:olga"
UNKNOWN_ID = "0" * 32


def test_a_reader_is_told_his_own_rules_and_his_own_path(call: Call, firm: Path, offer: str) -> None:
    run = call("why", firm, offer, "--as", CARL, "--json")
    assert (run.code, run.err) == (0, "")
    assert run.json["decision"] == "allow"
    rules = {rule["rule"].split(", ")[5] for rule in run.json["rules"]}
    assert rules == {"owner", "reader"}
    assert "acme/group:sales" in str(run.json["rules"])
    assert "label_definition" not in run.json


def test_the_path_of_a_document_is_as_good_as_its_id(call: Call, firm: Path, offer: str) -> None:
    assert call("why", firm, "offer.txt", "--as", CARL, "--json").json["document"] == offer


def test_the_lines_name_the_rule_and_the_way_to_it(call: Call, firm: Path, offer: str) -> None:
    run = call("why", firm, offer, "--as", CARL)
    assert run.code == 0
    assert run.out.startswith(f"allow: {CARL}, read document {offer}\n")
    assert "rule      p, *, *, *, read, reader, *, -, -, allow" in run.out
    assert f"{CARL} → acme/group:sales" in run.out


def test_unknown_and_unreadable_are_one_answer_to_the_byte(call: Call, firm: Path, offer: str) -> None:
    answers = {
        call("why", firm, object_id, "--as", subject, *json)
        for object_id in (offer, UNKNOWN_ID, "offer.txt", "no such path")
        for subject in (SAM, NOBODY)
        for json in ([], ["--json"])
    }
    assert {answer.code for answer in answers} == {1}
    assert len({answer.err for answer in answers}) == 1
    (json,) = (answer for answer in answers if answer.out)
    assert json.json["error"]["type"] == "NotReadable"


def test_an_auditor_is_told_everything_of_a_denial(call: Call, firm: Path, offer: str) -> None:
    run = call("why", firm, offer, "--as", SAM, "--by", AUDITOR, "--json")
    assert (run.code, run.json["decision"], run.json["subject"]) == (0, "deny", SAM)
    (definition,) = run.json["label_definition"]
    assert definition["readers"] == ["acme/group:sales"]
    shown = call("why", firm, offer, "--as", SAM, "--by", AUDITOR)
    assert shown.out.startswith("deny: ")
    assert "\n  owner acme/user:carl, readers acme/group:sales\n" in shown.out


def test_an_auditor_is_told_who_granted(call: Call, firm: Path, offer: str) -> None:
    run = call("why", firm, offer, "--as", CARL, "--by", AUDITOR)
    assert run.code == 0
    assert "by acme/user:ingester: the store was made" in run.out


def test_a_reason_cannot_command_the_auditors_terminal(call: Call, own_firm: Path, offer: str) -> None:
    words = ["--as", "acme/user:ada", "--why", "joins\x1b]0;x\x07 [red]"]
    assert call("grant", own_firm, SAM, "read", "*", *words).code == 0
    shown = [
        call("why", own_firm, offer, "--as", SAM, "--by", AUDITOR),
        call("policy", "show", own_firm, "--as", "acme/user:ada"),
    ]
    assert all("joins␛]0;x␇ [red]" in run.out for run in shown)


@pytest.mark.parametrize("by", [SAM, NOBODY, CARL, "borealis/user:bea"])
def test_who_may_not_audit_gets_no_explanation_of_others(call: Call, firm: Path, offer: str, by: str) -> None:
    for object_id in (offer, UNKNOWN_ID):
        run = call("why", firm, object_id, "--as", CARL, "--by", by, "--json")
        assert (run.code, run.json["error"]["type"]) == (1, "NotReadable")


def test_an_auditor_asks_about_a_purpose_and_a_chain(call: Call, firm: Path) -> None:
    (case,) = call("list", firm, "--as", SAM, "--purpose", "support", "--json").json["documents"]
    words = ["why", firm, case["id"], "--as", SAM, "--by", AUDITOR, "--json"]
    assert call(*words).json["decision"] == "deny"
    assert call(*words, "--purpose", "support").json["decision"] == "allow"
    carried = call(*words, "--purpose", "support", "--via", "acme/agent:other").json
    assert carried["decision"] == "deny"
    assert [verdict["actor"] for verdict in carried["verdicts"]] == [SAM, "acme/agent:other"]


def test_who_lists_those_who_may_read_now(call: Call, firm: Path, offer: str) -> None:
    run = call("who", firm, offer, "--as", AUDITOR, "--json")
    assert (run.code, run.json["readers"]) == (0, [CARL])
    assert call("who", firm, offer, "--as", AUDITOR).out == f"{CARL}\n"


def test_who_lists_those_who_may_read_for_a_purpose_only(call: Call, firm: Path) -> None:
    (case,) = call("list", firm, "--as", SAM, "--purpose", "support", "--json").json["documents"]
    run = call("who", firm, case["id"], "--as", AUDITOR, "--json")
    assert (run.code, run.json["readers"]) == (0, [])
    assert run.json["purposes"] == {"support": ["acme/user:dora", SAM]}
    assert (
        call("who", firm, case["id"], "--as", AUDITOR).out
        == f"acme/user:dora for support\n{SAM} for support\n"
    )


@pytest.mark.parametrize("subject", [CARL, SAM, NOBODY])
def test_who_tells_nobody_but_auditors(call: Call, firm: Path, offer: str, subject: str) -> None:
    answers = {call("who", firm, each, "--as", subject, "--json") for each in (offer, UNKNOWN_ID)}
    assert len(answers) == 1
    (answer,) = answers
    assert (answer.code, answer.json["error"]["type"]) == (1, "NotReadable")


def test_the_log_shows_an_auditor_each_question(call: Call, own_firm: Path) -> None:
    before = call("log", own_firm, "--as", AUDITOR, "--json").json["count"]
    assert call("search", own_firm, "pump", "--as", CARL).code == 0
    assert call("why", own_firm, UNKNOWN_ID, "--as", SAM).code == 1
    run = call("log", own_firm, "--as", AUDITOR, "--json")
    new = run.json["records"][before:]
    assert [(each["verb"], each["outcome"], each["subject"]) for each in new] == [
        ("log", "allowed", AUDITOR),
        ("search", "allowed", CARL),
        ("why", "refused", SAM),
    ]
    assert run.json["count"] == len(run.json["records"])
    lines = call("log", own_firm, "--as", AUDITOR).out.splitlines()
    assert lines[0].split()[:5] == ["at", "verb", "action", "outcome", "subject"]
    assert (
        lines[-1].split()[-1]
        == call("log", own_firm, "--as", AUDITOR, "--json").json["records"][-2]["record"]
    )
    assert "pump" not in "".join(lines)
    # The policy's own changes are told in the same place.
    assert any("p, acme/" in line or "p, *" in line for line in lines)
    newest = call("log", own_firm, "--as", AUDITOR, "--last", "2", "--json").json
    assert newest["count"] == 2
    assert [each["verb"] for each in newest["records"]] == ["log", "log"]
    assert call("log", own_firm, "--as", AUDITOR, "--last", "0").code == 2


@pytest.mark.parametrize("subject", [CARL, NOBODY, "borealis/user:bea"])
def test_the_log_is_refused_to_all_others(call: Call, firm: Path, subject: str) -> None:
    run = call("log", firm, "--as", subject, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")
    assert run.err.startswith("error: ")
    assert "\nhint: " in run.err


@pytest.mark.parametrize("command", ["why", "who"])
def test_an_object_that_can_be_no_id_is_misuse(call: Call, firm: Path, command: str) -> None:
    run = call(command, firm, "x" * 10_000, "--as", AUDITOR, "--json")
    assert run.code == 2
    assert "x" * 100 not in run.err


@pytest.mark.parametrize("subject", [AUDITOR, CARL, NOBODY])
def test_who_is_asked_of_an_id_and_a_path_is_misuse_to_anybody(call: Call, firm: Path, subject: str) -> None:
    answers = [call("who", firm, path, "--as", subject) for path in ("offer.txt", "nowhere.txt")]
    assert [answer.code for answer in answers] == [2, 2]
    assert answers[0].err == answers[1].err
    assert "expected 32 hexadecimal digits" in answers[0].err
