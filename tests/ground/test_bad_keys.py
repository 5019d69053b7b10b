"""Keys that are damaged, of another shape or malformed: each is named with what to do, and no text comes out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ringfence_governance.errors import RingfenceError, StoreBusy
from ringfence_governance.key_choice import PROVIDER_FILE

from .policy_files import HAL, OWN, OWN_LABELS, PAYROLL
from .worlds import ADMIN, WHY, World, bundle, database, draft, make_world, open_world, subject


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 50_000,
        b" " * 100_000,
        b'{"format": true, "kind": "file"}',
        b'{"format": 1}',
        b'{"format": 1, "kind": "vault"}',
        b'{"format": 1, "kind": ["file"]}',
        b'{"format": 2, "kind": "file"}',
        b'{"format": 1, "kind": "aws-kms"}',
        b'{"format": 1, "kind": "aws-kms", "keys": {"0": "x"}, "given": []}',
        b'{"format": 1, "kind": "aws-kms", "keys": {"1": 5}, "given": []}',
        b'{"format": 1, "kind": "aws-kms", "keys": {"1": "x"}, "given": [2]}',
    ],
)
def test_a_malformed_provider_file_is_named(alone: World, text: bytes) -> None:
    alone.door.close()
    (alone.keys / PROVIDER_FILE).write_bytes(text)
    with pytest.raises(RingfenceError, match=r"provider\.json") as caught:
        open_world(alone.folder)
    assert caught.value.hint


@pytest.mark.parametrize("table", ["generations", "store_keys", "label_keys", "document_keys"])
def test_a_flipped_bit_in_a_wrapped_key_gives_no_text(alone: World, table: str) -> None:
    alone.door.close()
    with database(alone.keys / "keys.db") as opened:
        for number, wrapped in opened.execute(f"SELECT rowid, wrapped FROM {table}").fetchall():
            changed = bytes(wrapped[:-1]) + bytes([wrapped[-1] ^ 1])
            opened.execute(f"UPDATE {table} SET wrapped = ? WHERE rowid = ?", [changed, number])
        opened.commit()
    with pytest.raises(RingfenceError, match="does not open"):
        open_world(alone.folder).see(HAL)


@pytest.mark.parametrize("kept", [0, 100, 4096])
def test_a_truncated_key_database_is_named(alone: World, kept: int) -> None:
    alone.door.close()
    path = alone.keys / "keys.db"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RingfenceError, match=r"keys\.db|key database"):
        open_world(alone.folder)


def test_a_newer_key_database_is_named(alone: World) -> None:
    alone.door.close()
    with database(alone.keys / "keys.db") as opened:
        opened.execute("UPDATE key_meta SET value = '4' WHERE name = 'format'")
        opened.commit()
    with pytest.raises(RingfenceError, match="is of format 4; expected 3") as caught:
        open_world(alone.folder)
    assert caught.value.hint


def test_of_two_rotations_at_once_each_is_whole_or_refused(alone: World) -> None:
    worlds, said = [alone, alone.second()], []

    def rotate(world: World) -> None:
        try:
            said.append(world.door.rotate_keys(subject(ADMIN), WHY, retire=True)["generation"])
        except StoreBusy:
            said.append("busy")

    threads = [threading.Thread(target=rotate, args=(world,)) for world in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 2
    assert any(isinstance(each, int) for each in said)
    texts = alone.see(HAL).texts
    worlds[1].door.close()
    assert texts
    assert alone.reopened().see(HAL).texts == texts


def test_a_rotation_retires_on_either_database(catalog_url: str | None, tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", policy=bundle(OWN, OWN_LABELS), catalog=catalog_url)
    world.put(draft("pay.txt", "dora earns ninety", PAYROLL))
    for _ in range(2):
        world.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    world = world.reopened()
    assert world.see(HAL).texts == ("dora earns ninety",)
    with world.ground.catalog.read() as connection:
        assert world.ground.catalog.meta(connection, "keys_retired") == "2"
    world.door.close()
