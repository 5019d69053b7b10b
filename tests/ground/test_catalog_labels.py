"""An atom stands for one label for ever, and the table a process keeps is the table that stands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ringfence_governance import catalog_labels
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry, NamedLabel

from .worlds import ADMIN, WHY, World, database, draft, label, subject


def held(table: LabelTable) -> tuple[int, dict[int, LabelEntry], dict[str, LabelEntry]]:
    return table.version, dict(table.entries), dict(table.by_id)


def fresh(world: World) -> LabelTable:
    """The table as a process that has kept nothing loads it."""
    with world.ground.catalog.read() as connection:
        return catalog_labels.load(world.ground.catalog, connection)


def test_equal_values_are_one_atom_and_different_ones_are_not(world: World) -> None:
    catalog = world.ground.catalog
    one = catalog_labels.intern_value(catalog, label("acme/user:dora", "acme/user:a", "acme/user:b"))
    same = catalog_labels.intern_value(catalog, label("acme/user:dora", "acme/user:b", "acme/user:a"))
    other = catalog_labels.intern_value(catalog, label("acme/user:dora", "acme/user:a"))
    assert one == same
    assert one.atom != other.atom
    assert not one.named


def test_a_named_label_of_the_same_value_is_another_atom(world: World) -> None:
    payroll = world.ground.moment().table.by_id["acme/label:payroll"]
    assert payroll.definition is not None
    twin = catalog_labels.intern_value(world.ground.catalog, payroll.definition)
    assert twin.atom != payroll.atom


def test_threads_that_intern_one_value_at_once_get_one_atom(world: World) -> None:
    values = [label(f"acme/user:p{n % 3}") for n in range(24)]
    with ThreadPoolExecutor(6) as pool:
        entries = list(
            pool.map(lambda value: catalog_labels.intern_value(world.ground.catalog, value), values)
        )
    assert len({entry.atom for entry in entries}) == 3
    assert len({(entry.definition, entry.atom) for entry in entries}) == 3


def test_what_a_process_keeps_and_adds_to_is_what_a_fresh_one_loads(world: World) -> None:
    second = world.second()
    for number in range(6):
        writer = (world, second)[number % 2]
        writer.put(
            draft(f"{number}.txt", f"text {number}", label(f"acme/user:p{number % 4}")), who="acme/user:dex"
        )
        if number == 3:
            name = NamedLabel("acme/label:late", label("acme/user:dora"))
            writer.door.define_label(subject(ADMIN), name, WHY)
        kept = [held(one.ground.moment().table) for one in (world, second)]
        assert kept[0] == kept[1] == held(fresh(world))


def test_two_labels_whose_numbers_follow_each_other_are_both_seen(world: World) -> None:
    catalog = world.ground.catalog
    for name in ("x", "y", "z"):
        entry = catalog_labels.intern_value(catalog, label(f"acme/user:{name}"))
        assert world.ground.moment().table.entries[entry.atom] == entry


def test_a_redefined_label_has_its_newest_meaning_and_keeps_its_atom(world: World) -> None:
    """The call that redefines comes later; what it will write is read rightly already."""
    ground = world.ground
    before = ground.moment().table.by_id["acme/label:payroll"]
    meaning: Label = label("acme/user:dora", "acme/user:bob")
    with ground.catalog.write() as connection:
        sequence, _ = ground.catalog.next_entry(connection, "policy")
        catalog_labels.define(ground.catalog, connection, "acme/label:payroll", meaning, sequence)
    after = ground.moment().table.by_id["acme/label:payroll"]
    assert (after.atom, after.definition) == (before.atom, meaning)
    assert fresh(world).by_id["acme/label:payroll"] == after
    assert before.definition != meaning


def test_a_definition_moved_to_another_atom_or_number_does_not_open(world: World) -> None:
    table = world.ground.moment().table
    payroll, staff = (table.by_id[f"acme/label:{name}"].atom for name in ("payroll", "staff"))
    with database(world.path / "catalog.db") as opened:
        (other,) = opened.execute("SELECT definition FROM label_versions WHERE atom = ?", [staff]).fetchone()
        opened.execute("UPDATE label_versions SET definition = ? WHERE atom = ?", [other, payroll])
    with pytest.raises(StoreCorrupt):
        fresh(world)


def test_labels_stand_in_the_catalog_as_digests_and_sealed_values(world: World) -> None:
    with database(world.path / "catalog.db") as opened:
        rows = opened.execute("SELECT value_digest, sealed_id FROM labels").fetchall()
    assert len(rows) == len({digest for digest, _ in rows}) == 5
    assert all(len(digest) == 64 and b"label" not in sealed for digest, sealed in rows)
