"""Raw LanceDB, and two habits of applications over it: fetch more and drop, and list ids and ask for those.

Promise: through LanceDB's own client, as its documentation says it; for each label a number with a bitmap index, for
each row's number a B-tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .engines import Answered, Asked, Engine, Kind
from .question_sets import Cell, K, Labels, QuestionSet

LIST_MAX = 1000
"""So many ids OpenFGA's list-objects gives by default."""
COLUMNS = ("label_0", "label_1")
INDEX_ROWS_MIN = 2000
"""Fewer rows are soon scanned, and sooner than an index over them is trained."""
ALL = 100_000


class LanceDb:
    """Two tables of the same rows: one whose index holds the vectors as they are, one as it is made by default."""

    kept = True

    def __init__(self) -> None:
        self.engines: dict[str, Engine] = {}

    def build(self, questions: QuestionSet, folder: Path) -> None:
        """Write the rows and all indexes."""
        rows, dimensions = questions.vectors.shape
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(questions.vectors)), dimensions)
        table = pa.table(
            [pa.array(np.arange(rows, dtype=np.int32)), *map(pa.array, questions.labels), vectors],
            names=["row", *COLUMNS, "vector"],
        )
        for name in ("IVF_FLAT", "IVF_PQ"):
            made = lancedb.connect(str(folder)).create_table(name, table)
            if rows >= INDEX_ROWS_MIN:
                made.create_index(metric="dot", vector_column_name="vector", index_type=name)
            for column in COLUMNS:
                made.create_scalar_index(column, index_type="BITMAP")
            made.create_scalar_index("row", index_type="BTREE")

    def open(self, questions: QuestionSet, folder: Path) -> None:
        """Open both tables."""
        exact, default = (lancedb.connect(str(folder)).open_table(name) for name in ("IVF_FLAT", "IVF_PQ"))
        self.engines = {
            "lancedb": Prefilter(exact),
            "lancedb-default": Default(default),
            "over-fetch": OverFetch(exact, questions.labels),
            "list-then-in": ListThenIn(exact, questions.labels),
        }

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Do nothing."""


class Prefilter:
    """A filter by label before the search, its probes chosen for the wanted recall."""

    title = "LanceDB, prefilter by label"
    kind: Kind = "filters if asked"
    tuned = True
    knobs: ClassVar[dict[str, Any]] = {
        "20 probes": {"nprobes": 20},
        "80 probes": {"nprobes": 80},
        "all probes": {"nprobes": ALL},
        "no index": {"flat": True},
    }

    def __init__(self, table: Any) -> None:
        self._table = table

    def reader(self, cell: Cell, knob: dict[str, Any]) -> Asked:
        """Make the filter."""
        where = _among(COLUMNS[cell.column], cell.readable)
        return lambda question: _found(self._table, question, knob, where)


class Default(Prefilter):
    """The same with the index and the settings of who asks for nothing."""

    title = "LanceDB as it comes, prefilter by label"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = {"default": {}}


class OverFetch:
    """Fetches more than is wanted, and drops what the reader may not read."""

    title = "fetch more and drop, over LanceDB"
    kind: Kind = "filters afterwards"
    tuned = True
    knobs: ClassVar[dict[str, Any]] = {
        "4 times": {"times": 4, "nprobes": 20},
        "20 times": {"times": 20, "nprobes": 20},
        "100 times": {"times": 100, "nprobes": 80},
        "1,000 times": {"times": 1000, "nprobes": ALL},
        "everything": {"times": None, "flat": True},
    }

    def __init__(self, table: Any, labels: Labels) -> None:
        self._table, self._labels = table, labels

    def reader(self, cell: Cell, knob: dict[str, Any]) -> Asked:
        """Note what he may read; to look a label up there costs next to nothing, which a real check does not."""
        readable, labels = frozenset(cell.readable), self._labels[cell.column].tolist()
        wanted = min(K * (knob["times"] or len(labels)), len(labels))

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            found = _found(self._table, question, knob, None, wanted)
            kept = [place for place, row in enumerate(found.rows) if labels[row] in readable][:K]
            return Answered([found.rows[place] for place in kept], [found.scores[place] for place in kept])

        return ask


class ListThenIn:
    """Lists ids that the reader may read, at most a thousand, and asks for those."""

    title = f"list {LIST_MAX:,} ids, then `IN`, over LanceDB"
    kind: Kind = "filters if asked"
    tuned = True
    knobs: ClassVar[dict[str, Any]] = {
        "20 probes": {"nprobes": 20},
        "all probes": {"nprobes": ALL},
        "no index": {"flat": True},
    }

    def __init__(self, table: Any, labels: Labels) -> None:
        self._table, self._labels = table, labels

    def reader(self, cell: Cell, knob: dict[str, Any]) -> Asked:
        """List the ids, outside the time."""
        rows = np.flatnonzero(np.isin(self._labels[cell.column], cell.readable))[:LIST_MAX]
        where = _among("row", rows.tolist())
        return lambda question: _found(self._table, question, knob, where)


def _among(column: str, values: Iterable[int]) -> str:
    return f"{column} IN ({', '.join(map(str, values))})"


def _found(
    table: Any, question: npt.NDArray[np.float32], knob: Any, where: str | None, k: int = K
) -> Answered:
    query = table.search(question).distance_type("dot").select(["row", "_distance"]).limit(k)
    if where is not None:
        query = query.where(where, prefilter=True)
    if "nprobes" in knob:
        query = query.nprobes(knob["nprobes"])
    if knob.get("flat"):
        query = query.bypass_vector_index()
    found = query.to_arrow()
    return Answered(found["row"].to_pylist(), (1.0 - found["_distance"].to_numpy()).tolist())


def made() -> LanceDb:
    """Return the group."""
    return LanceDb()
