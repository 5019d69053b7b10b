"""Say where a store keeps its catalog, and open the database there.

Promise: what the store's marker says of it holds no password; a store whose
catalog is in Postgres never falls back to a file, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL

from . import catalog_url
from .database import Database
from .errors import InvalidInput, StoreCorrupt, StoreError
from .sqlite_engine import SqliteDatabase

if TYPE_CHECKING:
    from .postgres_engine import PostgresDatabase

FILE_NAME = "catalog.db"
FIELD = "catalog"
"""The field of the marker; a store without it has its catalog in a file."""


@dataclass(frozen=True, slots=True)
class CatalogPlace:
    """Where a catalog lies.

    Args:
        url: Of a Postgres, perhaps with a password; None for the file in the store.
    """

    url: URL | None = field(default=None, repr=False)

    @classmethod
    def asked_for(cls, url: str | None) -> CatalogPlace:
        """Return the place a caller names.

        Raises:
            InvalidInput: It is no URL of a Postgres.
        """
        return cls(None if url is None else catalog_url.parse(url))

    @classmethod
    def from_mapping(cls, marker: Mapping[str, object]) -> CatalogPlace:
        """Return the place a marker names.

        Raises:
            StoreCorrupt: It names none that can be.
        """
        found = marker.get(FIELD)
        if found is not None and not isinstance(found, str):
            raise StoreCorrupt(f"store: its marker has {FIELD} {type(found).__name__}; expected a URL")
        try:
            return cls.asked_for(found)
        except InvalidInput as error:
            raise StoreCorrupt(f"store: its marker names no catalog ({error})") from None

    def to_mapping(self) -> dict[str, str]:
        """Return what the marker says of this place: nothing of a file, a URL without its password."""
        return {} if self.url is None else {FIELD: catalog_url.without_password(self.url)}

    def overridden(self, url: str | None) -> CatalogPlace:
        """Return the place to open when a caller names one.

        Raises:
            InvalidInput: It is no URL of a Postgres, or this place is a file.
        """
        if url is None:
            return self
        if self.url is None:
            raise InvalidInput(
                f"catalog: found a URL for a store whose catalog is the file {FILE_NAME} in it; expected none"
            )
        return self.asked_for(url)

    def open(self, store: Path, store_id: str, *, new: bool = False) -> Database:
        """Open the database.

        Args:
            store: The store's folder.
            new: It is about to be made.

        Raises:
            StoreCorrupt: There is no file.
            StoreError: The driver for Postgres is not installed.
        """
        if self.url is not None:
            return _postgres(self.url, store_id)
        if not new and not (store / FILE_NAME).is_file():
            raise StoreCorrupt(f"store: {str(store)!r} has no catalog; expected {FILE_NAME} in it")
        # What is erased must not stay in the free space of a page.
        return SqliteDatabase(store / FILE_NAME, secure_delete=True)

    def undo(self, store_id: str) -> None:
        """Remove what was made outside the store's folder for a store that did not come to be."""
        if self.url is None:
            return
        # The error that is under way says what is wrong; this one would hide it.
        with suppress(StoreError):
            database = _postgres(self.url, store_id)
            try:
                database.destroy()
            finally:
                database.close()


def _postgres(url: URL, store_id: str) -> PostgresDatabase:
    try:
        from .postgres_engine import PostgresDatabase
    except ImportError as error:
        raise StoreError(
            f"catalog: the driver for Postgres cannot be loaded ({type(error).__name__}); expected psycopg",
            hint="pip install 'ringfence[postgres]'",
        ) from None
    return PostgresDatabase(url, store_id)
