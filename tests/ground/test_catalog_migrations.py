"""A store of any older version opens with all it holds; a crash half-way leaves the version before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, text

from ringfence_governance import catalog_migrations, catalog_schema
from ringfence_governance.catalog_place import CatalogPlace
from ringfence_governance.database import Database
from ringfence_governance.errors import StoreCorrupt, StoreError, StoreVersionMismatch
from ringfence_governance.postgres_engine import PostgresDatabase

from .catalog_shapes import SHAPES
from .catalogs import database_of, rows, run, schema_of, shape, tables
from .worlds import World, draft, files_of_at_most, make_world, open_world, process

HAL, BOB = "acme/user:hal", "acme/user:bob"
OLDER = range(catalog_migrations.FIRST, catalog_migrations.NEWEST)


@pytest.fixture
def old(catalog_url: str | None, tmp_path: Path) -> Iterator[Callable[[int], World]]:
    """Make a store with documents and a history of policy as a version of the software left it; closed."""
    made = []

    def make(version: int) -> World:
        world = make_world(tmp_path / f"version {version}", catalog=catalog_url)
        world.put(draft("pay.txt", "salaries", "acme/label:payroll"), draft("public.txt", "canteen"))
        world.add("g", BOB, "acme/group:hr")
        world.remove("g", BOB, "acme/group:hr")
        turn_back(world, SHAPES[version], version)
        made.append(world)
        return world

    yield make
    for world in made:
        world.door.close()


def turn_back(world: World, older: MetaData, version: int) -> None:
    """Let the catalog be what it would be had the older software made it; the store is closed then."""
    database, store_id = database_of(world), world.ground.store_id
    held = {table.name: contents(database, table.name, list(table.c.keys())) for table in older.sorted_tables}
    world.door.close()
    if isinstance(database, PostgresDatabase):
        database.destroy()
    else:
        for file in world.path.glob("catalog.db*"):
            file.unlink()
    place = CatalogPlace.asked_for(None if not isinstance(database, PostgresDatabase) else url_of(world))
    rebuilt = place.open(world.path, store_id, new=True)
    rebuilt.create(older)
    with rebuilt.write() as connection:
        for table in older.sorted_tables:
            if held[table.name]:
                connection.execute(table.insert(), held[table.name])
        connection.execute(text("UPDATE meta SET value = :v WHERE name = 'schema'"), {"v": str(version)})
        if connection.dialect.name == "postgresql":
            for table, column in (("entries", "sequence"), ("labels", "atom")):
                connection.execute(
                    text(f"SELECT setval('{table}_{column}_seq', (SELECT max({column}) FROM {table}))")
                )
    rebuilt.close()


def url_of(world: World) -> str:
    return str(json.loads((world.path / "store.json").read_text())["catalog"])


def contents(database: Database, table: str, columns: list[str]) -> list[dict[str, Any]]:
    with database.read() as connection:
        listed = ", ".join(f'"{column}"' for column in columns)
        found = connection.exec_driver_sql(f'SELECT {listed} FROM "{table}"')
        return [dict(zip(columns, row, strict=True)) for row in found]


def version_of(connection: Connection) -> str:
    return str(connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'schema'").scalar())


def opened_behind(world: World) -> Database:
    """The database of a closed store, past all that opening a store does."""
    is_file = (world.path / "catalog.db").exists()
    return CatalogPlace.asked_for(None if is_file else url_of(world)).open(world.path, world.ground.store_id)


def test_every_older_version_is_written_down() -> None:
    assert set(SHAPES) == set(OLDER)
    assert OLDER, "there is no older version; these tests would hold nothing"


@pytest.mark.parametrize("version", OLDER)
def test_a_store_of_an_older_version_opens_with_all_it_held(
    old: Callable[[int], World], version: int
) -> None:
    world = old(version)
    again = open_world(world.folder, world.clock)
    assert rows(again, "SELECT value FROM meta WHERE name = 'schema'") == [(str(catalog_migrations.NEWEST),)]
    assert again.see(HAL).texts == ("salaries", "canteen")
    assert again.see(BOB).texts == ("canteen",)
    assert [entry.change.kind for entry in again.ground.history()][-2:] == ["row_added", "row_removed"]
    again.put(draft("new.txt", "written since"))
    assert again.add("g", BOB, "acme/group:hr")
    assert again.see(BOB).texts == ("written since", "salaries", "canteen")
    again.door.close()


@pytest.mark.parametrize("version", OLDER)
def test_a_migrated_store_has_the_shape_of_a_new_one(
    old: Callable[[int], World], version: int, catalog_url: str | None, tmp_path: Path
) -> None:
    new = make_world(tmp_path / "new", catalog=catalog_url)
    world = old(version)
    again = open_world(world.folder, world.clock)
    assert shape(again) == shape(new)
    assert tables(new) == sorted(catalog_schema.metadata.tables)
    assert rows(new, "SELECT * FROM migrations") == []
    for one in (new, again):
        one.door.close()


@pytest.mark.parametrize("version", OLDER)
def test_each_step_is_recorded(old: Callable[[int], World], version: int) -> None:
    again = open_world(old(version).folder)
    recorded = rows(again, "SELECT version, what, at FROM migrations ORDER BY version")
    assert [(number, what) for number, what, _ in recorded] == [
        (number + 1, catalog_migrations.MIGRATIONS[number - 1].what) for number in OLDER if number >= version
    ]
    assert all(at >= "2026" for *_, at in recorded)
    again.door.close()


def test_opening_a_store_of_the_newest_version_writes_nothing(
    catalog_url: str | None, tmp_path: Path
) -> None:
    world = make_world(tmp_path / "world", catalog=catalog_url)
    mark = world.ground.catalog.mark()
    world.second().door.close()
    assert world.ground.catalog.mark() == mark
    world.door.close()


def test_a_process_killed_in_the_middle_of_a_step_leaves_the_old_version(
    old: Callable[[int], World],
) -> None:
    world = old(1)
    with process("die_migrating", world.folder) as dying:
        assert dying.hear() == {"migrated": True}
        assert dying.hear_out() == []
    database = opened_behind(world)
    with database.read() as connection:
        assert version_of(connection) == "1"
        assert not connection.dialect.has_table(connection, "migrations", schema=schema_of(connection))
    database.close()
    again = open_world(world.folder, world.clock)
    assert again.see(HAL).texts == ("salaries", "canteen")
    again.door.close()


def test_a_step_that_fails_leaves_the_version_that_the_one_before_it_made(
    old: Callable[[int], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (done INTEGER)")
        raise StoreError("no space left on the disk")

    whole = catalog_migrations.MIGRATIONS
    failing = (*whole, catalog_migrations.Migration("fails", fail))
    world = old(catalog_migrations.FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(catalog_migrations, "MIGRATIONS", failing)
        patch.setattr(catalog_migrations, "NEWEST", catalog_migrations.FIRST + len(failing))
        with pytest.raises(StoreError, match="no space left"):
            open_world(world.folder)
    again = open_world(world.folder, world.clock)
    assert rows(again, "SELECT value FROM meta WHERE name = 'schema'") == [(str(catalog_migrations.NEWEST),)]
    assert "half" not in tables(again)
    again.door.close()


def test_two_that_open_an_old_store_at_once_migrate_it_once(old: Callable[[int], World]) -> None:
    world = old(1)
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_world(world.folder), range(4)))
    assert len(rows(opened[0], "SELECT version FROM migrations")) == len(OLDER)
    assert {one.see(HAL).texts for one in opened} == {("salaries", "canteen")}
    for one in opened:
        one.door.close()


@pytest.mark.parametrize("found", ["0", "99", "one", "-1"])
def test_a_version_this_software_does_not_know_is_refused_and_left(
    catalog_url: str | None, tmp_path: Path, found: str
) -> None:
    world = make_world(tmp_path / "world", catalog=catalog_url)
    run(world, "UPDATE meta SET value = :found WHERE name = 'schema'", found=found)
    with pytest.raises(StoreVersionMismatch, match="found catalog version") as caught:
        world.second()
    assert "at least as new" in caught.value.hint
    assert rows(world, "SELECT value FROM meta WHERE name = 'schema'") == [(found,)]
    world.door.close()


def test_a_catalog_that_says_no_version_is_no_whole_one(catalog_url: str | None, tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", catalog=catalog_url)
    run(world, "DELETE FROM meta WHERE name = 'schema'")
    with pytest.raises(StoreCorrupt, match="says no version"):
        world.second()
    world.door.close()


@pytest.mark.parametrize("catalog_url", ["sqlite"], indirect=True)
def test_an_old_store_on_a_full_disk_stays_as_it_is(old: Callable[[int], World]) -> None:
    world = old(1)
    with files_of_at_most(0), pytest.raises(StoreError, match="nothing was changed"):
        open_world(world.folder)
    database = opened_behind(world)
    with database.read() as connection:
        assert version_of(connection) == "1"
    database.close()
