"""A made-up company group: tenants, people, teams, roles, labels and rules of any number.

Promise: everything comes from the seed; sizes are what was asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ringfence_governance.identifiers import TIME_MAX, TIME_MIN
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Row, Rule

TENANTS = 10
NOW = "2026-06-01T00:00:00Z"
PURPOSES = ("support", "security", "fraud-investigation", "research")
COMPARTMENTS = tuple(f"c{number}" for number in range(40))


@dataclass(frozen=True, slots=True)
class World:
    """A policy, labels, and the people who may ask.

    Args:
        rows: The policy.
        labels: Atom → label.
        people: Users of the policy.
    """

    rows: PolicyRows
    labels: dict[int, LabelEntry]
    people: tuple[str, ...]


def world(labels: int, rules: int, seed: int) -> World:
    """Return a world of so many labels and rules.

    A fifth as many users as rules, each in one to six teams of his tenant; teams in departments, those in
    divisions; 10 % of the rules deny, 15 % hold for some time only, 20 % for one purpose only.
    """
    dice = random.Random(seed)
    users, teams = max(20, rules // 5), max(10, rules // 50)
    people = tuple(f"t{number % TENANTS}/user:u{number}" for number in range(users))
    groups = [f"t{number % TENANTS}/group:g{number}" for number in range(teams)]
    entries = dict(_labels(dice, labels, people, groups))
    rows: list[Row] = [
        Rule("*", "*", "*", "read", "owner", "*", TIME_MIN, TIME_MAX, "allow"),
        Rule("*", "*", "*", "read", "reader", "*", TIME_MIN, TIME_MAX, "allow"),
        Rule("*", "*", "*", "*", "denied", "*", TIME_MIN, TIME_MAX, "deny"),
    ]
    rows += dict.fromkeys(_rules(dice, rules, people, groups, entries))
    rows += dict.fromkeys(_links(dice, people, groups, entries))
    rows += [Facts(name, dice.randint(0, 3), _some(dice, COMPARTMENTS, 3)) for name in people]
    rows += [Link("g3", "fraud-investigation", "security")]
    return World(PolicyRows.of(rows), entries, people)


def _labels(
    dice: random.Random, count: int, people: tuple[str, ...], groups: list[str]
) -> Iterator[tuple[int, LabelEntry]]:
    for number in range(count):
        tenant = f"t{number % TENANTS}"
        name = f"{tenant}/label:l{number}" if number % 3 else f"{tenant}/label:~{number:032x}"
        ours = [each for each in dice.choices(groups, k=6) if each.startswith(tenant + "/")]
        yield (
            number + 1,
            LabelEntry(
                number + 1,
                name,
                Label(
                    tenant,
                    _of(dice, people, tenant),
                    readers=frozenset([*ours, _of(dice, people, tenant)]),
                    denied=frozenset([_of(dice, people, tenant)] if dice.random() < 0.05 else []),
                    level=dice.choice([0, 0, 0, 1, 2, 3]),
                    compartments=_some(dice, COMPARTMENTS, 2) if dice.random() < 0.2 else frozenset(),
                    purposes=frozenset(["*"] if dice.random() < 0.9 else [dice.choice(PURPOSES)]),
                ),
            ),
        )


def _rules(
    dice: random.Random,
    count: int,
    people: tuple[str, ...],
    groups: list[str],
    labels: dict[int, LabelEntry],
) -> Iterator[Rule]:
    for number in range(count):
        tenant = f"t{number % TENANTS}"
        sub = _of(dice, people, tenant) if dice.random() < 0.6 else _of(dice, tuple(groups), tenant)
        label = labels[(number * 7 + dice.randrange(len(labels)) * TENANTS) % len(labels) + 1]
        named = label.named and label.tenant == tenant
        obj = label.label_id if named and dice.random() < 0.7 else f"{tenant}/set:s{dice.randrange(200)}"
        bounded = ("2026-01-01T00:00:00Z", f"2026-{7 + number % 6:02}-01T00:00:00Z")
        yield Rule(
            sub,
            tenant,
            obj,
            dice.choice(["read", "read", "read", "ingest", "audit"]),
            "any",
            dice.choice(PURPOSES) if dice.random() < 0.2 else "*",
            *(bounded if dice.random() < 0.15 else (TIME_MIN, TIME_MAX)),
            "deny" if dice.random() < 0.1 else "allow",
        )


def _links(
    dice: random.Random, people: tuple[str, ...], groups: list[str], labels: dict[int, LabelEntry]
) -> Iterator[Link]:
    for name in people:
        tenant = name.partition("/")[0]
        for _ in range(dice.randint(1, 6)):
            yield Link("g", name, _of(dice, tuple(groups), tenant))
    for place, group in enumerate(groups):
        tenant = group.partition("/")[0]
        yield Link("g", group, f"{tenant}/role:department{place % 20}")
    for number in range(TENANTS * 20):
        tenant = f"t{number // 20}"
        yield Link("g", f"{tenant}/role:department{number % 20}", f"{tenant}/role:division{number % 4}")
    for entry in labels.values():
        if entry.named:
            for _ in range(dice.randint(1, 3)):
                yield Link("g2", entry.label_id, f"{entry.tenant}/set:s{dice.randrange(200)}")


def _of(dice: random.Random, names: tuple[str, ...], tenant: str) -> str:
    """Return one of the tenant's names: every tenth is."""
    first = int(tenant[1:])
    return names[first + TENANTS * dice.randrange((len(names) - first + TENANTS - 1) // TENANTS)]


def _some(dice: random.Random, words: tuple[str, ...], most: int) -> frozenset[str]:
    return frozenset(dice.sample(words, dice.randint(0, most)))
