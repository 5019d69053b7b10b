"""How long does it take a reader to walk along lineage through the door, with all that is done for him?

Promise: walks are asked as an application asks them, through the SDK; each answer is compared with what a plain walk
finds among the documents that the reader may read. The time of the record is told apart by a clock around the function
that writes it anyway.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import lineage_store
from bench.authority.clock import summary, wall_of
from bench.lineage_forest import BRANCHES, SECOND, SEED, Forest, PlainWalk, grown, ids_of
from bench.lineage_store import EMBEDDER, EVERYTHING, SHARE, TENTH
from bench.machine import bytes_of, peak_memory_bytes
from bench.page import table
from bench.stages import Stages
from ringfence.reader import Reader
from ringfence_governance import read_records
from ringfence_governance.door import Door
from ringfence_governance.ground import Ground
from ringfence_governance.lineage_walk import NODES_MAX
from ringfence_governance.subjects import Subject

DEPTHS = (1, 3, 6)
BEYOND = 7
"""From so many hops on an answer does not hold all that was made from something."""
DIRECTIONS = ("descendants", "ancestors")
READERS = {"all labels": EVERYTHING, "a tenth of the labels": TENTH}
TARGET_MS = 100.0
SMALL_BYTES = 1 << 20
"""Memory in which no lineage is held: then every row is looked up."""
LARGE_BYTES = 1 << 40
RECORD = (("record", read_records, "append"),)

TEXT = """## Through the door

**What is asked.** `Reader.lineage`, as an application calls it, in a sealed store of {documents:,} documents that were
made from one another, with {edges:,} edges, under {labels:,} labels; of these {joined:,} join two, since what was made
from something is under all its labels. Each document has {branches} made from it, and {second:.0%} are made from a
second one besides. One reader may read all labels, the other those of every {share}th tree: {readable:,} documents.
Labels, policy, keys and publications are the product's; the rows of the {documents:,} are written by its own writer
and hold no content, since a walk opens none; they have no passages. The walks start at up to {starts} documents that
have six full levels beneath them, or at as many of which nothing was made.

**What is measured.** The whole call: the grant, the look-ups of edges and documents at each hop, Casbin's decision on
every label once more, the record on the disk, and the answer. *Without its record* leaves out making and writing that.
*Indexes*: nothing is held in memory, because the store may take {small_mib} MiB. *Resident*: after
`Reader.prewarm(lineage=True)`. Every answer was compared with a plain walk over arrays of what that reader may read:
the same documents, at the same distance.
"""


def measured(documents: int, starts: int, folder: Path) -> dict[str, Any]:
    """Make a store of so many documents beneath a folder, walk in it, and return what that took.

    Args:
        starts: How many documents walks start at, at most.

    Raises:
        RuntimeError: A reader was told of other documents than a plain walk finds, or rows were held when none were
            to be, or the other way round.
    """
    forest = grown(documents)
    made_s, _ = wall_of(lambda: lineage_store.make(folder, forest))
    readable = {
        name: forest.readable(lineage_store.trees_of(who, forest.trees)) for name, who in READERS.items()
    }
    readers: list[dict[str, Any]] = []
    with _opened(folder) as (ground, door):
        for name, who in READERS.items():
            asking = _Asking(_reader(door, who), forest, readable[name], starts, folder)
            first_s, _ = wall_of(asking.ask_once)
            readers.append(
                {
                    "reader": name,
                    "documents": int(readable[name].sum()),
                    "first_s": round(first_s, 3),
                    "ways": [{"way": "indexes", **asking.walks()}],
                }
            )
            _refuse_held(ground, held=False)
        door.limit_memory(LARGE_BYTES)
        opened_s, _ = wall_of(lambda: _reader(door, EVERYTHING).prewarm(lineage=True))
        _refuse_held(ground, held=True)
        for each, (name, who) in zip(readers, READERS.items(), strict=True):
            asking = _Asking(_reader(door, who), forest, readable[name], starts, folder)
            each["ways"].append({"way": "resident", **asking.walks()})
        _refuse_held(ground, held=True)
        versions = ground.moment().publication.versions
        facts = {name: ground.tables.facts(name, version) for name, version in versions.items()}
        held_bytes = ground.resident_lineage.size
    tables = folder / "store" / "lance"
    return {
        "documents": documents,
        "edges": sum(each.rows for each in facts["edges"].fragments),
        "labels": len(forest.parts),
        "trees": forest.trees,
        "starts": starts,
        "made_s": round(made_s, 2),
        "bytes": {name: bytes_of(tables / f"{name}.lance") for name in ("documents", "edges")},
        "opened_s": round(opened_s, 3),
        "held_bytes": held_bytes,
        "peak_bytes": peak_memory_bytes(),
        "readers": readers,
    }


class _Asking:
    """One reader who walks, and what he must be told."""

    def __init__(
        self, reader: Reader, forest: Forest, readable: npt.NDArray[np.bool_], starts: int, folder: Path
    ) -> None:
        self._reader = reader
        self._plain = PlainWalk(forest, readable, NODES_MAX)
        self._log = folder / "store" / "audit"
        self._starts = {
            "descendants": _some(forest.high_up(max(DEPTHS)), readable, starts),
            "ancestors": _some(forest.last_ones(), readable, starts),
        }
        self._beyond = _some(forest.high_up(BEYOND), readable, starts)

    def ask_once(self) -> None:
        """Ask one small question."""
        self._ask(self._starts["ancestors"][0], "ancestors", 1)

    def walks(self) -> dict[str, Any]:
        """Walk both ways at all depths, and beyond what an answer holds; return the times."""
        found: dict[str, Any] = {
            direction: [self._measured(starts, direction, depth) for depth in DEPTHS]
            for direction, starts in self._starts.items()
        }
        return {**found, "beyond": self._measured(self._beyond, "descendants", BEYOND)}

    def _measured(self, starts: Sequence[int], direction: str, depth: int) -> dict[str, Any]:
        self._ask(starts[0], direction, 1)
        times, bare, used, nodes, whole = [], [], [], [], 0
        logged = bytes_of(self._log)
        with Stages(RECORD).watched() as stages:
            for start in starts:
                stages.taken()
                before = time.process_time()
                seconds, answer = wall_of(partial(self._ask, start, direction, depth))
                used.append(time.process_time() - before)
                times.append(seconds)
                bare.append(seconds - stages.taken()["record"])
                nodes.append(len(answer["nodes"]))
                whole += answer["complete"]
                self._compare(answer, start, direction, depth)
        return {
            "depth": depth,
            "nodes": int(np.median(nodes)),
            "whole": whole,
            "ms": summary(times, 1e3, 50, 99),
            "bare_ms": summary(bare, 1e3, 50, 99),
            "cpu_ms": summary(used, 1e3, 50),
            "record_bytes": (bytes_of(self._log) - logged) // len(starts),
        }

    def _ask(self, start: int, direction: str, depth: int) -> dict[str, Any]:
        found = ids_of(np.asarray([start]))[0].as_py()
        return self._reader.lineage(found, direction=direction, depth=depth)

    def _compare(self, answer: Mapping[str, Any], start: int, direction: str, depth: int) -> None:
        expected, whole = self._plain.found(start, direction, depth)
        ids = ids_of(np.asarray(list(expected))).to_pylist()
        told = {node["id"]: node["depth"] for node in answer["nodes"]}
        if told != dict(zip(ids, expected.values(), strict=True)) or answer["complete"] != whole:
            raise RuntimeError("a reader was told of other documents than a plain walk finds")


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Ground, Door]]:
    ground = lineage_store.opened(folder)
    try:
        door = Door(ground)
        door.limit_memory(SMALL_BYTES)
        yield ground, door
    finally:
        ground.close()


def _reader(door: Door, who: Subject) -> Reader:
    return Reader(door, who, lambda text: EMBEDDER.embed([text])[0])


def _refuse_held(ground: Ground, *, held: bool) -> None:
    if (ground.resident_lineage.size > 0) != held:
        raise RuntimeError("lineage was held in memory when it was not to be, or the other way round")


def _some(numbers: npt.NDArray[np.intp], readable: npt.NDArray[np.bool_], count: int) -> list[int]:
    """Return some of those numbers that are readable, the same each time."""
    there = numbers[readable[numbers]]
    found: list[int] = np.random.default_rng(SEED).permutation(there)[:count].tolist()
    return found


def text_of(walks: Mapping[str, Any]) -> str:
    """Return what the page says of one result."""
    head = TEXT.format(
        **{name: walks[name] for name in ("documents", "edges", "labels", "starts")},
        joined=walks["labels"] - walks["trees"],
        branches=BRANCHES,
        second=SECOND,
        share=SHARE,
        readable=walks["readers"][-1]["documents"],
        small_mib=SMALL_BYTES >> 20,
    )
    shown = [
        f"### {direction.capitalize()}, through the door\n\n{_shown(walks, direction)}"
        for direction in DIRECTIONS
    ]
    return "\n".join([head, *shown, _beyond(walks), _taken(walks)])


def _shown(walks: Mapping[str, Any], direction: str) -> str:
    rows, nodes = [], []
    for reader in walks["readers"]:
        for way in reader["ways"]:
            met = way[direction][-1]["ms"]["p50"] <= TARGET_MS
            cells = [_cell(each) for each in way[direction]]
            rows.append([f"{reader['reader']}, {way['way']}", *cells, "met" if met else "**not met**"])
        walked = reader["ways"][-1][direction]
        told = ", ".join(f"{each['nodes']:,} at depth {each['depth']}" for each in walked)
        nodes.append(f"{reader['reader']}: {told}")
    names = [f"depth {depth}, ms p50 / p99 / CPU / without its record" for depth in DEPTHS]
    shown = table(["readable, way", *names, f"six hops in at most {TARGET_MS:g} ms"], rows)
    return f"{shown}\nDocuments told of, the start among them, the middle answer: {'; '.join(nodes)}.\n"


def _cell(walk: Mapping[str, Any]) -> str:
    times = (walk["ms"]["p50"], walk["ms"]["p99"], walk["cpu_ms"]["p50"], walk["bare_ms"]["p50"])
    return " / ".join(f"{each:.1f}" for each in times)


def _beyond(walks: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{reader['reader']}, {way['way']}",
            f"{way['beyond']['nodes']:,}",
            f"{way['beyond']['whole']} of {way['beyond']['ms']['count']}",
            _cell(way["beyond"]),
        ]
        for reader in walks["readers"]
        for way in reader["ways"]
    ]
    times = f"depth {BEYOND}, ms p50 / p99 / CPU / without its record"
    head = ["readable, way", "documents told of", "complete", times]
    return (
        f"### More than an answer holds\n\nAn answer holds at most {NODES_MAX:,} documents, passages and sources. "
        "A walk that would find more ends with the last hop that still fits, tells what it found until then, and "
        "says `complete` false; edges and documents of the hop that did not fit were looked up nevertheless.\n\n"
        f"{table(head, rows)}"
    )


def _taken(walks: Mapping[str, Any]) -> str:
    answers = [
        way[direction][-1]
        for reader in walks["readers"]
        for way in reader["ways"]
        for direction in DIRECTIONS
    ]
    largest = max(answers, key=lambda each: each["nodes"])
    firsts = ", ".join(f"{each['reader']} {each['first_s']:.1f} s" for each in walks["readers"])
    sizes = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in walks["bytes"].items())
    return f"""### What it takes, through the door

Making the store took {walks["made_s"]:.0f} s; its tables with their indexes: {sizes}. The first question of a process,
whatever it is, also reads what `as_of` is made of, the id and run of every readable document: {firsts}, one after the
other, so that the labels of the second reader were known. Holding lineage in memory took {walks["opened_s"]:.1f} s and
takes {walks["held_bytes"] / 2**20:,.0f} MiB. The process, with the arrays that answers are compared with, took
{walks["peak_bytes"] / 2**20:,.0f} MiB at most. The record of an answer of {largest["nodes"]:,} documents is
{largest["record_bytes"] / 2**10:,.0f} KiB.
"""
