"""Measure how long it takes to walk along the edges of lineage: over Lance, with and without indexes, and in memory.

Promise: all ways walk the same edges from the same starts, one after the other, and must find the same nodes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.authority.clock import summary
from bench.command import Command
from bench.machine import noted_machine
from bench.page import machine_line, table
from ringfence_governance.opaque_ids import IDS_PER_PREDICATE
from ringfence_governance.table_schemas import SCHEMAS

DEPTHS = (1, 3, 6)
BRANCHES = 5
"""How many edges lead to a node, on average a little more: some cross from elsewhere."""
CROSSING = 0.02
SEED = 20261127
ROWS_AT_ONCE = 1_000_000
TARGET_MS = 100.0
"""Of a walk of six hops: *tens of milliseconds*."""

Walk = Callable[[str, int], set[str]]

HEAD = """# Benchmark: walking along lineage

Made by `make bench-lineage` (`python -m bench.lineage_cost --edges {edges}`) from
[bench/results](../bench/results/lineage.json); `python -m bench.lineage_cost --render` makes this page from that file
again. Do not edit it by hand.

**Machine.** {machine} Load average after the run {load_after}.

**What is walked.** {edges:,} edges as the store's own table `edges` has them, ids of 32 digits: a tree in which each
node has {branches} made from it, and {crossing:.0%} of edges that cross. From {starts} nodes, all that was made from
them, hop by hop. *Scan* reads the table at each hop, as the store does now; *indexes* is the same with Lance's BTREE on
both ends; *resident* holds the edges in arrays of this process.
"""


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.lineage_cost", __doc__, "lineage.json", "bench-lineage.md", page)
    parser = command.parser()
    parser.add_argument("--edges", type=int, default=10_000_000, help="how many edges")
    given = parser.parse_args()
    command.carry_out(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> dict[str, object]:
    edges, starts = (20_000, 2) if given.quick else (given.edges, 20)
    where, folder = noted_machine(), Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    try:
        path = folder / "edges.lance"
        written, _ = _timed(lambda: lance.write_dataset(_reader(edges), str(path)))
        chosen = _starts(edges, starts)
        ways: list[dict[str, object]] = []
        walks: list[Walk] = []

        def measure(name: str, walk: Walk, seconds: float, size: int, repeats: int) -> None:
            walks.append(walk)
            ways.append(
                {"way": name, "made_s": seconds, "bytes": size, "walks": _walks(walk, chosen[:repeats])}
            )

        measure("scan", _over_lance(path), 0.0, _size(path), max(2, starts // 5))
        size = _size(path)
        made, _ = _timed(lambda: _index(path))
        measure("indexes", _over_lance(path), made, _size(path) - size, starts)
        made, resident = _timed(lambda: Resident(path))
        measure("resident", resident.walk, made, resident.size, starts)
        _compare(walks, chosen[0])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "settings": {"edges": edges, "starts": starts, "write_s": round(written, 2)},
        "ways": ways,
    }


def _ids(first: int, count: int) -> pa.Array:
    """Return the ids of some nodes: 32 digits that look random and are the same each time."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return pa.array([f"{_mixed(int(number)):016x}{int(number):016x}" for number in numbers], pa.string())


def _mixed(number: int) -> int:
    mixed = (number + SEED) * 0x9E3779B97F4A7C15 % 2**64
    return (mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9 % 2**64


def _reader(edges: int) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        random = np.random.default_rng(SEED)
        every = _ids(0, edges + 1)
        for first in range(1, edges + 1, ROWS_AT_ONCE):
            children = np.arange(first, min(first + ROWS_AT_ONCE, edges + 1))
            parents = (children - 1) // BRANCHES
            crossing = random.random(len(children)) < CROSSING
            parents[crossing] = random.integers(0, children[crossing])
            columns = {
                "id": every.take(pa.array(children)),
                "atom": pa.array(children % 1000, pa.int32()),
                "run_id": every.take(pa.array(children // 1000)),
                "child": every.take(pa.array(children)),
                "parent": every.take(pa.array(parents)),
                "kind": pa.array(["derived"] * len(children)),
            }
            schema = SCHEMAS["edges"]
            yield from pa.table([columns[name] for name in schema.names], schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(SCHEMAS["edges"], batches())


def _starts(edges: int, count: int) -> list[str]:
    """Return nodes below which the tree goes on for six hops."""
    last = edges // BRANCHES ** max(DEPTHS)
    numbers = np.random.default_rng(SEED + 1).integers(max(last // BRANCHES, 1), max(last, 2), count)
    return [str(_ids(int(number), 1)[0]) for number in numbers]


def _index(path: Path) -> None:
    dataset = lance.dataset(str(path))
    for column in ("child", "parent"):
        dataset.create_scalar_index(column, "BTREE")


def _over_lance(path: Path) -> Walk:
    dataset = lance.dataset(str(path))

    def hop(nodes: set[str]) -> set[str]:
        found: set[str] = set()
        ordered = sorted(nodes)
        for first in range(0, len(ordered), IDS_PER_PREDICATE):
            condition = pc.field("parent").isin(ordered[first : first + IDS_PER_PREDICATE])
            found.update(dataset.scanner(columns=["child"], filter=condition).to_table()["child"].to_pylist())
        return found

    def walk(start: str, depth: int) -> set[str]:
        seen, frontier = {start}, {start}
        for _ in range(depth):
            frontier = hop(frontier) - seen
            seen |= frontier
        return seen

    return walk


class Resident:
    """The edges as arrays: to each node those made from it, in one piece of one array."""

    def __init__(self, path: Path) -> None:
        edges = lance.dataset(str(path)).to_table(columns=["child", "parent"])
        self._ids = pa.concat_arrays([*edges["child"].chunks, *edges["parent"].chunks]).unique().sort()
        children = pc.index_in(edges["child"], self._ids).to_numpy()
        parents = pc.index_in(edges["parent"], self._ids).to_numpy()
        order = np.argsort(parents, kind="stable")
        self._made = children[order].astype(np.int32)
        self._first = np.searchsorted(parents[order], np.arange(len(self._ids) + 1)).astype(np.int64)
        self.size = self._ids.nbytes + self._made.nbytes + self._first.nbytes

    def walk(self, start: str, depth: int) -> set[str]:
        """Return the ids of all that was made from a node within some hops, and its own."""
        seen = np.zeros(len(self._ids), bool)
        frontier = np.array([self._place(start)])
        seen[frontier] = True
        for _ in range(depth):
            counts = self._first[frontier + 1] - self._first[frontier]
            starts = np.repeat(self._first[frontier] - np.cumsum(counts) + counts, counts)
            made = np.unique(self._made[starts + np.arange(counts.sum())])
            frontier = made[~seen[made]]
            seen[frontier] = True
        return set(self._ids.take(pa.array(np.flatnonzero(seen))).to_pylist())

    def _place(self, node: str) -> int:
        low, high = 0, len(self._ids)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._ids[middle].as_py() < node else (low, middle)
        return low


def _walks(walk: Walk, starts: list[str]) -> list[dict[str, object]]:
    found = []
    walk(starts[0], 1)
    for depth in DEPTHS:
        times, nodes = [], []
        for start in starts:
            seconds, reached = _timed(lambda start=start, depth=depth: walk(start, depth))
            times.append(seconds)
            nodes.append(len(reached))
        found.append({"depth": depth, "nodes": int(np.median(nodes)), "ms": summary(times, 1e3, 50, 99)})
    return found


def _compare(walks: list[Walk], start: str) -> None:
    first, *others = [walk(start, max(DEPTHS)) for walk in walks]
    if any(each != first for each in others):
        raise RuntimeError("two ways found different nodes")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def page(results: Mapping[str, Any]) -> str:
    """Return the page of one result file."""
    machine, settings = results["machine"], results["settings"]
    head = HEAD.format(
        machine=machine_line(machine),
        load_after=machine["load_after"],
        edges=settings["edges"],
        starts=settings["starts"],
        branches=BRANCHES,
        crossing=CROSSING,
    )
    rows = [
        [
            way["way"],
            *(f"{each['ms']['p50']:.1f} / {each['ms']['p99']:.1f}" for each in way["walks"]),
            "met" if way["walks"][-1]["ms"]["p50"] <= TARGET_MS else "**not met**",
            f"{way['made_s']:.1f}",
            f"{way['bytes'] / 2**20:.0f}",
        ]
        for way in results["ways"]
    ]
    nodes = ", ".join(f"{each['nodes']:,} at depth {each['depth']}" for each in results["ways"][-1]["walks"])
    names = [f"depth {depth}, ms p50 / p99" for depth in DEPTHS]
    shown = table(["way", *names, f"six hops in at most {TARGET_MS:g} ms", "made in, s", "MiB"], rows)
    return (
        f"{head}\n{shown}\nNodes found, the start among them: {nodes} (the middle start). "
        "MiB is the table, the indexes, and the arrays.\n"
    )


if __name__ == "__main__":
    main()
