"""Say whether one actor may do one thing under one label: Casbin decides, this holds it still.

Promise: a snapshot never changes, and its answer is that of Casbin's own
`enforce_ex` over the shipped model and exactly these rows. Every exception
while deciding is a no. The engine is never handed out, never reloaded, and
cannot be switched off.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NoReturn

from ringfence_policies import model_text

from . import identifiers
from .casbin_engine import PARSING, Engine, Question
from .compiler import CompiledRequest, compile_request
from .decisions import Asked, Decision, DecisionReason, Request, check_asked, checked
from .errors import Finding, PolicyRefused
from .identifiers import TIME_MAX
from .kept_decisions import KeptDecisions
from .matcher_plan import Plan, plan
from .matcher_tree import Links, NotCompilable, Values
from .matcher_values import MatchedContext, MatchedObject, MatchedSubject, member, purpose_ok, reach
from .policy_checks import check_change, check_rows
from .policy_index import LINK_KINDS, PolicyIndex
from .policy_model import normalised_model, parse_model
from .policy_rows import ANY, Facts, PolicyRows, Row, Rule

__all__ = ["FUNCTIONS_VERSION", "Decision", "DecisionReason", "Request", "Snapshot", "normalised_model"]

FUNCTIONS_VERSION = "1"
"""Raised whenever a function or a request object of the matcher changes its meaning."""

_ERROR = Decision(False, None, "error")
_NO_RULE = Decision(False, None, "no rule")


class Snapshot:
    """One immutable policy: its rows, their revision, and the one judge over them.

    Args:
        rows: Every row of the policy; at least one rule.
        model: Text of another model; None for the shipped one, which every store has.

    Raises:
        PolicyRefused: The rows cannot be a policy, or the model is none. Nothing is made.
    """

    __slots__ = ("__judge", "revision")

    __judge: _Judge
    revision: str
    """Digest of model, functions, engine version and rows, in whatever order the rows came."""

    def __init__(self, rows: PolicyRows, model: str | None = None) -> None:
        if findings := check_rows(rows):
            raise PolicyRefused(findings)
        self.__take(_Judge(PolicyIndex.build(rows), _Model.of(model_text() if model is None else model)))

    def __take(self, judge: _Judge) -> None:
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
        made.__take(_Judge(index, self.__judge.model))
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
        """Return the first of :attr:`boundaries` after `now`; else the last time of all."""
        return self.__judge.next_boundary(now)

    def decide(self, request: Request) -> Decision:
        """Return Casbin's answer. A malformed request, like any failure, is a no with reason `error`."""
        return self.__judge.decide(request)

    def decide_kept(self, request: Request) -> Decision:
        """Return :meth:`decide`'s answer, asked of Casbin the first time and kept until the next boundary.

        Kept for this policy, the label's id and definition and everything else of the request; errors are not.
        """
        return self.__judge.decide_kept(request)

    def matching(self, request: Request) -> tuple[Rule, ...]:
        """Return every rule, allowing and denying, whose matcher is true for the request, sorted.

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
        return f"Snapshot(revision={self.revision[:12]!r}, rules={index.rule_count}, links={index.link_count})"


@dataclass(frozen=True, slots=True)
class _Model:
    """A model, the engine over it, and its plan, shared by all snapshots that come of one."""

    digest: bytes
    engine: Engine
    _plan: Plan | NotCompilable

    @classmethod
    def of(cls, text: str) -> _Model:
        with PARSING:
            read = parse_model(text, "model.conf")
        functions: dict[str, Callable[..., object]] = {
            "member": lambda links, principals, name: member(principals, name),
            "reach": lambda links, principals, names: reach(principals, names),
            "purpose_ok": lambda links, purpose, names: purpose_ok(_Purposes(links), purpose, names),
        }
        found: Plan | NotCompilable
        try:
            found = plan(read.expression, functions)
        except NotCompilable as refused:
            found = refused
        head = ("ringfence policy", read.text, FUNCTIONS_VERSION, version("pycasbin"))
        return cls(hashlib.sha256(json.dumps(head).encode()).digest(), Engine(text), found)

    def plan(self) -> Plan:
        if isinstance(self._plan, NotCompilable):
            raise NotCompilable(*self._plan.args)
        return self._plan


@dataclass(frozen=True, slots=True)
class _Purposes:
    """A policy's purposes, asked as Casbin's role manager is."""

    links: Links

    def has_link(self, name1: str, name2: str) -> bool:
        return name2 in self.links.closure("g3", name1)


class _Judge:
    """Casbin over these rows, and what it reads of them. Beneath one snapshot, reached by nothing else."""

    __slots__ = ("_kept", "_rows", "index", "model")

    def __init__(self, index: PolicyIndex, model: _Model) -> None:
        self.index = index
        self.model = model
        self._rows: PolicyRows | None = None
        self._kept = KeptDecisions()

    def revision(self) -> str:
        return hashlib.sha256(self.model.digest + self.index.content()).hexdigest()

    def rows(self) -> PolicyRows:
        if self._rows is None:
            self._rows = self.index.rows()
        return self._rows

    def decide(self, request: Request) -> Decision:
        try:
            allowed, rule = self.model.engine.decide(self._question(request))
        except Exception:  # noqa: BLE001  (whatever went wrong, the answer is no)
            return _ERROR
        if rule is None:
            return _ERROR if allowed else _NO_RULE
        if allowed is (rule.eft == "allow"):
            return Decision(allowed, rule, "allow" if allowed else "deny")
        return _ERROR

    def decide_kept(self, request: Request) -> Decision:
        try:
            checked(request)
            kept = self._kept.get(request)
        except Exception:  # noqa: BLE001  (whatever went wrong, the answer is no)
            return _ERROR
        if kept is None:
            kept = self.decide(request)
            if kept.reason != "error":
                self._kept.keep(request, kept, self._valid_until(request))
        return kept

    def _valid_until(self, request: Request) -> str:
        bounds = (request.label.valid_from, request.label.valid_until) if request.label else ()
        return min([self.next_boundary(request.now), *(time for time in bounds if time > request.now)])

    def next_boundary(self, now: str) -> str:
        return next_time(self.index.times, now)

    def matching(self, request: Request) -> tuple[Rule, ...]:
        return tuple(self.model.engine.matching(self._question(request)))

    def compiled(self, asked: Asked) -> CompiledRequest:
        check_asked(asked)
        found = self.model.plan()
        values = self._values(asked)
        return compile_request(found, values, self._rules(found, values, "sub"))

    def knows(self, principal: str, now: str) -> bool:
        """A deny, or a grant whose time is over, makes nobody known: neither may widen."""
        return principal != ANY and (
            bool(self.index.parents("g", principal))
            or principal in self.index.facts
            or any(
                rule.eft == "allow" and rule.nbf <= now < rule.exp
                for rule in self.index.by_subject.get(principal) or ()
            )
        )

    def path(self, principal: str, target: str) -> tuple[str, ...]:
        if target not in self.index.closure("g", principal):
            return ()
        before = {principal: ""}
        waiting = [principal]
        for name in waiting:
            for parent in self.index.parents("g", name):
                if parent not in before:
                    before[parent] = name
                    waiting.append(parent)
        steps = [target]
        while steps[-1] != principal:
            steps.append(before[steps[-1]])
        return tuple(reversed(steps))

    def _question(self, request: Request) -> Question:
        """Return the request with every rule and link of the policy that can matter to it."""
        checked(request)
        values = self._values(request)
        values.obj = MatchedObject(request.object_id, request.label)
        shown = (values.sub, values.dom, values.obj, values.act, values.ctx)
        try:
            found = self.model.plan()
        except NotCompilable:
            return Question(shown, tuple(sorted(self.index.rules())), self._all_links())
        rules = self._rules(found, values, "sub", "obj")
        return Question(shown, tuple(sorted(rules)), self._links(found, values))

    def _values(self, asked: Asked | Request) -> Values:
        facts = self.index.facts.get(asked.actor)
        subject = MatchedSubject(
            principals=self.index.closure("g", asked.actor),
            level=facts.level if facts else 0,
            comps=facts.compartments if facts else (),
            known=self.knows(asked.actor, asked.now),
            carried=asked.carried,
        )
        context = MatchedContext(asked.now, asked.purpose)
        return Values(subject, identifiers.tenant_of(asked.actor), asked.action, context, self.index)

    def _rules(self, found: Plan, values: Values, *fields: str) -> list[Rule]:
        """Return every rule that names what a matching rule must name in the given fields."""
        by_field: dict[str, Any] = {"sub": self.index.by_subject, "obj": self.index.by_object}
        probed = {field: set(found.probes[field](values)) for field in fields if field in found.probes}
        if not probed:
            return list(self.index.rules())
        lists = {
            field: [rules for name in names if (rules := by_field[field].get(name))]
            for field, names in probed.items()
        }
        shortest = min(lists, key=lambda field: sum(map(len, lists[field])))
        others = [(field, names) for field, names in probed.items() if field != shortest]
        return [
            rule
            for rules in lists[shortest]
            for rule in rules
            if all(getattr(rule, field) in names for field, names in others)
        ]

    def _links(self, found: Plan, values: Values) -> dict[str, list[tuple[str, str]]]:
        starts: dict[str, set[str]] = {kind: set() for kind in LINK_KINDS}
        for walk in found.walks:
            if "rule" in walk.start.sides:
                return self._all_links()
            starts[walk.kind].add(str(walk.start.evaluate(values)))
        return {kind: self.index.links_above(kind, names) for kind, names in starts.items()}

    def _all_links(self) -> dict[str, list[tuple[str, str]]]:
        return {kind: self.index.links(kind) for kind in LINK_KINDS}


def next_time(times: tuple[str, ...], now: str) -> str:
    """Return the first of some ascending times after `now`; else the last time of all."""
    place = bisect_right(times, now)
    return times[place] if place < len(times) else TIME_MAX
