"""Parse documents in a process that may be lost.

Promise: a file that hangs, crashes or swallows memory in its parser costs
that file and nothing else. The process gets no environment but its import
path, may write no file, and is stopped after `PARSE_SECONDS_MAX`; it sends
back text and JSON, never objects.

A process by `subprocess` and not by `multiprocessing`: the latter would run
the caller's main script again.
"""

from __future__ import annotations

import json
import os
import selectors
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import IO

from .errors import FileSkipped, FileTrouble
from .limits import PARSE_MEMORY_BYTES_MAX, PARSE_SECONDS_MAX, TEXT_CHARS_MAX
from .parsed import ParsedDocument
from .parsers import IN_PROCESS, parse

_LENGTH = struct.Struct(">Q")
_SERVE = "from ringfence_ingest.parser_process import serve; serve()"
_READ_BYTES = 1 << 20
_HEAD_BYTES_MAX = 64 * 1024
_TEXT_BYTES_MAX = 4 * TEXT_CHARS_MAX
_TROUBLE_FIELDS = {"kind", "found", "expected", "do"}
_ANSWERS = {
    "parsed": {"kind", "title", "media_type"},
    "trouble": _TROUBLE_FIELDS,
    "skipped": _TROUBLE_FIELDS,
}


class ParserProcess:
    """A parser in a process of its own, started when first needed and again after it was lost.

    Args:
        seconds_max: Longest time for one file.
    """

    def __init__(self, *, seconds_max: float = PARSE_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ParserProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def parse(self, content: bytes, media_type: str, encoding: str | None = None) -> ParsedDocument:
        """Return the text of a document; see :func:`ringfence_ingest.parsers.parse`.

        Raises:
            FileTrouble: It cannot be read, took too long, or took its parser down.
        """
        if media_type in IN_PROCESS:
            return parse(content, media_type, encoding)
        process = self._running()
        try:
            _send(process, {"media_type": media_type, "encoding": encoding}, content)
            answer = _Answer(process, time.monotonic() + self._seconds_max)
            head, text = answer.head(), answer.text()
        except (BrokenPipeError, EOFError):
            code = self._lost()
            raise FileTrouble(
                f"a file that took its parser down (exit {code})",
                f"a sound {media_type}",
                "open it in its program and save it again",
            ) from None
        except TimeoutError:
            self._lost()
            raise FileTrouble(
                f"a file that takes more than {self._seconds_max:g} seconds to parse",
                f"a sound {media_type} of a usual structure",
                "open it in its program and save it again, or split it",
            ) from None
        except BaseException:
            # Interrupted half-way: the process may still answer for this file, so it goes.
            self._lost()
            raise
        return _result(head, text)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._lost()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            path = os.pathsep.join(folder for folder in sys.path if folder)
            # -P: a module in the working folder must not pass for a parser.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
                [sys.executable, "-P", "-B", "-c", _SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": path, "PYTHONUTF8": "1", **_library_path()},
            )
        return self._process

    def _lost(self) -> int:
        """Kill and reap the process; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                _close(stream)
        return process.wait()


def _library_path() -> dict[str, str]:
    """Return where this machine's Python finds its libraries, if it has to be told."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


class _Answer:
    """Reads one answer within a time."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        if process.stdout is None:
            raise EOFError
        self._descriptor = process.stdout.fileno()
        self._deadline = deadline
        self._buffer = bytearray()

    def head(self) -> dict[str, str]:
        """Return what came of the file, its fields checked: the process is trusted with nothing."""
        try:
            head = json.loads(self._frame(_HEAD_BYTES_MAX))
        except ValueError:
            raise EOFError from None
        if not isinstance(head, dict) or not all(isinstance(value, str) for value in head.values()):
            raise EOFError
        if set(head) != _ANSWERS.get(head.get("kind", "")):
            raise EOFError
        return head

    def text(self) -> str:
        """Return the text, empty if there is none."""
        try:
            return self._frame(_TEXT_BYTES_MAX).decode("utf-8")
        except UnicodeDecodeError:
            raise EOFError from None

    def _frame(self, bytes_max: int) -> bytes:
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if length > bytes_max:
            raise EOFError
        return self._take(length)

    def _take(self, count: int) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            while len(self._buffer) < count:
                if not selector.select(max(0.0, self._deadline - time.monotonic())):
                    raise TimeoutError
                piece = os.read(self._descriptor, _READ_BYTES)
                if not piece:
                    raise EOFError
                self._buffer += piece
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def serve() -> None:
    """Answer parse requests on standard input until it ends. Runs in the parser process."""
    answers = os.fdopen(os.dup(1), "wb")
    # What a parser prints must not pass for an answer.
    os.dup2(2, 1)
    _confine()
    requests = sys.stdin.buffer
    while head := requests.read(_LENGTH.size):
        request = json.loads(requests.read(_LENGTH.unpack(head)[0]))
        content = requests.read(_LENGTH.unpack(requests.read(_LENGTH.size))[0])
        answer, text = _answer(content, request["media_type"], request["encoding"])
        for frame in (json.dumps(answer).encode(), text.encode("utf-8")):
            answers.write(_LENGTH.pack(len(frame)))
            answers.write(frame)
        answers.flush()


def _answer(content: bytes, media_type: str, encoding: str | None) -> tuple[dict[str, str], str]:
    try:
        result = parse(content, media_type, encoding)
    except FileTrouble as error:
        kind = "skipped" if isinstance(error, FileSkipped) else "trouble"
        return {"kind": kind, "found": error.found, "expected": error.expected, "do": error.do}, ""
    return {"kind": "parsed", "title": result.title, "media_type": result.media_type}, result.text


def _result(head: dict[str, str], text: str) -> ParsedDocument:
    if head["kind"] == "parsed":
        return ParsedDocument(text=text, title=head["title"], media_type=head["media_type"])
    error = FileSkipped if head["kind"] == "skipped" else FileTrouble
    raise error(head["found"], head["expected"], head["do"])


def _send(process: subprocess.Popen[bytes], head: dict[str, str | None], content: bytes) -> None:
    if process.stdin is None:
        raise BrokenPipeError
    frame = json.dumps(head).encode()
    process.stdin.write(_LENGTH.pack(len(frame)) + frame + _LENGTH.pack(len(content)))
    process.stdin.write(content)
    process.stdin.flush()


def _confine() -> None:
    """Take from this process what a parser does not need."""
    import resource

    bounds = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if sys.platform == "linux":
        bounds[resource.RLIMIT_AS] = PARSE_MEMORY_BYTES_MAX
    for bound, value in bounds.items():
        resource.setrlimit(bound, (value, value))


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        # Closing flushes what the dead process will never read.
        return
