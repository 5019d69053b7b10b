"""A store appears whole or not at all, and one that is not as it should be is not opened."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence_governance import durable_files, store_files
from ringfence_governance.catalog import Catalog
from ringfence_governance.door import Door
from ringfence_governance.errors import (
    InvalidInput,
    KeyUnavailable,
    PolicyRefused,
    RingfenceError,
    StoreCorrupt,
    StoreError,
    StoreVersionMismatch,
)
from ringfence_governance.key_store import KeyStore
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.policy_rows import PolicyRows
from ringfence_governance.policy_text import PolicyBundle

from .worlds import (
    ADMIN,
    SeededRandomness,
    World,
    bundle,
    database,
    draft,
    files_of_at_most,
    label,
    make_world,
    open_world,
)


def make(folder: Path) -> None:
    Door.create(folder / "store", bundle(), ADMIN, keys_home=folder / "keys")


def left_behind(folder: Path) -> list[str]:
    """Everything but the empty home of keys."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path != folder / "keys")


def test_a_new_store_is_whole_and_opens(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    assert {path.name for path in world.path.iterdir()} >= {
        "lance",
        "audit",
        "lineage",
        "store.json",
        "catalog.db",
    }
    assert open_world(tmp_path).see(ADMIN).documents == ()


def test_its_folders_and_databases_are_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        world = make_world(tmp_path)
    finally:
        os.umask(before)
    private = [world.path, *(world.path / name for name in ("lance", "audit", "lineage", "catalog.db"))]
    private += [world.keys, world.keys / "keys.db"]
    assert not [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]


STEPS: dict[str, tuple[object, str]] = {
    "key file": (store_files.key_file, "write"),
    "store keys": (KeyStore, "create_store_keys"),
    "catalog": (Catalog, "create"),
    "tables": (LanceTables, "create"),
    "label keys": (KeyStore, "ensure_label_keys"),
    "journal": (store_files.journal, "append"),
    "publication": (store_files.publications, "publish"),
    "marker": (Path, "write_text"),
    "sync": (durable_files, "sync_new"),
    "rename": (Path, "replace"),
}


def fail(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(*STEPS[step], fail)
    with pytest.raises(StoreError, match=r"(?i)no space left"):
        make(tmp_path)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("step", ["key file", "tables", "rename"])
def test_an_interrupted_step_leaves_nothing_behind_and_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(*STEPS[step], interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path)
    assert left_behind(tmp_path) == []
    monkeypatch.undo()
    make(tmp_path)


def test_a_rename_that_cannot_be_made_durable_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = durable_files.sync

    def fail(path: Path) -> None:
        if path == tmp_path and (tmp_path / "store").exists():
            raise OSError(5, "Input/output error")
        real(path)

    monkeypatch.setattr(durable_files, "sync", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        make(tmp_path)
    assert left_behind(tmp_path) == []


def test_a_key_folder_that_is_there_already_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Two stores of one id: undoing the second must not destroy the keys of the first."""
    first = make_world(tmp_path, seed="one")
    first.put(draft("a.txt", "kept"))
    first.door.close()
    (tmp_path / "store").rename(tmp_path / "first")
    with pytest.raises(KeyUnavailable, match="exists already"):
        make_world(tmp_path, seed="one")
    (tmp_path / "first").rename(tmp_path / "store")
    assert open_world(tmp_path).see(ADMIN).texts == ("kept",)


@pytest.mark.parametrize("occupant", ["a store", "a file", "a folder with a file"])
def test_an_occupied_place_is_refused_and_left_alone(tmp_path: Path, occupant: str) -> None:
    place = tmp_path / "store"
    if occupant == "a store":
        make_world(tmp_path).door.close()
    elif occupant == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    before = left_behind(tmp_path)
    with pytest.raises(StoreError, match=r"is a store already|is not empty"):
        make(tmp_path)
    assert left_behind(tmp_path) == before


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    make(tmp_path)
    assert open_world(tmp_path).see(ADMIN).documents == ()


@pytest.mark.parametrize("admin", ["ada", "acme/group:all", "Acme/user:ada", "acme/user:", ""])
def test_an_administrator_who_is_no_actor_makes_no_store(tmp_path: Path, admin: str) -> None:
    with pytest.raises(InvalidInput, match="expected a user, agent or service"):
        Door.create(tmp_path / "store", bundle(), admin, keys_home=tmp_path / "keys")
    assert left_behind(tmp_path) == []


def test_a_policy_that_does_not_load_makes_no_store(tmp_path: Path) -> None:
    rows = bundle("f, acme/user:lee, 2, project\np, *, *, *, read, owner, *, -, -, allow").rows
    twice = PolicyBundle(PolicyRows(rows.rules, rows.links, (*rows.facts, *rows.facts)), (), "a test")
    with pytest.raises(PolicyRefused):
        Door.create(tmp_path / "store", twice, ADMIN, keys_home=tmp_path / "keys")
    assert left_behind(tmp_path) == []


def test_only_the_administrator_starts_with_ingest_and_administer(tmp_path: Path) -> None:
    world = make_world(tmp_path, policy=bundle("p, *, *, *, read, owner, *, -, -, allow", {}))
    rules = world.ground.moment().snapshot.rows.rules
    assert {(rule.sub, rule.dom, rule.obj) for rule in rules if rule.act == "ingest"} == {
        (ADMIN, "acme", "*")
    }
    assert {(rule.sub, rule.obj) for rule in rules if rule.act == "administer"} == {(ADMIN, "acme/policy")}


def marker(world: World, **changes: object) -> None:
    world.door.close()
    path = world.path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("changes", [{"format": 2}, {"format": 0}, {"format": "1"}], ids=str)
def test_a_store_of_another_format_is_refused(world: World, changes: dict[str, object]) -> None:
    marker(world, **changes)
    with pytest.raises(StoreVersionMismatch, match="expected 1") as caught:
        open_world(world.folder)
    assert "version of ringfence" in caught.value.hint


@pytest.mark.parametrize("store", [None, "", "../../etc", "A" * 32, 5, "0" * 31], ids=str)
def test_a_marker_that_names_no_store_id_is_refused(world: World, store: object) -> None:
    marker(world, store=store)
    with pytest.raises(StoreCorrupt, match="names no store id"):
        open_world(world.folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_damaged_marker_is_named(world: World, content: bytes) -> None:
    world.door.close()
    (world.path / "store.json").write_bytes(content)
    with pytest.raises((StoreCorrupt, StoreVersionMismatch), match="store"):
        open_world(world.folder)


@pytest.mark.parametrize("version", ["0", "99", "one"])
def test_a_catalog_of_another_version_is_refused(world: World, version: str) -> None:
    world.door.close()
    with database(world.path / "catalog.db") as opened:
        opened.execute("UPDATE meta SET value = ? WHERE name = 'schema'", [version])
    with pytest.raises(StoreVersionMismatch, match=rf"found catalog version '?{version}'?; expected 1 to"):
        open_world(world.folder)


def test_a_place_without_a_store_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="found none at") as caught:
        Door.open(tmp_path / "nowhere", keys_home=tmp_path)
    assert "ringfence init" in caught.value.hint


def test_a_store_without_its_catalog_is_named(world: World) -> None:
    world.door.close()
    (world.path / "catalog.db").unlink()
    with pytest.raises(StoreCorrupt, match=r"has no catalog; expected catalog\.db in it"):
        open_world(world.folder)


@pytest.mark.parametrize("damage", ["empty", "garbage", "half"])
def test_a_damaged_catalog_is_named_and_nothing_of_it_is_shown(filled: World, damage: str) -> None:
    filled.door.close()
    for file in filled.path.glob("catalog.db-*"):
        file.unlink()
    path = filled.path / "catalog.db"
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "garbage": b"garbage " * 4096, "half": whole[: len(whole) // 2]}[damage])
    with pytest.raises(StoreError, match=r"catalog\.db") as caught:
        open_world(filled.folder).see("acme/user:hal")
    assert "SELECT" not in str(caught.value)


def test_a_store_whose_init_did_not_finish_is_named(world: World) -> None:
    with database(world.path / "catalog.db") as opened:
        opened.execute("DELETE FROM publications")
    with pytest.raises(StoreCorrupt, match="init did not finish"):
        world.see(ADMIN)


def test_a_missing_table_is_named_and_its_path_is_not(filled: World) -> None:
    (filled.path / "lance" / "chunks.lance").rename(filled.folder / "away")
    with pytest.raises(StoreError, match="the chunks table cannot be opened") as caught:
        filled.reopened().see("acme/user:hal")
    assert str(filled.folder) not in str(caught.value)


def test_a_truncated_table_file_is_named_and_no_row_is_returned(filled: World) -> None:
    for file in (filled.path / "lance" / "documents.lance" / "data").iterdir():
        os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(StoreError, match="the documents table cannot be read") as caught:
        filled.reopened().see("acme/user:hal")
    assert str(filled.folder) not in str(caught.value)


@pytest.mark.parametrize("size", [0, 40, 30_000, 100_000])
def test_a_full_disk_at_init_is_named_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    """0: not even a key file; 40: a part of it; then a part of the catalog."""
    with pytest.raises(RingfenceError), files_of_at_most(size):
        make(tmp_path)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("size", [0, 5_000, 60_000, 130_000, 200_000])
def test_a_full_disk_at_ingest_is_named_and_publishes_nothing(filled: World, size: int) -> None:
    before = {who: filled.see(f"acme/user:{who}") for who in ("hal", "bob", "ann")}
    sequence = filled.ground.moment().publication.sequence
    random = SeededRandomness("words that do not compress")
    texts = [random.draw(20_000, "text", str(n)).hex() for n in range(20)]
    with pytest.raises(RingfenceError), files_of_at_most(size):
        filled.put(*(draft(f"{n}.txt", text, label(f"acme/user:u{n}")) for n, text in enumerate(texts)))
    again = filled.reopened()
    assert again.ground.moment().publication.sequence == sequence
    assert {who: again.see(f"acme/user:{who}") for who in before} == before
    again.put(draft("after.txt", "there is room again", "acme/label:payroll"))
    assert again.see("acme/user:hal").paths == ("after.txt", "pay/salaries.txt", "public.txt")


def test_what_a_publication_names_is_on_the_disk_before_it_is_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lance never calls fsync: without ours, a power cut would leave a publication of files that are not there."""
    synced: set[Path] = set()
    at_publication: list[set[str]] = []
    real_sync, real_publish = durable_files.sync, store_files.publications.publish

    def sync(path: Path) -> None:
        real_sync(path)
        synced.add(path)

    def publish(*arguments: object) -> object:
        at_publication.append(
            {str(path) for path in (world.path / "lance").rglob("*") if path.is_file()}
            - {str(path) for path in synced | made}
        )
        return real_publish(*arguments)  # type: ignore[arg-type]

    made = {path for path in (world.path / "lance").rglob("*") if path.is_file()}
    monkeypatch.setattr(durable_files, "sync", sync)
    monkeypatch.setattr(store_files.publications, "publish", publish)
    world.put(draft("a.txt", "one"), draft("b.txt", "two"))
    assert at_publication == [set()]
    assert {path.parent.name for path in synced} >= {"data", "_versions", "_transactions"}
    assert {path.name for path in synced} >= {"data", "_versions", "_transactions", "chunks.lance"}


def test_the_databases_are_durable_and_overwrite_what_is_deleted(world: World) -> None:
    """A kill cannot show it, only a power cut: so the settings are asked for. 2 is FULL, 1 is ON."""
    settings = {}
    for name, opened in {
        "catalog": world.ground.catalog._database,
        "keys": world.ground.keys._database,
    }.items():
        with opened.engine.connect() as connection:
            settings[name] = [
                connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
                for pragma in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            ]
    assert settings == {"catalog": ["wal", 2, 1, 1], "keys": ["wal", 2, 1, 1]}


def test_making_a_store_syncs_every_file_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()
    real: Callable[[Path], None] = durable_files.sync

    def sync(path: Path) -> None:
        real(path)
        synced.add(path.name)

    monkeypatch.setattr(durable_files, "sync", sync)
    world = make_world(tmp_path)
    files = {path.name for path in world.path.rglob("*") if path.is_file() and "catalog.db-" not in path.name}
    assert files <= synced
    assert {"store.json", "catalog.db", "master.key", "keys.db", world.keys.name, tmp_path.name} <= synced
