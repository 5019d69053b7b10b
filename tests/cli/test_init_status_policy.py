"""What `init`, `status`, `policy lint` and `policy show` make and say."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

ADMIN, AUDITOR, CARL = "acme/user:ada", "acme/user:olga", "acme/user:carl"


def test_init_makes_a_store_and_says_where_its_key_is(call: Call, tmp_path: Path) -> None:
    run = call("init", tmp_path / "store", "--admin", "acme/user:zoe", "--json")
    assert (run.code, run.err) == (0, "")
    key = Path(run.json["key_file"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not key.is_relative_to(tmp_path / "store")
    assert (run.json["store"], run.json["admin"], run.json["policy"]) == (
        str(tmp_path / "store"),
        "acme/user:zoe",
        None,
    )
    assert call("policy", "show", tmp_path / "store", "--as", "acme/user:zoe").code == 0


def test_init_prints_the_key_file_for_people(call: Call, tmp_path: Path) -> None:
    run = call("init", tmp_path / "store", env={"LOGNAME": "zoe"})
    lines = dict(line.split(maxsplit=1) for line in run.out.replace("key file", "key").splitlines())
    assert lines["admin"] == "local/user:zoe"
    assert Path(lines["key"]).is_file()


def test_init_takes_a_policy(call: Call, tmp_path: Path, policy_folder: Path) -> None:
    run = call("init", tmp_path / "store", "--policy", policy_folder, "--admin", ADMIN, "--json")
    assert run.json["policy"] == str(policy_folder)
    assert (
        "g, acme/user:carl, acme/group:sales" in call("policy", "show", tmp_path / "store", "--as", ADMIN).out
    )


def test_init_over_something_is_refused(call: Call, firm: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    for place in (firm, tmp_path):
        run = call("init", place, "--admin", ADMIN, "--json")
        assert (run.code, run.json["error"]["type"]) == (1, "StoreError")
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_init_refuses_a_key_inside_the_store(call: Call, tmp_path: Path) -> None:
    inside = {"RINGFENCE_HOME": str(tmp_path / "store" / "keys")}
    run = call("init", tmp_path / "store", "--admin", ADMIN, "--json", env=inside)
    assert (run.code, run.json["error"]["type"]) == (1, "KeyUnavailable")
    assert "RINGFENCE_HOME" in run.json["error"]["hint"]
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (["--admin", "Ada"], "InvalidIdentifier"),
        (["--admin", "acme/group:staff"], "InvalidIdentifier"),
        (["--policy", "no-such-folder"], "PolicyRefused"),
        (["--sealed"], "Usage"),
    ],
)
def test_a_malformed_init_is_misuse_and_leaves_nothing(
    call: Call, tmp_path: Path, options: list[str], kind: str
) -> None:
    run = call("init", tmp_path / "store", *options, "--json")
    assert (run.code, run.json["error"]["type"]) == (2, kind)
    assert not (tmp_path / "store").exists()


def test_without_its_key_a_store_is_refused(call: Call, firm: Path, tmp_path: Path) -> None:
    run = call("list", firm, "--as", CARL, "--json", env={"RINGFENCE_HOME": str(tmp_path)})
    assert (run.code, run.json["error"]["type"]) == (1, "KeyUnavailable")
    assert "offer.txt" not in run.out + run.err


def test_a_store_of_another_version_is_refused(call: Call, own_firm: Path) -> None:
    marker = own_firm / "store.json"
    marker.write_text(marker.read_text("utf-8").replace('"format": 1', '"format": 99'), "utf-8")
    run = call("status", own_firm, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "StoreVersionMismatch")


@pytest.mark.parametrize("command", ["ingest", "search", "list", "why", "who", "log", "status"])
def test_a_path_without_a_store_is_misuse_and_stays_without(call: Call, tmp_path: Path, command: str) -> None:
    more = {"ingest": [tmp_path], "search": ["pump"], "why": ["x"], "who": ["0" * 32]}
    run = call(command, tmp_path / "nothing", *more.get(command, []), "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "InvalidInput")
    assert "ringfence init" in run.err
    assert not (tmp_path / "nothing").exists()


def test_status_gives_numbers_to_auditors_and_administrators_only(call: Call, firm: Path) -> None:
    for subject in (ADMIN, AUDITOR):
        assert call("status", firm, "--as", subject, "--json").json["rows"]["documents"] == 4
    plain = call("status", firm, "--as", CARL, "--json")
    assert (plain.code, list(plain.json)) == (0, ["format", "mode", "health"])
    assert plain == call("status", firm, "--as", "acme/user:nobody", "--json")


def test_status_is_a_line_for_each_fact(call: Call, firm: Path) -> None:
    run = call("status", firm, "--as", ADMIN)
    shown = dict(line.rsplit(maxsplit=1) for line in run.out.splitlines())
    assert (shown["mode"], shown["rows documents"]) == ("sealed", "4")


def test_show_is_for_administrators(call: Call, firm: Path) -> None:
    run = call("policy", "show", firm, "--as", ADMIN, "--json")
    assert run.code == 0
    assert run.json["count"] == len(run.json["rows"])
    assert {"row", "at", "who", "why"} == set(run.json["rows"][0])
    for subject in (CARL, "acme/user:nobody"):
        refused = call("policy", "show", firm, "--as", subject, "--json")
        assert (refused.code, refused.json["error"]["type"]) == (1, "Refused")


def test_lint_counts_what_a_valid_policy_holds(call: Call, policy_folder: Path) -> None:
    run = call("policy", "lint", policy_folder, "--json")
    assert run.code == 0
    assert run.json == {"valid": True, "rules": 6, "links": 2, "facts": 1, "labels": 2, "findings": []}
    assert call("policy", "lint", policy_folder).out == "valid: 6 rules, 2 links, 1 facts, 2 labels\n"


def test_lint_lists_everything_wrong_with_file_and_line(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "policy.csv"
    file.write_text(
        "p, *, *, *, read, owner, *, -, -, Allow\n\np, *, *, *, peek, owner, *, -, -, allow\n", "utf-8"
    )
    run = call("policy", "lint", tmp_path, "--json")
    assert (run.code, run.json["valid"]) == (2, False)
    assert [(each["file"], each["line"]) for each in run.json["findings"]] == [(str(file), 1), (str(file), 3)]
    shown = call("policy", "lint", tmp_path)
    assert shown.code == 2
    assert [line.split(": ")[0] for line in shown.out.splitlines()] == [f"{file}:1", f"{file}:3", "not valid"]


def test_lint_of_no_policy_is_misuse(call: Call, tmp_path: Path) -> None:
    assert call("policy", "lint", tmp_path / "nothing").code == 2
