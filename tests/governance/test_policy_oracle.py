"""The policy answers what its meaning says, over random policies."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from ringfence_governance.authority import allowed, explain, names_alike, next_boundary, readable_atoms
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry, lowering
from ringfence_governance.policy_index import PolicyIndex
from ringfence_governance.snapshot import Snapshot

from .random_worlds import MOMENTS, random_label, random_request, random_subject, random_world, table_of


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
        for _ in range(12):
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
        if lowering(new, world.labels[old_id]) or not names_alike(
            PolicyIndex.build(world.rows), new_id, old_id
        ):
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
