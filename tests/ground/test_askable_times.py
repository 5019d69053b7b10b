"""Which times can be asked of, and which are refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ringfence_governance import journal
from ringfence_governance.errors import InvalidInput, PolicyRefused, StoreCorrupt
from ringfence_governance.journal import Change

from .past_times import (
    BEFORE_THE_STORE,
    BOB,
    HAL,
    HR_GRANT,
    OLGA,
    ask,
    now,
    wait,
)
from .worlds import ADMIN, World, database, row, subject


def test_before_the_store_was_made_nothing_was(still: World, ids: dict[str, str]) -> None:
    payroll, told = ids["pay/salaries.txt"], {"at": BEFORE_THE_STORE, "label_as_of": "absent"}
    assert still.door.why_for(subject(OLGA), subject(HAL), payroll, at=BEFORE_THE_STORE) == {
        "object": payroll,
        "document": payroll,
        "subject": HAL,
        "label": None,
        "label_definition": [],
        "decision": None,
        "allowed": False,
        "action": "read",
        "purpose": "",
        "now": BEFORE_THE_STORE,
        "verdicts": [],
        **told,
    }
    nobody = {"object": payroll, "document": payroll, "readers": [], "purposes": {}}
    assert still.door.who(subject(OLGA), payroll, at=BEFORE_THE_STORE) == {**nobody, **told}
    listed = still.door.what_for(subject(OLGA), subject(HAL), at=BEFORE_THE_STORE)
    assert (listed["labels"], listed["labels_hidden"], listed["label_as_of"]) == ([], 0, "absent")


@pytest.mark.parametrize("verb", ["why", "who", "what"])
def test_a_time_to_come_and_a_malformed_one_are_refused(still: World, ids: dict[str, str], verb: str) -> None:
    rest: dict[str, tuple[object, ...]] = {
        "why": (subject(HAL), ids["project.txt"]),
        "who": (ids["project.txt"],),
        "what": (subject(HAL), "read"),
    }
    question = (verb, OLGA, *rest[verb])
    assert ask(still, question, now(still))
    at = (still.clock.at + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(InvalidInput, match="which is to come; expected a time until now"):
        ask(still, question, at)
    for bad in ("yesterday", "2026-06-01", "2026-06-01T00:00:00", ""):
        with pytest.raises(InvalidInput, match="expected UTC time"):
            ask(still, question, bad)


def test_a_second_within_a_change_of_several_rows_is_refused_and_not_guessed(
    still: World, ids: dict[str, str]
) -> None:
    still.add("g", "acme/group:a", "acme/group:b")
    before = wait(still)
    ground, record = still.ground, {"who": ADMIN, "asserted_by": {}, "why": "turned round", "ticket": ""}
    with ground.catalog.write() as connection:
        added = Change("row_added", row=row("g", "acme/group:b", "acme/group:a"))
        journal.append(ground.catalog, connection, [added], dict[str, object](record))
        within = wait(still)
        removed = Change("row_removed", row=row("g", "acme/group:a", "acme/group:b"))
        journal.append(ground.catalog, connection, [removed], dict[str, object](record))
    still.clock.advance(1)
    with pytest.raises(InvalidInput, match="a change of policy was being written") as caught:
        still.door.who(subject(OLGA), ids["project.txt"], at=within)
    assert not isinstance(caught.value, PolicyRefused)
    for at in (before, now(still)):
        assert still.door.who(subject(OLGA), ids["project.txt"], at=at)["readers"]


@pytest.mark.parametrize("seconds", [-100, 100])
def test_a_time_of_a_change_that_was_changed_in_the_catalog_is_found(
    still: World, ids: dict[str, str], seconds: int
) -> None:
    """The catalog says in clear when each entry was made; the journal says it under seal."""
    wait(still, 200)
    still.add(*HR_GRANT)
    said = (still.clock.at + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    still.clock.advance(200)
    at = (still.clock.at - timedelta(seconds=200 if seconds > 0 else 250)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with database(still.path / "catalog.db") as connection:
        connection.execute(
            "update entries set at = ? where sequence = (select max(sequence) from journal)", (said,)
        )
    with pytest.raises(StoreCorrupt, match="gives another time for row"):
        still.door.who(subject(OLGA), ids["pay/salaries.txt"], at=at)


def test_a_history_whose_chain_does_not_fit_tells_nothing(still: World, ids: dict[str, str]) -> None:
    still.add(*HR_GRANT)
    at = wait(still)
    still.add("g", BOB, "acme/group:hr")
    with database(still.path / "catalog.db") as connection:
        newest = "(select max(sequence) from journal)"
        connection.execute(f"update journal set previous = digest where sequence = {newest}")
    for world in (still, still.second()):
        with pytest.raises(StoreCorrupt):
            world.door.who(subject(OLGA), ids["pay/salaries.txt"], at=at)
