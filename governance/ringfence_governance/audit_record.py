"""What one record of the audit log says, and the version of its shape.

Promise: a record names who asked, on whose word, by which policy, and which
rows left; it holds no text, no name of a document or label, no query in
clear. A refusal is a record too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

RECORD_VERSION = 1
"""Raised with each change of a field's meaning."""

Outcome = Literal["allowed", "refused", "error", "alarm"]
"""`alarm`: Casbin, asked again, refused what was about to leave; or a row came back that was not granted, or one
did not open. Nothing left."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One read, or one decision that matters.

    Args:
        verb: search, list, count, read, why, who, log, status, policy_show, ingest, grant …
        action: The Casbin action that was judged.
        outcome: What became of it.
        chain: Every actor with all facts the matcher read: principals, level, compartments.
        asserted_by: Who vouches for the subject.
        policy_revision: Digest of the policy that decided.
        sequence: Catalog number everything was read at.
        publication: Catalog number of the publication that was read.
        readable_set: Digest of the readable atoms.
        atoms: Atoms of the rows that left, sorted.
        rows: Opaque ids of the rows that left, in their order.
        given: (keyed digest of a document's bytes, atom) for each document whose content left; the digest
            is the person's own.
        rules: Numbers of the journal rows that decided, where known.
        query: Keyed digest of what was asked; empty if nothing was.
        plan: How it was answered.
        counts: Numbers that left.
        duration_ms: From the call to this record.
    """

    verb: str
    action: str
    outcome: Outcome
    chain: Sequence[dict[str, object]]
    asserted_by: dict[str, object]
    purpose: str = ""
    policy_revision: str = ""
    sequence: int = 0
    publication: int = 0
    readable_set: str = ""
    atoms: Sequence[int] = ()
    rows: Sequence[str] = ()
    given: Sequence[tuple[str, int]] = ()
    rules: Sequence[int] = ()
    query: str = ""
    plan: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    detail: dict[str, object] = field(default_factory=dict)
    duration_ms: float = 0.0

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        values: dict[str, object] = {"version": RECORD_VERSION}
        for name in self.__slots__:
            value = getattr(self, name)
            values[name] = list(value) if isinstance(value, (tuple, list)) else value
        return values


def chained(fields: dict[str, object], previous: str) -> tuple[bytes, str]:
    """Return the line to write for a record and its digest, chained to the one before.

    Args:
        fields: The record's fields, with segment, number and time.
        previous: Digest of the record before in this segment; zeros for the first.
    """
    body = json.dumps({**fields, "previous": previous}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f'{body[:-1]},"digest":"{digest}"}}\n'.encode(), digest
