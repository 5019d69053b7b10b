"""Hold the parts of one open store together, and see all of them at one moment.

Promise: a moment is one catalog sequence: the policy, the labels and the
publication in it belong together. Nothing here leaves governance.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from . import (
    authority,
    catalog_labels,
    erasure_ledger,
    journal,
    publications,
    standing_policy,
    thresholds,
)
from .ambient import Ambient
from .atom_sets import AtomSet
from .audit_log import AuditLog
from .audit_record import AuditRecord, Outcome
from .audit_settings import AuditSettings
from .blinding import Blinding
from .catalog import Catalog
from .checkpoint_keeper import CheckpointKeeper
from .erasure_ledger import LedgerCopy
from .errors import StoreError
from .grants import Grant, Issued
from .journal import Entry
from .kept_by_atom import KeptByAtom
from .kept_handles import KeptHandles
from .key_store import KeyStore
from .known_contents import KnownContents, KnownGiven
from .label_table import LabelTable
from .lance_tables import LanceTables
from .lineage import Lineage
from .publications import Publication
from .resident import Resident
from .resident_lineage import ResidentLineage
from .seal import digest
from .snapshot import Snapshot
from .standing_policy import StandingPolicy
from .store_modes import BLINDING
from .subjects import Assertion, Subject

READABLE_SETS_KEPT = 256
"""How many readable sets are kept; the oldest goes first."""


@dataclass(frozen=True, slots=True, repr=False)
class Moment:
    """One store at one catalog sequence."""

    sequence: int
    now: str
    policy: StandingPolicy
    table: LabelTable
    publication: Publication
    erased: frozenset[str]
    """Ids of all documents that were erased."""
    every_row_max: int | None = None
    """Up to how many rows each is scored outright, as it was measured; None if it never was."""

    @property
    def snapshot(self) -> Snapshot:
        """The policy that stands."""
        return self.policy.snapshot


class _Readable(NamedTuple):
    """A readable set, and when it holds: UTC, from the first time up to the second."""

    since: str
    until: str
    atoms: AtomSet


@dataclass(slots=True)
class _Kept:
    """What is kept between calls, each bound to the number it was made at."""

    moment: tuple[tuple[int, int], Moment] | None = None
    policy: StandingPolicy | None = None
    labels: LabelTable | None = None
    erased: tuple[int, frozenset[str]] = (0, frozenset())
    readable: dict[tuple[object, ...], _Readable] = field(default_factory=dict)
    store_keys: dict[str, bytes] = field(default_factory=dict)


class Ground:
    """The open parts of one store. Private to governance."""

    __slots__ = (
        "_asserted_by",
        "_closed",
        "_kept",
        "_lock",
        "ambient",
        "audit",
        "blinding",
        "catalog",
        "checkpoints",
        "contents",
        "erasures",
        "given",
        "handles",
        "issued",
        "keys",
        "lineage",
        "resident",
        "resident_lineage",
        "root",
        "rules",
        "store_id",
        "tables",
        "verdicts",
    )

    def __init__(
        self,
        root: Path,
        store_id: str,
        catalog: Catalog,
        keys: KeyStore,
        ambient: Ambient,
        keys_folder: Path,
        tables: LanceTables,
        audit: AuditSettings | None = None,
    ) -> None:
        self.root = root
        self.store_id = store_id
        self.catalog = catalog
        self.keys = keys
        self.ambient = ambient
        self.tables = tables
        self.blinding = Blinding(keys.store_key(BLINDING), tables.mode) if tables.mode.indexed else None
        kept = audit or AuditSettings()
        self.audit = AuditLog(root / "audit", catalog, kept)
        self.checkpoints = CheckpointKeeper(root, store_id, keys, ambient, self.audit, kept)
        self.lineage = Lineage(root / "lineage", catalog)
        self.erasures = LedgerCopy(keys_folder)
        self.issued = Issued()
        self.resident = Resident()
        self.resident_lineage = ResidentLineage(tables, self.resident)
        self.contents = KnownContents(lambda: self.store_key("query"))
        self.given = KnownGiven()
        self.handles = KeptHandles()
        self.rules = KeptByAtom[frozenset[int]]()
        self.verdicts = KeptByAtom[bool]()
        self._asserted_by = Assertion.of_this_process()
        self._kept = _Kept()
        self._lock = threading.RLock()
        self._closed = False

    def __repr__(self) -> str:
        return "Ground(…)"

    def __reduce__(self) -> str:
        raise TypeError("a store's ground cannot be pickled")

    @property
    def asserted_by(self) -> dict[str, object]:
        """Who vouches for subjects here: this process, also if it was forked since the store was opened."""
        if self._asserted_by.process != os.getpid():
            self._asserted_by = Assertion.of_this_process()
        return self._asserted_by.to_mapping()

    def close(self) -> None:
        """Close the log and the databases, and let go what was opened; nothing is asked or written here any more."""
        self._closed = True
        self.resident.close()
        self.resident_lineage.close()
        self.contents.clear()
        self.lineage.close()
        self.audit.close()
        self.checkpoints.close()
        self.catalog.close()
        self.keys.close()

    def moment(self) -> Moment:
        """Return the store as it stands now: policy, labels and publication at one sequence.

        Raises:
            SequenceUnconfirmed: Whether anything changed cannot be learnt in time.
            StoreError: The store was closed.
        """
        self._refuse_closed()
        mark = self.catalog.mark()
        with self._lock:
            kept = self._kept.moment
        if kept is not None and kept[0] == mark:
            now = self.catalog.now_from("")
            if now == kept[1].now:
                return kept[1]
            found = replace(kept[1], now=now)
        else:
            with self.catalog.read() as connection:
                found = self.moment_in(connection)
        # The mark is older than what was read: a change in between shows at the next call.
        with self._lock:
            self._kept.moment = (mark, found)
        return found

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError("the store is closed; nothing was read or written", hint="open it again")

    def moment_in(self, connection: Connection) -> Moment:
        """Return the moment a transaction sees."""
        return Moment(
            sequence=self.catalog.sequence(connection),
            now=self.catalog.now(connection),
            policy=self._policy(connection),
            table=self._labels(connection),
            publication=publications.newest(connection),
            erased=self._erased(connection),
            every_row_max=thresholds.load(self.catalog, connection),
        )

    def history(self) -> tuple[Entry, ...]:
        """Return every row of the policy journal, its chain checked."""
        with self.catalog.read() as connection:
            return tuple(journal.entries(self.catalog, connection))

    def journal_entry(self, sequence: int) -> Entry:
        """Return one row of the policy journal."""
        with self.catalog.read() as connection:
            return journal.entry(self.catalog, connection, sequence)

    def moved(self, grant: Grant) -> bool:
        """Say whether policy, labels' meanings or rows changed since a grant was made, or its time is over.

        Raises:
            StoreError: The store was closed.
        """
        self._refuse_closed()
        mark = self.catalog.mark()
        with self._lock:
            kept = self._kept.moment
        if kept is not None and kept[0] == mark and kept[1].sequence == grant.sequence:
            return self.catalog.now_from("") >= grant.expires_at
        with self.catalog.read() as connection:
            return self.catalog.changed_since(connection, grant.sequence) or (
                self.catalog.now(connection) >= grant.expires_at
            )

    def grant(self, subject: Subject, action: str, *, at: str = "") -> Grant:
        """Authorise a subject for an action at this moment; `at` is kept for :func:`past_grants.opened`."""
        moment = self.moment()
        readable = self._readable(moment, subject, action)
        return self.issued.add(
            Grant(
                subject=subject,
                action=action,
                atoms=readable.atoms,
                sequence=moment.sequence,
                publication=moment.publication,
                erased=moment.erased,
                policy=moment.policy,
                table=moment.table,
                now=moment.now,
                expires_at=readable.until,
                every_row_max=moment.every_row_max,
                at=at,
            )
        )

    def record(self, subject: Subject, verb: str, action: str, outcome: Outcome, **fields: object) -> None:
        """Write an audit record of something that is no read, durably.

        Raises:
            AuditUnavailable: It could not be written; what it records must not happen.
        """
        moment = self.moment()
        self.audit.append(
            AuditRecord(
                verb=verb,
                action=action,
                outcome=outcome,
                chain=authority.subject_facts(moment.snapshot, subject, moment.now),
                asserted_by=self.asserted_by,
                purpose=subject.purpose,
                policy_revision=moment.snapshot.revision,
                sequence=moment.sequence,
                publication=moment.publication.sequence,
                **fields,  # type: ignore[arg-type]
            )
        )

    def query_digest(self, person: str, text: str) -> str:
        """Return the keyed digest of a query, for the record; empty for an empty text.

        It is the person's own: who reads the log cannot try by questions of his own what others asked.
        """
        return digest(self.store_key("query"), "question", person, text) if text else ""

    def store_key(self, purpose: str) -> bytes:
        """Return one of the store's own keys, which stand as long as the store; opened once."""
        with self._lock:
            found = self._kept.store_keys.get(purpose)
        if found is None:
            found = self.keys.store_key(purpose)
            with self._lock:
                self._kept.store_keys[purpose] = found
        return found

    def _policy(self, connection: Connection) -> StandingPolicy:
        version = journal.version(connection)
        with self._lock:
            kept = self._kept.policy
        if kept is not None and kept.version == version:
            return kept
        if kept is None or kept.version > version:
            standing = standing_policy.load(self.catalog, connection)
        else:
            standing = standing_policy.advance(kept, self.catalog, connection)
        with self._lock:
            self._kept.policy = standing
        return standing

    def _labels(self, connection: Connection) -> LabelTable:
        version = catalog_labels.version(connection)
        with self._lock:
            kept = self._kept.labels
        if kept is not None and kept.version == version:
            return kept
        table = catalog_labels.load(self.catalog, connection, kept)
        with self._lock:
            self._kept.labels = table
        return table

    def _erased(self, connection: Connection) -> frozenset[str]:
        version = erasure_ledger.version(connection)
        with self._lock:
            kept = self._kept.erased
        if kept[0] == version:
            return kept[1]
        # The ledger only grows: what is new in it is added to what was there.
        after = kept[0] if kept[0] < version else 0
        found = erasure_ledger.erased(connection, after=after) | (kept[1] if after else frozenset())
        with self._lock:
            self._kept.erased = (version, found)
        return found

    def _readable(self, moment: Moment, subject: Subject, action: str) -> _Readable:
        """Return what may be read at a moment and by the clock of this machine, which may be behind the catalog's.

        What ended by the later of the two has ended. What begins has begun when both say so: a time in the catalog
        can be written there by who can write the files.
        """
        found = self._readable_at(moment, subject, action, moment.now)
        clock = self.ambient.now()
        if clock >= moment.now:
            return found
        atoms = found.atoms.array
        begun = self._readable_at(moment, subject, action, clock).atoms.holds_each(atoms)
        return found if begun.all() else found._replace(atoms=AtomSet.of(atoms[begun].tolist()))

    def _readable_at(self, moment: Moment, subject: Subject, action: str, now: str) -> _Readable:
        key = (moment.snapshot.revision, moment.table.version, subject, action, now < moment.now)
        with self._lock:
            kept = self._kept.readable.get(key)
        # A set holds from the moment it was made to the next time any rule or label begins or ends.
        if kept is not None and kept.since <= now < kept.until:
            return kept
        atoms, until = authority.readable_until(
            moment.snapshot, moment.table, subject, action=action, now=now
        )
        made = _Readable(now, until, atoms)
        with self._lock:
            self._kept.readable[key] = made
            while len(self._kept.readable) > READABLE_SETS_KEPT:
                self._kept.readable.pop(next(iter(self._kept.readable)))
        return made
