"""Make a store in object storage, and open one that is whole.

Promise: a store appears under its address complete or not at all, and of two who
make one there, one is refused and has touched nothing of the other's. The bucket
holds the sealed tables and the marker; the keys, the log and a catalog that is a
file never go there.

Source: docs/decisions/0012-stores-in-object-storage.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from . import key_choice, key_file, private_temporary, store_files, store_marker
from .ambient import Ambient
from .audit_settings import AuditSettings
from .bucket import Bucket
from .catalog_place import CatalogPlace
from .errors import RingfenceError, StoreCorrupt, StoreError
from .ground import Ground
from .identifiers import actor
from .key_store import KeyStore
from .lance_tables import LanceTables
from .policy_text import PolicyBundle
from .snapshot import Snapshot
from .store_files import Created
from .store_marker import MARKER
from .store_modes import SEALED, StoreMode
from .table_places import BucketPlace

LOCAL = ".local"
"""What is added to a store's id for the folder of its log, and of its catalog if that is a file."""


def local_folder(store_id: str, keys_home: Path | None = None) -> Path:
    """Return the folder of what a store in object storage keeps beside its keys' folder."""
    folder = key_file.keys_folder(store_id, keys_home)
    return folder.with_name(folder.name + LOCAL)


def is_store(uri: str, options: Mapping[str, str] | None = None) -> bool:
    """Say whether a store of any format lies at an address.

    Raises:
        InvalidInput: The address or an option is none that can be.
        StoreError: The server cannot be asked.
    """
    return Bucket.parse(uri, options).read(MARKER) is not None


def create(
    uri: str,
    bundle: PolicyBundle,
    admin: str,
    ambient: Ambient,
    *,
    keys_home: Path | None = None,
    catalog: str | None = None,
    keys: str = key_choice.FILE,
    options: Mapping[str, str] | None = None,
    mode: StoreMode = SEALED,
    audit: AuditSettings | None = None,
) -> Created:
    """Make a new store, as :func:`store_files.create` does in a folder.

    Args:
        mode: Sealed, or indexed.
        keys: What keeps its master key; see :func:`key_choice.create`.
        catalog: The URL of a Postgres that keeps the catalog; None for a file in the local folder.
        options: How the bucket is reached; what is not in it comes from the environment.

    Raises:
        InvalidInput: The address, an option or `catalog` is none that can be.
        StoreError: Something is there already, or the bucket cannot be written. Nothing is left behind.
        KeyUnavailable: The key's folder cannot be used.
        PolicyRefused: The policy does not load.
    """
    bucket, place = Bucket.parse(uri, options), CatalogPlace.asked_for(catalog)
    actor(admin)
    Snapshot.build(store_files.with_admin(bundle.rows, admin))
    _refuse_occupied(bucket)
    store_id = ambient.new_id("store")
    folder, local = store_files.new_keys_folder(store_id, keys_home), local_folder(store_id, keys_home)
    # Nobody else's: the store's id is in it. So all of it may be removed when a later step fails.
    own = bucket.beneath(store_id)
    try:
        provider, key_path = key_choice.create(folder, store_id, ambient, keys)
        local.mkdir(mode=0o700)
        key_store = KeyStore(folder / key_file.KEYS_DATABASE, store_id, provider, ambient)
        tables = _tables(bucket, store_id, mode, local)
        store_files.build(local, folder, store_id, key_store, bundle, admin, ambient, place, tables)
        bucket.add(MARKER, store_marker.marker_text(store_id, place, mode).encode())
    except BaseException as error:
        _undo(bucket, own, store_id)
        shutil.rmtree(local, ignore_errors=True)
        place.undo(store_id)
        store_files.refuse_half_made(uri, error, key_choice.undo(folder, store_id))
        raise
    ground = open_store(uri, ambient, keys_home=keys_home, catalog=catalog, options=options, audit=audit)
    return Created(ground, key_path)


def open_store(
    uri: str,
    ambient: Ambient,
    *,
    keys_home: Path | None = None,
    catalog: str | None = None,
    options: Mapping[str, str] | None = None,
    audit: AuditSettings | None = None,
) -> Ground:
    """Open a store, as :func:`store_files.open_store` does in a folder.

    Raises:
        InvalidInput: The address, an option or `catalog` is none that can be.
        StoreError: There is none, the bucket or the catalog cannot be reached, or the log is not here.
        StoreVersionMismatch: It is of another format, or newer than this software.
        KeyUnavailable: Its key is missing or may not be used.
    """
    bucket = Bucket.parse(uri, options)
    content = bucket.read(MARKER)
    if content is None:
        raise StoreError(
            f"store: found none at {bucket.uri!r}; expected a place made by 'ringfence init'",
            hint="check the address, or make a store there with 'ringfence init'",
        )
    store_id, place, mode = store_marker.parsed_marker(content)
    local = local_folder(store_id, keys_home)
    # The keys first: without them nothing else matters, and their message says where all this is looked for.
    key_choice.open_provider(key_file.keys_folder(store_id, keys_home), store_id, ambient)
    if not (local / "audit").is_dir():
        # Never made anew: a log that begins again would forget what was given to whom.
        raise StoreCorrupt(
            f"store: its log is not at {str(local)!r}; expected the folder that 'ringfence init' made",
            hint=f"bring that folder here, share it, or set {key_file.HOME_VARIABLE} to where it is",
        )
    tables = _tables(bucket, store_id, mode, local)
    return store_files.opened(local, store_id, place.overridden(catalog), tables, ambient, keys_home, audit)


def _tables(bucket: Bucket, store_id: str, mode: StoreMode, local: Path) -> LanceTables:
    place = BucketPlace(bucket.beneath(store_id).beneath(store_files.TABLES), bucket)
    return LanceTables(place, mode, local / private_temporary.NAME)


def _refuse_occupied(bucket: Bucket) -> None:
    if bucket.read(MARKER) is not None:
        raise StoreError(
            f"store: {bucket.uri!r} is a store already; expected a new place", hint="open it instead"
        )
    if not bucket.is_empty():
        raise StoreError(
            f"store: {bucket.uri!r} is not empty; expected a prefix beneath which nothing lies",
            hint="name another prefix; or remove what lies there, if a making that was killed left it",
        )


def _undo(bucket: Bucket, own: Bucket, store_id: str) -> None:
    """Remove what a making that failed has put into the bucket; what cannot be removed holds no key."""
    # The error that is under way says what is wrong; one of these would hide it.
    with suppress(RingfenceError):
        # The marker may be there although no answer came.
        content = bucket.read(MARKER)
        if content is not None and store_marker.parsed_marker(content)[0] == store_id:
            bucket.remove(MARKER)
    with suppress(RingfenceError):
        own.clear()
