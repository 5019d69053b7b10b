"""Answer under which labels somebody may do something, to whom it may be told.

Promise: a reader is told of his own readable documents alone, by label, and
a label's name only if he owns it or may audit it; an auditor of what he may
audit, and of the rest of his tenant one number. Each label that is told was
put to Casbin.

Source: DESIGN.md §6, §8.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from . import authority, listings, rows
from .errors import InvalidInput, Refused, StoreCorrupt
from .explaining import plan_of
from .grants import Grant
from .ground import Ground, Moment
from .label_table import LabelTable
from .labels import LabelEntry
from .past_moments import Stood, checked_time, labels_at, stood_at
from .policy_rows import ACTIONS
from .reading import Answer, GrantedReader, read
from .snapshot import Snapshot
from .subjects import Subject

ASKED = tuple(sorted(ACTIONS - {"delegate"}))
"""The actions that can be asked about; `delegate` only says what a later actor of a chain may carry."""


def what(ground: Ground, subject: Subject, *, documents: bool = False) -> dict[str, Any]:
    """Tell a reader how many documents he may read under each label.

    A label without a readable document is not told: whether there is one is not his to know.

    Args:
        documents: Whether to list the documents' ids too.
    """

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        grant = reader.grant
        held: dict[int, list[str]] = defaultdict(list)
        for atom, document_id, _ in rows.run_ids(ground, grant):
            held[atom].append(document_id)
        entries = [grant.table.entries[atom] for atom in held]
        _put_again(grant.snapshot, grant.table, subject, entries, "read", grant.now)
        listed = [(reader.label_name(atom), sorted(found)) for atom, found in held.items()]
        # Names first; never by atom, which says in what order the store met its labels.
        listed.sort(key=lambda each: (each[0] is None, each[0] or "", each[1]))
        answer = {
            **_asked(subject, "read"),
            "labels": [{"label": name, **_held(found, documents)} for name, found in listed],
            "documents": sum(map(len, held.values())),
        }
        left = [(each, atom) for atom, found in held.items() for each in found] if documents else []
        return Answer(
            sorted(left), lambda as_of: {**answer, "as_of": as_of}, plan="what", counts=_counts(answer)
        )

    return read(ground, subject, "what", work)


def what_for(
    ground: Ground,
    auditor: Subject,
    subject: Subject,
    *,
    action: str = "read",
    at: str | None = None,
    documents: bool = False,
) -> dict[str, Any]:
    """Tell an auditor under which labels a subject may do something, and how many documents each has.

    Args:
        action: One of :data:`ASKED`.
        at: UTC, `YYYY-MM-DDTHH:MM:SSZ`: what he might at that time; None for now.
        documents: Whether to list the documents' ids too.

    Returns:
        `labels` are those the auditor may audit; `labels_hidden` is how many others there are in his tenant.
        Documents are those that are in the store now. With `at` also `label_as_of`, see
        :data:`past_moments.LabelAsOf`.

    Raises:
        Refused: The auditor may audit nothing: one answer, whoever is asked about.
        InvalidInput: The action is none, or the time is malformed or to come.
    """
    checked_time(at)
    if action not in ASKED:
        raise InvalidInput(f"action: found {action!r}; expected one of {', '.join(ASKED)}")

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        grant = reader.grant
        _refuse_who_may_audit_nothing(grant)
        stood = stood_at(ground, grant, at)
        held, pairs, told = _documents(ground, grant, stood, at)
        shown, hidden = _labels(grant, stood, subject, action, at or grant.now)
        entries = [] if stood is None else _described(stood.moment, shown, held, documents)
        answer = {
            **_asked(subject, action),
            "labels": entries,
            "labels_hidden": hidden,
            "documents": sum(entry["documents"] for entry in entries),
            **told,
        }
        listed = {document_id for entry in shown for document_id in held.get(entry.atom, ())}
        left = [pair for pair in pairs if documents and pair[0] in listed]
        return Answer(left, lambda as_of: answer, plan=plan_of("what", at), counts=_counts(answer))

    return read(ground, auditor, "what", work, action="audit")


def _refuse_who_may_audit_nothing(grant: Grant) -> None:
    auditor = grant.subject
    whole = authority.allowed_on_policy(grant.snapshot, auditor, auditor.tenant, "audit", grant.now)
    if not whole and not grant.atoms:
        raise Refused(f"{auditor.person} may audit nothing here", hint="an administrator can grant 'audit'")


def _documents(
    ground: Ground, grant: Grant, stood: Stood | None, at: str | None
) -> tuple[dict[int, list[str]], list[tuple[str, int]], dict[str, str]]:
    """Return the documents the auditor may be told of.

    Returns:
        Their ids by the atom they had; (id, atom) for each label they have and had; what is said of the time.
    """
    table = grant.table.entries
    now = {document_id: table[atom] for atom, document_id, _ in rows.run_ids(ground, grant)}
    then, told = now, dict[str, str]()
    if at is not None:
        then, known = labels_at(ground, grant, stood, now)
        told = {"at": at, "label_as_of": known}
    held: dict[int, list[str]] = defaultdict(list)
    for document_id, entry in sorted(then.items()):
        held[entry.atom].append(document_id)
    pairs = {(each, found[each].atom) for found in (now, then) for each in then}
    return held, sorted(pairs), told


def _labels(
    grant: Grant, stood: Stood | None, subject: Subject, action: str, now: str
) -> tuple[list[LabelEntry], int]:
    """Return the labels the subject may act under that the auditor may audit, and how many more there are."""
    if stood is None:
        return [], 0
    moment, auditor = stood.moment, grant.subject
    found = listings.what_may(moment.snapshot, moment.table, subject, action, now)
    shown = [entry for entry in found if entry.atom in grant.atoms]
    _put_again(moment.snapshot, moment.table, subject, shown, action, now)
    current = [grant.table.entries[entry.atom] for entry in shown]
    _put_again(grant.snapshot, grant.table, auditor, current, grant.action, grant.now)
    # Of another tenant nothing is told, not even a number.
    return shown, sum(entry.tenant == auditor.tenant for entry in found) - len(shown)


def _put_again(
    snapshot: Snapshot,
    table: LabelTable,
    subject: Subject,
    entries: Iterable[LabelEntry],
    action: str,
    now: str,
) -> None:
    """Put each label that is about to be told to Casbin once more.

    Raises:
        StoreCorrupt: Casbin says no to a label the computed set held. Nothing leaves.
    """
    for entry in entries:
        if not authority.allowed(snapshot, subject, entry, table, action, now):
            raise StoreCorrupt("a label about to be told was not allowed when asked again; no result leaves")


def _described(
    moment: Moment, shown: Iterable[LabelEntry], held: Mapping[int, list[str]], documents: bool
) -> list[dict[str, Any]]:
    """Return what is told of each label: named ones first, by name, then by what they mean."""
    described = [
        {
            "label": entry.label_id if entry.named else None,
            "label_definition": [label.to_mapping() for _, label in moment.table.definitions(entry)],
            **_held(held.get(entry.atom, ()), documents),
        }
        for entry in sorted(shown, key=lambda entry: entry.label_id)
    ]
    return sorted(
        described,
        key=lambda each: (each["label"] is None, each["label"] or "", json.dumps(each["label_definition"])),
    )


def _held(found: Iterable[str], documents: bool) -> dict[str, Any]:
    ids = list(found)
    return {"documents": len(ids), **({"ids": ids} if documents else {})}


def _asked(subject: Subject, action: str) -> dict[str, Any]:
    return {
        "subject": subject.person,
        "via": list(subject.via),
        "purpose": subject.purpose,
        "action": action,
    }


def _counts(answer: Mapping[str, Any]) -> dict[str, int]:
    return {"labels": len(answer["labels"]), "documents": answer["documents"]}
