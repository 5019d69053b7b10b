"""The generations of a store's master key: which is in force, which are gone, and the key each one wraps.

Promise: everything that is wrapped anew is wrapped under the newest
generation the database names, whatever this process saw before; the provider
is asked once for each generation.

Source: DESIGN.md §5; docs/decisions/0011-keys.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from . import key_schema as schema
from .ambient import Ambient
from .database import Database
from .errors import StoreCorrupt
from .key_provider import KeyProvider, Retirement
from .key_schema import generation_place
from .seal import Cipher


class Prepared:
    """A master generation and its key, made and not yet in force. Prints nothing of itself."""

    __slots__ = ("before", "generation", "key", "wrapped")

    def __init__(self, before: int, generation: int, key: bytes, wrapped: bytes) -> None:
        self.before = before
        self.generation = generation
        self.key = key
        self.wrapped = wrapped

    def __repr__(self) -> str:
        return f"Prepared(generation={self.generation}, …)"

    def __reduce__(self) -> str:
        raise TypeError("a key cannot be pickled")


@dataclass(frozen=True, slots=True)
class Standing:
    """The master generations as they stand.

    Args:
        newest: The one everything is wrapped under.
        made_at: Of each, UTC.
        retired_at: Of each that is retired, UTC.
        held: Those the provider has.
    """

    newest: int
    made_at: dict[int, str]
    retired_at: dict[int, str]
    held: tuple[int, ...]


class MasterGenerations:
    """The generations of one store. Prints nothing of itself and cannot be pickled."""

    __slots__ = ("_ambient", "_database", "_opened", "_provider", "_store_id")

    def __init__(self, database: Database, store_id: str, provider: KeyProvider, ambient: Ambient) -> None:
        self._database = database
        self._store_id = store_id
        self._provider = provider
        self._ambient = ambient
        self._opened: dict[int, Cipher] = {}

    def __repr__(self) -> str:
        return "MasterGenerations(…)"

    def __reduce__(self) -> str:
        raise TypeError("a store's master generations cannot be pickled")

    def newest(self, connection: Connection) -> int:
        """Return the number of the generation that is in force.

        Raises:
            StoreCorrupt: There is none.
        """
        found = connection.execute(select(func.max(schema.generations.c.generation))).scalar()
        if found is None:
            raise StoreCorrupt("the key database has no master generation; it is damaged")
        return int(found)

    def cipher(self, connection: Connection, generation: int) -> Cipher:
        """Return the cipher of a generation's key.

        Raises:
            StoreCorrupt: The database has no such generation, or it is retired.
            KeyUnavailable: The provider has it no more, or it does not open.
        """
        found = self._opened.get(generation)
        if found is None:
            query = select(schema.generations.c.wrapped).where(schema.generations.c.generation == generation)
            wrapped = connection.execute(query).scalar()
            if wrapped is None:
                raise StoreCorrupt(f"the key database has no key of master generation {generation}")
            where = generation_place(self._store_id, generation)
            found = Cipher(self._provider.unwrap(generation, wrapped, where))
            # An older one wraps nothing any more; who reads an older state loads it again.
            newer = {number: cipher for number, cipher in self._opened.items() if number > generation}
            self._opened = newer | {generation: found}
        return found

    def prepare(self, before: int) -> Prepared:
        """Have a generation made after `before`, and the key wrapped that it is to wrap all others with.

        Nothing is wrapped under it yet.

        Raises:
            KeyUnavailable: The provider gives none.
        """
        generation = self._provider.new_generation(before)
        key = self._ambient.new_key("generation", str(generation))
        wrapped = self._provider.wrap(generation, key, generation_place(self._store_id, generation))
        return Prepared(before, generation, key, wrapped)

    def prepare_next(self) -> Prepared:
        """Do that after the one that is in force."""
        with self._database.read() as connection:
            before = self.newest(connection)
        return self.prepare(before)

    def add(self, connection: Connection, prepared: Prepared) -> None:
        """Put a prepared generation in force, in the caller's transaction."""
        connection.execute(
            insert(schema.generations).values(
                generation=prepared.generation, wrapped=prepared.wrapped, made_at=self._ambient.now()
            )
        )

    def forget_older(self) -> None:
        """Delete the keys of all generations but the newest.

        From then on only an older copy of the database has them, wrapped; :meth:`destroy` takes what opens those.
        """
        with self._database.write() as connection:
            connection.execute(
                update(schema.generations)
                .where(schema.generations.c.generation < self.newest(connection))
                .where(schema.generations.c.retired_at.is_(None))
                .values(wrapped=None, retired_at=self._ambient.now())
            )

    def destroy(self, newest: int) -> list[Retirement]:
        """Have the provider destroy every master generation older than `newest`.

        Raises:
            KeyUnavailable: It cannot now; call it again.
        """
        older = [generation for generation in self._provider.generations() if generation < newest]
        return [self._provider.retire(generation) for generation in older]

    def standing(self) -> Standing:
        """Return the generations as they stand; no key."""
        with self._database.read() as connection:
            rows = connection.execute(select(schema.generations)).all()
            newest = self.newest(connection)
        return Standing(
            newest,
            {row.generation: row.made_at for row in rows},
            {row.generation: row.retired_at for row in rows if row.retired_at is not None},
            self._provider.generations(),
        )

    def described(self) -> dict[str, str]:
        """Return what keeps the master key; no secret."""
        return self._provider.describe()
