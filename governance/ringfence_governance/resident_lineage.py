"""Look rows of lineage up: in memory where they are held for the very publication, else in the tables.

Promise: what is found is the same either way. Rows are held within the memory
budget of the store, of one publication, and opened by one thread at a time;
no walk waits longer for that than those before it took to look rows up.

Must never: hand rows to anybody but :mod:`lineage_walk`, which asks with a
grant it has checked.

Source: docs/decisions/0025-resident-lineage.md.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from . import lineage_cut
from .errors import StoreCorrupt
from .grants import Grant
from .lance_tables import LanceTables
from .lineage_cut import LineageCut, Plan
from .lineage_pieces import COLUMNS
from .opaque_ids import opaque
from .resident import Resident
from .stopping import holding

ROWS_FOR_ONE = 16
"""Looking one row up takes as long as reading so many one after the other."""
LOOKED_UP_MIN = 1_000
"""Before so many were looked up it is not asked whether opening pays."""
FEW_ROWS = 65_536
FEW_IDS = 256
"""More rows than the former are opened only by a look-up of more ids than the latter: it takes long in any case."""


class ResidentLineage:
    """The documents, passages and edges of one store, for walks. Safe to use from several threads."""

    __slots__ = ("_closed", "_cut", "_lock", "_looked_up", "_memory", "_opening", "_planned", "_tables")

    def __init__(self, tables: LanceTables, memory: Resident) -> None:
        self._tables = tables
        self._memory = memory
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._cut: LineageCut | None = None
        self._planned: Plan | None = None
        self._looked_up = 0
        self._closed = False

    def __repr__(self) -> str:
        return "ResidentLineage(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("resident lineage cannot be pickled")

    @property
    def size(self) -> int:
        """Bytes of memory it takes now, about."""
        cut = self._cut
        return 0 if cut is None else cut.size

    def granted(
        self, grant: Grant, table: str, columns: Sequence[str], column: str, ids: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return those rows a grant covers that have one of some opaque ids in a column: see :meth:`LanceTables.scan`.

        Raises:
            StoreCorrupt: A row outside the grant came back. No row is returned.
        """
        cut = self._held(grant, ids)
        if cut is None:
            version = grant.publication.versions[table]
            found = self._tables.scan(table, version, grant.atoms, columns, ids=ids, id_column=column)
            return self._noted(ids, found.to_pylist())
        rows = cut.rows(table, column, opaque(ids), columns, grant.atoms)
        if not grant.atoms >= {row["atom"] for row in rows}:
            raise StoreCorrupt("resident lineage gave a row outside the grant; no result leaves")
        return rows

    def every(
        self, grant: Grant, table: str, columns: Sequence[str], column: str, ids: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return all rows that have one of some opaque ids in a column: see :meth:`LanceTables.rows_by`."""
        cut = self._held(grant, ids)
        if cut is None:
            version = grant.publication.versions[table]
            found = self._tables.rows_by(table, version, column, ids, ["atom", *columns])
            return self._noted(ids, found)
        return cut.rows(table, column, opaque(ids), columns, None)

    def open(self, grant: Grant) -> bool:
        """Hold the rows of a grant's publication, if they fit; say whether they are held.

        Raises:
            StoreCorrupt: Rows are not what they must be.
            TimedOut, Cancelled: It was to stop.
        """
        with holding(self._opening):
            if self._standing(grant) is not None:
                return True
            return self._is_later(grant) and self._opened(self._plan(grant)) is not None

    def clear(self) -> None:
        """Let everything go."""
        self._let_go()
        self._memory.give_back()

    def close(self) -> None:
        """Let everything go, and open nothing more."""
        self._closed = True
        self.clear()

    def _noted(self, ids: Collection[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with self._lock:
            self._looked_up += len(ids) + len(rows)
        return rows

    def _held(self, grant: Grant, ids: Collection[str]) -> LineageCut | None:
        """Return the rows of a grant's publication if they are held, or if it pays to hold them now."""
        cut = self._standing(grant)
        if cut is not None:
            self._memory.use_lent()
            return cut
        if not self._is_later(grant) or not self._opening.acquire(blocking=False):
            return None
        try:
            # Another one may have opened them meanwhile.
            return self._standing(grant) or self._opened_if_due(grant, ids)
        finally:
            self._opening.release()

    def _standing(self, grant: Grant) -> LineageCut | None:
        cut = self._cut
        return cut if cut is not None and cut.publication == grant.publication else None

    def _is_later(self, grant: Grant) -> bool:
        """Say whether a publication may be held: none from before the one that is."""
        cut = self._cut
        return cut is None or cut.publication.sequence < grant.publication.sequence

    def _opened_if_due(self, grant: Grant, ids: Collection[str]) -> LineageCut | None:
        if self._cut is None and self._looked_up < LOOKED_UP_MIN:
            return None
        made = self._plan(grant)
        enough = self._looked_up * ROWS_FOR_ONE >= made.rows
        return self._opened(made) if enough and (made.rows <= FEW_ROWS or len(ids) > FEW_IDS) else None

    def _plan(self, grant: Grant) -> Plan:
        """Return what is to be read for a grant's publication."""
        cut, erased = self._cut, len(grant.erased)
        if cut is not None and cut.erased != erased:
            self.clear()
        made = self._planned
        if made is None or made.publication != grant.publication:
            versions = grant.publication.versions
            facts = {name: self._tables.facts(name, versions[name]) for name in COLUMNS}
            made = lineage_cut.plan(self._cut, grant.publication, erased, facts)
            self._planned = made
        return made

    def _opened(self, made: Plan) -> LineageCut | None:
        if self._closed or not self._memory.may_lend(made.size):
            return None
        cut = lineage_cut.carried_out(made)

        def keep() -> None:
            with self._lock:
                self._cut, self._planned, self._looked_up = cut, None, 0

        held = self._memory.lend(cut.size, keep, self._let_go)
        if self._closed:
            self.clear()
        return cut if held else None

    def _let_go(self) -> None:
        with self._lock:
            self._cut = self._planned = None
