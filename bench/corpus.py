"""Make the benchmark's documents, readers and questions, the same every time.

Promise: everything follows from the seed and the size; nothing is fetched. Each paragraph is one passage
of the chunker, so a corpus has as many passages as are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ringfence_governance.labels import Label
from ringfence_ingest.documents import Document

SEED = 384
PARAGRAPHS = 10
"""Passages of one document."""

PARAGRAPH_CHARS = (400, 490)
"""Two never fit into one passage of 500 characters, and one always does."""

WORDS = 30_000
LABELS_MAX = 200
WORDS_PER_QUESTION = 4

TENANT = "bench"
INGESTER = f"{TENANT}/user:ingester"
OWNER = f"{TENANT}/user:owner"
SELECTIVITIES = (0.1, 1.0, 10.0, 50.0, 100.0)
"""Per cent of the documents a reader may read; one reader for each."""

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstv" for vowel in ("a", "e", "i", "o", "u", "ar")]


def reader(percent: float) -> str:
    """Return the principal who reads that share of the documents."""
    return f"{TENANT}/user:reads-{percent:g}"


@dataclass(frozen=True)
class Corpus:
    """Documents of ten passages each, under up to 200 labels in turn, and one label for the smallest reader.

    Args:
        passages: How many, a multiple of ten from 20.
    """

    passages: int

    @property
    def size(self) -> int:
        """How many documents there are."""
        return self.passages // PARAGRAPHS

    @property
    def labels(self) -> int:
        """How many labels take turns; one more is the smallest reader's, and its number is this one."""
        return min(LABELS_MAX, self.size // 2)

    def label_number(self, document: int) -> int:
        """Return which label a document has; the smallest reader's few come first."""
        few = max(1, round(self.size * SELECTIVITIES[0] / 100))
        return self.labels if document < few else document % self.labels

    def numbers_of(self, percent: float) -> frozenset[int]:
        """Return the label numbers a reader may read."""
        if percent == SELECTIVITIES[0]:
            return frozenset({self.labels})
        return frozenset(range(round(self.labels * percent / 100))) | {self.labels}

    def label(self, number: int) -> Label:
        """Return the label of a number."""
        readers = frozenset(
            reader(percent) for percent in SELECTIVITIES if number in self.numbers_of(percent)
        )
        # An owner of its own makes each label another one, even where the readers are the same.
        return Label(TENANT, f"{OWNER}-{number}", readers)

    def documents(self) -> Iterator[Document]:
        """Yield the documents."""
        random = np.random.default_rng(SEED)
        labels = [self.label(number) for number in range(self.labels + 1)]
        for number in range(self.size):
            text = "\n\n".join(self._paragraph(random) for _ in range(PARAGRAPHS))
            yield Document(
                f"folder-{number % 40}/{number}.txt", text, label=labels[self.label_number(number)]
            )

    def questions(self, count: int) -> list[str]:
        """Return questions of words that are neither in every passage nor in none."""
        random = np.random.default_rng(SEED + 1)
        return [
            " ".join(self._words[index] for index in random.integers(20, 2000, WORDS_PER_QUESTION))
            for _ in range(count)
        ]

    @cached_property
    def _words(self) -> list[str]:
        random = np.random.default_rng(SEED + 2)
        made = dict.fromkeys(
            "".join(random.choice(_SYLLABLES, random.integers(2, 5))) for _ in range(2 * WORDS)
        )
        return list(made)[:WORDS]

    @cached_property
    def _cumulated(self) -> npt.NDArray[np.float64]:
        weights = 1.0 / np.arange(1, len(self._words) + 1)
        return np.cumsum(weights / weights.sum())

    def _paragraph(self, random: np.random.Generator) -> str:
        drawn = np.searchsorted(self._cumulated, random.random(PARAGRAPH_CHARS[1] // 4))
        chosen: list[str] = []
        length = 0
        for index in drawn:
            word = self._words[min(int(index), len(self._words) - 1)]
            if length + len(word) + 1 > PARAGRAPH_CHARS[1]:
                break
            chosen.append(word)
            length += len(word) + 1
        return " ".join(chosen)
