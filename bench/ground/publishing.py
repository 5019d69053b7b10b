"""How long does one publication take, by how many came before it and by how many documents it holds, and why?

Promise: each is timed whole, from opening the run to its end; the steps are timed around the functions that run anyway.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import bytes_of
from bench.stages import Stages
from ringfence_governance import durable_files, manifest
from ringfence_governance.audit_log import AuditLog
from ringfence_governance.key_store import KeyStore
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.write_batch import WriteBatch

from .stores import drafts, make, publish

STEPS: tuple[tuple[str, Any, str], ...] = (
    ("seal the rows", WriteBatch, "put"),
    ("find the old rows", WriteBatch, "changes"),
    ("keep the keys", KeyStore, "keep"),
    ("list the files", durable_files, "names"),
    ("write the tables", LanceTables, "_write_table"),
    ("list again and sync", durable_files, "sync_new"),
    ("read back", LanceTables, "_read_whole"),
    ("what the source holds", manifest, "held"),
    ("record", AuditLog, "append"),
)
NAMES = tuple(name for name, _, _ in STEPS)
WINDOW = 10
"""Publications whose middle one stands for them."""


def make_in(folder: Path, documents: int, publications: int) -> list[dict[str, Any]]:
    """Make a store of so many documents in so many publications.

    Returns the first, the tenth and later publications, each the middle of up to ten.
    """
    each = documents // publications
    taken: list[dict[str, float]] = []
    door = make(folder)
    with Stages(STEPS).watched() as stages:
        for number in range(publications):
            batch = list(drafts(number * each, each))
            stages.taken()
            started = time.perf_counter()
            publish(door, batch)
            taken.append({"whole": time.perf_counter() - started, **stages.taken()})
    door.close()
    ends = (
        [publications * share // 4 for share in range(1, 5)] if publications > 4 * WINDOW else [publications]
    )
    wanted = sorted({min(WINDOW, publications), *ends})
    return [{"publication": end, **_middle(taken[max(0, end - WINDOW) : end])} for end in wanted]


def by_size(folder: Path, batches: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Publish batches of each size, in turn, each into a store that holds one publication."""
    taken: dict[int, list[dict[str, float]]] = {size: [] for size in batches}
    with Stages(STEPS).watched() as stages:
        for number in range(rounds):
            for size in batches:
                door = make(folder / f"{number}-{size}")
                publish(door, list(drafts(0, 1)))
                batch = list(drafts(1, size))
                stages.taken()
                started = time.perf_counter()
                publish(door, batch)
                taken[size].append({"whole": time.perf_counter() - started, **stages.taken()})
                door.close()
    return [{"documents": size, **_middle(found)} for size, found in taken.items()]


def what_lies(folder: Path) -> dict[str, int]:
    """Return how many files and bytes a store's tables are, by Lance's own folders."""
    tables = folder / "store" / "lance"
    found = {"files": sum(1 for file in tables.rglob("*") if file.is_file()), "bytes": bytes_of(tables)}
    for kind in ("data", "_versions", "_transactions"):
        found[f"{kind} bytes"] = sum(bytes_of(each) for each in tables.glob(f"*.lance/{kind}"))
    return found


def _middle(taken: list[dict[str, float]]) -> dict[str, Any]:
    def ms(name: str) -> float:
        return round(median(each.get(name, 0.0) for each in taken) * 1000, 3)

    return {"count": len(taken), "ms": ms("whole"), "steps_ms": {name: ms(name) for name in NAMES}}
