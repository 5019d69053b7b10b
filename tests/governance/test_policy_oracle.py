"""The policy answers what its meaning says, over random policies.

The oracle below is the meaning in plain Python, written without a look at
model.conf: sets and loops, no Casbin. Everything that answers must agree with it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ringfence_governance.authority import allowed, explain, names_alike, next_boundary, readable_atoms
from ringfence_governance.errors import PolicyRefused
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry, lowering
from ringfence_governance.policy_index import PolicyIndex
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Row, Rule
from ringfence_governance.snapshot import Request, Snapshot
from ringfence_governance.subjects import Subject

TIMES = ["0000-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "9999-12-31T23:59:59Z"]
MOMENTS = ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z"]
ACTORS = ["a/user:u", "a/user:v", "a/agent:m", "a/agent:n", "a/user:unknown", "b/user:u"]
GROUPS = ["a/group:g", "a/group:h", "a/role:r", "b/group:g"]
NAMED = ["a/label:l1", "a/label:l2", "a/label:l3", "b/label:l1"]
SETS = ["a/set:s", "a/set:t", "b/set:s"]
PURPOSES = ["p", "q", "broad"]
WORDS = ["x", "y"]


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
    ours = [name for name in ACTORS + GROUPS if tenant(name) == of]
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
        nbf, exp = sorted(dice.sample(range(4), 2)) if dice.random() < 0.3 else (0, 3)
        eft = "deny" if dice.random() < 0.1 else "allow"
        act = dice.choice(["read", "read", "read", "delegate", "delegate", "ingest", "*"])
        obj = dice.choice(["*"] * 8 + [*NAMED, *SETS, "a/policy"])
        rel = dice.choice(["any", "any", "any", "owner", "reader", "denied"])
        purpose = dice.choice(["*"] * 6 + PURPOSES)
        sub, dom = dice.choice(["*"] * 3 + ACTORS + GROUPS), dice.choice(["*", "*", "a", "a", "b"])
        try:
            yield Rule(sub, dom, obj, act, rel, purpose, TIMES[nbf], TIMES[exp], eft)
        except PolicyRefused:  # two tenants, or what may not be combined
            continue
    yield Rule("*", "*", "*", "read", dice.choice(["owner", "reader"]), "*", TIMES[0], TIMES[3], "allow")


def random_links(dice: random.Random) -> Iterator[Row]:
    for member in ACTORS[:4]:
        for group in GROUPS[:3]:
            if dice.random() < 0.3:
                yield Link("g", member, group)
    if dice.random() < 0.5:
        yield Link("g", "a/group:g", "a/group:h")
    if dice.random() < 0.5:
        yield Link("g", "a/group:h", "a/role:r")
    for label in NAMED:
        for of in SETS:
            if tenant(of) == tenant(label) and dice.random() < 0.3:
                yield Link("g2", label, of)
    for purpose in ("p", "q"):
        if dice.random() < 0.5:
            yield Link("g3", purpose, "broad")


def random_world(dice: random.Random) -> World:
    rows = PolicyRows()
    for row in (*random_rules(dice), *random_links(dice)):
        rows = rows.with_row(row)
    for actor in ACTORS:
        if dice.random() < 0.4 and "unknown" not in actor:
            words = frozenset(word for word in WORDS if dice.random() < 0.5)
            rows = rows.with_row(Facts(actor, dice.randint(0, 2), words))
    labels = {name: random_label(dice, tenant(name)) for name in NAMED}
    anonymous = {f"a/label:~{number:032x}": random_label(dice, "a") for number in range(2)}
    return World(rows, labels | anonymous)


def random_request(dice: random.Random, world: World) -> Request:
    object_id = dice.choice([*world.labels, "a/policy"])
    action = dice.choice(["read", "read", "read", "ingest"])
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


@pytest.mark.parametrize("seed", range(8))
def test_casbin_decides_what_the_meaning_says(seed: int) -> None:
    dice = random.Random(seed)
    answers = Counter[bool]()
    for _ in range(40):
        world = random_world(dice)
        snapshot = Snapshot.build(world.rows)
        for _ in range(15):
            request = random_request(dice, world)
            decision = snapshot.decide(request)
            assert decision.allowed is world.may(request), (request, world.rows)
            assert decision.reason != "error"
            answers[decision.allowed] += 1
    assert answers[True] > 40
    assert answers[False] > 200


@pytest.mark.parametrize("seed", range(4))
def test_all_matching_rules_are_those_that_apply_and_agree_with_the_decision(seed: int) -> None:
    dice = random.Random(100 + seed)
    sizes = Counter[int]()
    for _ in range(40):
        world = random_world(dice)
        snapshot = Snapshot.build(world.rows)
        for _ in range(8):
            request = random_request(dice, world)
            decision, matching = snapshot.decide(request), snapshot.matching(request)
            expected = {rule for rule in world.rows.rules if world.applies(rule, request)}
            assert set(matching) == (expected if world.open_to(request) else set())
            assert len(set(matching)) == len(matching)
            assert decision.allowed is ({rule.eft for rule in matching} == {"allow"})
            assert decision.rule in matching if matching else decision.rule is None
            sizes[min(len(matching), 2)] += 1
    assert min(sizes[0], sizes[1], sizes[2]) > 5


@pytest.mark.parametrize("seed", range(4))
def test_the_readable_set_is_every_label_the_chain_may_read_and_no_other(seed: int) -> None:
    dice = random.Random(200 + seed)
    found = 0
    for _ in range(25):
        world = random_world(dice)
        snapshot, table = Snapshot.build(world.rows), table_of(dice, world)
        subject, now = random_subject(dice), dice.choice(MOMENTS)
        readable = readable_atoms(snapshot, table, subject, now=now)
        for atom, entry in table.entries.items():
            parts = entry.parts or {entry.label_id}
            expected = all(world.chain_may(subject, part, "read", now) for part in parts)
            assert (atom in readable) is expected
            assert allowed(snapshot, subject, entry, table, "read", now) is expected
            assert explain(snapshot, table, subject, entry, action="read", now=now).allowed is expected
        found += len(readable)
    assert found > 10


@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_lower_is_readable_to_nobody_new(seed: int) -> None:
    """The comparison that spares a `declassify` never widens a readable set, chains included."""
    dice = random.Random(300 + seed)
    compared = readable = 0
    while compared < 25:
        world = random_world(dice)
        old_id, new_id = dice.sample(["a/label:l1", "a/label:l2", "a/label:l3"], 2)
        new = narrowed(dice, world.labels[old_id])
        if lowering(new, world.labels[old_id]) or not names_alike(PolicyIndex.build(world.rows), new_id, old_id):
            continue
        compared += 1
        world.labels[new_id] = new
        snapshot = Snapshot.build(world.rows)
        entries = [LabelEntry(atom, *item) for atom, item in enumerate(world.labels.items(), start=1)]
        table = LabelTable(1, {entry.atom: entry for entry in entries})
        for _ in range(12):
            subject, now = random_subject(dice), dice.choice(MOMENTS)
            if allowed(snapshot, subject, table.by_id[new_id], table, "read", now):
                readable += 1
                assert allowed(snapshot, subject, table.by_id[old_id], table, "read", now)
    assert readable > 10


def narrowed(dice: random.Random, old: Label) -> Label:
    """Return a label that differs from the old one in a few fields, often not lower."""
    other = random_label(dice, "a")
    return Label(
        "a",
        old.owner,
        readers=frozenset(name for name in old.readers if dice.random() < 0.7),
        denied=old.denied | (other.denied if dice.random() < 0.5 else frozenset()),
        level=max(old.level, other.level) if dice.random() < 0.5 else old.level,
        compartments=old.compartments | (other.compartments if dice.random() < 0.5 else frozenset()),
        purposes=other.purposes if dice.random() < 0.3 else old.purposes,
        valid_from=max(old.valid_from, other.valid_from),
        valid_until=min(old.valid_until, other.valid_until),
    )


@pytest.mark.parametrize("seed", range(3))
def test_answers_change_by_time_alone_only_at_a_boundary(seed: int) -> None:
    dice = random.Random(400 + seed)
    for _ in range(15):
        world = random_world(dice)
        snapshot, table, subject = Snapshot.build(world.rows), table_of(dice, world), random_subject(dice)
        now, later = sorted(dice.sample(MOMENTS, 2))
        if later < next_boundary(snapshot, table, now):
            before = readable_atoms(snapshot, table, subject, now=now)
            assert before == readable_atoms(snapshot, table, subject, now=later)
