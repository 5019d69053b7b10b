"""Measure where the time of one warm search goes, and what of it is authorisation, and print the tables.

Promise: the clocks stand around the product's own functions while it answers as it always does, record and all; a stage
inside another counts for itself alone, and what no clock stands around is told as the rest.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from bench import live_store
from bench.command import Command
from bench.machine import noted_machine, percentile
from bench.page import machine_line, table
from bench.peers import ringfence_engines, vector_sets
from bench.peers.question_sets import QuestionSet
from ringfence_governance import as_of, block_opening, read_records, reading
from ringfence_governance.audit_log import AuditLog
from ringfence_governance.door import Door
from ringfence_governance.granted_reader import GrantedReader
from ringfence_governance.ground import Ground
from ringfence_governance.key_file import HOME_VARIABLE
from ringfence_governance.readable_rows import ReadableRows
from ringfence_retrieval import search
from ringfence_retrieval.questions import Question

SHARES = (0.1, 1.0, 10.0, 100.0)
AUTHORISATION_US_MAX = 50.0
READINGS_MAX = 2.0
"""So many times what reading the rows once from memory takes, everything readable, a search may take."""
BANDWIDTH_BYTES = 1 << 29
BANDWIDTH_TIMES = 7
FUNCTIONS_TOLD = 15
CHANGES, CHANGES_QUICK = 12, 2
"""Publications of each kind."""

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("grant", Ground, "grant"),
    ("plan", search, "_planned"),
    ("mask and blocks", search, "_found"),
    ("estimate every row", ReadableRows, "nearest"),
    ("exact scores", ReadableRows, "scores"),
    ("rank", search, "ranked"),
    ("take the hits", ReadableRows, "sealed"),
    ("keys", block_opening, "keyring"),
    ("unseal", GrantedReader, "passages"),
    ("check again", reading, "_recheck"),
    ("as_of", as_of, "handle"),
    ("has anything changed", reading, "_refuse_moved"),
    ("digests of what is given", reading, "_given"),
    ("make the record", read_records, "_record"),
    ("write the record", AuditLog, "append"),
    ("sync the disk", os, "fdatasync"),
    ("make the hits", search, "_hits"),
)
"""Name of the stage, where its function stands, and the function's name."""
REST = "the rest"
AUTHORISATION = ("grant", "check again", "has anything changed")
RECORD = ("digests of what is given", "make the record", "write the record", "sync the disk")

HEAD = """# Benchmark: the hot path

Made by `{program}` from [bench/results](../bench/results/{results});
`{program} --render` makes this page from that file again. Do not edit it by hand.

**Machine.** {machine} Load average after the run {load_after}.

**How to read it.** A sealed store of {rows:,} passages with vectors of {dimensions} numbers, under {labels:,} labels;
one reader after the other asks by meaning for ten hits, all rows opened before, {questions} questions each. Of each
stage the middle of its times is told, in microseconds; a stage that another calls counts for itself alone.
*Authorisation* is the grant, Casbin's decisions on what leaves, and whether anything changed meanwhile; it should take
at most {authorisation_max:g} microseconds. *Reading the rows once* is what it takes to bring a byte for each number of
the readable vectors from memory, at {bandwidth:.1f} GB a second: the best of {bandwidth_times} sums over
{bandwidth_mib} MiB, by one thread.
"""


class Clocks:
    """Seconds of the current search by stage, each without the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the stages while the block runs."""
        with ExitStack() as stack:
            for stage, place, name in STAGES:
                stack.enter_context(patch.object(place, name, self._timed(stage, getattr(place, name))))
            yield

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                taken = time.perf_counter() - started
                self.seconds[stage] += taken - self._inside.pop()
                if self._inside:
                    self._inside[-1] += taken

        return timed

    def taken(self, whole: float) -> dict[str, float]:
        """Return the seconds of each stage since the last call, and of the rest, and begin anew."""
        found, self.seconds = dict(self.seconds), defaultdict(float)
        return {**found, REST: whole - sum(found.values())}


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    parser = _command().parser()
    parser.add_argument(
        "--size",
        type=int,
        default=100_000,
        help="passages of the store; from a million on, results and page are others",
    )
    parser.add_argument("--questions", type=int, default=200, help="of each reader")
    given = parser.parse_args()
    if given.quick:
        given.size, given.questions = 1000, 3
    _command().of_size(given.size).carry_out(given, lambda: _measured(given))


def _command() -> Command:
    return Command("python -m bench.hot_path", __doc__, "hot-path.json", "bench-hot-path.md", page)


def _measured(given: argparse.Namespace) -> dict[str, object]:
    where, folder = noted_machine(), Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    bandwidth = _bandwidth()
    os.environ[HOME_VARIABLE] = str(folder / "keys")
    questions = vector_sets.synthetic(given.size, SHARES).uncorrelated()
    group = ringfence_engines.made()
    try:
        group.build(questions, folder)
        group.open(questions, folder)
        places = range(len(questions.cells))
        readers = [_reader(group.doors[0], questions, place, given.questions) for place in places]
        changes = live_store.measured(
            group.doors[0], questions.vectors.shape[1], CHANGES_QUICK if given.quick else CHANGES
        )
    finally:
        group.close()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "settings": {
            "rows": given.size,
            "dimensions": questions.vectors.shape[1],
            "labels": len(np.unique(questions.labels[0])),
            "bandwidth": bandwidth,
            "questions": given.questions,
        },
        "readers": readers,
        "changes": changes,
    }


def _bandwidth() -> float:
    """Return how fast one thread reads memory, in GB (10^9 bytes) a second."""
    held, taken = np.ones(BANDWIDTH_BYTES // 8), []
    for _ in range(BANDWIDTH_TIMES):
        started = time.perf_counter()
        np.add.reduce(held)
        taken.append(time.perf_counter() - started)
    return round(held.nbytes / min(taken) / 1e9, 2)


def _reader(door: Door, questions: QuestionSet, place: int, count: int) -> dict[str, Any]:
    """Let one reader ask, with clocks, and once more with a profile."""
    cell = questions.cells[place]
    who, asked = ringfence_engines.subject(cell), questions.asked(place, "reported")

    def ask(number: int) -> None:
        vector = asked[number % len(asked)]
        search.search(door, who, Question(ringfence_engines.TEXT, 10, "vector"), lambda _: vector)

    for number in range(5):
        ask(number)
    clocks, stages, wholes = Clocks(), defaultdict[str, list[float]](list), []
    with clocks.watching():
        for number in range(count):
            started = time.perf_counter()
            ask(number)
            wholes.append(time.perf_counter() - started)
            taken = clocks.taken(wholes[-1])
            for name in (*(stage for stage, _, _ in STAGES), REST):
                stages[name].append(taken.get(name, 0.0))
    return {
        "share": cell.share,
        "readable": cell.rows,
        "whole_us": _middle(wholes),
        "stages_us": {name: _middle(times) for name, times in stages.items()},
        "authorisation_us": _middle(
            [sum(each) for each in zip(*(stages[n] for n in AUTHORISATION), strict=True)]
        ),
        "record_us": _middle([sum(each) for each in zip(*(stages[n] for n in RECORD), strict=True)]),
        "functions": _functions(ask, count),
    }


def _middle(seconds: list[float]) -> float:
    return round(percentile(seconds, 50) * 1e6, 1)


def _functions(ask: Callable[[int], None], count: int) -> list[dict[str, Any]]:
    """Return the functions that took most themselves, by a profile, which makes short ones look longer."""
    profile = cProfile.Profile()
    profile.enable()
    for number in range(count):
        ask(number)
    profile.disable()
    found: Any = pstats.Stats(profile)
    whole = sum(own for _, _, own, _, _ in found.stats.values())
    most = sorted(found.stats.items(), key=lambda each: -each[1][2])[:FUNCTIONS_TOLD]
    return [
        {
            "function": f"{Path(file).name}: {name}" if file != "~" else name.strip("<>"),
            "calls": round(calls / count, 1),
            "share": round(own / whole, 4),
        }
        for (file, _, name), (_, calls, own, _, _) in most
    ]


def page(found: Mapping[str, Any]) -> str:
    """Return the page of a result file."""
    machine, readers, settings = found["machine"], found["readers"], found["settings"]
    command = _command().of_size(settings["rows"])
    head = HEAD.format(
        program=command.program,
        results=command.results,
        machine=machine_line(machine),
        load_after=machine["load_after"],
        authorisation_max=AUTHORISATION_US_MAX,
        bandwidth_times=BANDWIDTH_TIMES,
        bandwidth_mib=BANDWIDTH_BYTES >> 20,
        **settings,
    )
    rows = [
        [name, *(f"{each['stages_us'][name]:,.0f}" for each in readers)] for name in readers[0]["stages_us"]
    ]
    rows.append(["**the whole search**", *(f"**{each['whole_us']:,.0f}**" for each in readers)])
    rows.append(["without its record", *(f"{each['whole_us'] - each['record_us']:,.0f}" for each in readers)])
    rows.append(["reading the rows once", *(f"{_read_once_us(each, settings):,.0f}" for each in readers)])
    rows.append([f"at most {READINGS_MAX:g} readings", *(_readings(each, settings) for each in readers)])
    rows.append(["authorisation", *(f"{each['authorisation_us']:,.0f}" for each in readers)])
    rows.append(
        [
            f"at most {AUTHORISATION_US_MAX:g}",
            *(_met(each["authorisation_us"], AUTHORISATION_US_MAX) for each in readers),
        ]
    )
    shares = [f"{each['share']:g} % ({each['readable']:,})" for each in readers]
    middle = readers[len(readers) // 2]
    costs = sorted(middle["stages_us"].items(), key=lambda each: -each[1])[:5]
    largest = ", ".join(f"{name} ({us / middle['whole_us']:.0%})" for name, us in costs)
    functions = [
        [f"`{each['function']}`", f"{each['calls']:g}", f"{each['share']:.1%}"]
        for each in middle["functions"]
    ]
    return (
        f"{head}\n## Stages, microseconds\n\n{table(['readable', *shares], rows)}\n"
        f"At {middle['share']:g} % the largest are: {largest}.\n\n"
        f"## Functions, at {middle['share']:g} %\n\nBy their own time under a profile, which makes short functions "
        f"look longer than they are.\n\n{table(['function', 'calls for one search', 'share'], functions)}"
        f"{live_store.section(found.get('changes', ()))}"
    )


def _read_once_us(reader: Mapping[str, Any], settings: Mapping[str, Any]) -> float:
    return float(reader["readable"] * settings["dimensions"] / (settings["bandwidth"] * 1e3))


def _readings(reader: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return how often the rows could be read in the time of a search without its record, if all are readable."""
    if reader["share"] < 100.0:
        return ""
    times = (reader["whole_us"] - reader["record_us"]) / _read_once_us(reader, settings)
    return f"{times:.2f} {_met(times, READINGS_MAX)}"


def _met(found: float, most: float) -> str:
    return "met" if found <= most else "**not met**"


if __name__ == "__main__":
    main()
