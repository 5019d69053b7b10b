"""A change of policy is in force for the next query everywhere, or it was never made."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ringfence_governance.errors import InvalidInput, PolicyRefused, Refused, RingfenceError
from ringfence_governance.labels import NamedLabel
from ringfence_governance.policy_changes import Reasoned

from .worlds import ADMIN, WHY, World, database, draft, label, process, row, subject

HAL, BOB = "acme/user:hal", "acme/user:bob"
MEMBER = ("g", BOB, "acme/group:hr")


def test_a_right_is_there_for_the_next_query_and_gone_for_the_next(filled: World) -> None:
    assert "pay/salaries.txt" not in filled.see(BOB).paths
    assert filled.add(*MEMBER)
    assert "pay/salaries.txt" in filled.see(BOB).paths
    assert filled.remove(*MEMBER)
    assert "pay/salaries.txt" not in filled.see(BOB).paths


def test_it_is_so_in_another_process_that_has_the_store_open_already(filled: World) -> None:
    with process("look", filled.folder, BOB) as other:
        assert "pay/salaries.txt" not in other.hear()["paths"]
        filled.add(*MEMBER)
        other.tell()
        assert "pay/salaries.txt" in other.hear()["paths"]
        filled.remove(*MEMBER)
        other.tell()
        assert "pay/salaries.txt" not in other.hear()["paths"]


@pytest.mark.parametrize(
    "given",
    [
        ("p", BOB, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "allow"),
        ("p", "acme/group:sales", "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "allow"),
        ("g", "acme/group:sales", "acme/group:hr"),
    ],
    ids=lambda fields: fields[0] + " " + fields[1],
)
def test_whatever_gave_a_right_takes_it_back(filled: World, given: tuple[str, ...]) -> None:
    before = filled.see(BOB)
    filled.add(*given)
    assert "pay/salaries.txt" in filled.see(BOB).paths
    filled.remove(*given)
    assert filled.see(BOB) == before


def test_a_deny_wins_from_the_next_query_on(filled: World) -> None:
    filled.add("p", HAL, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "deny")
    assert "pay/salaries.txt" not in filled.see(HAL).paths


def test_clearance_that_is_taken_away_is_gone(filled: World) -> None:
    assert "board.txt" in filled.see("acme/user:lee").paths
    filled.remove("f", "acme/user:lee", "2", "project")
    assert "board.txt" not in filled.see("acme/user:lee").paths


def test_a_right_begins_and_ends_at_its_time(filled: World) -> None:
    begins, ends = "2026-06-01T01:00:00Z", "2026-06-01T02:00:00Z"
    filled.add("p", BOB, "acme", "acme/label:payroll", "read", "any", "*", begins, ends, "allow")
    seen = []
    for _ in range(5):
        seen.append("pay/salaries.txt" in filled.see(BOB).paths)
        filled.clock.advance(1800)
    assert seen == [False, False, True, True, False]


def test_a_clock_set_back_does_not_reopen_a_right_that_ended(filled: World) -> None:
    ends = "2026-06-01T02:00:00Z"
    filled.add("p", BOB, "acme", "acme/label:payroll", "read", "any", "*", "-", ends, "allow")
    filled.clock.advance(7200)
    filled.put(draft("later.txt", "an entry of a later time"))
    filled.clock.advance(-7000)
    assert "pay/salaries.txt" not in filled.see(BOB).paths
    assert "pay/salaries.txt" not in filled.second().see(BOB).paths


def test_a_time_to_come_that_somebody_wrote_into_the_catalog_begins_no_right(filled: World) -> None:
    """Who can write the files could else read today what is embargoed until next year."""
    filled.add(
        "p", BOB, "acme", "acme/label:payroll", "read", "any", "*", "2027-01-01T00:00:00Z", "-", "allow"
    )
    filled.put(draft("embargoed.txt", "later", label(BOB, valid_from="2027-01-01T00:00:00Z")))
    before = filled.see(BOB)
    with database(filled.path / "catalog.db") as catalog:
        newest = "sequence = (SELECT max(sequence) FROM entries)"
        catalog.execute(f"UPDATE entries SET at = '2028-01-01T00:00:00Z' WHERE {newest}")
    for world in (filled, filled.second()):
        assert world.see(BOB).paths == before.paths
    filled.clock.advance(400 * 24 * 3600)
    assert {"embargoed.txt", "pay/salaries.txt"} <= set(filled.see(BOB).paths)


# Who may


@pytest.mark.parametrize(
    "who", [BOB, HAL, "acme/user:olga", "acme/user:nobody", "borealis/user:bea", "acme/user:dex"]
)
def test_who_may_not_administer_the_tenant_changes_nothing(filled: World, who: str) -> None:
    revision, sequence = filled.ground.moment().snapshot.revision, filled.ground.moment().sequence
    attempts: list[Callable[[], object]] = [
        lambda: filled.add(*MEMBER, who=who),
        lambda: filled.remove("g", HAL, "acme/group:hr", who=who),
        lambda: filled.add(
            "p", "acme/user:eve", "acme", "acme/policy", "administer", "any", "*", "-", "-", "allow", who=who
        ),
        lambda: filled.add("f", "acme/user:x", "9", "-", who=who),
        lambda: filled.add("g2", "acme/label:payroll", "acme/set:open", who=who),
        lambda: filled.door.define_label(subject(who), NamedLabel("acme/label:new", label()), WHY),
    ]
    for attempt in attempts:
        with pytest.raises(Refused, match="may not administer this policy; nothing was changed"):
            attempt()
    moment = filled.ground.moment()
    assert moment.snapshot.revision == revision
    assert moment.sequence == sequence
    assert filled.records()[-1]["outcome"] == "refused"


def test_an_administrator_changes_his_own_tenant_alone(filled: World) -> None:
    with pytest.raises(Refused):
        filled.add("g", "borealis/user:x", "borealis/group:y")
    with pytest.raises(Refused):
        filled.door.define_label(
            subject(ADMIN), NamedLabel("borealis/label:new", label("borealis/user:bea")), WHY
        )
    assert filled.add("g", "borealis/user:x", "borealis/group:y", who="borealis/user:bea")


@pytest.mark.parametrize(
    "fields",
    [
        ("p", "*", "*", "*", "read", "any", "*", "-", "-", "allow"),
        ("p", "acme/user:bob", "*", "*", "read", "any", "*", "-", "-", "allow"),
        ("g3", "care", "any-purpose"),
    ],
    ids=lambda fields: fields[0] + " " + fields[1],
)
def test_no_administrator_changes_what_holds_in_every_tenant(filled: World, fields: tuple[str, ...]) -> None:
    for who in (ADMIN, "borealis/user:bea"):
        with pytest.raises(Refused):
            filled.add(*fields, who=who)


def test_a_refused_change_leaves_nothing(filled: World) -> None:
    revision, sequence = filled.ground.moment().snapshot.revision, filled.ground.moment().sequence
    refused: list[tuple[type[RingfenceError], Callable[[], object]]] = [
        (
            PolicyRefused,
            lambda: filled.add("p", BOB, "acme", "acme/label:none", "read", "any", "*", "-", "-", "allow"),
        ),
        (PolicyRefused, lambda: filled.add("g2", "acme/label:none", "acme/set:s")),
        (PolicyRefused, lambda: filled.add("f", "acme/user:lee", "3", "-")),
        (PolicyRefused, lambda: filled.add("g", "acme/group:hr", "acme/group:hr")),
        (PolicyRefused, lambda: filled.add("p", BOB, "acme", "*", "fly", "any", "*", "-", "-", "allow")),
        (InvalidInput, lambda: filled.door.add_row(subject(ADMIN), row(*MEMBER), Reasoned(" "))),
        (InvalidInput, lambda: filled.door.add_row(subject(ADMIN), row(*MEMBER), Reasoned("x" * 2001))),
        (
            InvalidInput,
            lambda: filled.door.define_label(subject(ADMIN), NamedLabel("acme/label:payroll", label()), WHY),
        ),
    ]
    for kind, attempt in refused:
        with pytest.raises(kind):
            attempt()
    assert filled.ground.moment().snapshot.revision == revision
    assert filled.ground.moment().sequence == sequence


def test_a_cycle_made_by_two_changes_is_refused_at_the_second(filled: World) -> None:
    filled.add("g", "acme/group:a", "acme/group:b")
    with pytest.raises(PolicyRefused, match=r"cycle|circle|itself"):
        filled.add("g", "acme/group:b", "acme/group:a")
    assert filled.ground.moment().snapshot.groups_of("acme/group:a") == ("acme/group:b",)


def test_what_stands_already_or_does_not_stand_is_no_change(filled: World) -> None:
    sequence = filled.ground.moment().sequence
    assert not filled.add("g", HAL, "acme/group:hr")
    assert not filled.remove(*MEMBER)
    assert filled.ground.moment().sequence == sequence


def test_a_new_label_can_be_used_at_once_and_its_name_only_once(filled: World) -> None:
    filled.door.define_label(subject(ADMIN), NamedLabel("acme/label:new", label("acme/user:dora", BOB)), WHY)
    filled.put(draft("n.txt", "under a new label", "acme/label:new"))
    assert "n.txt" in filled.see(BOB).paths
    assert "n.txt" in filled.second().see(BOB).paths
    with pytest.raises(InvalidInput, match="is defined already"):
        filled.door.define_label(subject(ADMIN), NamedLabel("acme/label:new", label("acme/user:dora")), WHY)


def test_matching_rows_are_the_allow_rules_of_ones_own_tenant(filled: World) -> None:
    given = ("p", BOB, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "allow")
    denied = ("p", BOB, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "deny")
    filled.add(*given)
    filled.add(*denied)
    found = filled.door.matching_rows(subject(ADMIN), BOB, "read", "acme/label:payroll")
    assert found == (row(*given),)
    assert filled.door.matching_rows(subject(ADMIN), "borealis/user:bo", "ingest", "*") == ()
    with pytest.raises(Refused):
        filled.door.matching_rows(subject(BOB), BOB, "read", "acme/label:payroll")


# At once


def test_two_processes_that_change_the_policy_at_once_lose_nothing(world: World) -> None:
    count = 8
    with (
        process("join", world.folder, "p", str(count)) as one,
        process("join", world.folder, "q", str(count)) as two,
    ):
        for each in (one, two):
            assert each.hear() == {"ready": True}
        for each in (one, two):
            each.tell()
        for number in range(count):
            world.add("g", f"acme/user:r{number}", "acme/group:joined")
        for each in (one, two):
            assert each.hear()["retried"] == 0, "a change had to be asked for twice"
    members = {
        link.child for link in world.ground.moment().snapshot.rows.links if link.parent == "acme/group:joined"
    }
    assert members == {f"acme/user:{prefix}{number}" for prefix in "pqr" for number in range(count)}


def test_a_change_is_checked_again_when_another_came_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone is fine; together they are a cycle: the second must not be kept unseen."""
    other = world.second()
    first = iter([True])
    real = type(world.ground).record

    def record(self: object, *arguments: object, **fields: object) -> None:
        real(self, *arguments, **fields)  # type: ignore[arg-type]
        if next(first, False):
            other.add("g", "acme/group:b", "acme/group:a")

    monkeypatch.setattr(type(world.ground), "record", record)
    with pytest.raises(PolicyRefused):
        world.add("g", "acme/group:a", "acme/group:b")
    links = {(link.child, link.parent) for link in world.ground.moment().snapshot.rows.links}
    assert ("acme/group:b", "acme/group:a") in links
    assert ("acme/group:a", "acme/group:b") not in links


def test_a_right_lost_while_a_change_is_being_made_stops_the_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("p", "acme/user:adi", "acme", "acme/policy", "administer", "any", "*", "-", "-", "allow")
    other = world.second()
    first = iter([True])
    real = type(world.ground).record

    def record(self: object, *arguments: object, **fields: object) -> None:
        real(self, *arguments, **fields)  # type: ignore[arg-type]
        if next(first, False):
            other.remove(
                "p", "acme/user:adi", "acme", "acme/policy", "administer", "any", "*", "-", "-", "allow"
            )

    monkeypatch.setattr(type(world.ground), "record", record)
    with pytest.raises(Refused):
        world.add(*MEMBER, who="acme/user:adi")
    assert row(*MEMBER) not in world.ground.moment().snapshot.rows


def test_an_ingest_of_new_labels_beside_it_does_not_disturb_a_change(filled: World) -> None:
    done = threading.Event()
    failed: list[BaseException] = []

    def ingest() -> None:
        number = 0
        with filled.second().ingestion() as ingestion:
            while not done.is_set():
                ingestion.put(draft(f"{number}.eml", "mail", label(f"acme/user:u{number}")))
                number += 1

    def guarded() -> None:
        try:
            ingest()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        for number in range(5):
            assert filled.add("g", f"acme/user:u{number}", "acme/group:hr")
    finally:
        done.set()
        thread.join()
    assert failed == []
