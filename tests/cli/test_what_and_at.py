"""What `what` tells a reader, an auditor and somebody without rights, and `--at` of a time that is past."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.key_file import keys_home

Call = Callable[..., Any]

CARL, SAM, NOBODY, AUDITOR, ADMIN = (
    "acme/user:carl",
    "acme/user:sam",
    "acme/user:nobody",
    "acme/user:olga",
    "acme/user:ada",
)
DORA, BEA = "acme/user:dora", "borealis/user:bea"
UNKNOWN_ID, LONG_AGO, TO_COME = "0" * 32, "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def this_second_is_over() -> str:
    """Return the time, and let its second go by: what is changed next is changed later."""
    at = datetime.now(UTC)
    time.sleep(1.05 - at.microsecond / 1e6)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_reader_is_told_how_much_he_reads(call: Call, firm: Path) -> None:
    run = call("what", firm, "--as", CARL, "--json")
    assert (run.code, run.json["labels"], run.json["documents"]) == (0, [{"label": None, "documents": 2}], 2)
    listed = call("list", firm, "--as", CARL, "--json").json
    assert run.json["as_of"] == listed["as_of"]
    with_ids = call("what", firm, "--as", CARL, "--documents", "--json").json["labels"][0]["ids"]
    assert with_ids == sorted(each["id"] for each in listed["documents"])
    owner = call("what", firm, "--as", DORA, "--json").json
    assert owner["labels"] == [{"label": "acme/label:payroll", "documents": 1}]


def test_the_lines_say_what_the_object_says(call: Call, firm: Path) -> None:
    assert call("what", firm, "--as", CARL).out == (
        f"read by {CARL}\n     2 documents under a label without a name\n"
    )
    lines = call("what", firm, SAM, "--as", AUDITOR, "--purpose", "support", "--documents").out.splitlines()
    assert lines[0] == f"read by {SAM} for support"
    assert lines[1] == "     1 documents under acme/label:cases"
    assert "owner acme/user:dora, readers acme/group:support" in lines[2]
    assert lines[3].startswith("  document ")
    assert lines[4] == "labels: 1, and 0 that you may not audit"


def test_a_purpose_and_a_chain_are_of_the_one_who_is_asked_about(call: Call, firm: Path) -> None:
    words = ["what", firm, SAM, "--as", AUDITOR, "--json"]
    assert call(*words).code == 1
    assert call(*words, "--purpose", "support").json["documents"] == 1
    chain = call(*words, "--purpose", "support", "--via", "acme/agent:desk").json
    assert (chain["documents"], chain["via"]) == (1, ["acme/agent:desk"])
    other = call(*words, "--purpose", "support", "--via", "acme/agent:other")
    assert (other.code, other.json["labels"]) == (1, [])
    own = call("what", firm, "--as", SAM, "--purpose", "support", "--json")
    assert (own.code, own.json["documents"]) == (0, 1)


def test_another_action_is_asked_about(call: Call, firm: Path) -> None:
    run = call("what", firm, AUDITOR, "--as", AUDITOR, "--action", "audit", "--json")
    assert (run.code, run.json["action"], run.json["documents"]) == (0, "audit", 4)
    bad = call("what", firm, AUDITOR, "--as", AUDITOR, "--action", "fly", "--json")
    assert (bad.code, bad.json["error"]["type"]) == (2, "InvalidInput")


@pytest.mark.parametrize("words", [["--at", LONG_AGO], ["--action", "ingest"]])
def test_of_oneself_only_what_one_reads_now_is_told(call: Call, firm: Path, words: list[str]) -> None:
    run = call("what", firm, "--as", AUDITOR, *words, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "Usage")
    assert "without SUBJECT" in run.json["error"]["message"]


def test_a_reader_is_told_why_he_may_read_what_was_found_at_a_time(
    call: Call, own_firm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keys of its own: a new document's key is of no other copy of the store.
    monkeypatch.setenv("RINGFENCE_HOME", str(shutil.copytree(keys_home(), tmp_path / "home")))
    (tmp_path / "files").mkdir()
    ingest = ["ingest", own_firm, tmp_path / "files", "--as", "acme/user:ingester", "--owner", CARL]
    search = ["search", own_firm, "flange", "--as", CARL, "--mode", "text", "--json"]
    (tmp_path / "files" / "a.txt").write_text("A flange of then.")
    assert call(*ingest).code == 0
    at = this_second_is_over()
    (tmp_path / "files" / "a.txt").write_text("A gasket of now.")
    assert call(*ingest).code == 0
    assert call(*search).code == 1
    (hit,) = call(*search, "--at", at).json["hits"]
    why = ["why", own_firm, hit["id"], "--as", CARL]
    assert call(*why, "--json").json["error"]["type"] == "NotReadable"
    explained = call(*why, "--at", at, "--json").json
    assert (explained["decision"], explained["document"]) == ("allow", hit["document"])
    assert f"allow: {CARL}, read passage {hit['id']} of document" in call(*why, "--at", at).out
    assert call("why", own_firm, "a.txt", "--as", CARL, "--at", at).code == 0
    # Of another's passage, and of none: one answer.
    assert (
        len({call("why", own_firm, each, "--as", SAM, "--at", at) for each in (hit["id"], UNKNOWN_ID)}) == 1
    )


def test_a_reader_is_told_by_the_rights_of_now_and_an_auditor_by_those_of_then(
    call: Call, own_firm: Path, offer: str
) -> None:
    grant = [SAM, "read", "*", "--as", ADMIN]
    assert call("grant", own_firm, *grant, "--why", "the audit").code == 0
    at = this_second_is_over()
    why = ["why", own_firm, offer, "--as", SAM, "--at", at, "--json"]
    assert call(*why).json["decision"] == "allow"
    assert call("revoke", own_firm, *grant, "--why", "it is over").code == 0
    assert call(*why).json["error"]["type"] == "NotReadable"
    assert call(*why, "--by", AUDITOR).json["decision"] == "allow"


@pytest.mark.parametrize(
    ("at", "code", "kind"),
    [(LONG_AGO, 1, "Gone"), (TO_COME, 2, "InvalidInput"), ("now", 2, "InvalidIdentifier")],
)
def test_a_reader_cannot_ask_why_of_any_time(
    call: Call, firm: Path, offer: str, at: str, code: int, kind: str
) -> None:
    for object_id in (offer, UNKNOWN_ID, "offer.txt"):
        for who in (CARL, NOBODY):
            run = call("why", firm, object_id, "--as", who, "--at", at, "--json")
            assert (run.code, run.json["error"]["type"]) == (code, kind)


@pytest.mark.parametrize("who", [CARL, NOBODY, ADMIN, BEA])
def test_who_may_audit_nothing_gets_one_answer_to_the_byte(
    call: Call, firm: Path, offer: str, who: str
) -> None:
    times = ([], ["--at", LONG_AGO], ["--at", TO_COME])
    about = [
        call("what", firm, name, "--as", who, *at, "--json") for at in times for name in (SAM, NOBODY, BEA)
    ]
    objects = [
        call(*words, *at, "--json")
        for at in times
        for found in (offer, UNKNOWN_ID)
        for words in (["who", firm, found, "--as", who], ["why", firm, found, "--as", SAM, "--by", who])
    ]
    assert len(set(about)) == len(set(objects)) == 1
    assert (about[0].code, about[0].json["error"]["type"]) == (1, "Refused")
    assert (objects[0].code, objects[0].json["error"]["type"]) == (1, "NotReadable")


def test_what_is_asked_of_then_is_answered_of_then(call: Call, own_firm: Path, offer: str) -> None:
    grant = [SAM, "read", "*", "--as", ADMIN]
    assert call("grant", own_firm, *grant, "--why", "the audit", "--ticket", "T-1").code == 0
    at = this_second_is_over()
    assert call("revoke", own_firm, *grant, "--why", "it is over").code == 0
    why, who = (
        ["why", own_firm, offer, "--as", SAM, "--by", AUDITOR],
        ["who", own_firm, offer, "--as", AUDITOR],
    )
    what = ["what", own_firm, SAM, "--as", AUDITOR]
    assert (call(*why, "--json").json["decision"], call(*why, "--at", at, "--json").json["decision"]) == (
        "deny",
        "allow",
    )
    assert (call(*who, "--json").json["readers"], call(*who, "--at", at, "--json").json["readers"]) == (
        [CARL],
        [CARL, SAM],
    )
    assert (call(*what, "--json").json["documents"], call(*what, "--at", at, "--json").json["documents"]) == (
        0,
        2,
    )
    shown = call(*why, "--at", at).out
    assert f"at {at}: labels as they were published then" in shown
    assert f"by {ADMIN}: the audit, ticket T-1\n    revoked " in shown
    assert f"by {ADMIN}: it is over\n" in shown
    assert call(*who, "--at", at).out == f"at {at}: labels as they were published then\n{CARL}\n{SAM}\n"


def test_before_the_store_nothing_was_and_of_what_is_to_come_nothing_is_told(
    call: Call, firm: Path, offer: str
) -> None:
    questions = [
        ["why", firm, offer, "--as", CARL, "--by", AUDITOR],
        ["who", firm, offer, "--as", AUDITOR],
        ["what", firm, CARL, "--as", AUDITOR],
    ]
    before = [call(*words, "--at", LONG_AGO, "--json") for words in questions]
    assert [run.code for run in before] == [0, 1, 1]
    assert {run.json["label_as_of"] for run in before} == {"absent"}
    assert call(*questions[0], "--at", LONG_AGO).out.startswith(f"no answer: {CARL}, read document {offer}\n")
    for words in questions:
        assert call(*words, "--at", TO_COME, "--json").json["error"]["type"] == "InvalidInput"
        bad = call(*words, "--at", "noon", "--json")
        assert (bad.code, bad.json["error"]["type"]) == (2, "InvalidIdentifier")
