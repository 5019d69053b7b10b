"""Run a benchmark in a Python of its own, as its command line does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
ROOTS = ("sdk", "retrieval", "ingest", "governance", "policies", ".")
TIMEOUT_S = 240


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m WORDS`; return what came of it, whatever that is."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(REPO / root) for root in ROOTS)}
    return subprocess.run(
        [sys.executable, "-m", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def quick_run(module: str, page: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Make a benchmark's quick run; return what it printed and its results. Its page must stay as it is."""
    before, out = (REPO / "docs" / page).read_bytes(), folder / "results.json"
    done = run(module, "--quick", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert (REPO / "docs" / page).read_bytes() == before
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return done.stdout, found
