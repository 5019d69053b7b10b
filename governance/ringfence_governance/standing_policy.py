"""The policy that stands after every change in the journal, and which change gave it each row.

Promise: it is what replaying the whole journal gives, at the cost of what is
new since it was last read. A journal whose chain does not fit gives none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rpds import HashTrieMap
from sqlalchemy import Connection

from . import journal
from .catalog import SEQUENCE_MAX, Catalog
from .errors import StoreCorrupt
from .journal import GENESIS, Entry
from .policy_rows import PolicyRows, Row
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True, repr=False)
class StandingPolicy:
    """The policy at one journal row.

    Args:
        version: The journal row it stands at.
        digest: That row's.
        snapshot: The policy.
        added: Each row of it → the journal row that added it.
    """

    version: int
    digest: str
    snapshot: Snapshot
    added: HashTrieMap[Row, int]

    def __repr__(self) -> str:
        return f"StandingPolicy({self.snapshot!r})"


def load(catalog: Catalog, connection: Connection, *, until: int = SEQUENCE_MAX) -> StandingPolicy:
    """Return the policy the whole journal gives.

    Args:
        until: Catalog number of the last change that counts.

    Raises:
        StoreCorrupt: The journal's chain does not fit.
        PolicyRefused: What it gives is no policy.
    """
    added: dict[Row, int] = {}
    version, digest = 0, GENESIS
    for entry in journal.entries(catalog, connection):
        if entry.sequence > until:
            break
        _apply(added, entry)
        version, digest = entry.sequence, entry.digest
    return StandingPolicy(version, digest, Snapshot.build(PolicyRows.of(added)), HashTrieMap(added))


def advance(standing: StandingPolicy, catalog: Catalog, connection: Connection) -> StandingPolicy:
    """Return the policy after the journal rows that are newer than the one given.

    Raises:
        StoreCorrupt: They do not follow it: the chain does not fit.
        PolicyRefused: What they give is no policy.
    """
    entries = list(journal.entries(catalog, connection, after=(standing.version, standing.digest)))
    if not entries:
        raise StoreCorrupt(f"the policy journal is broken: its row {standing.version} is no more its newest")
    touched = {entry.change.row for entry in entries if entry.change.row is not None}
    before = {row: number for row in touched if (number := standing.added.get(row)) is not None}
    after = dict(before)
    for entry in entries:
        _apply(after, entry)
    snapshot = standing.snapshot.changed(added=after.keys() - before, removed=before.keys() - after)
    return StandingPolicy(
        entries[-1].sequence, entries[-1].digest, snapshot, _recorded(standing.added, before.keys(), after)
    )


def _apply(added: dict[Row, int], entry: Entry) -> None:
    row = entry.change.row
    if row is None:
        return
    if entry.change.kind == "row_added":
        added.setdefault(row, entry.sequence)
    else:
        added.pop(row, None)


def _recorded(
    added: HashTrieMap[Row, int], before: Iterable[Row], after: dict[Row, int]
) -> HashTrieMap[Row, int]:
    for row in before:
        added = added.remove(row)
    for row, number in after.items():
        added = added.insert(row, number)
    return added
