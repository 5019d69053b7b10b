"""Ask a process of its own, line by line, so that several take turns and each has its own memory.

Promise: one answer to each question; a process that dies is an error here, with what it said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any


class Partner:
    """A module run in a Python of its own, which answers each line of JSON with one.

    Args:
        command: The module and its arguments.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Partner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        if kind is not None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def ask(self, question: str, **given: object) -> dict[str, Any]:
        """Return the answer to one question."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"question": question, **given}) + "\n")
        self._process.stdin.flush()
        return self.next()

    def next(self) -> dict[str, Any]:
        """Return the next line it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with {self._process.wait()}; its errors are above")
        said: dict[str, Any] = json.loads(line)
        return said


def say(**facts: object) -> None:
    """Say one line to whoever started this process."""
    print(json.dumps(facts), flush=True)


def answer_all(answers: Mapping[str, Callable[..., Mapping[str, object]]]) -> None:
    """Answer each line that comes in by the function of its question, until no more come."""
    for line in sys.stdin:
        given = json.loads(line)
        say(**answers[given.pop("question")](**given))
