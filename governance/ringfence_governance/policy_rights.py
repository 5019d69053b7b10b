"""Say who may change which part of a policy, and hold a change to it.

Promise: a change is made by who may administer each tenant it is of, judged by
the policy before the change. What would let somebody in more under a label
that stands needs `declassify` on that label as well, by what the label meant
before. A refusal is recorded before it is raised.

A grant needs `administer` alone, and so does any rule, any membership of a
principal, any clearance. To give rights is what `administer` is for; such a
row names who gets what, is shown with the policy, and is taken back by
removing it. A label is another matter: those who put documents under it
relied on what it means. To lower it, or to move it into a set that others
were let into, releases what is theirs without one rule that says so; so it
needs the right to release just that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import authority, declassification
from .errors import Refused
from .ground import Ground, Moment
from .identifiers import tenant_of
from .labels import Label
from .policy_rows import ANY, Facts, Link, Row, Rule, named_tenants
from .snapshot import Snapshot
from .subjects import Subject

Lowered = Mapping[str, tuple[str, ...]]
"""Label's name → in which ways a change lowers it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose policy one subject may administer at one moment.

    Args:
        tenants: His own tenant, if he may; none has a right in another.
        every: Whether that is each tenant which the policy or a label names.
    """

    tenants: frozenset[str]
    every: bool

    def may_change(self, row: Row) -> bool:
        """Say whether he may add or remove the row; one that holds in every tenant needs them all."""
        tenants = tenants_of(row)
        return tenants <= self.tenants if tenants else self.every

    def sees(self, row: Row) -> bool:
        """Say whether the row is among those he is shown: it names no tenant but his."""
        return named_tenants(row) <= self.tenants


def scope_of(moment: Moment, subject: Subject) -> Scope:
    """Return whose policy the subject may administer."""
    if not may_administer(moment, subject, subject.tenant):
        return Scope(frozenset(), every=False)
    return Scope(frozenset({subject.tenant}), every=_may_everywhere(moment, subject))


def may_administer(moment: Moment, subject: Subject, tenant: str) -> bool:
    """Say whether the chain may administer a tenant's policy."""
    return authority.allowed_on_policy(moment.snapshot, subject, tenant, "administer", moment.now)


def tenants_of(row: Row) -> frozenset[str]:
    """Return the tenant whose policy a row is part of; none if it holds in every one."""
    if isinstance(row, Rule):
        return frozenset() if row.dom == ANY else frozenset({row.dom})
    if isinstance(row, Facts):
        return frozenset({tenant_of(row.principal)})
    return frozenset() if row.kind == "g3" else frozenset({tenant_of(row.parent)})


def require_tenant(ground: Ground, moment: Moment, subject: Subject, tenant: str, verb: str) -> None:
    """Hold a change to who may administer the tenant.

    Raises:
        Refused: He may not; recorded.
    """
    if not may_administer(moment, subject, tenant):
        refuse(ground, subject, verb)


def require_row(ground: Ground, moment: Moment, subject: Subject, row: Row, verb: str) -> None:
    """Hold a change of a row to who may administer its tenant, or every one if it holds in all.

    Raises:
        Refused: He may not; recorded.
    """
    tenants = tenants_of(row)
    may = all(may_administer(moment, subject, tenant) for tenant in tenants)
    if not (may if tenants else _may_everywhere(moment, subject)):
        refuse(ground, subject, verb)


def require_declassify(ground: Ground, moment: Moment, subject: Subject, lowered: Lowered, verb: str) -> None:
    """Hold a change that lowers labels to who may declassify each of them.

    Raises:
        Refused: He may not; recorded.
    """
    if not (forbidden := not_declassified(moment, subject, lowered)):
        return
    atoms = sorted(moment.table.by_id[name].atom for name in forbidden)
    ground.record(subject, verb, "declassify", "refused", detail={"labels": atoms})
    ways = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in forbidden.items())
    raise Refused(
        f"{subject.person} may not lower this label; nothing was changed ({ways})",
        hint="besides 'administer' it needs 'declassify' on the label as it stands",
    )


def lowerings(
    moment: Moment,
    after: Snapshot,
    *,
    moved: Iterable[str] = (),
    redefined: Mapping[str, Label] | None = None,
) -> Lowered:
    """Return the labels that stand and that a change lowers, by name.

    A label that the change itself defines has nothing under it yet, and is not among them.

    Args:
        after: The policy with the change.
        moved: Labels whose sets the change may have changed.
        redefined: Name → what it would mean.
    """
    given = redefined or {}
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted({*moved, *given}):
        entry = moment.table.by_id.get(name)
        if entry is None or entry.definition is None:
            continue
        reasons = declassification.set_membership(moment.snapshot.index, after.index, name)
        if name in given:
            reasons += declassification.redefinition(given[name], entry.definition)
        if reasons:
            found[name] = reasons
    return found


def not_declassified(moment: Moment, subject: Subject, lowered: Lowered) -> Lowered:
    """Return those of the lowered labels that the subject may not declassify as they stand."""
    return {
        name: reasons
        for name, reasons in lowered.items()
        if not authority.allowed(
            moment.snapshot, subject, moment.table.by_id[name], moment.table, "declassify", moment.now
        )
    }


def moved_labels(rows: Iterable[Row]) -> frozenset[str]:
    """Return the labels that the rows put into sets."""
    return frozenset(row.child for row in rows if isinstance(row, Link) and row.kind == "g2")


def record_unchanged(ground: Ground, subject: Subject, verb: str, tenant: str) -> None:
    """Record a change that was allowed and found nothing to do."""
    detail: dict[str, object] = {"tenant": tenant, "changed": False}
    ground.record(subject, verb, "administer", "allowed", detail=detail)


def refuse(ground: Ground, subject: Subject, verb: str) -> None:
    """Record that somebody may not administer, and refuse him.

    Raises:
        Refused: Always.
    """
    ground.record(subject, verb, "administer", "refused")
    raise Refused(
        f"{subject.person} may not administer this policy; nothing was changed",
        hint="ask an administrator of the tenant",
    )


def _may_everywhere(moment: Moment, subject: Subject) -> bool:
    tenants = {entry.tenant for entry in moment.table.entries.values()}.union(
        {subject.tenant}, *map(named_tenants, moment.policy.added)
    )
    return all(may_administer(moment, subject, tenant) for tenant in sorted(tenants))
