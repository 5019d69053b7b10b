"""zvec: its text index, and that joined with the nearest vectors by its reranker, with a filter by label.

Promise: by words asked by its way of least time, which gives numbers of rows; for both it has only the other. By
meaning every row that passes is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.peers.engines import Answered, Engine, Kind
from bench.peers.engines import Asked as Asking
from bench.peers.question_sets import Cell
from bench.peers.zvec_engines import ROWS_AT_ONCE, begun

from .depths import DEPTHS
from .word_sets import Asked, WordSet


class Zvec:
    """One collection."""

    kept = False

    def __init__(self) -> None:
        self.engines: Mapping[str, Engine] = {}
        self._collection: Any = None

    def build(self, questions: WordSet, folder: Path) -> None:
        """Write the rows and their indexes."""
        zvec = begun()
        kinds, dimensions = zvec.DataType, questions.vectors.shape[1]
        label = zvec.FieldSchema("label", kinds.INT32, nullable=False, index_param=zvec.InvertIndexParam())
        words = zvec.FtsIndexParam(tokenizer_name="whitespace", filters=["lowercase"])
        text = zvec.FieldSchema("text", kinds.STRING, nullable=False, index_param=words)
        flat = zvec.FlatIndexParam(metric_type=zvec.MetricType.IP)
        vector = zvec.VectorSchema("vector", kinds.VECTOR_FP32, dimensions, index_param=flat)
        schema = zvec.CollectionSchema("rows", fields=[label, text], vectors=[vector])
        collection = zvec.create_and_open(str(folder / "rows"), schema, zvec.CollectionOption())
        rows, labels = len(questions.vectors), questions.labels[0].tolist()
        for start in range(0, rows, ROWS_AT_ONCE):
            collection.insert(
                [
                    zvec.Doc(
                        str(row),
                        vectors={"vector": questions.vectors[row]},
                        fields={"label": labels[row], "text": questions.text(row)},
                    )
                    for row in range(start, min(start + ROWS_AT_ONCE, rows))
                ]
            )
        collection.optimize()
        collection.flush()
        collection.close()

    def open(self, questions: WordSet, folder: Path) -> None:
        """Open it to read only."""
        zvec = begun()
        option = zvec.CollectionOption(read_only=True, enable_mmap=True)
        self._collection = zvec.open(str(folder / "rows"), option)
        self.engines = {
            "zvec-text": Text(zvec, self._collection),
            "zvec-hybrid": Hybrid(zvec, self._collection),
        }

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Close the collection."""
        if self._collection is not None:
            self._collection.close()


class Text:
    """By words."""

    title = "zvec, filter"
    kind: Kind = "filters if asked"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = DEPTHS

    def __init__(self, zvec: Any, collection: Any) -> None:
        self._zvec, self._collection = zvec, collection

    def reader(self, cell: Cell, knob: int) -> Asking:
        """Make the filter."""
        where = f"label in ({', '.join(map(str, cell.readable))})"
        return lambda asked: self._found(asked, where, knob)

    def _found(self, asked: Asked, where: str, depth: int) -> Answered:
        ids, scores = self._collection.query_internal_ids(
            self._words(asked), topk=depth, filter=where, return_scores=True
        )
        held = ids >= 0
        rows = [int(name) for name in self._collection.resolve_internal_ids(ids[held])]
        return Answered(rows, scores[held].tolist())

    def _words(self, asked: Asked) -> Any:
        return self._zvec.Query("text", fts=self._zvec.Fts(match_string=asked.text))


class Hybrid(Text):
    """By both, each as deep as the answer, joined by reciprocal ranks."""

    title = "zvec, filter, its RRF reranker"

    def _found(self, asked: Asked, where: str, depth: int) -> Answered:
        both = [self._words(asked), self._zvec.Query("vector", vector=asked.vector)]
        found = self._collection.query(
            both, topk=depth, filter=where, output_fields=[], reranker=self._zvec.RrfReRanker()
        )
        return Answered([int(each.id) for each in found], [each.score for each in found])


def made() -> Zvec:
    """Return the group."""
    return Zvec()
