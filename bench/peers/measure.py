"""Let all engines answer the same readers' questions, each with the setting that suits it best.

Promise: for every reader and engine the setting of least time among those that reach the wanted recall is taken,
chosen on other questions than it is reported on; if it does not reach it there, the next one is. Engines take turns
round by round. All that was tried is in the result.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import percentile, spread

from . import hidden_rows
from .built import Built
from .engines import GROUPS
from .process import Failed, Process
from .question_sets import QuestionSet

RECALL = 0.99
ROUNDS = 5
TRIES_MAX = 3
"""So many settings are tried on the reported questions."""
GIVE_UP = 2.0
"""A setting is not looked at further if it takes so many times what another took that reaches the recall."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure.

    Args:
        rounds: Turns of each engine, for one reader.
        questions: Of one turn, at most.
        seconds: Of one turn, about.
    """

    rounds: int = ROUNDS
    questions: int = 12
    seconds: float = 0.08


def measured(
    name: str, questions: QuestionSet, folder: Path, built: Built, groups: Sequence[str], pace: Pace
) -> dict[str, Any]:
    """Return what all engines did with one question set.

    Args:
        folder: For the set and for what is built anew.
        groups: Which engines; the others are told as left out.
    """
    data = folder / "questions"
    questions.save(data)
    told: dict[str, Any] = {
        "rows": len(questions.vectors),
        "dimensions": questions.vectors.shape[1],
        "cells": [
            {"share": cell.share, "kind": cell.kind, "rows": cell.rows, "labels": len(cell.readable)}
            for cell in questions.cells
        ],
        "groups": {},
        "engines": {},
    }
    processes: dict[str, Process] = {}
    try:
        for group in GROUPS:
            if group not in groups:
                told["groups"][group] = {"missing": "left out of this run"}
                continue
            say(f"{name}: {group}")
            told["groups"][group] = begun(group, group, data, folder, built, processes)
        owners = engines_of(told, processes)
        for engine, process in owners.items():
            say(f"{name}: settings of {engine}")
            _settle(told, engine, process, range(len(questions.cells)), pace)
        for cell in range(len(questions.cells)):
            say(f"{name}: reader {cell + 1} of {len(questions.cells)}")
            _report(told, owners, cell, pace)
        say(f"{name}: the reader's rows alone")
        hidden_rows.compared(told, questions, folder, processes)
    finally:
        for process in processes.values():
            process.end()
        shutil.rmtree(data, ignore_errors=True)
    return told


def begun(
    group: str, module: str, data: Path, folder: Path, built: Built, processes: dict[str, Process]
) -> dict[str, Any]:
    """Build and open a group in a process of its own; return what is told of it.

    Args:
        module: The group's, without `_engines`.
        processes: It is put there, if it could be opened.
    """
    try:
        place, facts = built.of(module, data, folder)
        if place is None:
            return facts
        process = Process("serve", module, data, place)
        processes[group] = process
        opened = process.answer()
    except Failed as failure:
        processes.pop(group, None)
        return {"failed": str(failure)}
    if "missing" in opened:
        processes.pop(group).end()
        return opened
    return {**facts, **opened}


def engines_of(told: dict[str, Any], processes: Mapping[str, Process]) -> dict[str, Process]:
    """Note the engines of all groups that are open, and return whose process each is in."""
    owners = {}
    for group, facts in told["groups"].items():
        for engine, about in facts.pop("engines", {}).items():
            told["engines"][engine] = {"group": group, **about, "settings": {}, "readers": {}}
            owners[engine] = processes[group]
    return owners


def _settle(told: dict[str, Any], engine: str, process: Process, cells: Sequence[int], pace: Pace) -> None:
    """Try an engine's settings for each reader, and note their order; measure its memory on the way."""
    about, group = told["engines"][engine], told["groups"][told["engines"][engine]["group"]]
    ends = [place for place in cells if told["cells"][place]["kind"] == "uncorrelated"]
    try:
        for cell in cells:
            about["settings"][str(cell)] = _tried(about, engine, process, cell, pace)
            # One label for each row: then the rows are held once, by us too.
            if cell == ends[-1] and about["kind"] != "no reader":
                group["memory_bytes"] = process.ask(do="memory")["bytes"]
    except Failed as failure:
        about["failed"] = str(failure)


def _tried(
    about: Mapping[str, Any], engine: str, process: Process, cell: int, pace: Pace
) -> list[dict[str, Any]]:
    """Return the settings, best first: those that reach the recall by time, then the others by recall."""
    tried: list[dict[str, Any]] = []
    best: float | None = None
    if about["kind"] == "no reader":
        return [{"knob": about["knobs"][0], "recall": 1.0}]
    for knob in about["knobs"] if about["tuned"] else about["knobs"][:1]:
        found = process.ask(
            do="asked", engine=engine, cell=cell, knob=knob, part="tuning", first=0,
            count_max=pace.questions, seconds=pace.seconds, give_up_s=best and best * GIVE_UP,
        )  # fmt: skip
        if found.get("gave_up") or not found["times"]:
            continue
        recall, took = found["right"] / max(found["wanted"], 1), median(found["times"])
        tried.append({"knob": knob, "recall": round(recall, 4), "p50_ms": round(took * 1e3, 4)})
        if recall >= RECALL and (best is None or took < best):
            best = took
    reach = sorted((each for each in tried if each["recall"] >= RECALL), key=lambda each: each["p50_ms"])
    miss = sorted((each for each in tried if each["recall"] < RECALL), key=lambda each: -each["recall"])
    return [*reach, *miss]


def _report(told: dict[str, Any], owners: Mapping[str, Process], cell: int, pace: Pace) -> None:
    """Let all engines take turns with one reader's questions; who misses the recall tries its next setting after."""
    engines = [name for name in owners if "failed" not in told["engines"][name]]
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
    for number in range(pace.rounds):
        turn = number % max(len(engines), 1)
        for name in engines[turn:] + engines[:turn]:
            about = told["engines"][name]
            if "failed" not in about and about["settings"].get(str(cell)):
                knob = about["settings"][str(cell)][0]["knob"]
                one_round(about, name, owners[name], cell, knob, number, pace, rounds[name])
    for name in engines:
        about = told["engines"][name]
        tries = about["settings"].get(str(cell), [])[:TRIES_MAX]
        if "failed" in about or not rounds[name]:
            continue
        found = [summed(tries[0]["knob"], rounds[name])]
        for each in tries[1:]:
            if found[-1]["recall"] >= RECALL:
                break
            again: list[dict[str, Any]] = []
            for number in range(pace.rounds):
                one_round(about, name, owners[name], cell, each["knob"], number, pace, again)
            if again:
                found.append(summed(each["knob"], again))
        about["readers"][str(cell)] = max(found, key=lambda one: min(one["recall"], RECALL))


def one_round(
    about: dict[str, Any],
    engine: str,
    process: Process,
    cell: int,
    knob: str,
    number: int,
    pace: Pace,
    into: list[dict[str, Any]],
    part: str = "reported",
) -> None:
    """Ask an engine some of a reader's questions; note what came of it, or that it failed."""
    try:
        into.append(
            process.ask(
                do="asked", engine=engine, cell=cell, knob=knob, part=part,
                first=number * pace.questions, count_max=pace.questions, seconds=pace.seconds,
            )
        )  # fmt: skip
    except Failed as failure:
        about["failed"] = str(failure)


def summed(knob: str, rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what an engine did for one reader in all rounds."""
    times = [each for one in rounds for each in one["times"]]
    parts = [each for one in rounds for each in one["parts"]]
    wanted = sum(one["wanted"] for one in rounds)
    found: dict[str, Any] = {
        "knob": knob,
        "questions": len(times),
        "recall": round(sum(one["right"] for one in rounds) / max(wanted, 1), 4),
        "unreadable": sum(one["unreadable"] for one in rounds),
        "short": sum(one["short"] for one in rounds),
        "p50_ms": _ms(percentile(times, 50)),
        "p95_ms": _ms(percentile(times, 95)),
        "spread": round(spread([median(one["times"]) for one in rounds]), 2),
    }
    for name in sorted({name for each in parts for name in each}):
        without = [whole - each.get(name, 0.0) for whole, each in zip(times, parts, strict=True)]
        found[f"without_{name}"] = {
            "p50_ms": _ms(percentile(without, 50)),
            "p95_ms": _ms(percentile(without, 95)),
        }
    if parts and any(parts):
        neither = [whole - sum(each.values()) for whole, each in zip(times, parts, strict=True)]
        found["without_both"] = {
            "p50_ms": _ms(percentile(neither, 50)),
            "p95_ms": _ms(percentile(neither, 95)),
        }
    return found


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 4)


def say(text: str) -> None:
    """Say on standard error what is done now."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
