"""A standing store's policy becomes what files say; what that would do is told before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

ADMIN, CARL, SAM, INGESTER = (f"acme/user:{name}" for name in ("ada", "carl", "sam", "ingester"))
MEMBER = "g, acme/user:carl, acme/group:support"
BY_ADMIN = ["--as", ADMIN, "--why", "as reviewed", "--ticket", "PR-7"]


@pytest.fixture
def files(policy_folder: Path, tmp_path: Path) -> Path:
    """The files the store was made with, in which carl joined support and sam left."""
    folder = Path(shutil.copytree(policy_folder, tmp_path / "files"))
    text = (folder / "policy.csv").read_text("utf-8")
    changed = text.replace("g, acme/user:sam, acme/group:support", MEMBER)
    (folder / "policy.csv").write_text(changed, "utf-8")
    return folder


def reads(call: Call, store: Path, subject: str) -> set[str]:
    found = call("list", store, "--as", subject, "--purpose", "support", "--json").json["documents"]
    return {each["path"] for each in found}


def rows(call: Call, store: Path) -> set[str]:
    return {each["row"] for each in call("policy", "show", store, "--as", ADMIN, "--json").json["rows"]}


def test_the_difference_is_told_and_then_applied(call: Call, own_firm: Path, files: Path) -> None:
    before = rows(call, own_firm)
    told = call("policy", "diff", own_firm, files, "--as", ADMIN, "--json")
    assert (told.code, told.err) == (1, "")
    assert [(each["subject"], each["object"], each["purpose"]) for each in told.json["opens"]] == [
        (CARL, "acme/label:cases", "support")
    ]
    assert [(each["subject"], each["object"], each["purpose"]) for each in told.json["closes"]] == [
        (SAM, "acme/label:cases", "support")
    ]
    assert (told.json["refusals"], told.json["complete"]) == ([], True)
    assert rows(call, own_firm) == before
    assert "case.txt" in reads(call, own_firm, SAM)

    done = call("policy", "apply", own_firm, files, *BY_ADMIN, "--json")
    assert (done.code, done.json["changed"]) == (0, True)
    assert (done.json["added"], done.json["removed"]) == ([MEMBER], ["g, acme/user:sam, acme/group:support"])
    assert {each["row"] for each in done.json["kept"]} == {
        f"p, {INGESTER}, acme, *, ingest, any, *, -, -, allow",
        f"p, {INGESTER}, acme, acme/policy, administer, any, *, -, -, allow",
    }
    assert "case.txt" in reads(call, own_firm, CARL)
    assert "case.txt" not in reads(call, own_firm, SAM)
    (row,) = (
        each
        for each in call("policy", "show", own_firm, "--as", ADMIN, "--json").json["rows"]
        if each["row"] == MEMBER
    )
    assert (row["who"], row["why"]) == (ADMIN, "as reviewed")


def test_what_stands_already_is_done_and_differs_in_nothing(
    call: Call, own_firm: Path, policy_folder: Path
) -> None:
    told = call("policy", "diff", own_firm, policy_folder, "--as", ADMIN)
    assert told.code == 0
    assert told.out.splitlines()[-1].startswith("opens 0, closes 0, as of ")
    done = call("policy", "apply", own_firm, policy_folder, *BY_ADMIN)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "stands already: 0 added, 0 removed, 0 defined, 0 redefined"


def test_a_policy_csv_alone_is_enough(call: Call, own_firm: Path, files: Path) -> None:
    done = call("policy", "apply", own_firm, files / "policy.csv", *BY_ADMIN, "--json")
    assert (done.code, done.json["added"]) == (0, [MEMBER])
    assert done.json["kept_labels"] == ["acme/label:cases", "acme/label:payroll"]


def test_people_see_what_goes_what_comes_and_whom_it_concerns(
    call: Call, own_firm: Path, files: Path
) -> None:
    told = call("policy", "diff", own_firm, files, "--as", ADMIN).out.splitlines()
    assert f"+ {MEMBER}" in told
    assert "- g, acme/user:sam, acme/group:support" in told
    assert f"opens  {CARL}, read acme/label:cases, for support" in told
    assert f"closes  {SAM}, read acme/label:cases, for support" in told


def test_a_difference_in_another_action(call: Call, own_firm: Path, files: Path) -> None:
    with (files / "policy.csv").open("a", encoding="utf-8") as opened:
        opened.write(f"p, {SAM}, acme, acme/policy, administer, any, *, -, -, allow\n")
    told = call("policy", "diff", own_firm, files, "--as", ADMIN, "--action", "administer", "--json")
    assert [(each["subject"], each["object"]) for each in told.json["opens"]] == [(SAM, "acme/policy")]
    wrong = call("policy", "diff", own_firm, files, "--as", ADMIN, "--action", "delegate", "--json")
    assert (wrong.code, wrong.json["error"]["type"]) == (2, "InvalidInput")


def test_a_broken_file_is_misuse_names_its_lines_and_changes_nothing(
    call: Call, own_firm: Path, files: Path
) -> None:
    before = rows(call, own_firm)
    with (files / "policy.csv").open("a", encoding="utf-8") as opened:
        opened.write("g, acme/user:Carl, acme/group:sales\n")
    last = len((files / "policy.csv").read_text("utf-8").splitlines())
    for words in (["apply", own_firm, files, *BY_ADMIN], ["diff", own_firm, files, "--as", ADMIN]):
        run = call("policy", *words, "--json")
        assert (run.code, run.json["error"]["type"]) == (2, "PolicyRefused")
        assert f"{files / 'policy.csv'}:{last}: member 'acme/user:Carl'" in run.json["error"]["message"]
    assert rows(call, own_firm) == before


def test_what_may_not_be_applied_is_refused_with_every_reason_and_told_by_diff(
    call: Call, own_firm: Path, files: Path
) -> None:
    text = (files / "policy.csv").read_text("utf-8")
    gone = "\n".join(line for line in text.splitlines() if "administer" not in line)
    (files / "policy.csv").write_text(f"{gone}\n", "utf-8")
    (files / "labels.yaml").write_text("labels:\n  acme/label:payroll: {owner: acme/user:dora}\n", "utf-8")
    before = rows(call, own_firm)
    run = call("policy", "apply", own_firm, files, *BY_ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")
    for part in ("acme/label:payroll would be lower", f"{ADMIN} could no longer administer"):
        assert part in run.json["error"]["message"]
    assert run.json["error"]["hint"]
    assert rows(call, own_firm) == before
    told = call("policy", "diff", own_firm, files, "--as", ADMIN, "--json")
    assert len(told.json["refusals"]) == 2


@pytest.mark.parametrize("subject", [CARL, "acme/user:nobody", "borealis/user:bea"])
@pytest.mark.parametrize("name", ["apply", "diff"])
def test_who_may_not_administer_does_neither(
    call: Call, firm: Path, files: Path, subject: str, name: str
) -> None:
    why = ["--why", "mine"] if name == "apply" else []
    run = call("policy", name, firm, files, "--as", subject, *why, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Refused")
    assert "case.txt" in reads(call, firm, SAM)


def test_to_apply_without_a_reason_is_misuse(call: Call, firm: Path, files: Path) -> None:
    run = call("policy", "apply", firm, files, "--as", ADMIN, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "Usage")
