"""How errors end a command: a line, a hint, a code, and never what was being read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence.cli.answers import report
from ringfence.cli.failures import Failure
from ringfence.reader import Reader
from ringfence.store import Store

Call = Callable[..., Any]

SECRET = "the floor price is nineteen"


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RecursionError(SECRET)])
def test_an_unexpected_error_shows_its_kind_and_nothing_else(
    call: Call, firm: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(Reader, "list", raising(error))
    run = call("list", firm, "--json")
    assert (run.code, run.json["error"]["type"]) == (1, "Unexpected")
    assert type(error).__name__ in run.err
    assert "RINGFENCE_DEBUG=1" in run.err
    assert SECRET not in run.out + run.err
    assert "Traceback" not in run.err


def test_with_debug_the_error_itself_comes_out(
    call: Call, firm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "list", raising(ValueError(SECRET)))
    with pytest.raises(ValueError, match=SECRET):
        call("list", firm, env={"RINGFENCE_DEBUG": "1"})


def test_an_error_of_the_system_is_said_without_its_path(
    call: Call, firm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "list", raising(OSError(28, "No space left on device", SECRET)))
    run = call("list", firm, "--json")
    assert run.code == 1
    assert run.json["error"] == {
        "type": "System",
        "message": "the system refused: No space left on device",
        "hint": "",
    }


def test_an_interrupted_command_says_so(
    call: Call, firm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "ingest", raising(KeyboardInterrupt()))
    run = call("ingest", firm, tmp_path, "--embedder", "hash", "--json")
    assert (run.code, run.json["error"]["type"]) == (130, "Interrupted")
    assert run.err.startswith("error: interrupted\nhint: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: missing command\nhint: see 'ringfence --help'\n"),
        (["member"], "error: missing command\nhint: see 'ringfence member --help'\n"),
        (["serch"], "error: no such command 'serch'. Did you mean 'search'?\nhint: see 'ringfence --help'\n"),
        (["list"], "error: missing argument 'STORE'\nhint: see 'ringfence list --help'\n"),
        (
            ["list", "a", "b"],
            "error: got unexpected extra argument(s) (b)\nhint: see 'ringfence list --help'\n",
        ),
    ],
)
def test_misuse_says_what_is_wrong_and_where_to_look(call: Call, words: list[str], message: str) -> None:
    run = call(*words)
    assert (run.code, run.out, run.err) == (2, "", message)


def test_an_error_shows_controls_of_what_was_typed(call: Call, firm: Path) -> None:
    run = call("list", firm, "--as", "x\x1b[31m", "--no\x1b[31m")
    assert run.code == 2
    assert "\x1b" not in run.err


def test_an_error_and_its_hint_show_controls_and_keep_lines(capsys: pytest.CaptureFixture[str]) -> None:
    report(Failure("Refused", "one\x1b[31m\ntwo [bold]", "three\x07", 1), as_json=False)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "error: one␛[31m\ntwo [bold]\nhint: three␇\n")


def test_a_word_after_two_dashes_asks_for_no_json(call: Call, firm: Path) -> None:
    run = call("search", firm, "--as", "Nobody", "--", "--json")
    assert (run.code, run.out) == (2, "")


@pytest.mark.parametrize(
    "words", [["--help"], ["search", "--help"], ["member", "--help"], ["policy", "lint", "--help"]]
)
def test_help_is_an_answer(call: Call, words: list[str]) -> None:
    run = call(*words)
    assert (run.code, run.err) == (0, "")
    assert "Usage: ringfence" in run.out


def test_the_version_is_an_answer(call: Call) -> None:
    run = call("--version")
    assert (run.code, run.out, run.err) == (0, f"ringfence {ringfence.__version__}\n", "")
