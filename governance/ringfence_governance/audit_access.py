"""Work out who might read under each label, and when: the real decisions, kept as spans of time.

Promise: a subject has a span under a label if and only if the policy, asked at
any second of it, lets him read there. It is compiled from the model's own
matcher, and what holds now was put to Casbin again. What is too much to work
out is refused, never cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from . import authority, listings
from .audit_scope import AuditScope
from .audit_times import History, Stretch, stretches
from .decisions import Asked
from .errors import InvalidInput, StoreCorrupt
from .explanation import Explanation
from .labels import Label
from .subjects import Subject

DECISIONS_MAX = 200_000
"""How many (subject, purpose, stretch of time) are worked out at most; each takes about a tenth of a millisecond."""
REASONS_MAX = 50_000
"""How many (subject, label) are explained at most; each takes about a fifth of a millisecond."""

Readable = Mapping[str, frozenset[tuple[str, str]]]
"""Label id → (subject, purpose) of who may read there; without a purpose if he needs none."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which one subject might read under one label.

    Args:
        label: Its id.
        subject: A user, agent or service, alone.
        purpose: The one he needs; empty for none.
        since: UTC, inclusive.
        until: UTC, exclusive; empty while it lasts.
    """

    label: str
    subject: str
    purpose: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Why one subject may, or may not, read under one label now.

    Args:
        explanation: Every rule that matched.
    """

    label: str
    subject: str
    purpose: str
    explanation: Explanation


def spans(scope: AuditScope, history: History, since: str) -> list[Span]:
    """Return who might read under the labels of a scope, and when.

    Args:
        since: UTC; what ended by then is left out.

    Raises:
        InvalidInput: There is too much to work out, or the model's past cannot be cut.
        StoreCorrupt: Casbin, asked again, says another thing than what was worked out.
    """
    opened: dict[tuple[str, str, str], str] = {}
    found: list[Span] = []
    known, left, last = history.label_since, DECISIONS_MAX, ""
    for stretch in stretches(history, since):
        readable, cost = _readable(scope, stretch, left)
        left -= cost
        now = {(label, *each) for label, readers in readable.items() for each in readers}
        for gone in opened.keys() - now:
            found.append(Span(*gone, opened.pop(gone), stretch.since))
        for come in now - opened.keys():
            atom = stretch.table.by_id[come[0]].atom
            opened[come] = max(stretch.since, known[atom])
        last = stretch.until
        if not last:
            _put_again(scope, readable)
    found += [Span(*each, begun, "") for each, begun in opened.items()]
    return sorted(
        (each for each in found if each.since != each.until),
        key=lambda each: (each.label, each.subject, each.purpose, each.since),
    )


def reasons(scope: AuditScope) -> Iterator[Reasoning]:
    """Yield why each subject that the policy or a label names may, or may not, read under each label now.

    Without a purpose, and with each that lets him in.

    Raises:
        InvalidInput: There is too much to work out.
    """
    grant = scope.grant
    labels = list(_definitions(scope, grant.table.by_id))
    actors, _ = listings.candidates(grant.snapshot.rows, labels, scope.tenant)
    if len(actors) * len(scope.labels) > REASONS_MAX:
        raise InvalidInput(
            f"found {len(actors)} subjects and {len(scope.labels)} labels to explain; expected at most "
            f"{REASONS_MAX} pairs; ask 'why_for' of single ones"
        )
    for entry in scope.labels.values():
        found = listings.who_may(grant.snapshot, grant.table, entry, "read", grant.now)
        asked = [(actor, "") for actor in sorted(actors)]
        asked += [(actor, purpose) for purpose, held in found.purposes.items() for actor in held]
        for actor, purpose in asked:
            explained = authority.explain(
                grant.snapshot,
                grant.table,
                Subject(actor, (), purpose),
                entry,
                action="read",
                now=grant.now,
            )
            yield Reasoning(entry.label_id, actor, purpose, explained)


def _readable(scope: AuditScope, stretch: Stretch, left: int) -> tuple[Readable, int]:
    """Return who may read under each label of the scope within a stretch, and how many questions that took."""
    snapshot, table = stretch.snapshot, stretch.table
    entries = {atom: table.entries[atom] for atom in scope.labels if atom in table.entries}
    labels = _definitions(scope, table.by_id)
    actors, purposes = listings.candidates(snapshot.rows, labels, scope.tenant)
    cost = len(actors) * (1 + len(purposes))
    if cost > left:
        raise InvalidInput(
            f"found more than {DECISIONS_MAX} decisions between now and the time that is asked for; "
            "expected fewer; ask since a later time"
        )
    found: dict[str, set[tuple[str, str]]] = {entry.label_id: set() for entry in entries.values()}
    for actor in actors:
        without: frozenset[int] = frozenset()
        for purpose in ("", *sorted(purposes)):
            asked = Asked(actor, "read", purpose, stretch.since, False)
            atoms = entries.keys() & authority.actor_atoms(snapshot, table, asked)
            for atom in atoms - without:
                found[entries[atom].label_id].add((actor, purpose))
            without = without or frozenset(atoms if not purpose else ())
    return {label: frozenset(readers) for label, readers in found.items()}, cost


def _definitions(scope: AuditScope, by_id: Mapping[str, object]) -> Iterator[Label]:
    """Yield what the labels of the scope, and the parts of compound ones, mean in a table."""
    names = {name for entry in scope.labels.values() for name in (entry.parts or (entry.label_id,))}
    for name in names:
        entry = by_id.get(name)
        definition = getattr(entry, "definition", None)
        if isinstance(definition, Label):
            yield definition


def _put_again(scope: AuditScope, readable: Readable) -> None:
    """Put what was worked out for now to Casbin.

    Raises:
        StoreCorrupt: It says another thing. Nothing leaves.
    """
    for entry in scope.labels.values():
        by_purpose: dict[str, set[str]] = {}
        for actor, purpose in readable.get(entry.label_id, ()):
            by_purpose.setdefault(purpose, set()).add(actor)
        for purpose, actors in by_purpose.items():
            if _allowed(scope, actors, purpose, entry.atom) != actors:
                raise StoreCorrupt(
                    "a right about to be told was not allowed when asked again; no result leaves"
                )


def _allowed(scope: AuditScope, actors: Iterable[str], purpose: str, atom: int) -> frozenset[str]:
    grant = scope.grant
    return authority.allowed_among(
        grant.snapshot, actors, purpose, scope.labels[atom], grant.table, "read", grant.now
    )
