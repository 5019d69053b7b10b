"""zvec: a graph and an inverted index over each row's label, in this process.

Promise: asked by its way of least time, which gives numbers of rows instead of documents; they are turned
into the rows' own names within the time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .engines import Answered, Asked, Kind, needed
from .question_sets import Cell, K, QuestionSet

ROWS_AT_ONCE = 1000
COLUMNS = ("label_0", "label_1")


class Zvec:
    """Filters as it walks its graph, or scans the rows that pass, as it judges itself."""

    title = "zvec, filter"
    kind: Kind = "filters if asked"
    tuned = True
    kept = True
    knobs: ClassVar[dict[str, Any]] = {
        "ef 300": {"ef": 300},
        "ef 64": {"ef": 64},
        "ef 128": {"ef": 128},
        "ef 600": {"ef": 600},
        "linear": {"is_linear": True},
    }

    def __init__(self) -> None:
        self.engines = {"zvec": self}

    def build(self, questions: QuestionSet, folder: Path) -> None:
        """Write the rows and let the graph be made."""
        zvec = begun()
        schema = zvec.CollectionSchema(
            "rows",
            fields=[
                zvec.FieldSchema(
                    name, zvec.DataType.INT32, nullable=False, index_param=zvec.InvertIndexParam()
                )
                for name in COLUMNS
            ],
            vectors=[
                zvec.VectorSchema(
                    "vector",
                    zvec.DataType.VECTOR_FP32,
                    questions.vectors.shape[1],
                    index_param=zvec.HnswIndexParam(
                        metric_type=zvec.MetricType.IP, m=16, ef_construction=100, use_contiguous_memory=True
                    ),
                )
            ],
        )
        collection = zvec.create_and_open(str(folder / "rows"), schema, zvec.CollectionOption())
        for start in range(0, len(questions.vectors), ROWS_AT_ONCE):
            collection.insert(
                [
                    zvec.Doc(
                        str(row),
                        vectors={"vector": questions.vectors[row]},
                        fields={
                            name: int(questions.labels[place, row]) for place, name in enumerate(COLUMNS)
                        },
                    )
                    for row in range(start, min(start + ROWS_AT_ONCE, len(questions.vectors)))
                ]
            )
        collection.optimize()
        collection.flush()
        collection.close()

    def open(self, questions: QuestionSet, folder: Path) -> None:
        """Open it to read only: that is what its way of least time needs."""
        self._zvec = begun()
        option = self._zvec.CollectionOption(read_only=True, enable_mmap=True)
        self._collection = self._zvec.open(str(folder / "rows"), option)

    def reader(self, cell: Cell, knob: dict[str, Any]) -> Asked:
        """Make the filter."""
        zvec, collection = self._zvec, self._collection
        where = f"{COLUMNS[cell.column]} in ({', '.join(map(str, cell.readable))})"
        parameters = zvec.HnswQueryParam(**knob)

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            ids, scores = collection.query_internal_ids(
                zvec.Query("vector", vector=question, param=parameters),
                topk=K,
                filter=where,
                return_scores=True,
            )
            held = ids >= 0
            rows = [int(name) for name in collection.resolve_internal_ids(ids[held])]
            return Answered(rows, scores[held].tolist())

        return ask

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Close the collection."""
        self._collection.close()


def begun() -> Any:
    """Import it, and let it say nothing but errors."""
    zvec = needed("zvec", "zvec")
    zvec.init(log_level=zvec.LogLevel.ERROR)
    return zvec


def made() -> Zvec:
    """Return it, as a group of one."""
    return Zvec()
