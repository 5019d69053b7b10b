"""Ringfence itself, asked by words and by both: the product's own search through its door, record and all.

Promise: a row that stands in the full store and in the one of a reader's rows has the same id in both, as in a copy;
the ids of documents and passages are drawn from their names here, all else as always.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.drafts import Passage, draft_of
from bench.peers.engines import Answered, Engine, Kind
from bench.peers.engines import Asked as Asking
from bench.peers.question_sets import Cell
from bench.peers.ringfence_engines import (
    ADMIN,
    COMPILED_FROM,
    DOCUMENTS_PER_PUBLICATION,
    MEMORY_BYTES,
    SOURCE,
    Parts,
    documents,
    subject,
)
from ringfence_governance import read_records, vector_scan
from ringfence_governance.ambient import Ambient
from ringfence_governance.door import Door
from ringfence_governance.drafts import DocumentDraft
from ringfence_governance.labels import Label
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.reading import GrantedReader
from ringfence_governance.vector_models import VectorModel
from ringfence_retrieval.plans import Mode
from ringfence_retrieval.questions import Question
from ringfence_retrieval.search import search

from .depths import DEPTHS
from .word_sets import Asked, WordSet

UNSTEMMED = "none"
"""Other engines are told to stem nothing too: then all of them look for the same words."""


class IdsByName:
    """Ids of documents and passages from their names; everything else from the operating system."""

    def draw(self, size: int, purpose: str, name: str) -> bytes:
        """Return bytes; a passage's are of its document and its place there, whatever run wrote it."""
        if purpose == "id:document":
            return hashlib.blake2b(name.encode(), digest_size=size).digest()
        if purpose == "id:chunk":
            document, _, ordinal = name.split("|")
            return hashlib.blake2b(f"{document}|{ordinal}".encode(), digest_size=size).digest()
        return os.urandom(size)


class Ringfence:
    """A sealed store of all rows, with their texts."""

    kept = False

    def __init__(self) -> None:
        self.engines: Mapping[str, Engine] = {}
        self._door: Door | None = None

    def build(self, questions: WordSet, folder: Path) -> None:
        """Make the store."""
        bundle = PolicyBundle(shipped_default().rows, (), "benchmark")
        ambient = Ambient(randomness=IdsByName())
        door, _ = Door.create(
            folder / "store", bundle, ADMIN.person, keys_home=folder / "keys", ambient=ambient
        )
        model = VectorModel("bench", hashlib.sha256(b"peers").hexdigest(), questions.vectors.shape[1])
        drafts, of_label = list(documents(questions, 0)), Counter[str]()
        for start in range(0, len(drafts), DOCUMENTS_PER_PUBLICATION):
            with door.ingestion(ADMIN, SOURCE, model, pipeline="bench") as ingestion:
                for _, rows, label in drafts[start : start + DOCUMENTS_PER_PUBLICATION]:
                    # Named by its label and its place there: in a store of fewer labels it is the same.
                    path = f"{label.owner.rpartition('-')[2]}/{of_label[label.owner]}.txt"
                    of_label[label.owner] += 1
                    ingestion.put(_draft(questions, path, rows, label))
        door.close()

    def open(self, questions: WordSet, folder: Path) -> None:
        """Open it, and load the compiled loops as a process does that has asked for a while."""
        self._door = Door.open(folder / "store", keys_home=folder / "keys")
        self._door.limit_memory(MEMORY_BYTES)
        if len(questions.vectors) >= COMPILED_FROM:
            vector_scan.load_kernels(questions.vectors.shape[1])
        parts = Parts({"record": (read_records, "append"), "unseal": (GrantedReader, "passages")})
        self.engines = {
            "ringfence-text": Governed(self._door, "text", parts),
            "ringfence-hybrid": Governed(self._door, "hybrid", parts),
        }

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Close the store."""
        if self._door is not None:
            self._door.close()


class Governed:
    """The product's search in one mode."""

    title = "Ringfence"
    kind: Kind = "enforces"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = DEPTHS

    def __init__(self, door: Door, mode: Mode, parts: Parts) -> None:
        self._door, self._mode, self._parts = door, mode, parts

    def reader(self, cell: Cell, knob: int) -> Asking:
        """Be somebody."""
        door, who, mode = self._door, subject(cell), self._mode

        def ask(asked: Asked) -> Answered:
            self._parts.begin()
            question = Question(asked.text, knob, mode, language=UNSTEMMED)
            found = search(door, who, question, lambda _: asked.vector)
            rows = [int(hit.text.partition(" ")[0]) for hit in found]
            return Answered(rows, [hit.score for hit in found], self._parts.taken())

        return ask


def _draft(questions: WordSet, path: str, rows: npt.NDArray[np.intp], label: Label) -> DocumentDraft:
    passages = []
    for row in rows.tolist():
        terms = tuple(questions.row_words(row))
        # The number says which row it is; it is none of the words that are searched.
        text = f"{row} {' '.join(terms)}"
        passages.append(Passage(text, np.asarray(questions.vectors[row], np.float32), terms, len(terms)))
    return draft_of(path, passages, label)


def made() -> Ringfence:
    """Return the group."""
    return Ringfence()
