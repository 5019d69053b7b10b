"""Answer why, who and what state a store is in, to whom it may be told.

Promise: a reader learns only his own reasons for what he can read; unknown
and unreadable are one answer; everything else needs `audit` or `administer`.

Source: DESIGN.md §6.
"""

from __future__ import annotations

from typing import Any

from . import authority, listings
from .errors import Refused
from .grants import Grant
from .ground import Ground, Moment
from .labels import LabelEntry
from .policy_rows import ANY, Link, Row, Rule, from_fields, named_tenants, to_fields
from .reading import Answer, GrantedReader, read
from .rows import label_of
from .subjects import Subject

OWN_LABEL = "(its label)"
"""Stands for a label's name in a rule that is shown to a reader."""


def why(ground: Ground, subject: Subject, object_id: str) -> dict[str, Any]:
    """Tell a reader why he may read a document or chunk: his own rules, his own path.

    Raises:
        NotReadable: Unknown or unreadable.
    """

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        document_id, atom = reader.check_row(object_id)
        name = reader.label_name(atom)
        body = _own_reasons(reader.grant, reader.grant.table.entries[atom])
        answer = {
            "object": object_id,
            "document": document_id,
            "subject": subject.person,
            "label": name,
            **body,
        }
        return Answer([(object_id, atom)], lambda as_of: {**answer, "as_of": as_of}, plan="why")

    return read(ground, subject, "why", work)


def why_for(ground: Ground, auditor: Subject, subject: Subject, object_id: str) -> dict[str, Any]:
    """Tell an auditor why a subject may, or may not, read: every rule, the paths, who granted each.

    Raises:
        NotReadable: Unknown, or under a label the auditor may not audit.
    """

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        entry, document_id = label_of(ground, reader.grant, object_id)
        grant = reader.grant
        explanation = authority.explain(
            grant.snapshot, grant.table, subject, entry, action="read", now=grant.now
        )
        body = explanation.to_mapping()
        _add_provenance(ground, body)
        answer = {
            "object": object_id,
            "document": document_id,
            "subject": subject.person,
            "label": entry.label_id if entry.named else None,
            "label_definition": [label.to_mapping() for _, label in grant.table.definitions(entry)],
            "decision": "allow" if explanation.allowed else "deny",
            **body,
        }
        return Answer([(object_id, entry.atom)], lambda as_of: answer, plan="why")

    return read(ground, auditor, "why", work, action="audit")


def who(ground: Ground, auditor: Subject, object_id: str) -> dict[str, Any]:
    """Tell an auditor which known subjects may read a document or chunk now.

    `readers` may read it without a purpose; `purposes` holds, by purpose, who may read it only with one.

    Raises:
        NotReadable: Unknown, or under a label the auditor may not audit.
    """

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        grant = reader.grant
        entry, document_id = label_of(ground, grant, object_id)
        found = listings.who_may(grant.snapshot, grant.table, entry, "read", grant.now)
        readers = list(found.readers)
        purposes = {purpose: list(actors) for purpose, actors in found.purposes.items()}
        answer = {"object": object_id, "document": document_id, "readers": readers, "purposes": purposes}
        counts = {"readers": len(set(readers).union(*purposes.values()))}
        return Answer([(object_id, entry.atom)], lambda as_of: answer, plan="who", counts=counts)

    return read(ground, auditor, "who", work, action="audit")


def status(ground: Ground, subject: Subject) -> dict[str, Any]:
    """Return version, mode and health; numbers only to one who may audit or administer his tenant.

    They are his tenant's. What any tenant's change moves is only for one who has the right in each of them.
    """
    moment = ground.moment()
    answer: dict[str, Any] = {"format": 1, "mode": "sealed", "health": "ok"}
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
    if may and all(_may_count(moment, subject, tenant) for tenant in _tenants(moment)):
        answer |= {
            "sequence": moment.sequence,
            "publication": moment.publication.sequence,
            "policy_revision": moment.snapshot.revision,
        }
    ground.record(subject, "status", "audit", "allowed", detail={"numbers": may})
    return answer


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


def _tenants(moment: Moment) -> set[str]:
    """Return every tenant that has a label, or that a row of the policy names."""
    labelled = {entry.tenant for entry in moment.table.entries.values()}
    return labelled.union(*map(named_tenants, moment.snapshot.rows))


def _may_count(moment: Moment, subject: Subject, tenant: str) -> bool:
    return any(
        authority.allowed_on_policy(moment.snapshot, subject, tenant, action, moment.now)
        for action in ("audit", "administer")
    )


def _own_reasons(grant: Grant, entry: LabelEntry) -> dict[str, Any]:
    explanation = authority.explain(
        grant.snapshot, grant.table, grant.subject, entry, action="read", now=grant.now
    )
    rules: list[dict[str, Any]] = []
    for verdict in explanation.verdicts:
        for reason in verdict.reasons:
            shown = {
                "actor": verdict.actor,
                "rule": ", ".join(_without_label_name(reason.rule)),
                "path": list(reason.membership),
                "relation": list(reason.relation),
            }
            if shown not in rules:
                rules.append(shown)
    return {"decision": "allow" if explanation.allowed else "deny", "rules": rules}


def _without_label_name(rule: Rule) -> tuple[str, ...]:
    fields = list(to_fields(rule))
    if rule.obj != ANY:
        fields[3] = OWN_LABEL
    return tuple(fields)


def _add_provenance(ground: Ground, body: dict[str, Any]) -> None:
    """Add who granted each rule and each step of the ways to it."""
    policy = ground.moment().policy

    def granted(row: Row) -> dict[str, object] | None:
        number = policy.added.get(row)
        if number is None:
            return None
        entry = ground.journal_entry(number)
        return {"at": entry.at, "who": entry.who, "why": entry.why, "ticket": entry.ticket}

    for verdict in body["verdicts"]:
        for rule in verdict["rules"]:
            rule["granted"] = granted(from_fields(rule["rule"].split(", ")))
            for path in ("membership", "relation"):
                steps = zip(rule[path], rule[path][1:], strict=False)
                rule[f"{path}_granted"] = [
                    granted(Link("g", child, parent)) if parent != ANY else None for child, parent in steps
                ]
