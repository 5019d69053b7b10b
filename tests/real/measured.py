"""What did a run on real input count, and how long did it take?

Promise: numbers are written beside the machine they were taken on; nothing is compared with a limit.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class Measured:
    """Named numbers of one run, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._machine = machine()
        self._numbers: dict[str, object] = {}

    def note(self, name: str, value: object) -> None:
        """Keep a number, replacing the one of that name."""
        self._numbers[name] = value

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Keep how many seconds the block took."""
        started = time.perf_counter()
        yield
        self.note(name, round(time.perf_counter() - started, 2))

    def write(self, *, complete: bool) -> None:
        """Write what was kept; `complete` says whether every test passed."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        facts = {"complete": complete, "machine": self._machine, **self._numbers}
        self._file.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def machine() -> dict[str, object]:
    """Return what a reader needs to judge the times."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def bytes_of(folder: Path) -> int:
    """Return how many bytes the files beneath a folder hold."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.processor())
