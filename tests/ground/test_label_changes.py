"""A named label gets another meaning: for the next query everywhere, by who may, and never a lower one unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ringfence_governance import as_of
from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput, Refused, RingfenceError, WriteRefused
from ringfence_governance.identifiers import TIME_MIN
from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.write_authority import WriteAuthority

from .worlds import ADMIN, LABELS, POLICY, WHY, World, bundle, draft, label, make_world, process, subject

HAL, BOB, DORA = "acme/user:hal", "acme/user:bob", "acme/user:dora"
ADI = "acme/user:adi"
"""Administers and may declassify what is under payroll and staff."""
PAYROLL = "acme/label:payroll"
SALARIES = "pay/salaries.txt"
NARROWER = label(DORA)
WIDER = label(DORA, "acme/group:hr", BOB)


def meaning(world: World, name: str = PAYROLL) -> Label:
    found = world.ground.moment().table.by_id[name].definition
    assert found is not None
    return found


def redefine(world: World, definition: Label, name: str = PAYROLL, who: str = ADMIN) -> bool:
    return world.door.redefine_label(subject(who), NamedLabel(name, definition), WHY)


def expire(world: World, name: str = PAYROLL, who: str = ADMIN) -> bool:
    return world.door.expire_label(subject(who), name, WHY)


@pytest.fixture
def cleared(filled: World) -> World:
    """A store in which adi may lower labels."""
    filled.add("p", ADI, "acme", "acme/policy", "administer", "any", "*", "-", "-", "allow")
    for name in (PAYROLL, "acme/label:staff"):
        filled.add("p", ADI, "acme", name, "declassify", "any", "*", "-", "-", "allow")
    return filled


# For the next query, everywhere


def test_a_new_meaning_holds_for_the_next_query_through_every_door(cleared: World) -> None:
    doors = [cleared, cleared.second()]
    assert [SALARIES in world.see(HAL).paths for world in doors] == [True, True]
    assert redefine(cleared, NARROWER)
    assert [SALARIES in world.see(HAL).paths for world in doors] == [False, False]
    assert redefine(doors[1], WIDER, who=ADI)
    assert [SALARIES in world.see(BOB).paths for world in doors] == [True, True]
    assert redefine(doors[1], NARROWER)
    assert [SALARIES in world.see(BOB).paths for world in doors] == [False, False]
    assert [SALARIES in world.see(DORA).paths for world in doors] == [True, True]


def test_it_is_so_in_another_process_that_has_the_store_open_already(filled: World) -> None:
    with process("look", filled.folder, HAL) as other:
        assert SALARIES in other.hear()["paths"]
        redefine(filled, NARROWER)
        other.tell()
        assert SALARIES not in other.hear()["paths"]


def test_a_read_in_whose_midst_a_label_gets_another_meaning_goes_by_the_new_one(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, real, first = filled.second(), as_of.handle, iter([True])

    def handle(*arguments: object) -> str:
        if next(first, False):
            redefine(other, NARROWER)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(as_of, "handle", handle)
    assert SALARIES not in filled.see(HAL).paths


def test_no_row_of_data_is_touched(filled: World) -> None:
    before, atom = filled.ground.moment(), filled.ground.moment().table.by_id[PAYROLL].atom
    redefine(filled, NARROWER)
    after = filled.ground.moment()
    assert after.publication == before.publication
    assert after.table.by_id[PAYROLL].atom == atom
    assert after.table.by_id[PAYROLL].definition == NARROWER


def test_what_was_made_from_several_follows_each_of_them(filled: World) -> None:
    salaries = filled.see(DORA).ids[SALARIES]
    filled.add("p", "acme/user:dex", "acme", PAYROLL, "read", "any", "*", "-", "-", "allow")
    filled.put(
        draft("summary.txt", "what they earn", "acme/label:staff", parents=[salaries]), who="acme/user:dex"
    )
    assert "summary.txt" in filled.see(HAL).paths
    redefine(filled, NARROWER)
    assert "summary.txt" not in filled.see(HAL).paths


def test_it_survives_that_the_store_is_opened_again(filled: World) -> None:
    redefine(filled, NARROWER)
    again = filled.reopened()
    assert meaning(again) == NARROWER
    assert SALARIES not in again.see(HAL).paths
    assert again.ground.history()[-1].change.kind == "label_redefined"


# Who may


def test_a_lower_meaning_needs_declassify_besides_administer(cleared: World) -> None:
    sequence = cleared.ground.moment().sequence
    with pytest.raises(Refused, match=r"readers gain acme/user:bob"):
        redefine(cleared, WIDER)
    assert cleared.ground.moment().sequence == sequence
    record = cleared.records()[-1]
    assert (record["verb"], record["action"], record["outcome"]) == (
        "redefine_label",
        "declassify",
        "refused",
    )
    assert "payroll" not in str(record)
    assert redefine(cleared, WIDER, who=ADI)


def test_declassify_alone_gives_no_label_a_meaning(filled: World) -> None:
    with pytest.raises(Refused, match="may not administer"):
        redefine(filled, NARROWER, who="acme/user:dex")
    assert filled.records()[-1]["outcome"] == "refused"


@pytest.mark.parametrize(
    "fields",
    [
        {"owner": "acme/user:ada"},
        {"readers": frozenset({"acme/group:hr", "*"})},
        {"denied": frozenset[str]()},
        {"level": 0},
        {"compartments": frozenset[str]()},
        {"purposes": frozenset({"*"})},
        {"valid_from": TIME_MIN},
        {"valid_until": "2031-01-01T00:00:00Z"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_each_field_can_make_a_meaning_lower(world: World, fields: dict[str, object]) -> None:
    strict = Label(
        "acme",
        DORA,
        readers=frozenset({"acme/group:hr"}),
        denied=frozenset({BOB}),
        level=2,
        compartments=frozenset({"project"}),
        purposes=frozenset({"pay"}),
        valid_from="2026-01-01T00:00:00Z",
        valid_until="2030-01-01T00:00:00Z",
    )
    world.door.define_label(subject(ADMIN), NamedLabel("acme/label:strict", strict), WHY)
    with pytest.raises(Refused, match="may not lower"):
        redefine(world, replace(strict, **fields), "acme/label:strict")  # type: ignore[arg-type]
    assert meaning(world, "acme/label:strict") == strict


def test_who_may_declassify_is_judged_by_the_old_meaning_and_not_by_the_new(world: World) -> None:
    """Owners may declassify what is theirs: an administrator does not by making it his own."""
    policy = f"{POLICY}\np, *, *, *, declassify, owner, *, -, -, allow\n"
    owners = make_world(world.folder / "owners", policy=bundle(policy))
    with pytest.raises(Refused, match="owner acme/user:dora becomes acme/user:ada"):
        redefine(owners, label(ADMIN), "acme/label:staff")
    owners.add("p", DORA, "acme", "acme/policy", "administer", "any", "*", "-", "-", "allow")
    assert redefine(owners, label(ADMIN), "acme/label:staff", who=DORA)


@pytest.mark.parametrize("who", [BOB, HAL, "acme/user:olga", "acme/user:nobody", "borealis/user:bea"])
def test_who_may_not_administer_the_tenant_changes_no_label(filled: World, who: str) -> None:
    sequence = filled.ground.moment().sequence
    attempts: list[Callable[[], object]] = [
        lambda: redefine(filled, NARROWER, who=who),
        lambda: redefine(filled, meaning(filled), who=who),
        lambda: redefine(filled, NARROWER, "acme/label:none", who=who),
        lambda: expire(filled, who=who),
        lambda: expire(filled, "acme/label:none", who=who),
    ]
    messages = set()
    for attempt in attempts:
        with pytest.raises(Refused) as caught:
            attempt()
        messages.add(str(caught.value))
        assert filled.records()[-1]["outcome"] == "refused"
    assert len(messages) == 1, "whether there is such a label shows"
    assert filled.ground.moment().sequence == sequence


def test_what_cannot_be_changed_leaves_nothing(filled: World) -> None:
    sequence = filled.ground.moment().sequence
    attempts: list[tuple[type[RingfenceError], Callable[[], object]]] = [
        (InvalidInput, lambda: redefine(filled, label(), "acme/label:none")),
        (InvalidInput, lambda: expire(filled, "acme/label:none")),
        (InvalidInput, lambda: expire(filled, "payroll")),
        (InvalidInput, lambda: expire(filled, f"acme/label:~{'0' * 32}")),
        (InvalidInput, lambda: NamedLabel(PAYROLL, label("borealis/user:bea"))),
        (Refused, lambda: redefine(filled, label("borealis/user:bea"), "borealis/label:plans")),
        (Refused, lambda: expire(filled, "borealis/label:plans")),
    ]
    for kind, attempt in attempts:
        with pytest.raises(kind):
            attempt()
    assert filled.ground.moment().sequence == sequence


def test_a_meaning_it_has_already_is_no_change(filled: World) -> None:
    sequence = filled.ground.moment().sequence
    assert not redefine(filled, meaning(filled))
    assert filled.ground.moment().sequence == sequence


def test_a_right_lost_while_a_label_is_lowered_stops_it(
    cleared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, real, first = cleared.second(), type(cleared.ground).record, iter([True])

    def record(self: object, *arguments: object, **fields: object) -> None:
        real(self, *arguments, **fields)  # type: ignore[arg-type]
        if next(first, False):
            other.remove("p", ADI, "acme", PAYROLL, "declassify", "any", "*", "-", "-", "allow")

    monkeypatch.setattr(type(cleared.ground), "record", record)
    with pytest.raises(Refused, match="may not lower"):
        redefine(cleared, WIDER, who=ADI)
    assert SALARIES not in cleared.see(BOB).paths


def test_a_meaning_that_came_first_is_compared_with_and_not_the_one_before(
    cleared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not lower than what stood at first, but lower than what stands by now."""
    other, real, first = cleared.second(), type(cleared.ground).record, iter([True])

    def record(self: object, *arguments: object, **fields: object) -> None:
        real(self, *arguments, **fields)  # type: ignore[arg-type]
        if next(first, False):
            redefine(other, NARROWER)

    monkeypatch.setattr(type(cleared.ground), "record", record)
    with pytest.raises(Refused, match="may not lower"):
        redefine(cleared, replace(meaning(cleared), level=1))
    assert meaning(cleared) == NARROWER


# Expiry


def test_an_expired_label_is_readable_to_nobody_from_the_next_query_on(filled: World) -> None:
    other = filled.second()
    assert expire(filled)
    for world in (filled, other):
        for who in (HAL, DORA):
            assert SALARIES not in world.see(who).paths
    entry = filled.ground.history()[-1]
    assert entry.change.kind == "label_expired"
    assert meaning(filled).valid_until <= entry.at


def test_to_expire_a_label_takes_no_declassify_and_to_bring_it_back_does(filled: World) -> None:
    before = meaning(filled)
    assert expire(filled)
    with pytest.raises(Refused, match="validity grows"):
        redefine(filled, before)


def test_a_label_expires_once(filled: World) -> None:
    assert expire(filled)
    sequence = filled.ground.moment().sequence
    assert not expire(filled)
    assert filled.ground.moment().sequence == sequence


def test_a_label_that_has_not_begun_never_begins_once_it_expired(world: World) -> None:
    later = label(DORA, BOB, valid_from="2027-01-01T00:00:00Z")
    world.door.define_label(subject(ADMIN), NamedLabel("acme/label:later", later), WHY)
    world.put(draft("later.txt", "not yet", "acme/label:later"))
    assert expire(world, "acme/label:later")
    world.clock.advance(2 * 366 * 86400)
    assert world.see(BOB).paths == ()
    assert not expire(world, "acme/label:later")


def test_a_clock_set_back_brings_no_expired_label_back(filled: World) -> None:
    expire(filled)
    filled.clock.advance(-7200)
    assert SALARIES not in filled.see(HAL).paths
    assert SALARIES not in filled.second().see(HAL).paths


# What a run that goes on meanwhile does


def test_a_run_publishes_nothing_under_a_label_that_became_another_s(world: World) -> None:
    own = Label("acme", "acme/user:pam")
    world.door.define_label(subject(ADMIN), NamedLabel("acme/label:own", own), WHY)
    world.add("p", ADMIN, "acme", "acme/label:own", "declassify", "any", "*", "-", "-", "allow")

    def run() -> None:
        with world.ingestion("acme/user:pam") as ingestion:
            ingestion.put(draft("a.txt", "a text", "acme/label:own"))
            redefine(world.second(), label(DORA), "acme/label:own")

    with pytest.raises(Refused):
        run()
    assert world.see("acme/user:pam").paths == ()
    assert world.see(DORA).paths == ()


def test_bytes_that_a_new_meaning_lets_an_ingester_read_hold_his_copies_from_then_on(cleared: World) -> None:
    text = "dora earns ninety\nhal earns eighty"
    with cleared.ingestion(ADMIN) as ingestion:
        ingestion.put(draft("other.txt", "something else"))
        redefine(cleared.second(), label(DORA, "acme/group:hr", ADMIN), who=ADI)
        with pytest.raises(WriteRefused, match="its bytes equal a document you may read"):
            ingestion.put(draft("copy.txt", text, "acme/label:staff"))


def test_a_relabelling_is_compared_with_what_the_labels_mean_now(filled: World) -> None:
    authority = WriteAuthority(filled.ground, subject(ADMIN))
    assert authority.is_lower("acme/label:staff", PAYROLL)
    redefine(filled, label(DORA, "acme/group:hr"), "acme/label:staff")
    assert not authority.is_lower("acme/label:staff", PAYROLL)
    redefine(filled, NARROWER)
    assert authority.is_lower("acme/label:staff", PAYROLL)


# The journal, and what an administrator is shown


def test_each_meaning_stands_at_its_journal_row_with_who_and_why(cleared: World) -> None:
    cleared.door.redefine_label(subject(ADI), NamedLabel(PAYROLL, WIDER), Reasoned("bob helps out", "HR-7"))
    expire(cleared)
    history = cleared.door.label_history(subject(ADMIN), PAYROLL)
    assert [row["change"] for row in history] == ["label_defined", "label_redefined", "label_expired"]
    assert [row["who"] for row in history] == [ADMIN, ADI, ADMIN]
    assert (history[1]["why"], history[1]["ticket"]) == ("bob helps out", "HR-7")
    assert history[0]["definition"] == Label.from_mapping(LABELS[PAYROLL]).to_mapping()
    assert history[1]["definition"] == WIDER.to_mapping()
    assert history[2]["definition"] == meaning(cleared).to_mapping()


def test_the_labels_of_a_tenant_are_shown_to_who_may_administer_or_audit_it(filled: World) -> None:
    filled.put(draft("x.txt", "an anonymous label", label(BOB, HAL)))
    redefine(filled, NARROWER)
    expected = {name: LABELS[name] for name in sorted(LABELS) if name.startswith("acme/")}
    expected[PAYROLL] = {"owner": DORA}
    for who in (ADMIN, "acme/user:olga"):
        shown = filled.door.labels(subject(who))
        assert {row["name"]: row["definition"] for row in shown} == {
            name: Label.from_mapping(fields).to_mapping() for name, fields in expected.items()
        }
        assert [row["name"] for row in shown] == list(expected)


@pytest.mark.parametrize("who", [BOB, DORA, "acme/user:otto", "acme/user:dex", "acme/user:nobody"])
def test_nobody_else_is_shown_a_label(filled: World, who: str) -> None:
    attempts: list[Callable[[Door], object]] = [
        lambda door: door.labels(subject(who)),
        lambda door: door.label_history(subject(who), PAYROLL),
        lambda door: door.label_history(subject(who), "acme/label:none"),
        lambda door: door.label_history(subject(who), "borealis/label:plans"),
    ]
    for attempt in attempts:
        with pytest.raises(Refused, match="may neither administer nor audit this policy"):
            attempt(filled.door)
        assert filled.records()[-1]["outcome"] == "refused"


def test_an_auditor_s_log_holds_the_changes_of_his_tenant_s_labels_alone(filled: World) -> None:
    redefine(filled, NARROWER)
    expire(filled, "acme/label:project")
    log = filled.door.log(subject("acme/user:olga"))
    kinds = [entry["action"] for entry in log if entry["verb"] == "policy"][-2:]
    assert kinds == ["label_redefined", "label_expired"]
    other = filled.door.log(subject("borealis/user:oz"))
    assert not [entry for entry in other if entry["action"] in kinds]
