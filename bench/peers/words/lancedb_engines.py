"""Raw LanceDB: its text index with a filter by label before the search, and both searches joined by its reranker.

Promise: through LanceDB's own client, as its documentation says it. No index over the vectors: by meaning every
row that passes is looked at, so that whatever hidden rows change comes from words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, Bitmap
from lancedb.rerankers import RRFReranker

from bench.peers.engines import Answered, Engine, Kind
from bench.peers.engines import Asked as Asking
from bench.peers.question_sets import Cell

from .depths import DEPTHS
from .word_sets import Asked, WordSet

WORDS_ARE_WORDS = FTS(
    base_tokenizer="whitespace",
    with_position=False,
    stem=False,
    remove_stop_words=False,
    lower_case=False,
    ascii_folding=False,
)


class LanceDb:
    """One table."""

    kept = False

    def __init__(self) -> None:
        self.engines: Mapping[str, Engine] = {}

    def build(self, questions: WordSet, folder: Path) -> None:
        """Write the rows, the text index and that of the labels."""
        rows, dimensions = questions.vectors.shape
        table = pa.table(
            {
                "row": pa.array(np.arange(rows, dtype=np.int32)),
                "label": pa.array(questions.labels[0]),
                "text": [questions.text(row) for row in range(rows)],
                "vector": pa.FixedSizeListArray.from_arrays(
                    pa.array(np.ravel(questions.vectors)), dimensions
                ),
            }
        )
        made = lancedb.connect(str(folder)).create_table("rows", table)
        made.create_index("text", config=WORDS_ARE_WORDS)
        made.create_index("label", config=Bitmap())

    def open(self, questions: WordSet, folder: Path) -> None:
        """Open the table."""
        table = lancedb.connect(str(folder)).open_table("rows")
        self.engines = {"lancedb-text": Text(table), "lancedb-hybrid": Hybrid(table)}

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Do nothing."""


class Text:
    """By words."""

    title = "LanceDB, prefilter by label"
    kind: Kind = "filters if asked"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = DEPTHS

    def __init__(self, table: Any) -> None:
        self._table = table

    def reader(self, cell: Cell, knob: int) -> Asking:
        """Make the filter."""
        where = f"label IN ({', '.join(map(str, cell.readable))})"

        def ask(asked: Asked) -> Answered:
            query = self._query(asked).where(where, prefilter=True).limit(knob)
            found = query.select(["row", *self.scored]).to_arrow()
            return Answered(found["row"].to_pylist(), found[self.score].to_pylist())

        return ask

    score = "_score"
    scored: ClassVar[tuple[str, ...]] = ("_score",)

    def _query(self, asked: Asked) -> Any:
        return self._table.search(asked.text, query_type="fts", fts_columns="text")


class Hybrid(Text):
    """By both, each as deep as the answer, joined by reciprocal ranks."""

    title = "LanceDB, prefilter by label, its RRF reranker"
    score = "_relevance_score"
    scored: ClassVar[tuple[str, ...]] = ()

    def _query(self, asked: Asked) -> Any:
        query = self._table.search(query_type="hybrid", fts_columns="text").vector(asked.vector)
        return query.text(asked.text).distance_type("dot").rerank(RRFReranker())


def made() -> LanceDb:
    """Return the group."""
    return LanceDb()
