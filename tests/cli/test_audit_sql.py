"""audit sql, shell, export and check: an auditor's questions on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]
CARL, AUDITOR = "acme/user:carl", "acme/user:olga"


def test_one_question_is_a_table_for_people_and_an_object_for_programs(
    call: Call, firm: Path, offer: str
) -> None:
    query = f"SELECT subject FROM who_can('{offer}') ORDER BY subject"
    shown = call("audit", "sql", firm, query, "--as", AUDITOR)
    assert shown.code == 0
    assert CARL in shown.out
    found = call("audit", "sql", firm, query, "--as", AUDITOR, "--json").json
    assert found["columns"] == ["subject"]
    assert [CARL] in found["rows"]


def test_a_question_without_a_row_is_exit_code_1_and_a_wrong_one_2(call: Call, firm: Path) -> None:
    assert call("audit", "sql", firm, "FROM erasures", "--as", AUDITOR).code == 1
    wrong = call("audit", "sql", firm, "ATTACH 'x'", "--as", AUDITOR)
    assert wrong.code == 2
    assert wrong.err == "error: question: found a statement of another kind; expected one SELECT\n"


def test_who_may_audit_nothing_is_refused(call: Call, firm: Path, tmp_path: Path) -> None:
    for words in (["sql", firm, "FROM labels"], ["shell", firm], ["export", firm, tmp_path / "x.duckdb"]):
        assert call("audit", *words, "--as", CARL).code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_shell_answers_question_by_question_and_goes_on_after_an_error(call: Call, firm: Path) -> None:
    asked = "SELECT 1 AS one;\nSELEC;\nSELECT\n  2 AS two;\n\\?\nFROM range(3)"
    found = call("audit", "shell", firm, "--as", AUDITOR, "--json", stdin=asked)
    answers = found.json["answers"]
    assert [each.get("rows") for each in answers] == [[[1]], None, [[2]], [[0], [1], [2]]]
    assert "expected one SELECT" in answers[1]["error"]["message"]
    shown = call(
        "audit", "shell", firm, "--as", AUDITOR, stdin="\\?\nSELECT 1 AS one;\n\\q\nSELECT 9 AS nine;"
    )
    assert ("who_can(asked)" in shown.out, "one" in shown.out, "nine" in shown.out) == (True, True, False)


def test_a_file_is_exported_and_checked(call: Call, firm: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.duckdb"
    made = call("audit", "export", firm, file, "--as", AUDITOR, "--json").json
    assert made["file"] == str(file)
    assert call("audit", "check", file, "--public-key", made["public_key"]).code == 0
    mistyped = call("audit", "check", file, "--public-key", made["public_key"][:-1])
    assert (mistyped.code, "expected 64 hexadecimal digits" in mistyped.err) == (2, True)
    file.write_bytes(file.read_bytes()[:-1])
    broken = call("audit", "check", file, "--public-key", made["public_key"])
    assert (broken.code, "not the one that was signed" in broken.out) == (1, True)
