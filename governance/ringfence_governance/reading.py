"""Carry out one read: grant → work → re-check → record → result.

Promise: what leaves was granted by the policy of one catalog sequence, each
row's label was put to Casbin again, nothing changed in between, and the
record of it is durable. If any of that fails, nothing leaves.

Source: DESIGN.md §7.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from . import as_of, authority, past_grants
from .audit_record import AuditRecord, Outcome
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
from .granted_reader import GrantedReader
from .grants import Grant
from .ground import Ground
from .past_moments import checked_time
from .resident import Outdated
from .subjects import Subject

__all__ = ["Answer", "GrantedReader", "read"]

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


def read(
    ground: Ground,
    subject: Subject,
    verb: str,
    work: Callable[[GrantedReader], Answer[T]],
    *,
    action: str = "read",
    query: str = "",
    at: str | None = None,
) -> T:
    """Carry out one read for a subject.

    Args:
        verb: What is asked, for the record.
        work: Finds the answer with a granted reader; may be called again if the store changes.
        query: What was asked, recorded as a keyed digest.
        at: UTC, `YYYY-MM-DDTHH:MM:SSZ`: the rows as they stood then, under the rights of now; None for now.

    Raises:
        InvalidInput: The time is malformed or to come.
        Gone: What stood then is kept for nobody any more; recorded.
        NotReadable: As `work` raises it; recorded as a refusal.
        AuditUnavailable: No record, no result.
        StoreBusy: The store changed at every attempt.
    """
    started = time.monotonic()
    asked = checked_time(at) or ""
    for attempt in range(ATTEMPTS_MAX):
        beside = attempt < ATTEMPTS_BESIDE_CHANGES
        with nullcontext() if beside else ground.catalog.held_still():
            grant = ground.grant(subject, action, at=asked)
            try:
                return _answer(ground, grant, verb, query, work, started)
            except _Moved:
                continue
            finally:
                ground.issued.withdraw(grant)
    ground.record(subject, verb, action, "error", detail={"error": StoreBusy.__name__, **_asked(asked)})
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
    try:
        granted = past_grants.opened(ground, grant)
    except InvalidInput:
        raise
    except RingfenceError as error:
        _refuse_moved(ground, grant)
        _append(ground, grant, verb, query, None, (), started, error)
        raise
    try:
        return _answer_granted(ground, granted, verb, query, work, started)
    finally:
        ground.issued.withdraw(granted)


def _answer_granted(
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
        _refuse_moved(ground, grant, error)
        _append(ground, grant, verb, query, None, (), started, error)
        raise
    _refuse_moved(ground, grant)
    _append(ground, grant, verb, query, answer, given, started, None)
    try:
        result = answer.finish(seen)
    except RingfenceError as error:
        _refuse_moved(ground, grant, error)
        if isinstance(error, StoreCorrupt):
            # The record says that it left: this one, after it, that it did not.
            _append(ground, grant, verb, query, None, (), started, error)
        raise
    # A right that went while the record was written takes the result with it.
    _refuse_moved(ground, grant)
    return result


def _refuse_moved(ground: Ground, grant: Grant, error: RingfenceError | None = None) -> None:
    if ground.moved(grant) or (error is not None and past_grants.went(ground, grant, error)):
        raise _Moved


def _recheck(grant: Grant, found: Collection[int]) -> None:
    """Put the label of everything about to leave to Casbin once more; of an earlier time's, all its reader has now too.

    The first time for this policy, label and subject that is a real `enforce_ex`; the decision is kept.

    Raises:
        RecheckFailed: Casbin says no to a row the readable set held. Nothing leaves.
    """
    atoms = {*found, *(grant.standing.values() if grant.standing else ())}
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
            detail={**_detail(error), **_asked(grant.at)},
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


def _asked(at: str) -> dict[str, object]:
    return {"at": at} if at else {}


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
