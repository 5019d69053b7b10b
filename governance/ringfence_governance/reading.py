"""Carry out one read: grant → work → re-check → record → result.

Promise: what leaves was granted by the policy of one catalog sequence, each
row's label was put to Casbin again, nothing changed in between, and the
record of it is durable. If any of that fails, nothing leaves.

Source: DESIGN.md §7.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from . import as_of, authority, block_opening, cursors, rows
from .audit_record import AuditRecord, Outcome
from .block_opening import Passage
from .errors import (
    InvalidInput,
    NotReadable,
    RecheckFailed,
    Refused,
    RingfenceError,
    StoreBusy,
    StoreCorrupt,
)
from .floors import given_digest
from .grants import Grant
from .ground import Ground
from .index_reading import IndexedRows
from .readable_rows import ReadableRows, SealedPassage
from .resident import Outdated
from .rows import ChunkBlock, ChunkText, DocumentRow
from .subjects import Subject

T = TypeVar("T")
ATTEMPTS_MAX = 20
"""How often a read starts again because the store changed under it."""
ATTEMPTS_BESIDE_CHANGES = 3
"""How many of them let this process change the store meanwhile; then changes wait until the read is over."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a read found, before it leaves.

    Args:
        rows: (opaque id, atom) of each row that will leave, in order.
        finish: Called with `as_of` once the record is durable; makes the result.
        documents: Ids of the documents whose content will leave, whole or in part.
        plan: How it was answered, for the record.
        counts: Numbers that will leave, for the record.
        counted: Atoms of rows of which values will leave, without the rows: put to Casbin again like the rows'.
    """

    rows: Sequence[tuple[str, int]]
    finish: Callable[[str], T]
    documents: Sequence[str] = ()
    plan: str = "exact"
    counts: dict[str, int] = field(default_factory=dict)
    counted: Collection[int] = ()


class GrantedReader:
    """What one grant reads. Made by :func:`read`; useless once the read is over."""

    __slots__ = ("_contents", "_grant", "_ground")

    def __init__(self, ground: Ground, grant: Grant) -> None:
        self._ground = ground
        self._grant = grant
        self._contents: dict[str, tuple[str, int]] = {}

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

    @property
    def room(self) -> int | None:
        """How many rows are opened at once at most before an index is asked instead; None without an index."""
        return self._ground.resident.room if self._ground.tables.mode.indexed else None

    def indexed(self) -> IndexedRows:
        """Return the readable chunks as the store's indexes know them.

        Raises:
            StoreError: The store is sealed.
        """
        return IndexedRows(self._ground, self._grant)

    def passages(self, found: Sequence[SealedPassage | str]) -> list[Passage]:
        """Return the text and the document of some readable chunks, in their order; those by id are read anew."""
        by_id = self._read_passages([each for each in found if isinstance(each, str)])
        sealed = [each for each in found if not isinstance(each, str)]
        opened = iter(block_opening.open_passages(self._ground, self._grant, sealed))
        passages = [by_id[each] if isinstance(each, str) else next(opened) for each in found]
        for each in passages:
            self._contents[each.document_id] = (each.metadata["sha256"], each.atom)
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
        """Return (digest of the original's bytes, atom) of some readable documents, in order."""
        wanted = sorted(set(ids))
        missing = [each for each in wanted if each not in self._contents]
        for row in self.documents(missing) if missing else ():
            self._contents[row.document_id] = (row.metadata["sha256"], row.atom)
        return [self._contents[each] for each in wanted if each in self._contents]

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


def read(
    ground: Ground,
    subject: Subject,
    verb: str,
    work: Callable[[GrantedReader], Answer[T]],
    *,
    action: str = "read",
    query: str = "",
) -> T:
    """Carry out one read for a subject.

    Args:
        verb: What is asked, for the record.
        work: Finds the answer with a granted reader; may be called again if the store changes.
        query: What was asked, recorded as a keyed digest.

    Raises:
        NotReadable: As `work` raises it; recorded as a refusal.
        AuditUnavailable: No record, no result.
        StoreBusy: The store changed at every attempt.
    """
    started = time.monotonic()
    for attempt in range(ATTEMPTS_MAX):
        beside = attempt < ATTEMPTS_BESIDE_CHANGES
        with nullcontext() if beside else ground.catalog.held_still():
            grant = ground.grant(subject, action)
            try:
                return _answer(ground, grant, verb, query, work, started)
            except _Moved:
                continue
            finally:
                ground.issued.withdraw(grant)
    ground.record(subject, verb, action, "error", detail={"error": StoreBusy.__name__})
    raise StoreBusy(f"the store changed during all {ATTEMPTS_MAX} attempts to read it; try again")


class _Moved(Exception):
    """The store changed under a read: it starts again."""


def _answer(
    ground: Ground,
    grant: Grant,
    verb: str,
    query: str,
    work: Callable[[GrantedReader], Answer[T]],
    started: float,
) -> T:
    reader = GrantedReader(ground, grant)
    try:
        answer = work(reader)
        _recheck(grant, {atom for _, atom in answer.rows} | set(answer.counted))
        seen = as_of.handle(ground, grant)
        given = _given(ground, reader, answer.documents)
    except InvalidInput:
        raise
    except Outdated:
        raise _Moved from None
    except RingfenceError as error:
        _refuse_moved(ground, grant)
        _append(ground, grant, verb, query, None, (), started, error)
        raise
    _refuse_moved(ground, grant)
    _append(ground, grant, verb, query, answer, given, started, None)
    try:
        result = answer.finish(seen)
    except RingfenceError as error:
        _refuse_moved(ground, grant)
        if isinstance(error, StoreCorrupt):
            # The record says that it left: this one, after it, that it did not.
            _append(ground, grant, verb, query, None, (), started, error)
        raise
    # A right that went while the record was written takes the result with it.
    _refuse_moved(ground, grant)
    return result


def _refuse_moved(ground: Ground, grant: Grant) -> None:
    if ground.moved(grant):
        raise _Moved


def _recheck(grant: Grant, atoms: Collection[int]) -> None:
    """Put the label of everything about to leave to Casbin once more.

    The first time for this policy, label and subject that is a real `enforce_ex`; the decision is kept.

    Raises:
        RecheckFailed: Casbin says no to a row the readable set held. Nothing leaves.
    """
    refused = [atom for atom in sorted(atoms) if not _allowed(grant, atom)]
    if refused:
        raise RecheckFailed(tuple(refused))


def _allowed(grant: Grant, atom: int) -> bool:
    entry = grant.table.entries.get(atom)
    return (
        entry is not None
        and atom in grant.atoms
        and authority.allowed(grant.snapshot, grant.subject, entry, grant.table, grant.action, grant.now)
    )


def _append(
    ground: Ground,
    grant: Grant,
    verb: str,
    query: str,
    answer: Answer[T] | None,
    given: Sequence[tuple[str, int]],
    started: float,
    error: RingfenceError | None,
) -> None:
    left = answer.rows if answer is not None else ()
    ground.audit.append(
        AuditRecord(
            verb=verb,
            action=grant.action,
            outcome=_outcome(error),
            chain=authority.subject_facts(grant.snapshot, grant.subject, grant.now),
            asserted_by=ground.asserted_by,
            purpose=grant.subject.purpose,
            policy_revision=grant.snapshot.revision,
            sequence=grant.sequence,
            publication=grant.publication.sequence,
            readable_set=grant.readable_set(ground.store_key("query")),
            atoms=[atom for _, atom in left],
            rows=[row for row, _ in left],
            given=given,
            rules=_deciding_rules(ground, grant, left),
            query=ground.query_digest(query),
            plan=answer.plan if answer is not None else "",
            counts=answer.counts if answer is not None else {},
            detail=_detail(error),
            duration_ms=round((time.monotonic() - started) * 1000, 3),
        )
    )


def _outcome(error: RingfenceError | None) -> Outcome:
    if error is None:
        return "allowed"
    if isinstance(error, NotReadable | Refused):
        return "refused"
    # Also a row that came past the filter, one that was erased, and one that does not open.
    return "alarm" if isinstance(error, StoreCorrupt) else "error"


def _detail(error: RingfenceError | None) -> dict[str, object]:
    if error is None:
        return {}
    atoms = {"atoms": list(error.atoms)} if isinstance(error, RecheckFailed) else {}
    return {"error": type(error).__name__, **atoms}


def _given(ground: Ground, reader: GrantedReader, documents: Sequence[str]) -> list[tuple[str, int]]:
    """Return what the log keeps of the bytes that leave: see :func:`floors.given_digest`."""
    person = reader.grant.subject.person
    return [(given_digest(ground, person, sha256), atom) for sha256, atom in reader.contents(documents)]


def _deciding_rules(ground: Ground, grant: Grant, found: Sequence[tuple[str, int]]) -> list[int]:
    """Return the journal numbers of the rules that allowed the rows that leave."""
    policy = ground.moment().policy

    def of_atom(atom: int) -> frozenset[int]:
        explanation = authority.explain(
            grant.snapshot,
            grant.table,
            grant.subject,
            grant.table.entries[atom],
            action=grant.action,
            now=grant.now,
        )
        rules = {reason.rule for verdict in explanation.verdicts for reason in verdict.reasons}
        return frozenset(number for rule in rules if (number := policy.added.get(rule)) is not None)

    return ground.rules.numbers(grant, policy.version, {atom for _, atom in found}, of_atom)
