"""Work out who might read under each label, and when: the real decisions, kept as spans of time.

Promise: a subject has a span under a label if and only if the policy, asked at
any second of it, lets him read there. It is compiled from the model's own
matcher, and what holds now was put to Casbin again. What is too much to work
out is refused, never cut short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import authority, listings
from .audit_rights import StandingRights, meanings
from .audit_scope import AuditScope
from .audit_times import History, stretches
from .errors import InvalidInput, StoreCorrupt
from .explanation import Explanation
from .subjects import Subject

DECISIONS_MAX = 50_000
"""How many (subject, purpose, stretch of time) are worked out at most; each takes about a millisecond."""
REASONS_MAX = 10_000
"""How many (subject, label) are explained at most; each takes some milliseconds of Casbin."""


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
    known = history.label_since
    right = StandingRights(scope.tenant, frozenset(scope.labels), DECISIONS_MAX)
    for stretch in stretches(history, since):
        now = {
            (stretch.table.entries[atom].label_id, actor, purpose): atom
            for actor, purpose, atom in right.of(stretch)
        }
        for gone in opened.keys() - now.keys():
            found.append(Span(*gone, opened.pop(gone), stretch.since))
        for come in now.keys() - opened.keys():
            opened[come] = max(stretch.since, known[now[come]])
        if not stretch.until:
            _put_again(scope, opened)
    found += [Span(*each, begun, "") for each, begun in opened.items()]
    return sorted(
        (each for each in found if each.since != each.until),
        key=lambda each: (each.label, each.subject, each.purpose, each.since),
    )


def reasons(
    scope: AuditScope, subjects: frozenset[str] | None = None, labels: frozenset[str] | None = None
) -> Iterator[Reasoning]:
    """Yield why subjects may, or may not, read under labels now: without a purpose, and with each that lets in.

    Args:
        subjects: None for all that the policy or a label names, or of some labels' auditor for those who may; of
            others nothing is yielded.
        labels: Their ids; None for all of the scope.

    Raises:
        InvalidInput: There is too much to work out.
    """
    grant = scope.grant
    named, _ = listings.candidates(
        grant.snapshot.rows, meanings(grant.table, scope.labels.values()), scope.tenant
    )
    actors = named if subjects is None else named & subjects
    entries = [entry for entry in scope.labels.values() if labels is None or entry.label_id in labels]
    if len(actors) * len(entries) > REASONS_MAX:
        raise InvalidInput(
            f"found {len(actors)} subjects and {len(entries)} labels to explain; expected at most {REASONS_MAX} "
            "pairs; ask why('SUBJECT', 'ID') of single ones"
        )
    for entry in entries:
        found = listings.who_may(grant.snapshot, grant.table, entry, "read", grant.now)
        by_purpose = [(actor, purpose) for purpose, held in found.purposes.items() for actor in held]
        # Whom else the tenant has, who may audit some labels is not told: he can ask of one whom he knows.
        plain = (
            actors
            if subjects is not None or scope.whole
            else {*found.readers, *(who for who, _ in by_purpose)}
        )
        asked = [(actor, "") for actor in sorted(plain)]
        asked += [each for each in by_purpose if each[0] in actors]
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


def _put_again(scope: AuditScope, standing: Iterable[tuple[str, str, str]]) -> None:
    """Put what was worked out for now to Casbin.

    Args:
        standing: (label id, subject, purpose).

    Raises:
        StoreCorrupt: It says another thing. Nothing leaves.
    """
    grant = scope.grant
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for label, actor, purpose in standing:
        asked[label, purpose].add(actor)
    for (label, purpose), actors in asked.items():
        entry = grant.table.by_id[label]
        if (
            authority.allowed_among(grant.snapshot, actors, purpose, entry, grant.table, "read", grant.now)
            != actors
        ):
            raise StoreCorrupt("a right about to be told was not allowed when asked again; no result leaves")
