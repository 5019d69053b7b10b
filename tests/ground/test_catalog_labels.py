"""An atom stands for one label for ever, and the table a process keeps is the table that stands."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from ringfence_governance import catalog_labels
from ringfence_governance.catalog_schema import label_versions
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


SWAPPED = [
    ("acme/label:payroll", "acme/label:staff"),
    ("acme/label:payroll", "value"),
    ("value", "another value"),
    ("compound", "another compound"),
    ("acme/label:payroll", "compound"),
]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(("one", "other"), SWAPPED)
def test_ids_that_changed_places_give_no_label_the_meaning_of_another(
    one: str, other: str, older: bool, world: World
) -> None:
    """What is ingested under the one would be read by who may read under the other."""
    catalog = world.ground.catalog
    values = [catalog_labels.intern_value(catalog, label(f"acme/user:{name}")) for name in "xyz"]
    pairs = [frozenset({values[0].label_id, each.label_id}) for each in values[1:]]
    atoms = {
        "value": values[0].atom,
        "another value": values[1].atom,
        "compound": catalog_labels.intern_compound(catalog, pairs[0]).atom,
        "another compound": catalog_labels.intern_compound(catalog, pairs[1]).atom,
        **{name: entry.atom for name, entry in fresh(world).by_id.items()},
    }
    if older:
        without_names(world)
    before = held(fresh(world))
    with database(world.path / "catalog.db") as opened:
        rows = [
            opened.execute(
                "SELECT value_digest, sealed_id FROM labels WHERE atom = ?", [atoms[each]]
            ).fetchone()
            for each in (one, other)
        ]
        for atom, (digest, sealed) in (
            (atoms[one], ("", b"")),
            (atoms[other], rows[0]),
            (atoms[one], rows[1]),
        ):
            opened.execute(
                "UPDATE labels SET value_digest = ?, sealed_id = ? WHERE atom = ?", [digest, sealed, atom]
            )
    with pytest.raises(StoreCorrupt, match="meaning of another"):
        fresh(world)
    with pytest.raises(StoreCorrupt), world.ground.catalog.read() as connection:
        catalog_labels.versions(catalog, connection, until=before[0])


def without_names(world: World) -> None:
    """Put the meanings of labels back as they were before names stood in them."""
    catalog = world.ground.catalog
    with catalog.write() as connection:
        for row in connection.execute(select(label_versions)).all():
            meaning = json.loads(catalog.open(row.definition, "label", row.atom, row.sequence))
            meaning.pop("name", None)
            sealed = catalog.seal(json.dumps(meaning).encode(), "label", row.atom, row.sequence)
            connection.execute(
                update(label_versions)
                .where(label_versions.c.atom == row.atom, label_versions.c.sequence == row.sequence)
                .values(definition=sealed)
            )


def test_labels_stand_in_the_catalog_as_digests_and_sealed_values(world: World) -> None:
    with database(world.path / "catalog.db") as opened:
        rows = opened.execute("SELECT value_digest, sealed_id FROM labels").fetchall()
    assert len(rows) == len({digest for digest, _ in rows}) == 5
    assert all(len(digest) == 64 and b"label" not in sealed for digest, sealed in rows)
