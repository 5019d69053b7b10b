"""Chains, compound labels, the readable set, explanations: yes only where Casbin said yes to each part."""

from __future__ import annotations

import json

import pytest

from ringfence_governance.authority import (
    allowed,
    allowed_on_policy,
    explain,
    names_alike,
    next_boundary,
    readable_atoms,
    subject_facts,
)
from ringfence_governance.identifiers import TIME_MAX
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_index import PolicyIndex
from ringfence_governance.policy_rows import Link, PolicyRows, from_fields
from ringfence_governance.policy_text import parse_policy_csv
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

NOW = "2026-03-01T00:00:00Z"
POLICY = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, acme/role:r, acme, acme/set:kb, read, any, *, 2026-01-01T00:00:00Z, 2026-07-01T00:00:00Z, allow
p, acme/role:admin, acme, acme/policy, administer, any, *, -, -, allow
p, acme/role:auditor, acme, *, audit, any, *, -, -, allow
p, acme/agent:m, acme, acme/set:kb, delegate, any, *, -, -, allow
p, acme/user:bob, acme, acme/label:one, read, any, *, -, -, deny
g, acme/user:ann, acme/group:g
g, acme/user:bob, acme/group:g
g, acme/group:g, acme/role:r
g, acme/user:adm, acme/role:admin
g2, acme/label:one, acme/set:kb
g2, acme/label:two, acme/set:kb
f, acme/user:ann, 1, hr
"""
ANN, BOB, DORA = "acme/user:ann", "acme/user:bob", "acme/user:dora"


def labels() -> LabelTable:
    entries = [
        LabelEntry(1, "acme/label:one", Label("acme", DORA)),
        LabelEntry(2, "acme/label:two", Label("acme", DORA, valid_until="2026-05-01T00:00:00Z")),
        LabelEntry(3, "acme/label:three", Label("acme", DORA, readers=frozenset({ANN}))),
        LabelEntry(4, "acme/label:four", Label("acme", DORA, valid_from="2026-02-01T00:00:00Z")),
        LabelEntry(5, f"acme/label:~{'0' * 32}", None, frozenset({"acme/label:one", "acme/label:three"})),
        LabelEntry(6, f"acme/label:~{'1' * 32}", None, frozenset({"acme/label:one", "acme/label:four"})),
        LabelEntry(7, f"acme/label:~{'2' * 32}", None, frozenset({"acme/label:one", "acme/label:gone"})),
        LabelEntry(8, f"acme/label:~{'3' * 32}", None, frozenset()),
        LabelEntry(9, f"acme/label:~{'4' * 32}", None, frozenset({f"acme/label:~{'0' * 32}"})),
    ]
    return LabelTable(1, {entry.atom: entry for entry in entries})


@pytest.fixture(scope="module")
def table() -> LabelTable:
    return labels()


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.build(parse_policy_csv(POLICY.encode(), "policy.csv"))


def readable(snapshot: Snapshot, table: LabelTable, subject: Subject, now: str = NOW) -> set[int]:
    return set(readable_atoms(snapshot, table, subject, now=now))


def test_the_readable_set_is_what_each_may_read(snapshot: Snapshot, table: LabelTable) -> None:
    assert readable(snapshot, table, Subject(ANN)) == {1, 2, 3, 5}
    assert readable(snapshot, table, Subject(BOB)) == {2}
    assert readable(snapshot, table, Subject(DORA)) == {1, 2, 3, 4, 5, 6}


def test_a_label_put_into_a_set_or_taken_out_is_seen_by_the_next_question(
    snapshot: Snapshot, table: LabelTable
) -> None:
    ann, link = Subject(ANN), Link("g2", "acme/label:four", "acme/set:kb")
    without = readable(snapshot, table, ann)
    assert 4 not in without
    put_in = snapshot.with_row(link)
    assert readable(put_in, table, ann) == without | {4, 6}
    assert readable(put_in.without_row(link), table, ann) == without
    assert readable(snapshot, table, ann) == without, "an older policy still answers as it did"


def test_a_stranger_a_stranger_tenant_and_an_agent_alone_may_read_nothing(
    snapshot: Snapshot, table: LabelTable
) -> None:
    for name in ("acme/user:nobody", "other/user:ann", "acme/agent:m"):
        assert readable(snapshot, table, Subject(name)) == set()


def test_a_chain_may_read_what_all_its_actors_may(snapshot: Snapshot, table: LabelTable) -> None:
    assert readable(snapshot, table, Subject(ANN, ("acme/agent:m",))) == {1, 2}
    assert readable(snapshot, table, Subject(BOB, ("acme/agent:m",))) == {2}
    assert readable(snapshot, table, Subject(ANN, ("acme/agent:m", "acme/agent:unknown"))) == set()


def test_a_compound_label_is_readable_only_with_all_its_parts(snapshot: Snapshot, table: LabelTable) -> None:
    carl = Subject("acme/user:carl")
    assert 5 in readable(snapshot, table, Subject(ANN))
    assert 6 not in readable(snapshot, table, Subject(ANN))
    assert readable(snapshot, table, carl) == set()


@pytest.mark.parametrize("atom", [7, 8, 9], ids=["unknown part", "no part", "compound part"])
def test_a_compound_label_that_is_not_whole_is_readable_to_nobody(
    atom: int, snapshot: Snapshot, table: LabelTable
) -> None:
    entry = table.entries[atom]
    for name in (ANN, DORA):
        assert not allowed(snapshot, Subject(name), entry, table, "read", NOW)
        assert atom not in readable(snapshot, table, Subject(name))
        explanation = explain(snapshot, table, Subject(name), entry, action="read", now=NOW)
        assert (explanation.allowed, explanation.verdicts) == (False, ())


def test_a_redefined_part_carries_through(snapshot: Snapshot, table: LabelTable) -> None:
    entries = dict(table.entries)
    entries[3] = LabelEntry(3, "acme/label:three", Label("acme", DORA))
    assert 5 not in readable(snapshot, LabelTable(2, entries), Subject(ANN))


def test_the_set_is_of_the_action_asked_for(snapshot: Snapshot, table: LabelTable) -> None:
    assert readable_atoms(snapshot, table, Subject(ANN), action="audit", now=NOW) == frozenset()
    rows = snapshot.rows.with_row(from_fields(["g", ANN, "acme/role:auditor"]))
    held = Snapshot.build(rows)
    assert readable_atoms(held, table, Subject(ANN), action="audit", now=NOW) == {1, 2, 3, 4, 5, 6}


def test_the_set_changes_with_time_at_its_boundaries(snapshot: Snapshot, table: LabelTable) -> None:
    now, seen = "2025-01-01T00:00:00Z", []
    for _ in range(5):
        now = next_boundary(snapshot, table, now)
        seen.append(now)
    assert seen == [
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
        "2026-05-01T00:00:00Z",
        "2026-07-01T00:00:00Z",
        TIME_MAX,
    ]
    assert readable(snapshot, table, Subject(ANN), "2025-12-31T23:59:59Z") == {3}
    assert readable(snapshot, table, Subject(ANN), "2026-06-01T00:00:00Z") == {1, 3, 5}
    assert readable(snapshot, table, Subject(ANN), "2026-07-01T00:00:00Z") == {3}


def test_a_malformed_time_or_action_gives_nothing(snapshot: Snapshot, table: LabelTable) -> None:
    assert readable(snapshot, table, Subject(DORA), "now") == set()
    for action in ("", "*", "delegate", "write"):
        assert readable_atoms(snapshot, table, Subject(DORA), action=action, now=NOW) == frozenset()


def test_the_policy_itself_is_an_object_of_its_tenant(snapshot: Snapshot) -> None:
    assert allowed_on_policy(snapshot, Subject("acme/user:adm"), "acme", "administer", NOW)
    assert not allowed_on_policy(snapshot, Subject("acme/user:adm"), "other", "administer", NOW)
    assert not allowed_on_policy(snapshot, Subject("acme/user:adm"), "acme", "audit", NOW)
    assert not allowed_on_policy(
        snapshot, Subject("acme/user:adm", ("acme/agent:m",)), "acme", "administer", NOW
    )
    assert not allowed_on_policy(snapshot, Subject(ANN), "acme", "administer", NOW)
    assert not allowed_on_policy(snapshot, Subject("acme/user:adm"), "Acme!", "administer", NOW)


def test_an_explanation_names_the_rule_and_the_way_to_it(snapshot: Snapshot, table: LabelTable) -> None:
    found = explain(snapshot, table, Subject(ANN), table.entries[1], action="read", now=NOW)
    assert found.allowed
    assert found.revision == snapshot.revision
    (verdict,) = found.verdicts
    (reason,) = verdict.reasons
    assert reason.rule == verdict.decision.rule
    assert reason.membership == (ANN, "acme/group:g", "acme/role:r")
    assert reason.relation == ()


def test_an_explanation_names_the_relation_that_holds(snapshot: Snapshot) -> None:
    owner = Label("acme", "acme/role:r", readers=frozenset({"*"}))
    entry = LabelEntry(1, "acme/label:x", owner)
    found = explain(snapshot, LabelTable(1, {1: entry}), Subject(ANN), entry, action="read", now=NOW)
    relations = {reason.rule.rel: reason.relation for reason in found.verdicts[0].reasons}
    assert relations == {"owner": (ANN, "acme/group:g", "acme/role:r"), "reader": (ANN, "*")}


def test_an_explanation_of_a_no_lists_denying_rules_first(snapshot: Snapshot, table: LabelTable) -> None:
    found = explain(snapshot, table, Subject(BOB), table.entries[1], action="read", now=NOW)
    assert not found.allowed
    assert [reason.rule.eft for reason in found.verdicts[0].reasons] == ["deny", "allow"]
    assert found.verdicts[0].decision.reason == "deny"


def test_an_explanation_has_a_verdict_for_each_actor_and_part(snapshot: Snapshot, table: LabelTable) -> None:
    subject = Subject(ANN, ("acme/agent:m",))
    found = explain(snapshot, table, subject, table.entries[5], action="read", now=NOW)
    assert not found.allowed
    assert [
        (verdict.object_id, verdict.actor, verdict.carried, verdict.decision.reason)
        for verdict in found.verdicts
    ] == [
        ("acme/label:one", ANN, False, "allow"),
        ("acme/label:one", "acme/agent:m", True, "allow"),
        ("acme/label:three", ANN, False, "allow"),
        ("acme/label:three", "acme/agent:m", True, "no rule"),
    ]


def test_an_explanation_of_a_malformed_question_is_a_no_without_rules(
    snapshot: Snapshot, table: LabelTable
) -> None:
    found = explain(snapshot, table, Subject(ANN), table.entries[1], action="read", now="now")
    assert not found.allowed
    assert [(verdict.decision.reason, verdict.reasons) for verdict in found.verdicts] == [("error", ())]


def test_an_explanation_is_ready_for_json(snapshot: Snapshot, table: LabelTable) -> None:
    subject = Subject(ANN, purpose="fraud")
    found = explain(snapshot, table, subject, table.entries[1], action="read", now=NOW).to_mapping()
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "allowed": True,
        "action": "read",
        "purpose": "fraud",
        "now": NOW,
        "revision": snapshot.revision,
        "verdicts": [
            {
                "actor": ANN,
                "carried": False,
                "label": "acme/label:one",
                "allowed": True,
                "reason": "allow",
                "rules": [
                    {
                        "rule": "p, acme/role:r, acme, acme/set:kb, read, any, *, "
                        "2026-01-01T00:00:00Z, 2026-07-01T00:00:00Z, allow",
                        "effect": "allow",
                        "membership": [ANN, "acme/group:g", "acme/role:r"],
                        "relation": [],
                    }
                ],
            }
        ],
    }


def test_subject_facts_are_all_a_decision_depended_on(snapshot: Snapshot) -> None:
    assert subject_facts(snapshot, Subject(ANN, ("acme/agent:x",)), NOW) == [
        {
            "actor": ANN,
            "carried": False,
            "known": True,
            "principals": [ANN, "acme/group:g", "acme/role:r"],
            "level": 1,
            "compartments": ["hr"],
        },
        {
            "actor": "acme/agent:x",
            "carried": True,
            "known": False,
            "principals": ["acme/agent:x"],
            "level": 0,
            "compartments": [],
        },
    ]


NEW, OLD = "a/label:new", "a/label:old"
ALLOW, DENY = "p, a/user:u, a, {}, read, any, *, -, -, allow", "p, a/user:u, a, {}, read, any, *, -, -, deny"


@pytest.mark.parametrize(
    ("lines", "alike"),
    [
        ([], True),
        ([ALLOW.format(NEW), ALLOW.format(OLD)], True),
        ([DENY.format(NEW), DENY.format(OLD)], True),
        ([ALLOW.format(NEW)], False),
        ([ALLOW.format(OLD)], False),
        ([DENY.format(NEW)], False),
        ([DENY.format(OLD)], False),
        ([ALLOW.format(NEW), ALLOW.format(OLD).replace("read", "delete")], False),
        ([ALLOW.format(NEW), ALLOW.format(OLD).replace("-, -", "2026-01-01T00:00:00Z, -")], False),
        ([ALLOW.format("a/set:s"), f"g2, {NEW}, a/set:s"], False),
        ([ALLOW.format("a/set:s"), f"g2, {OLD}, a/set:s"], True),
        ([ALLOW.format("a/set:s"), f"g2, {NEW}, a/set:s", f"g2, {OLD}, a/set:s"], True),
        ([DENY.format("a/set:s"), f"g2, {OLD}, a/set:s"], False),
        ([DENY.format("a/set:s"), f"g2, {NEW}, a/set:s"], True),
        ([DENY.format("a/set:s"), f"g2, {NEW}, a/set:s", f"g2, {OLD}, a/set:s"], True),
        ([ALLOW.format("a/set:s"), DENY.format("a/set:s"), f"g2, {OLD}, a/set:s"], False),
        ([f"g2, {NEW}, a/set:unused"], True),
    ],
)
def test_labels_are_alike_if_rules_and_sets_treat_the_new_one_no_wider(lines: list[str], alike: bool) -> None:
    index = PolicyIndex.build(PolicyRows.of([from_fields(line.split(", ")) for line in lines]))
    assert names_alike(index, NEW, OLD) is alike
    assert names_alike(index, OLD, OLD)
