"""Put a request to Casbin with all of a policy that can matter to it, and to the compiler.

Promise: a rule is left out of a question only if the matcher's own text says
that it cannot match; every exception while deciding is a no. Beneath one
snapshot, reached by nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from . import identifiers
from .casbin_engine import PARSING, Engine, Question
from .compiler import CompiledRequest, compile_request
from .decisions import Asked, Decision, Request, check_asked, checked
from .errors import Finding, PolicyRefused
from .identifiers import TIME_MAX
from .kept_decisions import KeptDecisions
from .matcher_plan import Plan, plan
from .matcher_times import is_steady
from .matcher_tree import Links, NamesOf, NotCompilable, Values
from .matcher_values import MatchedContext, MatchedObject, MatchedSubject, member, purpose_ok, reach
from .policy_index import LINK_KINDS, PolicyIndex
from .policy_model import PolicyModel, parse_model
from .policy_rows import ANY, LinkKind, PolicyRows, Rule
from .shared_answers import SharedKeys

FUNCTIONS_VERSION = "2"
"""Raised whenever a function or a request object of the matcher changes its meaning."""
MODEL_FILE = "model.conf"
REQUEST_FIELDS = ("sub", "dom", "obj", "act", "ctx")
RULE_FIELDS = tuple(field.name for field in dataclasses.fields(Rule))
"""What the engine is given of a rule, in this order."""

_ERROR = Decision(False, None, "error")
_NO_RULE = Decision(False, None, "no rule")


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A model, the engine over it, and its plan, shared by all snapshots that come of one."""

    digest: bytes
    engine: Engine
    steady: bool
    """Whether answers change with time only at times of rules and labels."""
    _plan: Plan | NotCompilable

    @classmethod
    def of(cls, text: str) -> JudgedModel:
        """Return the model of a text.

        Raises:
            PolicyRefused: It is no model. Carries every finding.
        """
        with PARSING:
            read = parse_model(text, MODEL_FILE)
        if findings := [*_strange_definitions(read)]:
            raise PolicyRefused(tuple(findings))
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
        digest = hashlib.sha256(json.dumps(head).encode()).digest()
        return cls(digest, Engine(text), is_steady(read.expression), found)

    def plan(self) -> Plan:
        """Return the matcher's plan.

        Raises:
            NotCompilable: It has none.
        """
        if isinstance(self._plan, NotCompilable):
            raise NotCompilable(*self._plan.args)
        return self._plan


@dataclass(frozen=True, slots=True)
class _Purposes:
    """A policy's purposes, asked as Casbin's role manager is."""

    links: Links

    def has_link(self, name1: str, name2: str) -> bool:
        return name2 in self.links.closure("g3", name1)


class Judge:
    """Casbin over these rows, and what it reads of them."""

    __slots__ = ("_decisions", "_matches", "_rows", "index", "model")

    def __init__(self, index: PolicyIndex, model: JudgedModel) -> None:
        self.index = index
        self.model = model
        self._rows: PolicyRows | None = None
        self._decisions = KeptDecisions[Decision]()
        self._matches = KeptDecisions[tuple[Rule, ...]]()

    def revision(self) -> str:
        """Return the digest of model, functions, engine version and rows."""
        return hashlib.sha256(self.model.digest + self.index.content()).hexdigest()

    def rows(self) -> PolicyRows:
        """Return all rows, made once."""
        if self._rows is None:
            self._rows = self.index.rows()
        return self._rows

    def decide(self, request: Request) -> Decision:
        """See :meth:`Snapshot.decide`."""
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
        """See :meth:`Snapshot.decide_kept`."""
        try:
            checked(request)
            kept = self._decisions.get(request)
        except Exception:  # noqa: BLE001  (whatever went wrong, the answer is no)
            return _ERROR
        if kept is None:
            kept = self.decide(request)
            if kept.reason != "error":
                self._decisions.keep(request, kept, self._valid_until(request))
        return kept

    def _valid_until(self, request: Request) -> str:
        bounds = (request.label.valid_from, request.label.valid_until) if request.label else ()
        return min([self.next_boundary(request.now), *(time for time in bounds if time > request.now)])

    def next_boundary(self, now: str) -> str:
        """See :meth:`Snapshot.next_boundary`."""
        return next_time(self.index.times, now) if self.model.steady else now

    def matching(self, request: Request) -> tuple[Rule, ...]:
        """See :meth:`Snapshot.matching`."""
        checked(request)
        kept = self._matches.get(request)
        if kept is None:
            kept = tuple(self.model.engine.matching(self._question(request)))
            self._matches.keep(request, kept, self._valid_until(request))
        return kept

    def compiled(self, asked: Asked) -> CompiledRequest:
        """See :meth:`Snapshot.compiled`."""
        check_asked(asked)
        found = self.model.plan()
        values = self._values(asked)
        return compile_request(found, values, self._rules(found.probes_of_request, values))

    def allowed_among(self, actors: Iterable[str], request: Request) -> frozenset[str]:
        """See :meth:`Snapshot.allowed_among`."""
        shared, answers, found = self._shared_keys(), dict[Hashable, bool](), set[str]()
        for actor in actors:
            own = dataclasses.replace(request, actor=actor)
            key = self._shared_key(shared, own)
            allowed = None if key is None else answers.get(key)
            if allowed is None:
                decision = self.decide_kept(own)
                allowed = decision.allowed
                if key is not None and decision.reason != "error":
                    answers[key] = allowed
            if allowed:
                found.add(actor)
        return frozenset(found)

    def _shared_keys(self) -> SharedKeys | None:
        try:
            return SharedKeys(self.model.plan())
        except NotCompilable:
            return None

    def _shared_key(self, shared: SharedKeys | None, request: Request) -> Hashable | None:
        """Return what an answer may be shared by; None if by nothing."""
        if shared is None:
            return None
        try:
            checked(request)
            values = self._values(request)
            values.obj = MatchedObject(request.object_id, request.label)
            return shared.key(values, self._rules(self.model.plan().probes, values))
        except Exception:  # noqa: BLE001  (whatever went wrong, Casbin is asked about this actor alone)
            return None

    def knows(self, principal: str, now: str) -> bool:
        """See :meth:`Snapshot.knows`."""
        # A deny, or a grant whose time is over, makes nobody known: neither may widen.
        return principal != ANY and (
            bool(self.index.parents("g", principal))
            or principal in self.index.facts
            or any(
                rule.eft == "allow" and rule.nbf <= now < rule.exp
                for rule in self.index.by_subject.get(principal) or ()
            )
        )

    def path(self, principal: str, target: str) -> tuple[str, ...]:
        """See :meth:`Snapshot.path`."""
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
        rules = self._rules(found.probes, values)
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

    def _rules(self, probes: dict[str, NamesOf], values: Values) -> list[Rule]:
        """Return every rule that names what a matching rule must name in the fields that are probed."""
        by_field: dict[str, Any] = {"sub": self.index.by_subject, "obj": self.index.by_object}
        probed = {field: set(names(values)) for field, names in probes.items()}
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

    def _links(self, found: Plan, values: Values) -> dict[LinkKind, list[tuple[str, str]]]:
        starts: dict[LinkKind, set[str]] = {kind: set() for kind in LINK_KINDS}
        for walk in found.walks:
            if "rule" in walk.start.sides:
                return self._all_links()
            starts[walk.kind].add(str(walk.start.evaluate(values)))
        return {kind: self.index.links_above(kind, names) for kind, names in starts.items()}

    def _all_links(self) -> dict[LinkKind, list[tuple[str, str]]]:
        return {kind: self.index.links(kind) for kind in LINK_KINDS}


def _strange_definitions(read: PolicyModel) -> Iterator[Finding]:
    """Yield a finding for each definition that does not fit the requests, rules and links that are given."""
    for key, found, expected in (
        ("r", read.request, REQUEST_FIELDS),
        ("p", read.policy, RULE_FIELDS),
        ("role_definition", read.roles, LINK_KINDS),
    ):
        if found != expected:
            do = "the values are given in this order; define no others"
            yield Finding(MODEL_FILE, 1, f"{key} = {', '.join(found) or 'nothing'}", ", ".join(expected), do)


def next_time(times: tuple[str, ...], now: str) -> str:
    """Return the first of some ascending times after `now`; else the last time of all."""
    place = bisect_right(times, now)
    return times[place] if place < len(times) else TIME_MAX
