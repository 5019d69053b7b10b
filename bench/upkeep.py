"""Measure relabelling a large document, giving a label another meaning, and rotating many keys, and print the table.

Promise: made by the product's own functions on stores it made; beside relabelling, in turn, Lance alone rewrites the
same column of a copy of the table.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa

from bench.authority.clock import summary
from bench.command import Command
from bench.drafts import Passage, draft_of
from bench.machine import noted_machine
from bench.page import machine_line, table
from ringfence_governance.door import Door
from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_rows import from_fields
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel

ADMIN = Subject("bench/user:admin")
SOURCE = SourceIdentity("file:///bench", "folder")
MODEL = VectorModel("bench/zeros", hashlib.sha256(b"version 1").hexdigest(), 384)
WHY = Reasoned("the benchmark asks for it")
NAME = "bench/label:project"
KEYS_AT_ONCE = 5_000

HEAD = """# Benchmark: relabelling, redefining, rotating

Made by `make bench-upkeep` (`python -m bench.upkeep`) from [bench/results](../bench/results/upkeep.json);
`python -m bench.upkeep --render` makes this page from that file again. Do not edit it by hand.

**Machine.** {machine} Load average after the run {load_after}.

**How to read it.** *Relabel* gives one document of {rows} passages another label: key, catalog,
three tables, record, all of it. *Lance alone* rewrites the column of atoms for as many rows of a copy
of the chunks table, by `merge_insert` with `write_mode("rewrite_columns")`. The two take turns.
*Redefine* gives the label of that document another meaning, which touches no row. *Rotate* wraps
{keys} document keys under a new master key.
"""


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.upkeep", __doc__, "upkeep.json", "bench-upkeep.md", page)
    command.run(_measured)


def _measured(given: argparse.Namespace) -> dict[str, object]:
    rows, keys, rounds = (200, 50, 2) if given.quick else (100_000, 100_000, 5)
    where, folder = noted_machine(), Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    try:
        door = _made(folder / "one")
        document = _filled(door, rows)
        relabelled, alone = _relabelled(door, document, folder, rounds)
        redefined = [_timed(lambda n=n: _redefine(door, n)) for n in range(rounds)]
        _add_keys(door, keys)
        rotated = [_timed(lambda: door.rotate_keys(ADMIN, WHY)) for _ in range(2)]
        door.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "settings": {"rows": rows, "keys": keys},
        "relabel_ms": summary(relabelled, 1e3, 50),
        "lance_ms": summary(alone, 1e3, 50),
        "redefine_ms": summary(redefined, 1e3, 50),
        "rotate_ms": summary(rotated, 1e3, 50),
    }


def _made(folder: Path) -> Door:
    folder.mkdir()
    label = NamedLabel(NAME, _label(0))
    bundle = PolicyBundle(shipped_default().rows, (label,), "benchmark")
    door, _ = Door.create(folder / "store", bundle, ADMIN.person, keys_home=folder / "keys")
    for action in ("relabel_from", "relabel_to", "declassify"):
        fields = (ADMIN.person, "bench", "*", action, "any", "*", "-", "-", "allow")
        door.add_row(ADMIN, _rule(*fields), WHY)
    return door


def _rule(*fields: str) -> Any:
    return from_fields(("p", *fields))


def _label(number: int) -> Label:
    return Label("bench", ADMIN.person, frozenset({f"bench/user:reader-{number}"}))


def _filled(door: Door, rows: int) -> str:
    """Ingest one document of so many passages; return its id."""
    vector = np.zeros(MODEL.dimensions, np.float32)
    vector[0] = 1.0
    passages = [Passage(f"passage {number}", vector, ("passage", str(number)), 2) for number in range(rows)]
    with door.ingestion(ADMIN, SOURCE, MODEL, pipeline="bench") as ingestion:
        return ingestion.put(draft_of("large.txt", passages, NAME))


def _relabelled(door: Door, document: str, folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    copy = str(shutil.copytree(folder / "one" / "store" / "lance" / "chunks.lance", folder / "copy.lance"))
    ids = lance.dataset(copy).to_table(columns=["id"])["id"]
    relabelled, alone = [], []
    for number in range(1, rounds + 1):
        choice = _label(number) if number % 2 else NAME
        relabelled.append(_timed(lambda choice=choice: door.relabel(ADMIN, document, choice, WHY)))
        given = pa.table({"id": ids, "atom": pa.array([number] * len(ids), pa.int32())})
        alone.append(_timed(lambda given=given: _rewritten(copy, given)))
    if rounds % 2:
        door.relabel(ADMIN, document, NAME, WHY)
    return relabelled, alone


def _rewritten(path: str, given: pa.Table) -> None:
    merge = lance.dataset(path).merge_insert("id").when_matched_update_all()
    # Without its index on ids, which is slower for as many.
    merge.write_mode("rewrite_columns").use_index(False).execute(given)


def _redefine(door: Door, number: int) -> None:
    door.redefine_label(ADMIN, NamedLabel(NAME, _label(100 + number)), WHY)


def _add_keys(door: Door, count: int) -> None:
    """Keep as many document keys as a store of so many documents has."""
    ground: Any = door._Door__ground  # type: ignore[attr-defined]
    entry = ground.moment().table.by_id[NAME]
    for first in range(0, count, KEYS_AT_ONCE):
        wanted = range(first, min(first + KEYS_AT_ONCE, count))
        ground.keys.keep(
            [ground.keys.new_document_key(f"{number:032x}", "0" * 32, entry)[1] for number in wanted]
        )


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def page(found: Mapping[str, Any]) -> str:
    """Return the page of a result file."""
    machine, settings = found["machine"], found["settings"]
    rows = [
        ["relabel a document", found["relabel_ms"]],
        ["Lance alone, the same column", found["lance_ms"]],
        ["redefine its label", found["redefine_ms"]],
        ["rotate the keys", found["rotate_ms"]],
    ]
    ratio = found["relabel_ms"]["p50"] / found["lance_ms"]["p50"]
    return "\n".join(
        [
            HEAD.format(machine=machine_line(machine), load_after=machine["load_after"], **settings),
            table(["", "p50 ms", "max ms"], [[what, f"{ms['p50']}", f"{ms['max']}"] for what, ms in rows]),
            f"Relabelling takes {ratio:.2f} times as long as Lance's own rewrite of the column.\n",
        ]
    )


if __name__ == "__main__":
    main()
