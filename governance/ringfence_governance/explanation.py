"""Say why: every rule that matched, for each actor of the chain and each part of the label.

Promise: what is listed is what Casbin found to match, and the answer is the
intersection of its decisions. Who may be told is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from .decisions import Decision, Request
from .labels import EVERYBODY, Label
from .policy_rows import ANY, Rule, to_fields
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that matched, and why it is about this actor.

    Args:
        rule: Of the snapshot.
        membership: From the actor up to the rule's subject; the actor alone if the rule is for everybody.
        relation: From the actor up to the owner, reader or denied principal the label names, `*` last if
            the label's readers are everybody; empty if the rule asks no relation.
    """

    rule: Rule
    membership: tuple[str, ...]
    relation: tuple[str, ...]

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values; the rule as the line of `policy.csv` it is."""
        return {
            "rule": ", ".join(to_fields(self.rule)),
            "effect": self.rule.eft,
            "membership": list(self.membership),
            "relation": list(self.relation),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of one actor under one label, or one part of a compound one.

    Args:
        actor: Of the chain.
        carried: Whether he is a later actor of it.
        object_id: The label's id.
        decision: Casbin's.
        reasons: Every rule that matched, denying ones first; empty on an error and for the default deny.
    """

    actor: str
    carried: bool
    object_id: str
    decision: Decision
    reasons: tuple[Reason, ...]

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return {
            "actor": self.actor,
            "carried": self.carried,
            "label": self.object_id,
            "allowed": self.decision.allowed,
            "reason": self.decision.reason,
            "rules": [reason.to_mapping() for reason in self.reasons],
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer for a chain, and what it was put together from.

    Args:
        allowed: Whether every verdict allows; never with none.
        action: What was asked for.
        purpose: What for; empty for none.
        now: When, UTC.
        revision: The policy's.
        verdicts: One for each actor and part, the person first.
    """

    allowed: bool
    action: str
    purpose: str
    now: str
    revision: str
    verdicts: tuple[Verdict, ...]

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return {
            "allowed": self.allowed,
            "action": self.action,
            "purpose": self.purpose,
            "now": self.now,
            "revision": self.revision,
            "verdicts": [verdict.to_mapping() for verdict in self.verdicts],
        }


def verdict(snapshot: Snapshot, request: Request) -> Verdict:
    """Return the decision on one request with every rule that matched."""
    decision = snapshot.decide_kept(request)
    rules = snapshot.matching(request) if decision.reason != "error" else ()
    ordered = sorted(rules, key=lambda rule: (rule.eft != "deny", rule))
    reasons = tuple(
        Reason(rule, _membership(snapshot, request.actor, rule), _relation(snapshot, request, rule.rel))
        for rule in ordered
    )
    return Verdict(request.actor, request.carried, request.object_id, decision, reasons)


def _membership(snapshot: Snapshot, actor: str, rule: Rule) -> tuple[str, ...]:
    return (actor,) if rule.sub == ANY else snapshot.path(actor, rule.sub)


def _relation(snapshot: Snapshot, request: Request, rel: str) -> tuple[str, ...]:
    if request.label is None or rel == "any":
        return ()
    names = _named_by(request.label, rel)
    paths = [path for name in sorted(names - {EVERYBODY}) if (path := snapshot.path(request.actor, name))]
    if paths:
        return min(paths, key=len)
    return (request.actor, EVERYBODY) if EVERYBODY in names else ()


def _named_by(label: Label, rel: str) -> frozenset[str]:
    return {"owner": frozenset({label.owner}), "reader": label.readers, "denied": label.denied}[rel]
