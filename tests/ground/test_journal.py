"""The journal keeps every change of policy in a chain; what was changed behind its back shows."""

from __future__ import annotations

import pytest

from ringfence_governance.errors import RingfenceError, StoreCorrupt
from ringfence_governance.journal import Entry
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.policy_rows import Row

from .worlds import ADMIN, World, bundle, database, make_world, open_world, row, subject

CHANGES = [("g", f"acme/user:m{n}", "acme/group:hr") for n in range(4)]


@pytest.fixture
def changed(world: World) -> World:
    for fields in CHANGES:
        world.add(*fields)
    world.remove(*CHANGES[0])
    return world


def execute(world: World, statement: str, *values: object) -> None:
    with database(world.path / "catalog.db") as opened:
        assert opened.execute(statement, values).rowcount >= 1


def sequences(world: World) -> list[int]:
    return [entry.sequence for entry in world.ground.history()]


def replayed(history: tuple[Entry, ...]) -> set[Row]:
    standing: set[Row] = set()
    for entry in history:
        if entry.change.row is not None:
            (standing.add if entry.change.kind == "row_added" else standing.discard)(entry.change.row)
    return standing


def test_the_policy_that_stands_is_the_journal_replayed(changed: World) -> None:
    rows = set(changed.ground.moment().snapshot.rows)
    assert rows >= set(bundle().rows) | {row(*fields) for fields in CHANGES[1:]}
    assert row(*CHANGES[0]) not in rows
    history = changed.ground.history()
    assert replayed(history) == rows
    assert [entry.sequence for entry in history] == sorted(entry.sequence for entry in history)


def test_an_entry_says_who_when_why_and_on_whose_word(world: World) -> None:
    world.door.add_row(subject(ADMIN), row(*CHANGES[0]), Reasoned("m0 joined the team", "HR-12"))
    entry = world.ground.history()[-1]
    assert (entry.who, entry.why, entry.ticket) == (ADMIN, "m0 joined the team", "HR-12")
    assert entry.asserted_by == world.ground.asserted_by
    assert entry.at.startswith("2026-06-01T00:00:0")
    assert (entry.change.kind, entry.change.row) == ("row_added", row(*CHANGES[0]))


def test_a_row_that_comes_back_after_it_was_removed_stands(changed: World) -> None:
    changed.add(*CHANGES[0])
    assert row(*CHANGES[0]) in changed.ground.moment().snapshot.rows


def tampered(world: World) -> RingfenceError:
    """What a process that opens the store now finds."""
    world.door.close()
    with pytest.raises(StoreCorrupt) as caught:
        open_world(world.folder).see(ADMIN)
    return caught.value


@pytest.mark.parametrize("place", ["first", "middle", "one before the last"])
def test_a_dropped_row_is_found(changed: World, place: str) -> None:
    """Dropping the row that revoked a right would give it back."""
    numbers = sequences(changed)
    number = {"first": numbers[0], "middle": numbers[-3], "one before the last": numbers[-2]}[place]
    execute(changed, "DELETE FROM journal WHERE sequence = ?", number)
    assert "the policy journal is broken at row" in str(tampered(changed))


def test_a_changed_payload_is_found(changed: World) -> None:
    number = sequences(changed)[-2]
    execute(changed, "UPDATE journal SET payload = zeroblob(length(payload)) WHERE sequence = ?", number)
    tampered(changed)


def test_the_payload_of_another_row_is_found(changed: World) -> None:
    first, second = sequences(changed)[-2:]
    execute(
        changed,
        "UPDATE journal SET payload = (SELECT payload FROM journal WHERE sequence = ?) WHERE sequence = ?",
        first,
        second,
    )
    tampered(changed)


@pytest.mark.parametrize("column", ["previous", "digest"])
def test_a_changed_link_of_the_chain_is_found(changed: World, column: str) -> None:
    number = sequences(changed)[-2]
    execute(changed, f"UPDATE journal SET {column} = ? WHERE sequence = ?", "f" * 64, number)
    assert f"broken at row {number}" in str(tampered(changed))


def test_two_rows_that_changed_places_are_found(changed: World) -> None:
    first, second = sequences(changed)[-3:-1]
    with database(changed.path / "catalog.db") as opened:
        for old, new in ((first, -1), (second, first), (-1, second)):
            opened.execute("UPDATE journal SET sequence = ? WHERE sequence = ?", [new, old])
    tampered(changed)


def test_a_repeated_row_slipped_in_at_the_end_is_found(changed: World) -> None:
    """An old grant, replayed behind the row that revoked it."""
    old = sequences(changed)[-5]
    with database(changed.path / "catalog.db") as opened:
        newest = opened.execute(
            "INSERT INTO entries (kind, at) VALUES ('policy', '2026-06-01T00:00:00Z')"
        ).lastrowid
        opened.execute(
            "INSERT INTO journal SELECT ?, kind, payload, previous, digest FROM journal WHERE sequence = ?",
            [newest, old],
        )
    tampered(changed)


def test_a_row_of_another_store_does_not_fit(changed: World) -> None:

    other = make_world(changed.folder / "other")
    other.add(*CHANGES[0])
    with database(other.path / "catalog.db") as opened:
        foreign = opened.execute("SELECT payload FROM journal ORDER BY sequence DESC LIMIT 1").fetchone()
    execute(changed, "UPDATE journal SET payload = ? WHERE sequence = ?", foreign[0], sequences(changed)[-1])
    tampered(changed)


def test_what_a_journal_row_says_is_sealed(changed: World) -> None:
    with database(changed.path / "catalog.db") as opened:
        rows = opened.execute("SELECT payload, previous, digest FROM journal").fetchall()
    assert not [
        one for payload, *_ in rows for one in (b"acme", b"user", b"row_added", b"test") if one in payload
    ]
    assert len({digest for *_, digest in rows}) == len(rows)
