"""Say how the store stood at a time, now or before: policy, labels, and which document lay under which label.

Promise: what stood is replayed from the journal and the history of labels up
to the last entry of that time, and is told only through the rights its asker
has now. What was there under a label he may not audit, and what was not there,
are one answer. Where a document's label of that time is no more known for
certain, the answer says so.

Source: DESIGN.md §7, `at=`; §8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import Connection

from . import catalog_labels, erasure_ledger, identifiers, journal, publications, rows, standing_policy
from .errors import InvalidInput, NotReadable, PolicyRefused, StoreCorrupt
from .grants import Grant
from .ground import Ground, Moment
from .journal import Entry
from .labels import LabelEntry
from .policy_rows import Row
from .standing_policy import StandingPolicy

LabelAsOf = Literal["publication", "newest", "absent"]
"""From what it is known which label a document had at a time.

`publication`: the one of that time still says so. `newest`: that one is gone; it is the label the newest one
says, led back over the relabellings in the journal. `absent`: it was not there, or not under a label its asker
may audit, or the store was not.
"""


@dataclass(frozen=True, slots=True, repr=False)
class Stood:
    """How a store stood at a time, and what has become of it since.

    Args:
        moment: Policy, labels and publication as they stood; its `now` is the time itself.
        removed: Row of the policy → the first journal row after that time that took it away.
        relabelled_from: Document id → the label it had before it was first relabelled after that time.
    """

    moment: Moment
    removed: Mapping[Row, Entry] = field(default_factory=dict)
    relabelled_from: Mapping[str, str] = field(default_factory=dict)


def checked_time(at: str | None) -> str | None:
    """Return a time to ask of if it is well-formed; None, for now, as it is.

    Raises:
        InvalidIdentifier: It is malformed.
    """
    return None if at is None else identifiers.time(at, "at")


def stood_at(ground: Ground, grant: Grant, at: str | None) -> Stood | None:
    """Return how the store stood at a time; None if it was not made yet.

    Args:
        grant: Of the one who asks; the time must not be after it was made.
        at: UTC, `YYYY-MM-DDTHH:MM:SSZ`; a change of exactly this time counts. None for now.

    Raises:
        InvalidInput: The time is to come, or lies within a change that several rows make.
        StoreCorrupt: Journal and catalog tell different times of a change, or the journal's chain does not fit.
    """
    if at is None:
        return Stood(ground.moment())
    if at > grant.now:
        raise InvalidInput(
            f"at: found {at!r}, which is to come; expected a time until now, {grant.now}; leave it out to ask of now"
        )
    with ground.catalog.read() as connection:
        sequence = ground.catalog.sequence_at(connection, at)
        publication = publications.newest_until(connection, sequence)
        if publication is None:
            return None
        policy = _policy(ground, connection, sequence, at)
        table = catalog_labels.load(ground.catalog, connection, until=sequence)
        removed, relabelled_from = _since(ground, connection, policy, at)
        # Of now: what was erased since is told of no time.
        erased = erasure_ledger.erased(connection)
    return Stood(Moment(sequence, at, policy, table, publication, erased), removed, relabelled_from)


def label_at(
    ground: Ground, grant: Grant, stood: Stood | None, object_id: str, document_id: str, now: LabelEntry
) -> tuple[LabelEntry | None, LabelAsOf]:
    """Return the label a document or chunk had, and from what that is known; None if none is to be told.

    Args:
        grant: To audit, made now: a label it does not cover is not told.
        stood: How the store stood at the time.
        object_id: Of a row that is under the grant now; `document_id` is its document, `now` its label.
    """

    def look(granted: Grant) -> dict[str, LabelEntry]:
        try:
            return {object_id: rows.label_of(ground, granted, object_id)[0]}
        except NotReadable:
            return {}

    found, known = _labels_at(ground, grant, stood, {object_id: (document_id, now)}, look)
    entry = found.get(object_id)
    return (entry, known) if entry is not None else (None, "absent")


def labels_at(
    ground: Ground, grant: Grant, stood: Stood | None, now: Mapping[str, LabelEntry]
) -> tuple[dict[str, LabelEntry], LabelAsOf]:
    """Return the labels that documents had, by document id, and from what they are known.

    Args:
        grant: To audit, made now: a document whose label it did not cover then is left out.
        stood: How the store stood at the time.
        now: The documents that are under the grant now, with their labels; others are left out.
    """

    def look(granted: Grant) -> dict[str, LabelEntry]:
        labels = granted.table.entries
        found = rows.run_ids(ground, granted)
        return {document_id: labels[atom] for atom, document_id, _ in found if document_id in now}

    return _labels_at(ground, grant, stood, {each: (each, entry) for each, entry in now.items()}, look)


def _labels_at(
    ground: Ground,
    grant: Grant,
    stood: Stood | None,
    now: Mapping[str, tuple[str, LabelEntry]],
    look: Callable[[Grant], dict[str, LabelEntry]],
) -> tuple[dict[str, LabelEntry], LabelAsOf]:
    """Look up labels in the publication of that time, or lead back those of now if it is gone.

    Args:
        now: Id → its document, and its label now.
        look: Finds the labels of these ids through a grant over that publication.
    """
    if stood is None:
        return {}, "absent"
    versions = stood.moment.publication.versions
    if all(ground.tables.holds(name, versions[name]) for name in ("documents", "chunks")):
        with _grant_then(ground, grant, stood) as granted:
            return look(granted), "publication"
    led_back = {each: _led_back(grant, stood, *of_now) for each, of_now in now.items()}
    return {each: entry for each, entry in led_back.items() if entry is not None}, "newest"


def _led_back(grant: Grant, stood: Stood, document_id: str, entry: LabelEntry) -> LabelEntry | None:
    label_id = stood.relabelled_from.get(document_id, entry.label_id)
    then = stood.moment.table.by_id.get(label_id)
    return then if then is not None and then.atom in grant.atoms else None


@contextmanager
def _grant_then(ground: Ground, grant: Grant, stood: Stood) -> Iterator[Grant]:
    """Yield a grant of the same rights over the rows of that time, for as long as they are looked at."""
    moment = stood.moment
    granted = ground.issued.add(replace(grant, publication=moment.publication, table=moment.table))
    try:
        yield granted
    finally:
        ground.issued.withdraw(granted)


def _policy(ground: Ground, connection: Connection, sequence: int, at: str) -> StandingPolicy:
    try:
        policy = standing_policy.load(ground.catalog, connection, until=sequence)
    except PolicyRefused:
        # Each row has a time of its own: those of one change may lie in two seconds.
        raise InvalidInput(
            f"at: found {at!r}, the second in which a change of policy was being written; "
            "expected a time before or after it; ask of a second earlier or later"
        ) from None
    if journal.entry(ground.catalog, connection, policy.version).at > at:
        raise _times_differ(policy.version)
    return policy


def _since(
    ground: Ground, connection: Connection, policy: StandingPolicy, at: str
) -> tuple[dict[Row, Entry], dict[str, str]]:
    """Return what took each row away, and which label each document first lost, after the policy's last row."""
    removed: dict[Row, Entry] = {}
    relabelled_from: dict[str, str] = {}
    for entry in journal.entries(ground.catalog, connection, after=(policy.version, policy.digest)):
        if entry.at <= at:
            raise _times_differ(entry.sequence)
        change = entry.change
        if change.row is not None and change.kind == "row_removed":
            removed.setdefault(change.row, entry)
        elif change.relabelling is not None:
            relabelled_from.setdefault(change.relabelling.document_id, change.relabelling.old)
    return removed, relabelled_from


def _times_differ(sequence: int) -> StoreCorrupt:
    return StoreCorrupt(
        f"the catalog was changed: it gives another time for row {sequence} of the policy journal than the row itself"
    )
