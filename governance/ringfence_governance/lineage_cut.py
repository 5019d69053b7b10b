"""Answer from memory which rows of one publication have some ids, and say what a later one needs read.

Promise: a row is given only if it stands in the very publication that was
asked for, under the atom that it has there; which rows those are is asked of
the publication's own tables.

Source: docs/decisions/0025-resident-lineage.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from . import lineage_pieces
from .atom_sets import AtomSet
from .errors import StoreCorrupt
from .lineage_pieces import NO_ROW, Atoms, HeldFragment, LineagePiece
from .publications import Publication
from .row_map import FragmentColumns, FragmentFacts, VersionFacts

READ_AGAIN_SHARE = 8
"""Reading the atoms of so many rows again takes as long as reading one row with its ids."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeldPiece:
    """A piece, and how its rows stand in one publication.

    Args:
        atoms: By table, of each row, in the order of the fragments; :data:`NO_ROW` of one that is there no more.
        signatures: By table, of each fragment; empty of one that is there no more.
    """

    piece: LineagePiece
    atoms: Mapping[str, Atoms]
    signatures: Mapping[str, tuple[str, ...]]

    def fragments(self, table: str) -> Iterator[tuple[HeldFragment, str]]:
        """Yield the fragments of a table, each with its signature."""
        yield from zip(self.piece.tables[table].fragments, self.signatures[table], strict=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LineageCut:
    """All rows of lineage of one publication.

    Args:
        erased: How many documents had been erased.
    """

    publication: Publication
    erased: int
    pieces: tuple[HeldPiece, ...] = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("resident lineage is neither copied nor pickled")

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return sum(each.piece.size for each in self.pieces)

    def rows(
        self, table: str, column: str, ids: Collection[str], columns: Sequence[str], granted: AtomSet | None
    ) -> list[dict[str, Any]]:
        """Return those rows of a table that have one of some ids in a column, in no particular order.

        Args:
            ids: Opaque ids.
            columns: Besides atom.
            granted: Rows of other atoms are not there; None for rows of all.
        """
        found: list[dict[str, Any]] = []
        names = ["atom", *columns]
        for held in self.pieces:
            rows_held = held.piece.tables[table]
            rows = rows_held.with_one_of(column, held.piece.ids.of(ids))
            atoms = held.atoms[table][rows_held.places[rows]]
            there = atoms != NO_ROW
            if granted is not None:
                there[there] = granted.holds_each(atoms[there])
            rows, atoms = rows[there], atoms[there]
            values = [held.piece.texts(table, name, rows) for name in columns]
            found += [dict(zip(names, row, strict=True)) for row in zip(atoms.tolist(), *values, strict=True)]
        return found


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan:
    """What has to be read so that a later publication can be answered.

    Args:
        erased: How many documents have been erased.
        kept: Pieces that stay.
        facts: Of each table of that publication.
        new: By table, numbers of the fragments that are to be read.
        again: By table, of those of which the atoms are.
    """

    publication: Publication
    erased: int
    kept: tuple[HeldPiece, ...]
    facts: Mapping[str, VersionFacts]
    new: Mapping[str, Sequence[int]]
    again: Mapping[str, frozenset[int]]

    @property
    def rows(self) -> int:
        """How many rows are to be read, about; those of which the atoms are count as fewer."""
        again = sum(_count(facts, self.again[name]) for name, facts in self.facts.items())
        return sum(self.new_rows.values()) + again // READ_AGAIN_SHARE

    @property
    def new_rows(self) -> dict[str, int]:
        """By table, how many rows are to be read."""
        return {name: _count(facts, self.new[name]) for name, facts in self.facts.items()}

    @property
    def size(self) -> int:
        """Bytes of memory that all will take, about."""
        return sum(each.piece.size for each in self.kept) + lineage_pieces.size_of(self.new_rows)


def plan(
    cut: LineageCut | None, publication: Publication, erased: int, facts: Mapping[str, VersionFacts]
) -> Plan:
    """Return what has to be read for a publication, given what is held for an earlier one.

    A piece goes if half of its rows stand no more. Small pieces are read again together with what is new, so each is
    larger than all after it, and they are few.

    Args:
        cut: None if anything was erased since.
        erased: How many documents have been erased.
    """
    known = {name: _by_key(each) for name, each in facts.items()}
    held = cut.pieces if cut is not None else ()
    kept = [each for each in held if 2 * _standing(each, known) >= len(each.piece)]
    new = _not_in(kept, facts)
    while kept and 0 < sum(_count(facts[name], new[name]) for name in facts) >= len(kept[-1].piece):
        kept.pop()
        new = _not_in(kept, facts)
    again = {
        name: frozenset(
            fragment.key[0]
            for each in kept
            for fragment, signature in each.fragments(name)
            if fragment.key in known[name] and known[name][fragment.key].signature != signature
        )
        for name in facts
    }
    return Plan(publication, erased, tuple(kept), facts, new, again)


def carried_out(made: Plan) -> LineageCut:
    """Read what a plan says is to be read.

    Raises:
        StoreCorrupt: Rows are not what they must be. Nothing is kept.
        TimedOut, Cancelled: It was to stop.
    """
    known = {name: _by_key(each) for name, each in made.facts.items()}
    columns = {
        name: facts.read(made.again[name]) if made.again[name] else {} for name, facts in made.facts.items()
    }
    pieces = [_renewed(each, known, columns) for each in made.kept]
    if any(made.new.values()):
        piece, atoms = lineage_pieces.read(
            {name: (facts, made.new[name]) for name, facts in made.facts.items()}
        )
        pieces.append(HeldPiece(piece, atoms, _signed(piece, known)))
    return LineageCut(made.publication, made.erased, tuple(pieces))


Known: TypeAlias = Mapping[str, Mapping[tuple[int, str], FragmentFacts]]


def _by_key(facts: VersionFacts) -> dict[tuple[int, str], FragmentFacts]:
    return {(fact.number, fact.content): fact for fact in facts.fragments}


def _standing(held: HeldPiece, known: Known) -> int:
    """Return how many rows of a piece stand, as far as it is known before anything is read."""
    return sum(
        int((held.atoms[name][fragment.rows] != NO_ROW).sum())
        for name in held.atoms
        for fragment, _ in held.fragments(name)
        if fragment.key in known[name]
    )


def _not_in(kept: Sequence[HeldPiece], facts: Mapping[str, VersionFacts]) -> dict[str, list[int]]:
    """Return the fragments that no piece has; one without rows is in none."""
    held = {
        name: {fragment.key for each in kept for fragment in each.piece.tables[name].fragments}
        for name in facts
    }
    return {
        name: [fact.number for key, fact in _by_key(each).items() if key not in held[name] and fact.rows]
        for name, each in facts.items()
    }


def _count(facts: VersionFacts, numbers: Collection[int]) -> int:
    wanted = frozenset(numbers)
    return sum(fact.rows for fact in facts.fragments if fact.number in wanted)


def _renewed(
    held: HeldPiece, known: Known, columns: Mapping[str, Mapping[int, FragmentColumns]]
) -> HeldPiece:
    """Return a piece with the atoms that its rows have now."""
    signatures = _signed(held.piece, known)
    atoms = dict(held.atoms)
    for name in held.atoms:
        changed = [
            (fragment, now)
            for (fragment, before), now in zip(held.fragments(name), signatures[name], strict=True)
            if before != now
        ]
        if changed:
            atoms[name] = atoms[name].copy()
        for fragment, now in changed:
            read = columns[name].get(fragment.key[0]) if now else None
            atoms[name][fragment.rows] = _atoms(fragment, read)
    return HeldPiece(held.piece, atoms, signatures)


def _signed(piece: LineagePiece, known: Known) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(
            known[name][fragment.key].signature if fragment.key in known[name] else ""
            for fragment in rows.fragments
        )
        for name, rows in piece.tables.items()
    }


def _atoms(fragment: HeldFragment, columns: FragmentColumns | None) -> Atoms:
    """Return the atoms that a fragment's rows have now; one that was deleted has none.

    Raises:
        StoreCorrupt: There is a row that was not there before.
    """
    found = np.full(fragment.rows.stop - fragment.rows.start, NO_ROW, np.int32)
    if columns is None:
        return found
    offsets = columns.offsets
    if fragment.offsets is None:
        places, held = offsets.astype(np.intp), offsets < len(found)
    else:
        places = np.minimum(np.searchsorted(fragment.offsets, offsets), len(found) - 1)
        held = fragment.offsets[places] == offsets
    if not held.all():
        raise StoreCorrupt("a file of lineage has rows that it had not before; nothing is kept")
    found[places] = columns.atoms
    return found
