"""A grant: which atoms one subject may read, at one moment of one store.

Promise: only the store that issued a grant takes it, only while it is valid,
and only at the catalog sequence it was made for. It cannot be made by hand,
widened, copied to another process or reused for another action.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

from .atom_sets import AtomSet
from .errors import Refused
from .keyrings import Standing
from .label_table import LabelTable
from .publications import Publication
from .seal import digest
from .snapshot import Snapshot
from .standing_policy import StandingPolicy
from .subjects import Subject


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Grant:
    """What one request may read.

    Args:
        subject: Who asks.
        action: The Casbin action it was judged for.
        atoms: The readable atoms; never shown to a reader.
        sequence: The catalog number it was made at.
        publication: The cut it reads.
        erased: Ids of erased documents: a row of one of them never leaves.
        now: The time it was judged at, UTC.
        expires_at: UTC; from here on the decision may be another.
        policy: The policy it was judged by.
        every_row_max: Up to how many rows each is scored outright, as it was measured; None if it never was.
        at: UTC; the time whose rows were asked for; empty for now.
        standing: Of a cut before the newest: how all documents stand now that this subject may read now. No row of
            another document is covered.
    """

    subject: Subject
    action: str
    atoms: AtomSet = field(repr=False)
    sequence: int
    publication: Publication
    erased: frozenset[str] = field(repr=False)
    policy: StandingPolicy
    table: LabelTable
    now: str
    expires_at: str
    every_row_max: int | None = None
    at: str = ""
    standing: Standing | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Grant(subject={self.subject.person!r}, action={self.action!r})"

    def __reduce__(self) -> str:
        raise TypeError("a grant cannot be pickled")

    @property
    def snapshot(self) -> Snapshot:
        """The policy it was judged by."""
        return self.policy.snapshot

    def covers(self, document_id: str, run_id: str) -> bool:
        """Say whether rows of a run's writing of a document may leave, as far as that hangs on how it stands now."""
        return self.standing is None or self.standing.last(document_id, run_id) is not None

    def labels_over(self, document_id: str, run_id: str, atom: int) -> tuple[int, ...]:
        """Return the atoms under all of which a row that is covered has to be readable, its own first."""
        if self.standing is None:
            return (atom,)
        now, _ = self.standing.documents[document_id]
        last = self.standing.last(document_id, run_id)
        return tuple(dict.fromkeys((atom, now if last is None else last, now)))

    def readable_set(self, key: bytes) -> str:
        """Return a keyed digest of the readable atoms, for the record: small integers are soon guessed."""
        return digest(key, "readable set", self.atoms.array.astype("<i4").tobytes())


class Issued:
    """The grants a store has issued and still knows."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: weakref.WeakSet[Grant] = weakref.WeakSet()

    def add(self, grant: Grant) -> Grant:
        """Remember a grant, and return it."""
        self._known.add(grant)
        return grant

    def withdraw(self, grant: Grant) -> None:
        """Forget a grant: whoever still holds it reads nothing more with it."""
        self._known.discard(grant)

    def check(self, grant: Grant, now: str) -> None:
        """Hold a grant to this store and to its time.

        Raises:
            Refused: It was not issued here, or it has expired.
        """
        if not isinstance(grant, Grant) or grant not in self._known:
            raise Refused("found no grant of this store; expected one; every read needs a grant")
        if now >= grant.expires_at:
            raise Refused("found an expired grant; expected a fresh one; ask again")
