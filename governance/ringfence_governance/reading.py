"""Carry out one read: grant → work → re-check → record → result.

Promise: what leaves was granted by the policy of one catalog sequence, each
row's label was put to Casbin again, nothing changed in between, and the
record of it is durable. If any of that fails, nothing leaves.

Source: DESIGN.md §7.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from . import as_of, authority, past_grants, read_records, stopping
from .errors import (
    Cancelled,
    InvalidInput,
    RecheckFailed,
    RingfenceError,
    StoreBusy,
    TimedOut,
)
from .floors import given_digest
from .granted_reader import GrantedReader
from .grants import Grant
from .ground import Ground
from .past_moments import checked_time
from .read_records import Left
from .resident import Outdated
from .stopping import TimeLimit
from .subjects import Subject

__all__ = ["Answer", "GrantedReader", "read", "read_many"]

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
    limit: TimeLimit | None = None,
) -> T:
    """Carry out one read for a subject.

    Args:
        verb: What is asked, for the record.
        work: Finds the answer with a granted reader; may be called again if the store changes.
        query: What was asked, recorded as a keyed digest.
        at: UTC, `YYYY-MM-DDTHH:MM:SSZ`: the rows as they stood then, under the rights of now; None for now.
        limit: When it is to stop; None for never.

    Raises:
        InvalidInput: The time is malformed or to come.
        TimedOut, Cancelled: It was to stop; recorded.
        Gone: What stood then is kept for nobody any more; recorded.
        NotReadable: As `work` raises it; recorded as a refusal.
        AuditUnavailable: No record, no result.
        StoreBusy: The store changed at every attempt.
    """
    (found,) = read_many(
        ground, subject, verb, lambda reader: [work(reader)], [query], action=action, at=at, limit=limit
    )
    return found


def read_many(
    ground: Ground,
    subject: Subject,
    verb: str,
    work: Callable[[GrantedReader], Sequence[Answer[T]]],
    queries: Sequence[str],
    *,
    action: str = "read",
    at: str | None = None,
    limit: TimeLimit | None = None,
) -> tuple[T, ...]:
    """Carry out several reads for a subject with one grant; each has a record of its own, durable before any leaves.

    Args:
        work: Finds the answers, one for each of `queries`, in their order.
        at, limit: As of :func:`read`.

    Raises:
        InvalidInput, Gone, NotReadable, AuditUnavailable, StoreBusy, TimedOut, Cancelled: As of :func:`read`; then
            none leaves.
    """
    started = time.monotonic()
    asked = checked_time(at) or ""
    with stopping.within(limit):
        for attempt in range(ATTEMPTS_MAX):
            with ExitStack() as still:
                try:
                    if attempt >= ATTEMPTS_BESIDE_CHANGES:
                        still.enter_context(ground.catalog.held_still())
                    stopping.check()
                except (TimedOut, Cancelled) as error:
                    _record_end(ground, subject, verb, action, asked, error)
                    raise
                grant = ground.grant(subject, action, at=asked)
                try:
                    return _answered(ground, grant, verb, queries, work, started)
                except _Moved:
                    continue
                finally:
                    ground.issued.withdraw(grant)
    busy = StoreBusy(f"the store changed during all {ATTEMPTS_MAX} attempts to read it; try again")
    _record_end(ground, subject, verb, action, asked, busy)
    raise busy


def _record_end(
    ground: Ground, subject: Subject, verb: str, action: str, asked: str, error: RingfenceError
) -> None:
    """Record how a read ended that has no grant any more."""
    detail = {"error": type(error).__name__, **read_records.asked_at(asked)}
    ground.record(subject, verb, action, "error", detail=detail)


class _Moved(Exception):
    """The store changed under a read: it starts again."""


def _answered(
    ground: Ground,
    grant: Grant,
    verb: str,
    queries: Sequence[str],
    work: Callable[[GrantedReader], Sequence[Answer[T]]],
    started: float,
) -> tuple[T, ...]:
    try:
        granted = past_grants.opened(ground, grant)
    except InvalidInput:
        raise
    except RingfenceError as error:
        _refuse_moved(ground, grant)
        read_records.append(ground, grant, verb, started, [Left(query) for query in queries], error)
        raise
    try:
        return _answered_granted(ground, granted, verb, queries, work, started)
    finally:
        ground.issued.withdraw(granted)


def _answered_granted(
    ground: Ground,
    grant: Grant,
    verb: str,
    queries: Sequence[str],
    work: Callable[[GrantedReader], Sequence[Answer[T]]],
    started: float,
) -> tuple[T, ...]:
    reader = GrantedReader(ground, grant)
    append = functools.partial(read_records.append, ground, grant, verb, started)
    nothing = [Left(query) for query in queries]
    try:
        answers = work(reader)
        stopping.check()
        _recheck(
            ground,
            grant,
            {atom for each in answers for atom in (*(atom for _, atom in each.rows), *each.counted)},
        )
        seen = as_of.handle(ground, grant)
        left = [
            Left(query, each.rows, _given(ground, reader, each.documents), each.plan, each.counts)
            for query, each in zip(queries, answers, strict=True)
        ]
        # The last look: from here on it takes no longer than the disk does, but for a reranker, which looks by itself.
        stopping.check()
    except Outdated:
        raise _Moved from None
    except Exception as error:
        # Also a question that is refused once its rows were looked at: that his cursor is another's, or that what
        # he may read has changed, is an answer; so is that an embedder or an engine failed at what it was given.
        _refuse_moved(ground, grant, error)
        append(nothing, error)
        raise
    _refuse_moved(ground, grant)
    append(left)
    try:
        results = tuple(each.finish(seen) for each in answers)
    except Exception as error:
        _refuse_moved(ground, grant, error)
        # The records say that it left: these, after them, that it did not.
        append(nothing, error)
        raise
    # A right that went while the records were written takes the results with it.
    _refuse_moved(ground, grant)
    return results


def _refuse_moved(ground: Ground, grant: Grant, error: Exception | None = None) -> None:
    if ground.moved(grant) or (error is not None and past_grants.went(ground, grant, error)):
        raise _Moved


def _recheck(ground: Ground, grant: Grant, found: Collection[int]) -> None:
    """Put the label of everything about to leave to Casbin once more; of an earlier time's, all its reader has now too.

    The first time for this policy, label and subject that is a real `enforce_ex`; the answer is kept apart from the
    readable set, under the policy as it is journaled, as long as time alone cannot change it.

    Raises:
        RecheckFailed: Casbin says no to a row the readable set held. Nothing leaves.
    """
    atoms = sorted({*found, *(grant.standing.atoms if grant.standing else ())})
    verdicts = ground.verdicts.of(grant, atoms, lambda atom: _allowed(grant, atom))
    refused = [atom for atom, allowed in zip(atoms, verdicts, strict=True) if not allowed]
    if refused:
        raise RecheckFailed(tuple(refused))


def _allowed(grant: Grant, atom: int) -> bool:
    entry = grant.table.entries.get(atom)
    return (
        entry is not None
        and atom in grant.atoms
        and authority.allowed(grant.snapshot, grant.subject, entry, grant.table, grant.action, grant.now)
    )


def _given(ground: Ground, reader: GrantedReader, documents: Sequence[str]) -> list[tuple[str, int]]:
    """Return what the log keeps of the bytes that leave: see :func:`floors.given_digest`."""
    person = reader.grant.subject.person
    return [(given_digest(ground, person, sha256), atom) for sha256, atom in reader.contents(documents)]
