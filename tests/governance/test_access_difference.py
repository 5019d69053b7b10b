"""What a change is said to open and close is what the readable sets before and after say, for everybody."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from ringfence_governance import access_difference as module
from ringfence_governance.access_difference import Access, State, access_difference
from ringfence_governance.authority import actor_atoms
from ringfence_governance.decisions import Asked
from ringfence_governance.errors import PolicyRefused
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Row, Rule
from ringfence_governance.snapshot import Snapshot

from .random_worlds import (
    ACTORS,
    MOMENTS,
    NAMED,
    PURPOSES,
    TIMES,
    random_label,
    random_links,
    random_rules,
    random_world,
    table_of,
    tenant,
)

OURS = frozenset({"a"})
NOW = MOMENTS[1]


def changed_rows(dice: random.Random, rows: PolicyRows) -> tuple[list[Row], list[Row]]:
    """Return a few rows to remove and to add, of any kind."""
    removed = dice.sample(sorted(rows, key=repr), dice.randint(0, 3))
    offered: list[Row] = [*random_rules(dice), *random_links(dice)]
    actor = dice.choice(ACTORS)
    offered.append(Facts(actor, dice.randint(0, 2), frozenset(dice.sample(["x", "y"], 1))))
    kept = set(rows) - set(removed)
    known = {row.principal for row in kept if isinstance(row, Facts)}
    fresh = [
        row
        for row in offered
        if row not in kept and not (isinstance(row, Facts) and row.principal in known) and row not in removed
    ]
    return removed, dice.sample(fresh, min(len(fresh), dice.randint(0, 3)))


def changed_labels(dice: random.Random, table: LabelTable) -> tuple[LabelTable, list[str]]:
    """Return the table with named labels that mean something else, and perhaps a new one."""
    entries = [
        replace(table.by_id[name], definition=random_label(dice, tenant(name)))
        for name in dice.sample(NAMED, dice.randint(0, 2))
    ]
    if dice.random() < 0.3:
        entries.append(LabelEntry(max(table.entries) + 1, "a/label:new", random_label(dice, "a")))
    return (table.changed(2, entries) if entries else table), [entry.label_id for entry in entries]


def sets(state: State, now: str) -> dict[tuple[str, bool, str], set[str]]:
    """What each actor may read, alone and as one who carries, for each purpose: asked one by one."""
    found = {}
    for actor, carried, purpose in product(ACTORS, (False, True), ("", *PURPOSES)):
        if tenant(actor) in OURS:
            atoms = actor_atoms(state.snapshot, state.table, Asked(actor, "read", purpose, now, carried))
            found[actor, carried, purpose] = {state.table.entries[atom].label_id for atom in atoms}
    return found


def pairs(
    before: dict[tuple[str, bool, str], set[str]], after: dict[tuple[str, bool, str], set[str]]
) -> set[tuple[str, bool, str, str]]:
    """What is in `after` and not in `before`: with a purpose only where it is not so without one."""
    more = {key: after[key] - before[key] for key in before}
    return {
        (actor, carried, purpose, name)
        for (actor, carried, purpose), names in more.items()
        for name in (names - more[actor, carried, ""] if purpose else names)
    }


def told(found: list[Access], since: str) -> set[tuple[str, bool, str, str]]:
    return {(each.actor, each.carried, each.purpose, each.object_id) for each in found if each.since == since}


@pytest.mark.parametrize("seed", range(6))
def test_it_says_what_the_readable_sets_say(seed: int) -> None:
    dice, counts = random.Random(500 + seed), Counter[str]()
    for _ in range(20):
        world = random_world(dice)
        table = table_of(dice, world)
        removed, added = changed_rows(dice, world.rows) if dice.random() < 0.8 else ([], [])
        snapshot = Snapshot.build(world.rows)
        try:
            after_rows = snapshot.changed(added=added, removed=removed)
        except PolicyRefused:  # a cycle among the groups
            continue
        after_labels, names = changed_labels(dice, table) if dice.random() < 0.6 else (table, [])
        before, after = State(snapshot, table), State(after_rows, after_labels)
        found = access_difference(
            before, after, rows=[*added, *removed], labels=names, tenants=OURS, action="read", now=NOW
        )
        assert told(found.opens, NOW) == pairs(sets(before, NOW), sets(after, NOW))
        assert told(found.closes, NOW) == pairs(sets(after, NOW), sets(before, NOW))
        for kind, listed in (("opens", found.opens), ("closes", found.closes)):
            assert listed == sorted(set(listed))
            counts[kind] += len(listed)
            for later in {each.since for each in listed} - {NOW}:
                counts["later"] += 1
                then = sets(before, later), sets(after, later)
                assert told(listed, later) <= pairs(*(then if kind == "opens" else reversed(then)))  # type: ignore[arg-type]
        assert (found.opened, found.closed) == (len(found.opens), len(found.closes))
    assert min(counts["opens"], counts["closes"]) > 20, counts
    assert counts["later"], counts


# One change each


def label(owner: str = "a/user:v", *readers: str, **fields: object) -> Label:
    return Label.from_mapping({"owner": owner, "readers": list(readers), **fields})


def rule(
    sub: str, obj: str, action: str = "read", *, nbf: str = TIMES[0], exp: str = TIMES[3], eft: str = "allow"
) -> Rule:
    return Rule(sub, "a", obj, action, "any", "*", nbf, exp, eft)


ROWS: list[Row] = [
    Rule("*", "*", "*", "read", "owner", "*", TIMES[0], TIMES[3], "allow"),
    Rule("*", "*", "*", "read", "reader", "*", TIMES[0], TIMES[3], "allow"),
    Link("g", "a/user:u", "a/group:g"),
    Link("g2", "a/label:l1", "a/set:s"),
    rule("a/agent:m", "a/label:l2", "delegate"),
]
LABELS = {
    "a/label:l1": label(),
    "a/label:l2": label("a/user:v", "a/group:g"),
    "a/label:l3": label("a/user:v", "*", purposes=["p"]),
    "b/label:l1": label("b/user:u"),
}


def compare(
    *added: Row, removed: tuple[Row, ...] = (), action: str = "read", **labels: Label
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return what a change opens and closes: (actor, carried, purpose, object, since), since empty for now."""
    table = LabelTable(
        1, {n: LabelEntry(n, name, each) for n, (name, each) in enumerate(LABELS.items(), start=1)}
    )
    names = {f"a/label:{name}": each for name, each in labels.items()}
    entries = [
        LabelEntry(table.by_id[name].atom if name in table.by_id else 9, name, each)
        for name, each in names.items()
    ]
    snapshot = Snapshot.build(PolicyRows.of(ROWS))
    found = access_difference(
        State(snapshot, table),
        State(snapshot.changed(added=added, removed=removed), table.changed(2, entries)),
        rows=[*added, *removed],
        labels=list(names),
        tenants=OURS,
        action=action,
        now=NOW,
    )

    def shown(listed: list[Access]) -> list[tuple[object, ...]]:
        return [
            (each.actor, each.carried, each.purpose, each.object_id, "" if each.since == NOW else each.since)
            for each in listed
        ]

    return shown(found.opens), shown(found.closes)


U, V, M, G = "a/user:u", "a/user:v", "a/agent:m", "a/group:g"


def test_a_grant_to_a_group_opens_to_its_members() -> None:
    assert compare(rule(G, "a/set:s")) == ([(U, False, "", "a/label:l1", "")], [])


def test_a_member_who_leaves_is_closed_out_and_known_no_more() -> None:
    opens, closes = compare(removed=(ROWS[2],))
    assert opens == []
    assert closes == [(U, False, "", "a/label:l2", ""), (U, False, "p", "a/label:l3", "")]


def test_a_row_of_facts_that_clears_for_nothing_makes_known() -> None:
    assert compare(Facts(V, 0, frozenset())) == ([], [])
    opens, closes = compare(Facts("a/user:w", 0, frozenset()))
    assert (opens, closes) == ([("a/user:w", False, "p", "a/label:l3", "")], [])


def test_what_an_agent_may_carry_is_told_beside_what_he_reads() -> None:
    assert compare(rule(M, "a/label:l1", "delegate")) == ([(M, True, "", "a/label:l1", "")], [])
    assert compare(removed=(ROWS[4],)) == (
        [],
        # Without its rule the agent is unknown, too.
        [(M, False, "p", "a/label:l3", ""), (M, True, "", "a/label:l2", "")],
    )


def test_a_purpose_is_told_only_where_it_is_needed() -> None:
    broader = Rule(V, "a", "a/label:l1", "read", "any", "q", TIMES[0], TIMES[3], "allow")
    assert compare(replace(broader, sub=U)) == ([(U, False, "q", "a/label:l1", "")], [])
    assert compare(Link("g3", "q", "p")) == (
        [(actor, False, "q", "a/label:l3", "") for actor in (M, U, V)],
        [],
    )


def test_a_rule_that_begins_later_is_told_with_its_time() -> None:
    assert compare(rule(U, "a/set:s", nbf=TIMES[2])) == ([(U, False, "", "a/label:l1", TIMES[2])], [])
    assert compare(rule(U, "a/set:s", exp=TIMES[2])) == ([(U, False, "", "a/label:l1", "")], [])
    later = rule("a/group:h", "a/set:s", nbf=TIMES[2])
    assert compare(later) == ([], [])
    assert compare(later, Link("g", U, "a/group:h")) == ([(U, False, "", "a/label:l1", TIMES[2])], [])


def test_a_label_that_is_defined_or_redefined_is_told_for_everybody_in_it() -> None:
    assert compare(new=label(U)) == ([(U, False, "", "a/label:new", "")], [])
    assert compare(l2=label(U)) == (
        [],
        [(V, False, "", "a/label:l2", "")],
    )
    assert compare(l2=label(V, G, valid_until=TIMES[2])) == (
        [],
        [
            (M, True, "", "a/label:l2", TIMES[2]),
            (U, False, "", "a/label:l2", TIMES[2]),
            (V, False, "", "a/label:l2", TIMES[2]),
        ],
    )


def test_a_set_that_gains_a_label_opens_it_to_whom_rules_on_the_set_name() -> None:
    allowed = rule(U, "a/set:s")
    opens, closes = compare(allowed, Link("g2", "a/label:l3", "a/set:s"))
    assert opens == [(U, False, "", "a/label:l1", "")], "l3 is for a purpose, and its reader already"
    assert closes == []


def test_no_actor_of_another_tenant_is_told() -> None:
    everyone = Rule("*", "*", "*", "read", "any", "*", TIMES[0], TIMES[3], "deny")
    opens, closes = compare(everyone)
    assert opens == []
    assert {actor for actor, *_ in closes} == {M, U, V}
    assert not [name for *_, name, _ in closes if str(name).startswith("b/")]


def test_who_may_administer_is_told_when_it_is_asked_for() -> None:
    admin = rule(U, "a/policy", "administer")
    assert compare(admin) == ([], [])
    assert compare(admin, action="administer") == ([(U, False, "", "a/policy", "")], [])


def test_what_is_too_much_to_list_is_counted_and_said_to_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS_MAX", 2)
    snapshot = Snapshot.build(PolicyRows.of(ROWS))
    entries = {n: LabelEntry(n, f"a/label:m{n}", label(U)) for n in range(1, 6)}
    found = access_difference(
        State(snapshot, LabelTable(1, {})),
        State(snapshot, LabelTable(2, entries)),
        rows=[],
        labels=[entry.label_id for entry in entries.values()],
        tenants=OURS,
        action="read",
        now=NOW,
    )
    shown = found.to_mapping()
    assert (shown["opened"], shown["complete"]) == (5, False)
    assert [each.object_id for each in found.opens] == ["a/label:m1", "a/label:m2"]


def test_an_actor_whom_a_change_does_not_concern_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Counter[str]()
    real = module.authority.actor_atoms

    def counted(snapshot: Snapshot, table: LabelTable, question: Asked) -> object:
        asked[question.actor] += 1
        assert len(table) < len(LABELS) or question.actor == U
        return real(snapshot, table, question)

    monkeypatch.setattr(module.authority, "actor_atoms", counted)
    compare(rule(U, "a/set:s"))
    assert set(asked) == {U}
    asked.clear()
    compare(rule(U, "a/set:s"), l2=label())
    assert set(asked) == {U, V, M}
