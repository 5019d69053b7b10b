"""Say what a chain of actors may do: under one label, on the policy, and under which labels at all.

Promise: an answer is yes only if Casbin said yes for every actor of the chain
and every part of the label. No rule, no parts, an unknown part: no. There is no
switch that turns this off. Nothing here reads a row, a file or a clock.
"""

from __future__ import annotations

from collections.abc import Iterator

from .decisions import Request, policy_object
from .explanation import Explanation, verdict
from .identifiers import TIME_MAX
from .labels import Label, LabelEntry, LabelTable
from .policy_rows import Link, PolicyRows, Rule
from .snapshot import Snapshot
from .subjects import Subject

__all__ = [
    "Explanation",
    "allowed",
    "allowed_on_policy",
    "denied",
    "explain",
    "names_alike",
    "next_boundary",
    "readable_atoms",
    "subject_facts",
]


def allowed(
    snapshot: Snapshot, subject: Subject, entry: LabelEntry, table: LabelTable, action: str, now: str
) -> bool:
    """Say whether the chain may do the action under the label, or under every part of a compound one.

    Args:
        snapshot: One immutable policy revision.
        subject: Who asks; all his actors must be allowed.
        entry: A label of the table.
        table: All labels at one catalog sequence; an unknown part is a no.
        action: One of the policy's actions.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
    """
    parts = _parts(table, entry)
    return bool(parts) and all(_permits(snapshot, subject, *part, action, now) for part in parts)


def allowed_on_policy(snapshot: Snapshot, subject: Subject, tenant: str, action: str, now: str) -> bool:
    """Say whether the chain may do the action on `tenant/policy`, the tenant's policy itself."""
    return _permits(snapshot, subject, policy_object(tenant), None, action, now)


def readable_atoms(
    snapshot: Snapshot, table: LabelTable, subject: Subject, *, action: str = "read", now: str
) -> frozenset[int]:
    """Return the atoms of the labels under which the chain may do the action.

    Each distinct label is put to Casbin once; a compound label is in the result
    if all its parts are allowed.

    Args:
        snapshot: One immutable policy revision.
        table: The label table of one catalog sequence.
        subject: Who asks; the chain of actors is intersected.
        action: One of the policy's actions.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.

    Returns:
        Atoms of the table; bound to (snapshot.revision, table.version), until :func:`next_boundary`.
    """
    answers: dict[str, bool] = {}

    def permits(label_id: str, label: Label) -> bool:
        if label_id not in answers:
            answers[label_id] = _permits(snapshot, subject, label_id, label, action, now)
        return answers[label_id]

    found: set[int] = set()
    for atom, entry in table.entries.items():
        parts = _parts(table, entry)
        if parts and all(permits(*part) for part in parts):
            found.add(atom)
    return frozenset(found)


def explain(
    snapshot: Snapshot, table: LabelTable, subject: Subject, entry: LabelEntry, *, action: str, now: str
) -> Explanation:
    """Return the answer of :func:`allowed` with every rule that matched, for each actor and each part."""
    verdicts = tuple(
        verdict(snapshot, request)
        for label_id, label in _parts(table, entry)
        for request in _requests(subject, label_id, label, action, now)
    )
    answer = bool(verdicts) and all(each.decision.allowed for each in verdicts)
    return Explanation(answer, action, subject.purpose, now, snapshot.revision, verdicts)


def names_alike(rows: PolicyRows, new_id: str, old_id: str) -> bool:
    """Say whether the policy treats the new label's name no wider than the old one's.

    Rules that name either directly must apply to both alike; a set that a rule
    allows may hold the new one only if it holds the old; a set that a rule
    denies must hold the new one if it holds the old.

    Source: DESIGN.md §3, *lowering*.
    """
    if new_id == old_id:
        return True
    allowing = {rule.obj for rule in rows.rules if rule.eft == "allow"}
    denying = {rule.obj for rule in rows.rules if rule.eft == "deny"}
    new_sets, old_sets = _sets_of(rows, new_id), _sets_of(rows, old_id)
    return (
        _direct(rows, new_id) == _direct(rows, old_id)
        and new_sets & allowing <= old_sets
        and old_sets & denying <= new_sets
    )


def next_boundary(snapshot: Snapshot, table: LabelTable, now: str) -> str:
    """Return the first time after `now` at which an answer may change by time alone; else the last of all."""
    times = [time for time in snapshot.boundaries if time > now]
    for entry in table.entries.values():
        if entry.definition is not None:
            bounds = (entry.definition.valid_from, entry.definition.valid_until)
            times += [time for time in bounds if time > now]
    return min(times, default=TIME_MAX)


def subject_facts(snapshot: Snapshot, subject: Subject, now: str) -> list[dict[str, object]]:
    """Return, for each actor of the chain, all the policy says of him: what a decision depended on."""
    return [
        {
            "actor": actor,
            "carried": carried,
            "known": snapshot.knows(actor, now),
            "principals": [actor, *snapshot.groups_of(actor)],
            "level": snapshot.facts_of(actor).level,
            "compartments": sorted(snapshot.facts_of(actor).compartments),
        }
        for actor, carried in _actors(subject)
    ]


def denied(
    snapshot: Snapshot, subject: Subject, entry: LabelEntry, table: LabelTable, action: str, now: str
) -> bool:
    """Say whether a rule denies the chain the action under the label; no rule at all is no deny."""
    requests = [
        request
        for label_id, label in _parts(table, entry)
        for request in _requests(subject, label_id, label, action, now)
    ]
    return not requests or any(snapshot.decide(request).reason in ("deny", "error") for request in requests)


def _permits(
    snapshot: Snapshot, subject: Subject, object_id: str, label: Label | None, action: str, now: str
) -> bool:
    requests = _requests(subject, object_id, label, action, now)
    return all(snapshot.decide(request).allowed for request in requests)


def _requests(
    subject: Subject, object_id: str, label: Label | None, action: str, now: str
) -> Iterator[Request]:
    for actor, carried in _actors(subject):
        yield Request(actor, object_id, label, action, subject.purpose, now, carried)


def _actors(subject: Subject) -> Iterator[tuple[str, bool]]:
    for place, actor in enumerate(subject.chain):
        yield actor, place > 0


def _parts(table: LabelTable, entry: LabelEntry) -> tuple[tuple[str, Label], ...]:
    """Return (id, definition) of each part; none if a part is unknown, which is a no."""
    try:
        return table.definitions(entry)
    except KeyError:
        return ()


def _direct(rows: PolicyRows, label_id: str) -> set[tuple[str, ...]]:
    """Return the rules that name the label itself, without its name."""
    return {_without_object(rule) for rule in rows.rules if rule.obj == label_id}


def _without_object(rule: Rule) -> tuple[str, ...]:
    return (rule.sub, rule.dom, rule.act, rule.rel, rule.purpose, rule.nbf, rule.exp, rule.eft)


def _sets_of(rows: PolicyRows, label_id: str) -> set[str]:
    return {link.parent for link in rows.links if _is_set_of(link, label_id)}


def _is_set_of(link: Link, label_id: str) -> bool:
    return link.kind == "g2" and link.child == label_id
