"""Make a store on disk, and open one that is whole.

Promise: a store appears under its name complete or not at all; one of
another format, without its key, or with its key inside is refused.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert

from . import (
    catalog_labels,
    catalog_schema,
    durable_files,
    erasure,
    journal,
    key_choice,
    key_file,
    key_migration,
    key_rotation,
    private_temporary,
    publications,
    store_marker,
)
from .ambient import Ambient
from .audit_settings import AuditSettings
from .catalog import Catalog
from .catalog_place import CatalogPlace
from .database import Database
from .errors import InvalidInput, KeyUnavailable, StoreCorrupt, StoreError
from .ground import Ground
from .identifiers import TIME_MAX, TIME_MIN, actor, tenant_of
from .journal import Change
from .kept_changes import GIVEN, MADE
from .key_provider import KeyProvider
from .key_store import KeyStore
from .lance_tables import LanceTables
from .policy_rows import PolicyRows, Row, Rule
from .policy_text import PolicyBundle
from .snapshot import Snapshot
from .store_modes import BLINDING, SEALED, StoreMode
from .subjects import Assertion, operating_system_user

TABLES = "lance"
FOLDERS = ("audit", "lineage")


@dataclass(frozen=True, slots=True)
class Created:
    """A new store.

    Args:
        ground: Open.
        key_path: Where its master key lies, or what names the key; without it nothing opens.
    """

    ground: Ground
    key_path: Path


def create(
    path: Path,
    bundle: PolicyBundle,
    admin: str,
    ambient: Ambient,
    *,
    keys_home: Path | None = None,
    catalog: str | None = None,
    keys: str = key_choice.FILE,
    mode: StoreMode = SEALED,
    audit: AuditSettings | None = None,
) -> Created:
    """Make a new store, whose admin may ingest and administer in his own tenant.

    Args:
        mode: Sealed, or indexed.
        catalog: The URL of a Postgres that keeps the catalog; None for a file in the store.
        keys: What keeps its master key; see :func:`key_choice.create`.

    Raises:
        InvalidInput: `catalog` is no such URL.
        StoreError: Something is there already, or the place cannot be written. Nothing is left behind.
        KeyUnavailable: The key's folder cannot be used.
        PolicyRefused: The policy does not load.
    """
    path = path.absolute()
    place = CatalogPlace.asked_for(catalog)
    actor(admin)
    rows = with_admin(bundle.rows, admin)
    Snapshot.build(rows)
    _refuse_occupied(path)
    store_id = ambient.new_id("store")
    folder = new_keys_folder(store_id, keys_home)
    key_file.refuse_inside(path, folder)
    building = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    made = building
    try:
        provider, key_path = key_choice.create(folder, store_id, ambient, keys)
        building.mkdir(mode=0o700, parents=True)
        keys_database = KeyStore(folder / key_file.KEYS_DATABASE, store_id, provider, ambient)
        (building / TABLES).mkdir(mode=0o700)
        tables = LanceTables(building / TABLES, mode, building / private_temporary.NAME)
        build(building, folder, store_id, keys_database, bundle, admin, ambient, place, tables)
        (building / store_marker.MARKER).write_text(
            store_marker.marker_text(store_id, place, mode), encoding="utf-8"
        )
        durable_files.sync_new(building, ())
        made = building.replace(path)
        durable_files.sync(path.parent)
    except BaseException as error:
        shutil.rmtree(made, ignore_errors=True)
        place.undo(store_id)
        refuse_half_made(str(path), error, key_choice.undo(folder, store_id))
        raise
    return Created(open_store(path, ambient, keys_home=keys_home, catalog=catalog, audit=audit), key_path)


def refuse_half_made(place: str, error: BaseException, left: str) -> None:
    """Say that a store was not made, and what of it is left.

    Args:
        left: What could not be taken back; empty for nothing.

    Raises:
        StoreError: The disk was the reason, or something is left. Any other error is the caller's to raise again.
    """
    if left:
        reason = str(error).partition(";")[0] or type(error).__name__
        raise StoreError(
            f"store: cannot make {place!r} ({reason}); left behind: {left}",
            hint="schedule its deletion yourself; nothing was kept under it",
        ) from None
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        raise StoreError(f"store: cannot make {place!r} ({reason}); nothing was left behind") from None


def open_store(
    path: Path,
    ambient: Ambient,
    *,
    keys_home: Path | None = None,
    catalog: str | None = None,
    audit: AuditSettings | None = None,
) -> Ground:
    """Open a store; one whose catalog or keys are of an older version is brought to the newest.

    Args:
        catalog: Where the catalog's Postgres is now, or how to reach it; None for what the store says.
        audit: How its log is kept.

    Raises:
        InvalidInput: `catalog` is no URL of a Postgres, or the store's catalog is a file; or the witness is none.
        StoreError: There is none, or its catalog cannot be reached.
        StoreVersionMismatch: It is of another format, or newer than this software.
        KeyUnavailable: Its key is missing or may not be used.
    """
    path = path.absolute()
    store_id, place, mode = store_marker.read_marker(path)
    key_file.refuse_inside(path, key_file.keys_folder(store_id, keys_home))
    tables = LanceTables(path / TABLES, mode, path / private_temporary.NAME)
    return opened(path, store_id, place.overridden(catalog), tables, ambient, keys_home, audit)


def opened(
    path: Path,
    store_id: str,
    place: CatalogPlace,
    tables: LanceTables,
    ambient: Ambient,
    keys_home: Path | None,
    audit: AuditSettings | None,
) -> Ground:
    """Open the parts of a store whose marker was read.

    Args:
        path: The folder of the log, and of the catalog if that is a file.

    Raises:
        StoreError: As in :func:`open_store`.
        KeyUnavailable: As in :func:`open_store`.
    """
    folder = key_file.keys_folder(store_id, keys_home)
    provider = key_choice.open_provider(folder, store_id, ambient)
    if not (folder / key_file.KEYS_DATABASE).is_file():
        raise KeyUnavailable(
            f"key database: none at {str(folder / key_file.KEYS_DATABASE)!r}; expected it beside the key file",
            hint="put back a copy of keys.db that is as new as the store",
        )
    key_store = KeyStore(folder / key_file.KEYS_DATABASE, store_id, provider, ambient)
    database = place.open(path, store_id)
    try:
        if key_migration.is_former(folder / key_file.KEYS_DATABASE):
            _migrate_keys(folder, store_id, provider, database, ambient)
        key_store.check_format()
        _refuse_other_mode(tables.mode, key_store)
        found = Catalog(database, store_id, key_store, ambient)
        found.migrate()
        key_rotation.refuse_retired(found, key_store)
    except BaseException:
        database.close()
        key_store.close()
        raise
    ground = Ground(path, store_id, found, key_store, ambient, folder, tables, audit)
    try:
        erasure.reconcile(ground)
        ground.lineage.resume()
    except BaseException:
        ground.close()
        raise
    return ground


def _migrate_keys(
    folder: Path, store_id: str, provider: KeyProvider, database: Database, ambient: Ambient
) -> None:
    """Bring the key database to the newest format, while nobody can change the catalog."""
    former = key_migration.FormerKeys(folder / key_file.KEYS_DATABASE, store_id, provider)
    try:
        catalog = Catalog(database, store_id, former, ambient)
        catalog.migrate()
        with catalog.write() as connection:
            labels = catalog_labels.load(catalog, connection).entries.values()
            key_migration.migrate(former, ambient, labels)
    except KeyUnavailable:
        # Somebody else brought it there between the look at its format and that at its keys.
        if key_migration.is_former(former.path):
            raise
    finally:
        former.close()


def new_keys_folder(store_id: str, keys_home: Path | None) -> Path:
    """Return the folder for a new store's keys.

    Raises:
        KeyUnavailable: It is there already; it is not ours, and must not be removed when making fails.
    """
    folder = key_file.keys_folder(store_id, keys_home)
    if folder.exists():
        raise KeyUnavailable(f"key folder: {str(folder)!r} exists already; expected none for a new store")
    return folder


def build(
    path: Path,
    folder: Path,
    store_id: str,
    keys: KeyStore,
    bundle: PolicyBundle,
    admin: str,
    ambient: Ambient,
    place: CatalogPlace,
    tables: LanceTables,
) -> None:
    """Make the parts of a store in a folder that nobody knows yet; all but the marker, durably."""
    for name in FOLDERS:
        (path / name).mkdir(mode=0o700)
    keys.create_store_keys()
    if tables.mode.indexed:
        keys.ensure_store_key(BLINDING)
    catalog = Catalog.create(place.open(path, store_id, new=True), store_id, keys, ambient)
    record: dict[str, object] = {
        "who": admin,
        "asserted_by": Assertion.of_this_process().to_mapping(),
        "why": MADE,
        "ticket": "",
    }
    versions = tables.create()
    run_id = ambient.new_id("run", "init")
    with catalog.write() as connection:
        _journal(catalog, connection, keys, bundle, admin, record)
        now = ambient.now()
        connection.execute(
            insert(catalog_schema.runs).values(
                run_id=run_id,
                job="init",
                state="COMPLETE",
                started_at=now,
                ended_at=now,
                detail=catalog.seal(b"{}", "run", run_id),
            )
        )
        publications.publish(catalog, connection, run_id, 0, versions)
    catalog.close()
    keys.close()
    durable_files.sync_new(path, ())
    durable_files.sync_new(folder, ())


def _refuse_other_mode(mode: StoreMode, keys: KeyStore) -> None:
    """Refuse a marker that was changed to say another mode: a sealed store would begin to write words in clear.

    Raises:
        StoreCorrupt: The keys are of a store of the other mode.
    """
    if keys.has_store_key(BLINDING) != mode.indexed:
        raise StoreCorrupt(
            f"store: {store_marker.MARKER} says it is {mode.name}; expected what its keys say, the other mode",
            hint=f"put back the {store_marker.MARKER} that 'ringfence init' wrote",
        )


def _journal(
    catalog: Catalog,
    connection: Connection,
    keys: KeyStore,
    bundle: PolicyBundle,
    admin: str,
    record: dict[str, object],
) -> None:
    """Write what the store begins with as the journal's first rows, and define its labels."""
    labels, rows = bundle.labels, with_admin(bundle.rows, admin)
    defined = [Change("label_defined", label=(each.name, each.definition.to_mapping())) for each in labels]
    numbers = journal.append(catalog, connection, defined, record)
    keys.ensure_label_keys(
        catalog_labels.define(catalog, connection, each.name, each.definition, number)
        for each, number in zip(labels, numbers, strict=True)
    )
    own = [Change("row_added", row=row) for row in rows if row in bundle.rows]
    given = [Change("row_added", row=row) for row in rows if row not in bundle.rows]
    journal.append(catalog, connection, own, record)
    journal.append(catalog, connection, given, record | {"why": GIVEN})


def with_admin(rows: PolicyRows, admin: str) -> PolicyRows:
    """Return a policy in which the admin may ingest and administer in his own tenant."""
    tenant = tenant_of(admin)
    added: list[Row] = [
        Rule(admin, tenant, "*", "ingest", "any", "*", TIME_MIN, TIME_MAX, "allow"),
        Rule(admin, tenant, f"{tenant}/policy", "administer", "any", "*", TIME_MIN, TIME_MAX, "allow"),
    ]
    for row in added:
        if row not in rows:
            rows = rows.with_row(row)
    return rows


def default_admin() -> str:
    """Return `local/user:NAME` of the operating-system user.

    Raises:
        InvalidInput: The login name is no canonical id.
    """
    name = operating_system_user()
    try:
        return actor(f"local/user:{name}")
    except InvalidInput as error:
        raise InvalidInput(
            f"the login name {name!r} is no canonical id; expected lower-case letters, digits and . _ - @",
            hint="name the administrator, as in acme/user:dora",
        ) from error


def _refuse_occupied(path: Path) -> None:
    if store_marker.is_store(path):
        raise StoreError(
            f"store: {str(path)!r} is a store already; expected a new place", hint="open it instead"
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError(
            f"store: {str(path)!r} is not empty and holds no store; expected a new or empty folder, or a store's"
        )
