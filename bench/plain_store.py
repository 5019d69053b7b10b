"""Keep the same passages in plain LanceDB, in clear and without any check: what governance is compared with.

Promise: the pipeline that fills it is Ringfence's own; only the door is another. Nothing is encrypted,
recorded or refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import lancedb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lance.dataset import serialize_row_addrs
from lancedb.rerankers import RRFReranker

from ringfence_governance.drafts import DocumentDraft, LabelChoice, SourceIdentity
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel

Mode = Literal["vector", "text", "hybrid"]
COLUMNS = ["path", "title", "start", "end", "text"]
"""What a search gives back: what a hit of Ringfence holds."""


class NoDoor:
    """A door that takes every draft and keeps none: what is left is the pipeline's own cost."""

    @contextmanager
    def ingestion(
        self,
        subject: Subject,
        source: SourceIdentity,
        model: VectorModel,
        *,
        pipeline: str,
        dry_run: bool = False,
    ) -> Iterator[PlainIngestion]:
        """Open an ingestion that forgets."""
        yield PlainIngestion(None, {})


class PlainDoor:
    """A door to one LanceDB table.

    Args:
        folder: New or empty.
        numbers: Label → the number that stands for it in the `label` column.
    """

    def __init__(self, folder: Path, numbers: Mapping[LabelChoice, int]) -> None:
        self._database = lancedb.connect(str(folder))
        self._numbers = numbers

    @contextmanager
    def ingestion(
        self,
        subject: Subject,
        source: SourceIdentity,
        model: VectorModel,
        *,
        pipeline: str,
        dry_run: bool = False,
    ) -> Iterator[PlainIngestion]:
        """Make the table and open an ingestion into it."""
        ingestion = PlainIngestion(
            self._database.create_table("chunks", schema=_schema(model.dimensions)), self._numbers
        )
        yield ingestion
        ingestion.publish()


class PlainIngestion:
    """Writes drafts as rows, in the batches the pipeline publishes."""

    def __init__(self, table: Any | None, numbers: Mapping[LabelChoice, int]) -> None:
        self._table = table
        self._numbers = numbers
        self._rows: dict[str, list[Any]] = {}
        self._vectors: list[npt.NDArray[np.float32]] = []

    def state(self, path: str, sha256: str, label: LabelChoice) -> Literal["new"]:
        """Call every document new."""
        return "new"

    def check_label(self, label: LabelChoice) -> None:
        """Check nothing."""

    def is_lower(self, new: LabelChoice, old: LabelChoice) -> bool:
        """Compare nothing."""
        return False

    def put(self, draft: DocumentDraft) -> str:
        """Keep a draft's passages for the next :meth:`publish`."""
        if self._table is None:
            return ""
        for ordinal, chunk in enumerate(draft.chunks):
            values = {
                "path": draft.path,
                "title": draft.title,
                "ordinal": ordinal,
                "label": self._numbers[draft.label],
                "start": chunk.start,
                "end": chunk.end,
                "text": chunk.text,
            }
            for name, value in values.items():
                self._rows.setdefault(name, []).append(value)
            self._vectors.append(chunk.vector)
        return draft.path

    def relabel(self, path: str, label: LabelChoice) -> bool:
        """Do nothing: nothing is stored twice here."""
        return True

    def paths(self) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def remove(self, path: str) -> bool:
        """Do nothing."""
        return True

    def publish(self) -> None:
        """Append what was kept to the table."""
        if self._table is None or not self._vectors:
            return
        flat = pa.array(np.concatenate(self._vectors))
        vectors = pa.FixedSizeListArray.from_arrays(flat, len(self._vectors[0]))
        schema = _schema(len(self._vectors[0]))
        columns = [vectors if name == "vector" else self._rows[name] for name in schema.names]
        self._table.add(pa.table(columns, schema=schema))
        self._rows, self._vectors = {}, []


class PlainReader:
    """Searches of one reader in plain LanceDB, whole, filtered by SQL, and by a row mask below the search."""

    def __init__(self, folder: Path, numbers: frozenset[int]) -> None:
        self._table: Any = lancedb.connect(str(folder)).open_table("chunks")
        self._dataset = self._table.to_lance()
        self._condition = f"label IN ({', '.join(map(str, sorted(numbers)))})"
        rows = self._dataset.to_table(columns=["label"], with_row_id=True)
        self._addresses: npt.NDArray[np.uint64] = rows["_rowid"].to_numpy()
        self._allowed = np.isin(rows["label"].to_numpy(), list(numbers))

    def search(
        self, vector: npt.NDArray[np.float32], text: str, mode: Mode, k: int, *, filtered: bool
    ) -> list[Any]:
        """Search as an application does: through LanceDB, with a SQL condition if `filtered`."""
        query: Any
        if mode == "hybrid":
            query = self._table.search(query_type="hybrid").vector(vector).text(text).rerank(RRFReranker())
        elif mode == "text":
            query = self._table.search(text, query_type="fts")
        else:
            query = self._table.search(vector).distance_type("cosine")
        if filtered:
            query = query.where(self._condition, prefilter=True)
        hits: list[Any] = query.select(COLUMNS).limit(k).to_list()
        return hits

    def masked(self, vector: npt.NDArray[np.float32], text: str, mode: Mode, k: int) -> list[Any]:
        """Search through pylance's scanner with an allowlist of row addresses, made anew each time."""
        mask = serialize_row_addrs(self._addresses[self._allowed].tolist())
        found: list[Any] = []
        if mode != "text":
            nearest = {"column": "vector", "q": vector, "k": k, "metric": "cosine"}
            scanner = self._dataset.scanner(columns=COLUMNS, nearest=nearest, row_addr_allowlist=mask)
            found += scanner.to_table().to_pylist()
        if mode != "vector":
            scanner = self._dataset.scanner(
                columns=COLUMNS, full_text_query=text, limit=k, row_addr_allowlist=mask
            )
            found += scanner.to_table().to_pylist()
        return found


def index_text(folder: Path) -> None:
    """Build LanceDB's text index, with stems and without stop words, as Ringfence's text search has them."""
    lancedb.connect(str(folder)).open_table("chunks").create_fts_index("text", remove_stop_words=False)


def _schema(dimensions: int) -> pa.Schema:
    return pa.schema(
        [
            ("path", pa.string()),
            ("title", pa.string()),
            ("ordinal", pa.int32()),
            ("label", pa.int32()),
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("text", pa.string()),
            ("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )
