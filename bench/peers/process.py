"""Start a group's process, and ask it.

Promise: whatever a process does, its end or its silence is an answer too: the run goes on without it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.machine import RUN_SECONDS_MAX

ANSWER_S = 300
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""One client asks; who has threads of another kind keeps them."""


class Failed(Exception):
    """A process did not do what it was asked. Its text says what it said."""


class Process:
    """One process of :mod:`bench.peers.worker`."""

    def __init__(self, act: str, group: str, data: Path, folder: Path) -> None:
        self._log = (folder.parent / f"{folder.name}-{act}.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.worker", act, group, str(data), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **(ONE_THREAD if act == "serve" else {})},
        )

    def answer(self, seconds: float = RUN_SECONDS_MAX * 4) -> dict[str, Any]:
        """Return its next answer.

        Raises:
            Failed: There is none in time, or it ended.
        """
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], seconds)
        line = output.readline() if ready else ""
        if not line:
            self._process.kill()
            raise Failed(f"no answer within {seconds:g} s" if not ready else self._last_words())
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, **wanted: Any) -> dict[str, Any]:
        """Ask it something and return its answer.

        Raises:
            Failed: As of :meth:`answer`, or it says so.
        """
        request = self._process.stdin
        assert request is not None
        try:
            request.write(json.dumps(wanted) + "\n")
            request.flush()
        except OSError:
            raise Failed(self._last_words()) from None
        found = self.answer(ANSWER_S)
        if "failed" in found:
            raise Failed(found["failed"])
        return found

    def end(self) -> None:
        """Let it come to its end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().splitlines() if line.strip()]
        return f"it ended: {lines[-1][:300]}" if lines else "it ended and said nothing"
