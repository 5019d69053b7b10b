"""Say in what state a store is, and which rows its policy has, to whom it may be told.

Promise: numbers of a tenant and rows of its policy need `audit` or `administer`
in it; what moves with every tenant's changes needs them in each.

Source: DESIGN.md §6.
"""

from __future__ import annotations

from typing import Any

from . import authority
from .errors import Refused
from .ground import Ground, Moment
from .policy_rows import named_tenants, to_fields
from .store_modes import WEAKER
from .subjects import Subject


def status(ground: Ground, subject: Subject) -> dict[str, Any]:
    """Return version, mode and health; numbers only to one who may audit or administer his tenant.

    They are his tenant's. What any tenant's change moves is only for one who has the right in each of them.
    """
    moment = ground.moment()
    answer: dict[str, Any] = {"format": 1, "mode": ground.tables.mode.name, "health": "ok"}
    if ground.tables.mode.indexed:
        answer["weaker"] = WEAKER
    may = _may_count(moment, subject, subject.tenant)
    if may:
        atoms = [atom for atom, entry in moment.table.entries.items() if entry.tenant == subject.tenant]
        answer |= {
            "store": ground.store_id,
            "labels": len(atoms),
            "rows": {
                name: ground.tables.count(name, version, atoms)
                for name, version in moment.publication.versions.items()
            },
        }
    if may_know_sizes(moment, subject):
        answer |= {
            "sequence": moment.sequence,
            "publication": moment.publication.sequence,
            "policy_revision": moment.snapshot.revision,
            "audit": ground.checkpoints.status(),
            "lineage": ground.lineage.status(),
        }
    ground.record(subject, "status", "audit", "allowed", detail={"numbers": may})
    return answer


def flush_lineage(ground: Ground, subject: Subject) -> dict[str, Any]:
    """Send the events of lineage that wait, now; return what :meth:`Lineage.status` does.

    Raises:
        Refused: The subject may neither audit nor administer every tenant of the store.
    """
    if not may_know_sizes(ground.moment(), subject):
        ground.record(subject, "flush_lineage", "audit", "refused")
        raise Refused(
            f"{subject.person} may neither audit nor administer every tenant of this store; nothing was sent",
            hint="the events are those of all tenants; ask one who may",
        )
    ground.record(subject, "flush_lineage", "audit", "allowed")
    return ground.lineage.flush()


def may_know_sizes(moment: Moment, subject: Subject) -> bool:
    """Say whether a subject may know what any tenant's change moves: he may audit or administer each of them."""
    tenants = {subject.tenant, *named_tenants_of(moment)}
    return all(_may_count(moment, subject, tenant) for tenant in tenants)


def policy_rows(ground: Ground, admin: Subject) -> list[dict[str, Any]]:
    """Return the rows of the administrator's tenant and those for every tenant, with who added each.

    Raises:
        Refused: The subject may not administer his tenant's policy.
    """
    moment = ground.moment()
    if not authority.allowed_on_policy(moment.snapshot, admin, admin.tenant, "administer", moment.now):
        ground.record(admin, "policy_show", "administer", "refused")
        raise Refused(
            f"{admin.person} may not administer this policy", hint="ask an administrator of the tenant"
        )
    ground.record(admin, "policy_show", "administer", "allowed")
    shown = []
    for row in moment.snapshot.rows:
        if not named_tenants(row) <= {admin.tenant}:
            continue
        entry = ground.journal_entry(moment.policy.added[row])
        shown.append({"row": ", ".join(to_fields(row)), "at": entry.at, "who": entry.who, "why": entry.why})
    return shown


def named_tenants_of(moment: Moment) -> set[str]:
    """Return every tenant that has a label, or that a row of the policy names."""
    labelled = {entry.tenant for entry in moment.table.entries.values()}
    return labelled.union(*map(named_tenants, moment.snapshot.rows))


def _may_count(moment: Moment, subject: Subject, tenant: str) -> bool:
    return any(
        authority.allowed_on_policy(moment.snapshot, subject, tenant, action, moment.now)
        for action in ("audit", "administer")
    )
