"""What a reader gets back: hits, documents, counts and text, ready to look at.

Promise: nothing in a result is more than the reader may read: no vector, no
atom, no number of the store; a label's name only if he owns it or may audit.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ringfence_governance.errors import InvalidInput

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

TEXT_SHOWN = 96
"""Characters of a hit's text in its `repr`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a hit comes from: enough to cite it.

    Args:
        path: Of the document within its source.
        title: Of the document; may be empty.
        start: First character of the passage in the document's text, from 0.
        end: One past its last.
        run: Id of the run that wrote it.
        kind: Of what the document is from: `folder`, `file`, `mbox`, `maildir`, `documents`, `url`; or
            `answer`, if it was registered as one.
    """

    path: str
    title: str
    start: int
    end: int
    run: str
    kind: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One passage that answers a search.

    Args:
        id: Of the chunk, opaque.
        document: Id of its document, opaque.
        source: Where it comes from.
        rank: From 1, on through the pages.
        score: Cosine for `vector`, BM25 over the readable rows for `text`, reciprocal rank for `hybrid`.
        text: The passage.
        label: Its label's name, if the reader owns the label or may audit it.
    """

    id: str
    document: str
    source: Source
    rank: int
    score: float
    text: str
    label: str | None

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= TEXT_SHOWN else f"{self.text[: TEXT_SHOWN - 1]}…"
        return f"Hit({self.rank}, {self.score:.4f}, {self.source.path!r}, {shown!r})"

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Facet:
    """How many of what matches has each value of a column.

    Args:
        counts: Value → number of passages, or of documents if they are grouped by them; the most frequent first,
            equal ones by value; at most 100.
        distinct: How many values there are.
    """

    counts: Mapping[str, int]
    distinct: int

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {"counts": dict(self.counts), "distinct": self.distinct}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one search, best first.

    Args:
        hits: Passages; if they are grouped, the best of each document.
        readable: How many passages the reader may read at all.
        matching: How many of them match: their documents pass the filter, they hold the phrases and, by words alone, a
            word. If they are grouped: of how many documents.
        complete: Whether every one of them was looked at, so that no better one can have been missed.
        as_of: Opaque; equal as long as the reader's own data is.
        cursor: Opaque: the same question with it goes on behind these hits, as long as what the reader may read is the
            same; None if there are no more.
        plan: How it was found, if that was asked: the plan's name, `rows` readable, `k`, the `thresholds`
            that decide between plans, and `phrases` and `prefixes` as they were looked for, if there are any.
        facets: Column → what was counted, if that was asked.
        group_by: `document`, if the hits are grouped.
    """

    hits: tuple[Hit, ...]
    readable: int
    matching: int
    complete: bool
    as_of: str
    cursor: str | None = None
    plan: Mapping[str, Any] | None = None
    facets: Mapping[str, Facet] | None = None
    group_by: str | None = None

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> Hit:
        return self.hits[index]

    def __repr__(self) -> str:
        lines = "".join(f"\n  {hit!r}" for hit in self.hits)
        matching = f"{self.matching} matching {'passages' if self.group_by is None else 'documents'}"
        return f"SearchResult({len(self.hits)} of {matching}, {self.readable} readable passages{lines})"

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "hits": [hit.to_mapping() for hit in self.hits],
            "readable": self.readable,
            "matching": self.matching,
            "complete": self.complete,
            "as_of": self.as_of,
            "cursor": self.cursor,
            **({"plan": dict(self.plan)} if self.plan is not None else {}),
            **({"facets": _mapped(self.facets)} if self.facets is not None else {}),
        }

    def to_arrow(self) -> pyarrow.Table:
        """Return the hits as an Arrow table, one row each, `source` as columns of its own."""
        import pyarrow as pa

        schema = pa.schema(
            [
                ("rank", pa.int32()),
                ("score", pa.float64()),
                ("id", pa.string()),
                ("document", pa.string()),
                ("path", pa.string()),
                ("title", pa.string()),
                ("start", pa.int64()),
                ("end", pa.int64()),
                ("run", pa.string()),
                ("kind", pa.string()),
                ("text", pa.string()),
                ("label", pa.string()),
            ]
        )
        rows = [
            {
                **{name: getattr(hit, name) for name in schema.names if hasattr(hit, name)},
                **asdict(hit.source),
            }
            for hit in self.hits
        ]
        return pa.Table.from_pylist(rows, schema=schema)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the hits to whoever takes Arrow: `polars.DataFrame(result)`, `pyarrow.table(result)`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the hits as a data frame of pandas.

        Raises:
            InvalidInput: pandas is not installed.
        """
        _loaded("pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """Return the hits as a data frame of polars.

        Raises:
            InvalidInput: polars is not installed.
        """
        frame: polars.DataFrame = _loaded("polars").from_arrow(self.to_arrow())
        return frame


def _loaded(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InvalidInput(
            f"to_{package}: {package} cannot be loaded; expected it beside Ringfence; to_arrow needs nothing more",
            hint=f"pip install 'ringfence[{package}]'",
        ) from None


def _mapped(facets: Mapping[str, Facet]) -> dict[str, Any]:
    return {name: facet.to_mapping() for name, facet in facets.items()}


@dataclass(frozen=True, slots=True)
class Document:
    """One readable document.

    Args:
        id: Opaque.
        modified: UTC, or None if its source does not say.
        size: Bytes of the original.
        kind: As of a :class:`Source`.
        run: Id of the run that wrote it.
        label: Its label's name, if the reader owns the label or may audit it.
    """

    id: str
    path: str
    title: str
    media_type: str
    modified: str | None
    size: int
    source: str
    kind: str
    run: str
    label: str | None

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DocumentList:
    """All documents a reader may read, by path, then id."""

    documents: tuple[Document, ...]
    as_of: str

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> Document:
        return self.documents[index]

    def __repr__(self) -> str:
        lines = "".join(f"\n  {document.path}" for document in self.documents)
        return f"DocumentList({len(self.documents)} readable documents{lines})"

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "documents": [document.to_mapping() for document in self.documents],
            "count": len(self.documents),
            "as_of": self.as_of,
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a reader may read."""

    documents: int
    chunks: int
    as_of: str

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The whole text of one document; a hit's `start` and `end` count its characters."""

    id: str
    path: str
    text: str = field(repr=False)
    as_of: str

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision is as it is."""

    facts: Mapping[str, Any]

    def __repr__(self) -> str:
        lines = "".join(f"\n  {name}: {value}" for name, value in self.facts.items())
        return f"Explanation({lines}\n)"

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def to_mapping(self) -> dict[str, Any]:
        """Return the facts as JSON-ready values."""
        return dict(self.facts)
