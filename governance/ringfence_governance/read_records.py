"""Make the audit records of a read: one for each question, durable together.

Promise: when :func:`append` returns, every record is on the disk. A record
names the rows that leave and the rules that let them, and what was asked as a
keyed digest alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import authority
from .audit_record import AuditRecord, Outcome
from .errors import NotReadable, RecheckFailed, Refused, StoreCorrupt
from .grants import Grant
from .ground import Ground


@dataclass(frozen=True, slots=True)
class Left:
    """What leaves for one question.

    Args:
        query: What was asked.
        rows: (opaque id, atom) of each row, in order.
        given: (keyed digest of a document's bytes, atom) of each document whose content leaves.
        plan: How it was answered.
        counts: Numbers that leave.
    """

    query: str
    rows: Sequence[tuple[str, int]] = ()
    given: Sequence[tuple[str, int]] = ()
    plan: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def append(
    ground: Ground,
    grant: Grant,
    verb: str,
    started: float,
    asked: Sequence[Left],
    error: Exception | None = None,
) -> None:
    """Make a record of each question durable.

    Args:
        started: When the read began, seconds, monotonic.
        error: What came instead of the answers.

    Raises:
        AuditUnavailable: One could not be made durable. Nothing may leave.
    """
    duration_ms = round((time.monotonic() - started) * 1000, 3)
    ground.audit.append(*(_record(ground, grant, verb, duration_ms, each, error) for each in asked))


def _record(
    ground: Ground, grant: Grant, verb: str, duration_ms: float, left: Left, error: Exception | None
) -> AuditRecord:
    return AuditRecord(
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
        atoms=[atom for _, atom in left.rows],
        rows=[row for row, _ in left.rows],
        given=left.given,
        rules=_deciding_rules(ground, grant, left.rows),
        query=ground.query_digest(grant.subject.person, left.query),
        plan=left.plan,
        counts=dict(left.counts),
        detail={**_detail(error), **asked_at(grant.at)},
        duration_ms=duration_ms,
    )


def _outcome(error: Exception | None) -> Outcome:
    if error is None:
        return "allowed"
    if isinstance(error, NotReadable | Refused):
        return "refused"
    # Also a row that came past the filter, one that was erased, and one that does not open.
    return "alarm" if isinstance(error, StoreCorrupt) else "error"


def _detail(error: Exception | None) -> dict[str, object]:
    if error is None:
        return {}
    atoms = {"atoms": list(error.atoms)} if isinstance(error, RecheckFailed) else {}
    return {"error": type(error).__name__, **atoms}


def asked_at(at: str) -> dict[str, object]:
    """Return what a record says of the time that was asked for; nothing for now."""
    return {"at": at} if at else {}


def _deciding_rules(ground: Ground, grant: Grant, found: Sequence[tuple[str, int]]) -> list[int]:
    """Return the journal numbers of the rules that allowed the rows that leave."""

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
        return frozenset(number for rule in rules if (number := grant.policy.added.get(rule)) is not None)

    return sorted(set().union(*ground.rules.of(grant, {atom for _, atom in found}, of_atom)))
