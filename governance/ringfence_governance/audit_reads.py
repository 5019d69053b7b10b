"""Gather what was read, refused and changed, as one auditor may be told it; and the chain of the log.

Promise: a record says to him what :mod:`auditor_log` says of it. Its bytes, by
which its digest can be computed anew, are there only if he may be told all that
stands in it; of any other record of the store its digest alone, and that only
to an auditor of the whole tenant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import audit_segments
from .audit_scope import AuditScope
from .auditor_log import entry_of
from .checkpoint_file import CheckpointFile, read_line
from .checkpoints import Removed
from .errors import StoreCorrupt
from .ground import Ground
from .identifiers import tenant_of

PLAIN_DETAILS = frozenset(
    {"run", "error", "tenant", "valid", "numbers", "holds", "retire", "rewritten", "changed"}
)
"""Details of a record that name nothing under a label."""


@dataclass(frozen=True, slots=True)
class Link:
    """One record in the chain of its segment.

    Args:
        line: Its bytes, if all that stands in it may be told; else empty.
    """

    segment: str
    number: int
    digest: str
    previous: str
    line: str


@dataclass(frozen=True, slots=True)
class SignedPart:
    """What one checkpoint says of one segment.

    Args:
        checkpoint: Its number.
        at: UTC, when it was signed.
        to: How many records it has covered of the segment.
        last: Digest of the last of them.
        removed: Whether the segment was removed since, for its age.
    """

    checkpoint: int
    at: str
    segment: str
    to: int
    last: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Reads:
    """What the log says to one auditor.

    Args:
        records: As :func:`auditor_log.entry_of` shows them, by time, with `rows` as (id, label's id).
        links: All records of the store; none if he may not audit his tenant's policy.
        parts: As `links`.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    parts: list[SignedPart] = field(default_factory=list)


def reads(ground: Ground, scope: AuditScope) -> Reads:
    """Return what the log says up to now.

    Raises:
        StoreCorrupt: It holds a line that is no record: verify it.
    """
    found = Reads()
    if scope.whole:
        # Before the records: what is signed meanwhile is not asked of records that were read before.
        found.parts.extend(_parts(ground))
    all_labels = not scope.others
    for record, line in _records(ground):
        shown = entry_of(record, scope.grant, scope.tenant, scope.whole)
        if shown is not None:
            labels = dict(zip(record["rows"], record["atoms"], strict=True))
            shown["rows"] = [(row, scope.labels[labels[row]].label_id) for row in shown["rows"]]
            found.records.append(shown)
        if scope.whole:
            told = line if _is_told_whole(record, scope, all_labels=all_labels) else ""
            found.links.append(
                Link(record["segment"], record["number"], record["digest"], record["previous"], told)
            )
    found.records.sort(key=lambda each: str(each["at"]))
    return found


def _records(ground: Ground) -> Iterator[tuple[dict[str, Any], str]]:
    folder = ground.root / "audit"
    for segment in audit_segments.ids(folder):
        try:
            lines = audit_segments.whole_lines(folder, segment)
        except FileNotFoundError:
            continue
        for line in lines.split(b"\n")[:-1]:
            try:
                record = json.loads(line)
                yield record, line.decode("ascii")
            except ValueError as error:
                raise StoreCorrupt(
                    "the audit log holds a line that is no record; verify it with 'verify_log'"
                ) from error


def _is_told_whole(record: dict[str, Any], scope: AuditScope, *, all_labels: bool) -> bool:
    own = tenant_of(record["chain"][0]["actor"]) == scope.tenant
    atoms = {*record["atoms"], *(atom for _, atom in record.get("given", ()))}
    # What else a record lists may be of labels that are not told.
    plain = all_labels or record["detail"].keys() <= PLAIN_DETAILS
    return own and plain and all(atom in scope.labels for atom in atoms)


def _parts(ground: Ground) -> Iterator[SignedPart]:
    known = [read_line(line) for line in CheckpointFile(ground.root).lines()[0]]
    gone = {each.segment for checkpoint in known for each in checkpoint.removed if isinstance(each, Removed)}
    for checkpoint in known:
        for part in checkpoint.parts:
            yield SignedPart(
                checkpoint.number, checkpoint.at, part.segment, part.to, part.last, part.segment in gone
            )
