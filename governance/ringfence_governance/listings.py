"""List who may do something under a label, and under which labels somebody may.

Promise: a name or a label is listed only if Casbin said yes to it, or to an
actor whom no condition of the matcher tells apart from it; and nobody is left
out: who is named by neither the policy nor the label has no rights. Who may be
shown a list is not decided here.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import authority
from .identifiers import ACTOR_KINDS, kind_of, tenant_of
from .label_table import LabelTable
from .labels import Label, LabelEntry
from .policy_rows import ANY, Facts, PolicyRows, Rule
from .snapshot import Snapshot
from .subjects import Subject


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may do something under one label, each actor alone.

    Args:
        readers: Who may without a purpose, sorted.
        purposes: By purpose, sorted: who may with that one and not without. A purpose that helps nobody is absent.
    """

    readers: tuple[str, ...]
    purposes: Mapping[str, tuple[str, ...]]


def who_may(snapshot: Snapshot, table: LabelTable, entry: LabelEntry, action: str, now: str) -> Readers:
    """Return every user, agent and service of the label's tenant who may do the action under it.

    Args:
        snapshot: One immutable policy revision.
        table: All labels at one catalog sequence.
        entry: A label of the table; a compound one with an unknown part is nobody's.
        action: One of the policy's actions.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.

    Returns:
        Purposes that the label or a rule names, and narrower ones, are tried; no other changes an answer.
    """
    try:
        labels = [label for _, label in table.definitions(entry)]
    except KeyError:
        return Readers((), {})
    actors, purposes = candidates(snapshot.rows, labels, entry.tenant)

    def those_who_may(tried: Iterable[str], purpose: str) -> tuple[str, ...]:
        return tuple(sorted(authority.allowed_among(snapshot, tried, purpose, entry, table, action, now)))

    readers = those_who_may(actors, "")
    others = actors.difference(readers)
    by_purpose = {purpose: those_who_may(others, purpose) for purpose in sorted(purposes)}
    return Readers(readers, {purpose: found for purpose, found in by_purpose.items() if found})


def what_may(
    snapshot: Snapshot, table: LabelTable, subject: Subject, action: str, now: str
) -> tuple[LabelEntry, ...]:
    """Return the labels under which the chain may do the action, by atom; a compound one if all its parts are.

    Args:
        snapshot: One immutable policy revision.
        table: All labels at one catalog sequence.
        subject: Who asks; all his actors must be allowed.
        action: One of the policy's actions.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    """
    atoms = authority.readable_atoms(snapshot, table, subject, action=action, now=now)
    return tuple(table.entries[atom] for atom in sorted(atoms))


def candidates(rows: PolicyRows, labels: Iterable[Label], tenant: str) -> tuple[set[str], set[str]]:
    """Return the tenant's actors whom the policy or a label names, and the purposes that can matter."""
    names, purposes = set[str](), set[str]()
    narrower: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Rule):
            names.add(row.sub)
            purposes.add(row.purpose)
        elif isinstance(row, Facts):
            names.add(row.principal)
        elif row.kind == "g":
            names.add(row.child)
        elif row.kind == "g3":
            narrower[row.parent].append(row.child)
    for label in labels:
        names |= {label.owner, *label.readers}
        purposes |= label.purposes
    waiting = deque(purposes)
    while waiting:
        found = [purpose for purpose in narrower[waiting.popleft()] if purpose not in purposes]
        purposes.update(found)
        waiting.extend(found)
    actors = {name for name in names if kind_of(name) in ACTOR_KINDS and tenant_of(name) == tenant}
    return actors, purposes - {ANY}
