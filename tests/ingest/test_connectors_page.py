"""docs/connectors.md: its programs run and print what the page shows; its tables name every field."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from pathlib import Path

import pytest

from ringfence_ingest.documents import Document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
PROGRAMS = [body for kind, body in BLOCKS if kind == "python"]
ANSWERS = [body for kind, body in BLOCKS if kind == "text"]


def test_every_program_has_its_answer() -> None:
    assert len(PROGRAMS) == len(ANSWERS) == 2


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_prints_what_the_page_shows(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path / "keys"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(PROGRAMS[number], f"{PAGE.name} program {number}", "exec"), {"__name__": "__main__"})
    assert printed.getvalue() == ANSWERS[number]


def test_every_field_of_a_document_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert described == [field.name for field in dataclasses.fields(Document)]
