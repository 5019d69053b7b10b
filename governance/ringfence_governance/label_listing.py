"""Show the named labels of a tenant, and what one of them has meant since it was defined.

Promise: only who may administer or audit the tenant's policy is told; a
refusal is recorded, and is the same whatever labels there are.
"""

from __future__ import annotations

from typing import Any

from . import authority, catalog_labels, journal
from .errors import InvalidInput, Refused
from .ground import Ground, Moment
from .identifiers import label_name, tenant_of
from .subjects import Subject

ACTIONS = ("administer", "audit")
"""Each of them on the tenant's policy is enough."""


def labels(ground: Ground, subject: Subject) -> list[dict[str, Any]]:
    """Return the named labels of the subject's tenant, by name, with what they mean now.

    Raises:
        Refused: He may neither administer nor audit his tenant's policy.
    """
    moment = ground.moment()
    _require(ground, moment, subject, subject.tenant, "label_list")
    named = sorted(
        (entry.label_id, entry.definition)
        for entry in moment.table.entries.values()
        if entry.named and entry.tenant == subject.tenant and entry.definition is not None
    )
    return [{"name": name, "definition": definition.to_mapping()} for name, definition in named]


def label_history(ground: Ground, subject: Subject, name: str) -> list[dict[str, Any]]:
    """Return every meaning a named label has had, the oldest first, each with who gave it, when and why.

    Raises:
        Refused: He may neither administer nor audit the policy of the label's tenant.
        InvalidInput: There is no such label, or the name is malformed.
    """
    moment = ground.moment()
    _require(ground, moment, subject, tenant_of(label_name(name)), "label_history")
    entry = moment.table.by_id.get(name)
    if entry is None:
        raise InvalidInput(f"label {name!r} is not defined; expected the name of one that is")
    with ground.catalog.read() as connection:
        numbers = catalog_labels.versions_of(connection, entry.atom)
        rows = [journal.entry(ground.catalog, connection, number) for number in numbers]
    return [
        {
            "at": row.at,
            "change": row.change.kind,
            "who": row.who,
            "why": row.why,
            "ticket": row.ticket,
            "definition": row.change.label[1],
        }
        for row in rows
        if row.change.label is not None
    ]


def _require(ground: Ground, moment: Moment, subject: Subject, tenant: str, verb: str) -> None:
    for action in ACTIONS:
        if authority.allowed_on_policy(moment.snapshot, subject, tenant, action, moment.now):
            ground.record(subject, verb, action, "allowed", detail={"tenant": tenant})
            return
    ground.record(subject, verb, ACTIONS[0], "refused")
    raise Refused(
        f"{subject.person} may neither administer nor audit this policy",
        hint="ask an administrator of the tenant",
    )
