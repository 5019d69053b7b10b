"""The compiled set, the questions put to Casbin and what is kept of them say what stock Casbin says.

A thousand random policies in the test command, twenty thousand in `make soak`; each is asked in every way there is,
in the shipped model or in one with a random matcher, as it stands or after changes. A failure names its seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product

import pytest

from ringfence_governance import authority
from ringfence_governance.decisions import Asked
from ringfence_governance.matcher_tree import NotCompilable
from ringfence_governance.policy_rows import ACTIONS
from ringfence_governance.snapshot import Snapshot

from .compiler_comparisons import (
    Case,
    Counts,
    compare_changes,
    compare_matcher,
    compare_shipped,
    compared,
    random_moment,
    table_in_steps,
)
from .random_matchers import Matcher
from .random_worlds import ACTORS, MOMENTS, PURPOSES, random_subject, random_world

CHUNK = {"shipped": 84, "matcher": 86, "changes": 30}
"""Policies of each kind in a fifth of what the test command compares."""
FIFTHS, SOAKED = 5, 100
"""How many such chunks the test command compares, and how many `make soak` does."""
ALLOWED_MIN = 0.01
"""Least share of answers that are a yes; two oracles that always say no would agree too."""


def seeds(kind: str, chunk: int) -> range:
    return range(chunk * CHUNK[kind], (chunk + 1) * CHUNK[kind])


def shipped(chunk: int) -> Counts:
    counts = compared(compare_shipped, seeds("shipped", chunk))
    assert counts["asked"] == 0
    assert counts["matching"] > 10
    return counts


def matchers(chunk: int) -> Counts:
    counts = compared(compare_matcher, seeds("matcher", chunk))
    assert share(counts, "ordered, typed, compiled", "ordered, typed") > 0.9
    of_ordered = counts["ordered, typed"] + counts["ordered, untyped"]
    assert counts["ordered, typed, compiled"] + counts["ordered, untyped, compiled"] > 0.6 * of_ordered
    assert counts["some yes"] > 0.1 * counts["policies"]
    assert counts["raised"] > 0
    assert counts["asked"] > 0
    return counts


def changes(chunk: int) -> Counts:
    counts = compared(compare_changes, seeds("changes", chunk))
    assert counts["changed"] > counts["policies"]
    assert counts["refused"] > 0
    return counts


KINDS: dict[str, Callable[[int], Counts]] = {"shipped": shipped, "matcher": matchers, "changes": changes}


def share(counts: Counts, some: str, whole: str) -> float:
    return counts[some] / counts[whole]


def answers_are_worth_something(kind: str, chunk: int) -> None:
    counts = KINDS[kind](chunk)
    print(f"{kind} {chunk}: {dict(sorted(counts.items()))}")
    assert counts["policies"] == CHUNK[kind]
    assert counts["yes"] > ALLOWED_MIN * (counts["yes"] + counts["no"])
    assert counts["single yes"] > ALLOWED_MIN * (counts["single yes"] + counts["single no"])


def test_the_test_command_compares_a_thousand_policies_and_the_soak_twenty_thousand() -> None:
    assert set(CHUNK) == set(KINDS)
    assert sum(CHUNK.values()) * FIFTHS == 1_000
    assert sum(CHUNK.values()) * SOAKED == 20_000


@pytest.mark.parametrize("chunk", range(FIFTHS))
@pytest.mark.parametrize("kind", sorted(CHUNK))
def test_every_answer_is_that_of_stock_casbin(kind: str, chunk: int) -> None:
    answers_are_worth_something(kind, chunk)


@pytest.mark.soak
@pytest.mark.parametrize("chunk", range(FIFTHS, FIFTHS + SOAKED))
@pytest.mark.parametrize("kind", sorted(CHUNK))
def test_every_answer_is_that_of_stock_casbin_over_more_policies(kind: str, chunk: int) -> None:
    answers_are_worth_something(kind, chunk)


def no_slow_path(*asked: object) -> None:
    raise AssertionError("the labels were put to Casbin one by one")


@pytest.mark.parametrize("seed", range(20))
def test_the_shipped_model_compiles_for_everybody_who_asks(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow path gives the same answers, so that only its absence shows that the set was compiled."""
    monkeypatch.setattr(authority, "_asked_atoms", no_slow_path)
    dice = random.Random(f"compiles {seed}")
    world = random_world(dice)
    snapshot = Snapshot.build(world.rows)
    table = table_in_steps(dice, Case(dice, world, snapshot, None))
    for actor, action, carried in product(ACTORS, sorted(ACTIONS), (False, True)):
        asked = Asked(actor, action, dice.choice(["", *PURPOSES]), random_moment(dice), carried)
        request = snapshot.compiled(asked)
        for segment in table.segments(snapshot.label_fields):
            request.allowed(segment)
    for now in MOMENTS:
        authority.readable_atoms(snapshot, table, random_subject(dice), now=now)


UNPROVEN = {
    "in another order": '(p.obj == r.obj.id || p.obj == "*") && member(r.sub.principals, p.sub)',
    "ill-typed": '(p.sub == "*" || member(r.sub.principals, p.sub)) && (p.obj == "*" || r.obj.level < r.obj.id)',
}
"""What is wrong with a matcher → the matcher."""


@pytest.mark.parametrize("matcher", UNPROVEN.values(), ids=UNPROVEN)
def test_what_is_not_proven_is_put_to_casbin_and_answered(
    matcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, slow_path = [], authority._asked_atoms
    monkeypatch.setattr(authority, "_asked_atoms", lambda *asked: taken.append(asked) or slow_path(*asked))
    model = Matcher(matcher, False, False).model
    counts = Counts()
    for seed in range(20):
        dice = random.Random(f"unproven {seed}")
        world = random_world(dice)
        case = Case(dice, world, Snapshot.build(world.rows, model), model)
        table = table_in_steps(dice, case)
        subject = random_subject(dice)
        with pytest.raises(NotCompilable):
            case.snapshot.compiled(Asked(subject.person, "read", "", MOMENTS[0], False))
        before = len(taken)
        case.compare_sets(table, subject, "read", random_moment(dice))
        assert len(taken) > before
        counts += case.counts
    assert counts["compiled"] == 0
    assert counts["yes"] > ALLOWED_MIN * (counts["yes"] + counts["no"])
