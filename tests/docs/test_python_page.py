"""docs/python.md: its programs, one after the other, print what the page shows; its table names public errors."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

import ringfence

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_programs_print_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path / "keys"))
    assert [kind for kind, _ in BLOCKS] == ["python", "text"] * 5
    names: dict[str, object] = {"__name__": "__main__"}
    for (_, program), (_, shown) in zip(BLOCKS[::2], BLOCKS[1::2], strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(program, PAGE.name, "exec"), names)
        assert printed.getvalue() == shown


def test_every_error_of_the_table_is_public() -> None:
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named
    for name in named:
        assert issubclass(getattr(ringfence, name), ringfence.RingfenceError)
