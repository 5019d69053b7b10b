"""One store, made once and copied for each test that wants one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ringfence_governance.audit_desk import AuditDesk

from .desks import used_world
from .every_row import fill
from .object_server import BUCKET, ObjectServer, running_objects
from .past_times import DORA, LEE, OLGA
from .policy_files import OWN, OWN_LABELS, PAYROLL, SALARIES, STAFF
from .postgres_server import Server, running
from .worlds import INDEXED, World, bundle, copy_world, draft, label, make_world, subject


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An empty store with the policy of :mod:`worlds`. Tests take `world`, its copy."""
    world = make_world(tmp_path_factory.mktemp("template"))
    world.door.close()
    return world


@pytest.fixture(scope="session")
def filled_template(template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = copy_world(template, tmp_path_factory.mktemp("filled"))
    world.put(
        draft("public.txt", "the canteen opens at nine\nand closes at two", "acme/label:staff"),
        draft("pay/salaries.txt", "dora earns ninety\nhal earns eighty", "acme/label:payroll"),
        draft("project.txt", "the offer to meridian", "acme/label:project"),
        draft("board.txt", "the merger with tarnfield", "acme/label:board"),
        draft("ann.txt", "a note of ann", label("acme/user:ann")),
    )
    world.put(draft("plans.txt", "the foundry closes", "borealis/label:plans"), who="borealis/user:bo")
    world.door.close()
    return world


@pytest.fixture
def world(template: World, tmp_path: Path) -> Iterator[World]:
    """An empty store of its own."""
    world = copy_world(template, tmp_path / "world")
    yield world
    world.door.close()


@pytest.fixture
def filled(filled_template: World, tmp_path: Path) -> Iterator[World]:
    """A store of its own with documents under several labels."""
    world = copy_world(filled_template, tmp_path / "world")
    yield world
    world.door.close()


@pytest.fixture(scope="session")
def alone_template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A store of one tenant, whose administrator was given his rights when it was made."""
    world = make_world(tmp_path_factory.mktemp("alone"), policy=bundle(OWN, OWN_LABELS))
    world.put(draft(SALARIES, "dora earns ninety", PAYROLL), draft("public.txt", "the canteen", STAFF))
    world.door.close()
    return world


@pytest.fixture
def alone(alone_template: World, tmp_path: Path) -> Iterator[World]:
    """A store of one tenant of its own."""
    world = copy_world(alone_template, tmp_path / "world")
    yield world
    world.door.close()


@pytest.fixture(scope="session")
def indexed_template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An empty indexed store."""
    world = make_world(tmp_path_factory.mktemp("indexed"), mode=INDEXED)
    world.door.close()
    return world


@pytest.fixture(scope="session")
def indexed_filled_template(indexed_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """An indexed store of two publications."""
    world = copy_world(indexed_template, tmp_path_factory.mktemp("indexed-filled"))
    for seed in range(2):
        fill(world, seed)
    world.door.close()
    return world


@pytest.fixture(scope="session")
def used_template(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return used_world(filled_template, tmp_path_factory.mktemp("used-template"))


@pytest.fixture(scope="module")
def used(used_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store in which much happened, see :func:`desks.used_world`. Nobody changes it."""
    world = copy_world(used_template, tmp_path_factory.mktemp("used"))
    yield world
    world.door.close()


@pytest.fixture(scope="module")
def desk(used: World) -> AuditDesk:
    """The tables of who may audit all of one tenant."""
    return used.door.audit_desk(subject(OLGA))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real Postgres; its password is in PGPASSWORD while it runs."""
    with running() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", server.password)
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def catalog_url(request: pytest.FixtureRequest) -> str | None:
    """Where a new store is to keep its catalog; a test that takes this runs once for each database."""
    if request.param == "sqlite":
        return None
    server: Server = request.getfixturevalue("postgres")
    return server.url


@pytest.fixture
def still(filled: World) -> World:
    """A store with documents whose clock goes on only when a test says so."""
    filled.clock.step = timedelta(0)
    filled.clock.advance(10)
    return filled


@pytest.fixture
def ids(still: World) -> dict[str, str]:
    """Path → document id, of acme's documents."""
    found: dict[str, str] = {}
    for who in (DORA, "acme/user:ann", LEE):
        found |= still.see(who).ids
    return found


@pytest.fixture(scope="session")
def objects() -> Iterator[ObjectServer]:
    """A real object store."""
    with running_objects() as server:
        yield server


@pytest.fixture
def address(objects: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a store of the test's own may be made in object storage; the environment says how it is reached."""
    for name, value in objects.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}-{os.urandom(4).hex()}"
