"""Rows with texts, their readers, and what is asked in words.

Promise: everything follows from the rows and the seed. A text is words of the letters a to z with blanks between,
so that every engine finds the same words in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.peers.question_sets import SEED, Cell, K, Labels, QuestionSet, Vectors
from bench.peers.vector_sets import Docstrings

VOCABULARY = 20_000
FREQUENT = 20
"""So many of the most frequent made words are asked for by nobody, as nobody asks for `the`."""
LENGTHS = (20, 61)
"""Words of a made text, the least and one more than the most."""
ASKED_WORDS = 3
QUESTIONS = 48
WORD = re.compile("[a-z]{2,30}")
Words = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]


class Asked(NamedTuple):
    """One question.

    Args:
        text: Words with blanks between.
        vector: float32 of shape (d,), length 1: what is asked by meaning.
    """

    text: str
    vector: npt.NDArray[np.float32]


@dataclass(frozen=True)
class WordSet:
    """Rows, their texts and labels, and readers with their questions.

    Args:
        vectors: float32 of shape (n, d), rows of length 1.
        labels: int32 of shape (1, n).
        cells: The readers.
        vocabulary: All words, by number.
        words: int32: the numbers of the words of all texts, one text behind the other.
        starts: int64 of shape (n + 1,): where each text starts in `words`.
        texts: What is asked: for each reader the same number of texts.
        asked_vectors: float32 of shape (cells, questions, d), rows of length 1.
    """

    vectors: Vectors
    labels: Labels
    cells: tuple[Cell, ...]
    vocabulary: tuple[str, ...]
    words: Words
    starts: npt.NDArray[np.int64]
    texts: tuple[tuple[str, ...], ...]
    asked_vectors: Vectors
    _held: dict[str, tuple[Places, Places]] = field(default_factory=dict, compare=False, repr=False)

    def text(self, row: int) -> str:
        """Return a row's text."""
        return " ".join(self.row_words(row))

    def row_words(self, row: int) -> list[str]:
        """Return a row's words, in order."""
        return [
            self.vocabulary[word] for word in self.words[self.starts[row] : self.starts[row + 1]].tolist()
        ]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many words each row has."""
        return np.diff(self.starts)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.vocabulary)}

    def holding(self, word: str) -> tuple[Places, Places]:
        """Return the rows that hold a word, ascending, and how often each does."""
        if word not in self._held:
            number = self._numbers.get(word, -1)
            at = np.flatnonzero(self.words == number)
            found, counts = np.unique(np.searchsorted(self.starts, at, side="right") - 1, return_counts=True)
            self._held[word] = found, counts
        return self._held[word]

    def asked(self, cell: int, part: str) -> list[Asked]:
        """Return a reader's questions; they are the same in each mode."""
        return [
            Asked(text, vector)
            for text, vector in zip(self.texts[cell], self.asked_vectors[cell], strict=True)
        ]

    def may_read(self, cell: int) -> npt.NDArray[np.bool_]:
        """Return for each row whether the reader may read it."""
        return np.isin(self.labels[0], np.asarray(self.cells[cell].readable, np.int32))

    def judge(self, cell: int, part: str) -> WordJudge:
        """Return who judges the answers to a reader's questions, `part` being `text` or `hybrid`."""
        return WordJudge(self, cell, part)

    def alone(self, cell: int) -> tuple[WordSet, list[int]]:
        """Return a set of one reader's rows and nothing else, and which rows of this one they are."""
        own = np.flatnonzero(self.may_read(cell))
        words = [self.words[self.starts[row] : self.starts[row + 1]] for row in own]
        less = WordSet(
            np.ascontiguousarray(self.vectors[own]),
            np.ascontiguousarray(self.labels[:, own]),
            (self.cells[cell],),
            self.vocabulary,
            np.concatenate(words),
            _starts([len(each) for each in words]),
            (self.texts[cell],),
            self.asked_vectors[cell : cell + 1],
        )
        return less, own.tolist()

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("vectors", "labels", "words", "starts", "asked_vectors"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        cells = [[c.share, c.kind, c.column, list(c.readable), c.rows] for c in self.cells]
        told = {"cells": cells, "vocabulary": self.vocabulary, "texts": self.texts}
        (folder / NAME).write_text(json.dumps(told), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> WordSet:
        """Read what :meth:`save` wrote."""
        told: dict[str, list[Any]] = json.loads((folder / NAME).read_text("utf-8"))
        cells = tuple(Cell(each[0], each[1], each[2], tuple(each[3]), each[4]) for each in told["cells"])
        vectors, labels, words, starts, asked = (
            np.load(folder / f"{name}.npy")
            for name in ("vectors", "labels", "words", "starts", "asked_vectors")
        )
        texts = tuple(tuple(each) for each in told["texts"])
        return cls(vectors, labels, cells, tuple(told["vocabulary"]), words, starts, texts, asked)


NAME = "word-set.json"
"""A folder that holds this file holds a word set."""


class WordJudge:
    """Says how many rows an answer should have, and counts those that the reader may not read."""

    def __init__(self, of: WordSet, cell: int, part: str) -> None:
        self._may_read, self._texts = of.may_read(cell), of.texts[cell]
        self._of, self._every = of, part == "hybrid"

    def wanted(self, question: int) -> int:
        """Return how many rows an answer has: by words, those that hold one; by both, all he may read; at most K."""
        if self._every:
            return min(K, int(self._may_read.sum()))
        holding = [self._of.holding(word)[0] for word in set(self._texts[question].split())]
        return min(K, int(self._may_read[np.unique(np.concatenate(holding))].sum()))

    def judged(self, question: int, rows: Sequence[int]) -> tuple[int, int]:
        """Return how many rows he may read, and how many he may not; which are right, no one says for all engines."""
        found = np.unique(np.asarray(rows, np.int64))
        allowed = int(self._may_read[found].sum())
        return allowed, len(found) - allowed


def synthetic(questions: QuestionSet, rows_max: int) -> WordSet:
    """Return made texts for made vectors: the r-th word of the vocabulary about one r-th as often as the first.

    Args:
        rows_max: Of so many of the rows at most, the first.
    """
    dice = np.random.default_rng(SEED + 2)
    rows, vocabulary = min(rows_max, len(questions.vectors)), tuple(map(_made_word, range(VOCABULARY)))
    weights = 1.0 / np.arange(1, VOCABULARY + 1)
    starts = _starts(dice.integers(*LENGTHS, rows).tolist())
    words = dice.choice(VOCABULARY, starts[-1], p=weights / weights.sum()).astype(np.int32)
    rarer = weights[FREQUENT:] / weights[FREQUENT:].sum()
    cells = _places(questions, rows)
    texts = tuple(
        tuple(
            " ".join(
                vocabulary[FREQUENT + word]
                for word in dice.choice(len(rarer), ASKED_WORDS, replace=False, p=rarer).tolist()
            )
            for _ in range(QUESTIONS)
        )
        for _ in cells
    )
    vectors = np.stack([questions.asked(place, "reported")[:QUESTIONS] for place in cells])
    return _set(questions, vocabulary, words, starts, texts, vectors)


def real(questions: QuestionSet, docstrings: Docstrings) -> WordSet:
    """Return the docstrings whose vectors a set is of; asked are some words of others."""
    dice = np.random.default_rng(SEED + 2)
    rows = [WORD.findall(text.lower()) for text in docstrings.texts]
    vocabulary = tuple(sorted({word for words in rows for word in words}))
    numbers = {word: number for number, word in enumerate(vocabulary)}
    words = np.asarray([numbers[word] for each in rows for word in each], np.int32)
    pool = [sorted(set(WORD.findall(text.lower()))) for text in docstrings.asked]
    usable = np.asarray([place for place, each in enumerate(pool) if len(each) >= ASKED_WORDS])
    drawn = [
        dice.choice(usable, QUESTIONS, replace=len(usable) < QUESTIONS) for _ in _places(questions, len(rows))
    ]
    texts = tuple(
        tuple(" ".join(dice.choice(pool[place], ASKED_WORDS, replace=False).tolist()) for place in each)
        for each in drawn
    )
    vectors = np.stack([docstrings.asked_vectors[each] for each in drawn])
    return _set(questions, vocabulary, words, _starts(list(map(len, rows))), texts, vectors)


def _set(
    questions: QuestionSet,
    vocabulary: tuple[str, ...],
    words: Words,
    starts: npt.NDArray[np.int64],
    texts: tuple[tuple[str, ...], ...],
    vectors: Vectors,
) -> WordSet:
    rows = len(starts) - 1
    labels = np.ascontiguousarray(questions.labels[:1, :rows])
    cells = tuple(
        replace(cell, rows=int(np.isin(labels[0], cell.readable).sum()))
        for cell in map(questions.cells.__getitem__, _places(questions, rows))
    )
    return WordSet(questions.vectors[:rows], labels, cells, vocabulary, words, starts, texts, vectors)


def _places(questions: QuestionSet, rows: int) -> list[int]:
    """Return the readers whose labels go with nothing and who may read one of the first rows."""
    return [
        place
        for place, cell in enumerate(questions.cells)
        if cell.kind == "uncorrelated" and np.isin(questions.labels[0, :rows], cell.readable).any()
    ]


def _starts(lengths: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _made_word(number: int) -> str:
    letters = ""
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters += chr(ord("a") + letter)
    return f"w{letters}"
