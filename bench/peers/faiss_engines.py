"""faiss: a flat scan, inverted lists and a graph, each with a bitmap of the reader's rows.

Promise: the bitmap is made once for each reader, outside the time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .engines import Answered, Asked, Kind, needed
from .question_sets import Cell, K, QuestionSet

LISTS_PER_ROOT = 1
GRAPH_LINKS, GRAPH_EFFORT = 16, 100


class Faiss:
    """A library without storage and without readers: what native code can do with a selector."""

    title = "faiss, bitmap selector"
    kind: Kind = "filters if asked"
    tuned = True
    kept = True
    knobs: ClassVar[dict[str, Any]] = {
        "flat": ("flat", 0),
        "lists 8": ("lists", 8),
        "lists 32": ("lists", 32),
        "lists 128": ("lists", 128),
        "graph ef 64": ("graph", 64),
        "graph ef 256": ("graph", 256),
    }

    def __init__(self) -> None:
        self.engines = {"faiss": self}

    def build(self, questions: QuestionSet, folder: Path) -> None:
        """Train and fill all three."""
        faiss = needed("faiss", "faiss-cpu")
        vectors = np.ascontiguousarray(questions.vectors)
        rows, dimensions = vectors.shape
        lists = max(4, int(rows**0.5) * LISTS_PER_ROOT)
        made = {
            "flat": faiss.IndexFlatIP(dimensions),
            "lists": faiss.IndexIVFFlat(
                faiss.IndexFlatIP(dimensions), dimensions, lists, faiss.METRIC_INNER_PRODUCT
            ),
            "graph": faiss.IndexHNSWFlat(dimensions, GRAPH_LINKS, faiss.METRIC_INNER_PRODUCT),
        }
        made["graph"].hnsw.efConstruction = GRAPH_EFFORT
        made["lists"].train(vectors[: lists * 64])
        for name, index in made.items():
            index.add(vectors)
            faiss.write_index(index, str(folder / name))

    def open(self, questions: QuestionSet, folder: Path) -> None:
        """Read all three into memory."""
        self._faiss = needed("faiss", "faiss-cpu")
        self._faiss.omp_set_num_threads(1)
        self._indexes = {
            name: self._faiss.read_index(str(folder / name)) for name in ("flat", "lists", "graph")
        }
        self._labels = questions.labels

    def reader(self, cell: Cell, knob: tuple[str, int]) -> Asked:
        """Make the bitmap."""
        faiss = self._faiss
        bits = np.packbits(np.isin(self._labels[cell.column], cell.readable), bitorder="little")
        selector = faiss.IDSelectorBitmap(bits)
        kind, number = knob
        parameters = {
            "flat": lambda: faiss.SearchParameters(sel=selector),
            "lists": lambda: faiss.SearchParametersIVF(sel=selector, nprobe=number),
            "graph": lambda: faiss.SearchParametersHNSW(sel=selector, efSearch=number),
        }[kind]()
        index = self._indexes[kind]

        # The selector points into the bits: they are held as long as it.
        self._held = (bits, selector)

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            scores, rows = index.search(question[None, :], K, params=parameters)
            held = rows[0] >= 0
            return Answered(rows[0][held].tolist(), scores[0][held].tolist())

        return ask

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Do nothing."""


def made() -> Faiss:
    """Return it, as a group of one."""
    return Faiss()
