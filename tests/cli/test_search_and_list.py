"""What a reader sees of `search` and `list`, as lines and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
CARL, DORA, SAM, NOBODY = "acme/user:carl", "acme/user:dora", "acme/user:sam", "acme/user:nobody"
READS = [["search", "pump"], ["context", "pump"], ["list"]]


def words(read: list[str], store: Path) -> list[object]:
    return [read[0], store, *read[1:]]


def found(run: Any) -> set[str]:
    return {hit["source"]["path"] for hit in run.json["hits"]}


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_two_readers_get_two_answers(call: Call, firm: Path, mode: str) -> None:
    search = ["search", firm, "pump", "--mode", mode, "--json"]
    assert found(call(*search, "--as", CARL)) >= {"notes.md"}
    assert found(call(*search, "--as", CARL)) <= {"notes.md", "offer.txt"}
    assert found(call(*search, "--as", DORA)) == {"salaries.txt"}


def test_a_hit_has_the_promised_keys_and_its_place(call: Call, firm: Path) -> None:
    run = call("search", firm, "offered Meridian", "--as", CARL, "-k", 1, "--json")
    (hit,) = run.json["hits"]
    assert list(hit) == ["id", "document", "source", "rank", "score", "text", "label"]
    assert list(hit["source"]) == ["path", "title", "start", "end", "run", "kind"]
    assert (hit["rank"], hit["text"]) == (1, "We offered Meridian forty pumps at a floor price.")
    assert run.json["readable"] == 2
    assert run.json["complete"] is True


def test_a_label_is_named_to_its_owner_only(call: Call, firm: Path) -> None:
    (salaries,) = call("list", firm, "--as", DORA, "--json").json["documents"]
    assert salaries["label"] == "acme/label:payroll"
    (case,) = call("list", firm, "--as", SAM, "--purpose", "support", "--json").json["documents"]
    assert case["label"] is None


@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_the_answer_for_people_is_on_standard_output_and_nothing_else(
    call: Call, firm: Path, read: list[str]
) -> None:
    run = call(*words(read, firm), "--as", CARL)
    assert (run.code, run.err) == (0, "")
    assert "notes.md" in run.out
    assert "salaries.txt" not in run.out


@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_nothing_found_ends_with_one(call: Call, firm: Path, read: list[str]) -> None:
    run = call(*words(read, firm), "--as", SAM)
    assert (run.code, run.err) == (1, "")


@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_an_unknown_subject_gets_to_the_byte_what_one_without_rights_gets(
    call: Call, firm: Path, read: list[str]
) -> None:
    unknown = call(*words(read, firm), "--as", NOBODY, "--json")
    assert unknown == call(*words(read, firm), "--as", SAM, "--json")
    assert unknown.code == 1
    assert [] in unknown.json.values()


@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_a_purpose_opens_what_is_readable_for_it_only(call: Call, firm: Path, read: list[str]) -> None:
    assert call(*words(read, firm), "--as", SAM, "--purpose", "sales").code == 1
    run = call(*words(read, firm), "--as", SAM, "--purpose", "support")
    assert run.code == 0
    assert "case.txt" in run.out


@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_an_agent_carries_what_it_may_and_takes_away_the_rest(
    call: Call, firm: Path, read: list[str]
) -> None:
    carried = call(*words(read, firm), "--as", CARL, "--via", "acme/agent:desk", "--json")
    alone = call(*words(read, firm), "--as", CARL, "--json")
    assert carried.code == 0
    assert carried.out == alone.out
    assert call(*words(read, firm), "--as", CARL, "--via", "acme/agent:other").code == 1


def test_without_a_subject_the_operating_system_user_asks(call: Call, firm: Path) -> None:
    named = call("list", firm, "--as", "local/user:zoe", "--json")
    unnamed = call("list", firm, "--json", env={"LOGNAME": "zoe"})
    assert (unnamed.code, unnamed.out) == (named.code, named.out)


@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_who_forgot_to_say_who_asks_is_told_as_whom_it_was_asked(
    call: Call, firm: Path, read: list[str]
) -> None:
    run = call(*words(read, firm), env={"LOGNAME": "zoe"})
    assert run.err == "hint: it was asked as local/user:zoe; name somebody else with --as\n"
    assert call(*words(read, firm), "--as", "local/user:zoe").err == ""


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_in_another_form_is_refused_by_its_option_s_name(call: Call, firm: Path, option: str) -> None:
    run = call("search", firm, "pump", "--as", CARL, option, "2026-01-31", "--json")
    assert run.code == 2
    assert run.json["error"]["message"].startswith(f"{option[2:]}: found '2026-01-31'; expected UTC time")


def test_a_login_name_that_is_no_id_is_misuse_and_says_so(call: Call, firm: Path) -> None:
    run = call("list", firm, env={"LOGNAME": "Zoe Q"})
    assert run.code == 2
    assert "Zoe Q" in run.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--as", "Acme/user:carl"], "lower-case ASCII"),
        (["--as", "acme/user:cаrl"], "lower-case ASCII"),
        (["--as", "acme/group:sales"], "expected a user, agent or service"),
        (["--as", CARL, "--purpose", "Support"], "purpose"),
        (["--as", CARL, "--via", "desk"], "expected a user, agent or service"),
    ],
)
@pytest.mark.parametrize("read", READS, ids=lambda read: read[0])
def test_a_malformed_subject_is_misuse(
    call: Call, firm: Path, read: list[str], options: list[str], message: str
) -> None:
    run = call(*words(read, firm), *options, "--json")
    assert run.code == 2
    assert run.json["error"]["type"] == "InvalidIdentifier"
    assert message in run.err


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        ("", [], "query: found an empty text"),
        (" \t", [], "query: found an empty text"),
        ("x" * 10_001, [], "expected at most 10000"),
        ("\udcff", [], "no text in this locale"),
        ("pump", ["-k", "0"], "from 1 to 1000"),
        ("pump", ["-k", "1001"], "from 1 to 1000"),
        ("pump", ["-k", "many"], "'-k'"),
        ("pump", ["--mode", "magic"], "'hybrid', 'vector', 'text'"),
    ],
)
def test_a_malformed_question_is_misuse(
    call: Call, firm: Path, query: str, options: list[str], message: str
) -> None:
    run = call("search", firm, query, *options, "--as", CARL, "--json")
    assert run.code == 2
    assert message in run.json["error"]["message"]


def test_markup_of_a_document_is_text_and_its_controls_are_shown(call: Call, firm: Path) -> None:
    run = call("search", firm, "loud pump", "--as", CARL, "-k", 1)
    assert "␇ The pump is [bold]loud[/bold]" in run.out, "a passage is one line"
    assert "␛[31mred<U+202E>" in run.out
    assert "[red]notes[/red]" in run.out
    assert not CONTROLS.search(run.out)
    listed = call("list", firm, "--as", CARL)
    assert "Pump [red]notes[/red]" in listed.out
    assert not CONTROLS.search(listed.out)


def test_json_has_the_text_as_it_is(call: Call, firm: Path) -> None:
    run = call("search", firm, "loud pump", "--as", CARL, "-k", 1, "--json")
    assert "\x1b[31mred\u202e" in run.json["hits"][0]["text"]


def test_a_piped_table_keeps_each_document_on_one_line(call: Call, firm: Path) -> None:
    run = call("list", firm, "--as", CARL, env={"COLUMNS": "40"})
    head, *rows, count = run.out.splitlines()
    assert head.split() == ["id", "path", "title", "bytes", "modified", "label"]
    assert sorted(row.split()[1] for row in rows) == ["notes.md", "offer.txt"]
    assert count.startswith("readable documents: 2, as of ")
