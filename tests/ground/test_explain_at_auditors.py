"""To whom it may be told what was at a time; what an auditor may not audit does not move his answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.errors import InvalidInput, NotReadable, Refused
from ringfence_governance.labels import NamedLabel

from .past_times import (
    BEA,
    BEFORE_THE_STORE,
    BOB,
    DORA,
    HAL,
    OLGA,
    OTTO,
    OZ,
    PAYROLL,
    PROJECT,
    now,
    redefine,
    wait,
)
from .worlds import ADMIN, WHY, World, bundle, draft, label, make_world, subject


def answer_or_error(act: Callable[[], dict[str, Any]]) -> str:
    try:
        return json.dumps(act())
    except (NotReadable, Refused, InvalidInput) as error:
        return json.dumps([type(error).__name__, str(error), error.hint])


@pytest.mark.parametrize("who", [BOB, DORA, ADMIN, "acme/user:nobody", BEA])
def test_who_may_audit_nothing_gets_one_answer_whatever_he_asks(
    still: World, ids: dict[str, str], who: str
) -> None:
    (foreign,) = [each for path, each in still.see("borealis/user:bo").ids.items() if path == "plans.txt"]
    asker, times = subject(who), (now(still), BEFORE_THE_STORE, "2999-01-01T00:00:00Z")
    told: dict[str, set[str]] = {"object": set(), "subject": set()}
    before = len(still.records())
    for at in times:
        for found in (ids["pay/salaries.txt"], ids["public.txt"], foreign, "0" * 32):
            told["object"] |= {
                answer_or_error(lambda f=found, t=at: still.door.why_for(asker, subject(HAL), f, at=t)),  # type: ignore[misc]
                answer_or_error(lambda f=found, t=at: still.door.who(asker, f, at=t)),  # type: ignore[misc]
            }
        for name in (HAL, "acme/user:nobody", "borealis/user:bo"):
            told["subject"].add(
                answer_or_error(lambda n=name, t=at: still.door.what_for(asker, subject(n), at=t))  # type: ignore[misc]
            )
    assert {len(found) for found in told.values()} == {1}
    assert "NotReadable" in told["object"].pop()
    assert "Refused" in told["subject"].pop()
    records = still.records()[before:]
    assert [(each["verb"], each["action"], each["outcome"]) for each in records].count(
        ("what", "audit", "refused")
    ) == 9
    assert {each["outcome"] for each in records} == {"refused"}
    assert len(records) == 3 * (4 * 2 + 3)


def test_another_tenants_auditor_is_told_nothing(still: World, ids: dict[str, str]) -> None:
    at = now(still)
    for found in ids.values():
        with pytest.raises(NotReadable):
            still.door.who(subject(OZ), found, at=at)
    for when in (None, at):
        listed = still.door.what_for(subject(OZ), subject(DORA), at=when, documents=True)
        assert (listed["labels"], listed["labels_hidden"], listed["documents"]) == ([], 0, 0)


def test_a_right_to_audit_that_is_gone_tells_nothing_of_when_it_was_held(
    still: World, ids: dict[str, str]
) -> None:
    at = wait(still)
    still.remove("p", OLGA, "acme", "*", "audit", "any", "*", "-", "-", "allow")
    with pytest.raises(NotReadable):
        still.door.who(subject(OLGA), ids["project.txt"], at=at)
    with pytest.raises(Refused):
        still.door.what_for(subject(OLGA), subject(HAL), at=at)


# What an auditor may not audit does not move his answers


def twin(folder: Path, more: Callable[[World], None]) -> tuple[World, str]:
    """Return a store, the same each time but for what `more` puts in, and a time after that."""
    world = make_world(folder, seed="twins", policy=bundle())
    world.clock.step = timedelta(0)
    world.put(draft("project.txt", "the offer", PROJECT), draft("public.txt", "the canteen"))
    world.clock.advance(5)
    more(world)
    world.add("g", HAL, "acme/group:sales")
    at = wait(world, 5)
    world.remove("g", HAL, "acme/group:sales")
    return world, at


def of_borealis(world: World) -> None:
    theirs = label(BEA, "borealis/user:bo")
    world.put(draft("deal.txt", "sold", theirs), who="borealis/user:bo")
    world.add("p", BEA, "borealis", "*", "read", "any", "*", "-", "-", "allow", who=BEA)
    world.add("g", "borealis/user:x", "borealis/group:y", who=BEA)
    world.door.define_label(subject(BEA), NamedLabel("borealis/label:new", theirs), WHY)


def of_other_labels(world: World) -> None:
    world.put(
        draft("salaries.txt", "dora earns ninety", PAYROLL), draft("board.txt", "sold", "acme/label:board")
    )
    redefine(world, PAYROLL, "acme/group:hr", "acme/user:ann")


def one_label_more(world: World) -> None:
    world.put(draft("salaries.txt", "dora earns ninety", label(DORA, HAL)))


def answers(world: World, auditor: str, at: str) -> dict[str, str]:
    found = {}
    document = world.see(BOB).ids["project.txt"]
    for when in (None, at):
        for name in (HAL, BOB, DORA, "borealis/user:bo"):
            found[f"why {name} {when}"] = json.dumps(
                world.door.why_for(subject(auditor), subject(name), document, at=when)
            )
            found[f"what {name} {when}"] = json.dumps(
                world.door.what_for(subject(auditor), subject(name), at=when, documents=True)
            )
        found[f"who {when}"] = json.dumps(world.door.who(subject(auditor), document, at=when))
    return found


@pytest.mark.parametrize(
    ("auditor", "more"), [(OLGA, of_borealis), (OTTO, of_borealis), (OTTO, of_other_labels)]
)
def test_two_stores_that_differ_in_what_he_may_not_audit_give_equal_answers(
    tmp_path: Path, auditor: str, more: Callable[[World], None]
) -> None:
    (plain, at), (other, at_other) = twin(tmp_path / "a", lambda world: None), twin(tmp_path / "b", more)
    assert at == at_other
    assert plain.ground.moment().sequence != other.ground.moment().sequence
    assert answers(plain, auditor, at) == answers(other, auditor, at)


def test_a_hidden_label_of_his_tenant_moves_one_number_and_nothing_else(tmp_path: Path) -> None:
    (plain, at), (other, _) = twin(tmp_path / "a", lambda world: None), twin(tmp_path / "b", one_label_more)
    mine, theirs = answers(plain, OTTO, at), answers(other, OTTO, at)
    differing = [name for name in mine if mine[name] != theirs[name]]
    assert differing == [f"what {name} {when}" for when in (None, at) for name in (HAL, DORA)]
    for name in differing:
        one, two = json.loads(mine[name]), json.loads(theirs[name])
        assert two.pop("labels_hidden") == one.pop("labels_hidden") + 1
        assert one == two
