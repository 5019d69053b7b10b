"""Work out who may read under some labels, stretch after stretch, at the cost of what changed.

Promise: what is given of a stretch is what asking the compiler about every
subject, purpose and label of it would give. A subject is asked about again if a
row that can concern him changed, or a time of one came; all are, of a label that
got another meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from . import authority, listings
from .audit_times import Stretch
from .decisions import Asked
from .errors import InvalidInput
from .label_table import LabelTable
from .labels import Label, LabelEntry
from .policy_index import PolicyIndex
from .policy_rows import ANY, Facts, Link, Row, Rule


class StandingRights:
    """Who may read, as of the stretch that was asked about last.

    Args:
        tenant: Whose subjects are asked about.
        atoms: The labels.
        asked_max: How many questions are put at most.
    """

    __slots__ = ("_atoms", "_before", "_held", "_left", "_max", "_tenant")

    def __init__(self, tenant: str, atoms: frozenset[int], asked_max: int) -> None:
        self._tenant = tenant
        self._atoms = atoms
        self._max = self._left = asked_max
        self._before: Stretch | None = None
        self._held: dict[tuple[str, str], frozenset[int]] = {}

    def __repr__(self) -> str:
        return "StandingRights(…)"

    def of(self, stretch: Stretch) -> Iterator[tuple[str, str, int]]:
        """Yield (subject, purpose, atom) of who may read in a stretch; without a purpose if he needs none.

        Args:
            stretch: One that is later than all before.

        Raises:
            InvalidInput: There is more to ask than may be asked.
        """
        entries = {
            atom: entry for atom in self._atoms if (entry := stretch.table.entries.get(atom)) is not None
        }
        actors, purposes = listings.candidates(
            stretch.snapshot.rows, meanings(stretch.table, entries.values()), self._tenant
        )
        concerned, changed = self._concerned(stretch, entries, actors)
        part = _part(stretch.table, changed) if changed else None
        held: dict[tuple[str, str], frozenset[int]] = {}
        for actor in actors:
            for purpose in ("", *purposes):
                before = self._held.get((actor, purpose))
                if before is None or actor in concerned:
                    held[actor, purpose] = self._ask(stretch, stretch.table, actor, purpose) & entries.keys()
                elif part is not None:
                    new = self._ask(stretch, part, actor, purpose) & changed
                    held[actor, purpose] = (before - changed) | new
                else:
                    held[actor, purpose] = before
        self._before, self._held = stretch, held
        for (actor, purpose), atoms in held.items():
            needed = atoms - held[actor, ""] if purpose else atoms
            yield from ((actor, purpose, atom) for atom in needed)

    def _ask(self, stretch: Stretch, table: LabelTable, actor: str, purpose: str) -> frozenset[int]:
        self._left -= 1
        if self._left < 0:
            raise InvalidInput(
                f"found more than {self._max} decisions between now and the time that is asked for; "
                "expected fewer; open it since a later time"
            )
        asked = Asked(actor, "read", purpose, stretch.since, False)
        return frozenset(authority.actor_atoms(stretch.snapshot, table, asked))

    def _concerned(
        self, stretch: Stretch, entries: dict[int, LabelEntry], actors: Set[str]
    ) -> tuple[Set[str], frozenset[int]]:
        """Return who is to be asked about again, and the labels that all are to be asked about."""
        last = self._before
        if last is None:
            return actors, frozenset()
        old, new = last.snapshot.index, stretch.snapshot.index
        before, after = frozenset(last.snapshot.rows), frozenset(stretch.snapshot.rows)
        rows = before ^ after
        if any(isinstance(row, Link) and row.kind != "g" for row in rows):
            return actors, frozenset()
        names = {row.sub for row in (*rows, *_begin_or_end(after, stretch.since)) if isinstance(row, Rule)}
        cleared = {row.principal for row in rows if isinstance(row, Facts)}
        members = any(isinstance(row, Link) for row in rows)
        if ANY in names:
            return actors, frozenset()
        concerned = {
            actor for actor in actors if actor in cleared or _differs(old, new, actor, names, members=members)
        }
        return concerned, _changed(last.table, stretch, entries)


def _differs(old: PolicyIndex, new: PolicyIndex, actor: str, names: Set[str], *, members: bool) -> bool:
    """Whether an actor's groups changed, or one of them is named by a rule that did."""
    if not members and not names:
        return False
    groups = set(new.closure("g", actor))
    return not names.isdisjoint(groups) or (members and groups != set(old.closure("g", actor)))


def _begin_or_end(rows: frozenset[Row], at: str) -> Iterator[Rule]:
    for row in rows:
        if isinstance(row, Rule) and at in (row.nbf, row.exp):
            yield row


def _changed(before: LabelTable, stretch: Stretch, entries: dict[int, LabelEntry]) -> frozenset[int]:
    """Return the labels that are new, mean another thing, or begin or end, and those that have such a part."""
    table = stretch.table
    names = (
        set[str]()
        if table is before
        else {entry.label_id for atom, entry in table.entries.items() if before.entries.get(atom) != entry}
    )
    names |= {
        entry.label_id
        for entry in table.entries.values()
        if entry.definition is not None
        and stretch.since in (entry.definition.valid_from, entry.definition.valid_until)
    }
    return frozenset(
        atom
        for atom, entry in entries.items()
        if entry.label_id in names or not names.isdisjoint(entry.parts)
    )


def _part(table: LabelTable, atoms: frozenset[int]) -> LabelTable:
    """Return a table of some labels and of the parts of compound ones."""
    wanted = {table.entries[atom] for atom in atoms}
    wanted |= {table.by_id[part] for entry in wanted for part in entry.parts if part in table.by_id}
    return LabelTable(table.version, {entry.atom: entry for entry in wanted})


def meanings(table: LabelTable, entries: Iterable[LabelEntry]) -> Iterator[Label]:
    """Yield what some labels, and the parts of compound ones, mean."""
    for entry in entries:
        for name in entry.parts or (entry.label_id,):
            found = table.by_id.get(name)
            if found is not None and found.definition is not None:
                yield found.definition
