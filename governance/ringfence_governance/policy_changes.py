"""Change the policy of a running store: one journaled row at a time, by who may.

Promise: a change is made by a subject with `administer` on the tenant's
policy, is checked as a whole before it is kept, and is in force for the next
query everywhere. A change that is refused leaves nothing.
"""

from __future__ import annotations

from . import policy_rights
from .errors import PolicyRefused
from .ground import Ground, Moment
from .identifiers import tenant_of
from .journal import Change, ChangeKind
from .kept_changes import GIVEN, MADE, Reasoned, keep, made_with, until_still
from .policy_checks import check_names
from .policy_rows import ANY, Row, Rule
from .policy_text import PolicyBundle
from .subjects import Subject

__all__ = ["MADE", "Reasoned", "add_row", "began_with", "matching_rows", "remove_row"]


def add_row(ground: Ground, subject: Subject, row: Row, reason: Reasoned) -> bool:
    """Add a row. False: it stands already.

    Raises:
        Refused: The subject may not administer the row's tenant; or it puts a label into a set that a rule
            allows, and he may not declassify it.
        PolicyRefused: The policy with this row would not load.
        StoreBusy: Others kept changing the policy.
    """
    return until_still(lambda: _change(ground, subject, row, reason, add=True))


def remove_row(ground: Ground, subject: Subject, row: Row, reason: Reasoned) -> bool:
    """Remove a row. False: it does not stand.

    Raises:
        Refused: The subject may not administer the row's tenant; or it takes a label out of a set that a
            rule denies, and he may not declassify it.
        PolicyRefused: The policy without this row would not load.
        StoreBusy: Others kept changing the policy.
    """
    return until_still(lambda: _change(ground, subject, row, reason, add=False))


def matching_rows(
    ground: Ground, subject: Subject, sub: str, action: str, object_id: str
) -> tuple[Rule, ...]:
    """Return the allow rules of a subject, action and object, for one who may administer their tenant."""
    moment = ground.moment()
    tenant = tenant_of(subject.person)
    policy_rights.require_tenant(ground, moment, subject, tenant, "revoke")
    found = tuple(
        rule
        for rule in moment.snapshot.index.by_subject.get(sub) or ()
        if (rule.act, rule.obj) == (action, object_id) and rule.eft == "allow" and rule.dom == tenant
    )
    if not found:
        # What is found is recorded when it is removed; that there is none is an answer too.
        policy_rights.record_unchanged(ground, subject, "revoke", tenant)
    return found


def began_with(ground: Ground, bundle: PolicyBundle) -> bool:
    """Say whether every row and label of a bundle was put in when the store was made, and not one more.

    The administrator's own two rules, which making a store adds, do not count.
    """
    made = made_with(ground)
    rows = {entry.change.row for entry in made if entry.change.row is not None}
    given = {entry.change.row for entry in made if entry.why == GIVEN}
    labels = {
        entry.change.label[0]: entry.change.label[1] for entry in made if entry.change.label is not None
    }
    wanted = {label.name: label.definition.to_mapping() for label in bundle.labels}
    return rows - given <= set(bundle.rows) <= rows and labels == wanted


def _change(ground: Ground, subject: Subject, row: Row, reason: Reasoned, *, add: bool) -> bool:
    verb: ChangeKind = "row_added" if add else "row_removed"
    moment = ground.moment()
    policy_rights.require_row(ground, moment, subject, row, verb)
    if (row in moment.snapshot.index) == add:
        policy_rights.record_unchanged(ground, subject, verb, _tenant(row))
        return False
    if add:
        _check_names(row, moment)
    after = moment.snapshot.changed(added=[row] if add else [], removed=[] if add else [row])
    lowered = policy_rights.lowerings(moment, after, moved=policy_rights.moved_labels([row]))
    policy_rights.require_declassify(ground, moment, subject, lowered, verb)
    # Recorded first: if it cannot be, the change is not made.
    ground.record(subject, verb, "administer", "allowed", detail={"tenant": _tenant(row)})
    keep(ground, subject, moment, [Change(verb, row=row)], reason, verb)
    return True


def _check_names(row: Row, moment: Moment) -> None:
    findings = check_names([row], moment.table.by_id, "<policy>")
    if findings:
        raise PolicyRefused(findings)


def _tenant(row: Row) -> str:
    return next(iter(policy_rights.tenants_of(row)), ANY)
