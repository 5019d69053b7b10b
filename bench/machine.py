"""Where were the numbers taken, and how quiet was it?

Promise: no number is printed without the machine it was taken on.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

QUIET_LOAD = 0.5
"""A machine is called quiet up to this load average before the run."""

RUN_SECONDS_MAX = 3600

PACKAGES = ("lancedb", "pylance", "numpy", "pyarrow", "pycasbin", "cryptography")


def machine() -> dict[str, object]:
    """Return what a reader needs to judge the numbers."""
    load = os.getloadavg()[0]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": round(load, 2),
        "quiet": load <= QUIET_LOAD,
    }


def noted_machine() -> dict[str, object]:
    """Return that, and say on standard error if the machine is not quiet."""
    where = machine()
    if not where["quiet"]:
        print(
            f"note: load average {where['load_before']} before the start, above {QUIET_LOAD}: "
            "the times will be larger and apart; the result says so",
            file=sys.stderr,
        )
    return where


def in_a_process(command: Sequence[str]) -> dict[str, Any]:
    """Run a module of this package in a Python of its own; return the JSON it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def peak_memory_bytes() -> int:
    """Return this process's largest resident set so far.

    On Linux from /proc: what `getrusage` says there also holds what the parent was when it started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text("utf-8"), re.MULTILINE)
        if found is not None:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def bytes_of(folder: Path) -> int:
    """Return how many bytes the files beneath a folder hold."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> float:
    """Return how far the rounds lie apart, as a share of their median."""
    return (max(values) - min(values)) / median(values)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.processor())
