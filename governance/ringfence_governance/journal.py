"""Keep every change of policy as a row that names who, when, why and ticket.

Promise: rows are only ever added; each carries the digest of the one before,
so a row that was changed, dropped or slipped in shows. What a row says is
sealed; that a change happened at a sequence number is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, func, insert, select
from sqlalchemy import Row as SqlRow

from . import catalog_schema as schema
from .catalog import Catalog
from .errors import StoreCorrupt
from .policy_rows import Row, from_fields, to_fields

GENESIS = "0" * 64
"""What the first row names as the one before it."""

# Made once: making a statement takes several times as long as asking it, and these are asked at every change.
_NEWEST = select(func.max(schema.journal.c.sequence))
_NEWER = (
    select(schema.journal)
    .where(schema.journal.c.sequence > bindparam("after"))
    .order_by(schema.journal.c.sequence)
)
_LAST_DIGEST = select(schema.journal.c.digest).order_by(schema.journal.c.sequence.desc()).limit(1)

ChangeKind = Literal[
    "row_added", "row_removed", "label_defined", "label_redefined", "label_expired", "relabelled"
]


@dataclass(frozen=True, slots=True)
class Relabelling:
    """A document that got another label.

    Args:
        document_id: Opaque.
        old: Id of the label it had.
        new: Id of the label it has now.
    """

    document_id: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of policy as it is asked for; it has one of row, label and relabelling.

    Args:
        kind: What is done.
        row: The policy row added or removed.
        label: Name and fields of a label that is defined, or gets another meaning.
        relabelling: The document that gets another label.
    """

    kind: ChangeKind
    row: Row | None = None
    label: tuple[str, dict[str, object]] | None = None
    relabelling: Relabelling | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the journal.

    Args:
        sequence: Its catalog number.
        digest: Its place in the chain.
        at: UTC.
        who: The subject that asked; `asserted_by` vouches for it.
    """

    sequence: int
    digest: str
    at: str
    change: Change
    who: str
    asserted_by: dict[str, object]
    why: str
    ticket: str


def append(
    catalog: Catalog, connection: Connection, changes: Sequence[Change], record: dict[str, object]
) -> list[int]:
    """Add one row for each change, in the caller's transaction; return their sequence numbers, in order.

    Args:
        record: `who`, `asserted_by`, `why`, `ticket`, the same for all.
    """
    if not changes:
        return []
    numbers, at = catalog.next_entries(connection, "policy", len(changes))
    previous = _last_digest(connection)
    rows = []
    for sequence, change in zip(numbers, changes, strict=True):
        plain = json.dumps(
            {**_body(change), "at": at, **record}, sort_keys=True, separators=(",", ":")
        ).encode()
        values = {
            "sequence": sequence,
            "kind": change.kind,
            "payload": catalog.seal(plain, "journal", sequence),
            "previous": previous,
            "digest": catalog.digest("journal", sequence, previous, plain),
        }
        rows.append(values)
        previous = str(values["digest"])
    connection.execute(insert(schema.journal), rows)
    return numbers


def version(connection: Connection) -> int:
    """Return the number of the newest row; 0 if there is none."""
    return int(connection.execute(_NEWEST).scalar() or 0)


def entries(
    catalog: Catalog, connection: Connection, *, after: tuple[int, str] = (0, GENESIS)
) -> Iterator[Entry]:
    """Yield all rows in order, checking the chain.

    Args:
        after: Number and digest of the row the first one must follow.

    Raises:
        StoreCorrupt: A row was changed, dropped or slipped in.
    """
    number, previous = after
    for row in connection.execute(_NEWER, {"after": number}):
        if row.previous != previous:
            raise StoreCorrupt(f"the policy journal is broken at row {row.sequence}: its chain does not fit")
        previous = row.digest
        yield _opened(catalog, row)


def entry(catalog: Catalog, connection: Connection, sequence: int) -> Entry:
    """Return one row.

    Raises:
        StoreCorrupt: There is none of this number, or it was changed.
    """
    found = connection.execute(select(schema.journal).where(schema.journal.c.sequence == sequence))
    row = found.one_or_none()
    if row is None:
        raise StoreCorrupt(f"the policy journal is broken: it has no row {sequence}")
    return _opened(catalog, row)


def label_named(catalog: Catalog, sequence: int, payload: bytes | None) -> str | None:
    """Return the name of the label that a row gives a meaning; None if it gives none, or there is no such row.

    Args:
        payload: Of the row, as it is sealed.
    """
    if payload is None:
        return None
    label = json.loads(catalog.open(payload, "journal", sequence))["label"]
    return None if label is None else str(label[0])


def _body(change: Change) -> dict[str, object]:
    body: dict[str, object] = {
        "kind": change.kind,
        "row": list(to_fields(change.row)) if change.row is not None else None,
        "label": list(change.label) if change.label is not None else None,
    }
    if change.relabelling is not None:
        moved = change.relabelling
        body["relabelling"] = [moved.document_id, moved.old, moved.new]
    return body


def _last_digest(connection: Connection) -> str:
    found = connection.execute(_LAST_DIGEST).scalar()
    return GENESIS if found is None else str(found)


def _opened(catalog: Catalog, row: SqlRow[Any]) -> Entry:
    plain = catalog.open(row.payload, "journal", row.sequence)
    if row.digest != catalog.digest("journal", row.sequence, row.previous, plain):
        raise StoreCorrupt(f"the policy journal is broken at row {row.sequence}: its chain does not fit")
    return _entry(row.sequence, row.digest, json.loads(plain))


def _entry(sequence: int, digest: str, body: dict[str, object]) -> Entry:
    fields, label, moved = body["row"], body["label"], body.get("relabelling")
    change = Change(
        kind=body["kind"],  # type: ignore[arg-type]
        row=from_fields(fields) if isinstance(fields, list) else None,
        label=(str(label[0]), label[1]) if isinstance(label, list) else None,
        relabelling=Relabelling(*map(str, moved)) if isinstance(moved, list) else None,
    )
    asserted_by = body["asserted_by"]
    return Entry(
        sequence=sequence,
        digest=digest,
        at=str(body["at"]),
        change=change,
        who=str(body["who"]),
        asserted_by=asserted_by if isinstance(asserted_by, dict) else {},
        why=str(body["why"]),
        ticket=str(body["ticket"]),
    )
