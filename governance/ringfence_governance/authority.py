"""Say what a chain of actors may do: under one label, on the policy, and under which labels at all.

Promise: an answer is yes only if Casbin said yes for every actor of the chain
and every part of the label. No rule, no parts, an unknown part: no. There is no
switch that turns this off. Nothing here reads a row, a file or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from .atom_sets import AtomSet
from .compiler import CompiledRequest
from .decisions import Asked, Request, policy_object
from .errors import InvalidInput
from .explanation import Explanation, verdict
from .identifiers import TIME_MAX
from .label_columns import LabelSegment
from .label_table import LabelTable
from .labels import Label, LabelEntry
from .matcher_tree import NotCompilable
from .policy_index import PolicyIndex
from .policy_rows import Rule
from .snapshot import Snapshot
from .subjects import Subject

__all__ = [
    "Explanation",
    "actor_atoms",
    "allowed",
    "allowed_among",
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


def allowed_among(
    snapshot: Snapshot,
    actors: Iterable[str],
    purpose: str,
    entry: LabelEntry,
    table: LabelTable,
    action: str,
    now: str,
) -> frozenset[str]:
    """Return those of some actors who, each alone, are :func:`allowed`. Sooner than one by one, for very many."""
    parts = _parts(table, entry)
    found = frozenset(actors) if parts else frozenset()
    for part in parts:
        found = snapshot.allowed_among(found, Request("", *part, action, purpose, now, False))
    return found


def allowed_on_policy(snapshot: Snapshot, subject: Subject, tenant: str, action: str, now: str) -> bool:
    """Say whether the chain may do the action on `tenant/policy`, the tenant's policy itself."""
    return _permits(snapshot, subject, policy_object(tenant), None, action, now)


def readable_atoms(
    snapshot: Snapshot, table: LabelTable, subject: Subject, *, action: str = "read", now: str
) -> AtomSet:
    """Return the atoms of the labels under which the chain may do the action.

    Compiled from the model's own matcher; what the compiler does not prove is put to Casbin label by
    label. A compound label is in the result if all its parts are allowed.

    Args:
        snapshot: One immutable policy revision.
        table: The label table of one catalog sequence.
        subject: Who asks; the chain of actors is intersected.
        action: One of the policy's actions.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.

    Returns:
        Atoms of the table; bound to (snapshot.revision, table.version), until :func:`next_boundary`.
    """
    return readable_until(snapshot, table, subject, action=action, now=now)[0]


def readable_until(
    snapshot: Snapshot, table: LabelTable, subject: Subject, *, action: str = "read", now: str
) -> tuple[AtomSet, str]:
    """Return :func:`readable_atoms`, and the first time after `now` at which they may be others."""
    asked = [Asked(actor, action, subject.purpose, now, carried) for actor, carried in _actors(subject)]
    return _atoms(snapshot, table, asked), next_boundary(snapshot, table, now)


def actor_atoms(snapshot: Snapshot, table: LabelTable, asked: Asked) -> AtomSet:
    """Return the atoms of the labels under which one actor may act: alone, or as one who carries.

    What an actor may carry gives nothing without a person; a chain has what all its actors have.
    """
    return _atoms(snapshot, table, [asked])


def _atoms(snapshot: Snapshot, table: LabelTable, asked: Sequence[Asked]) -> AtomSet:
    try:
        segments = table.segments(snapshot.label_fields)
        return _compiled_atoms(segments, [snapshot.compiled(each) for each in asked])
    except (NotCompilable, InvalidInput):
        return _asked_atoms(snapshot, table, asked)


def _compiled_atoms(segments: Sequence[LabelSegment], requests: Sequence[CompiledRequest]) -> AtomSet:
    allowed = np.zeros(max((segment.atom_max for segment in segments), default=0) + 1, np.bool_)
    for place, segment in enumerate(segments):
        if place:
            allowed[segment.atoms] = False  # what an earlier segment says of an atom no longer holds
        found = np.logical_and.reduce([request.allowed(segment) for request in requests])
        allowed[segment.atoms[np.flatnonzero(found)]] = True
    whole = [segment.whole(allowed) for segment in segments]
    for segment, all_parts in zip(segments, whole, strict=True):
        allowed[segment.compound_atoms] = all_parts
    return AtomSet(allowed)


def _asked_atoms(snapshot: Snapshot, table: LabelTable, asked: Sequence[Asked]) -> AtomSet:
    """Put each distinct label to Casbin: what the compiler does not prove takes longer, and is the same."""
    answers: dict[str, bool] = {}

    def permits(label_id: str, label: Label) -> bool:
        if label_id not in answers:
            requests = (
                Request(each.actor, label_id, label, each.action, each.purpose, each.now, each.carried)
                for each in asked
            )
            answers[label_id] = all(snapshot.decide_kept(request).allowed for request in requests)
        return answers[label_id]

    found: set[int] = set()
    for atom, entry in table.entries.items():
        parts = _parts(table, entry)
        if parts and all(permits(*part) for part in parts):
            found.add(atom)
    return AtomSet.of(found)


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


def names_alike(index: PolicyIndex, new_id: str, old_id: str) -> bool:
    """Say whether the policy treats the new label's name no wider than the old one's.

    Rules that name either directly must apply to both alike; a set that a rule
    allows may hold the new one only if it holds the old; a set that a rule
    denies must hold the new one if it holds the old.

    Source: DESIGN.md §3, *lowering*.
    """
    if new_id == old_id:
        return True
    new_sets, old_sets = set(index.closure("g2", new_id)[1:]), set(index.closure("g2", old_id)[1:])
    return (
        _direct(index, new_id) == _direct(index, old_id)
        and not any(_has_rule(index, each, "allow") for each in new_sets - old_sets)
        and not any(_has_rule(index, each, "deny") for each in old_sets - new_sets)
    )


def next_boundary(snapshot: Snapshot, table: LabelTable, now: str) -> str:
    """Return the first time after `now` at which an answer may change by time alone; else the last of all.

    `now` itself for a model that is not steady: one that asks the time otherwise than where a rule or label
    begins or ends, so that any second may change an answer. Nothing may be kept then. The shipped model is steady.
    """
    times = [segment.next_time(now) for segment in table.laid_out()]
    return min(snapshot.next_boundary(now), *times, TIME_MAX)


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
    return all(snapshot.decide_kept(request).allowed for request in requests)


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


def _direct(index: PolicyIndex, label_id: str) -> set[tuple[str, ...]]:
    """Return the rules that name the label itself, without its name."""
    return {_without_object(rule) for rule in index.by_object.get(label_id) or ()}


def _without_object(rule: Rule) -> tuple[str, ...]:
    return (rule.sub, rule.dom, rule.act, rule.rel, rule.purpose, rule.nbf, rule.exp, rule.eft)


def _has_rule(index: PolicyIndex, object_id: str, effect: str) -> bool:
    return any(rule.eft == effect for rule in index.by_object.get(object_id) or ())
