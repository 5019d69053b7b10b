"""Qdrant Edge: BM25 over a text index, and that joined with the nearest vectors, with a filter by label.

Promise: asked as its interface says it: one query for words, one of two prefetches for both. By meaning it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.peers.engines import Answered, Engine, Kind, needed
from bench.peers.engines import Asked as Asking
from bench.peers.qdrant_engines import ROWS_AT_ONCE, config, shard_in
from bench.peers.question_sets import Cell

from .depths import DEPTHS
from .word_sets import Asked, WordSet

RRF = 60


class QdrantEdge:
    """One shard."""

    kept = False

    def __init__(self) -> None:
        self.engines: Mapping[str, Engine] = {}
        self._shard: Any = None

    def build(self, questions: WordSet, folder: Path) -> None:
        """Write the rows, and let the optimiser come to its end."""
        edge = needed("qdrant_edge", "qdrant-edge-py")
        shard = edge.EdgeShard.create(str(shard_in(folder)), config(edge, questions.vectors.shape[1]))
        words = edge.TextIndexParams(
            tokenizer=edge.TokenizerType.Whitespace, lowercase=False, min_token_len=1, scoring=True
        )
        shard.update(edge.UpdateOperation.create_field_index("label", edge.PayloadSchemaType.Integer))
        shard.update(edge.UpdateOperation.create_field_index("text", words))
        rows, labels = len(questions.vectors), questions.labels[0].tolist()
        for start in range(0, rows, ROWS_AT_ONCE):
            points = [
                edge.Point(
                    row, questions.vectors[row].tolist(), {"label": labels[row], "text": questions.text(row)}
                )
                for row in range(start, min(start + ROWS_AT_ONCE, rows))
            ]
            shard.update(edge.UpdateOperation.upsert_points(points))
        while shard.optimize():
            pass
        shard.flush()
        shard.close()

    def open(self, questions: WordSet, folder: Path) -> None:
        """Open the shard."""
        edge = needed("qdrant_edge", "qdrant-edge-py")
        self._shard = edge.EdgeShard.load(str(shard_in(folder)))
        self.engines = {"qdrant-text": Text(edge, self._shard), "qdrant-hybrid": Hybrid(edge, self._shard)}

    def other_memory(self) -> int:
        """Return none."""
        return 0

    def close(self) -> None:
        """Close the shard."""
        if self._shard is not None:
            self._shard.close()


class Text:
    """By words."""

    title = "Qdrant Edge, filter"
    kind: Kind = "filters if asked"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = DEPTHS

    def __init__(self, edge: Any, shard: Any) -> None:
        self._edge, self._shard = edge, shard

    def reader(self, cell: Cell, knob: int) -> Asking:
        """Make the filter."""
        edge = self._edge
        where = edge.Filter(must=[edge.FieldCondition("label", match=edge.MatchAny(list(cell.readable)))])

        def ask(asked: Asked) -> Answered:
            found = self._shard.query(
                edge.QueryRequest(
                    limit=knob, with_payload=False, with_vector=False, **self._query(asked, where, knob)
                )
            )
            return Answered([point.id for point in found], [point.score for point in found])

        return ask

    def _query(self, asked: Asked, where: Any, depth: int) -> dict[str, Any]:
        return {"query": self._edge.TextQuery("text", asked.text), "filter": where}


class Hybrid(Text):
    """By both, each as deep as the answer, joined by reciprocal ranks."""

    title = "Qdrant Edge, filter, its RRF"

    def _query(self, asked: Asked, where: Any, depth: int) -> dict[str, Any]:
        edge = self._edge
        nearest = edge.Query.Nearest(asked.vector.tolist())
        exact = edge.SearchParams(exact=True)
        return {
            "query": edge.Fusion.Rrf(k=RRF),
            "prefetches": [
                edge.Prefetch(limit=depth, query=edge.TextQuery("text", asked.text), filter=where),
                edge.Prefetch(limit=depth, query=nearest, filter=where, params=exact),
            ],
        }


def made() -> QdrantEdge:
    """Return the group."""
    return QdrantEdge()
