"""Say which actors could do something under which labels after a change of policy, and which no more.

Promise: the answer is what the readable sets before and after say; an actor is
left out only if nothing that his sets depend on is touched by the change.
Nothing is changed, and nothing here reads a row or a file.

Each actor is looked at alone, as one who asks and, where a rule on `delegate`
lets him, as one who carries; without a purpose, and with each one that a rule
or a label names. A purpose is told only where it opens or closes what none
does. Besides now, each later time counts at which a rule or label of the
change, or a rule of a group he joins or leaves, begins or ends.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from . import authority
from .decisions import Asked, Request, policy_object
from .identifiers import ACTOR_KINDS, TIME_MAX, kind_of, tenant_of
from .label_table import LabelTable
from .labels import LabelEntry
from .policy_index import PolicyIndex
from .policy_rows import ANY, Link, Row, Rule
from .snapshot import Snapshot

PAIRS_MAX = 100_000
"""How many pairs are listed of each kind; the counts are of all."""

ON_POLICIES = frozenset({"audit", "administer"})
"""Actions that rules give on `tenant/policy` too."""


@dataclass(frozen=True, slots=True)
class State:
    """A policy and the labels it speaks of, as they stand or as they would."""

    snapshot: Snapshot
    table: LabelTable


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One actor and one label, or policy, that a change opens to him or closes.

    Args:
        actor: A user, agent or service.
        carried: Whether it is as one who carries somebody's request.
        purpose: The purpose it takes; empty for none.
        object_id: The label's id, or `tenant/policy`.
        since: From when on, UTC.
    """

    actor: str
    carried: bool
    purpose: str
    object_id: str
    since: str

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return {
            "subject": self.actor,
            "carried": self.carried,
            "purpose": self.purpose,
            "object": self.object_id,
            "since": self.since,
        }


@dataclass(slots=True)
class AccessDifference:
    """What a change opens and closes; each list sorted, at most :data:`PAIRS_MAX` long."""

    opens: list[Access] = field(default_factory=list)
    closes: list[Access] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def to_mapping(self) -> dict[str, object]:
        """Return the pairs, and how many there are, as JSON-ready values."""
        return {
            "opens": [each.to_mapping() for each in self.opens],
            "closes": [each.to_mapping() for each in self.closes],
            "opened": self.opened,
            "closed": self.closed,
            "complete": (len(self.opens), len(self.closes)) == (self.opened, self.closed),
        }

    def add(self, opened: list[Access], closed: list[Access]) -> None:
        """Add the pairs of one actor, who comes after those that are there."""
        self.opened += len(opened)
        self.closed += len(closed)
        self.opens += sorted(opened)[: PAIRS_MAX - len(self.opens)]
        self.closes += sorted(closed)[: PAIRS_MAX - len(self.closes)]


def access_difference(
    before: State,
    after: State,
    *,
    rows: Iterable[Row],
    labels: Iterable[str],
    tenants: frozenset[str],
    action: str,
    now: str,
) -> AccessDifference:
    """Return which pairs of actor and label a change opens and closes.

    Takes time in proportion to the actors the change concerns, times the purposes; for the others only the
    changed labels are looked at.

    Args:
        before: As it stands.
        after: With the change.
        rows: Those the change adds or removes.
        labels: Names of those it defines or gives another meaning.
        tenants: Whose actors are looked at.
        action: One of the policy's actions, except `delegate`.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    """
    comparison = _Comparison.of(before, after, rows, labels, action, now)
    found = AccessDifference()
    for actor in _actors(before, after, tenants):
        found.add(*comparison.of_actor(actor))
    return found


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two states, and what of them the change touches.

    Args:
        touched: Principal or `*` → later times of the changed rules that name him.
        everybody: Whether what a purpose is part of changed.
        part: The two states with the changed labels alone; None if there are none.
        label_times: Later times at which a changed label begins or ends.
        carriers: Who is named by a rule that lets carry.
    """

    before: State
    after: State
    touched: Mapping[str, frozenset[str]]
    everybody: bool
    part: tuple[State, State] | None
    label_times: frozenset[str]
    carriers: frozenset[str]
    purposes: tuple[str, ...]
    action: str
    now: str

    @classmethod
    def of(
        cls, before: State, after: State, rows: Iterable[Row], labels: Iterable[str], action: str, now: str
    ) -> _Comparison:
        changed = list(rows)
        entries = [
            [state.table.by_id[name] for name in labels if name in state.table.by_id]
            for state in (before, after)
        ]
        parts = tuple(
            State(state.snapshot, _part(state.table, mine))
            for state, mine in zip((before, after), entries, strict=True)
        )
        return cls(
            before=before,
            after=after,
            touched=_touched(before.snapshot.index, after.snapshot.index, changed, now),
            everybody=any(isinstance(row, Link) and row.kind == "g3" for row in changed),
            part=(parts[0], parts[1]) if any(entries) else None,
            label_times=frozenset(
                time
                for entry in (*entries[0], *entries[1])
                if entry.definition is not None
                for time in (entry.definition.valid_from, entry.definition.valid_until)
                if now < time < TIME_MAX
            ),
            carriers=frozenset(
                rule.sub
                for state in (before, after)
                for rule in state.snapshot.index.rules()
                if rule.act == "delegate" and rule.eft == "allow"
            ),
            purposes=_purposes(before, after),
            action=action,
            now=now,
        )

    def of_actor(self, actor: str) -> tuple[list[Access], list[Access]]:
        """Return what the change opens to one actor, and what it closes."""
        old, new = (set(state.snapshot.index.closure("g", actor)) for state in (self.before, self.after))
        times = set(self.label_times)
        hit = [self.touched[name] for name in {*old, *new, ANY} if name in self.touched]
        concerned = (
            bool(hit)
            or self.everybody
            or old != new
            or self.before.snapshot.index.facts.get(actor) != self.after.snapshot.index.facts.get(actor)
        )
        if not concerned and self.part is None:
            return [], []
        times.update(*hit)
        for name in old ^ new:
            for state in (self.before, self.after):
                times |= _later(state.snapshot.index.by_subject.get(name) or (), self.now)
        whole = (self.before, self.after)
        pair = whole if concerned or self.part is None else self.part
        opened, closed = list[Access](), list[Access]()
        for carried in (False, True):
            if carried and self.carriers.isdisjoint({*old, *new, ANY}):
                continue
            for is_open, access in self._of_role(pair, actor, carried, sorted({self.now, *times})):
                (opened if is_open else closed).append(access)
        return opened, closed

    def _of_role(
        self, pair: tuple[State, State], actor: str, carried: bool, times: Sequence[str]
    ) -> Iterator[tuple[bool, Access]]:
        """Yield what is opened (True) and closed (False), each once: at its first time, without a purpose if it can."""
        told: set[tuple[bool, str, str]] = set()
        for since in times:
            for purpose in self.purposes:
                asked = Asked(actor, self.action, purpose, since, carried)
                for is_open, objects in zip((True, False), self._changed(pair, asked), strict=True):
                    for name in objects:
                        if told.isdisjoint({(is_open, "", name), (is_open, purpose, name)}):
                            told.add((is_open, purpose, name))
                            yield is_open, Access(actor, carried, purpose, name, since)

    def _changed(self, pair: tuple[State, State], asked: Asked) -> tuple[list[str], list[str]]:
        """Return the objects that are opened and closed to one question."""
        old, new = (authority.actor_atoms(state.snapshot, state.table, asked).array for state in pair)
        entries = pair[1].table.entries
        opened = [entries[int(atom)].label_id for atom in np.setdiff1d(new, old, assume_unique=True)]
        closed = [entries[int(atom)].label_id for atom in np.setdiff1d(old, new, assume_unique=True)]
        if asked.action in ON_POLICIES:
            may = [_on_policy(state.snapshot, asked) for state in pair]
            if may[0] != may[1]:
                (opened if may[1] else closed).append(policy_object(tenant_of(asked.actor)))
        return opened, closed


def _touched(
    before: PolicyIndex, after: PolicyIndex, rows: Iterable[Row], now: str
) -> dict[str, frozenset[str]]:
    """Return whom the changed rules name, those on a set that gains or loses a label among them."""
    rules: set[Rule] = set()
    for row in rows:
        if isinstance(row, Rule):
            rules.add(row)
        elif isinstance(row, Link) and row.kind == "g2":
            for index in (before, after):
                for name in index.closure("g2", row.parent):
                    rules.update(index.by_object.get(name) or ())
    found: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        found[rule.sub] |= _later([rule], now)
    return {name: frozenset(times) for name, times in found.items()}


def _later(rules: Iterable[Rule], now: str) -> set[str]:
    return {time for rule in rules for time in (rule.nbf, rule.exp) if now < time < TIME_MAX}


def _part(table: LabelTable, entries: Sequence[LabelEntry]) -> LabelTable:
    """Return a table of some labels, of the compound ones they are part of, and of all parts of these."""
    names = {entry.label_id for entry in entries}
    compounds = [entry for entry in table.entries.values() if not names.isdisjoint(entry.parts)]
    parts = [
        table.by_id[part] for compound in compounds for part in sorted(compound.parts) if part in table.by_id
    ]
    return LabelTable(table.version, {entry.atom: entry for entry in (*entries, *compounds, *parts)})


def _actors(before: State, after: State, tenants: frozenset[str]) -> list[str]:
    """Return every actor of the tenants whom a policy or a label names, sorted."""
    names: set[str] = set()
    for state in (before, after):
        index = state.snapshot.index
        names.update(rule.sub for rule in index.rules())
        names.update(child for child, _ in index.links("g"))
        names.update(index.facts)
        for entry in state.table.entries.values():
            if entry.definition is not None:
                names |= {entry.definition.owner, *entry.definition.readers}
    return sorted(name for name in names if kind_of(name) in ACTOR_KINDS and tenant_of(name) in tenants)


def _purposes(before: State, after: State) -> tuple[str, ...]:
    """Return no purpose, and each that a rule or a label names, or that is part of such a one."""
    named, narrower = set[str](), defaultdict[str, set[str]](set)
    for state in (before, after):
        index = state.snapshot.index
        named.update(rule.purpose for rule in index.rules())
        for entry in state.table.entries.values():
            if entry.definition is not None:
                named |= entry.definition.purposes
        for child, parent in index.links("g3"):
            narrower[parent].add(child)
    waiting = deque(named)
    while waiting:
        found = narrower[waiting.popleft()] - named
        named |= found
        waiting.extend(found)
    return ("", *sorted(named - {ANY}))


def _on_policy(snapshot: Snapshot, asked: Asked) -> bool:
    own = policy_object(tenant_of(asked.actor))
    request = Request(asked.actor, own, None, asked.action, asked.purpose, asked.now, asked.carried)
    return snapshot.decide_kept(request).allowed
