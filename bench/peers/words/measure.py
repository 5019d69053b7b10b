"""Let all engines answer the same readers in words, and ask each again of the reader's rows alone.

Promise: the same questions, the same rows by number. An answer counts as changed if its ten rows or their order are
others without the hidden rows, rows of equal score being put in one order first; a score if one bit of it is.
Ringfence's answers are held to the reference, and a wrong one ends the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers.built import Built
from bench.peers.measure import Pace, begun, engines_of, one_round, say, summed
from bench.peers.process import Failed, Process
from bench.peers.question_sets import K

from .depths import AS_REPORTED, DEPTHS, FOR_COMPARING
from .reference import Reference
from .word_sets import QUESTIONS, WordSet

GROUPS = ("ringfence", "pgvector", "qdrant", "zvec", "lancedb")
"""Who searches in texts."""
OURS = "ringfence"
Answers = Sequence[tuple[Sequence[float], Sequence[float]]]
"""Rows and scores of each."""


def measured(
    name: str, questions: WordSet, folder: Path, built: Built, groups: Sequence[str], pace: Pace
) -> dict[str, Any]:
    """Return what all engines did with one set.

    Args:
        folder: For the set and for what is built.
        groups: Which engines; the others are told as left out.

    Raises:
        Wrong: An answer of Ringfence is not the reference's.
    """
    data = folder / "word-questions"
    questions.save(data)
    told: dict[str, Any] = {
        "rows": len(questions.vectors),
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
            told["groups"][group] = begun(group, _module(group), data, folder, built, processes)
        owners = engines_of(told, processes)
        for engine, about in told["engines"].items():
            del about["settings"], about["knobs"], about["tuned"]
            about["mode"], about["hidden"] = engine.rpartition("-")[2], {}
        for cell in range(len(questions.cells)):
            say(f"{name}: reader {cell + 1} of {len(questions.cells)}")
            _report(told, owners, cell, pace)
            _compare(told, questions, cell, processes, folder)
        _memory(told, processes)
    finally:
        for process in processes.values():
            process.end()
        shutil.rmtree(data, ignore_errors=True)
        for group in GROUPS:
            shutil.rmtree(folder / _module(group), ignore_errors=True)
    return told


def _module(group: str) -> str:
    return f"words.{group}"


def _report(told: dict[str, Any], owners: Mapping[str, Process], cell: int, pace: Pace) -> None:
    """Let all engines take turns with one reader's questions."""
    engines = [name for name in owners if "failed" not in told["engines"][name]]
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
    for number in range(pace.rounds):
        turn = number % max(len(engines), 1)
        for name in engines[turn:] + engines[:turn]:
            about = told["engines"][name]
            if "failed" not in about:
                one_round(
                    about, name, owners[name], cell, AS_REPORTED, number, pace, rounds[name], about["mode"]
                )
    for name in engines:
        about = told["engines"][name]
        if "failed" not in about and rounds[name]:
            found = summed(AS_REPORTED, rounds[name])
            # Which rows are right, each engine says by its own formula.
            del found["recall"], found["knob"]
            about["readers"][str(cell)] = found


def _compare(
    told: dict[str, Any], questions: WordSet, cell: int, processes: Mapping[str, Process], folder: Path
) -> None:
    """Hold Ringfence's answers to the reference, and every engine's to those of the reader's rows alone."""
    alone, own = questions.alone(cell)
    data = folder / "twin-word-questions"
    alone.save(data)
    reference = Reference(questions, cell)
    for group, process in processes.items():
        engines = [name for name, about in told["engines"].items() if about["group"] == group]
        engines = [name for name in engines if str(cell) in told["engines"][name]["readers"]]
        try:
            full = {name: _answers(process, name, cell) for name in engines}
            if group == OURS:
                _check(told, reference, questions, cell, full)
            # For who may read everything it is the check: what differs then differs whenever it is built.
            if full:
                for name, less in _of_twin(group, engines, data, folder).items():
                    told["engines"][name]["hidden"][str(cell)] = differences(full[name], less, own)
        except Failed as failure:
            told["groups"][group]["twin_failed"] = str(failure)
    shutil.rmtree(data, ignore_errors=True)


def _of_twin(group: str, engines: Sequence[str], data: Path, folder: Path) -> dict[str, Answers]:
    place = folder / f"twin-{_module(group)}"
    place.mkdir()
    twin = Process("both", _module(group), data, place)
    try:
        twin.answer()
        return {name: _answers(twin, name, 0) for name in engines}
    finally:
        twin.end()
        shutil.rmtree(place, ignore_errors=True)


def _answers(process: Process, engine: str, cell: int) -> Answers:
    wanted = {"do": "answers", "engine": engine, "count": QUESTIONS}
    found: Answers = process.ask(cell=cell, knob=FOR_COMPARING, **wanted)["answers"]
    return found


def _check(
    told: dict[str, Any], reference: Reference, questions: WordSet, cell: int, full: Mapping[str, Answers]
) -> None:
    for name, answers in full.items():
        about = told["engines"][name]
        for asked, (rows, scores) in zip(questions.asked(cell, about["mode"]), answers, strict=True):
            reference.check(about["mode"], asked, [int(row) for row in rows], scores, DEPTHS[FOR_COMPARING])
        about["held_to_reference"] = about.get("held_to_reference", 0) + len(answers)


def differences(full: Answers, less: Answers, own: Sequence[int]) -> dict[str, int]:
    """Return how many answers have other rows or another order, and how many another score for a row of both.

    Args:
        less: Of the store of the reader's rows alone.
        own: Which rows of the full one its rows are.
    """
    order = changed = 0
    for (rows, scores), (twin_rows, twin_scores) in zip(full, less, strict=True):
        first = _first({int(row): score for row, score in zip(rows, scores, strict=True)})
        twin = _first({own[int(row)]: score for row, score in zip(twin_rows, twin_scores, strict=True)})
        order += list(first) != list(twin)
        changed += any(first[row] != twin[row] for row in first.keys() & twin.keys())
    return {"questions": len(full), "answers": order, "scores": changed}


def _first(answer: Mapping[int, float]) -> dict[int, float]:
    """Return the ten rows that count, best first, rows of equal score by number."""
    return dict(sorted(answer.items(), key=lambda each: (-each[1], each[0]))[:K])


def _memory(told: dict[str, Any], processes: Mapping[str, Process]) -> None:
    for group, process in processes.items():
        try:
            told["groups"][group]["memory_bytes"] = process.ask(do="memory")["bytes"]
        except Failed as failure:
            told["groups"][group]["failed"] = str(failure)
