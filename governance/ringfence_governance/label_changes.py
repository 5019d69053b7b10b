"""Define a named label, give it another meaning, or let it expire: journaled, by who may.

Promise: a label's name and tenant stay for ever; a new meaning holds from the
next query on, everywhere, for every document and every derivative that
carries the label, and no row of data is touched. A meaning that would let
somebody in more is given only by who may declassify under the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from . import policy_rights
from .errors import InvalidInput
from .ground import Ground, Moment
from .identifiers import label_name, tenant_of
from .journal import Change, ChangeKind
from .kept_changes import Reasoned, keep, until_still
from .labels import Label, LabelEntry, NamedLabel
from .subjects import Subject

JOBS: Mapping[ChangeKind, str] = {
    "label_defined": "define_label",
    "label_redefined": "redefine_label",
    "label_expired": "expire_label",
}
"""What is journaled → what the record and lineage call it."""
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def define_label(ground: Ground, subject: Subject, label: NamedLabel, reason: Reasoned) -> None:
    """Define a named label that does not exist yet.

    Raises:
        Refused: The subject may not administer the label's tenant.
        InvalidInput: The label exists already.
        StoreBusy: Others kept changing the policy.
    """
    until_still(lambda: _define(ground, subject, label, reason))


def redefine_label(ground: Ground, subject: Subject, label: NamedLabel, reason: Reasoned) -> bool:
    """Give a named label another meaning. False: it means that already.

    Raises:
        Refused: The subject may not administer the label's tenant; or the new meaning is lower, and he may
            not declassify under the old one.
        InvalidInput: There is no such label.
        StoreBusy: Others kept changing the policy.
    """
    return until_still(lambda: _redefine(ground, subject, label, reason))


def expire_label(ground: Ground, subject: Subject, name: str, reason: Reasoned) -> bool:
    """End a named label's validity now: nobody reads under it any more. False: it has ended already.

    It lowers nothing, so it needs no `declassify`. A label that has not begun yet ends with the second before.

    Raises:
        Refused: The subject may not administer the label's tenant.
        InvalidInput: There is no such label, or the name is malformed.
        StoreBusy: Others kept changing the policy.
    """
    label_name(name)
    return until_still(lambda: _expire(ground, subject, name, reason))


def _define(ground: Ground, subject: Subject, label: NamedLabel, reason: Reasoned) -> None:
    tenant = label.definition.tenant
    moment = ground.moment()
    policy_rights.require_tenant(ground, moment, subject, tenant, "define_label")
    if label.name in moment.table.by_id:
        policy_rights.record_unchanged(ground, subject, "define_label", tenant)
        raise InvalidInput(f"label {label.name!r} is defined already; expected a new name")
    ground.record(subject, "define_label", "administer", "allowed", detail={"tenant": tenant})
    _keep(ground, subject, moment, "label_defined", label, reason)


def _redefine(ground: Ground, subject: Subject, label: NamedLabel, reason: Reasoned) -> bool:
    moment = ground.moment()
    entry, old = _standing(ground, moment, subject, label.name, "redefine_label")
    if label.definition == old:
        policy_rights.record_unchanged(ground, subject, "redefine_label", entry.tenant)
        return False
    lowered = policy_rights.lowerings(moment, moment.snapshot, redefined={label.name: label.definition})
    policy_rights.require_declassify(ground, moment, subject, lowered, "redefine_label")
    _record(ground, subject, "redefine_label", entry, lowered=bool(lowered))
    _keep(ground, subject, moment, "label_redefined", label, reason)
    return True


def _expire(ground: Ground, subject: Subject, name: str, reason: Reasoned) -> bool:
    moment = ground.moment()
    entry, old = _standing(ground, moment, subject, name, "expire_label")
    if old.valid_until <= moment.now:
        policy_rights.record_unchanged(ground, subject, "expire_label", entry.tenant)
        return False
    begins = min(old.valid_from, _second_before(moment.now))
    ended = NamedLabel(name, replace(old, valid_from=begins, valid_until=moment.now))
    _record(ground, subject, "expire_label", entry, lowered=False)
    _keep(ground, subject, moment, "label_expired", ended, reason)
    return True


def _standing(
    ground: Ground, moment: Moment, subject: Subject, name: str, verb: str
) -> tuple[LabelEntry, Label]:
    """Return a named label for one who may administer its tenant.

    Raises:
        Refused: He may not; the same whether there is such a label.
        InvalidInput: There is none.
    """
    policy_rights.require_tenant(ground, moment, subject, tenant_of(name), verb)
    entry = moment.table.by_id.get(name)
    if entry is None or entry.definition is None or not entry.named:
        policy_rights.record_unchanged(ground, subject, verb, tenant_of(name))
        raise InvalidInput(f"label {name!r} is not defined; expected the name of one that is; define it")
    return entry, entry.definition


def _record(ground: Ground, subject: Subject, verb: str, entry: LabelEntry, *, lowered: bool) -> None:
    # Recorded first: if it cannot be, the change is not made.
    detail: dict[str, object] = {"tenant": entry.tenant, "labels": [entry.atom], "lowered": lowered}
    ground.record(subject, verb, "administer", "allowed", detail=detail)


def _keep(
    ground: Ground, subject: Subject, moment: Moment, kind: ChangeKind, label: NamedLabel, reason: Reasoned
) -> None:
    change = Change(kind, label=(label.name, label.definition.to_mapping()))
    keep(ground, subject, moment, [change], reason, JOBS[kind])


def _second_before(now: str) -> str:
    return (datetime.strptime(now, TIME_FORMAT).replace(tzinfo=UTC) - timedelta(seconds=1)).strftime(
        TIME_FORMAT
    )
