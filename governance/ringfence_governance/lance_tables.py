"""Read and write the store's Lance tables; the only module that imports Lance.

Promise: a read opens exactly the version it is told and passes Lance's
scanner an allowlist of row addresses, always, even when it holds every row;
a write first makes the newest version equal to the published one, and every
commit must follow the one before, or nothing is published.

Must never: hand out a dataset, a version number's files or a path; put a
value that is not an opaque id into a predicate.

Source: DESIGN.md §5 and §7.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from lance.dataset import serialize_row_addrs
from lance.lance import _Session as Session

from . import lance_index, lance_lookups, lance_upkeep
from .atom_sets import AtomSet
from .errors import StoreCorrupt, StoreError
from .fragment_facts import facts_of
from .kept_masks import KeptMasks
from .lance_errors import named
from .lance_upkeep import follows
from .opaque_ids import Ids, each_once, in_batches, opaque
from .private_temporary import private_temporary
from .row_map import Part, RowMap, TableRows, VersionFacts, parts_of
from .store_modes import SEALED, StoreMode
from .table_places import FolderPlace, TablePlace
from .table_schemas import ORDERS, TABLES, WORD_COUNT, TableChange, Versions, schemas

INDEX_CACHE_BYTES, METADATA_CACHE_BYTES = 1 << 30, 128 << 20
"""How much of the indexes is kept in memory at most, besides the opened rows."""


class LanceTables:
    """The Lance tables of one store, by name and version."""

    __slots__ = ("_map", "_masks", "_place", "_session", "_temporary", "mode", "schemas")

    def __init__(
        self, place: Path | TablePlace, mode: StoreMode = SEALED, temporary: Path | None = None
    ) -> None:
        self._place: TablePlace = FolderPlace(place) if isinstance(place, Path) else place
        self._map = RowMap()
        self._masks = KeptMasks()
        self._temporary = temporary
        self.mode = mode
        self.schemas = schemas(mode)
        # What an index was read for stays in memory for the next question, up to a bound.
        self._session = Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)

    def __repr__(self) -> str:
        return "LanceTables(…)"

    def __reduce__(self) -> str:
        raise TypeError("tables cannot be pickled")

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What of the tables may lie where it cannot be looked at."""
        return self._place.elsewhere

    def outside(self) -> Iterator[tuple[str, Callable[[], Iterable[bytes]]]]:
        """Yield every object of the store's that lies outside its folder. See :class:`TablePlace`."""
        return self._place.outside()

    def create(self) -> Versions:
        """Make the empty tables as a LanceDB database; return their versions."""
        # Needed only here; loading it takes four times as long as all the rest of an open.
        import lancedb

        with named("the tables", "written"):
            database = lancedb.connect(self._place.uri, storage_options=self._place.options)
            for name, schema in self.schemas.items():
                database.create_table(name, schema=schema)
            self._indexed("chunks", self._open("chunks").version)
            self._place.make_safe(())
        return {name: self._open(name).version for name in TABLES}

    def holds(self, name: str, version: int) -> bool:
        """Say whether a version of a table is still kept."""
        return version in self.held(name)

    def held(self, name: str) -> frozenset[int]:
        """Return the versions of a table that are still kept."""
        with named(f"the {name} table", "read"):
            return frozenset(int(kept["version"]) for kept in self._open(name).versions())

    def count(self, name: str, version: int, atoms: Collection[int]) -> int:
        """Return how many rows carry one of `atoms`."""
        return self.map_of(name, version).count(AtomSet.of(atoms))

    def parts(self, name: str, version: int, atoms: AtomSet) -> tuple[Part, ...]:
        """Return where the rows of some atoms lie, by atom and fragment."""
        return self.map_of(name, version).parts(atoms)

    def identities(self, name: str, version: int) -> frozenset[bytes]:
        """Return the identities of all parts there are, of whatever atom."""
        return self.map_of(name, version).identities()

    def scan_parts(self, name: str, version: int, parts: Sequence[Part], columns: Sequence[str]) -> pa.Table:
        """Return the rows of some parts of one table version, in no particular order, with `_rowaddr`.

        Raises:
            StoreCorrupt: A row of another atom came back. No row is returned.
        """
        addresses = np.concatenate([part.addresses for part in parts])
        names = list(dict.fromkeys(["id", "atom", *columns]))
        return self._masked(name, version, {part.atom for part in parts}, names, _allowlist(addresses), None)

    def scan(
        self,
        name: str,
        version: int,
        atoms: Collection[int],
        columns: Sequence[str],
        *,
        ids: Collection[str] | None = None,
        id_column: str = "id",
    ) -> pa.Table:
        """Return the granted rows of one table version, in no particular order.

        The allowlist is applied inside Lance's scanner; then each returned
        row's atom is held against the grant once more.

        Args:
            atoms: The atoms of a grant; empty gives no row.
            columns: Besides id and atom.
            ids: Only rows whose `id_column` is one of these opaque ids.

        Raises:
            StoreCorrupt: A row outside the grant came back. No row is returned.
        """
        names = list(dict.fromkeys(["id", "atom", *columns]))
        if ids is not None and not ids:
            return self._open(name, version).schema.empty_table().select(names)
        if ids is not None and (near := self._near(name, version, atoms, id_column, ids)) is not None:
            return self._masked(name, version, atoms, names, near, None).select(names)
        mask = self._mask(name, version, atoms)
        condition = None if ids is None else pc.field(id_column).isin(sorted(opaque(ids)))
        return self._masked(name, version, atoms, names, mask, condition).select(names)

    def _near(
        self, name: str, version: int, atoms: Collection[int], column: str, ids: Collection[str]
    ) -> bytes | None:
        """Return the allowlist of those granted rows that an index finds; None if there is no index of the column.

        With an allowlist of all granted rows Lance asks no index, and reads the whole column.
        """
        dataset, wanted = self._open(name, version), each_once(ids)
        if not lance_lookups.is_indexed(dataset, column):
            return None
        with named(f"the {name} table", "read"):
            found = lance_lookups.located(dataset, column, wanted, ["atom"])
        granted = AtomSet.of(atoms).holds_each(found["atom"].to_numpy())
        return _allowlist(found["_rowaddr"].to_numpy()[granted])

    def _masked(
        self,
        name: str,
        version: int,
        atoms: Collection[int],
        columns: list[str],
        mask: bytes,
        condition: pc.Expression | None,
    ) -> pa.Table:
        dataset = self._open(name, version)
        with named(f"the {name} table", "read"):
            scanner = dataset.scanner(
                columns=columns, filter=condition, row_addr_allowlist=mask, with_row_address=True
            )
            rows: pa.Table = scanner.to_table()
        self._refuse_other(rows, atoms)
        return rows

    @staticmethod
    def _refuse_other(rows: pa.Table, atoms: Collection[int]) -> None:
        if not np.isin(rows["atom"].to_numpy(), AtomSet.of(atoms).array).all():
            raise StoreCorrupt("the scan returned a row outside the grant; no result leaves")

    def _mask(self, name: str, version: int, atoms: Collection[int]) -> bytes:
        wanted = AtomSet.of(atoms)
        return self._masks.of(
            name, version, wanted, lambda: _allowlist(self.map_of(name, version).addresses(wanted))
        )

    def nearest(
        self, version: int, atoms: AtomSet, query: npt.NDArray[np.float32], wanted: int
    ) -> tuple[Part, ...]:
        """Return where those granted chunks lie that are nearest to a rotated vector, about.

        Raises:
            StoreCorrupt: A row outside the grant came back, or there is no index. No row is returned.
        """
        return self._asked(
            version, atoms, lambda dataset, mask: lance_index.nearest(dataset, mask, query, wanted)
        )

    def holding(self, version: int, atoms: AtomSet, token: str) -> tuple[Part, ...]:
        """Return where those granted chunks lie that hold a token.

        Raises:
            StoreCorrupt: As :meth:`nearest`.
        """
        return self._asked(version, atoms, lambda dataset, mask: lance_index.holding(dataset, mask, token))

    def _asked(
        self, version: int, atoms: AtomSet, ask: Callable[[lance.LanceDataset, bytes], pa.Table]
    ) -> tuple[Part, ...]:
        dataset = self._open("chunks", version)
        mask = self._mask("chunks", version, atoms)
        with named("the chunks table", "read"):
            lance_index.refuse_unindexed(dataset)
            found = ask(dataset, mask)
        self._refuse_other(found, atoms)
        return parts_of(found["atom"].to_numpy(), found["_rowaddr"].to_numpy())

    def map_of(self, name: str, version: int) -> TableRows:
        """Return where the rows of each atom lie."""
        return self._map.of(name, version, partial(self.facts, name, version))

    def facts(self, name: str, version: int) -> VersionFacts:
        """Return what a version says of its fragments, and what reads them: rows of all labels."""
        return facts_of(self._open(name, version), partial(named, f"the {name} table", "read"), WORD_COUNT)

    def ids_by(self, name: str, version: int, column: str, values: Collection[str]) -> dict[str, list[str]]:
        """Return the row ids of each of some opaque ids in a column, for the writer."""
        found: dict[str, list[str]] = {value: [] for value in values}
        for row in self.rows_by(name, version, column, values, []):
            found[row[column]].append(row["id"])
        return found

    def rows_by(
        self, name: str, version: int, column: str, values: Collection[str], columns: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return what :meth:`looked_up` does, row by row."""
        return list(self.looked_up(name, version, column, values, columns).to_pylist())

    def looked_up(
        self, name: str, version: int, column: str, values: Ids, columns: Sequence[str]
    ) -> pa.Table:
        """Return the rows that have one of some opaque ids in a column, as they lie there: sealed.

        Args:
            columns: Besides id and `column`.
        """
        wanted = each_once(values)
        dataset = self._open(name, version)
        names = list(dict.fromkeys(["id", column, *columns]))
        with named(f"the {name} table", "read"):
            return lance_lookups.rows_of(dataset, column, wanted, names, _allowlist)

    def clean(self, name: str, kept: Collection[int]) -> int:
        """Remove every version but some, and what no version needs; return how many bytes went.

        Only for the holder of the writer's lease. The newest version stays, whoever wrote it.
        """
        dataset = self._open(name)
        with named(f"the {name} table", "cleaned"):
            return lance_upkeep.clean(dataset, kept)

    def write(self, published: Versions, changes: Mapping[str, TableChange]) -> Versions:
        """Commit changes on top of a publication, durably; return the versions to publish.

        The newest version is made equal to the published one first, so that
        what a dead writer left behind does not ride along.

        Raises:
            WriterExpelled: Another writer committed in between. Publish nothing.
            StoreError: The disk is full or a file cannot be written. Publish nothing.
        """
        versions = dict(published)
        for name, change in changes.items():
            with named(f"the {name} table", "written"):
                known = self._place.names(name)
                versions[name] = self._write_table(name, published[name], change)
                self._place.make_safe(known, name)
                self._read_whole(name, versions[name], published[name])
        return versions

    def _write_table(self, name: str, published: int, change: TableChange) -> int:
        dataset = self._open(name)
        version = dataset.version
        if version != published:
            self._open(name, published).restore()
            dataset = self._open(name)
            version = follows(dataset.version, version)
        for part in in_batches(change.deleted):
            dataset.delete(f"id IN ({', '.join(map(repr, part))})")
            version = follows(dataset.version, version)
        if change.atoms is not None and change.atoms.num_rows:
            each_once(change.atoms["id"])
            lance_lookups.rewrite(dataset, change.atoms.select(["id", "atom"]))
            dataset = self._open(name)
            version = follows(dataset.version, version)
        if change.appended is not None and change.appended.num_rows:
            dataset.insert(change.appended.select(self.schemas[name].names).cast(self.schemas[name]))
            version = follows(dataset.version, version)
        if change.materialised:
            # An index that was made while a row was there holds it on, whatever becomes of the row.
            version = lance_index.drop(dataset, lance_lookups.drop(dataset, version))
            version = lance_upkeep.materialise(dataset, version)
        if change.clustered:
            version = self._write_clustered(name, version, change)
        return self._indexed(name, version)

    def _indexed(self, name: str, version: int) -> int:
        indexed = self.mode.indexed and name == "chunks"
        if not indexed and not lance_lookups.is_due(self._open(name), name):
            return version
        with private_temporary(self._temporary) if self._temporary else nullcontext():
            by_id = lance_lookups.keep_current(self._open(name), name, version)
            made = lance_index.keep_current(self._open(name), by_id) if indexed else by_id
        if by_id != version:
            lance_lookups.read_whole(self._open(name, made, anew=True))
        if made != by_id:
            lance_index.read_whole(self._open(name, made, anew=True))
        return made

    def _read_whole(self, name: str, version: int, published: int) -> None:
        """Read every file of a version that the published one has not. See :func:`lance_upkeep.read_new`."""
        dataset = self._open(name, version, anew=True)
        lance_upkeep.read_new(dataset, self._open(name, published), name, partial(self._place.sizes, name))

    def _write_clustered(self, name: str, version: int, change: TableChange) -> int:
        dataset = self._open(name)
        order = lance_upkeep.order(dataset, ORDERS[name])
        report = change.on_progress or (lambda *_: None)
        batches = lance_upkeep.in_order(dataset, order, lambda done: report(name, done, len(order)))
        reader = pa.RecordBatchReader.from_batches(dataset.schema, batches)
        place = self._place
        made = lance.write_dataset(reader, place.table(name), mode="overwrite", storage_options=place.options)
        version = follows(made.version, version)
        whole = lance_upkeep.is_clustered(self._open(name, version), ORDERS[name])
        if made.count_rows() != len(order) or not whole:
            raise StoreError(f"the {name} table was not written whole; nothing was published")
        return version

    def is_clustered(self, name: str, version: int) -> bool:
        """Say whether a version's rows are in the order of :data:`ORDERS`, in few files without deleted rows."""
        dataset = self._open(name, version)
        with named(f"the {name} table", "read"):
            whole = name != "chunks" or not self.mode.indexed or lance_index.is_whole(dataset)
            whole = whole and lance_lookups.is_whole(dataset, name)
            return whole and lance_upkeep.is_clustered(dataset, ORDERS[name])

    def indexes(self, version: int) -> list[dict[str, object]]:
        """Return what the indexes of the chunks were made over; nothing in a sealed store."""
        return lance_index.facts(self._open("chunks", version)) if self.mode.indexed else []

    def held_elsewhere(
        self, version: int, documents: Collection[str], cells: Collection[bytes]
    ) -> set[bytes]:
        """Return which beginnings of rotated vectors other documents' passages have too; see :mod:`lance_index`."""
        return lance_index.held_elsewhere(self._open("chunks", version), documents, cells)

    def newest(self, name: str) -> int:
        """Return the newest version of a table, published or not."""
        return int(self._open(name).version)

    def rows(self, name: str, version: int) -> int:
        """Return how many rows a version has."""
        return int(self._open(name, version).count_rows())

    def _open(self, name: str, version: int | None = None, *, anew: bool = False) -> lance.LanceDataset:
        """Open a version; `anew` as if nothing of it were in memory: to learn what is on the disk."""
        with named(f"the {name} table", "opened"):
            return lance.dataset(
                self._place.table(name),
                version=version,
                storage_options=self._place.options,
                session=None if anew else self._session,
            )


def _allowlist(addresses: npt.NDArray[np.uint64]) -> bytes:
    mask: bytes | None = serialize_row_addrs(addresses.tolist())
    if mask is None:
        raise StoreError("no row mask could be made; without one nothing is read")
    return mask
