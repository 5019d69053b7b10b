"""A change that is judged to need no `declassify` lets nobody read more: no subject, chain, purpose or time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest

from ringfence_governance.authority import actor_atoms
from ringfence_governance.decisions import Asked
from ringfence_governance.declassification import redefinition, relabelling, set_membership
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_index import PolicyIndex
from ringfence_governance.policy_rows import Link, PolicyRows, Rule
from ringfence_governance.snapshot import Snapshot

from .random_worlds import (
    ACTORS,
    MOMENTS,
    NAMED,
    PURPOSES,
    SETS,
    TIMES,
    World,
    random_label,
    random_world,
    table_of,
    tenant,
)

OURS = [name for name in NAMED if tenant(name) == "a"]
BESIDE = 100
"""Atoms from here on are in no comparison."""
OUR_SETS = [name for name in SETS if tenant(name) == "a"]


def everybody() -> Iterator[Asked]:
    """Each actor alone and as one who carries: a chain has what all its actors have, so its set grows with none."""
    ours = [name for name in ACTORS if tenant(name) == "a"]
    for actor, carried, purpose, now in product(ours, (False, True), ("", *PURPOSES), MOMENTS):
        yield Asked(actor, "read", purpose, now, carried)


Readable = dict[Asked, frozenset[int]]


def readable(state: State) -> Readable:
    """Who reads what; the atoms of parts that stand beside a document's label are no documents."""
    return {
        asked: frozenset(atom for atom in actor_atoms(*state, asked) if atom < BESIDE)
        for asked in everybody()
    }


def grew(before: Readable, after: Readable) -> list[Asked]:
    return [asked for asked in before if not after[asked] <= before[asked]]


def narrowed(dice: random.Random, old: Label) -> Label:
    """Return a label that differs from the old one in a field or two, up or down."""
    other = random_label(dice, "a")
    fields = dice.sample(
        ["owner", "readers", "denied", "level", "compartments", "purposes", "valid_from", "valid_until"],
        dice.choice([1, 1, 2]),
    )
    changed = {name: getattr(other, name) for name in fields}
    if "readers" in changed and dice.random() < 0.5:
        changed["readers"] = frozenset(name for name in old.readers if dice.random() < 0.5)
    return replace(old, **changed)


def moved(dice: random.Random, rows: PolicyRows) -> PolicyRows:
    """Return the rows with labels put into sets or taken out of them."""
    for _ in range(dice.choice([1, 1, 2, 3])):
        link = Link("g2", dice.choice(OURS), dice.choice(OUR_SETS))
        rows = rows.without_row(link) if link in rows else rows.with_row(link)
    return rows


def more_rules_on_sets(dice: random.Random, world: World) -> World:
    rows = world.rows
    for _ in range(2):
        effect, action = dice.choice(
            [("allow", "read"), ("allow", "delegate"), ("deny", "*"), ("deny", "read")]
        )
        who = dice.choice(["*", "a/user:u", "a/agent:m", "a/group:g"])
        rows = rows.with_row(
            Rule(who, "a", dice.choice(OUR_SETS), action, "any", "*", TIMES[0], TIMES[3], effect)
        )
    return World(rows, world.labels)


State = tuple[Snapshot, LabelTable]
Judged = tuple[bool, State, State]
"""Whether the change is lower; the policy and the labels before it, and after."""


def redefined(dice: random.Random, world: World) -> Judged:
    snapshot, table = Snapshot.build(world.rows), table_of(dice, world)
    entry = table.by_id[dice.choice(OURS)]
    assert entry.definition is not None
    new = narrowed(dice, entry.definition)
    after = table.changed(2, [replace(entry, definition=new)])
    return bool(redefinition(new, entry.definition)), (snapshot, table), (snapshot, after)


def put_into_sets(dice: random.Random, world: World) -> Judged:
    world = more_rules_on_sets(dice, world)
    rows, table = moved(dice, world.rows), table_of(dice, world)
    before, after = Snapshot.build(world.rows), Snapshot.build(rows)
    lower = any(set_membership(before.index, after.index, name) for name in OURS)
    return lower, (before, table), (after, table)


def all_at_once(dice: random.Random, world: World) -> Judged:
    """Several labels get another meaning and other sets, in one batch."""
    world = more_rules_on_sets(dice, world)
    rows, table = moved(dice, world.rows), table_of(dice, world)
    before, after = Snapshot.build(world.rows), Snapshot.build(rows)
    entries, lower = [], any(set_membership(before.index, after.index, name) for name in OURS)
    for name in dice.sample(OURS, 2):
        entry = table.by_id[name]
        assert entry.definition is not None
        new = narrowed(dice, entry.definition)
        lower = lower or bool(redefinition(new, entry.definition))
        entries.append(replace(entry, definition=new))
    return lower, (before, table), (after, table.changed(2, entries))


def relabelled(dice: random.Random, world: World) -> Judged:
    """One document goes from a label, single or compound, to another, often a narrower one."""
    old, new = dice.sample(sorted(name for name in world.labels if tenant(name) == "a"), 2)
    if dice.random() < 0.7:
        world.labels[new] = narrowed(dice, world.labels[old])
    snapshot, table = Snapshot.build(world.rows), table_of(dice, world)
    ours = [entry for entry in table.entries.values() if entry.tenant == "a"]
    if dice.random() < 0.5:
        from_, to = table.by_id[old], table.by_id[new]
    else:
        from_, to = dice.sample(ours, 2)
    parts = dict(table.definitions(to))
    lower = relabelling(snapshot.index, parts, table.definitions(from_))
    return lower, (snapshot, _as_one(table, from_)), (snapshot, _as_one(table, to))


def _as_one(table: LabelTable, entry: LabelEntry) -> LabelTable:
    """A table whose atom 1 is the label of the one document; its parts stand beside it, out of the comparison."""
    parts = [replace(table.by_id[part], atom=BESIDE + n) for n, part in enumerate(sorted(entry.parts))]
    one = replace(entry, atom=1)
    return LabelTable(1, {each.atom: each for each in (one, *parts)})


ENOUGH = 2
"""How many changes that are lower must have opened something, so that the judgement is worth something."""

CHANGES: dict[str, Callable[[random.Random, World], Judged]] = {
    "redefined": redefined,
    "put into sets": put_into_sets,
    "all at once": all_at_once,
    "relabelled": relabelled,
}


@pytest.mark.parametrize("kind", CHANGES)
def test_who_needs_no_declassify_opens_nothing_to_anybody(kind: str) -> None:
    compare(kind, 0)


@pytest.mark.soak
@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("seed", range(1, 12))
def test_it_is_so_in_many_more_worlds(kind: str, seed: int) -> None:
    compare(kind, seed)


def compare(kind: str, seed: int) -> None:
    """Judge changes of random worlds, and hold each that needs none against who reads what before and after."""
    dice, counts = random.Random(f"{kind} {seed}"), Counter[str]()
    while counts["not lower"] < 12 or (
        counts["not lower"] <= 60
        and (counts["opened"] < ENOUGH or not counts["closed"] or counts["read"] <= 4)
    ):
        lower, *states = CHANGES[kind](dice, random_world(dice))
        if lower and counts["opened"] >= ENOUGH:
            continue
        before, after = map(readable, states)
        if lower:
            counts["opened"] += bool(grew(before, after))
            continue
        assert not grew(before, after)
        counts["not lower"] += 1
        counts["closed"] += before != after
        counts["read"] += any(after.values())
    assert counts["opened"] == ENOUGH, f"the judgement is never needed: {counts}"
    assert counts["closed"], f"nothing was ever taken away: {counts}"
    assert counts["read"] > 4, f"nobody reads: {counts}"


def index(*rows: Rule | Link) -> PolicyIndex:
    return PolicyIndex.build(PolicyRows.of(rows))


def rule(effect: str, obj: str = "a/set:s", action: str = "read") -> Rule:
    return Rule("a/user:u", "a", obj, action, "any", "*", TIMES[0], TIMES[3], effect)


IN = Link("g2", "a/label:l1", "a/set:s")


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ((rule("allow"),), (rule("allow"), IN), ("it joins a/set:s, which a rule allows",)),
        ((rule("deny"), IN), (rule("deny"),), ("it leaves a/set:s, which a rule denies",)),
        ((rule("deny"),), (rule("deny"), IN), ()),
        ((rule("allow"), IN), (rule("allow"),), ()),
        ((rule("allow", "*"),), (rule("allow", "*"), IN), ()),
        # A rule for any action counts, also one that is over or has not begun.
        ((rule("allow", action="audit"),), (rule("allow", action="audit"), IN), 1),
        ((rule("deny", action="*"), IN), (rule("deny", action="*"),), 1),
        # With the rule that comes or goes in the same change: what counts is what the change as a whole opens.
        ((rule("deny"),), (rule("allow"), IN), 1),
        ((rule("allow"),), (rule("deny"), IN), ()),
        ((rule("deny"), IN), (rule("allow"),), 1),
        ((rule("allow"), IN), (rule("deny"),), ()),
    ],
)
def test_a_set_that_is_named_by_an_allow_is_joined_and_by_a_deny_is_left_with_declassify(
    before: tuple[Rule | Link, ...], after: tuple[Rule | Link, ...], reasons: tuple[str, ...] | int
) -> None:
    found = set_membership(index(*before), index(*after), "a/label:l1")
    assert (len(found) if isinstance(reasons, int) else found) == reasons
