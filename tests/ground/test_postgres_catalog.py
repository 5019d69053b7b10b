"""A catalog in Postgres: what is written down of its address, and what a server does that is gone, frozen or wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

import ringfence
from ringfence.cli import app
from ringfence_governance import catalog_url, postgres_engine
from ringfence_governance.door import Door
from ringfence_governance.errors import (
    InvalidInput,
    SequenceUnconfirmed,
    StoreBusy,
    StoreCorrupt,
    StoreError,
)
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.postgres_engine import PostgresDatabase

from .catalogs import database_of, rows, run
from .postgres_server import Server, running
from .worlds import ADMIN, World, bundle, draft, make_world, open_world

HAL, BOB = "acme/user:hal", "acme/user:bob"


@pytest.fixture
def world(postgres: Server, tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path / "world", catalog=postgres.url)
    world.put(draft("pay.txt", "salaries", "acme/label:payroll"))
    yield world
    world.door.close()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that a test may stop."""
    with running() as server:
        monkeypatch.setenv("PGPASSWORD", server.password)
        yield server


def schemas(server: Server) -> set[str]:
    with server.connect() as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ringfence%'")
        return {name for (name,) in found}


def backends(server: Server, like: str = "%") -> list[int]:
    """Process ids of the connections whose last statement is like that."""
    with server.connect() as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'ringfence' AND query LIKE %s", [like]
        )
        return [pid for (pid,) in found]


def cut(server: Server) -> int:
    """End all connections of stores, as a network or an administrator does."""
    with server.connect() as connection:
        for pid in (pids := backends(server)):
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    return len(pids)


# The address.


def test_the_password_is_used_and_written_nowhere(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    world = make_world(tmp_path / "world", catalog=postgres.url_with_password)
    assert json.loads((world.path / "store.json").read_text())["catalog"] == postgres.url
    world.see(HAL)
    files = [path for path in world.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if postgres.password.encode() in path.read_bytes()]
    assert postgres.password not in f"{database_of(world)!r} {database_of(world).name}"
    world.door.close()


def test_a_store_opens_by_the_password_of_the_environment_or_of_the_url_given_now(
    world: World, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_world(world.folder).door.close()
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        open_world(world.folder)
    assert "PGPASSWORD" in caught.value.hint
    door = Door.open(world.path, keys_home=world.home, catalog=postgres.url_with_password)
    door.close()


def test_a_wrong_password_is_named_as_such_and_not_shown(
    world: World, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "planted-password")
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        open_world(world.folder)
    assert "planted-password" not in f"{caught.value} {caught.value.hint}"


def test_a_store_opens_where_its_database_is_now(world: World, postgres: Server) -> None:
    moved = postgres.url.replace("127.0.0.1", "localhost")
    door = Door.open(world.path, keys_home=world.home, catalog=moved)
    door.close()


def test_a_database_that_does_not_hold_the_store_is_named(world: World, postgres: Server) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE another")
    with pytest.raises(StoreCorrupt, match="has no catalog of this store"):
        Door.open(world.path, keys_home=world.home, catalog=postgres.url.replace("/postgres", "/another"))


def test_the_file_of_a_store_is_never_exchanged_for_a_postgres(tmp_path: Path, postgres: Server) -> None:
    world = make_world(tmp_path / "world")
    with pytest.raises(InvalidInput, match="whose catalog is the file"):
        Door.open(world.path, keys_home=world.home, catalog=postgres.url)
    world.door.close()


def test_a_store_in_postgres_never_falls_back_to_a_file(world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other")
    other.door.close()
    (world.path / "catalog.db").write_bytes((other.path / "catalog.db").read_bytes())
    again = open_world(world.folder)
    assert again.see(HAL).texts == ("salaries",)
    again.door.close()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("planted", "found no URL"),
        ("mysql://planted@host/db", "'mysql'"),
        ("sqlite:///planted.db", "'sqlite'"),
        ("postgresql+psycopg2://planted@host/db", "psycopg2"),
        ("postgresql://planted@host:port/db", "found no URL"),
        ("postgresql://planted@host", "names no database"),
        ("postgresql://host/db?password=planted", "'password'"),
        ("postgresql://host/db?sslpassword=planted", "'sslpassword'"),
        ("postgresql://host/db?options=-cplanted", "'options'"),
        ("postgresql://host/db?target_session_attrs=any", "'target_session_attrs'"),
        ("", "found no URL"),
    ],
)
def test_what_is_no_address_of_a_postgres_is_refused_by_what_it_is(text: str, names: str) -> None:
    with pytest.raises(InvalidInput, match=r"^catalog: ") as caught:
        catalog_url.parse(text)
    assert names in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:se%40cret@host:5433/db", "postgresql://ann@host:5433/db"),
        ("postgres://:secret@host/db?sslmode=verify-full", "postgresql://host/db?sslmode=verify-full"),
        ("postgresql://ann:secret@/db?host=one&host=two", "postgresql://ann@/db?host=one&host=two"),
        ("postgresql://?service=team", "postgresql://?service=team"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    assert catalog_url.shown(text) == shown
    assert catalog_url.shown(shown) == shown


@pytest.mark.parametrize("catalog", [7, "mysql://host/db", "nothing", ["postgresql://host/db"]])
def test_a_marker_that_names_no_catalog_is_damaged(world: World, catalog: object) -> None:
    marker = json.loads((world.path / "store.json").read_text())
    (world.path / "store.json").write_text(json.dumps({**marker, "catalog": catalog}))
    with pytest.raises(StoreCorrupt, match="its marker"):
        open_world(world.folder)


def test_without_its_driver_what_to_install_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ringfence_governance.postgres_engine", None)
    with pytest.raises(StoreError, match="driver for Postgres") as caught:
        open_world(world.folder)
    assert caught.value.hint == "pip install 'ringfence[postgres]'"


# Making a store.


def test_the_command_line_and_the_sdk_take_an_address(postgres: Server, tmp_path: Path) -> None:
    place = tmp_path / "store"
    chosen = ["--admin", "acme/user:zoe", "--catalog", postgres.url_with_password]
    made = CliRunner().invoke(app, ["init", str(place), *chosen, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["catalog"] == postgres.url
    assert postgres.password not in made.output
    shown = CliRunner().invoke(app, ["policy", "show", str(place), "--as", "acme/user:zoe"])
    assert shown.exit_code == 0, shown.output
    with ringfence.open(place, catalog=postgres.url_with_password) as store:
        assert list(store.as_user("acme/user:zoe").list().documents) == []
    with ringfence.open(tmp_path / "another", admin=ADMIN, catalog=postgres.url):
        assert not (tmp_path / "another" / "catalog.db").exists()


def test_a_malformed_address_is_misuse_and_makes_nothing(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["init", str(tmp_path / "store"), "--catalog", "mysql://host/db", "--json"])
    assert (run.exit_code, json.loads(run.stdout)["error"]["type"]) == (2, "InvalidInput")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_did_not_come_to_be_leaves_nothing(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schemas(postgres)

    def fail(_: LanceTables) -> None:
        assert schemas(postgres) != before
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LanceTables, "create", fail)
    with pytest.raises(StoreError, match="nothing was left behind"):
        make_world(tmp_path / "world", catalog=postgres.url)
    assert schemas(postgres) == before
    assert not (tmp_path / "world" / "store").exists()


def test_no_server_there_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"catalog postgresql://ann@127\.0\.0\.1:1/db cannot be made"):
        Door.create(
            tmp_path / "store",
            bundle(),
            ADMIN,
            keys_home=tmp_path / "keys",
            catalog="postgresql://ann:planted@127.0.0.1:1/db",
        )
    assert not (tmp_path / "store").exists()
    assert not [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]


def test_a_server_that_takes_no_writes_is_not_asked(world: World, postgres: Server) -> None:
    """A standby may not know yet that a right was taken away."""
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE standing")
        connection.execute("ALTER DATABASE standing SET default_transaction_read_only = on")
    with pytest.raises(StoreError, match="read-only"):
        Door.open(world.path, keys_home=world.home, catalog=postgres.url.replace("/postgres", "/standing"))


def test_no_other_role_of_the_database_may_enter_a_store(world: World, postgres: Server) -> None:
    schema = f"ringfence_{world.ground.store_id}"
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE nosy")
        connection.execute("SET ROLE nosy")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f'SELECT * FROM "{schema}".meta')


def test_two_stores_of_one_database_do_not_hold_each_other_up(
    world: World, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "BUSY_TIMEOUT_S", 1.0)
    other = make_world(tmp_path / "other", catalog=postgres.url)
    with world.ground.catalog.write():
        assert other.add("g", BOB, "acme/group:hr")
    assert other.see(HAL).texts == ()
    other.door.close()


def test_a_commit_is_durable_though_the_server_would_not_wait(world: World, postgres: Server) -> None:
    for setting, within in (("off", "on"), ("remote_apply", "remote_apply")):
        with postgres.connect() as connection:
            connection.execute(f"ALTER ROLE ringfence SET synchronous_commit = {setting}")
        fresh = world.second()
        with fresh.ground.catalog.write() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == within
        fresh.door.close()
    with postgres.connect() as connection:
        connection.execute("ALTER ROLE ringfence RESET synchronous_commit")


# A server that goes away.


def test_a_server_that_was_started_anew_is_asked_again_without_an_error(own: Server, tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", catalog=own.url)
    world.put(draft("pay.txt", "salaries", "acme/label:payroll"))
    own.stop(signal.SIGQUIT)
    with pytest.raises(SequenceUnconfirmed, match=r"could not be asked for changes.*nothing is answered"):
        world.see(HAL)
    with pytest.raises(StoreError, match=r"cannot be written.*nothing was changed"):
        run(world, "UPDATE runs SET state = 'FAIL'")
    own.start()
    assert world.see(HAL).texts == ("salaries",)
    assert world.see(BOB).texts == ()
    assert world.add("g", BOB, "acme/group:hr")
    assert world.see(BOB).texts == ("salaries",)
    world.door.close()


def test_connections_that_were_cut_are_made_anew_and_what_changed_meanwhile_is_seen(
    world: World, postgres: Server
) -> None:
    assert world.see(HAL).texts == ("salaries",)
    other = world.second()
    assert cut(postgres) >= 2
    other.remove("g", HAL, "acme/group:hr")
    cut(postgres)
    assert world.see(HAL).texts == ()
    other.door.close()


def test_a_change_that_was_cut_off_is_not_made_and_the_next_one_is(world: World, postgres: Server) -> None:
    before = rows(world, "SELECT max(sequence) FROM entries")

    def change() -> None:
        with world.ground.catalog.write() as connection:
            world.ground.catalog.next_entry(connection, "policy")
            cut(postgres)
            world.ground.catalog.next_entry(connection, "policy")

    with pytest.raises(StoreError, match="nothing was changed"):
        change()
    assert rows(world, "SELECT max(sequence) FROM entries") == before
    assert world.add("g", BOB, "acme/group:hr")


def test_a_change_whose_commit_was_cut_off_is_said_to_be_unknown(world: World, postgres: Server) -> None:
    """It may have been made: nobody may say that nothing was changed."""

    def change() -> None:
        with world.ground.catalog.write() as connection:
            world.ground.catalog.next_entry(connection, "policy")
            cut(postgres)

    with pytest.raises(StoreError, match="whether the change was made is not known"):
        change()


def test_a_frozen_server_makes_nobody_wait_and_nothing_is_answered(
    world: World, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "CONFIRM_TIMEOUT_S", 0.5)
    assert world.see(HAL).texts == ("salaries",)
    (watching,) = backends(postgres, f'%ringfence_{world.ground.store_id}".changes%')
    os.kill(watching, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(SequenceUnconfirmed, match=r"did not say within 0\.5 s .*nothing is answered"):
            world.see(HAL)
        assert time.monotonic() - started < 4
    finally:
        os.kill(watching, signal.SIGCONT)
    monkeypatch.undo()
    assert world.see(HAL).texts == ("salaries",)


def test_a_mark_is_waited_for_no_longer_by_many_than_by_one(
    world: World, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "CONFIRM_TIMEOUT_S", 1.0)
    catalog = world.ground.catalog
    catalog.mark()
    (watching,) = backends(postgres, f'%ringfence_{world.ground.store_id}".changes%')
    took: list[float] = []

    def ask() -> None:
        started = time.monotonic()
        with pytest.raises(SequenceUnconfirmed):
            catalog.mark()
        took.append(time.monotonic() - started)

    os.kill(watching, signal.SIGSTOP)
    try:
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    finally:
        os.kill(watching, signal.SIGCONT)
    assert len(took) == 4
    assert max(took) < 3.5


def test_a_read_that_takes_too_long_is_a_no(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_engine, "READ_TIMEOUT_S", 0.3)
    fresh = world.second()
    with pytest.raises(SequenceUnconfirmed, match=r"was not read within 0\.3 s; nothing is answered"):
        rows(fresh, "SELECT pg_sleep(5)")
    fresh.door.close()


def test_the_words_of_the_server_hold_no_value(world: World) -> None:
    with pytest.raises(StoreCorrupt) as caught:
        run(world, "INSERT INTO meta VALUES ('schema', 'planted')")
    assert "planted" not in str(caught.value)
    with pytest.raises(StoreError) as refused:
        run(world, "INSERT INTO leases (name, number) VALUES ('x', cast(:word AS integer))", word="planted")
    assert "planted" not in str(refused.value)


def test_more_that_ask_at_once_than_there_are_connections_are_told_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "BUSY_TIMEOUT_S", 0.3)
    fresh = world.second()
    database = database_of(fresh)
    held = [database.read() for _ in range(15)]
    for one in held:
        one.__enter__()
    try:
        with pytest.raises(StoreBusy, match="too many at once"):
            rows(fresh, "SELECT 1")
    finally:
        for one in held:
            one.__exit__(None, None, None)
    assert rows(fresh, "SELECT 1") == [(1,)]
    fresh.door.close()


def test_a_forked_process_speaks_on_connections_of_its_own(world: World, postgres: Server) -> None:
    database = PostgresDatabase(catalog_url.parse(postgres.url), world.ground.store_id)
    mark = database.mark()
    with database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with database.write() as connection:
                connection.exec_driver_sql("UPDATE runs SET state = state")
            code = 0 if database.mark() != mark else 2
            database.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    changed = database.mark()
    assert (changed[0], changed[1]) == (mark[0], mark[1] + 1)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM publications").scalar() == 2
    database.close()
