"""One process for one group of engines: it builds, or it opens and answers what the run asks for.

Promise: times are taken here, around one question each; judging the answers is outside them and the same for all.
One line of JSON comes in, one goes out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import peak_memory_bytes

from .engines import Group, NotInstalled, group
from .question_sets import QuestionSet
from .words import word_sets

COUNT_MIN = 3
"""So many questions are asked even if they take longer than they may."""


class Served:
    """An open group, and the readers it is asked for."""

    def __init__(self, name: str, data: Path, folder: Path) -> None:
        self._questions = _loaded(data)
        # What everybody holds is no engine's: it is in memory before the first measure.
        float(np.asarray(self._questions.vectors).sum())
        before = resident_bytes()
        self._group = group(name)
        started = time.perf_counter()
        try:
            self._group.open(self._questions, folder)
        except BaseException:
            # A server that was begun must not outlive this process.
            self._group.close()
            raise
        self.opened_s = round(time.perf_counter() - started, 2)
        self._before = before
        self._judges: dict[tuple[int, str], Any] = {}

    def told(self) -> dict[str, Any]:
        """Return what engines there are."""
        return {
            "opened_s": self.opened_s,
            "engines": {
                name: {
                    "title": engine.title,
                    "kind": engine.kind,
                    "knobs": list(engine.knobs),
                    "tuned": engine.tuned,
                }
                for name, engine in self._group.engines.items()
            },
        }

    def memory(self) -> dict[str, int]:
        """Return bytes of memory that opening and asking took."""
        return {"bytes": resident_bytes() - self._before + self._group.other_memory()}

    def asked(
        self,
        engine: str,
        cell: int,
        knob: str,
        part: str,
        first: int,
        count_max: int,
        seconds: float,
        give_up_s: float | None = None,
    ) -> dict[str, Any]:
        """Ask one engine a reader's questions, from the `first`, until so many are asked or the time is over.

        Args:
            give_up_s: Ask no more once a question took longer than this: the setting is none to choose.
        """
        of = self._group.engines[engine]
        judge = self._judges.get((cell, part))
        if judge is None:
            judge = self._judges[cell, part] = self._questions.judge(cell, part)
        questions = self._questions.asked(cell, part)
        ask = of.reader(self._questions.cells[cell], of.knobs[knob])
        found: dict[str, Any] = {
            "times": [],
            "parts": [],
            "right": 0,
            "wanted": 0,
            "unreadable": 0,
            "short": 0,
        }
        begun = time.perf_counter()
        ask(questions[first % len(questions)])
        if give_up_s is not None and time.perf_counter() - begun > 4 * give_up_s:
            return {**found, "gave_up": True}
        ends = time.perf_counter() + seconds
        for number in range(first, first + count_max):
            place = number % len(questions)
            started = time.perf_counter()
            answered = ask(questions[place])
            taken = time.perf_counter() - started
            right, unreadable = judge.judged(place, answered.rows)
            wanted = judge.wanted(place)
            found["times"].append(taken)
            found["parts"].append(answered.parts)
            found["right"] += right
            found["wanted"] += wanted
            found["unreadable"] += unreadable
            found["short"] += len(answered.rows) < wanted
            first_few = sorted(found["times"][:COUNT_MIN])
            if give_up_s and len(found["times"]) == COUNT_MIN and first_few[COUNT_MIN // 2] > give_up_s:
                return {**found, "gave_up": True}
            over = time.perf_counter() - ends
            if over > 3 * seconds or (over > 0 and len(found["times"]) >= COUNT_MIN):
                break
        return found

    def answers(self, engine: str, cell: int, knob: str, count: int) -> dict[str, Any]:
        """Return what an engine answers to a reader's first questions: rows and scores of each."""
        of = self._group.engines[engine]
        ask = of.reader(self._questions.cells[cell], of.knobs[knob])
        found = [ask(question) for question in self._questions.asked(cell, "reported")[:count]]
        return {"answers": [[list(map(int, each.rows)), list(map(float, each.scores))] for each in found]}

    def close(self) -> None:
        """Close the group."""
        self._group.close()


def resident_bytes() -> int:
    """Return what this process has in memory now."""
    with Path("/proc/self/statm").open("rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _loaded(data: Path) -> Any:
    held = word_sets.WordSet if (data / word_sets.NAME).exists() else QuestionSet
    return held.load(data)


def build(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """Build a group's files; return how long that took."""
    questions = _loaded(data)
    made: Group = group(name)
    started = time.perf_counter()
    made.build(questions, folder)
    return {"seconds": round(time.perf_counter() - started, 2), "peak_bytes": peak_memory_bytes()}


def main() -> None:
    """Build, or serve until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("act", choices=["build", "serve", "both"])
    parser.add_argument("group")
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    # Whatever an engine prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    served: Served | None = None
    try:
        told: dict[str, Any] = {}
        if given.act in ("build", "both"):
            told = build(given.group, given.data, given.folder)
        if given.act in ("serve", "both"):
            served = Served(given.group, given.data, given.folder)
            told = served.told()
    except NotInstalled as missing:
        told = {"missing": str(missing)}
    print(json.dumps(told), file=answers, flush=True)
    try:
        for line in sys.stdin if served is not None else ():
            told = _answered(served, json.loads(line))
            print(json.dumps(told), file=answers, flush=True)
    finally:
        if served is not None:
            served.close()


def _answered(served: Served | None, wanted: dict[str, Any]) -> dict[str, Any]:
    assert served is not None
    do = wanted.pop("do")
    try:
        act: Any = {"memory": served.memory, "asked": served.asked, "answers": served.answers}[do]
        found: dict[str, Any] = act(**wanted)
        return found
    except Exception as error:  # noqa: BLE001 - what any engine raises is its result, and the others go on
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


if __name__ == "__main__":
    main()
