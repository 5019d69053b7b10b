"""Run a benchmark in a Python of its own, as its command line does."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import loaded

REPO = Path(__file__).resolve().parents[2]
ROOTS = ("sdk", "retrieval", "ingest", "governance", "policies", ".")
TIMEOUT_S = 240


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(REPO / root) for root in ROOTS)}


def run(*words: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run `python -m WORDS`; return what came of it, whatever that is."""
    return subprocess.run(
        [python, "-m", *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@functools.cache
def python() -> str:
    """Return what runs modules as Python does, and has loaded them; it goes when this process does."""
    folder = tempfile.mkdtemp(prefix="ringfence-bench-")
    path = f"{folder}/socket"
    loaded.write_launcher(path)
    first = subprocess.Popen(
        [sys.executable, loaded.__file__, "serve", path],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, first, folder)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    return loaded.launcher(path)


def _end(first: subprocess.Popen[str], folder: str) -> None:
    first.communicate()
    shutil.rmtree(folder)


def quick_run(module: str, page: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Make a benchmark's quick run; return what it printed and its results. Its page must stay as it is."""
    before, out = (REPO / "docs" / page).read_bytes(), folder / "results.json"
    done = run(module, "--quick", "--out", str(out), python=python())
    assert done.returncode == 0, done.stderr
    assert (REPO / "docs" / page).read_bytes() == before
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return done.stdout, found
