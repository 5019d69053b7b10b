"""Say what makes a folder a store: its marker, with the store's id, its mode and where its catalog is.

Promise: a marker of another format, or one that says what cannot be, is refused
before anything else of the store is read.
"""

from __future__ import annotations

import json
from pathlib import Path

from .catalog_place import CatalogPlace
from .errors import StoreCorrupt, StoreError, StoreVersionMismatch
from .store_modes import StoreMode

FORMAT = 1
"""The store's layout; another number is refused."""
MARKER = "store.json"


def is_store(path: Path) -> bool:
    """Say whether `path` holds a store of any format."""
    return (path / MARKER).is_file()


def marker_text(store_id: str, place: CatalogPlace, mode: StoreMode) -> str:
    """Return what a store's marker says."""
    return json.dumps({"format": FORMAT, **mode.to_mapping(), "store": store_id, **place.to_mapping()}) + "\n"


def read_marker(path: Path) -> tuple[str, CatalogPlace, StoreMode]:
    """Return what the marker of a store in a folder says; see :func:`parsed_marker`.

    Raises:
        StoreError: There is no store.
        StoreCorrupt: Its marker cannot be read.
        StoreVersionMismatch: It is of another format.
    """
    try:
        content = (path / MARKER).read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"store: found none at {str(path)!r}; expected a folder made by 'ringfence init'",
            hint="check the path, or make a store there with 'ringfence init'",
        ) from None
    except OSError as error:
        raise StoreCorrupt(f"store: {MARKER} cannot be read ({type(error).__name__})") from None
    return parsed_marker(content)


def parsed_marker(content: bytes) -> tuple[str, CatalogPlace, StoreMode]:
    """Return the store's id, where its catalog is, and its mode, as a marker says.

    Raises:
        StoreVersionMismatch: It is of another format.
        StoreCorrupt: It is no marker.
    """
    try:
        found = json.loads(content.decode())
    except ValueError as error:
        raise StoreCorrupt(f"store: {MARKER} cannot be read ({type(error).__name__})") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoreVersionMismatch(
            f"store: found format {found.get('format') if isinstance(found, dict) else found!r}; expected {FORMAT}",
            hint="open it with the version of ringfence that wrote it",
        )
    store_id = found.get("store")
    if not isinstance(store_id, str) or len(store_id) != 32 or not set(store_id) <= set("0123456789abcdef"):
        raise StoreCorrupt(f"store: {MARKER} names no store id")
    return store_id, CatalogPlace.from_mapping(found), StoreMode.from_mapping(found)
