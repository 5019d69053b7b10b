"""Say what one auditor may be told of, and how much lies beside it.

Promise: the labels he may audit by Casbin, and the changes of policy only if he
may audit his tenant's policy; of the rest of his tenant numbers, and of another
tenant nothing, not even a number.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import authority
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


def refuse_narrowed(ground: Ground, opened: AuditScope, now: Grant, named: frozenset[int]) -> None:
    """Let nobody ask on what was opened with rights that he has no more, or before an erasure.

    Args:
        opened: What was opened.
        now: A grant to audit, made now.
        named: Atoms of the documents whose names stand in it.

    Raises:
        Refused: A right that was there is gone, or a document that was there is erased.
    """
    kept = opened.grant.atoms <= now.atoms and (not opened.whole or scope(now).whole)
    if named and kept:
        readable = ground.grant(now.subject, "read")
        ground.issued.withdraw(readable)
        kept = named <= readable.atoms
    if not kept:
        raise Refused("what may be audited changed since this was opened", hint="open it anew")
    if now.erased != opened.grant.erased:
        raise Refused("something was erased since this was opened", hint="open it anew")
