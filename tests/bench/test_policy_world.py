"""A made-up policy is as large as asked for, and its rules are shared out as it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.authority import readable_atoms
from ringfence_governance.identifiers import TIME_MAX
from ringfence_governance.label_table import LabelTable
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO))
    from bench import policy_world

    return policy_world


def test_there_are_as_many_labels_and_rules_as_asked_for(worlds: Any) -> None:
    made = worlds.world(300, 2_345, 1)
    rows = made.rows()
    assert (len(made.labels), len(rows.rules), rows.distinct) == (300, 2_345, len(rows))
    assert [layer.people for layer in made.layers] == [made.people]
    assert 469 <= len(made.people) < 479


def test_a_tenth_denies_some_hold_for_a_time_or_a_purpose_only(worlds: Any) -> None:
    rules = worlds.world(300, 5_000, 2).rows().rules
    share = {
        "deny": sum(rule.eft == "deny" for rule in rules) / len(rules),
        "timed": sum(rule.exp != TIME_MAX for rule in rules) / len(rules),
        "purpose": sum(rule.purpose != "*" for rule in rules) / len(rules),
    }
    assert share == pytest.approx({"deny": 0.10, "timed": 0.15, "purpose": 0.20}, abs=0.02)
    assert any(rule.exp <= worlds.NOW for rule in rules), "some have lapsed"


def test_everything_comes_of_the_seed(worlds: Any) -> None:
    one, same, other = (worlds.world(100, 400, seed, layers=(150,)) for seed in (3, 3, 4))
    assert (one.rows(), one.labels) == (same.rows(), same.labels)
    assert one.rows() != other.rows()


def test_rules_of_a_later_layer_do_not_concern_the_people_of_an_earlier_one(worlds: Any) -> None:
    made = worlds.world(200, 1_000, 5, layers=(200,))
    few, many = Snapshot.build(made.rows(1)), Snapshot.build(made.rows())
    assert (few.index.rule_count, many.index.rule_count) == (200, 1_000)
    table = LabelTable(1, made.labels)
    sizes = Counter[int]()
    for name in made.layers[0].people:
        sets = [readable_atoms(each, table, Subject(name), now=worlds.NOW) for each in (few, many)]
        assert sets[0] == sets[1]
        sizes[len(sets[0])] += 1
    assert len(sizes) > 5, "people read more and less"


def test_people_are_in_no_team_in_some_or_in_dozens(worlds: Any) -> None:
    made = worlds.world(100, 20_000, 6)
    snapshot = Snapshot.build(made.rows())
    groups = sorted(len(snapshot.groups_of(name)) for name in made.people)
    assert groups[0] == 0
    assert 5 <= groups[len(groups) // 2] <= 15
    assert groups[-1] > 30
