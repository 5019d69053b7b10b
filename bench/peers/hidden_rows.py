"""Does what a reader may not read change what he gets? Asked of each engine twice: with all rows, and with his alone.

Promise: the same setting, the same questions, the same rows by number; a score counts as changed if one bit of it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .process import Failed, Process
from .question_sets import QuestionSet

SHARE = 10.0
QUESTIONS = 30


def compared(
    told: dict[str, Any], questions: QuestionSet, folder: Path, processes: Mapping[str, Process]
) -> None:
    """Note for each engine how many answers, and scores of rows in both, are others without the hidden rows.

    Args:
        processes: By group, open over all rows.
    """
    cells = [
        place
        for place, cell in enumerate(questions.cells)
        if cell.share == SHARE and cell.kind == "uncorrelated"
    ]
    if not cells:
        return
    (place,) = cells
    own = np.flatnonzero(questions.may_read(place))
    data = folder / "twin-questions"
    alone = QuestionSet(
        np.ascontiguousarray(questions.vectors[own]),
        np.ascontiguousarray(questions.labels[:, own]),
        (questions.cells[place],),
        questions.questions[place : place + 1],
        questions.last[place : place + 1],
    )
    alone.save(data)
    for group, process in processes.items():
        engines = [
            name
            for name, about in told["engines"].items()
            if about["group"] == group and str(place) in about["readers"]
        ]
        try:
            _group(told, group, process, engines, place, own.tolist(), data, folder)
        except Failed as failure:
            told["groups"][group]["twin_failed"] = str(failure)
    shutil.rmtree(data, ignore_errors=True)


def _group(
    told: dict[str, Any],
    group: str,
    whole: Process,
    engines: Sequence[str],
    cell: int,
    own: Sequence[int],
    data: Path,
    folder: Path,
) -> None:
    place = folder / f"twin-{group}"
    place.mkdir()
    twin = Process("both", group, data, place)
    try:
        twin.answer()
        for name in engines:
            about = told["engines"][name]
            wanted = {"do": "answers", "engine": name, "count": QUESTIONS}
            knob = about["readers"][str(cell)]["knob"]
            full = whole.ask(cell=cell, knob=knob, **wanted)["answers"]
            less = twin.ask(cell=0, knob=knob, **wanted)["answers"]
            about["hidden"] = _differences(full, less, own)
    finally:
        twin.end()
        shutil.rmtree(place, ignore_errors=True)


def _differences(
    full: Sequence[Sequence[Sequence[float]]], less: Sequence[Sequence[Sequence[float]]], own: Sequence[int]
) -> dict[str, int]:
    answers = scores = 0
    for (rows, values), (twin_rows, twin_values) in zip(full, less, strict=True):
        known = {own[int(row)]: value for row, value in zip(twin_rows, twin_values, strict=True)}
        answers += list(known) != [int(row) for row in rows]
        scores += sum(
            known[int(row)] != value for row, value in zip(rows, values, strict=True) if int(row) in known
        )
    return {"questions": len(full), "answers": answers, "scores": scores}
