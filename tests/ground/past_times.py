"""Who and what the tests of past times speak of, and how they let time go by."""

from __future__ import annotations

import json
from typing import Any

from ringfence_governance import catalog_labels, journal
from ringfence_governance.journal import Change

from .worlds import ADMIN, World, label, subject

HAL, BOB, OLGA, OTTO, LEE, DEX = (
    f"acme/user:{name}" for name in ("hal", "bob", "olga", "otto", "lee", "dex")
)
DORA, OZ, BEA = "acme/user:dora", "borealis/user:oz", "borealis/user:bea"
PAYROLL, PROJECT = "acme/label:payroll", "acme/label:project"
BEFORE_THE_STORE = "2026-05-31T23:59:59Z"
HR_GRANT = ("p", "acme/group:sales", "acme", PAYROLL, "read", "any", "*", "-", "-", "allow")


def now(world: World) -> str:
    return world.ambient.now()


def wait(world: World, seconds: int = 1) -> str:
    """Let time go by; return the time before."""
    before = now(world)
    world.clock.advance(seconds)
    return before


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as it would have been given then: without what only a later one can say."""
    plain = json.loads(json.dumps(answer))
    assert plain.pop("label_as_of", "publication") == "publication"
    plain.pop("at", None)
    for verdict in plain.get("verdicts", ()):
        for rule in verdict["rules"]:
            for granted in (rule["granted"], *rule["membership_granted"], *rule["relation_granted"]):
                if granted is not None:
                    granted.pop("revoked")
    return plain


def redefine(world: World, name: str, *readers: str, owner: str = DORA) -> None:
    """Give a named label another meaning, as a row of the journal and of its history."""
    ground, meaning = world.ground, label(owner, *readers)
    with ground.catalog.write() as connection:
        record: dict[str, object] = {"who": ADMIN, "asserted_by": {}, "why": "a test", "ticket": ""}
        change = Change("label_redefined", label=(name, meaning.to_mapping()))
        (number,) = journal.append(ground.catalog, connection, [change], record)
        catalog_labels.define(ground.catalog, connection, name, meaning, number)


Question = tuple[Any, ...]


def ask(world: World, question: Question, at: str | None) -> dict[str, Any]:
    verb, who, *rest = question
    door, auditor = world.door, subject(who)
    if verb == "why":
        return door.why_for(auditor, *rest, at=at)
    if verb == "who":
        return door.who(auditor, *rest, at=at)
    asked, action = rest
    return door.what_for(auditor, asked, action=action, at=at, documents=True)
