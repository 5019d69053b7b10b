"""How long does it take from starting a process to the first answer of a store?

Promise: the process does what any that opens a store does, and nothing else; it is timed from before it is started.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.machine import in_a_process
from ringfence_governance import ingestion

from .stores import drafts, opened, publish, reader

QUESTION = "pump salary"


def open_apart(folder: Path) -> dict[str, Any]:
    """Open a store in a process of its own; return seconds to its first answer, and what they went to."""
    started = time.perf_counter()
    facts = in_a_process(["bench.ground.opening", str(folder)])
    facts["seconds"] = facts.pop("at") - started
    return facts


def die_publishing(folder: Path, first: int) -> None:
    """Write a publication's rows and keys, and be killed before it is published."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(ingestion.publications, "publish", die):
        publish(opened(folder), list(drafts(first, 1)))


def main() -> None:
    """Open a store, ask it twice, and say how long that took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die", type=int, help="die publishing the document of this number instead")
    given = parser.parse_args()
    if given.die is not None:
        die_publishing(given.folder, given.die)
    imported = time.perf_counter()
    door = opened(given.folder)
    open_at = time.perf_counter()
    hits = len(reader(door).search(QUESTION, mode="hybrid"))
    at, cpu_s = time.perf_counter(), time.process_time()
    reader(door).search(QUESTION, mode="hybrid")
    facts = {
        "at": at,
        "cpu_s": cpu_s,
        "open_s": open_at - imported,
        "first_s": at - open_at,
        "second_s": time.perf_counter() - at,
        "hits": hits,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
