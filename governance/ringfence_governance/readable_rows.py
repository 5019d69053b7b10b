"""The resident rows one grant covers, and what can be asked of them.

Promise: a row is counted from 0 over the grant's own rows; no function here
touches a row, a word list or a number of another atom, and nothing that is
returned shares memory with what is resident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from . import vector_scan, word_order
from .document_facts import DIGEST, FACTS
from .prefixes import Prefix
from .segments import WORD_BITS, Segment, text_ids
from .vector_scan import Runs

Places = npt.NDArray[np.intp]
SHOWN_OF_DOCUMENT = ("path", "title", "source_kind", DIGEST)


class SealedPassage(NamedTuple):
    """One row, and what of its document stands beside a passage; the text sealed as it lies in the table.

    Args:
        metadata: :data:`SHOWN_OF_DOCUMENT`.
    """

    chunk_id: str
    document_id: str
    atom: int
    run_id: str
    start: int
    end: int
    text: bytes
    metadata: Mapping[str, Any]

    def __repr__(self) -> str:
        return "SealedPassage(…)"


@dataclass(frozen=True, slots=True, repr=False)
class RowDocuments:
    """The documents of some rows.

    Args:
        facts: One row for each document, with the columns that were asked for. A document whose rows lie in
            two places is in it twice.
        of: intp of shape (n,): for each of the rows, in their order, its document's row in `facts`.
    """

    facts: pa.Table
    of: Places


class ReadableRows:
    """The rows of some blocks of some segments. Never changes.

    Args:
        segments: Each with the numbers of the blocks that are readable, ascending.
    """

    def __init__(self, segments: Sequence[tuple[Segment, npt.NDArray[np.int64]]]) -> None:
        self._segments = [segment for segment, _ in segments]
        self._blocks = [blocks for _, blocks in segments]
        # Where each block's rows begin here, less where they begin in the segment.
        self._shifts: list[npt.NDArray[np.int64]] = []
        self._runs: list[Runs] = []
        begins, ends, owners, before = [], [], [], 0
        for number, (segment, blocks) in enumerate(segments):
            starts, stops = segment.starts[blocks], segment.starts[blocks + 1]
            sizes = stops - starts
            first = before + np.cumsum(sizes) - sizes
            self._shifts.append(first - starts)
            # Neighbours are one run.
            breaks = np.flatnonzero(starts[1:] != stops[:-1]) + 1
            heads, tails = np.append(0, breaks), np.append(breaks, len(blocks)) - 1
            self._runs.append(Runs(segment.vectors, segment.small, starts[heads], stops[tails]))
            begins.append(first[heads])
            ends.append(starts[heads])
            owners.append(np.full(len(heads), number))
            before += int(sizes.sum())
        none = np.zeros(0, np.int64)
        self._run_begins = np.concatenate(begins) if begins else none
        self._run_starts = np.concatenate(ends) if ends else none
        self._run_owners = np.concatenate(owners) if owners else none
        self._count = before

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"ReadableRows({self._count} rows)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("readable rows are neither copied nor pickled")

    @cached_property
    def dimensions(self) -> int:
        """Length of the vectors; 0 if there is no row."""
        return self._segments[0].vectors.shape[1] if self._segments else 0

    @cached_property
    def words_total(self) -> int:
        """How many words all rows hold together."""
        return sum(
            int(segment.words.lengths[start:end].sum(dtype=np.int64))
            for segment, runs in zip(self._segments, self._runs, strict=True)
            for start, end in zip(runs.starts.tolist(), runs.ends.tolist(), strict=True)
        )

    def nearest(self, query: npt.NDArray[np.float32], k: int, among: Places | None = None) -> Places:
        """Return all rows that could be among the k nearest, ascending; see :func:`vector_scan.nearest`.

        Args:
            among: Only of these rows, ascending; None for all.
        """
        if among is None:
            return vector_scan.nearest(self._runs, query, k)
        return among[vector_scan.nearest(self._runs_of(among), query, k)]

    def scores(
        self, query: npt.NDArray[np.float32], places: Places | None = None
    ) -> npt.NDArray[np.float64] | None:
        """Return the scores of some rows, or of all; see :func:`vector_scan.exact`.

        Args:
            places: Ascending.

        Returns:
            None if they are to be made of :meth:`vectors`.
        """
        return vector_scan.exact(self._runs if places is None else self._runs_of(places), query)

    def holding(self, word: str) -> tuple[Places, npt.NDArray[np.int32]]:
        """Return the rows that hold a word, ascending, and how often each does."""
        rows: list[Places] = []
        counts: list[npt.NDArray[np.int32]] = []
        for segment, blocks, shifts in zip(self._segments, self._blocks, self._shifts, strict=True):
            words = segment.words
            number = words.vocabulary.get(word)
            if number is None:
                continue
            wanted = (blocks << WORD_BITS) | number
            places = np.searchsorted(words.keys, wanted)
            found = np.flatnonzero(words.keys[np.minimum(places, len(words.keys) - 1)] == wanted)
            lists = places[found]
            begins, sizes = words.starts[lists], words.starts[lists + 1] - words.starts[lists]
            entries = np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
            rows.append(words.rows[entries] + np.repeat(shifts[found], sizes))
            counts.append(words.counts[entries])
        if not rows:
            return np.zeros(0, np.intp), np.zeros(0, np.int32)
        return np.concatenate(rows), np.concatenate(counts)

    def beginning(self, prefix: Prefix) -> tuple[Places, npt.NDArray[np.int32]]:
        """Return the rows that hold a word a prefix covers, ascending, and how often each holds one."""
        rows: list[Places] = [np.zeros(0, np.intp)]
        counts: list[npt.NDArray[np.int32]] = [np.zeros(0, np.int32)]
        for segment, blocks, shifts in zip(self._segments, self._blocks, self._shifts, strict=True):
            words = segment.words
            lists, owners = word_order.lists_of(words, blocks, prefix)
            sizes = words.starts[lists + 1] - words.starts[lists]
            entries = word_order.spans(words.starts[lists], sizes)
            rows.append((words.rows[entries] + np.repeat(shifts[owners], sizes)).astype(np.intp))
            counts.append(words.counts[entries])
        held, row_of = np.unique(np.concatenate(rows), return_inverse=True)
        # Exact: no sum of counts comes near 2**53.
        summed = np.bincount(row_of, np.concatenate(counts), len(held))
        return held, summed.astype(np.int32)

    def holding_run(self, run: Sequence[str], among: Places | None = None) -> Places:
        """Return the rows that hold some words one after the other, ascending.

        Args:
            run: At least one word.
            among: Only of these rows, ascending; None for all.
        """
        kept = among
        for word in dict.fromkeys(run):
            places, _ = self.holding(word)
            kept = places if kept is None else np.intersect1d(kept, places, assume_unique=True)
        if kept is None or len(run) == 1 or not len(kept):
            return np.zeros(0, np.intp) if kept is None else kept
        owners, rows = self._where(kept)
        held = np.zeros(len(kept), np.bool_)
        for number, segment in enumerate(self._segments):
            here = np.flatnonzero(owners == number)
            held[here] = word_order.holding_run(segment.words, rows[here], run)
        return kept[held]

    def lengths(self, places: Places) -> npt.NDArray[np.int32]:
        """Return how many words some rows hold."""
        found: npt.NDArray[np.int32] = self._gathered(
            places, np.int32, (), lambda segment: segment.words.lengths
        )
        return found

    def vectors(self, places: Places) -> npt.NDArray[np.float32]:
        """Return the vectors of some rows."""
        found: npt.NDArray[np.float32] = self._gathered(
            places, np.float32, (self.dimensions,), lambda segment: segment.vectors
        )
        return found

    def ids(self, places: Places) -> npt.NDArray[np.uint64]:
        """Return the ids of some rows as pairs of numbers, ordered as the ids are."""
        found: npt.NDArray[np.uint64] = self._gathered(places, np.uint64, (2,), lambda segment: segment.ids)
        return found

    def documents(self, columns: Sequence[str], places: Places | None = None) -> RowDocuments:
        """Return the documents of some rows, or of all, and of no other.

        Args:
            columns: `id`, `atom`, or one of :data:`document_facts.FACTS`.
        """
        if not set(columns) <= {"id", "atom", *FACTS}:
            raise ValueError(
                f"columns: found {list(columns)}; expected id, atom or one of {', '.join(FACTS)}"
            )
        before = np.cumsum([0, *(segment.documents.num_rows for segment in self._segments)])
        # The documents of other rows of a segment have numbers too; they are left out before any is looked at.
        spans = [
            segment.document_of[start:end] + first
            for segment, runs, first in zip(self._segments, self._runs, before.tolist(), strict=False)
            for start, end in zip(runs.starts.tolist(), runs.ends.tolist(), strict=True)
        ]
        numbers = np.concatenate(spans).astype(np.intp) if spans else np.zeros(0, np.intp)
        of = numbers if places is None else numbers[places]
        own = np.zeros(int(before[-1]), np.bool_)
        own[of] = True
        taken = [
            segment.documents.select(list(columns)).take(pa.array(np.flatnonzero(own[first:last])))
            for segment, first, last in zip(self._segments, before[:-1], before[1:], strict=True)
        ]
        kinds = {"id": "string", "atom": "int32", **FACTS}
        shape = pa.schema([(name, kinds[name]) for name in columns])
        return RowDocuments(pa.concat_tables(taken or [shape.empty_table()]), (np.cumsum(own) - 1)[of])

    def sealed(self, places: Places) -> list[SealedPassage]:
        """Return some rows, in the order of the places, as they are kept."""
        owners, rows = self._where(places)
        found: dict[int, SealedPassage] = {}
        for owner in set(owners.tolist()):
            here = np.flatnonzero(owners == owner)
            segment, at = self._segments[owner], rows[here]
            ids, spans = text_ids(segment.ids[at]), segment.spans[at].tolist()
            documents = segment.document_of[at].tolist()
            for place, row, row_id, span, document in zip(
                here.tolist(), at.tolist(), ids, spans, documents, strict=True
            ):
                found[place] = self._passage(owner, row, row_id, span, document)
        return [found[place] for place in range(len(places))]

    def _passage(
        self, owner: int, row: int, row_id: str, span: Sequence[int], document: int
    ) -> SealedPassage:
        # Value by value: `take` costs more than ten of them.
        run_ids, texts, *shown = self._columns[owner]
        document_id, atom, *facts = [column[document].as_py() for column in shown]
        metadata = dict(zip(SHOWN_OF_DOCUMENT, facts, strict=True))
        run_id, text = run_ids[row].as_py(), texts[row].as_py()
        return SealedPassage(row_id, document_id, atom, run_id, span[0], span[1], text, metadata)

    @cached_property
    def _columns(self) -> list[list[pa.Array]]:
        """Return of each segment what its passages are put together from, to be asked value by value."""
        return [
            [
                *_columns(segment.chunks, ("run_id", "text")),
                *_columns(segment.documents, ("id", "atom", *SHOWN_OF_DOCUMENT)),
            ]
            for segment in self._segments
        ]

    def _where(self, places: Places) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the segment of each row, and its place there."""
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < self._count:
            raise IndexError("a row outside the grant")
        run = np.searchsorted(self._run_begins, places, side="right") - 1
        return self._run_owners[run], self._run_starts[run] + (places - self._run_begins[run])

    def _runs_of(self, places: Places) -> list[Runs]:
        """Return some rows, ascending, as runs; counted through them, they keep their order."""
        owners, rows = self._where(places)
        found = []
        for number, segment in enumerate(self._segments):
            here = rows[owners == number]
            if len(here):
                breaks = np.flatnonzero(np.diff(here) != 1) + 1
                starts, ends = here[np.append(0, breaks)], here[np.append(breaks, len(here)) - 1] + 1
                found.append(Runs(segment.vectors, segment.small, starts, ends))
        return found

    def _gathered(self, places: Places, kind: Any, shape: tuple[int, ...], column: Any) -> Any:
        owners, rows = self._where(places)
        if len(self._segments) == 1:
            return column(self._segments[0])[rows]
        found = np.empty((len(places), *shape), kind)
        for number, segment in enumerate(self._segments):
            here = owners == number
            found[here] = column(segment)[rows[here]]
        return found


def _columns(table: pa.Table, names: Sequence[str]) -> list[pa.Array]:
    columns = [table.column(name) for name in names]
    # In one piece, as nearly all are, a value is found in half the time.
    return [column.chunk(0) if column.num_chunks == 1 else column for column in columns]
