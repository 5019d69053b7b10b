"""Ringfence itself, as a reader asks it; and the same loops over the same rows without any of the governance.

Promise: the governed one is the product's own search through its door, record and all; the times of its record and
of opening the passages are told apart, by clocks around the functions that run anyway. Its answers are known by a
number in each passage's text.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.drafts import Passage, draft_of
from ringfence_governance import read_records, vector_scan
from ringfence_governance.door import Door
from ringfence_governance.drafts import DocumentDraft, SourceIdentity
from ringfence_governance.labels import Label
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.readable_rows import ReadableRows
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.segments import text_ids
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel
from ringfence_retrieval.candidates import Candidates
from ringfence_retrieval.plans import planned
from ringfence_retrieval.questions import Question
from ringfence_retrieval.ranking import ranked
from ringfence_retrieval.search import search

from .engines import Answered, Asked, Engine, Kind
from .question_sets import Cell, K, QuestionSet
from .words.word_sets import WordSet

ADMIN = Subject("bench/user:admin")
EVERYBODY = Subject("bench/user:everything")
"""May read every row: the texts of the ungoverned ones are his."""
SOURCE = SourceIdentity("file:///bench", "folder")
PASSAGES_PER_DOCUMENT = 20
DOCUMENTS_PER_PUBLICATION = 1000
WORDS = 40
VOCABULARY = 20_000
TEXTS_AT_ONCE = 5000
TEXT = "what is the question about"
COMPILED_FROM = 2000
"""Rows; for a look whether it runs, compiling takes longer than all else."""
MEMORY_BYTES = 1 << 40
"""Everything may stay opened: what is measured is warm."""


class Ringfence:
    """Sealed stores of the same rows, one for each column of labels that readers go by: a document has one label."""

    kept = False

    def __init__(self) -> None:
        self.engines: dict[str, Engine] = {}
        self.doors: list[Door] = []

    def build(self, questions: QuestionSet, folder: Path) -> None:
        """Make the stores."""
        for column in range(questions.columns()):
            place = folder / str(column)
            place.mkdir()
            bundle = PolicyBundle(shipped_default().rows, (), "benchmark")
            door, _ = Door.create(place / "store", bundle, ADMIN.person, keys_home=place / "keys")
            model = VectorModel("bench", hashlib.sha256(b"peers").hexdigest(), questions.vectors.shape[1])
            drafts = list(documents(questions, column))
            for start in range(0, len(drafts), DOCUMENTS_PER_PUBLICATION):
                with door.ingestion(ADMIN, SOURCE, model, pipeline="bench") as ingestion:
                    for number, rows, label in drafts[start : start + DOCUMENTS_PER_PUBLICATION]:
                        ingestion.put(_draft(questions, number, rows, label))
            door.close()

    def open(self, questions: QuestionSet, folder: Path) -> None:
        """Open them, and load the compiled loops as a process does that has asked for a while."""
        for column in range(questions.columns()):
            place = folder / str(column)
            door = Door.open(place / "store", keys_home=place / "keys")
            door.limit_memory(MEMORY_BYTES)
            self.doors.append(door)
        if len(questions.vectors) >= COMPILED_FROM:
            vector_scan.load_kernels(questions.vectors.shape[1])
        self.engines = {"ringfence": Governed(self.doors), "ungoverned": Ungoverned(self.doors)}

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Close the stores."""
        for door in self.doors:
            door.close()


def subject(cell: Cell) -> Subject:
    """Return who a reader is."""
    return Subject(f"bench/user:{cell.kind}-{cell.share:g}")


class Governed:
    """The product's search."""

    title = "Ringfence"
    kind: Kind = "enforces"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = {"as it comes": None}

    def __init__(self, doors: Sequence[Door]) -> None:
        self._doors = doors
        self._parts = Parts({"record": (read_records, "append"), "unseal": (GrantedReader, "passages")})

    def reader(self, cell: Cell, knob: None) -> Asked:
        """Be somebody."""
        door, who = self._doors[cell.column], subject(cell)

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            self._parts.begin()
            found = search(door, who, Question(TEXT, K, "vector"), lambda _: question)
            rows = [int(hit.text.partition(" ")[0]) for hit in found]
            return Answered(rows, [hit.score for hit in found], self._parts.taken())

        return ask


class Ungoverned:
    """The same loops over the same resident rows, and texts in clear: no grant, mask, check, key or record."""

    title = "the same loops, ungoverned"
    kind: Kind = "no reader"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = {"as it comes": None}

    def __init__(self, doors: Sequence[Door]) -> None:
        self._doors = doors
        self._texts: dict[int, dict[str, str]] = {}

    def reader(self, cell: Cell, knob: None) -> Asked:
        """Take the rows the reader would get, and all texts."""
        door = self._doors[cell.column]
        if cell.column not in self._texts:
            self._texts[cell.column] = _texts(door)
        rows, texts = _rows(door, subject(cell)), self._texts[cell.column]
        plan = planned("vector", K, len(rows))

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            looked = Candidates(Question(TEXT, K, "vector"), plan, lambda _: question)
            looked.at(rows)
            scores, ids = looked.scores()
            best = ranked(scores, ids, K + 1)[:K]
            found = [texts[each] for each in text_ids(ids[best])]
            return Answered([int(text.partition(" ")[0]) for text in found], scores[best].tolist())

        return ask


class Parts:
    """Seconds spent in some functions, told apart.

    Args:
        functions: Name → where one stands, and its name there.
    """

    def __init__(self, functions: dict[str, tuple[Any, str]]) -> None:
        self._seconds: dict[str, float] = {}
        for name, (place, function) in functions.items():
            setattr(place, function, self._timed(name, getattr(place, function)))

    def begin(self) -> None:
        """Forget what was."""
        self._seconds = {}

    def taken(self) -> dict[str, float]:
        """Return the seconds since :meth:`begin`."""
        return self._seconds

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started

        return timed


def _rows(door: Door, who: Subject) -> ReadableRows:
    """Return a reader's resident rows."""
    held: list[ReadableRows] = []

    def work(reader: GrantedReader) -> Answer[None]:
        held.extend(reader.passes())
        return Answer(rows=[], finish=lambda _: None)

    door.read(who, "search", work)
    (rows,) = held
    return rows


def _texts(door: Door) -> dict[str, str]:
    """Return the text of every row by its id."""
    texts: dict[str, str] = {}

    def work(reader: GrantedReader) -> Answer[None]:
        ids = reader.chunks().ids
        for start in range(0, len(ids), TEXTS_AT_ONCE):
            found = reader.chunk_texts(ids[start : start + TEXTS_AT_ONCE])
            texts.update({each.chunk_id: each.text for each in found.values()})
        return Answer(rows=[], finish=lambda _: None)

    door.read(EVERYBODY, "search", work)
    return texts


def documents(
    questions: QuestionSet | WordSet, column: int
) -> Iterator[tuple[int, npt.NDArray[np.intp], Label]]:
    """Yield each document's number, its rows and its label."""
    of = questions.labels[column]
    readers: dict[int, set[str]] = {}
    for cell in questions.cells:
        if cell.column == column:
            for label in cell.readable:
                readers.setdefault(label, set()).add(subject(cell).person)
    order = np.argsort(of, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(of[order], prepend=-1)), len(order))
    number = 0
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        name = int(of[order[first]])
        # An owner of its own makes each label another one, even where the readers are the same.
        label = Label(
            "bench", f"bench/user:owner-{name}", frozenset({EVERYBODY.person, *readers.get(name, ())})
        )
        for start in range(first, last, PASSAGES_PER_DOCUMENT):
            yield number, order[start : min(start + PASSAGES_PER_DOCUMENT, last)], label
            number += 1


def _draft(questions: QuestionSet, number: int, rows: npt.NDArray[np.intp], label: Label) -> DocumentDraft:
    dice = np.random.default_rng(1000 + number)
    drawn = (VOCABULARY * dice.random((len(rows), WORDS)) ** 3).astype(int)
    passages = []
    for row, words in zip(rows.tolist(), drawn.tolist(), strict=True):
        terms = tuple(f"w{word}" for word in words)
        vector = np.asarray(questions.vectors[row], np.float32)
        passages.append(Passage(f"{row} {' '.join(terms)}", vector, terms, WORDS))
    return draft_of(f"{number}.txt", passages, label)


def made() -> Ringfence:
    """Return the group."""
    return Ringfence()
