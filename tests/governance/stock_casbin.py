"""Decide by brute force: Casbin as it comes, over a whole policy, one actor and one label at a time.

Nothing of the product is used but the text of model.conf. All rules stand in the
enforcer's own list and all links in its own role managers; the functions a matcher
may call ask `has_link` pair by pair, and the request objects are made here once
more from what the model's comments say they mean. So a mistake in the product's
own is a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import casbin

from ringfence_policies import model_text

BEGIN, END = "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
Definition = Mapping[str, Any]
"""A label as labels.yaml would have it: owner, and whatever else is not the default."""
Fields = Sequence[str]
"""A line of `policy.csv`: the row type first, `-` for an open time or for no compartment."""


class Thing:
    """A part of a request, with these attributes."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


class Group:
    """A set that the evaluator beneath Casbin does not walk through."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __le__(self, other: Group) -> bool:
        if not isinstance(other, Group):
            return NotImplemented
        return self.names <= other.names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)


class StockCasbin:
    """Casbin's own enforcer over a policy.

    Args:
        lines: Every row of the policy.
        model: Text of another model than the shipped one.
    """

    def __init__(self, lines: Iterable[Fields], model: str | None = None) -> None:
        read = casbin.Model()
        read.load_model_from_text(model_text() if model is None else model)
        self.enforcer = casbin.Enforcer(read)
        self.failures = 0
        """How often Casbin raised in place of an answer."""
        self._rules: list[list[str]] = self.enforcer.model["p"]["p"].policy
        self._roles = {kind: self.enforcer.get_named_role_manager(kind) for kind in ("g", "g2", "g3")}
        self._names: dict[str, None] = {}
        self._facts: dict[str, tuple[int, frozenset[str]]] = {}
        self._members: set[str] = set()
        self._allowed: dict[str, list[tuple[str, str]]] = {}
        self._principals: dict[str, Group] = {}
        for kind, *fields in lines:
            {"p": self._add_rule, "f": self._add_facts}.get(kind, self._add_link)(kind, fields)
        self.enforcer.add_function("member", _member)
        self.enforcer.add_function("reach", _reach)
        self.enforcer.add_function("purpose_ok", self._purpose_ok)

    def _add_rule(self, kind: str, fields: list[str]) -> None:
        fields[6] = BEGIN if fields[6] == "-" else fields[6]
        fields[7] = END if fields[7] == "-" else fields[7]
        self._rules.append(fields)
        if fields[8] == "allow":
            self._allowed.setdefault(fields[0], []).append((fields[6], fields[7]))

    def _add_facts(self, kind: str, fields: list[str]) -> None:
        principal, level, words = fields
        self._facts[principal] = (int(level), frozenset() if words == "-" else frozenset(words.split("|")))
        self._members.add(principal)

    def _add_link(self, kind: str, fields: list[str]) -> None:
        child, parent = fields
        self._roles[kind].add_link(child, parent)
        if kind == "g":
            self._members.add(child)
            self._names |= {child: None, parent: None}

    def enforces(
        self,
        actor: str,
        name: str,
        definition: Definition | None,
        action: str,
        purpose: str,
        now: str,
        *,
        carried: bool = False,
    ) -> bool:
        """Put one question to `Enforcer.enforce`; whatever it raises is a no.

        Args:
            definition: None for the policy itself, `tenant/policy`.
        """
        values = self._values(actor, name, definition, action, purpose, now, carried)
        try:
            return bool(self.enforcer.enforce(*values))
        except Exception:  # noqa: BLE001  (whatever stock Casbin raises is its no)
            self.failures += 1
            return False

    def matching(
        self,
        actor: str,
        name: str,
        definition: Definition | None,
        action: str,
        purpose: str,
        now: str,
        *,
        carried: bool = False,
    ) -> list[tuple[str, ...]]:
        """Return the rules that match, each asked about as if there were no other; what raises does not."""
        values = self._values(actor, name, definition, action, purpose, now, carried)
        found = []
        for rule in self._rules:
            self.enforcer.model["p"]["p"].policy = [rule]
            try:
                found += [tuple(rule)] if self.enforcer.enforce_ex(*values)[1] else []
            except Exception:  # noqa: BLE001  (whatever stock Casbin raises is its no)
                self.failures += 1
        self.enforcer.model["p"]["p"].policy = self._rules
        return found

    def _values(
        self,
        actor: str,
        name: str,
        definition: Definition | None,
        action: str,
        purpose: str,
        now: str,
        carried: bool,
    ) -> tuple[object, ...]:
        level, words = self._facts.get(actor, (0, frozenset()))
        subject = Thing(
            principals=self.principals(actor),
            level=level,
            comps=Group(words),
            known=self._knows(actor, now),
            carried=carried,
        )
        label = definition or {}
        labelled = Thing(
            id=name,
            dom=_tenant(name),
            labelled=definition is not None,
            owner=label.get("owner", ""),
            readers=Group(label.get("readers", ())),
            denied=Group(label.get("denied", ())),
            level=label.get("level", 0),
            comps=Group(label.get("compartments", ())),
            purposes=Group(label.get("purposes", ("*",))),
            nbf=label.get("valid_from", BEGIN),
            exp=label.get("valid_until", END),
        )
        return subject, _tenant(actor), labelled, action, Thing(now=now, purpose=purpose)

    def principals(self, actor: str) -> Group:
        """Return the actor and all he is in, asked of Casbin name by name."""
        found = self._principals.get(actor)
        if found is None:
            has_link = self._roles["g"].has_link
            names = [name for name in (actor, *self._names) if has_link(actor, name)]
            found = self._principals[actor] = Group(names)
        return found

    def _knows(self, actor: str, now: str) -> bool:
        """Known is who is in a group, has facts, or is allowed something by name at this time."""
        return actor in self._members or any(
            begin <= now < end for begin, end in self._allowed.get(actor, ())
        )

    def _purpose_ok(self, purpose: str, names: Group) -> bool:
        return any(self._roles["g3"].has_link(purpose, name) for name in names.names)


def _member(principals: Group, name: str) -> bool:
    return name in principals.names


def _reach(principals: Group, names: Group) -> bool:
    known = principals.names
    return any(name in known for name in names.names)


def _tenant(name: str) -> str:
    return name.split("/", 1)[0]
