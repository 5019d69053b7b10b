"""Change the policy of a running store: one journaled row at a time, by who may.

Promise: a change is made by a subject with `administer` on the tenant's
policy, is checked as a whole before it is kept, and is in force for the next
query everywhere. A change that is refused leaves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from . import authority, catalog_labels, journal
from .errors import InvalidInput, PolicyRefused, Refused, StoreBusy
from .ground import Ground, Moment
from .identifiers import tenant_of
from .journal import Change
from .labels import NamedLabel
from .policy_checks import check_names
from .policy_rows import Facts, Link, Row, Rule
from .policy_text import PolicyBundle
from .subjects import Subject

WHY_CHARACTERS_MAX = 2000
ATTEMPTS_MAX = 40
"""How often a change is checked again because another one came first."""
PAUSE_S = 0.005
"""How much longer each attempt waits than the one before, so that many who change at once all get through."""
MADE = "the store was made"
"""The reason in the journal rows that making a store writes."""


@dataclass(frozen=True, slots=True)
class Reasoned:
    """Why a change is made.

    Args:
        why: For whoever reads the journal; not empty.
        ticket: Where it was asked for; may be empty.
    """

    why: str
    ticket: str = ""

    def __post_init__(self) -> None:
        if not self.why.strip() or len(self.why) > WHY_CHARACTERS_MAX:
            raise InvalidInput(
                f"why: found {len(self.why)} characters; expected 1 to {WHY_CHARACTERS_MAX}; "
                "say why it is changed"
            )


def add_row(ground: Ground, subject: Subject, row: Row, reason: Reasoned) -> bool:
    """Add a row. False: it stands already.

    Raises:
        Refused: The subject may not administer the row's tenant.
        PolicyRefused: The policy with this row would not load.
        StoreBusy: Others kept changing the policy.
    """
    return _until_still(lambda: _change(ground, subject, row, reason, add=True))


def remove_row(ground: Ground, subject: Subject, row: Row, reason: Reasoned) -> bool:
    """Remove a row. False: it does not stand.

    Raises:
        Refused: The subject may not administer the row's tenant.
        PolicyRefused: The policy without this row would not load.
        StoreBusy: Others kept changing the policy.
    """
    return _until_still(lambda: _change(ground, subject, row, reason, add=False))


def matching_rows(
    ground: Ground, subject: Subject, sub: str, action: str, object_id: str
) -> tuple[Rule, ...]:
    """Return the allow rules of a subject, action and object, for one who may administer their tenant."""
    moment = ground.moment()
    tenant = tenant_of(subject.person)
    _require(ground, moment, subject, tenant, "revoke")
    found = tuple(
        rule
        for rule in moment.snapshot.index.by_subject.get(sub) or ()
        if (rule.act, rule.obj) == (action, object_id) and rule.eft == "allow" and rule.dom == tenant
    )
    if not found:
        # What is found is recorded when it is removed; that there is none is an answer too.
        _record_unchanged(ground, subject, "revoke", tenant)
    return found


def define_label(ground: Ground, subject: Subject, label: NamedLabel, reason: Reasoned) -> None:
    """Define a named label that does not exist yet.

    Raises:
        Refused: The subject may not administer the label's tenant.
        InvalidInput: The label exists already.
        StoreBusy: Others kept changing the policy.
    """
    _until_still(lambda: _define_label(ground, subject, label, reason))


def _define_label(ground: Ground, subject: Subject, label: NamedLabel, reason: Reasoned) -> bool:
    tenant = label.definition.tenant
    moment = ground.moment()
    _require(ground, moment, subject, tenant, "define_label")
    if label.name in moment.table.by_id:
        _record_unchanged(ground, subject, "define_label", tenant)
        raise InvalidInput(f"label {label.name!r} is defined already; expected a new name")
    ground.record(subject, "define_label", "administer", "allowed", detail={"tenant": tenant})
    change = Change("label_defined", label=(label.name, label.definition.to_mapping()))
    with ground.catalog.write() as connection:
        _refuse_moved(connection, moment)
        sequence = journal.append(ground.catalog, connection, change, _record(ground, subject, reason))
        entry = catalog_labels.define(ground.catalog, connection, label.name, label.definition, sequence)
        ground.keys.ensure_label_key(entry)
    return True


def began_with(ground: Ground, bundle: PolicyBundle) -> bool:
    """Say whether every row and label of a bundle was put in when the store was made, and not one more.

    The administrator's own two rows, which making a store adds, do not count.
    """
    first = [entry for entry in ground.history() if entry.why == MADE]
    rows = {entry.change.row for entry in first if entry.change.row is not None}
    labels = {
        entry.change.label[0]: entry.change.label[1] for entry in first if entry.change.label is not None
    }
    given = {label.name: label.definition.to_mapping() for label in bundle.labels}
    missing = set(bundle.rows) - rows
    extra = {
        row for row in rows - set(bundle.rows) if not (isinstance(row, Rule) and row.sub == first[0].who)
    }
    return not missing and not extra and labels == given


def _change(ground: Ground, subject: Subject, row: Row, reason: Reasoned, *, add: bool) -> bool:
    verb = "row_added" if add else "row_removed"
    moment = ground.moment()
    _require(ground, moment, subject, _tenant(row), verb)
    if (row in moment.snapshot.index) == add:
        _record_unchanged(ground, subject, verb, _tenant(row))
        return False
    if add:
        _check_names(row, moment)
    moment.snapshot.changed(added=[row] if add else [], removed=[] if add else [row])
    # Recorded first: if it cannot be, the change is not made.
    ground.record(subject, verb, "administer", "allowed", detail={"tenant": _tenant(row)})
    with ground.catalog.write() as connection:
        _refuse_moved(connection, moment)
        journal.append(
            ground.catalog,
            connection,
            Change("row_added" if add else "row_removed", row=row),
            _record(ground, subject, reason),
        )
    return True


def _check_names(row: Row, moment: Moment) -> None:
    findings = check_names([row], moment.table.by_id, "<policy>")
    if findings:
        raise PolicyRefused(findings)


def _require(ground: Ground, moment: Moment, subject: Subject, tenant: str, verb: str) -> None:
    if authority.allowed_on_policy(moment.snapshot, subject, tenant, "administer", moment.now):
        return
    ground.record(subject, verb, "administer", "refused")
    raise Refused(
        f"{subject.person} may not administer this policy; nothing was changed",
        hint="ask an administrator of the tenant",
    )


def _record_unchanged(ground: Ground, subject: Subject, verb: str, tenant: str) -> None:
    detail: dict[str, object] = {"tenant": tenant, "changed": False}
    ground.record(subject, verb, "administer", "allowed", detail=detail)


class _PolicyMoved(StoreBusy):
    """The policy a change was checked against is no more the one that stands."""


def _refuse_moved(connection: Connection, moment: Moment) -> None:
    if journal.version(connection) != moment.policy.version:
        raise _PolicyMoved("the policy kept changing in the meantime; nothing was changed", hint="try again")


def _until_still(change: Callable[[], bool]) -> bool:
    """Make a change against the policy that stands; check it again if another came first.

    Raises:
        StoreBusy: Another came first each time.
    """
    for attempt in range(1, ATTEMPTS_MAX):
        try:
            return change()
        except _PolicyMoved:
            time.sleep(attempt * PAUSE_S)
    return change()


def _record(ground: Ground, subject: Subject, reason: Reasoned) -> dict[str, object]:
    return {
        "who": subject.person,
        "asserted_by": ground.asserted_by,
        "why": reason.why,
        "ticket": reason.ticket,
    }


def _tenant(row: Row) -> str:
    if isinstance(row, Rule):
        return row.dom
    if isinstance(row, Facts):
        return tenant_of(row.principal)
    if isinstance(row, Link) and row.kind != "g3":
        return tenant_of(row.parent)
    return "*"
