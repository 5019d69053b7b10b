"""A decision is kept for the one question it answers: every value of the question is part of what it is kept by."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from ringfence_governance import kept_decisions
from ringfence_governance.decisions import Request
from ringfence_governance.kept_decisions import KeptDecisions
from ringfence_governance.labels import Label

NOW, UNTIL = "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"
ASKED = Request("acme/user:bob", "acme/label:l", Label("acme", "acme/user:ann"), "read", "care", NOW, False)
OTHERS = {
    "actor": "acme/user:cid",
    "object_id": "acme/label:m",
    "label": Label("acme", "acme/user:ann", denied=frozenset({"acme/user:bob"})),
    "action": "audit",
    "purpose": "",
    "carried": True,
}


def test_every_value_of_a_question_is_tried_below_or_is_the_time() -> None:
    assert {field.name for field in fields(Request)} == {*OTHERS, "now"}


@pytest.mark.parametrize("name", OTHERS)
def test_an_answer_is_none_to_a_question_that_differs_in_one_value(name: str) -> None:
    kept: KeptDecisions[bool] = KeptDecisions()
    kept.keep(ASKED, True, UNTIL)
    assert kept.get(ASKED) is True
    other = replace(ASKED, **{name: OTHERS[name]})
    assert kept.get(other) is None
    kept.keep(other, False, UNTIL)
    assert (kept.get(ASKED), kept.get(other)) == (True, False)


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-05-31T23:59:59Z", False),
        (NOW, True),
        ("2026-06-30T23:59:59Z", True),
        (UNTIL, False),
    ],
)
def test_an_answer_holds_from_its_time_until_the_next_boundary(now: str, holds: bool) -> None:
    kept: KeptDecisions[bool] = KeptDecisions()
    kept.keep(ASKED, True, UNTIL)
    assert kept.get(replace(ASKED, now=now)) is (True if holds else None)


def test_no_more_are_kept_than_said_and_the_one_longest_unused_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_decisions, "KEPT_MAX", 2)
    kept: KeptDecisions[bool] = KeptDecisions()
    first, second, third = (replace(ASKED, purpose=purpose) for purpose in ("a", "b", "c"))
    kept.keep(first, True, UNTIL)
    kept.keep(second, True, UNTIL)
    kept.get(first)
    kept.keep(third, True, UNTIL)
    assert (kept.get(first), kept.get(second), kept.get(third)) == (True, None, True)
    assert len(kept) == 2
