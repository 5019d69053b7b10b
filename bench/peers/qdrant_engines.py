"""Qdrant Edge: the engine of Qdrant in this process, with an indexed number for each row's label.

Promise: the payload index stands before the rows come, so that the graph is built for filters too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .engines import Answered, Asked, Kind, needed
from .question_sets import Cell, K, QuestionSet

ROWS_AT_ONCE = 2000
COLUMNS = ("label_0", "label_1")


class QdrantEdge:
    """Filters as it walks its graph, or scans the few rows that pass, as it judges itself."""

    title = "Qdrant Edge, filter"
    kind: Kind = "filters if asked"
    tuned = True
    kept = True
    knobs: ClassVar[dict[str, Any]] = {
        "ef 64": {"hnsw_ef": 64},
        "ef 128": {"hnsw_ef": 128},
        "ef 256": {"hnsw_ef": 256},
        "ef 128, acorn": {"hnsw_ef": 128, "acorn": True},
        "exact": {"exact": True},
    }

    def __init__(self) -> None:
        self.engines = {"qdrant-edge": self}

    def build(self, questions: QuestionSet, folder: Path) -> None:
        """Write the rows, and let the optimiser come to its end."""
        edge = needed("qdrant_edge", "qdrant-edge-py")
        shard = edge.EdgeShard.create(str(shard_in(folder)), config(edge, questions.vectors.shape[1]))
        for name in COLUMNS:
            shard.update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Integer))
        for start in range(0, len(questions.vectors), ROWS_AT_ONCE):
            points = [
                edge.Point(
                    row,
                    questions.vectors[row].tolist(),
                    {name: int(questions.labels[place, row]) for place, name in enumerate(COLUMNS)},
                )
                for row in range(start, min(start + ROWS_AT_ONCE, len(questions.vectors)))
            ]
            shard.update(edge.UpdateOperation.upsert_points(points))
        while shard.optimize():
            pass
        shard.flush()
        shard.close()

    def open(self, questions: QuestionSet, folder: Path) -> None:
        """Open the shard."""
        self._edge = needed("qdrant_edge", "qdrant-edge-py")
        self._shard = self._edge.EdgeShard.load(str(shard_in(folder)))

    def reader(self, cell: Cell, knob: dict[str, Any]) -> Asked:
        """Make the filter; nothing but ids and scores is asked for."""
        edge, shard = self._edge, self._shard
        match = edge.MatchAny(list(cell.readable))
        where = edge.Filter(must=[edge.FieldCondition(COLUMNS[cell.column], match=match)])
        acorn = edge.AcornSearchParams(enable=True) if knob.get("acorn") else None
        parameters = edge.SearchParams(
            hnsw_ef=knob.get("hnsw_ef"), exact=knob.get("exact", False), acorn=acorn
        )

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            found = shard.search(
                edge.SearchRequest(
                    query=edge.Query.Nearest(question.tolist()),
                    limit=K,
                    filter=where,
                    params=parameters,
                    with_payload=False,
                    with_vector=False,
                )
            )
            return Answered([point.id for point in found], [point.score for point in found])

        return ask

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Close the shard."""
        self._shard.close()


def shard_in(folder: Path) -> Path:
    """Return the folder of the shard, made if it was not there."""
    place = folder / "shard"
    place.mkdir(exist_ok=True)
    return place


def config(edge: Any, dimensions: int) -> Any:
    """Return how a shard of such vectors is set."""
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Dot),
        hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
        wal_enabled=False,
    )


def made() -> QdrantEdge:
    """Return it, as a group of one."""
    return QdrantEdge()
