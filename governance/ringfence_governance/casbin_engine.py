"""Put one request and some rules to Casbin, and return its answer.

Promise: the answer is that of Casbin's own `enforce_ex` over the model and
exactly the rules and links given. An engine holds no policy between two
questions, is never reloaded and cannot be switched off. No other module
imports Casbin.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import casbin
from casbin.effect import Effector
from casbin.rbac.default_role_manager import RoleManager

from .matcher_values import member, purpose_ok, reach
from .policy_index import LINK_KINDS
from .policy_rows import LinkKind, Rule

CASBIN_DEPTH = 10
"""Casbin's own default; it follows one link less (`policy_checks.DEPTH_MAX`)."""

PARSING = threading.Lock()
"""Held while a matcher is parsed, whichever snapshot it is for."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, with all of a policy that can matter to it.

    Args:
        values: What the matcher sees, in the order of the request definition.
        rules: Sorted; every rule of the policy that could match.
        links: Kind → (child, parent) of every link on a way the matcher may follow.
    """

    values: tuple[object, ...]
    rules: Sequence[Rule]
    links: Mapping[LinkKind, Sequence[tuple[str, str]]]


class Engine:
    """Casbin over one model. Beneath a policy snapshot, reached by nothing else.

    Args:
        model: Text of a model that has been read strictly, with links of the kinds g, g2 and g3.
    """

    __slots__ = ("_enforcer", "_explainer", "_lock", "_roles")

    def __init__(self, model: str) -> None:
        self._lock = threading.Lock()
        self._roles = {kind: _GivenRoles() for kind in LINK_KINDS}
        self._enforcer = self._new_enforcer(model)
        self._explainer = self._new_enforcer(model)
        self._explainer.set_effector(_StopAtFirst())

    def decide(self, question: Question) -> tuple[bool, Rule | None]:
        """Return the answer and the rule Casbin names for it.

        Without a rule the answer is no: Casbin itself would match the request against empty texts.

        Raises:
            Exception: Whatever went wrong while deciding; the caller says no.
        """
        if not question.rules:
            return False, None
        lines = [_line(rule) for rule in question.rules]
        with self._lock:
            self._give(question)
            allowed, line = self._ask(self._enforcer, question, lines)
        return allowed, _named(question.rules, lines, line)

    def matching(self, question: Question) -> list[Rule]:
        """Return every rule that matches: the first, then the first among those behind it, to the end."""
        found: list[Rule] = []
        rules = list(question.rules)
        lines = [_line(rule) for rule in rules]
        with self._lock:
            self._give(question)
            while rules:
                _, line = self._ask(self._explainer, question, lines)
                rule = _named(rules, lines, line)
                if rule is None:
                    break
                found.append(rule)
                behind = rules.index(rule) + 1
                rules, lines = rules[behind:], lines[behind:]
        return found

    def _give(self, question: Question) -> None:
        for kind, roles in self._roles.items():
            roles.give(question.links.get(kind, ()))

    def _ask(
        self, enforcer: _Enforcer, question: Question, lines: list[list[str]]
    ) -> tuple[bool, Sequence[str] | None]:
        enforcer.model["p"]["p"].policy = lines
        try:
            allowed, line = enforcer.enforce_ex(*question.values)
        finally:
            enforcer.model["p"]["p"].policy = []
        return allowed, line

    def _new_enforcer(self, model: str) -> _Enforcer:
        enforcer = _Enforcer(casbin.Enforcer.new_model(text=model))
        for kind, roles in self._roles.items():
            enforcer.set_named_role_manager(kind, roles)
            enforcer.model["g"][kind].rm = roles
        enforcer.add_function("member", member)
        enforcer.add_function("reach", reach)
        broader = self._roles["g3"]
        enforcer.add_function("purpose_ok", lambda purpose, names: purpose_ok(broader, purpose, names))
        return enforcer


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]
    """Casbin's enforcer, which cannot be switched off and parses its matcher once.

    Parsing in each call costs more than deciding does, and `ast.parse` fails at random when
    threads of Python 3.11 call it at once (CPython issue 106905), also for two snapshots.
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
            with PARSING:
                kept = self.__dict__["_parsed"] = (expr, casbin.Enforcer._get_expression(expr, functions))
        return kept[1]


class _GivenRoles(RoleManager):  # type: ignore[misc]
    """Casbin's role manager over the links of one question.

    It does not remember names it was only asked about.
    """

    def __init__(self) -> None:
        super().__init__(CASBIN_DEPTH)

    def give(self, links: Sequence[tuple[str, str]]) -> None:
        """Hold these links and no others."""
        super().__init__(CASBIN_DEPTH)
        for child, parent in links:
            self.add_link(child, parent)

    def has_link(self, name1: str, name2: str, *domain: str) -> bool:
        if name1 not in self.all_roles or name2 not in self.all_roles:
            return name1 == name2
        return bool(super().has_link(name1, name2, *domain))


class _StopAtFirst(Effector):  # type: ignore[misc]
    """Ends the evaluation at the first rule that matches, whatever its effect, so that it is named."""

    def intermediate_effect(self, effects: set[int]) -> int:
        matched = effects & {Effector.ALLOW, Effector.DENY}
        return self.final_effect(effects) if matched else int(Effector.INDETERMINATE)

    def final_effect(self, effects: set[int]) -> int:
        return int(Effector.ALLOW if Effector.ALLOW in effects else Effector.DENY)


def _line(rule: Rule) -> list[str]:
    return [rule.sub, rule.dom, rule.obj, rule.act, rule.rel, rule.purpose, rule.nbf, rule.exp, rule.eft]


def _named(rules: Sequence[Rule], lines: Sequence[list[str]], line: Sequence[str] | None) -> Rule | None:
    """Return the rule of the line Casbin named; one that was not asked about is an error."""
    return rules[lines.index(list(line))] if line else None
