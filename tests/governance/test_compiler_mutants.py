"""Each planted mistake in what compiles, looks up or keeps is found by the comparison with stock Casbin.

Else that comparison would prove nothing. The number of policies it takes is bounded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ringfence_governance import authority, compiler, matcher_plan
from ringfence_governance.compiler import CompiledRequest, RuleGroup
from ringfence_governance.decisions import Asked
from ringfence_governance.kept_decisions import KeptDecisions
from ringfence_governance.label_columns import Column, LabelSegment
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.matcher_tree import Either
from ringfence_governance.policy_index import PolicyIndex
from ringfence_governance.policy_judge import Judge
from ringfence_governance.policy_rows import PolicyRows, from_fields
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

from .compiler_comparisons import compare_changes, compare_matcher, compare_shipped
from .random_matchers import Matcher

NOW = "2026-03-01T00:00:00Z"

POLICIES_MAX = 150
"""How many policies of each kind a mistake may survive."""

Plant = Callable[[pytest.MonkeyPatch], None]


def ignores_denies(patch: pytest.MonkeyPatch) -> None:
    real = compiler._groups
    patch.setattr(
        compiler, "_groups", lambda *asked: [each for each in real(*asked) if each.effect == "allow"]
    )


def ignores_conditions_on_labels(patch: pytest.MonkeyPatch) -> None:
    real = CompiledRequest.allowed
    patch.setattr(
        CompiledRequest, "allowed", lambda self, segment: real(dataclasses.replace(self, asks=True), segment)
    )


def takes_the_first_branch(patch: pytest.MonkeyPatch) -> None:
    real = matcher_plan._Reader.node

    def node(self: Any, tree: Any) -> Any:
        found = real(self, tree)
        return found.parts[0] if isinstance(found, Either) else found

    patch.setattr(matcher_plan._Reader, "node", node)


def inverts_a_comparison(patch: pytest.MonkeyPatch) -> None:
    comparisons = dict(matcher_plan._COMPARISONS)
    swapped = {matcher_plan.ast.LtE: comparisons[matcher_plan.ast.GtE]}
    patch.setattr(matcher_plan, "_COMPARISONS", comparisons | swapped)


def forgets_who_is_in_a_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PolicyIndex, "members", lambda self, kind, name: (name,))


def keeps_the_first_rule_of_a_group(patch: pytest.MonkeyPatch) -> None:
    real = compiler._groups

    def groups(*asked: Any) -> list[RuleGroup]:
        return [dataclasses.replace(each, rules=each.rules[:1]) for each in real(*asked)]

    patch.setattr(compiler, "_groups", groups)


def follows_one_link_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PolicyIndex, "closure", lambda self, kind, name: (name, *self.parents(kind, name)))


def leaves_out_rules_for_everybody(patch: pytest.MonkeyPatch) -> None:
    real = Judge._rules

    def rules(self: Judge, *asked: Any) -> Any:
        return [rule for rule in real(self, *asked) if rule.sub != "*"]

    patch.setattr(Judge, "_rules", rules)


def opens_a_compound_label_with_any_part(patch: pytest.MonkeyPatch) -> None:
    def whole(self: LabelSegment, allowed: Any) -> Any:
        if not len(self.compound_atoms):
            return np.zeros(0, np.bool_)
        return np.logical_or.reduceat(allowed[self.parts], self._starts)

    patch.setattr(LabelSegment, "whole", whole)


def keeps_a_decision_for_ever(patch: pytest.MonkeyPatch) -> None:
    real = KeptDecisions.keep
    patch.setattr(
        KeptDecisions,
        "keep",
        lambda self, request, answer, until: real(
            self, dataclasses.replace(request, now="0000-01-01T00:00:00Z"), answer, "9999-12-31T23:59:59Z"
        ),
    )


def knows_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Judge, "knows", lambda self, principal, now: True)


def looks_up_one_name_of_several(patch: pytest.MonkeyPatch) -> None:
    real = Column._found
    patch.setattr(
        Column, "_found", lambda self, names, **holding: real(self, sorted(names, key=str)[:1], **holding)
    )


PLANTED = [
    ignores_denies,
    ignores_conditions_on_labels,
    takes_the_first_branch,
    inverts_a_comparison,
    forgets_who_is_in_a_set,
    keeps_the_first_rule_of_a_group,
    follows_one_link_only,
    leaves_out_rules_for_everybody,
    opens_a_compound_label_with_any_part,
    keeps_a_decision_for_ever,
    knows_everybody,
    looks_up_one_name_of_several,
]


FOUND_AT = {ignores_denies: 6, forgets_who_is_in_a_set: 22, keeps_the_first_rule_of_a_group: 64}
"""The policy at which a mistake was found the last time, if many found nothing: that one is tried first."""


def test_there_are_at_least_ten() -> None:
    assert len(set(PLANTED)) >= 10


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_mistake_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in (FOUND_AT.get(plant, 0), *range(POLICIES_MAX)):
        for compare in (compare_shipped, compare_matcher, compare_changes):
            try:
                compare(seed)
            except AssertionError:
                print(f"found by {compare.__name__} at policy {seed}")
                return
    pytest.fail(f"survived {POLICIES_MAX} policies of each kind")


def test_rules_of_which_each_fits_half_are_not_asked_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One names the label, the other its owner. Neither allows; asked together they would."""
    model = Matcher("p.act == r.act && (p.obj == r.obj.id && g(r.obj.owner, p.sub))", True, True).model
    rows = [
        from_fields(f"p, a/user:{sub}, a, a/label:{obj}, read, any, *, -, -, allow".split(", "))
        for sub, obj in (("ann", "x"), ("bob", "y"))
    ]
    labels = {"x": "a/user:bob", "y": "a/user:ann"}
    table = LabelTable(
        1,
        {
            atom: LabelEntry(atom, f"a/label:{name}", Label("a", owner))
            for atom, (name, owner) in enumerate(labels.items(), start=1)
        },
    )

    def readable() -> set[int]:
        snapshot = Snapshot.build(PolicyRows.of(rows), model)
        snapshot.compiled(Asked("a/user:ann", "read", "", NOW, False))
        return set(authority.readable_atoms(snapshot, table, Subject("a/user:ann"), now=NOW))

    assert readable() == set()
    monkeypatch.setattr(compiler, "_joins_once", lambda node: True)
    assert readable() == {1, 2}
