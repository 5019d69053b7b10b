"""How long does it take from starting a process to knowing the policy of a store?

Promise: the process does what any that opens a store does, and nothing else; it is timed from before it is started.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from bench.machine import in_a_process, peak_memory_bytes

from .stores import VISITOR, opened


def open_apart(folder: Path) -> dict[str, Any]:
    """Open a store in a process of its own; return seconds to its first moment, and what they went to."""
    started = time.perf_counter()
    facts = in_a_process(["bench.authority.opening", str(folder)])
    facts["seconds"] = facts.pop("at") - started
    return facts


def main() -> None:
    """Open a store, and say how long that took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    imported = time.perf_counter()
    ground = opened(folder)
    open_at = time.perf_counter()
    moment = ground.moment()
    at, cpu_s = time.perf_counter(), time.process_time()
    ground.grant(VISITOR, "read")
    facts = {
        "at": at,
        "cpu_s": cpu_s,
        "open_s": open_at - imported,
        "moment_s": at - open_at,
        "first_grant_s": time.perf_counter() - at,
        "rules": moment.snapshot.index.rule_count,
        "peak_bytes": peak_memory_bytes(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
