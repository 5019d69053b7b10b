"""Every block of README.md is executed, and what it prints is what it says it prints."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((REPO / "README.md").read_text(encoding="utf-8"))
SCORE = re.compile(r"\d+\.\d+")
ID = re.compile(r"\b[0-9a-f]{32}\b")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(REPO / "examples", folder / "examples")
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "RINGFENCE_HOME": str(place / "keys"), "PATH": binaries, "COLUMNS": "160"}


def of_kind(kind: str) -> list[str]:
    return [body for found, body in BLOCKS if found == kind]


def test_every_block_is_of_a_kind_that_is_executed_here() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "text"}
    programs = [body for kind, body in BLOCKS if kind == "python" or (kind == "sh" and "ringfence" in body)]
    assert len(of_kind("text")) == len(programs) == 3


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = [
        shlex.split(line, comments=True)[1]
        for body in of_kind("sh")
        for line in body.splitlines()
        if line.startswith("make ")
    ]
    assert targets[:2] == ["demo", "test"]
    for target in targets:
        assert f"\n{target}: " in makefile


def test_the_readmes_programs_print_what_the_readme_shows(
    place: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = iter(of_kind("text"))
    names: dict[str, object] = {}
    for kind, body in BLOCKS:
        if kind == "python":
            assert same(run_python(body, names), next(expected))
        elif kind == "sh" and "ringfence" in body:
            assert same(run_shell(body, environment, place), next(expected))


def test_the_demo_runs_and_finds_no_word_on_the_side_paths(
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process, which has loaded the model already."""
    examples = tmp_path / "examples"
    shutil.copytree(REPO / "examples", examples)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(examples / "demo.py"), run_name="__main__")
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed
    assert "in any byte of the store: none" in printed.out


def run_python(body: str, names: dict[str, object]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(body, "README.md", "exec"), names)
    return printed.getvalue()


def run_shell(body: str, environment: dict[str, str], place: Path) -> str:
    run = subprocess.run(
        ["bash", "-euc", body], env=environment, cwd=place, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def same(printed: str, shown: str) -> bool:
    """Whether the two say the same: scores to two digits, ids whichever they are."""
    return rounded(printed) == rounded(shown)


def rounded(text: str) -> str:
    scores = SCORE.sub(lambda number: f"{float(number[0]):.2f}", text)
    return ID.sub("ID", scores).strip()
