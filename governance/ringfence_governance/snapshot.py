"""Say whether one actor may do one thing under one label: Casbin decides, this holds it still.

Promise: a snapshot never changes, and its answer is that of Casbin's own
`enforce_ex` over the shipped model and exactly these rows. Every exception
while deciding is a no. The engine is never handed out, never reloaded, and
cannot be switched off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from ringfence_policies import model_text

from .compiler import CompiledRequest
from .decisions import Asked, Decision, DecisionReason, Request
from .errors import Finding, PolicyRefused
from .policy_checks import check_change, check_rows
from .policy_index import PolicyIndex
from .policy_judge import Judge, JudgedModel
from .policy_model import normalised_model
from .policy_rows import Facts, PolicyRows, Row, Rule

__all__ = ["Decision", "DecisionReason", "Request", "Snapshot", "normalised_model"]


class Snapshot:
    """One immutable policy: its rows, their revision, and the one judge over them.

    Args:
        rows: Every row of the policy; at least one rule.
        model: Text of another model; None for the shipped one, which every store has.

    Raises:
        PolicyRefused: The rows cannot be a policy, or the model is none. Nothing is made.
    """

    __slots__ = ("__judge", "revision")

    __judge: Judge
    revision: str
    """Digest of model, functions, engine version and rows, in whatever order the rows came."""

    def __init__(self, rows: PolicyRows, model: str | None = None) -> None:
        if findings := check_rows(rows):
            raise PolicyRefused(findings)
        self.__take(Judge(PolicyIndex.build(rows), JudgedModel.of(model_text() if model is None else model)))

    def __take(self, judge: Judge) -> None:
        object.__setattr__(self, "_Snapshot__judge", judge)
        object.__setattr__(self, "revision", judge.revision())

    @classmethod
    def build(cls, rows: PolicyRows, model: str | None = None) -> Snapshot:
        """Return the snapshot of these rows, with an engine of its own.

        Raises:
            PolicyRefused: The rows cannot be a policy, or the model is none. Nothing is made.
        """
        return cls(rows, model)

    def with_row(self, row: Row) -> Snapshot:
        """Return the snapshot of these rows and one more; see :meth:`changed`."""
        return self.changed(added=(row,))

    def without_row(self, row: Row) -> Snapshot:
        """Return the snapshot of these rows without one; see :meth:`changed`."""
        return self.changed(removed=(row,))

    def changed(self, *, added: Iterable[Row] = (), removed: Iterable[Row] = ()) -> Snapshot:
        """Return the snapshot of these rows without some and with others.

        Takes time in proportion to what the change touches, not to the policy. Rows to be removed that do
        not stand, and rows to be added that do, change nothing.

        Raises:
            PolicyRefused: With the change the policy would not load. Carries every finding.
        """
        index = self.__judge.index
        for row in removed:
            if row in index:
                index = index.without_row(row)
        findings: list[Finding] = []
        for row in added:
            if row not in index:
                findings += check_change(index, row)
                index = index.with_row(row)
        if not index.rule_count:
            findings += check_rows(PolicyRows())
        if findings:
            raise PolicyRefused(tuple(findings))
        if index is self.__judge.index:
            return self
        made = object.__new__(Snapshot)
        made.__take(Judge(index, self.__judge.model))
        return made

    @property
    def rows(self) -> PolicyRows:
        """All rows, each kind sorted. Made once, in time proportional to them."""
        return self.__judge.rows()

    @property
    def index(self) -> PolicyIndex:
        """The rows by what they name."""
        return self.__judge.index

    @property
    def boundaries(self) -> tuple[str, ...]:
        """Times, ascending, at which some rule may begin or cease to apply; open ends are no times."""
        return self.__judge.index.times

    def next_boundary(self, now: str) -> str:
        """Return the first of :attr:`boundaries` after `now`; else the last time of all.

        `now` itself in a model that asks the time otherwise than where a rule or label begins or ends: there
        any second may change an answer. The shipped model does not.
        """
        return self.__judge.next_boundary(now)

    def decide(self, request: Request) -> Decision:
        """Return Casbin's answer. A malformed request, like any failure, is a no with reason `error`."""
        return self.__judge.decide(request)

    def decide_kept(self, request: Request) -> Decision:
        """Return :meth:`decide`'s answer, asked of Casbin the first time and kept until the next boundary.

        Kept for this policy, the label's id and definition and everything else of the request; errors are not.
        """
        return self.__judge.decide_kept(request)

    def allowed_among(self, actors: Iterable[str], request: Request) -> frozenset[str]:
        """Return those of some actors whose request is allowed; `request` is each one's but for its actor.

        What :meth:`decide_kept` says of each. Actors whom no condition of the matcher tells apart share one
        answer of Casbin's; a model without a plan shares none.
        """
        return self.__judge.allowed_among(actors, request)

    def matching(self, request: Request) -> tuple[Rule, ...]:
        """Return every rule, allowing and denying, whose matcher is true for the request, sorted.

        Asked of Casbin the first time, and kept as decisions are.

        Raises:
            InvalidInput: The request is malformed.
        """
        return self.__judge.matching(request)

    def compiled(self, asked: Asked) -> CompiledRequest:
        """Return one actor's request compiled, to be asked of all labels at once.

        Raises:
            NotCompilable: The model or a value lies outside what is proven; ask :meth:`decide`.
            InvalidInput: The request is malformed.
        """
        return self.__judge.compiled(asked)

    @property
    def label_fields(self) -> tuple[str, ...]:
        """The fields of a label that the model reads.

        Raises:
            NotCompilable: As in :meth:`compiled`.
        """
        return self.__judge.model.plan().label_fields

    def knows(self, principal: str, now: str) -> bool:
        """Say whether the principal is a member of something, has facts, or is allowed something now.

        Args:
            now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
        """
        return self.__judge.knows(principal, now)

    def facts_of(self, principal: str) -> Facts:
        """Return what the policy clears the actor for: level 0 and no compartment if it says nothing.

        Raises:
            PolicyRefused: Not a user, agent or service.
        """
        return self.__judge.index.facts.get(principal) or Facts(principal, 0, frozenset())

    def groups_of(self, principal: str) -> tuple[str, ...]:
        """Return every group and role the principal is in, directly or through others, sorted."""
        return tuple(sorted(self.__judge.index.closure("g", principal)[1:]))

    def path(self, principal: str, target: str) -> tuple[str, ...]:
        """Return one shortest way up from the principal to the target, both included; empty if none."""
        return self.__judge.path(principal, target)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name}: a policy snapshot never changes; build another")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name}: a policy snapshot never changes; build another")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a policy snapshot is neither copied nor pickled; build it from its rows")

    def __getstate__(self) -> NoReturn:
        # Python's own would hand out every slot, the judge too.
        raise TypeError("a policy snapshot is neither copied nor pickled; build it from its rows")

    def __repr__(self) -> str:
        index = self.__judge.index
        return (
            f"Snapshot(revision={self.revision[:12]!r}, rules={index.rule_count}, links={index.link_count})"
        )
