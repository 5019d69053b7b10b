"""A rotated master key: everything opens under the new one, nothing under the old one once it is retired."""

from __future__ import annotations

import base64
import shutil
import signal
from pathlib import Path

import pytest

from ringfence_governance.door import Door
from ringfence_governance.errors import KeyUnavailable, Refused, RingfenceError, StoreBusy, WriterExpelled
from ringfence_governance.key_file import FILE_NAME
from ringfence_governance.key_local import VARIABLE

from .dying import ROTATION_STEPS, Instants, watched
from .policy_files import HAL, OWN, OWN_LABELS, PAYROLL
from .worlds import ADMIN, WHY, World, bundle, copy_world, database, draft, open_world, process, subject

KILLED_AT_MOST = 12


def rotate(world: World, *, retire: bool = False) -> dict[str, object]:
    return world.door.rotate_keys(subject(ADMIN), WHY, retire=retire)


def key_bytes(world: World) -> list[bytes]:
    """Every wrap there is, as it lies in the database."""
    with database(world.keys / "keys.db") as opened:
        return [
            bytes(wrapped)
            for table in ("generations", "store_keys", "label_keys", "document_keys")
            for (wrapped,) in opened.execute(f"SELECT wrapped FROM {table} WHERE wrapped IS NOT NULL")
        ]


def lance_files(world: World) -> dict[str, bytes]:
    root = world.path / "lance"
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("retire", [False, True])
def test_a_rotation_rewrites_every_wrap_and_no_content(alone: World, retire: bool) -> None:
    before, content, seen = set(key_bytes(alone)), lance_files(alone), alone.see(HAL)
    rotate(alone, retire=retire)
    kept = before & set(key_bytes(alone))
    assert len(kept) == (0 if retire else 1), "without --retire, only the old generation's own key stays"
    assert lance_files(alone) == content
    assert alone.see(HAL).texts == seen.texts == alone.reopened().see(HAL).texts


def test_retired_keys_are_in_no_file(alone: World) -> None:
    before = key_bytes(alone)
    secret = (alone.keys / FILE_NAME).read_text().split()[3].encode()
    assert rotate(alone, retire=True)["cleared"]
    everything = b"".join(file.read_bytes() for file in alone.keys.iterdir() if file.is_file())
    assert secret not in everything
    assert not [wrap for wrap in before if wrap in everything]


def test_an_older_copy_of_the_key_database_is_refused_once_retired(alone: World, tmp_path: Path) -> None:
    alone.door.close()
    old = Path(shutil.copytree(alone.keys, tmp_path / "old"))
    world = open_world(alone.folder)
    rotate(world, retire=True)
    world.door.close()
    for file in alone.keys.glob("keys.db*"):
        file.unlink()
    shutil.copy2(old / "keys.db", alone.keys / "keys.db")
    with pytest.raises(KeyUnavailable, match="no generation 1"):
        open_world(alone.folder)
    shutil.copy2(old / FILE_NAME, alone.keys / FILE_NAME)
    with pytest.raises(KeyUnavailable, match="all were retired"):
        open_world(alone.folder)


def test_who_may_not_administer_changes_nothing(alone: World) -> None:
    before = key_bytes(alone)
    with pytest.raises(Refused):
        alone.door.rotate_keys(subject(HAL), WHY)
    assert key_bytes(alone) == before


def test_an_open_ingestion_keeps_a_rotation_out(alone: World) -> None:
    before = key_bytes(alone)
    with alone.ingestion() as ingestion:
        ingestion.put(draft("late.txt", "a late note", PAYROLL))
        with pytest.raises(StoreBusy):
            rotate(alone)
        assert key_bytes(alone) == before
    assert "late.txt" in alone.see(HAL).paths


def test_a_wrap_made_before_a_rotation_is_not_kept_after_it(alone: World) -> None:
    entry = next(each for each in alone.ground.moment().table.entries.values() if not each.parts)
    alone.ground.keys.ensure_label_key(entry)
    _, wrap = alone.ground.keys.new_document_key("0" * 32, "1" * 32, entry)
    rotate(alone)
    with pytest.raises(WriterExpelled):
        alone.ground.keys.keep([wrap])


def test_a_process_that_has_the_store_open_reads_and_writes_on(alone: World) -> None:
    with process("look", alone.folder, HAL) as other:
        paths = other.hear()["paths"]
        rotate(alone, retire=True)
        other.tell()
        assert other.hear()["paths"] == paths
    alone.put(draft("after.txt", "written after it", PAYROLL))
    assert "after.txt" in alone.see(HAL).paths


def test_a_key_that_does_not_open_stops_the_rotation_whole(alone: World) -> None:
    with database(alone.keys / "keys.db") as opened:
        opened.execute(
            "UPDATE document_keys SET wrapped = zeroblob(60) WHERE rowid = (SELECT max(rowid) FROM document_keys)"
        )
        opened.commit()
    before = key_bytes(alone)
    with pytest.raises(RingfenceError, match="nothing was wrapped anew"):
        rotate(alone, retire=True)
    assert key_bytes(alone) == before
    assert open_world(alone.folder).door


def test_killed_at_any_instant_a_rotation_leaves_a_store_that_opens(
    alone_template: World, tmp_path: Path
) -> None:
    counted = copy_world(alone_template, tmp_path / "counted")
    with watched(Instants(), ROTATION_STEPS) as instants:
        rotate(counted, retire=True)
    expected = counted.see(HAL).texts
    assert expected
    assert instants.count > KILLED_AT_MOST
    counted.door.close()
    step = instants.count / KILLED_AT_MOST
    for instant in sorted({1 + int(number * step) for number in range(KILLED_AT_MOST)}):
        world = copy_world(alone_template, tmp_path / str(instant))
        world.door.close()
        with process("rotate", world.folder, str(instant)) as dying:
            assert dying.hear_out()[-1] == {"ready": True}, instant
        assert dying.child.wait() == -signal.SIGKILL
        world = open_world(world.folder)
        assert world.see(HAL).texts == expected, instant
        rotate(world, retire=True)
        assert world.see(HAL).texts == expected, instant
        assert len((world.keys / FILE_NAME).read_text().splitlines()) == 1, instant
        assert sorted(each.name for each in world.keys.glob(".*")) == [], instant
        world.door.close()


def test_a_master_key_in_the_environment_is_rotated_by_adding_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    monkeypatch.setenv(VARIABLE, f"1:{keys[0]}")
    home, path = tmp_path / "home", tmp_path / "store"
    door, named = Door.create(path, bundle(OWN, OWN_LABELS), ADMIN, keys_home=home, keys="environment")
    assert keys[0] not in named.read_text()
    with pytest.raises(KeyUnavailable, match="no generation newer than 1"):
        door.rotate_keys(subject(ADMIN), WHY)
    monkeypatch.setenv(VARIABLE, f"1:{keys[0]} 2:{keys[1]}")
    try:
        done = door.rotate_keys(subject(ADMIN), WHY, retire=True)
        assert [each["destroyed"] for each in done["retired"]] == [False]
    finally:
        door.close()
    for value, message in [
        ("", "is not set"),
        (f"2:{keys[0]}", "does not open"),
        (f"1:{keys[0]}", "no generation 2"),
        ("2:AA", "malformed"),
    ]:
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(KeyUnavailable, match=message):
            Door.open(path, keys_home=home)
    monkeypatch.setenv(VARIABLE, f"2:{keys[1]}")
    Door.open(path, keys_home=home).close()
