"""Say what one auditor may be told of, and how much lies beside it.

Promise: the labels he may audit by Casbin, and the changes of policy only if he
may audit his tenant's policy; of the rest of his tenant numbers, and of another
tenant nothing, not even a number, but for the chain of the log: it is one log.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import authority, rows
from .atom_sets import AtomSet
from .errors import Refused
from .grants import Grant
from .ground import Ground
from .labels import LabelEntry


@dataclass(frozen=True, slots=True, repr=False)
class AuditScope:
    """What an auditor may be told of at one catalog sequence.

    Args:
        grant: To audit, of that sequence.
        whole: Whether he may audit his tenant's policy: its changes, and all of each record.
        labels: The labels he may audit, by atom.
    """

    grant: Grant
    whole: bool
    labels: dict[int, LabelEntry]

    @property
    def tenant(self) -> str:
        """The auditor's tenant."""
        return self.grant.subject.tenant

    @property
    def others(self) -> AtomSet:
        """Atoms of the tenant's labels that he may not audit: they may be counted, not told."""
        table = self.grant.table.entries
        return AtomSet.of(
            atom
            for atom, entry in table.items()
            if entry.tenant == self.tenant and atom not in self.grant.atoms
        )


def scope(grant: Grant) -> AuditScope:
    """Return what the grant's subject may audit.

    Args:
        grant: To audit.

    Raises:
        Refused: He may audit nothing.
    """
    auditor = grant.subject
    whole = authority.allowed_on_policy(grant.snapshot, auditor, auditor.tenant, "audit", grant.now)
    if not whole and not grant.atoms:
        raise Refused(f"{auditor.person} may audit nothing here", hint="an administrator can grant 'audit'")
    return AuditScope(grant, whole, {atom: grant.table.entries[atom] for atom in grant.atoms})


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """What an auditor was told of when he opened his tables.

    Args:
        scope: By which rights.
        documents: Those that are told.
        named: Those of them whose names are told.
        named_atoms: The labels those were under.
    """

    scope: AuditScope
    documents: frozenset[str]
    named: frozenset[str]
    named_atoms: frozenset[int]


def refuse_narrowed(ground: Ground, opened: Opened, now: Grant) -> None:
    """Let nobody ask on what was opened with rights that he has no more, or before something in it was erased.

    Args:
        now: A grant to audit, made now.

    Raises:
        Refused: A right that was there is gone, be it by a document's new label, or a document is erased.
    """
    before = opened.scope.grant
    kept = before.atoms <= now.atoms and (not opened.scope.whole or scope(now).whole)
    moved = before.publication.versions["documents"] != now.publication.versions["documents"]
    if kept and moved:
        kept = not _left(ground, now, opened.documents)
    if kept and opened.named:
        readable = ground.grant(now.subject, "read")
        try:
            kept = opened.named_atoms <= readable.atoms
            kept = kept and not (moved and _left(ground, readable, opened.named))
        finally:
            ground.issued.withdraw(readable)
    if not kept:
        raise Refused("what may be audited changed since this was opened", hint="open it anew")
    # Only of what is told here: what others erase, and when, is not told by this either.
    if not opened.documents.isdisjoint(now.erased):
        raise Refused("something was erased since this was opened", hint="open it anew")


def _left(ground: Ground, grant: Grant, documents: frozenset[str]) -> bool:
    """Say whether one of some documents is there under a label that a grant does not cover."""
    missing = documents - {document for _, document, _ in rows.run_ids(ground, grant)}
    version = grant.publication.versions["documents"]
    return bool(missing) and bool(ground.tables.rows_by("documents", version, "id", missing, []))
