"""A store whose keys are of an older format opens with all it held; a crash half-way leaves it as it was."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringfence_governance import key_file
from ringfence_governance.errors import KeyUnavailable, NotReadable, RingfenceError, StoreCorrupt
from ringfence_governance.key_file import FILE_NAME, MasterKey
from ringfence_governance.key_migration import FormerKeys
from ringfence_governance.key_schema import ANY_RUN, FORMAT, STANDING
from ringfence_governance.reading import Answer, GrantedReader

from .former_keys import turn_back, turn_back_to_2
from .policy_files import BOB, DORA, HAL, OWN, OWN_LABELS, PAYROLL, STAFF
from .worlds import (
    ADMIN,
    SEALED,
    WHY,
    World,
    bundle,
    database,
    draft,
    label,
    make_world,
    open_world,
    process,
    subject,
)

FORMER_TABLES = {"store_keys", "label_keys", "document_keys"}


@pytest.fixture
def former(catalog_url: str | None, tmp_path: Path) -> Iterator[World]:
    """A store with named, anonymous and compound labels whose keys are of format 1; closed."""
    world = made(tmp_path, catalog_url)
    turn_back(world)
    yield world
    world.door.close()


@pytest.fixture
def of_format_2(catalog_url: str | None, tmp_path: Path) -> Iterator[World]:
    """The same store whose keys are of format 2; closed."""
    world = made(tmp_path, catalog_url)
    turn_back_to_2(world)
    yield world
    world.door.close()


def made(tmp_path: Path, catalog_url: str | None) -> World:
    world = make_world(tmp_path / "world", policy=bundle(OWN, OWN_LABELS), catalog=catalog_url, mode=SEALED)
    world.put(draft("pay.txt", "dora earns ninety", PAYROLL), draft("public.txt", "the canteen", STAFF))
    one, two = world.put(
        draft("own.txt", "a note for hal", label(DORA, HAL, ADMIN)),
        draft("both.txt", "a note for both", label(DORA, HAL, BOB, ADMIN)),
    )
    world.put(draft("made.txt", "out of both notes", STAFF, parents=(one, two)))
    assert any(entry.parts for entry in world.ground.moment().table.entries.values())
    return world


def wraps(world: World) -> dict[str, list[tuple[object, ...]]]:
    with database(world.keys / "keys.db") as opened:
        names = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(opened.execute(f"SELECT * FROM {name}").fetchall()) for name in names}


TEXTS = {"dora earns ninety", "the canteen", "a note for hal", "a note for both", "out of both notes"}


def test_a_store_of_format_1_opens_with_all_it_held(former: World) -> None:
    assert set(wraps(former)) == FORMER_TABLES
    world = open_world(former.folder)
    assert set(world.see(HAL).texts) == TEXTS
    world.put(draft("new.txt", "written since", STAFF))
    assert set(world.see(HAL).texts) == {*TEXTS, "written since"}
    assert world.door.keys_status(subject(ADMIN))["newest"] == 1
    world.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    world = world.reopened()
    assert set(world.see(HAL).texts) == {*TEXTS, "written since"}
    world.door.close()


def test_nothing_stays_wrapped_as_format_1_wrapped_it(former: World) -> None:
    before = wraps(former)
    open_world(former.folder).door.close()
    after = wraps(former)
    assert not {row[-1] for row in before["store_keys"]} & {row[-1] for row in after["store_keys"]}
    assert not {row[-1] for row in before["label_keys"]} & {row[-1] for row in after["label_keys"]}
    assert {(row[0], row[1], row[5]) for row in after["document_keys"]} == {
        (row[0], row[1], row[3]) for row in before["document_keys"]
    }
    assert [row[0] for row in after["label_keys"]] == [row[0] for row in before["label_keys"]]
    everything = b"".join(file.read_bytes() for file in former.keys.glob("keys.db*"))
    assert not [row for row in (*before["store_keys"], *before["label_keys"]) if row[-1] in everything]


def test_killed_in_the_middle_it_is_as_it_was_and_opens(former: World) -> None:
    before = wraps(former)
    with process("die_migrating_keys", former.folder) as dying:
        assert dying.hear_out() == [{"migrated": True}]
    assert dying.child.wait() == -signal.SIGKILL
    assert wraps(former) == before
    world = open_world(former.folder)
    assert set(world.see(HAL).texts) == TEXTS
    world.door.close()


def test_two_that_open_it_at_once_migrate_it_once(former: World) -> None:
    with ThreadPoolExecutor(4) as pool:
        worlds = list(pool.map(lambda _: open_world(former.folder), range(4)))
    for world in worlds:
        assert set(world.see(HAL).texts) == TEXTS
        world.door.close()


def test_who_finds_it_migrated_since_he_looked_opens_it(
    former: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, opened = FormerKeys.store_key, []

    def overtaken(keys: FormerKeys, purpose: str) -> bytes:
        if not opened:
            monkeypatch.setattr(FormerKeys, "store_key", whole)
            opened.append(open_world(former.folder))
        return whole(keys, purpose)

    monkeypatch.setattr(FormerKeys, "store_key", overtaken)
    world = open_world(former.folder)
    assert opened
    assert set(world.see(HAL).texts) == set(opened[0].see(HAL).texts) == TEXTS
    for each in (world, *opened):
        each.door.close()


def test_a_label_key_that_does_not_open_stops_it_whole(former: World) -> None:
    with database(former.keys / "keys.db") as opened:
        opened.execute(
            "UPDATE label_keys SET wrapped = zeroblob(60) WHERE rowid = (SELECT max(rowid) FROM label_keys)"
        )
        opened.commit()
    before = wraps(former)
    with pytest.raises(RingfenceError, match="does not open"):
        open_world(former.folder)
    assert wraps(former) == before


def test_another_master_key_changes_nothing(former: World) -> None:
    before = wraps(former)
    (former.keys / FILE_NAME).unlink()
    key_file.write(former.keys, MasterKey(former.keys.name, 1, b"w" * 32))
    with pytest.raises(KeyUnavailable, match="does not open the key database"):
        open_world(former.folder)
    assert wraps(former) == before


def test_keys_of_documents_that_the_catalog_does_not_know_are_not_dropped(former: World) -> None:
    with database(former.keys / "keys.db") as opened:
        opened.execute("INSERT INTO document_keys VALUES (?, 999, 1, zeroblob(60))", ["0" * 32])
        opened.commit()
    before = wraps(former)
    with pytest.raises(StoreCorrupt, match="the catalog does not have") as caught:
        open_world(former.folder)
    assert "belong together" in caught.value.hint
    assert wraps(former) == before


def test_the_key_of_a_label_that_never_took_effect_goes(former: World) -> None:
    with database(former.keys / "keys.db") as opened:
        opened.execute("INSERT INTO label_keys VALUES ('orphan', 1, zeroblob(60))")
        opened.commit()
    world = open_world(former.folder)
    assert "orphan" not in {row[0] for row in wraps(world)["label_keys"]}
    assert set(world.see(HAL).texts) == TEXTS
    world.door.close()


def test_a_copy_of_format_1_is_refused_once_its_generation_is_retired(former: World, tmp_path: Path) -> None:
    old = Path(shutil.copytree(former.keys, tmp_path / "old"))
    world = open_world(former.folder)
    world.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    newest = (former.keys / FILE_NAME).read_text()
    world.door.close()
    for file in former.keys.glob("keys.db*"):
        file.unlink()
    shutil.copy2(old / "keys.db", former.keys / "keys.db")
    with pytest.raises(KeyUnavailable, match="no generation 1"):
        open_world(former.folder)
    # Even with its master key, and beside the newer one: an old copy must not pass for a new one.
    for held in ((old / FILE_NAME).read_text(), (old / FILE_NAME).read_text() + newest):
        (former.keys / FILE_NAME).write_text(held)
        with pytest.raises(KeyUnavailable, match="all were retired"):
            open_world(former.folder)


def test_a_store_of_format_2_opens_with_all_it_held_and_its_wraps_as_they_were(of_format_2: World) -> None:
    before = wraps(of_format_2)
    world = open_world(of_format_2.folder)
    after = wraps(of_format_2)
    assert after["document_keys"] == [
        (document, atom, ANY_RUN, STANDING, generation, wrapped, 0)
        for document, atom, generation, wrapped in before["document_keys"]
    ]
    assert {name: after[name] for name in after.keys() - {"document_keys", "key_meta"}} == {
        name: before[name] for name in before.keys() - {"document_keys", "key_meta"}
    }
    assert set(world.see(HAL).texts) == TEXTS
    world.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    world = world.reopened()
    assert set(world.see(HAL).texts) == TEXTS
    world.door.close()


@pytest.mark.parametrize("label", [STAFF, PAYROLL])
def test_what_is_written_anew_since_has_a_key_of_its_own_and_that_of_before_is_destroyed(
    of_format_2: World, label: str
) -> None:
    world = open_world(of_format_2.folder)
    document, other = (world.see(HAL).ids[path] for path in ("public.txt", "pay.txt"))
    then = world.ambient.now()
    world.clock.advance(60)
    world.put(draft("public.txt", "the canteen is closed", label))
    (key,) = world.ground.keys.wraps_of([document])
    assert key.stands
    assert key.run_id != ANY_RUN
    assert "the canteen is closed" in world.see(HAL).texts
    # Of an earlier time what stands is shown as ever; of what was replaced nothing says which label it had last.
    assert world.door.read(subject(HAL), "text", text_of(other), at=then) == "dora earns ninety"
    for who in (HAL, DORA, BOB):
        with pytest.raises(NotReadable):
            world.door.read(subject(who), "text", text_of(document), at=then)
    world.door.close()


def text_of(document: str) -> Callable[[GrantedReader], Answer[str]]:
    def work(reader: GrantedReader) -> Answer[str]:
        text = reader.document_text(document)
        return Answer([], lambda _: text)

    return work


def test_several_that_open_one_of_format_2_at_once_bring_it_to_the_newest_once(of_format_2: World) -> None:
    with ThreadPoolExecutor(4) as pool:
        worlds = list(pool.map(lambda _: open_world(of_format_2.folder), range(4)))
    for world in worlds:
        assert set(world.see(HAL).texts) == TEXTS
        world.door.close()
    assert dict(wraps(of_format_2)["key_meta"])["format"] == str(FORMAT)  # type: ignore[arg-type]
