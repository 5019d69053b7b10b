"""Read the rows of one grant, in whatever form a question needs them.

Promise: every row comes through the grant that was made for the read, and is
opened with its keys; once the read is over nothing more is read.

Source: DESIGN.md §7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import authority, block_opening, cursors, rows
from .block_opening import Passage
from .errors import Refused
from .grants import Grant
from .ground import Ground
from .index_reading import IndexedRows
from .readable_rows import ReadableRows, SealedPassage
from .rows import ChunkBlock, ChunkText, DocumentRow


class GrantedReader:
    """What one grant reads. Made by :func:`reading.read`; useless once the read is over."""

    __slots__ = ("_contents", "_grant", "_ground")

    def __init__(self, ground: Ground, grant: Grant) -> None:
        self._ground = ground
        self._grant = grant
        self._contents: dict[str, list[tuple[str, int]]] = {}

    def __repr__(self) -> str:
        return f"GrantedReader({self._grant!r})"

    def __reduce__(self) -> str:
        raise TypeError("a granted reader cannot be pickled")

    @property
    def grant(self) -> Grant:
        """The grant it reads with."""
        return self._grant

    def documents(self, ids: Collection[str] | None = None) -> tuple[DocumentRow, ...]:
        """Return the readable documents, by id; only `ids` if given."""
        return rows.documents(self._ground, self._grant, ids)

    def document_text(self, document_id: str) -> str:
        """Return the whole text of a readable document, or raise NotReadable."""
        return rows.document_text(self._ground, self._grant, document_id)

    def chunks(self, *, vectors: bool = False, terms: bool = False) -> ChunkBlock:
        """Return all readable chunks, by id."""
        return rows.chunk_block(self._ground, self._grant, vectors=vectors, terms=terms)

    def chunk_texts(self, ids: Sequence[str]) -> dict[str, ChunkText]:
        """Return the text and place of some readable chunks."""
        return rows.chunk_texts(self._ground, self._grant, ids)

    def passes(self) -> Iterator[ReadableRows]:
        """Yield all readable chunks as they are resident; more than once if they do not fit into memory together."""
        return block_opening.passes(self._ground, self._grant)

    def open_lineage(self) -> None:
        """Hold the store's lineage in memory if it fits. See :mod:`resident_lineage`."""
        rows.check(self._ground, self._grant)
        if not self._grant.at:
            self._ground.resident_lineage.open(self._grant)

    @property
    def every_row_max(self) -> int | None:
        """Up to how many rows each is scored outright, as it was measured for the store; None if it never was."""
        return self._grant.every_row_max

    @property
    def memory_room(self) -> int:
        """How many rows fit into the memory that opened ones may take, each taken at the same size."""
        return self._ground.resident.room

    @property
    def room(self) -> int | None:
        """How many rows are opened at once at most before an index is asked instead; None without an index.

        Of an earlier time no index is asked: it would find rows that may not leave any more. Nor is one if nothing
        was published since: the plan would tell that.
        """
        indexed = self._ground.tables.mode.indexed and not self._grant.at
        return self.memory_room if indexed else None

    def indexed(self) -> IndexedRows:
        """Return the readable chunks as the store's indexes know them.

        Raises:
            StoreError: The store is sealed.
            Refused: The rows are of an earlier time: the indexes know too many of them.
        """
        if self._grant.at:
            raise Refused("found a grant of an earlier time; expected one of now; no index is asked of then")
        return IndexedRows(self._ground, self._grant)

    def passages(self, found: Sequence[SealedPassage | str]) -> list[Passage]:
        """Return the text and the document of some readable chunks, in their order; those by id are read anew."""
        by_id = self._read_passages([each for each in found if isinstance(each, str)])
        sealed = [each for each in found if not isinstance(each, str)]
        opened = iter(block_opening.open_passages(self._ground, self._grant, sealed))
        passages = [by_id[each] if isinstance(each, str) else next(opened) for each in found]
        for each in passages:
            self._note(each.document_id, each.run_id, each.atom, each.metadata)
        return passages

    def _read_passages(self, ids: Sequence[str]) -> dict[str, Passage]:
        if not ids:
            return {}
        texts = self.chunk_texts(ids)
        documents = {row.document_id: row for row in self.documents({t.document_id for t in texts.values()})}
        return {
            chunk: Passage(
                chunk,
                each.document_id,
                documents[each.document_id].atom,
                each.run_id,
                each.start,
                each.end,
                each.text,
                documents[each.document_id].metadata,
            )
            for chunk, each in texts.items()
        }

    def contents(self, ids: Iterable[str]) -> list[tuple[str, int]]:
        """Return (digest of the original's bytes, atom) of some readable documents; of an earlier time with all."""
        wanted = sorted(set(ids))
        missing = [each for each in wanted if each not in self._contents]
        for row in self.documents(missing) if missing else ():
            self._note(row.document_id, row.run_id, row.atom, row.metadata)
        # What left must not come back below any of its labels.
        return [pair for each in wanted if each in self._contents for pair in self._contents[each]]

    def _note(self, document_id: str, run_id: str, atom: int, metadata: Mapping[str, Any]) -> None:
        over = self._grant.labels_over(document_id, run_id, atom)
        self._contents[document_id] = [(metadata["sha256"], each) for each in over]

    def count(self, table: str) -> int:
        """Return how many rows of a table are readable."""
        return rows.count(self._ground, self._grant, table)

    def label_name(self, atom: int) -> str | None:
        """Return the name of a row's label if this reader owns it or may audit it, else None."""
        entry = self._grant.table.entries[atom]
        if not entry.named or entry.definition is None:
            return None
        person = self._grant.subject.person
        snapshot = self._grant.snapshot
        if entry.definition.owner in {person, *snapshot.groups_of(person)}:
            return entry.label_id
        may_audit = authority.allowed(
            snapshot, self._grant.subject, entry, self._grant.table, "audit", self._grant.now
        )
        return entry.label_id if may_audit else None

    def start_of(self, cursor: str, question: str) -> int:
        """Return how many hits came before a cursor of this subject and question; see :func:`cursors.start_of`."""
        return cursors.start_of(self._ground, self._grant, question, cursor)

    def cursor(self, question: str, start: int, seen: str) -> str:
        """Return the cursor behind the first `start` hits; see :func:`cursors.made`."""
        return cursors.made(self._ground, self._grant.subject, question, start, seen)

    def check_row(self, object_id: str) -> tuple[str, int]:
        """Return (document id, atom) of a readable document or chunk, or raise NotReadable."""
        entry, document_id = rows.label_of(self._ground, self._grant, object_id)
        return document_id, entry.atom
