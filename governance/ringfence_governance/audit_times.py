"""Replay a store's policy and labels, as a row of stretches in which nobody's rights changed.

Promise: a stretch begins with the last change of its second, or where a rule or
a label begins or ends; within it Casbin gives one answer to one question. The
stretches follow each other from the making of the store to now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from . import authority, catalog_labels, journal, publications
from .catalog_labels import LabelVersion
from .errors import InvalidInput, StoreCorrupt
from .grants import Grant
from .ground import Ground
from .journal import Entry
from .label_table import LabelTable
from .policy_rows import PolicyRows, Row
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True, repr=False)
class Stretch:
    """A time in which no right changed.

    Args:
        since: UTC, inclusive.
        until: UTC, exclusive; empty for the one that lasts.
        snapshot: The policy.
        table: Every label there was at its end; one that came within it means since then what it means there.
    """

    since: str
    until: str
    snapshot: Snapshot
    table: LabelTable


@dataclass(frozen=True, slots=True, repr=False)
class History:
    """All that changed in a store's policy and labels until one moment.

    Args:
        entries: Of the policy journal, its chain checked.
        versions: Every meaning of every label, the oldest first.
        publications: (time, publication), the oldest first.
        now: The time it ends, UTC.
    """

    entries: tuple[Entry, ...]
    versions: tuple[LabelVersion, ...]
    publications: tuple[tuple[str, publications.Publication], ...]
    now: str

    @property
    def since(self) -> str:
        """When the store was made."""
        return self.publications[0][0]

    @property
    def label_since(self) -> dict[int, str]:
        """Atom → when the label was first known."""
        found: dict[int, str] = {}
        for version in self.versions:
            found.setdefault(version.entry.atom, version.at)
        return found


def history(ground: Ground, grant: Grant) -> History:
    """Return what changed up to a grant's catalog number."""
    with ground.catalog.read() as connection:
        return History(
            tuple(
                entry
                for entry in journal.entries(ground.catalog, connection)
                if entry.sequence <= grant.sequence
            ),
            catalog_labels.versions(ground.catalog, connection, until=grant.sequence),
            publications.until(connection, grant.sequence),
            grant.now,
        )


def stretches(found: History, since: str) -> Iterator[Stretch]:
    """Yield the stretches that reach beyond a time, in order.

    Args:
        since: UTC; those that ended by then are left out.

    Raises:
        InvalidInput: The model asks the time otherwise than where a rule or label begins or ends.
        StoreCorrupt: What the journal gives at the end of a second is no policy.
    """
    starts = sorted({entry.at for entry in found.entries if _changes_rights(entry)})
    rows: dict[Row, None] = {}
    before: tuple[frozenset[Row], Snapshot] | None = None
    table = LabelTable(0, {})
    entries = {at: list(group) for at, group in groupby(found.entries, key=lambda entry: entry.at)}
    versions = list(found.versions)
    for start, end in zip(starts, [*starts[1:], ""], strict=True):
        for entry in entries[start]:
            _apply(rows, entry)
        table = table.changed(_number(versions, end, table), [each.entry for each in _taken(versions, end)])
        if end and end <= max(since, found.since):
            continue
        before = (frozenset(rows), _snapshot(rows, before, start))
        yield from _cut(before[1], table, max(start, found.since), end, found.now)


def _changes_rights(entry: Entry) -> bool:
    return entry.change.row is not None or entry.change.label is not None


def _apply(rows: dict[Row, None], entry: Entry) -> None:
    row = entry.change.row
    if row is None:
        return
    if entry.change.kind == "row_added":
        rows[row] = None
    else:
        rows.pop(row, None)


def _number(versions: Sequence[LabelVersion], end: str, table: LabelTable) -> int:
    return max((each.sequence for each in versions if not end or each.at < end), default=table.version)


def _taken(versions: list[LabelVersion], end: str) -> list[LabelVersion]:
    """Take what was known of labels before a time off the list; of two meanings of one label, the newest."""
    count = sum(1 for each in versions if not end or each.at < end)
    taken, versions[:] = versions[:count], versions[count:]
    return list({each.entry.atom: each for each in taken}.values())


def _snapshot(rows: dict[Row, None], before: tuple[frozenset[Row], Snapshot] | None, at: str) -> Snapshot:
    try:
        if before is None:
            return Snapshot.build(PolicyRows.of(rows))
        added, removed = rows.keys() - before[0], before[0] - rows.keys()
        return before[1].changed(added=added, removed=removed) if added or removed else before[1]
    except InvalidInput as error:
        raise StoreCorrupt(f"what the policy journal gives at {at} is no policy") from error


def _cut(snapshot: Snapshot, table: LabelTable, start: str, end: str, now: str) -> Iterator[Stretch]:
    """Yield the parts of one stretch between the times at which a rule or label begins or ends."""
    while True:
        following = authority.next_boundary(snapshot, table, start)
        if following <= start:
            raise InvalidInput(
                "found a policy model that asks the time otherwise than where a rule or label begins or ends; "
                "expected one whose past can be cut there; ask of single times with 'who' and 'at'"
            )
        last = following > now or (end != "" and following >= end)
        until = end if last else following
        yield Stretch(start, until, snapshot, table)
        if last:
            return
        start = following
