"""Keep opened rows in memory within a budget, one block for each atom and fragment; lend of it what they do not need.

Promise: a block is opened with the keys of a grant that covers its atom, and
a grant reaches the blocks of its own atoms alone. A block is of exactly the
rows its identity names; one whose rows went, or that a change of the keys may
concern, is gone before the next question is answered.

Must never: hand a segment to anybody but :class:`ReadableRows`.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from .atom_sets import AtomSet
from .joining import next_to_join
from .machine_memory import give_back
from .memory_budget import memory_share
from .readable_rows import ReadableRows
from .row_map import Part
from .segments import Segment, joined
from .stopping import holding

ROWS_OPENED_AT_ONCE = 8_192
MANY_ROWS = 4_096
"""After so many were opened at once, what that freed goes back to the machine."""
VIEWS_KEPT = 64
LENT_SHARE = 2
"""One in so many parts of the budget may be lent to something else."""
BYTES_PER_ROW = 6_000
"""Taken for the size of a row before any was opened."""

Opener = Callable[[Sequence[Part]], Segment]
"""Opens the rows of some parts, in their order, with the keys of a grant."""


class Outdated(Exception):
    """The rows asked for are not the newest: the read starts again."""


@dataclass(slots=True)
class _Held:
    segment: Segment
    number: int
    used: int


@dataclass(slots=True)
class _Lent:
    """Memory within the budget that something else takes, and what lets go of it."""

    size: int
    let_go: Callable[[], None]
    used: int


@dataclass(frozen=True, slots=True)
class _View:
    """Rows put together for one set of atoms, and the blocks they are of."""

    atoms: AtomSet
    version: int
    blocks: tuple[bytes, ...]
    rows: ReadableRows


class Resident:
    """The opened rows of one store. Safe to use from several threads.

    Args:
        budget: Bytes; None for a share of the machine's memory. What one question needs at once beyond it
            is opened in passes. One part of a block is opened in any case.
    """

    __slots__ = (
        "_blocks",
        "_budget",
        "_closed",
        "_lent",
        "_lock",
        "_sequence",
        "_tick",
        "_version",
        "_views",
    )

    def __init__(self, budget: int | None = None) -> None:
        self._budget = memory_share() if budget is None else budget
        self._lock = threading.RLock()
        self._blocks: dict[bytes, _Held] = {}
        self._views: OrderedDict[tuple[int, int], _View] = OrderedDict()
        self._sequence = self._version = 0
        self._closed = False
        self._tick = 0
        self._lent: _Lent | None = None

    def __repr__(self) -> str:
        return "Resident(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("opened rows cannot be pickled")

    @property
    def budget(self) -> int:
        """Bytes that opened rows may take."""
        return self._budget

    @property
    def room(self) -> int:
        """How many rows may be opened at once, taken at a fixed size, so that it does not hang on what they are."""
        return self._budget // BYTES_PER_ROW

    @property
    def size(self) -> int:
        """Bytes they take now, about."""
        with self._lock:
            return sum(segment.size for segment in self._segments())

    @property
    def lent(self) -> int:
        """Bytes of the budget that something else takes."""
        lent = self._lent
        return 0 if lent is None else lent.size

    def may_lend(self, size: int) -> bool:
        """Say whether so many bytes may be lent: at most half of the budget."""
        return size <= self._budget // LENT_SHARE

    def lend(self, size: int, keep: Callable[[], None], let_go: Callable[[], None]) -> bool:
        """Lend part of the budget to something else, in place of what was lent before; say whether it may be kept.

        Args:
            keep: Called if it may, before anybody can want it back.
            let_go: Called when rows that were used later need the room; must not wait.
        """
        with holding(self._lock):
            if not self.may_lend(size):
                return False
            self._tick += 1
            self._lent = _Lent(size, let_go, self._tick)
            keep()
            self._make_room(0, frozenset())
            return self._lent is not None

    def use_lent(self) -> None:
        """Note that what was lent was used. Never waits."""
        if (lent := self._lent) is not None:
            lent.used = self._tick

    def give_back(self) -> None:
        """Take back what was lent."""
        self._lent = None

    def limit(self, budget: int) -> None:
        """Set the budget, in bytes, and let go what is beyond it."""
        with self._lock:
            self._budget = budget
            before = self.size
            if not self.may_lend(self.lent):
                self._take_back()
            self._make_room(0, frozenset())
            if self.size < before:
                give_back()

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            held = bool(self._blocks)
            self._blocks.clear()
            self._views.clear()
            if held:
                give_back()

    def close(self) -> None:
        """Let everything go, and keep nothing from now on: who waits for rows finds them outdated."""
        with self._lock:
            self._closed = True
            self.clear()

    def hold_to(self, sequence: int, version: int, current: Callable[[int], frozenset[bytes] | None]) -> None:
        """Let go what does not stand any more, if the store is not as it was at the last call.

        Args:
            sequence: Of the catalog, as the grant has it.
            version: Of the chunks table.
            current: Given the sequence of the last call, returns the identities of all blocks there are, or
                None if none is to be kept.

        Raises:
            Outdated: A later version was asked for meanwhile.
        """
        with holding(self._lock):
            self._check(version)
            if sequence <= self._sequence:
                return
            identities = current(self._sequence) if self._blocks else frozenset()
            if identities is None:
                self.clear()
            else:
                self._drop(frozenset(self._blocks) - identities)
            self._sequence, self._version = sequence, version

    def _check(self, version: int) -> None:
        """Refuse to open rows of a version whose successor is known: what went with it would come back."""
        if self._closed or version < self._version:
            raise Outdated

    def passes(
        self, atoms: AtomSet, version: int, parts: Callable[[], Sequence[Part]], opener: Opener
    ) -> Iterator[ReadableRows]:
        """Yield all rows of some atoms, those first that fit into the budget together; none if there is no row.

        Args:
            version: Of the table.
            parts: Returns where the rows lie; called unless it is known.
            opener: Opens what is not resident.
        """
        with holding(self._lock):
            self._check(version)
            view = self._views.get((id(atoms), version))
            if view is not None and view.atoms is atoms:
                self._touch(view)
                whole: ReadableRows | None = view.rows
                groups: list[Sequence[Part]] = []
            else:
                wanted = parts()
                groups = self._grouped(wanted)
                whole = self._one(atoms, version, groups[0], opener) if len(groups) == 1 else None
        if whole is not None:
            yield whole
            return
        for group in groups:
            with holding(self._lock):
                self._check(version)
                rows = self._rows(group, opener)
            yield rows
            del rows

    def _one(self, atoms: AtomSet, version: int, parts: Sequence[Part], opener: Opener) -> ReadableRows:
        rows = self._rows(parts, opener)
        self._views[id(atoms), version] = _View(atoms, version, tuple(part.identity for part in parts), rows)
        while len(self._views) > VIEWS_KEPT:
            self._views.popitem(last=False)
        return rows

    def _grouped(self, parts: Sequence[Part]) -> list[Sequence[Part]]:
        """Return the parts in groups that fit into the budget; one that does not fit is a group by itself."""
        whole = sum(map(len, parts)) * self._row_size()
        if self._budget - self.lent < whole <= self._budget:
            # What one question needs at once comes before what was lent.
            self._take_back()
        rows_max = (self._budget - self.lent) // self._row_size()
        groups: list[list[Part]] = []
        room = 0
        for part in parts:
            if not groups or len(part) > room:
                groups.append([])
                room = rows_max
            groups[-1].append(part)
            room -= len(part)
        return list(groups)

    def _row_size(self) -> int:
        rows = sum(len(segment.ids) for segment in self._segments())
        return max(self.size // rows, 1) if rows else BYTES_PER_ROW

    def _rows(self, parts: Sequence[Part], opener: Opener) -> ReadableRows:
        self._tick += 1
        needed = frozenset(part.identity for part in parts)
        missing = [part for part in parts if part.identity not in self._blocks]
        for batch in batches(missing):
            self._make_room(sum(map(len, batch)) * self._row_size(), needed)
            self._keep(opener(batch))
        if missing:
            self._join_small()
            if sum(map(len, missing)) >= MANY_ROWS:
                give_back()
        by_segment: dict[int, tuple[Segment, list[int]]] = {}
        for part in parts:
            held = self._blocks[part.identity]
            held.used = self._tick
            by_segment.setdefault(id(held.segment), (held.segment, []))[1].append(held.number)
        return ReadableRows(
            [(segment, np.asarray(sorted(numbers), np.int64)) for segment, numbers in by_segment.values()]
        )

    def _touch(self, view: _View) -> None:
        self._tick += 1
        self._views.move_to_end((id(view.atoms), view.version))

    def _keep(self, segment: Segment) -> None:
        for number, identity in enumerate(segment.blocks):
            self._blocks[identity] = _Held(segment, number, self._tick)

    def _make_room(self, more: int, needed: frozenset[bytes]) -> None:
        """Let go the blocks that were not used for longest, until `more` bytes fit."""
        excess = self.size + self.lent + more - self._budget
        if excess <= 0:
            return
        for tick, view in enumerate(self._views.values(), start=self._tick - len(self._views)):
            for identity in view.blocks:
                if (held := self._blocks.get(identity)) is not None:
                    held.used = max(held.used, tick)
        row_size = self._row_size()
        going: set[bytes] = set()
        for identity, held in sorted(self._blocks.items(), key=lambda item: item[1].used):
            if self._lent is not None and held.used >= self._lent.used:
                excess -= self._take_back()
            if excess <= 0:
                break
            if identity not in needed:
                going.add(identity)
                starts = held.segment.starts
                excess -= row_size * int(starts[held.number + 1] - starts[held.number])
        if excess > 0:
            self._take_back()
        self._drop(frozenset(going))

    def _take_back(self) -> int:
        """Have what was lent let go; return how many bytes that is."""
        lent, self._lent = self._lent, None
        if lent is None:
            return 0
        lent.let_go()
        return lent.size

    def _drop(self, going: frozenset[bytes]) -> None:
        """Let blocks go; a segment they stand in is made anew without them, so that nothing of them stays."""
        if not going:
            return
        touched = {id(self._blocks[each].segment): self._blocks[each].segment for each in going}
        for each in going:
            del self._blocks[each]
        self._views.clear()
        for segment in touched.values():
            left = [number for number, each in enumerate(segment.blocks) if each in self._blocks]
            if left:
                self._replace([segment], joined([(segment, left)]))

    def _join_small(self) -> None:
        """Join segments of like size until few are left, so that one that is new has no large one copied."""
        while True:
            segments = sorted(self._segments(), key=lambda segment: segment.size)
            taken = segments[next_to_join([each.size for each in segments], self._budget)]
            if not taken:
                return
            self._replace(taken, joined([(each, range(len(each.blocks))) for each in taken]))
            self._views.clear()

    def _replace(self, old: Sequence[Segment], new: Segment) -> None:
        used = {
            each: self._blocks[each].used
            for segment in old
            for each in segment.blocks
            if each in self._blocks
        }
        for number, identity in enumerate(new.blocks):
            self._blocks[identity] = _Held(new, number, used[identity])

    def _segments(self) -> list[Segment]:
        return list({id(held.segment): held.segment for held in self._blocks.values()}.values())


def batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield parts, in their order, as many together as are opened at once; at least one."""
    batch: list[Part] = []
    rows = 0
    for part in parts:
        if batch and rows + len(part) > ROWS_OPENED_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(part)
        rows += len(part)
    if batch:
        yield batch
