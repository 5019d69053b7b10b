"""Say whether one actor may do one thing under one label: Casbin decides, this holds it still.

Promise: a snapshot never changes, and its answer is that of Casbin's own
`enforce_ex` over the shipped model and exactly these rows. Every exception
while deciding is a no. The enforcer is never handed out, never reloaded, and
cannot be switched off. No other module imports Casbin.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn

import casbin
from casbin.effect import Effector
from casbin.rbac.default_role_manager import RoleManager

from ringfence_policies import model_text

from . import identifiers
from .decisions import Decision, DecisionReason, Request, checked
from .errors import PolicyRefused
from .identifiers import TIME_MAX, TIME_MIN
from .matcher_values import MatchedContext, MatchedObject, MatchedSubject, Names, member, reach
from .policy_checks import check_rows
from .policy_rows import ANY, Facts, PolicyRows, Rule, to_fields

__all__ = ["FUNCTIONS_VERSION", "Decision", "DecisionReason", "Request", "Snapshot", "normalised_model"]

FUNCTIONS_VERSION = "1"
"""Raised whenever a function or a request object of the matcher changes its meaning."""

_ERROR = Decision(False, None, "error")
_CASBIN_DEPTH = 10
"""Casbin's own default; it follows one link less (`policy_checks.DEPTH_MAX`)."""


class Snapshot:
    """One immutable policy: its rows, their revision, and the one judge over them.

    Args:
        rows: Every row of the policy; at least one rule.

    Raises:
        PolicyRefused: The rows cannot be a policy. Nothing is made.
    """

    __slots__ = ("__judge", "boundaries", "revision", "rows")

    __judge: _Judge
    rows: PolicyRows
    revision: str
    """SHA-256 over model, functions, engine version and rows, in whatever order the rows came."""
    boundaries: tuple[str, ...]
    """The times, ascending, at which some rule begins or ceases to apply; open ends are no times."""

    def __init__(self, rows: PolicyRows) -> None:
        if findings := check_rows(rows):
            raise PolicyRefused(findings)
        model = model_text()
        times = {time for rule in rows.rules for time in (rule.nbf, rule.exp)} - {TIME_MIN, TIME_MAX}
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "revision", _revision(rows, model))
        object.__setattr__(self, "boundaries", tuple(sorted(times)))
        object.__setattr__(self, "_Snapshot__judge", _Judge(rows, model))

    @classmethod
    def build(cls, rows: PolicyRows) -> Snapshot:
        """Return the snapshot of these rows, with an enforcer of its own.

        Raises:
            PolicyRefused: The rows cannot be a policy. Nothing is made.
        """
        return cls(rows)

    def decide(self, request: Request) -> Decision:
        """Return Casbin's answer. A malformed request, like any failure, is a no with reason `error`."""
        return self.__judge.decide(request)

    def matching(self, request: Request) -> tuple[Rule, ...]:
        """Return every rule, allowing and denying, whose matcher is true for the request, sorted.

        Raises:
            InvalidInput: The request is malformed.
        """
        return self.__judge.matching(request)

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
        return self.__judge.facts.get(principal) or Facts(principal, 0, frozenset())

    def groups_of(self, principal: str) -> tuple[str, ...]:
        """Return every group and role the principal is in, directly or through others, sorted."""
        return tuple(sorted(self.__judge.closure(principal) - {principal}))

    def path(self, principal: str, target: str) -> tuple[str, ...]:
        """Return one shortest way up from the principal to the target, both included; empty if none."""
        return self.__judge.path(principal, target)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name}: a policy snapshot never changes; build another")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name}: a policy snapshot never changes; build another")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a policy snapshot is neither copied nor pickled; build it from its rows")

    def __repr__(self) -> str:
        rules, links = len(self.rows.rules), len(self.rows.links)
        return f"Snapshot(revision={self.revision[:12]!r}, rules={rules}, links={links})"


def normalised_model(text: str) -> str:
    """Return the model without comments, blank lines and broken lines: what two equal models share."""
    lines = (line.strip() for line in text.replace("\\\n", " ").split("\n"))
    return "\n".join(" ".join(line.split()) for line in lines if line and not line.startswith("#"))


def _revision(rows: PolicyRows, model: str) -> str:
    digest = hashlib.sha256()
    head = ("ringfence policy", normalised_model(model), FUNCTIONS_VERSION, version("pycasbin"))
    for fields in (head, *sorted(map(to_fields, rows))):
        digest.update(len(fields).to_bytes(4, "big"))
        for field in fields:
            encoded = field.encode()
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()


class _Judge:
    """Casbin over these rows, and what it reads of them. Beneath one snapshot, reached by nothing else."""

    def __init__(self, rows: PolicyRows, model: str) -> None:
        self._members = frozenset(
            {link.child for link in rows.links if link.kind == "g"}
            | {facts.principal for facts in rows.facts}
        )
        self._allowed: dict[str, list[Rule]] = {}
        for rule in rows.rules:
            if rule.eft == "allow" and rule.sub != ANY:
                self._allowed.setdefault(rule.sub, []).append(rule)
        self.facts = {facts.principal: facts for facts in rows.facts}
        self._lines = [_casbin_line(rule) for rule in sorted(rows.rules)]
        self._rules = {tuple(_casbin_line(rule)): rule for rule in rows.rules}
        self._managers = {kind: _SealedRoles(_CASBIN_DEPTH) for kind in ("g", "g2", "g3")}
        for link in rows.links:
            self._managers[link.kind].add_link(link.child, link.parent)
        self._closures: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self._enforcer = self._new_enforcer(model)
        self._enforcer.model["p"]["p"].policy = self._lines
        self._explainer = self._new_enforcer(model)
        self._explainer.set_effector(_StopAtFirst())

    def decide(self, request: Request) -> Decision:
        try:
            values = self._values(request)
            with self._lock:
                allowed, line = self._enforcer.enforce_ex(*values)
            rule = self._rules[tuple(line)] if line else None
        except Exception:  # noqa: BLE001  (whatever went wrong, the answer is no)
            return _ERROR
        if rule is None:
            return _ERROR if allowed else Decision(False, None, "no rule")
        if allowed is (rule.eft == "allow"):
            return Decision(allowed, rule, "allow" if allowed else "deny")
        return _ERROR

    def matching(self, request: Request) -> tuple[Rule, ...]:
        """Ask Casbin for the first match among the rules, then among those behind it, to the end."""
        values = self._values(request)
        found: list[Rule] = []
        rest = self._lines
        with self._lock:
            while rest:
                self._explainer.model["p"]["p"].policy = rest
                line = self._explainer.enforce_ex(*values)[1]
                if not line:
                    break
                found.append(self._rules[tuple(line)])
                rest = rest[rest.index(line) + 1 :]
        return tuple(found)

    def closure(self, principal: str) -> frozenset[str]:
        """Return the principal and all Casbin's role manager says he is, kept for names that have links."""
        kept = self._closures.get(principal)
        if kept is not None:
            return kept
        found = {principal}
        waiting = deque(found)
        while waiting:
            for parent in self._managers["g"].parents(waiting.popleft()):
                if parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        closed = frozenset(found)
        if len(closed) > 1:
            self._closures[principal] = closed
        return closed

    def path(self, principal: str, target: str) -> tuple[str, ...]:
        if principal == target:
            return (principal,)
        before = {principal: ""}
        waiting = deque(before)
        while waiting and target not in before:
            name = waiting.popleft()
            for parent in self._managers["g"].parents(name):
                if parent not in before:
                    before[parent] = name
                    waiting.append(parent)
        steps = [target] if target in before else []
        while steps and steps[-1] != principal:
            steps.append(before[steps[-1]])
        return tuple(reversed(steps))

    def knows(self, principal: str, now: str) -> bool:
        """A deny, or a grant whose time is over, makes nobody known: neither may widen."""
        return principal in self._members or any(
            rule.nbf <= now < rule.exp for rule in self._allowed.get(principal, ())
        )

    def _values(self, request: Request) -> tuple[object, ...]:
        checked(request)
        facts = self.facts.get(request.actor)
        subject = MatchedSubject(
            principals=self.closure(request.actor),
            level=facts.level if facts else 0,
            comps=facts.compartments if facts else (),
            known=self.knows(request.actor, request.now),
            carried=request.carried,
        )
        tenant = identifiers.tenant_of(request.actor)
        return subject, tenant, MatchedObject(request), request.action, MatchedContext(request)

    def _new_enforcer(self, model: str) -> _Enforcer:
        enforcer = _Enforcer(casbin.Enforcer.new_model(text=model))
        for kind, manager in self._managers.items():
            enforcer.set_named_role_manager(kind, manager)
            enforcer.model["g"][kind].rm = manager
        enforcer.add_function("member", member)
        enforcer.add_function("reach", reach)
        enforcer.add_function("purpose_ok", _purpose_ok(self._managers["g3"]))
        return enforcer


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]
    """Casbin's enforcer, which cannot be switched off and parses its matcher once.

    Parsing in each call costs more than deciding does, and `ast.parse` fails at random when
    threads of Python 3.11 call it at once (CPython issue 106905).
    """

    @property
    def enabled(self) -> bool:
        return True

    @enabled.setter
    def enabled(self, value: bool) -> None:
        if value is not True:
            raise RuntimeError("a policy snapshot cannot be switched off")

    def _get_expression(self, expr: str, functions: dict[str, Callable[..., Any]] | None = None) -> Any:
        kept = self.__dict__.get("_parsed")
        if kept is None or kept[0] != expr:
            kept = self.__dict__["_parsed"] = (expr, casbin.Enforcer._get_expression(expr, functions))
        return kept[1]


class _SealedRoles(RoleManager):  # type: ignore[misc]
    """Casbin's role manager, which does not remember names it was only asked about."""

    def has_link(self, name1: str, name2: str, *domain: str) -> bool:
        if name1 not in self.all_roles or name2 not in self.all_roles:
            return name1 == name2
        return bool(super().has_link(name1, name2, *domain))

    def parents(self, name: str) -> list[str]:
        return sorted(self.get_roles(name)) if name in self.all_roles else []


class _StopAtFirst(Effector):  # type: ignore[misc]
    """Ends the evaluation at the first rule that matches, whatever its effect, so that it is named."""

    def intermediate_effect(self, effects: set[int]) -> int:
        matched = effects & {Effector.ALLOW, Effector.DENY}
        return self.final_effect(effects) if matched else int(Effector.INDETERMINATE)

    def final_effect(self, effects: set[int]) -> int:
        return int(Effector.ALLOW if Effector.ALLOW in effects else Effector.DENY)


def _purpose_ok(broader: _SealedRoles) -> Callable[[str, Names], bool]:
    """Return the function that says whether the purpose is one of the names, or narrower than one."""

    def purpose_ok(purpose: str, names: Names) -> bool:
        return any(broader.has_link(purpose, name) for name in names.each())

    return purpose_ok


def _casbin_line(rule: Rule) -> list[str]:
    return [rule.sub, rule.dom, rule.obj, rule.act, rule.rel, rule.purpose, rule.nbf, rule.exp, rule.eft]
