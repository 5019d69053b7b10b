"""Answer why somebody may read a document, and who may, to whom it may be told.

Promise: a reader learns only his own reasons for what he can read; unknown
and unreadable are one answer; everything else needs `audit`. Of a time that
is past, an auditor is told what stood then, and what was revoked since.

Source: DESIGN.md §6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import authority, listings
from .grants import Grant
from .ground import Ground
from .journal import Entry
from .labels import LabelEntry
from .past_moments import Stood, checked_time, label_at, stood_at
from .policy_rows import ANY, Link, Row, Rule, from_fields, to_fields
from .reading import Answer, GrantedReader, read
from .rows import label_of
from .subjects import Subject

OWN_LABEL = "(its label)"
"""Stands for a label's name in a rule that is shown to a reader."""


def why(ground: Ground, subject: Subject, object_id: str, *, at: str | None = None) -> dict[str, Any]:
    """Tell a reader why he may read a document or chunk: his own rules, his own path.

    Args:
        at: As of :func:`reading.read`: of the row of then, by the rules of now. Those are told that let him read
            under the label of then, under the last one of a writing that was replaced since, and under the one its
            document has now.

    Raises:
        NotReadable: Unknown or unreadable.
        Gone, InvalidInput: As of :func:`reading.read`.
    """

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        document_id, atom = reader.check_row(object_id)
        name = reader.label_name(atom)
        (row,) = reader.documents([document_id])
        over = reader.grant.labels_over(document_id, row.run_id, atom)
        entries = [reader.grant.table.entries[each] for each in over]
        body = _own_reasons(reader.grant, entries)
        answer = {
            "object": object_id,
            "document": document_id,
            "kind": row.metadata["source_kind"],
            "subject": subject.person,
            "label": name,
            **body,
        }
        return Answer([(object_id, atom)], lambda as_of: {**answer, "as_of": as_of}, plan="why")

    return read(ground, subject, "why", work, at=at)


def why_for(
    ground: Ground, auditor: Subject, subject: Subject, object_id: str, *, at: str | None = None
) -> dict[str, Any]:
    """Tell an auditor why a subject may, or may not, read: every rule, the paths, who granted each.

    Args:
        at: UTC, `YYYY-MM-DDTHH:MM:SSZ`: why he might, or might not, at that time; None for now.

    Returns:
        With `at` also `label_as_of`, see :data:`past_moments.LabelAsOf`; if it is `absent` the decision is None.

    Raises:
        NotReadable: Unknown now, or under a label the auditor may not audit.
        InvalidInput: The time is malformed or to come.
    """
    checked_time(at)

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        seen = _seen(ground, reader.grant, object_id, at)
        answer = {
            "object": object_id,
            "document": seen.document_id,
            "subject": subject.person,
            **_reasons(ground, seen, subject, at or reader.grant.now),
            **seen.told,
        }
        return Answer(seen.rows, lambda as_of: answer, plan=plan_of("why", at))

    return read(ground, auditor, "why", work, action="audit")


def who(ground: Ground, auditor: Subject, object_id: str, *, at: str | None = None) -> dict[str, Any]:
    """Tell an auditor which known subjects may read a document or chunk now, or might at a time.

    `readers` may read it without a purpose; `purposes` holds, by purpose, who may read it only with one.

    Args:
        at: As in :func:`why_for`; if `label_as_of` is `absent` nobody is listed.

    Raises:
        NotReadable: Unknown now, or under a label the auditor may not audit.
        InvalidInput: The time is malformed or to come.
    """
    checked_time(at)

    def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
        seen = _seen(ground, reader.grant, object_id, at)
        found = listings.Readers((), {})
        if seen.stood is not None and seen.entry is not None:
            moment = seen.stood.moment
            found = listings.who_may(
                moment.snapshot, moment.table, seen.entry, "read", at or reader.grant.now
            )
        readers = list(found.readers)
        purposes = {purpose: list(actors) for purpose, actors in found.purposes.items()}
        answer = {
            "object": object_id,
            "document": seen.document_id,
            "readers": readers,
            "purposes": purposes,
            **seen.told,
        }
        counts = {"readers": len(set(readers).union(*purposes.values()))}
        return Answer(seen.rows, lambda as_of: answer, plan=plan_of("who", at), counts=counts)

    return read(ground, auditor, "who", work, action="audit")


def plan_of(verb: str, at: str | None) -> str:
    """Return what the record says of how a question was answered."""
    return verb if at is None else f"{verb} at {at}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One document as an auditor is told of it.

    Args:
        entry: The label it has, or had; None if none is to be told.
        stood: How the store stands, or stood; None if it was not made yet.
        rows: The asked id under its label now, and under the one it had if that is another.
        told: What the answer says of the time that is asked of.
    """

    document_id: str
    entry: LabelEntry | None
    stood: Stood | None
    rows: tuple[tuple[str, int], ...]
    told: dict[str, str]


def _seen(ground: Ground, grant: Grant, object_id: str, at: str | None) -> _Seen:
    now, document_id = label_of(ground, grant, object_id)
    stood = stood_at(ground, grant, at)
    if at is None:
        return _Seen(document_id, now, stood, ((object_id, now.atom),), {})
    entry, known = label_at(ground, grant, stood, object_id, document_id, now)
    atoms = [now.atom] if entry is None else list(dict.fromkeys((now.atom, entry.atom)))
    told = {"at": at, "label_as_of": known}
    return _Seen(document_id, entry, stood, tuple((object_id, atom) for atom in atoms), told)


def _reasons(ground: Ground, seen: _Seen, subject: Subject, now: str) -> dict[str, Any]:
    """Return label, decision and all reasons; of a label that is not to be told there is neither."""
    if seen.stood is None or seen.entry is None:
        nothing = {"allowed": False, "action": "read", "purpose": subject.purpose, "now": now, "verdicts": []}
        return {"label": None, "label_definition": [], "decision": None, **nothing}
    entry, moment = seen.entry, seen.stood.moment
    explained = authority.explain(moment.snapshot, moment.table, subject, entry, action="read", now=now)
    body = explained.to_mapping()
    # A digest of the rows of every tenant: what moves it is not all his to know. The record has it.
    del body["revision"]
    _add_provenance(ground, seen.stood, body)
    return {
        "label": entry.label_id if entry.named else None,
        "label_definition": [label.to_mapping() for _, label in moment.table.definitions(entry)],
        "decision": "allow" if explained.allowed else "deny",
        **body,
    }


def _own_reasons(grant: Grant, entries: Sequence[LabelEntry]) -> dict[str, Any]:
    explained = [
        authority.explain(grant.snapshot, grant.table, grant.subject, entry, action="read", now=grant.now)
        for entry in entries
    ]
    rules: list[dict[str, Any]] = []
    for verdict in (verdict for explanation in explained for verdict in explanation.verdicts):
        for reason in verdict.reasons:
            shown = {
                "actor": verdict.actor,
                "rule": ", ".join(_without_label_name(reason.rule)),
                "path": list(reason.membership),
                "relation": list(reason.relation),
            }
            if shown not in rules:
                rules.append(shown)
    allowed = all(explanation.allowed for explanation in explained)
    return {"decision": "allow" if allowed else "deny", "rules": rules}


def _without_label_name(rule: Rule) -> tuple[str, ...]:
    fields = list(to_fields(rule))
    if rule.obj != ANY:
        fields[3] = OWN_LABEL
    return tuple(fields)


def _add_provenance(ground: Ground, stood: Stood, body: dict[str, Any]) -> None:
    """Add who granted each rule and each step of the ways to it, and who revoked it since."""

    def granted(row: Row) -> dict[str, object] | None:
        number = stood.moment.policy.added.get(row)
        if number is None:
            return None
        removed = stood.removed.get(row)
        return {
            **_change(ground.journal_entry(number)),
            "revoked": None if removed is None else _change(removed),
        }

    for verdict in body["verdicts"]:
        for rule in verdict["rules"]:
            rule["granted"] = granted(from_fields(rule["rule"].split(", ")))
            for path in ("membership", "relation"):
                steps = zip(rule[path], rule[path][1:], strict=False)
                rule[f"{path}_granted"] = [
                    granted(Link("g", child, parent)) if parent != ANY else None for child, parent in steps
                ]


def _change(entry: Entry) -> dict[str, object]:
    return {"at": entry.at, "who": entry.who, "why": entry.why, "ticket": entry.ticket}
