"""A store in a bucket: what lies there, what does not, and what a server that fails or refuses leads to."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lance
import obstore
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import ringfence
from ringfence.cli import app
from ringfence_governance import store_files
from ringfence_governance.bucket import Bucket
from ringfence_governance.bucket_stores import is_store
from ringfence_governance.catalog import Catalog
from ringfence_governance.door import Door
from ringfence_governance.errors import (
    InvalidInput,
    KeyUnavailable,
    RingfenceError,
    StoreCorrupt,
    StoreError,
    StoreVersionMismatch,
)
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import Versions

from .object_server import BUCKET, ObjectServer
from .postgres_server import Server
from .worlds import ADMIN, World, bundle, draft, make_world, open_world

HAL, DEX = "acme/user:hal", "acme/user:dex"
CANARIES = ("zanzibarquokka", "velvetnarwhal", "obsidianheron")


@pytest.fixture
def world(address: str, tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path / "world", address=address)
    yield world
    world.door.close()


def beneath(address: str) -> str:
    return address.removeprefix(f"s3://{BUCKET}/")


def left_behind(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path != folder / "keys")


def make(address: str, folder: Path, **settings: str) -> None:
    Door.create(address, bundle(), ADMIN, keys_home=folder / "keys", storage_options=settings or None)


def test_no_planted_word_name_or_secret_lies_in_any_object_or_is_left_on_the_disk(
    world: World, address: str, objects: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    word, name, title = CANARIES
    world.put(draft(f"{name}.txt", f"{word} is said here", title=title), who=DEX)
    with world.ingestion(DEX) as ingestion:
        assert ingestion.relabel(f"{name}.txt", "acme/label:payroll")
    assert any(word in text for text in world.see(HAL).texts)
    found = objects.objects(beneath(address))
    assert len(found) > 10
    content = b"\n".join([*map(str.encode, found), *found.values()]).lower()
    for canary in (*CANARIES, "acme/label", "acme/user", "writer-secret", "writer-key", "127.0.0.1"):
        assert canary.encode() not in content, canary
    assert not list(temporary.rglob("*"))
    on_disk = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
    for secret in ("writer-secret", "writer-key", *CANARIES):
        assert secret.encode() not in on_disk, secret


def test_the_bucket_holds_tables_and_marker_and_the_local_folder_the_rest(
    world: World, address: str, objects: ObjectServer
) -> None:
    world.put(draft("a", "one"), who=DEX)
    store_id = world.ground.store_id
    kinds = {
        re.sub(rf"^{store_id}/lance/\w+\.lance/.*", "a table", name.removeprefix(f"{beneath(address)}/"))
        for name in objects.objects(beneath(address))
    }
    assert kinds == {"store.json", "a table"}
    assert {path.name for path in world.path.iterdir()} >= {"audit", "lineage", "catalog.db"}
    assert not (world.path / "lance").exists()


@pytest.mark.parametrize(
    "step",
    [(store_files.publications, "publish"), (LanceTables, "create"), (Catalog, "create"), (Bucket, "add")],
)
def test_a_step_of_the_making_that_fails_leaves_nothing_behind(
    address: str,
    objects: ObjectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[object, str],
) -> None:
    real: Callable[..., object] = getattr(*step)

    def fail(*arguments: object, **settings: object) -> None:
        real(*arguments, **settings)  # what was done and not answered is undone as well
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*step, fail)
    with pytest.raises(StoreError, match="No space left"):
        make(address, tmp_path)
    assert left_behind(tmp_path) == []
    assert objects.objects(beneath(address)) == {}


def test_of_two_who_make_a_store_at_one_address_one_is_refused_and_the_others_is_whole(
    address: str, objects: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LanceTables.create

    def overtaken(self: LanceTables) -> Versions:
        """Both have found the place empty."""
        monkeypatch.setattr(LanceTables, "create", real)
        (tmp_path / "first").mkdir()
        make(address, tmp_path / "first")
        return real(self)

    monkeypatch.setattr(LanceTables, "create", overtaken)
    with pytest.raises(StoreError, match="holds one by now"):
        make(address, tmp_path / "second")
    assert left_behind(tmp_path / "second") == []
    Door.open(address, keys_home=tmp_path / "first" / "keys").close()


def test_the_server_lets_one_of_many_add_an_object(address: str, objects: ObjectServer) -> None:
    """What all the rest stands on: a put that asks for nothing to be there yet."""
    place = Bucket.parse(address)

    def add(number: int) -> bool:
        try:
            place.add("one", b"%d" % number * 5000)
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(add, range(8))) == 1


@pytest.mark.soak
def test_of_many_who_commit_to_one_table_none_is_lost(address: str, objects: ObjectServer) -> None:
    options = Bucket.parse(address).lance_options()
    lance.write_dataset(pa.table({"a": [0]}), f"{address}/t.lance", storage_options=options)

    def insert(number: int) -> None:
        lance.dataset(f"{address}/t.lance", storage_options=options).insert(pa.table({"a": [number]}))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(insert, range(1, 9)))
    table = lance.dataset(f"{address}/t.lance", storage_options=options)
    assert sorted(table.to_table()["a"].to_pylist()) == list(range(9))


@pytest.mark.parametrize("there", ["somebody.txt", "deep/er/file"])
def test_a_prefix_that_holds_something_else_is_refused_and_left_alone(
    address: str, objects: ObjectServer, tmp_path: Path, there: str
) -> None:
    obstore.put(objects.store(), f"{beneath(address)}/{there}", b"theirs")
    with pytest.raises(StoreError, match="not empty"):
        make(address, tmp_path)
    assert left_behind(tmp_path) == []
    assert list(objects.objects(beneath(address)).values()) == [b"theirs"]
    assert not is_store(address)


def test_a_neighbour_whose_name_begins_alike_is_no_hindrance(
    address: str, objects: ObjectServer, tmp_path: Path
) -> None:
    obstore.put(objects.store(), f"{beneath(address)}-more/file", b"theirs")
    make(address, tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aws_secret_access_key": "wrong"}, "credentials are not accepted"),
        ({"aws_access_key_id": "nobody"}, "credentials are not accepted"),
        ({"aws_access_key_id": "reader-key", "aws_secret_access_key": "reader-secret"}, "access is denied"),
        ({"aws_endpoint": "http://127.0.0.1:1"}, "cannot be reached"),
    ],
)
def test_who_may_not_or_cannot_make_a_store_is_told_why_and_nothing_is_left(
    address: str, objects: ObjectServer, tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        make(address, tmp_path, **options)
    for value in options.values():
        assert value not in f"{caught.value!r} {caught.value.hint}"
    assert left_behind(tmp_path) == []
    assert objects.objects(beneath(address)) == {}


def test_a_bucket_that_is_missing_is_named_and_not_made(
    address: str, objects: ObjectServer, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"nobodys-bucket.*no such bucket"):
        make("s3://nobodys-bucket/x", tmp_path)
    with pytest.raises(StoreError, match="no such bucket"):
        Door.open("s3://nobodys-bucket/x", keys_home=tmp_path / "keys")
    assert left_behind(tmp_path) == []


def test_who_may_only_read_the_bucket_reads_and_writes_nothing(
    world: World, objects: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(draft("a", "one"), who=DEX)
    for name, value in objects.environment("reader").items():
        monkeypatch.setenv(name, value)
    again = open_world(world.folder, world.clock)
    before = again.ground.moment().publication
    assert again.see(HAL).texts == ("one",)
    with pytest.raises(StoreError, match=r"access is denied.*nothing was published"):
        again.put(draft("b", "two"), who=DEX)
    assert again.ground.moment().publication == before
    assert again.see(HAL).texts == ("one",)
    again.door.close()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{", StoreCorrupt),
        (b'{"format": 99}', StoreVersionMismatch),
        (b'{"format": 1, "mode": "sealed", "store": "../../x"}', StoreCorrupt),
        (b"\xff\xfe", StoreCorrupt),
    ],
)
def test_a_marker_that_is_not_ours_is_refused(
    address: str, objects: ObjectServer, tmp_path: Path, content: bytes, error: type[RingfenceError]
) -> None:
    obstore.put(objects.store(), f"{beneath(address)}/store.json", content)
    with pytest.raises(error):
        Door.open(address, keys_home=tmp_path / "keys")


def test_a_log_or_a_key_that_is_not_here_is_asked_for_and_never_made_anew(world: World, address: str) -> None:
    world.door.close()
    moved = world.path.rename(world.path.with_name("elsewhere"))
    with pytest.raises(StoreCorrupt, match=r"its log is not at"):
        open_world(world.folder)
    assert not world.keys.with_name(f"{world.keys.name}.local").exists()
    moved.rename(world.keys.with_name(f"{world.keys.name}.local"))
    with pytest.raises(KeyUnavailable):
        Door.open(address, keys_home=world.folder / "no keys")
    open_world(world.folder).door.close()


def test_tables_that_are_gone_are_named(world: World, address: str, objects: ObjectServer) -> None:
    world.put(draft("a", "one"), who=DEX)
    for name in objects.objects(beneath(address)):
        if "/documents.lance/" in name:
            obstore.delete(objects.store(), name)
    again = open_world(world.folder)
    with pytest.raises(StoreError, match="documents table"):
        again.see(HAL)
    again.door.close()


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3://UPPER/x",
        "s3://bucket/../x",
        "s3://bucket//x",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?endpoint=http://evil",
        "s3://bucket/x#y",
        "s3://bucket/a b",
    ],
)
def test_an_address_of_another_form_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(InvalidInput, match="no s3://BUCKET/PREFIX") as caught:
        Bucket.parse(address)
    assert "secret" not in str(caught.value)


def test_options_that_nobody_knows_and_a_network_without_tls_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with pytest.raises(InvalidInput, match="proxy_url"):
        Bucket.parse("s3://bucket/x", {"proxy_url": "http://evil"})
    with pytest.raises(InvalidInput, match="without TLS"):
        Bucket.parse("s3://bucket/x", {"aws_endpoint": "http://storage.example"})
    with pytest.raises(InvalidInput, match="credentials in the endpoint"):
        Bucket.parse("s3://bucket/x", {"aws_endpoint": "https://key:hidden@storage.example"})
    assert "hidden" not in repr(Bucket.parse("s3://bucket/x", {"aws_secret_access_key": "hidden"}))
    trusted = {"aws_endpoint": "http://storage.example", "allow_http": "true"}
    assert Bucket.parse("s3://bucket/x", trusted).options["allow_http"] == "true"
    with pytest.raises(InvalidInput, match="store in a folder"):
        Door.is_store("somewhere", storage_options={"aws_region": "x"})


def test_a_store_in_a_bucket_keeps_its_catalog_in_postgres_too(
    address: str, postgres: Server, objects: ObjectServer, tmp_path: Path
) -> None:
    world = make_world(tmp_path / "world", address=address, catalog=postgres.url)
    world.put(draft("a", "one"), who=DEX)
    again = world.second()
    assert again.see(HAL).texts == ("one",)
    assert not (world.path / "catalog.db").exists()
    marker = objects.objects(beneath(address))[f"{beneath(address)}/store.json"]
    assert postgres.password.encode() not in marker
    again.door.close()
    world.door.close()


def test_the_command_line_makes_fills_and_asks_a_store_in_a_bucket(address: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("the canteen opens at nine")
    call = CliRunner().invoke
    made = call(app, ["init", address, "--admin", "acme/user:ada", "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["store"] == address
    filled = call(
        app, ["ingest", address, str(file), "--as", "acme/user:ada", "--embedder", "hash", "--json"]
    )
    assert filled.exit_code == 0, filled.output
    found = call(app, ["search", address, "canteen", "--as", "acme/user:ada", "--embedder", "hash", "--json"])
    assert "canteen" in found.stdout
    nowhere = call(app, ["status", f"{address}-else", "--json"])
    assert nowhere.exit_code == 2
    with ringfence.open(address) as store:
        assert store.as_user("acme/user:ada").list()
        assert repr(store) == f"Store({address!r})"
