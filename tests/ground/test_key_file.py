"""The key file is outside the store, its owner's alone, and of this very store; or nothing opens."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ringfence_governance import key_file
from ringfence_governance.door import Door
from ringfence_governance.errors import KeyUnavailable, StoreError
from ringfence_governance.key_file import FILE_NAME, MasterKey

from .worlds import ADMIN, World, bundle, make_world, open_world

KEY = MasterKey("a" * 32, 1, b"s" * 32)


def test_init_writes_a_key_file_that_only_its_owner_reads(world: World) -> None:
    assert stat.S_IMODE((world.keys / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(world.keys.stat().st_mode) == 0o700


def test_its_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = key_file.write(tmp_path / "keys", KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = key_file.write(tmp_path, KEY)
    before = path.read_bytes()
    with pytest.raises(KeyUnavailable, match="expected a new file"):
        key_file.write(tmp_path, MasterKey("a" * 32, 1, b"t" * 32))
    assert path.read_bytes() == before


def test_a_link_in_its_place_is_not_followed_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyUnavailable):
        key_file.write(tmp_path / "keys", KEY)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    key_file.write(tmp_path, KEY)
    assert key_file.read(tmp_path, KEY.store_id) == (KEY,)


@pytest.mark.parametrize("through", ["directly", "a link to the store", "a link in the store", "dots"])
def test_a_key_folder_inside_the_store_is_refused(tmp_path: Path, through: str) -> None:
    store = tmp_path / "store"
    (store / "keys").mkdir(parents=True)
    (tmp_path / "link").symlink_to(store)
    (tmp_path / "inner").symlink_to(store / "keys")
    (tmp_path / "other").mkdir()
    home = {
        "directly": store / "keys",
        "a link to the store": tmp_path / "link" / "keys",
        "a link in the store": tmp_path / "inner",
        "dots": tmp_path / "other" / ".." / "store" / "keys",
    }[through]
    with pytest.raises(KeyUnavailable, match="inside the store"):
        key_file.refuse_inside(store, home / KEY.store_id)


def test_a_store_is_not_made_with_its_key_inside(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="expected a folder outside it"):
        Door.create(tmp_path / "store", bundle(), ADMIN, keys_home=tmp_path / "store" / "keys")
    assert not list(tmp_path.iterdir())


def test_a_store_whose_keys_were_moved_inside_does_not_open(world: World) -> None:
    world.door.close()
    world.home.rename(world.path / "keys")
    with pytest.raises(KeyUnavailable, match="inside the store"):
        Door.open(world.path, keys_home=world.path / "keys")
    world.home.symlink_to(world.path / "keys")
    with pytest.raises(KeyUnavailable, match="inside the store"):
        Door.open(world.path, keys_home=world.home)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o602, 0o610, 0o666])
def test_a_key_file_others_may_touch_is_refused(world: World, mode: int) -> None:
    world.door.close()
    (world.keys / FILE_NAME).chmod(mode)
    with pytest.raises(KeyUnavailable, match=f"found mode {mode:04o} on .*; expected 0600") as caught:
        open_world(world.folder)
    assert caught.value.hint.startswith("chmod 600 ")


def test_a_link_to_the_key_file_is_refused(world: World) -> None:
    world.door.close()
    (world.keys / FILE_NAME).rename(world.folder / "moved")
    (world.keys / FILE_NAME).symlink_to(world.folder / "moved")
    with pytest.raises(KeyUnavailable, match="cannot open"):
        open_world(world.folder)


def test_a_missing_key_file_is_named_with_what_to_do(world: World) -> None:
    world.door.close()
    (world.keys / FILE_NAME).unlink()
    with pytest.raises(KeyUnavailable, match="without the key nothing opens") as caught:
        open_world(world.folder)
    assert "RINGFENCE_HOME" in caught.value.hint


def test_the_key_of_another_store_is_refused(world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other")
    world.door.close()
    (world.keys / FILE_NAME).write_bytes((other.keys / FILE_NAME).read_bytes())
    with pytest.raises(KeyUnavailable, match="is of another store"):
        open_world(world.folder)


def test_another_key_under_this_stores_name_opens_nothing(world: World) -> None:
    world.door.close()
    (world.keys / FILE_NAME).unlink()
    key_file.write(world.keys, MasterKey(world.keys.name, 1, b"w" * 32))
    with pytest.raises(
        KeyUnavailable, match=r"master\.key' does not open|does not open the key database"
    ) as caught:
        open_world(world.folder)
    assert "belong together" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00binary\x80" * 40,
        b"ringfence-master-key-1 STORE 1",
        b"ringfence-master-key-0 STORE 1 SECRET",
        b"ringfence-master-key-1 STORE one SECRET",
        "ringfence-master-key-1 STORE ² SECRET".encode(),
        b"ringfence-master-key-1 STORE 1 c2hvcnQ=",
        b"ringfence-master-key-1 STORE 1 not-base64!",
        b"ringfence-master-key-1 STORE 1 SECRET more",
        b"ringfence-master-key-1 STORE 1 " + b"A" * 100_000,
    ],
)
def test_a_malformed_key_file_is_refused_and_not_quoted(world: World, content: bytes) -> None:
    world.door.close()
    path = world.keys / FILE_NAME
    secret = path.read_bytes().split()[3]
    path.write_bytes(content.replace(b"STORE", world.keys.name.encode()).replace(b"SECRET", secret))
    with pytest.raises(KeyUnavailable, match="is malformed") as caught:
        open_world(world.folder)
    assert secret.decode() not in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_plain_file_is_refused_and_not_waited_for(world: World, kind: str) -> None:
    world.door.close()
    path = world.keys / FILE_NAME
    path.unlink()
    path.mkdir(mode=0o700) if kind == "folder" else os.mkfifo(path, 0o600)
    with pytest.raises(KeyUnavailable, match="is no plain file"):
        open_world(world.folder)


def test_a_missing_key_database_is_named(world: World) -> None:
    world.door.close()
    (world.keys / "keys.db").unlink()
    with pytest.raises(KeyUnavailable, match="key database: none at"):
        open_world(world.folder)


def test_the_key_database_of_another_store_opens_nothing(world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other")
    other.door.close()
    world.door.close()
    for file in world.keys.glob("keys.db*"):
        file.unlink()
    (world.keys / "keys.db").write_bytes((other.keys / "keys.db").read_bytes())
    with pytest.raises(KeyUnavailable, match="does not open the key database"):
        open_world(world.folder)


@pytest.mark.parametrize("content", [b"", b"no database at all " * 100], ids=["empty", "garbage"])
def test_a_damaged_key_database_is_named(world: World, content: bytes) -> None:
    world.door.close()
    for file in world.keys.glob("keys.db*"):
        file.unlink()
    (world.keys / "keys.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"keys\.db"):
        open_world(world.folder)


def test_the_folder_of_keys_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path / "here"))
    assert key_file.keys_folder("a" * 32) == tmp_path / "here" / ("a" * 32)
    monkeypatch.delenv("RINGFENCE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert key_file.keys_home() == tmp_path / "data" / "ringfence"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_file.keys_home() == tmp_path / ".local" / "share" / "ringfence"


def test_a_home_that_cannot_be_written_is_named_and_no_store_is_left(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, no folder")
    with pytest.raises(KeyUnavailable, match="cannot write") as caught:
        Door.create(tmp_path / "store", bundle(), ADMIN, keys_home=tmp_path / "home")
    assert "RINGFENCE_HOME" in caught.value.hint
    assert not (tmp_path / "store").exists()
