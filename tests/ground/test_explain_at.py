"""Why, who and what at a time: the answer that was given then, through the rights that are held now."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ringfence_governance.errors import NotReadable
from ringfence_governance.labels import NamedLabel
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.subjects import Subject

from .past_times import (
    BOB,
    DORA,
    HAL,
    HR_GRANT,
    LEE,
    OLGA,
    OTTO,
    PAYROLL,
    Question,
    ask,
    now,
    redefine,
    wait,
    without_time,
)
from .random_history import History
from .worlds import ADMIN, WHY, World, label, row, subject

SUBJECTS = [
    Subject(HAL),
    Subject(BOB),
    Subject(LEE, (), "bid"),
    Subject(DORA, ("acme/agent:desk",)),
    Subject("acme/user:cy"),
    Subject("borealis/user:bo"),
]

SOAK_SEEDS = (1, 2, 3, 4, 6, 7, 8, 9)
"""In the fifth history a label would be lowered, which nobody may here."""


def questions(dice: random.Random, documents: list[str]) -> Iterator[Question]:
    document = dice.choice(documents)
    yield "who", OLGA, document
    for asked in dice.sample(SUBJECTS, 2):
        yield "why", OLGA, asked, document
    yield "what", OLGA, dice.choice(SUBJECTS), dice.choice(["read", "read", "ingest"])
    yield "what", OTTO, dice.choice(SUBJECTS), "read"


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in SOAK_SEEDS)])
def test_an_answer_of_a_time_is_the_one_that_was_given_then(
    still: World, ids: dict[str, str], seed: int
) -> None:
    dice = random.Random(seed)
    # By path, then as they come, one in a step: ids are random, and the seed alone says what is asked.
    met = [ids[path] for path in sorted(ids)]
    history = History(still, dice, [PAYROLL], set())
    asked: list[tuple[str, Question, dict[str, Any]]] = []
    seen = Counter[str]()
    for _ in range(30):
        still.clock.advance(dice.randint(1, 4))
        seen[history.change()] += 1
        there = known(still)
        met += sorted(there.difference(met))
        documents = [each for each in met if each in there]
        asked += [(now(still), each, ask(still, each, None)) for each in questions(dice, documents)]
    still.clock.advance(1)
    kept = {auditor: known(still, auditor) for auditor in (OLGA, OTTO)}
    for at, question, given in asked:
        compare(still, kept[question[1]], at, question, given, seen)
    assert min(seen[each] for each in ("row", "define", "put", "relabel", "redefine")) > 0, seen
    assert min(seen[f"{verb} same"] for verb in ("why", "who", "what")) > 20, seen
    assert min(seen["allow"], seen["deny"]) > 5, seen


def known(world: World, auditor: str = OLGA) -> set[str]:
    """Return every document that is in the store now and that he may audit."""
    found = world.door.what_for(subject(auditor), subject(auditor), action="audit", documents=True)
    return {each for entry in found["labels"] for each in entry["ids"]}


def compare(
    world: World, kept: set[str], at: str, question: Question, given: dict[str, Any], seen: Counter[str]
) -> None:
    verb = question[0]
    if verb != "what" and question[-1] not in kept:
        with pytest.raises(NotReadable):
            ask(world, question, at)
        seen["gone"] += 1
        return
    answer = without_time(ask(world, question, at))
    if verb == "what":
        given = only_documents(given, kept)
    assert answer == without_time(given)
    seen[f"{verb} same"] += 1
    seen[answer.get("decision", "")] += 1


def only_documents(given: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    """Return an answer with the documents that are in the store still."""
    labels = [
        {**each, "ids": (left := [one for one in each["ids"] if one in kept]), "documents": len(left)}
        for each in given["labels"]
    ]
    return {**given, "labels": labels, "documents": sum(each["documents"] for each in labels)}


def test_a_change_of_exactly_that_second_counts_and_one_of_the_next_does_not(
    still: World, ids: dict[str, str]
) -> None:
    before = wait(still)
    still.add(*HR_GRANT)
    of_it = wait(still)
    still.remove(*HR_GRANT)
    after = now(still)

    def told(at: str) -> tuple[str, bool]:
        decision = still.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"], at=at)["decision"]
        return decision, BOB in still.door.who(subject(OLGA), ids["pay/salaries.txt"], at=at)["readers"]

    assert [told(at) for at in (before, of_it, after)] == [("deny", False), ("allow", True), ("deny", False)]


def test_validity_is_judged_at_that_time(still: World, ids: dict[str, str]) -> None:
    fields = ("2026-06-01T00:00:30Z", "2026-06-01T00:00:40Z", "allow")
    still.add("p", BOB, "acme", PAYROLL, "read", "any", "*", *fields)
    wait(still, 60)

    def decision(at: str | None) -> str:
        answer = still.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"], at=at)
        assert at in (None, answer["now"])
        return str(answer["decision"])

    at = [f"2026-06-01T00:00:{second}Z" for second in (29, 30, 39, 40)]
    assert [decision(each) for each in at] == ["deny", "allow", "allow", "deny"]
    assert decision(None) == "deny"


def test_what_was_revoked_since_is_named_with_who_granted_and_who_revoked_it(
    still: World, ids: dict[str, str]
) -> None:
    rule, link = row(*HR_GRANT), row("g", HAL, "acme/group:sales")
    still.door.add_row(subject(ADMIN), rule, Reasoned("the audit of May", "T-1"))
    still.door.add_row(subject(ADMIN), link, Reasoned("helps out", "T-2"))
    at = wait(still)
    still.door.remove_row(subject(ADMIN), rule, Reasoned("it is over", "T-3"))
    revoked_at = wait(still)
    # What is granted anew and revoked again is another matter.
    still.door.add_row(subject(ADMIN), rule, Reasoned("the audit of June"))
    wait(still)
    still.door.remove_row(subject(ADMIN), rule, Reasoned("over too"))
    answer = still.door.why_for(subject(OLGA), subject(HAL), ids["pay/salaries.txt"], at=at)
    rules = {each["rule"]: each for each in answer["verdicts"][0]["rules"]}
    found = rules[", ".join(HR_GRANT)]
    assert found["granted"] == {
        "at": at,
        "who": ADMIN,
        "why": "the audit of May",
        "ticket": "T-1",
        "revoked": {"at": revoked_at, "who": ADMIN, "why": "it is over", "ticket": "T-3"},
    }
    assert found["membership"] == [HAL, "acme/group:sales"]
    assert [(each["why"], each["revoked"]) for each in found["membership_granted"]] == [("helps out", None)]
    assert rules["p, *, *, *, read, reader, *, -, -, allow"]["granted"]["revoked"] is None
    now_given = still.door.why_for(subject(OLGA), subject(HAL), ids["pay/salaries.txt"])
    assert [each["granted"]["revoked"] for each in now_given["verdicts"][0]["rules"]] == [None]


def test_a_label_is_told_as_it_was_defined_then(still: World, ids: dict[str, str]) -> None:
    at = wait(still)
    redefine(still, PAYROLL, BOB)
    payroll = ids["pay/salaries.txt"]
    then = still.door.why_for(subject(OLGA), subject(HAL), payroll, at=at)
    assert (then["decision"], then["label_definition"][0]["readers"]) == ("allow", ["acme/group:hr"])
    assert still.door.who(subject(OLGA), payroll, at=at)["readers"] == [DORA, HAL]
    assert still.door.who(subject(OLGA), payroll)["readers"] == [BOB, DORA]


def test_a_label_that_was_not_interned_then_is_not_told_of_then(still: World) -> None:
    at = wait(still)
    still.door.define_label(subject(ADMIN), NamedLabel("acme/label:new", label(HAL)), WHY)
    assert "acme/label:new" in names_of(still.door.what_for(subject(OLGA), subject(HAL)))
    assert "acme/label:new" not in names_of(still.door.what_for(subject(OLGA), subject(HAL), at=at))


def names_of(answer: dict[str, Any]) -> set[str]:
    return {each["label"] for each in answer["labels"]}
