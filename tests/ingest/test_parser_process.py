from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence_ingest.errors import FileSkipped, FileTrouble
from ringfence_ingest.media_types import HTML, MARKDOWN, PDF
from ringfence_ingest.parser_process import ParserProcess
from ringfence_ingest.parsers import parse


def test_the_process_answers_as_the_parser_does(make_pdf: Callable[..., bytes]) -> None:
    with ParserProcess() as process:
        for content, kind in ((b"<title>T</title><p>caf\xc3\xa9", HTML), (make_pdf("words"), PDF)):
            assert process.parse(content, kind) == parse(content, kind)
        with pytest.raises(FileTrouble) as there:
            process.parse(b"%PDF-", PDF)
        with pytest.raises(FileTrouble) as here:
            parse(b"%PDF-", PDF)
        assert str(there.value) == str(here.value)
        with pytest.raises(FileSkipped, match="binary"):
            process.parse(b"<p>\0", HTML)


def test_a_large_file_passes_through() -> None:
    content = b"<p>" + b"word " * 2_000_000
    with ParserProcess() as process:
        assert len(process.parse(content, HTML).text) == len(content) - 4


def test_a_file_that_takes_too_long_is_reported_and_the_next_one_is_read() -> None:
    deep = b"<div>" * 60_000
    with ParserProcess(seconds_max=1.0) as process:
        assert process.parse(b"<p>warm", HTML).text == "warm"
        started = time.monotonic()
        with pytest.raises(FileTrouble, match="takes more than 1 seconds to parse"):
            process.parse(deep, HTML)
        assert time.monotonic() - started < 5
    with ParserProcess() as process:
        assert process.parse(b"<p>next", HTML).text == "next"


def planted(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a selectolax in front of the real one, for the parser process alone."""
    package = tmp_path / "selectolax"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "lexbor.py").write_text(
        "import os, sys\nclass LexborNode: ...\nclass LexborHTMLParser:\n"
        f"    def __init__(self, text):\n        {body}\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.kill(os.getpid(), 11)", "took its parser down"),
        ("os._exit(0)", "took its parser down"),
        ("os.write(3, b'\\0' * 7 + b'\\2[]' + b'\\0' * 8); os._exit(0)", "took its parser down"),
        ("os.write(3, b'\\xff' * 4096); os._exit(0)", "took its parser down"),
        ("bytearray(4 * 2**30)", "needs more memory than a parser may use"),
        ("open('/dev/shm/ringfence-test', 'wb').write(b'x' * 10000)", "cannot read"),
        ("raise RuntimeError('the crown')", r"cannot read \(RuntimeError\)"),
    ],
)
def test_a_file_that_takes_its_parser_down_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    planted(tmp_path, body, monkeypatch)
    with ParserProcess() as process:
        with pytest.raises(FileTrouble, match=message) as trouble:
            process.parse(b"<p>x", HTML)
        assert "crown" not in str(trouble.value)
        with pytest.raises(FileTrouble, match=message):
            process.parse(b"<p>y", HTML)


def test_what_a_parser_prints_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, "print('noise' * 100); os.write(1, b'noise'); raise RuntimeError", monkeypatch)
    with ParserProcess() as process, pytest.raises(FileTrouble, match="RuntimeError"):
        process.parse(b"<p>x", HTML)


def test_the_process_gets_no_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_TEST_SECRET", "key")
    planted(
        tmp_path, "raise (KeyError if 'RINGFENCE_TEST_SECRET' in os.environ else LookupError)", monkeypatch
    )
    with ParserProcess() as process, pytest.raises(FileTrouble, match="LookupError"):
        process.parse(b"<p>x", HTML)


def test_a_module_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "selectolax.py").write_text("raise SystemExit")
    (tmp_path / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with ParserProcess() as process:
        assert process.parse(b"<p>x", HTML).text == "x"


def test_the_process_ends_with_its_owner() -> None:
    with ParserProcess() as process:
        process.parse(b"<p>x", HTML)
        child = process._process
        assert child is not None
    assert child.returncode is not None
    process.close()


def test_plain_text_needs_no_process() -> None:
    with ParserProcess() as process:
        process.parse(b"# t\n", MARKDOWN)
        assert process._process is None


def test_an_interrupt_drops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with ParserProcess() as process:
        assert process.parse(b"<p>one", HTML).text == "one"

        def interrupt(*_: object) -> bytes:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, "read", interrupt)
            with pytest.raises(KeyboardInterrupt):
                process.parse(b"<p>two", HTML)
        # The answer to the second page never passes for that to the third.
        assert process.parse(b"<p>three", HTML).text == "three"
