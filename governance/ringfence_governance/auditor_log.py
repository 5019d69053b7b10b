"""Show an auditor what was read, refused and changed in his tenant.

Promise: a record shows the rows under labels he may audit, and the others as
a count; what it says of all of them at once (purpose, rules, counts), and each
change of policy, is for an auditor of the whole tenant.

Source: DESIGN.md §6.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

from . import audit_reading, authority
from .errors import Refused
from .grants import Grant
from .ground import Ground
from .identifiers import tenant_of
from .journal import Change, Entry
from .policy_rows import named_tenants, to_fields
from .reading import Answer, GrantedReader, read
from .subjects import Subject

SECOND_CHARACTERS = len("2026-01-31T00:00:00")
POLICY_VERB = "policy"
"""The verb of a record that is a change of policy, from the journal."""


def log(ground: Ground, auditor: Subject) -> list[dict[str, Any]]:
    """Return what was read and changed in the auditor's tenant; rows he may not audit as a count.

    To an auditor of the whole tenant each change of its policy is a record of its own, from the journal.

    Raises:
        Refused: The subject may audit nothing.
    """

    def work(reader: GrantedReader) -> Answer[list[dict[str, Any]]]:
        grant = reader.grant
        tenant = auditor.tenant
        whole = authority.allowed_on_policy(grant.snapshot, auditor, tenant, "audit", grant.now)
        if not whole and not grant.atoms:
            raise Refused(
                f"{auditor.person} may audit nothing here", hint="an administrator can grant 'audit'"
            )
        shown = [
            entry
            for record in audit_reading.records(ground.root / "audit")
            if (entry := entry_of(record, grant, tenant, whole)) is not None
        ]
        if whole:
            shown += [_policy_entry(entry, tenant) for entry in ground.history() if is_of(entry, tenant)]
            # The journal knows seconds alone: within one, changes of policy come first.
            shown.sort(key=lambda entry: (entry["at"][:SECOND_CHARACTERS], entry["verb"] != POLICY_VERB))
        return Answer([], lambda as_of: shown, plan="log", counts={"records": len(shown)})

    return read(ground, auditor, "log", work, action="audit")


def entry_of(record: dict[str, Any], grant: Grant, tenant: str, whole: bool) -> dict[str, Any] | None:
    """Return what an auditor is shown of one record; None if nothing.

    Args:
        record: As it stands in the log.
        grant: His, to audit.
        whole: Whether he may audit his tenant's policy.
    """
    chain = record["chain"]
    pairs = list(zip(record["rows"], record["atoms"], strict=True))
    shown = [row for row, atom in pairs if atom in grant.atoms]
    own = tenant_of(chain[0]["actor"]) == tenant
    # Purpose, rules and counts are of all rows that left, also of those he may not audit.
    all_of_it = own and whole
    if not shown and not all_of_it:
        return None
    return {
        "at": record["at"],
        "verb": record["verb"],
        "action": record["action"],
        "outcome": record["outcome"],
        "subject": chain[0]["actor"] if own else None,
        "via": [actor["actor"] for actor in chain[1:]] if own else [],
        "purpose": record["purpose"] if all_of_it else "",
        "asserted_by": record["asserted_by"] if own else None,
        "rows": shown,
        "rows_hidden": len(pairs) - len(shown),
        "rules": record["rules"] if all_of_it else [],
        "counts": record["counts"] if all_of_it else {},
        "duration_ms": record["duration_ms"],
        # Its number tells how many records there are, of every tenant.
        "record": f"{record['segment']}:{record['number']}" if all_of_it else "",
    }


def is_of(entry: Entry, tenant: str) -> bool:
    """Whether a change of policy is of this tenant, or of every tenant."""
    change = entry.change
    if change.row is not None:
        return named_tenants(change.row) <= {tenant}
    if change.relabelling is not None:
        return tenant_of(change.relabelling.old) == tenant
    return change.label is not None and tenant_of(change.label[0]) == tenant


def _policy_entry(entry: Entry, tenant: str) -> dict[str, Any]:
    own = tenant_of(entry.who) == tenant
    return {
        "at": entry.at,
        "verb": POLICY_VERB,
        "action": entry.change.kind,
        "outcome": "allowed",
        "subject": entry.who if own else None,
        "via": [],
        "purpose": "",
        "asserted_by": entry.asserted_by if own else None,
        "rows": [],
        "rows_hidden": 0,
        "rules": [],
        "counts": {},
        "duration_ms": 0,
        "record": "",
        "row": text_of(entry.change),
        "why": entry.why,
        "ticket": entry.ticket,
    }


def text_of(change: Change) -> str:
    """Return a row as a line of `policy.csv`, a label as name and fields, a document as id, old and new label."""
    if change.row is not None:
        return ", ".join(to_fields(change.row))
    what = astuple(change.relabelling) if change.relabelling is not None else change.label
    return json.dumps(what, ensure_ascii=False)
