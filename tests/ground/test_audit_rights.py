"""Who might read, stretch by stretch: what is asked again after a change is all that it can concern."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from ringfence_governance import audit_times, journal, listings
from ringfence_governance.audit_rights import StandingRights
from ringfence_governance.errors import InvalidInput
from ringfence_governance.journal import Change, ChangeKind
from ringfence_governance.labels import Label, NamedLabel

from .past_times import BOB, DEX, LEE, PAYROLL, PROJECT, redefine
from .worlds import ADMIN, WHY, World, copy_world, draft, label, row, subject

CY, ALL = "acme/user:cy", "acme/group:all"
SECOND = "2026-06-01T00:{:02}:{:02}Z"
CHANGES: list[tuple[str, ...]] = [
    ("g", CY, "acme/group:hr"),
    ("g", "acme/group:hr", ALL),
    ("p", ALL, "acme", PROJECT, "read", "any", "*", "-", "-", "allow"),
    # Begins and ends while nothing else happens.
    (
        "p",
        "acme/group:sales",
        "acme",
        PAYROLL,
        "read",
        "any",
        "*",
        SECOND.format(0, 33),
        SECOND.format(0, 47),
        "allow",
    ),
    ("p", LEE, "acme", PROJECT, "read", "any", "*", "-", "-", "deny"),
    ("p", BOB, "acme", "acme/set:money", "read", "any", "care", "-", "-", "allow"),
    ("g2", PAYROLL, "acme/set:money"),
    ("g3", "night", "care"),
    ("f", BOB, "2", "project"),
    ("p", "*", "acme", "acme/label:staff", "read", "any", "*", "-", "-", "deny"),
    ("p", DEX, "acme", "*", "read", "any", "*", "-", SECOND.format(2, 10), "allow"),
]


@pytest.fixture(scope="module")
def world(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A store in which each kind of row came, and most went again, one in a few seconds."""
    world = copy_world(filled_template, tmp_path_factory.mktemp("rights"))
    world.clock.step = timedelta(0)
    for fields in CHANGES:
        world.clock.advance(5)
        change(world, "row_added", fields)
    short = {"valid_from": SECOND.format(1, 12), "valid_until": SECOND.format(1, 31)}
    shown = Label.from_mapping({"owner": "acme/user:dora", "readers": [ALL], **short})
    world.door.define_label(subject(ADMIN), NamedLabel("acme/label:short", shown), WHY)
    world.clock.advance(3)
    (made,) = world.put(draft("new.txt", "a new label of its own", label(DEX, BOB, CY)), who=DEX)
    # Under a compound label: it is readable while both parts are.
    world.put(draft("of.txt", "made from it", PAYROLL, parents=[made]), who=DEX)
    world.clock.advance(3)
    redefine(world, PAYROLL, LEE, BOB)
    for fields in CHANGES[::2]:
        world.clock.advance(7)
        change(world, "row_removed", fields)
    world.clock.advance(60)
    return world


def change(world: World, kind: ChangeKind, fields: tuple[str, ...]) -> None:
    """Journal a change of one row as whoever administers every tenant might: a purpose is of all of them."""
    ground = world.ground
    record: dict[str, object] = {"who": ADMIN, "asserted_by": {}, "why": "a test", "ticket": ""}
    with ground.catalog.write() as connection:
        journal.append(ground.catalog, connection, [Change(kind, row=row(*fields))], record)


def brute(stretch: audit_times.Stretch, atoms: frozenset[int]) -> set[tuple[str, str, int]]:
    """Ask Casbin about every label of a stretch by itself."""
    found: set[tuple[str, str, int]] = set()
    for atom in atoms:
        entry = stretch.table.entries.get(atom)
        if entry is None:
            continue
        told = listings.who_may(stretch.snapshot, stretch.table, entry, "read", stretch.since)
        found |= {(who, "", atom) for who in told.readers}
        found |= {(who, purpose, atom) for purpose, held in told.purposes.items() for who in held}
    return found


def test_each_stretch_has_the_rights_that_casbin_gives_in_it(world: World) -> None:
    moment = world.ground.moment()
    atoms = frozenset(atom for atom, entry in moment.table.entries.items() if entry.tenant == "acme")
    history = audit_times.history(world.ground, world.ground.grant(subject(ADMIN), "audit"))
    right = StandingRights("acme", atoms, 10_000)
    seen, before, until = Counter[str](), set[tuple[str, str, int]](), history.since
    for stretch in audit_times.stretches(history, history.since):
        assert stretch.since == until
        until = stretch.until
        found = set(right.of(stretch))
        assert found == brute(stretch, atoms), stretch.since
        seen["stretches"] += 1
        seen["changed"] += found != before
        before = found
    assert until == ""
    assert seen["stretches"] > len(CHANGES) + len(CHANGES) // 2 + 5, (
        "the boundaries of rules and labels cut too"
    )
    assert seen["changed"] > len(CHANGES), seen


def test_more_questions_than_may_be_asked_are_an_error(world: World) -> None:
    history = audit_times.history(world.ground, world.ground.grant(subject(ADMIN), "audit"))
    (first, *_) = audit_times.stretches(history, history.since)
    with pytest.raises(InvalidInput, match="more than 3 decisions"):
        list(StandingRights("acme", frozenset({1}), 3).of(first))
