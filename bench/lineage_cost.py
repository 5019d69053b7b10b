"""Measure how long it takes to walk along lineage: along the edges alone, and as a reader asks through the door.

Promise: all ways walk the same edges from the same starts, one after the other, and must find the same nodes. Rows are
looked up by the store's own tables, and the indexes are those that its own publication makes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa

from bench import lineage_walks
from bench.authority.clock import summary, wall_of
from bench.command import Command
from bench.lineage_forest import EDGE, RUN, SEED, ids_of
from bench.lineage_walks import DEPTHS, DIRECTIONS, TARGET_MS
from bench.machine import bytes_of, noted_machine
from bench.page import machine_line, table
from ringfence_governance import lineage_cut
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.lineage_cut import LineageCut
from ringfence_governance.publications import Publication
from ringfence_governance.table_schemas import SCHEMAS, TableChange, Versions

BRANCHES = 5
"""How many edges lead to a node, on average a little more: some cross from elsewhere."""
CROSSING = 0.02
ROWS_AT_ONCE = 1_000_000

Walk = Callable[[str, int, str], set[str]]
"""From a node, so many hops, `descendants` or `ancestors`: the ids found, its own among them."""
ENDS = {"descendants": ("parent", "child"), "ancestors": ("child", "parent")}

HEAD = """# Benchmark: walking along lineage

Made by `make bench-lineage` (`python -m bench.lineage_cost --edges {edges}`) from
[bench/results](../bench/results/lineage.json); `python -m bench.lineage_cost --render` makes this page from that file
again. Do not edit it by hand.

**Machine.** {machine} Load average after the run {load_after}.

## Along the edges alone

**What is walked.** {edges:,} edges as the store's own table `edges` has them, ids of 32 digits: a tree in which each
node has {branches} made from it, and {crossing:.0%} of edges that cross. Hop by hop, from {starts} nodes high up, all
that was made from them; and from {starts} of the last ones, all they were made from. *No index* is the store's look-up
in a table that has none: the column is read at each hop. *Indexes* is the same after a publication made them, of both
ends: what the store does with as many edges. *Resident* is how the store holds them in memory once that pays
([0025](decisions/0025-resident-lineage.md)), with the run, kind and label of each. A walk of the store looks up the
documents and passages of each hop besides, which is not in these numbers. *CPU* is what the process used for the
middle walk, all its threads together: on a machine that is not quiet it says more than the time by the clock.
"""


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.lineage_cost", __doc__, "lineage.json", "bench-lineage.md", page)
    parser = command.parser()
    parser.add_argument(
        "--edges",
        type=int,
        default=10_000_000,
        help="how many edges alone, and how many documents in the store",
    )
    given = parser.parse_args()
    command.carry_out(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> dict[str, object]:
    edges, starts = (120_000, 2) if given.quick else (given.edges, 20)
    where = noted_machine()
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        walks = lineage_walks.measured(edges, starts, Path(folder))
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        alone = _alone(edges, starts, Path(folder))
    return {"machine": {**where, "load_after": round(os.getloadavg()[0], 2)}, **alone, "walks": walks}


def _alone(edges: int, starts: int, folder: Path) -> dict[str, object]:
    """Walk along edges alone, in a table beneath a folder; return the times."""
    path = folder / "edges.lance"
    tables = LanceTables(folder)
    versions = tables.create()
    written, _ = wall_of(lambda: lance.write_dataset(_reader(edges), str(path), mode="append"))
    versions = {**versions, "edges": tables.newest("edges")}
    chosen = {"descendants": _starts(edges, starts), "ancestors": _ends(edges, starts)}
    ways: list[dict[str, object]] = []
    walks: list[Walk] = []

    def measure(name: str, walk: Walk, seconds: float, size: int, repeats: int) -> None:
        walks.append(walk)
        times = {each: _walks(walk, each, chosen[each][:repeats]) for each in DIRECTIONS}
        ways.append({"way": name, "made_s": seconds, "bytes": size, **times})

    measure("no index", _looked_up(tables, versions), 0.0, bytes_of(path), 2)
    size = bytes_of(path)
    made, versions = wall_of(lambda: tables.write(versions, {"edges": TableChange(appended=_loose(edges))}))
    indexed = len(lance.dataset(str(path)).describe_indices())
    measure("indexes", _looked_up(tables, versions), made, bytes_of(path) - size, starts)
    made, held = wall_of(lambda: _held(tables, versions))
    measure("resident", _in_memory(held), made, held.size, starts)
    for direction in DIRECTIONS:
        _compare(walks, direction, chosen[direction][0])
    return {
        "settings": {"edges": edges, "starts": starts, "write_s": round(written, 2), "indexes": indexed},
        "ways": ways,
    }


def _reader(edges: int) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        random = np.random.default_rng(SEED)
        for first in range(1, edges + 1, ROWS_AT_ONCE):
            children = np.arange(first, min(first + ROWS_AT_ONCE, edges + 1))
            parents = (children - 1) // BRANCHES
            crossing = random.random(len(children)) < CROSSING
            parents[crossing] = random.integers(0, children[crossing])
            columns = {
                "id": ids_of(children, EDGE),
                "atom": pa.array(children % 1000, pa.int32()),
                "run_id": ids_of(children // 1000, RUN),
                "child": ids_of(children),
                "parent": ids_of(parents),
                "kind": pa.array(["derived"] * len(children)),
            }
            schema = SCHEMAS["edges"]
            yield from pa.table([columns[name] for name in schema.names], schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(SCHEMAS["edges"], batches())


def _starts(edges: int, count: int) -> list[str]:
    """Return nodes below which the tree goes on for six hops."""
    last = edges // BRANCHES ** max(DEPTHS)
    numbers = np.random.default_rng(SEED + 1).integers(max(last // BRANCHES, 1), max(last, 2), count)
    return list(ids_of(numbers).to_pylist())


def _ends(edges: int, count: int) -> list[str]:
    """Return nodes of which nothing was made."""
    numbers = np.random.default_rng(SEED + 2).integers(edges // BRANCHES + 1, edges, count)
    return list(ids_of(numbers).to_pylist())


def _loose(edges: int) -> pa.Table:
    """Return one edge more, that leads to no node: for a publication to write."""
    child, parent = ids_of(np.arange(edges + 1, edges + 3)).to_pylist()
    row = {"id": child, "atom": 1, "run_id": child, "child": child, "parent": parent, "kind": "derived"}
    return pa.Table.from_pylist([row], schema=SCHEMAS["edges"])


def _looked_up(tables: LanceTables, versions: Versions) -> Walk:
    def walk(start: str, depth: int, direction: str) -> set[str]:
        near, far = ENDS[direction]
        seen, frontier = {start}, {start}
        for _ in range(depth):
            found = tables.looked_up("edges", versions["edges"], near, frontier, [far])
            frontier = set(found[far].to_pylist()) - seen
            seen |= frontier
        return seen

    return walk


def _held(tables: LanceTables, versions: Versions) -> LineageCut:
    """Return the edges as the store holds them in memory."""
    facts = {name: tables.facts(name, versions[name]) for name in versions}
    return lineage_cut.carried_out(lineage_cut.plan(None, Publication(1, versions), 0, facts))


def _in_memory(cut: LineageCut) -> Walk:
    def walk(start: str, depth: int, direction: str) -> set[str]:
        near, far = ENDS[direction]
        seen, frontier = {start}, {start}
        for _ in range(depth):
            frontier = {row[far] for row in cut.rows("edges", near, frontier, [far], None)} - seen
            seen |= frontier
        return seen

    return walk


def _walks(walk: Walk, direction: str, starts: list[str]) -> list[dict[str, object]]:
    found = []
    walk(starts[0], 1, direction)
    for depth in DEPTHS:
        times, used, nodes = [], [], []
        for start in starts:
            before = time.process_time()
            seconds, reached = wall_of(partial(walk, start, depth, direction))
            used.append(time.process_time() - before)
            times.append(seconds)
            nodes.append(len(reached))
        measured = {"ms": summary(times, 1e3, 50, 99), "cpu_ms": summary(used, 1e3, 50)}
        found.append({"depth": depth, "nodes": int(np.median(nodes)), **measured})
    return found


def _compare(walks: list[Walk], direction: str, start: str) -> None:
    first, *others = [walk(start, max(DEPTHS), direction) for walk in walks]
    if any(each != first for each in others):
        raise RuntimeError("two ways found different nodes")


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
    shown = [
        f"### {direction.capitalize()}\n\n{_shown(direction, results['ways'])}" for direction in DIRECTIONS
    ]
    made = table(
        ["way", "made in, s", "MiB"],
        [[way["way"], f"{way['made_s']:.1f}", f"{way['bytes'] / 2**20:.0f}"] for way in results["ways"]],
    )
    takes = f"### What it takes\n\nThe table, its indexes, the arrays.\n\n{made}"
    return "\n".join([head, *shown, takes, lineage_walks.text_of(results["walks"])])


def _shown(direction: str, ways: list[Mapping[str, Any]]) -> str:
    rows = [
        [
            way["way"],
            *(
                f"{each['ms']['p50']:.1f} / {each['ms']['p99']:.1f} / {each['cpu_ms']['p50']:.1f}"
                for each in way[direction]
            ),
            "met" if way[direction][-1]["ms"]["p50"] <= TARGET_MS else "**not met**",
        ]
        for way in ways
    ]
    nodes = ", ".join(f"{each['nodes']:,} at depth {each['depth']}" for each in ways[-1][direction])
    names = [f"depth {depth}, ms p50 / p99 / CPU" for depth in DEPTHS]
    shown = table(["way", *names, f"six hops in at most {TARGET_MS:g} ms"], rows)
    return f"{shown}\nNodes found, the start among them: {nodes} (the middle start).\n"


if __name__ == "__main__":
    main()
