"""Who may read what, and what is asked: the rows' labels, the readers, their questions and the right answers.

Promise: everything follows from the vectors and the seed. A reader's questions for choosing an engine's setting
are others than those it is reported on. The right answer is that of a plain product over the rows he may read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SEED = 8
K = 10
SHARES = (0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 50.0, 90.0, 100.0)
"""Per cent of the rows a reader may read."""
KINDS = ("uncorrelated", "positive", "negative")
"""How labels go with what is asked: not at all; a label is a cluster and the reader may read those that he asks
about; or may not."""
TUNING, REPORTED = 16, 64
"""Questions of each reader."""
LABELS = 1000
TIE = 1e-6
"""Scores so near count as equal: engines add in another order."""

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Cell:
    """One reader.

    Args:
        share: Per cent he may read, about.
        kind: Of `KINDS`.
        column: Of :attr:`QuestionSet.labels`: 0 labels drawn without regard to vectors, 1 a label is a cluster.
        readable: Labels he may read, ascending.
        rows: How many rows those are.
    """

    share: float
    kind: str
    column: int
    readable: tuple[int, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Rows, their labels, and readers with their questions.

    Args:
        vectors: float32 of shape (n, d), rows of length 1.
        labels: int32 of shape (2, n).
        cells: The readers.
        questions: float32 of shape (cells, tuning + reported, d), rows of length 1.
        last: float32 of shape (cells, tuning + reported): score of the last of the right answers.
    """

    vectors: Vectors
    labels: Labels
    cells: tuple[Cell, ...]
    questions: Vectors
    last: Vectors

    def asked(self, cell: int, part: str) -> Vectors:
        """Return a reader's questions, those for `tuning` or those that are `reported`."""
        return self.questions[cell, :TUNING] if part == "tuning" else self.questions[cell, TUNING:]

    def may_read(self, cell: int) -> npt.NDArray[np.bool_]:
        """Return for each row whether the reader may read it."""
        reader = self.cells[cell]
        return np.isin(self.labels[reader.column], np.asarray(reader.readable, np.int32))

    def judge(self, cell: int, part: str) -> Judge:
        """Return who judges the answers to a part of a reader's questions."""
        return Judge(self, cell, part)

    def uncorrelated(self) -> QuestionSet:
        """Return the readers whose labels go with nothing, alone: theirs is one column of labels, so one store."""
        own = [place for place, cell in enumerate(self.cells) if cell.kind == "uncorrelated"]
        cells = tuple(self.cells[place] for place in own)
        return replace(self, cells=cells, questions=self.questions[own], last=self.last[own])

    def columns(self) -> int:
        """Return how many columns of labels its readers go by."""
        return 1 + max(cell.column for cell in self.cells)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("vectors", "labels", "questions", "last"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        told = [[c.share, c.kind, c.column, list(c.readable), c.rows] for c in self.cells]
        (folder / "cells.json").write_text(json.dumps(told), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> QuestionSet:
        """Read what :meth:`save` wrote; the vectors stay on the disk until they are looked at."""
        told: list[list[Any]] = json.loads((folder / "cells.json").read_text("utf-8"))
        cells = tuple(Cell(each[0], each[1], each[2], tuple(each[3]), each[4]) for each in told)
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        labels, questions, last = (
            np.load(folder / f"{name}.npy") for name in ("labels", "questions", "last")
        )
        return cls(vectors, labels, cells, questions, last)


class Judge:
    """Judges what engines answer to one reader."""

    def __init__(self, of: QuestionSet, cell: int, part: str) -> None:
        self._vectors, self._may_read = of.vectors, of.may_read(cell)
        self._questions = of.asked(cell, part)
        self._last = of.last[cell, :TUNING] if part == "tuning" else of.last[cell, TUNING:]
        self._wanted = min(K, of.cells[cell].rows)

    def wanted(self, question: int) -> int:
        """Return how many rows a right answer has."""
        return self._wanted

    def judged(self, question: int, rows: Sequence[int]) -> tuple[int, int]:
        """Return how many of the rows an engine gave are right, and how many the reader may not read."""
        found = np.unique(np.asarray(rows, np.int64))
        allowed = found[self._may_read[found]]
        scores = np.asarray(self._vectors[allowed]) @ self._questions[question]
        return int((scores >= self._last[question] - TIE).sum()), len(found) - len(allowed)


def made(
    vectors: Vectors, clusters: npt.NDArray[np.int64], around: Mapping[str, Any], shares: Sequence[float]
) -> QuestionSet:
    """Return a question set over some vectors.

    Args:
        clusters: int64 of shape (n,): the cluster of each row.
        around: `vectors`, float32 of shape (m, d), what may be asked, and `clusters`, each one's cluster.
        shares: Of the readers.
    """
    dice = np.random.default_rng(SEED)
    labels = np.stack([_unequal_labels(len(vectors), dice), clusters]).astype(np.int32)
    cells: list[Cell] = []
    asked: list[Vectors] = []
    for share, kind in _readers(shares):
        column = 0 if kind == "uncorrelated" else 1
        readable = _share_of(labels[column], share / 100, dice)
        own = np.isin(around["clusters"], readable)
        among = {"uncorrelated": np.full(len(own), True), "positive": own, "negative": ~own}[kind]
        rows = int(np.isin(labels[column], readable).sum())
        if among.sum() < 2 or not rows:
            continue
        cells.append(Cell(share, kind, column, tuple(sorted(map(int, readable))), rows))
        asked.append(around["vectors"][_drawn(np.flatnonzero(among), dice)])
    questions = np.stack(asked)
    last = np.stack(
        [
            _last(vectors, np.isin(labels[cell.column], cell.readable), own)
            for cell, own in zip(cells, questions, strict=True)
        ]
    )
    return QuestionSet(vectors, labels, tuple(cells), questions, last)


def _drawn(among: npt.NDArray[np.intp], dice: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return which questions are asked for tuning and which are reported: no one for both, however few there are."""
    mixed = dice.permutation(among)
    apart = max(1, len(mixed) * TUNING // (TUNING + REPORTED))
    parts = ((mixed[:apart], TUNING), (mixed[apart:], REPORTED))
    return np.concatenate([dice.choice(part, count, replace=len(part) < count) for part, count in parts])


def _last(vectors: Vectors, may_read: npt.NDArray[np.bool_], questions: Vectors) -> Vectors:
    """Return the score of the last right answer to each question, by a plain product over the readable rows."""
    rows, best = np.flatnonzero(may_read), np.zeros((len(questions), 0), np.float32)
    for start in range(0, len(rows), 100_000):
        scores = questions @ vectors[rows[start : start + 100_000]].T
        both = np.concatenate([best, scores], axis=1)
        wanted = min(K, both.shape[1])
        best = np.partition(both, both.shape[1] - wanted, axis=1)[:, -wanted:]
    return best.min(axis=1)


def _readers(shares: Sequence[float]) -> Iterator[tuple[float, str]]:
    for kind in KINDS:
        for share in shares:
            if kind == "uncorrelated" or share < 100:
                yield share, kind


def _unequal_labels(rows: int, dice: np.random.Generator) -> npt.NDArray[np.int64]:
    """Give each row one of up to a thousand labels, the r-th of them to about one r-th as many rows as the first."""
    labels = min(LABELS, max(2, rows // 100))
    weights = 1.0 / np.arange(1, labels + 1)
    drawn = dice.choice(labels, rows, p=weights / weights.sum())
    # Each label holds a row.
    drawn[dice.permutation(rows)[:labels]] = np.arange(labels)
    return drawn


def _share_of(labels: npt.NDArray[np.int32], share: float, dice: np.random.Generator) -> list[int]:
    """Return labels, drawn in turn, that together hold about a share of the rows; at least one."""
    numbers, sizes = np.unique(labels, return_counts=True)
    if share >= 1:
        return [int(each) for each in numbers]
    wanted, taken, held = share * len(labels), [], 0
    for place in dice.permutation(len(numbers)):
        if held + sizes[place] <= wanted:
            taken.append(int(numbers[place]))
            held += int(sizes[place])
    return taken or [int(numbers[sizes.argmin()])]
