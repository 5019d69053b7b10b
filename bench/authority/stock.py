"""How long does stock Casbin take for one label?

Promise: Casbin's own enforcer over the shipped model.conf and every rule of the policy, one `enforce` for each
label, as anybody would call it. The links `g` are left out: the matcher is given the principals.
"""

from __future__ import annotations

from collections.abc import Sequence

import casbin

from ringfence_governance.labels import LabelEntry
from ringfence_governance.matcher_values import (
    MatchedContext,
    MatchedObject,
    MatchedSubject,
    member,
    purpose_ok,
    reach,
)
from ringfence_governance.policy_rows import PolicyRows
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject
from ringfence_policies import model_text

from .clock import Clock


class StockCasbin:
    """Stock Casbin over a policy."""

    def __init__(self, rows: PolicyRows) -> None:
        self._enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model_text()))
        model = self._enforcer.get_model()
        model["p"]["p"].policy = [
            [rule.sub, rule.dom, rule.obj, rule.act, rule.rel, rule.purpose, rule.nbf, rule.exp, rule.eft]
            for rule in rows.rules
        ]
        for kind in ("g2", "g3"):
            model["g"][kind].policy = [[link.child, link.parent] for link in rows.links if link.kind == kind]
        self._enforcer.build_role_links()
        broader = model["g"]["g3"].rm
        self._enforcer.add_function("member", member)
        self._enforcer.add_function("reach", reach)
        self._enforcer.add_function("purpose_ok", lambda purpose, names: purpose_ok(broader, purpose, names))

    def time(
        self, snapshot: Snapshot, subject: Subject, entries: Sequence[LabelEntry], now: str
    ) -> tuple[Clock, list[bool]]:
        """Return the times and the answers for some labels.

        Args:
            snapshot: The same policy; says only who the subject is.
        """
        facts = snapshot.facts_of(subject.person)
        asks = MatchedSubject(
            principals=[subject.person, *snapshot.groups_of(subject.person)],
            level=facts.level,
            comps=facts.compartments,
            known=snapshot.knows(subject.person, now),
            carried=False,
        )
        clock = Clock.new()
        answers = [
            clock.time(
                lambda entry=entry: bool(  # type: ignore[misc]
                    self._enforcer.enforce(
                        asks,
                        subject.tenant,
                        MatchedObject(entry.label_id, entry.definition),
                        "read",
                        MatchedContext(now, subject.purpose),
                    )
                )
            )
            for entry in entries
        ]
        return clock, answers
