"""The listings name exactly those whom the policy's meaning lets, over random policies."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from ringfence_governance import authority
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.listings import Readers, what_may, who_may
from ringfence_governance.policy_text import parse_policy_csv
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

from .random_worlds import ACTORS, MOMENTS, PURPOSES, World, random_subject, random_world, table_of

NOW = "2026-03-01T00:00:00Z"
GENERIC = "p, *, *, *, read, owner, *, -, -, allow\np, *, *, *, read, reader, *, -, -, allow\n"


def means(world: World, subject: Subject, entry: LabelEntry, action: str, now: str) -> bool:
    parts = entry.parts or {entry.label_id}
    return all(world.chain_may(subject, part, action, now) for part in parts)


@pytest.mark.parametrize("seed", range(2))
def test_who_names_every_actor_who_may_and_no_other(seed: int) -> None:
    dice = random.Random(500 + seed)
    found = Counter[str]()
    for _ in range(30):
        world = random_world(dice)
        snapshot, table = Snapshot.build(world.rows), table_of(dice, world)
        action, now = dice.choice(["read", "read", "ingest"]), dice.choice(MOMENTS)
        for entry in table.entries.values():
            listed = who_may(snapshot, table, entry, action, now)
            may = {
                purpose: {
                    actor for actor in ACTORS if means(world, Subject(actor, (), purpose), entry, action, now)
                }
                for purpose in ("", "unheard-of", *PURPOSES)
            }
            assert listed.readers == tuple(sorted(may[""]))
            assert may["unheard-of"] == may[""]
            needed = {purpose: tuple(sorted(may[purpose] - may[""])) for purpose in sorted(PURPOSES)}
            assert listed.purposes == {purpose: actors for purpose, actors in needed.items() if actors}
            assert list(listed.purposes) == sorted(listed.purposes)
            found["plain"] += len(listed.readers)
            found["for a purpose"] += len(listed.purposes)
    assert min(found["plain"], found["for a purpose"]) > 10


@pytest.mark.parametrize("seed", range(4))
def test_what_names_every_label_the_chain_may_and_no_other(seed: int) -> None:
    dice = random.Random(600 + seed)
    found = 0
    for _ in range(50):
        world = random_world(dice)
        snapshot, table, subject = Snapshot.build(world.rows), table_of(dice, world), random_subject(dice)
        action, now = dice.choice(["read", "read", "ingest"]), dice.choice(MOMENTS)
        listed = what_may(snapshot, table, subject, action, now)
        expected = [entry for entry in table.entries.values() if means(world, subject, entry, action, now)]
        assert listed == tuple(sorted(expected, key=lambda entry: entry.atom))
        found += len(listed)
    assert found > 10


def build(policy: str, *labels: Label, parts: frozenset[str] = frozenset()) -> tuple[Snapshot, LabelTable]:
    """Return the policy, and a table of the labels as `one`, `two` … and a compound one of the parts."""
    names = [f"acme/label:{name}" for name in ("one", "two")]
    entries = [LabelEntry(atom, names[atom - 1], label) for atom, label in enumerate(labels, start=1)]
    entries.append(LabelEntry(9, f"acme/label:~{'0' * 32}", None, parts))
    return Snapshot.build(parse_policy_csv(policy.encode(), "p")), LabelTable(
        1, {entry.atom: entry for entry in entries}
    )


def test_who_lists_agents_and_services_but_no_group() -> None:
    readers = frozenset({"acme/agent:desk", "acme/service:index", "acme/group:staff"})
    snapshot, table = build(
        GENERIC + "g, acme/user:ann, acme/group:staff", Label("acme", "acme/user:dora", readers)
    )
    listed = who_may(snapshot, table, table.entries[1], "read", NOW)
    assert listed == Readers(("acme/agent:desk", "acme/service:index", "acme/user:ann", "acme/user:dora"), {})


def test_who_finds_a_purpose_that_is_narrower_by_several_steps() -> None:
    label = Label("acme", "acme/user:dora", purposes=frozenset({"support"}))
    snapshot, table = build(GENERIC + "g3, warranty, claims\ng3, claims, support\ng3, sales, other", label)
    listed = who_may(snapshot, table, table.entries[1], "read", NOW)
    assert listed.readers == ()
    assert listed.purposes == dict.fromkeys(("claims", "support", "warranty"), ("acme/user:dora",))


def test_a_compound_label_with_an_unknown_part_is_nobodys() -> None:
    known = Label("acme", "acme/user:dora")
    snapshot, table = build(GENERIC, known, known, parts=frozenset({"acme/label:one", "acme/label:two"}))
    assert who_may(snapshot, table, table.entries[9], "read", NOW).readers == ("acme/user:dora",)
    snapshot, table = build(GENERIC, known, parts=frozenset({"acme/label:one", "acme/label:two"}))
    assert who_may(snapshot, table, table.entries[9], "read", NOW) == Readers((), {})
    assert [entry.atom for entry in what_may(snapshot, table, Subject("acme/user:dora"), "read", NOW)] == [1]


def test_nobody_of_another_tenant_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large store of many tenants does not make the list of one of them slow."""
    asked: list[str] = []
    allowed_among = authority.allowed_among

    def counting(snapshot: Snapshot, actors: Iterable[str], *rest: Any) -> frozenset[str]:
        asked.extend(names := list(actors))
        return allowed_among(snapshot, names, *rest)

    monkeypatch.setattr(authority, "allowed_among", counting)
    policy = GENERIC + "g, acme/user:ann, acme/group:g\ng, other/user:eve, other/group:g"
    snapshot, table = build(policy, Label("acme", "acme/user:dora", frozenset({"*"})))
    assert who_may(snapshot, table, table.entries[1], "read", NOW).readers == (
        "acme/user:ann",
        "acme/user:dora",
    )
    assert set(asked) == {"acme/user:ann", "acme/user:dora"}
