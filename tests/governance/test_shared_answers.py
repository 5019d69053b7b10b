"""One answer of Casbin serves many actors only where asking for each would give the same."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from ringfence_governance.identifiers import TIME_MAX, TIME_MIN
from ringfence_governance.labels import Label
from ringfence_governance.matcher_tree import NotCompilable
from ringfence_governance.policy_judge import Judge
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Rule
from ringfence_governance.shared_answers import SharedKeys
from ringfence_governance.snapshot import Decision, Request, Snapshot
from ringfence_policies import model_text

from .random_matchers import random_matcher
from .random_worlds import ACTORS, random_request, random_world

NOW = "2026-03-01T00:00:00Z"


def differs(seed: int, count: Counter[str], *, shipped: bool) -> bool:
    """Say whether a random world's actors, asked about together, get another answer than one by one."""
    dice = random.Random(seed)
    world = random_world(dice)
    model = None if shipped else random_matcher(dice).model
    for _ in range(4):
        request = random_request(dice, world)
        together = Snapshot.build(world.rows, model).allowed_among(ACTORS, request)
        alone = Snapshot.build(world.rows, model)
        one_by_one = {actor for actor in ACTORS if alone.decide(with_actor(request, actor)).allowed}
        count["allowed"] += len(one_by_one)
        if together != one_by_one:
            return True
    return False


def with_actor(request: Request, actor: str) -> Request:
    return Request(
        actor, request.object_id, request.label, request.action, request.purpose, request.now, request.carried
    )


@pytest.mark.parametrize("shipped", [True, False])
def test_asking_about_all_together_is_asking_about_each(shipped: bool) -> None:
    count = Counter[str]()
    for seed in range(25):
        assert not differs(seed, count, shipped=shipped), seed
    assert count["allowed"] > 20, "nobody was allowed anything"


@pytest.mark.parametrize(
    "left_out",
    ["r.sub.known", "r.sub.level", "r.sub.comps", "r.obj.owner", "r.obj.readers"],
)
def test_a_key_that_lacks_one_value_is_found(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        SharedKeys, "tells_apart", staticmethod(lambda leaf: leaf.of_actor and left_out not in leaf.text)
    )
    assert any(differs(seed, Counter(), shipped=True) for seed in range(400))


def company(members: int) -> tuple[Snapshot, list[str]]:
    """Return a policy of so many people of one team, of whom each fifth is cleared for something more."""
    people = [f"acme/user:u{number}" for number in range(members)]
    rows = PolicyRows.of(
        [
            Rule("*", "*", "*", "read", "reader", "*", TIME_MIN, TIME_MAX, "allow"),
            *(Link("g", name, "acme/group:team") for name in people),
            *(Facts(name, 1, frozenset()) for name in people[::5]),
        ]
    )
    return Snapshot.build(rows), people


def asked_of_casbin(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    decide = Judge.decide

    def counting(self: Judge, request: Request) -> Decision:
        asked.append(request.actor)
        return decide(self, request)

    monkeypatch.setattr(Judge, "decide", counting)
    return asked


REQUEST = Request(
    "acme/user:u0",
    "acme/label:x",
    Label("acme", "acme/user:dora", frozenset({"acme/group:team"}), level=1),
    "read",
    "",
    NOW,
    False,
)


def test_who_is_told_apart_by_nothing_is_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, people = company(100)
    asked = asked_of_casbin(monkeypatch)
    assert snapshot.allowed_among(people, REQUEST) == set(people[::5])
    assert asked == ["acme/user:u0", "acme/user:u1"]


def test_a_no_of_casbin_is_the_no_of_all_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed rests on Casbin's answer and on nothing that was found beside it."""
    snapshot, people = company(20)
    monkeypatch.setattr(Judge, "decide", lambda self, request: Decision(False, None, "no rule"))
    assert snapshot.allowed_among(people, REQUEST) == set()


def test_a_failure_is_nobody_elses_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, people = company(20)
    decide = Judge.decide

    def failing(self: Judge, request: Request) -> Decision:
        if request.actor == "acme/user:u0":
            return Decision(False, None, "error")
        return decide(self, request)

    monkeypatch.setattr(Judge, "decide", failing)
    assert snapshot.allowed_among(people, REQUEST) == set(people[5::5])


def test_a_matcher_outside_the_proven_subset_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_text().replace('m = r.act != "delegate"', 'm = r.obj.dom == r.dom && r.act != "delegate"')
    shipped, people = company(20)
    snapshot = Snapshot.build(shipped.rows, model)
    with pytest.raises(NotCompilable):
        _ = snapshot.label_fields
    asked = asked_of_casbin(monkeypatch)
    assert snapshot.allowed_among(people, REQUEST) == set(people[::5])
    assert asked == people
