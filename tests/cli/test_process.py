"""What only a process of its own shows: pipes, terminals, locales, and the exit code the shell sees."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CARL, INGESTER = "acme/user:carl", "acme/user:ingester"
TIMEOUT_S = 120


@pytest.fixture(scope="session")
def paths() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_the_shell_sees_answer_and_code(call_process: Call, firm: Path) -> None:
    run = call_process("search", firm, "pump", "--as", CARL, "--json")
    assert (run.code, run.err) == (0, "")
    assert run.json["readable"] == 2
    none = call_process("search", firm, "pump", "--as", "acme/user:nobody", "--json")
    assert (none.code, none.json["hits"]) == (1, [])
    misuse = call_process("search", firm, "--json")
    assert (misuse.code, misuse.json["error"]["type"]) == (2, "Usage")
    assert misuse.err.startswith("error: missing argument 'QUERY'\nhint: ")


def test_a_trace_never_shows_unless_asked_for(call_process: Call, own_firm: Path) -> None:
    """The catalog is damaged on purpose."""
    (own_firm / "catalog.db").write_bytes(b"no database" * 1000)
    run = call_process("list", own_firm, "--as", CARL, "--json")
    assert (run.code, list(run.json)) == (1, ["error"])
    assert "Traceback" not in run.err
    traced = call_process("list", own_firm, "--as", CARL, env={"RINGFENCE_DEBUG": "1"})
    assert traced.code == 1
    assert "Traceback" in traced.err


def test_a_closed_pipe_ends_quietly(firm: Path, paths: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        run = subprocess.run(
            [sys.executable, "-m", "ringfence", "list", str(firm), "--as", CARL],
            env=os.environ | paths,
            stdin=subprocess.DEVNULL,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert (run.returncode, run.stderr) == (1, b"")


def test_a_locale_that_cannot_write_a_name_shows_it_escaped(
    call_process: Call, own_firm: Path, tmp_path: Path
) -> None:
    file = tmp_path / "café.txt"
    file.write_text("The pump.\n", "utf-8")
    words = ["ingest", own_firm, file, "--as", INGESTER, "--owner", CARL, "--embedder", "hash"]
    assert call_process(*words).code == 0
    run = call_process("list", own_firm, "--as", CARL, env={"PYTHONIOENCODING": "ascii"})
    assert run.code == 0
    assert r"caf\xe9.txt" in run.out


@pytest.mark.parametrize("json", [False, True])
def test_the_progress_bar_is_for_people_at_a_terminal(
    own_firm: Path, tmp_path: Path, paths: dict[str, str], json: bool
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"Pump number {number}.\n", "utf-8")
    words = ["ingest", str(own_firm), str(tmp_path), "--as", INGESTER, "--include", "*.txt"]
    shown, code = with_terminal_errors(
        [*words, "--owner", CARL, "--embedder", "hash", *(["--json"] if json else [])], paths
    )
    assert code == 0
    assert (b"source 1 of 1" in shown) is not json
    assert not json or shown == b""
    assert b"1.txt" not in shown


def with_terminal_errors(words: list[str], paths: dict[str, str]) -> tuple[bytes, int]:
    """Run with standard error on a terminal; return what was written there, and the exit code."""
    reading, writing = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ringfence", *words],
        env=os.environ | paths | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writing,
    )
    os.close(writing)
    shown = b""
    try:
        while part := os.read(reading, 65536):
            shown += part
    except OSError:
        # Linux says so when the other end of the terminal is closed.
        pass
    finally:
        os.close(reading)
    return shown, process.wait(TIMEOUT_S)
