"""A made-up company group: tenants, people, teams, roles, labels and rules of any number.

Promise: everything comes from the seed; there are exactly as many rules and labels as were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ringfence_governance.identifiers import TIME_MAX, TIME_MIN
from ringfence_governance.labels import EVERYBODY, Label, LabelEntry, NamedLabel
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Row, Rule

TENANTS = 10
NOW = "2026-06-01T00:00:00Z"
PURPOSES = ("support", "security", "fraud-investigation", "research")
COMPARTMENTS = tuple(f"c{number}" for number in range(40))
DEPARTMENTS, DIVISIONS = 20, 4
"""Of each tenant. A team is in a department, that in a division, that in the staff."""
GENERIC = (
    Rule("*", "*", "*", "read", "owner", "*", TIME_MIN, TIME_MAX, "allow"),
    Rule("*", "*", "*", "read", "reader", "*", TIME_MIN, TIME_MAX, "allow"),
    Rule("*", "*", "*", "*", "denied", "*", TIME_MIN, TIME_MAX, "deny"),
)
"""What the columns of a label mean, as in the shipped policies."""

DENY_SHARE, TIMED_SHARE, PURPOSE_SHARE = 0.10, 0.15, 0.20
"""Of the rules: that deny, that hold for some time only, that hold for one purpose only."""
PERSON_SHARE, LABEL_SHARE = 0.6, 0.5
"""Of the rules: that name a person (the others a team), that name one label (the others a set)."""
BUSY_SHARE, LONE_SHARE = 0.02, 0.03
"""Of the people: those in dozens of teams, and those in none; the others are in one to six."""

_ACTIONS = ("read", "read", "read", "ingest", "audit")
_BOUNDS = tuple(("2026-01-01T00:00:00Z", f"2026-{month:02}-01T00:00:00Z") for month in range(4, 12))
_LEVELS = (0, 0, 0, 0, 0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Layer:
    """Rules that name people and teams of this layer alone, and what puts those into groups.

    Args:
        people: Its users.
        rows: Its rules, links and facts.
    """

    people: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A policy, labels, and the people who may ask.

    Args:
        shared: Rows that speak of no person: generic rules, departments, sets, purposes.
        layers: The rest of the policy.
        labels: Atom → label.
    """

    shared: tuple[Row, ...]
    layers: tuple[Layer, ...]
    labels: dict[int, LabelEntry]

    @property
    def people(self) -> tuple[str, ...]:
        """Users of all layers."""
        return tuple(name for layer in self.layers for name in layer.people)

    def rows(self, layers: int | None = None) -> PolicyRows:
        """Return the whole policy, or that of the first layers."""
        rows = list(self.shared)
        for layer in self.layers[:layers]:
            rows += layer.rows
        return PolicyRows.of(rows)

    def named_labels(self) -> tuple[NamedLabel, ...]:
        """Return the labels with a name, as a policy's files give them."""
        return tuple(
            NamedLabel(entry.label_id, entry.definition)
            for entry in self.labels.values()
            if entry.named and entry.definition is not None
        )


def world(labels: int, rules: int, seed: int, *, layers: Sequence[int] = (), per_person: int = 5) -> World:
    """Return a world of so many labels and rules.

    Args:
        labels: A multiple of 10 from 30: each tenant has a tenth, and names two of three.
        rules: At least 100; the three generic ones count.
        seed: Of all that is drawn.
        layers: Ascending numbers of rules below `rules`: rules up to each are a layer, over people and teams
            of its own, and the rest is the last one. All layers speak of the same labels and sets.
        per_person: How many rules there are for each person, and a tenth of that for each team.
    """
    dice = np.random.default_rng(seed)
    ends = [*layers, rules]
    sizes = [(_tens(end // per_person, 20), _tens(end // per_person // 10, 10)) for end in ends]
    sets = max(2, labels // TENANTS // 50)
    people, teams = sizes[-1]
    made = []
    begin, first_person, first_team = len(GENERIC), 0, 0
    for end, (last_person, last_team) in zip(ends, sizes, strict=True):
        crowd = _Crowd(first_person, last_person, first_team, last_team)
        rows: list[Row] = [*_rules(dice, end - begin, crowd, labels, sets), *_memberships(dice, crowd)]
        names = tuple(map(_person, range(first_person, last_person)))
        levels = _ints(dice, 4, len(names))
        rows += [Facts(name, level, _some(dice, 3)) for name, level in zip(names, levels, strict=True)]
        made.append(Layer(names, tuple(rows)))
        begin, first_person, first_team = end, last_person, last_team
    entries = {entry.atom: entry for entry in _labels(dice, labels, people, teams)}
    return World((*GENERIC, *_structure(dice, entries, sets)), tuple(made), entries)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The people and teams of one layer, by number; a number's last digit is its tenant."""

    first_person: int
    last_person: int
    first_team: int
    last_team: int

    def person(self, tenant: int, share: float) -> int:
        return _placed(self.first_person, self.last_person, tenant, share)

    def team(self, tenant: int, share: float) -> int:
        return _placed(self.first_team, self.last_team, tenant, share)


def _placed(first: int, last: int, tenant: int, share: float) -> int:
    return first + tenant + TENANTS * int(share * ((last - first) // TENANTS))


def _person(number: int) -> str:
    return f"t{number % TENANTS}/user:u{number}"


def _team(number: int) -> str:
    return f"t{number % TENANTS}/group:g{number}"


def _label_id(number: int) -> str:
    tenant, place = number % TENANTS, number // TENANTS
    return f"t{tenant}/label:l{number}" if place % 3 else f"t{tenant}/label:~{number:032x}"


def _rules(dice: np.random.Generator, count: int, crowd: _Crowd, labels: int, sets: int) -> list[Rule]:
    found: dict[Rule, None] = {}
    while len(found) < count:
        found |= dict.fromkeys(_drawn_rules(dice, count - len(found), crowd, labels, sets))
    return list(found)


def _drawn_rules(
    dice: np.random.Generator, count: int, crowd: _Crowd, labels: int, sets: int
) -> Iterator[Rule]:
    named = labels // TENANTS * 2 // 3 // 2 * 2  # of each tenant
    draws = dice.random((count, 8)).tolist()
    choices = zip(
        _ints(dice, len(_ACTIONS), count),
        _ints(dice, len(PURPOSES), count),
        _ints(dice, len(_BOUNDS), count),
        strict=True,
    )
    for number, (draw, (action, purpose, bound)) in enumerate(zip(draws, choices, strict=True)):
        tenant = number % TENANTS
        who, which, what, one, timed, bounded, denies, _ = draw
        by_name = which < PERSON_SHARE
        sub = _person(crowd.person(tenant, who)) if by_name else _team(crowd.team(tenant, who))
        place = int(one * named)
        label = _label_id(tenant + TENANTS * (place // 2 * 3 + 1 + place % 2))
        nbf, exp = _BOUNDS[bound] if timed < TIMED_SHARE else (TIME_MIN, TIME_MAX)
        yield Rule(
            sub,
            f"t{tenant}",
            label if what < LABEL_SHARE else f"t{tenant}/set:s{int(one * sets)}",
            _ACTIONS[action],
            "any",
            PURPOSES[purpose] if bounded < PURPOSE_SHARE else "*",
            nbf,
            exp,
            "deny" if denies < DENY_SHARE else "allow",
        )


def _memberships(dice: np.random.Generator, crowd: _Crowd) -> Iterator[Link]:
    """Yield who is in which team, and which team in which department. Some teams are larger than others."""
    people = range(crowd.first_person, crowd.last_person)
    for number, busy in zip(people, dice.random(len(people)).tolist(), strict=True):
        least, most = (12, 60) if busy < BUSY_SHARE else (0, 0) if busy > 1 - LONE_SHARE else (1, 6)
        shares = dice.random(int(dice.integers(least, most + 1))) ** 1.5
        teams = {crowd.team(number % TENANTS, share) for share in shares.tolist()}
        yield from (Link("g", _person(number), _team(team)) for team in sorted(teams))
    for team in range(crowd.first_team, crowd.last_team):
        tenant, place = team % TENANTS, team // TENANTS
        yield Link("g", _team(team), f"t{tenant}/role:department{place % DEPARTMENTS}")


def _structure(dice: np.random.Generator, labels: dict[int, LabelEntry], sets: int) -> Iterator[Link]:
    for tenant in range(TENANTS):
        for place in range(DEPARTMENTS):
            yield Link(
                "g", f"t{tenant}/role:department{place}", f"t{tenant}/role:division{place % DIVISIONS}"
            )
        for place in range(DIVISIONS):
            yield Link("g", f"t{tenant}/role:division{place}", f"t{tenant}/role:staff")
    for entry in labels.values():
        if entry.named:
            shares = dice.random(int(dice.integers(1, 4))).tolist()
            for place in sorted({int(share * sets) for share in shares}):
                yield Link("g2", entry.label_id, f"{entry.tenant}/set:s{place}")
    yield Link("g3", "fraud-investigation", "security")


def _labels(dice: np.random.Generator, count: int, people: int, teams: int) -> Iterator[LabelEntry]:
    everybody = _Crowd(0, people, 0, teams)
    draws = dice.random((count, 10)).tolist()
    levels, bounds = _ints(dice, len(_LEVELS), count), _ints(dice, len(_BOUNDS), count)
    for number, (draw, level, bound) in enumerate(zip(draws, levels, bounds, strict=True)):
        tenant = number % TENANTS
        who, reader, denied, wide, sorts, purpose, timed, *shares = draw
        readers = {_team(everybody.team(tenant, share)) for share in shares if share < 0.7}
        readers |= {_person(everybody.person(tenant, reader)), *_wide_readers(tenant, wide)}
        nbf, exp = _BOUNDS[bound] if timed < 0.03 else (TIME_MIN, TIME_MAX)
        yield LabelEntry(
            number + 1,
            _label_id(number),
            Label(
                f"t{tenant}",
                _person(everybody.person(tenant, who)),
                readers=frozenset(readers),
                denied=frozenset([_person(everybody.person(tenant, denied * 20))] if denied < 0.05 else ()),
                level=_LEVELS[level],
                compartments=_some(dice, 2) if sorts < 0.15 else frozenset(),
                purposes=frozenset([PURPOSES[int(purpose * 40)] if purpose < 0.1 else EVERYBODY]),
                valid_from=nbf,
                valid_until=exp,
            ),
        )


def _wide_readers(tenant: int, share: float) -> list[str]:
    """Return a department for every fourth label, a division for some, everybody for a few."""
    if share < 0.25:
        return [f"t{tenant}/role:department{int(share * 4 * DEPARTMENTS)}"]
    if share < 0.3:
        return [f"t{tenant}/role:division{int((share - 0.25) * 20 * DIVISIONS)}"]
    return [EVERYBODY] if share > 0.98 else []


def _some(dice: np.random.Generator, most: int) -> frozenset[str]:
    chosen = dice.integers(0, len(COMPARTMENTS), size=int(dice.integers(0, most + 1)))
    return frozenset(COMPARTMENTS[place] for place in chosen.tolist())


def _ints(dice: np.random.Generator, below: int, count: int) -> list[int]:
    found: list[int] = dice.integers(0, below, size=count).tolist()
    return found


def _tens(number: int, least: int) -> int:
    return max(least, -(-number // TENANTS) * TENANTS)
