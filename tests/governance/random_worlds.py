"""Random policies with labels and who may ask, and what each of them means.

The oracle below is the meaning in plain Python, written without a look at
model.conf: sets and loops, no Casbin. Everything that answers must agree with it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from ringfence_governance.errors import PolicyRefused
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_rows import ACTIONS, Facts, Link, LinkKind, PolicyRows, Row, Rule
from ringfence_governance.snapshot import Request
from ringfence_governance.subjects import Subject

TIMES = ["0000-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "9999-12-31T23:59:59Z"]
MOMENTS = [
    "2025-12-31T23:59:59Z",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:01Z",
    "2026-05-31T23:59:59Z",
    "2026-06-01T00:00:00Z",
    "2026-06-01T00:00:01Z",
]
"""Around the times at which something begins or ends."""
ACTORS = ["a/user:u", "a/user:v", "a/agent:m", "a/agent:n", "a/user:unknown", "b/user:u"]
GROUPS = ["a/group:g", "a/group:h", "a/role:r", "b/group:g"]
STEPS = [f"a/group:step{number}" for number in range(1, 10)]
"""Groups each in the next one, as many as Casbin follows, in some worlds."""
NAMED = ["a/label:l1", "a/label:l2", "a/label:l3", "b/label:l1"]
SETS = ["a/set:s", "a/set:t", "b/set:s"]
PURPOSES = ["p", "q", "broad", "broader"]
WORDS = ["x", "y"]
OTHER_ACTIONS = sorted(ACTIONS - {"read", "ingest", "delegate"})


def tenant(name: str) -> str:
    return name.partition("/")[0]


@dataclass
class World:
    """One random policy with labels, and who may ask."""

    rows: PolicyRows
    labels: dict[str, Label]

    def up(self, kind: str, name: str) -> set[str]:
        found, before = {name}, set[str]()
        while found != before:
            before = set(found)
            found |= {link.parent for link in self.rows.links if link.kind == kind and link.child in before}
        return found

    def knows(self, request: Request) -> bool:
        named = {facts.principal for facts in self.rows.facts}
        named |= {link.child for link in self.rows.links if link.kind == "g"}
        for rule in self.rows.rules:
            if rule.eft == "allow" and rule.nbf <= request.now < rule.exp:
                named.add(rule.sub)
        return request.actor in named

    def may(self, request: Request) -> bool:
        applying = {rule.eft for rule in self.rows.rules if self.applies(rule, request)}
        return self.open_to(request) and applying == {"allow"}

    def open_to(self, request: Request) -> bool:
        """What no rule can override."""
        label = request.label
        if label is None:
            return tenant(request.object_id) == tenant(request.actor)
        if label.tenant != tenant(request.actor):
            return False
        if request.action != "read":
            return True
        if not label.valid_from <= request.now < label.valid_until:
            return False
        facts = {row.principal: row for row in self.rows.facts}.get(request.actor, Facts(request.actor))
        purposes = self.up("g3", request.purpose) | {"*"}
        clear = label.level <= facts.level and label.compartments <= facts.compartments
        return clear and bool(label.purposes & purposes)

    def applies(self, rule: Rule, request: Request) -> bool:
        return (
            self.is_about_action(rule, request)
            and rule.dom in ("*", tenant(request.actor))
            and self.is_about_subject(rule, request)
            and rule.nbf <= request.now < rule.exp
            and rule.purpose in self.up("g3", request.purpose) | {"*"}
            and self.is_about_object(rule, request)
            and self.relation_holds(rule, request)
        )

    def is_about_action(self, rule: Rule, request: Request) -> bool:
        if rule.eft == "deny":
            also = {"delegate"} if request.carried else set()
            return rule.act in {request.action, "*"} | also
        if request.carried:
            return rule.act == "delegate"
        return rule.act == request.action

    def is_about_subject(self, rule: Rule, request: Request) -> bool:
        if rule.sub != "*":
            return rule.sub in self.up("g", request.actor)
        return rule.eft == "deny" or rule.rel != "any" or self.knows(request)

    def is_about_object(self, rule: Rule, request: Request) -> bool:
        if rule.obj == "*":
            return request.label is not None or rule.eft == "deny" or not request.carried
        return rule.obj in self.up("g2", request.object_id)

    def relation_holds(self, rule: Rule, request: Request) -> bool:
        principals, label = self.up("g", request.actor), request.label
        if rule.rel == "any":
            return True
        if label is None or (request.carried and rule.eft == "allow"):
            return False
        if rule.rel == "reader" and "*" in label.readers and self.knows(request):
            return True
        named = {"owner": {label.owner}, "reader": label.readers, "denied": label.denied}[rule.rel]
        return not principals.isdisjoint(named)

    def chain_may(self, subject: Subject, label_id: str, action: str, now: str) -> bool:
        return all(
            self.may(Request(actor, label_id, self.labels[label_id], action, subject.purpose, now, place > 0))
            for place, actor in enumerate(subject.chain)
        )


def random_label(dice: random.Random, of: str) -> Label:
    ours = [name for name in [*ACTORS, *GROUPS, STEPS[-1]] if tenant(name) == of]
    few = [name for name in ours if dice.random() < 0.25]
    return Label(
        of,
        dice.choice(ours),
        readers=frozenset([*few, "*"] if dice.random() < 0.3 else few),
        denied=frozenset(name for name in ours if dice.random() < 0.04),
        level=dice.choice([0, 0, 0, 0, 1, 2]),
        compartments=frozenset(word for word in WORDS if dice.random() < 0.1),
        purposes=frozenset(dice.sample(PURPOSES, 1) if dice.random() < 0.2 else ["*"]),
        valid_from=dice.choice([TIMES[0], *TIMES[:2]]),
        valid_until=dice.choice([TIMES[3], *TIMES[2:]]),
    )


def random_rules(dice: random.Random) -> Iterator[Row]:
    for _ in range(dice.randint(2, 24)):
        rule = random_rule(dice)
        if rule is not None:
            yield rule
    yield Rule("*", "*", "*", "read", dice.choice(["owner", "reader"]), "*", TIMES[0], TIMES[3], "allow")


def random_rule(dice: random.Random) -> Rule | None:
    """Return a rule; None where the dice fell on one that there cannot be."""
    nbf, exp = sorted(dice.sample(range(4), 2)) if dice.random() < 0.3 else (0, 3)
    eft = "deny" if dice.random() < 0.1 else "allow"
    act = dice.choice(["read", "read", "read", "delegate", "delegate", "ingest", "*"])
    act = dice.choice(OTHER_ACTIONS) if dice.random() < 0.05 else act
    obj = dice.choice(["*"] * 8 + [*NAMED, *SETS, "a/policy"])
    rel = dice.choice(["any", "any", "any", "owner", "reader", "denied"])
    purpose = dice.choice(["*"] * 6 + PURPOSES)
    sub = dice.choice(["*"] * 3 + ACTORS + GROUPS + STEPS[-2:])
    dom = dice.choice(["*", "*", "a", "a", "b"])
    try:
        return Rule(sub, dom, obj, act, rel, purpose, TIMES[nbf], TIMES[exp], eft)
    except PolicyRefused:  # two tenants, or what may not be combined
        return None


def random_row(dice: random.Random) -> Row | None:
    """Return any row, also one that cannot stand beside others: a cycle, a way too long, second facts."""
    kind = dice.choice(["rule", "rule", "g", "g", "g2", "g3", "facts"])
    if kind == "rule":
        return random_rule(dice)
    if kind == "facts":
        return random_facts(dice, dice.choice(ACTORS))
    children, parents = {
        "g": ([*ACTORS, *GROUPS, *STEPS], [*GROUPS, *STEPS]),
        "g2": (NAMED, SETS),
        "g3": (PURPOSES, PURPOSES),
    }[kind]
    try:
        return Link(cast("LinkKind", kind), dice.choice(children), dice.choice(parents))
    except PolicyRefused:  # across tenants
        return None


def random_facts(dice: random.Random, actor: str) -> Facts:
    return Facts(actor, dice.randint(0, 2), frozenset(word for word in WORDS if dice.random() < 0.5))


def random_links(dice: random.Random) -> Iterator[Row]:
    for member in ACTORS[:4]:
        for group in GROUPS[:3]:
            if dice.random() < 0.3:
                yield Link("g", member, group)
    if dice.random() < 0.5:
        yield Link("g", "a/group:g", "a/group:h")
    if dice.random() < 0.5:
        yield Link("g", "a/group:h", "a/role:r")
    if dice.random() < 0.5:
        # The whole way has nine links if the first step is not left out.
        names = ["a/user:u", *STEPS] if dice.random() < 0.7 else STEPS
        for member, group in itertools.pairwise(names):
            yield Link("g", member, group)
    yield from random_sets_and_purposes(dice)


def random_sets_and_purposes(dice: random.Random) -> Iterator[Row]:
    for label in NAMED:
        for of in SETS:
            if tenant(of) == tenant(label) and dice.random() < 0.3:
                yield Link("g2", label, of)
    for purpose in ("p", "q"):
        if dice.random() < 0.5:
            yield Link("g3", purpose, "broad")
    if dice.random() < 0.5:
        yield Link("g3", "broad", "broader")


def random_world(dice: random.Random) -> World:
    rows = PolicyRows()
    for row in (*random_rules(dice), *random_links(dice)):
        rows = rows.with_row(row)
    for actor in ACTORS:
        if dice.random() < 0.4 and "unknown" not in actor:
            rows = rows.with_row(random_facts(dice, actor))
    labels = {name: random_label(dice, tenant(name)) for name in NAMED}
    anonymous = {f"a/label:~{number:032x}": random_label(dice, "a") for number in range(2)}
    return World(rows, labels | anonymous)


def random_request(dice: random.Random, world: World) -> Request:
    object_id = dice.choice([*world.labels, "a/policy"])
    action = dice.choice(["read", "read", "read", "ingest"])
    action = dice.choice(OTHER_ACTIONS) if dice.random() < 0.05 else action
    purpose, carried = dice.choice(["", *PURPOSES]), dice.random() < 0.35
    label = world.labels.get(object_id)
    return Request(
        dice.choice(ACTORS[:5] * 2 + ACTORS), object_id, label, action, purpose, dice.choice(MOMENTS), carried
    )


def table_of(dice: random.Random, world: World) -> LabelTable:
    entries = [LabelEntry(atom, *item) for atom, item in enumerate(world.labels.items(), start=1)]
    ours = [name for name in world.labels if tenant(name) == "a"]
    for number in range(4):
        parts = frozenset(dice.sample(ours, dice.randint(2, 3)))
        entries.append(LabelEntry(len(entries) + 1, f"a/label:~{'c' * 31}{number}", None, parts))
    return LabelTable(1, {entry.atom: entry for entry in entries})


def random_subject(dice: random.Random) -> Subject:
    via = tuple(dice.sample(ACTORS[2:4], dice.choice([0, 0, 0, 1, 2])))
    return Subject(dice.choice(ACTORS[:4] * 2 + ACTORS), via, dice.choice(["", *PURPOSES]))
