"""Decide by brute force: stock Casbin over the shipped model, one actor and one label at a time.

Nothing of the product is used but the text of model.conf. The functions and
the request objects are written here once more, from what the model's comments
say they mean, so that a mistake in the product's own is a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import casbin

from ringfence_policies import model_text

BEGIN, END = "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
Definition = Mapping[str, Any]
"""A label as labels.yaml would have it: owner, and whatever else is not the default."""


class StockCasbin:
    """Casbin's own enforcer over lines of `policy.csv`."""

    def __init__(self, lines: Iterable[str]) -> None:
        model = casbin.Model()
        model.load_model_from_text(model_text())
        self._enforcer = casbin.Enforcer(model)
        self._parents: dict[str, list[str]] = {}
        self._broader: dict[str, list[str]] = {}
        self._facts: dict[str, tuple[int, frozenset[str]]] = {}
        self._members: set[str] = set()
        self._allowed: dict[str, list[tuple[str, str]]] = {}
        for line in lines:
            self._add([field.strip() for field in line.split(",")])
        self._enforcer.add_function("member", lambda principals, name: name in principals)
        self._enforcer.add_function("reach", lambda principals, names: bool(principals & names))
        self._enforcer.add_function("purpose_ok", self._purpose_ok)

    def _add(self, fields: list[str]) -> None:
        kind, *rest = fields
        if kind == "p":
            rest[6] = BEGIN if rest[6] == "-" else rest[6]
            rest[7] = END if rest[7] == "-" else rest[7]
            assert self._enforcer.add_policy(*rest)
            if rest[8] == "allow":
                self._allowed.setdefault(rest[0], []).append((rest[6], rest[7]))
        elif kind == "f":
            words = frozenset() if rest[2] == "-" else frozenset(rest[2].split("|"))
            self._facts[rest[0]] = (int(rest[1]), words)
            self._members.add(rest[0])
        else:
            assert self._enforcer.add_named_grouping_policy(kind, *rest)
            if kind == "g":
                self._members.add(rest[0])
            above = {"g": self._parents, "g2": {}, "g3": self._broader}[kind]
            above.setdefault(rest[0], []).append(rest[1])

    def may(
        self,
        chain: Sequence[str],
        parts: Mapping[str, Definition],
        action: str,
        *,
        purpose: str = "",
        now: str,
    ) -> bool:
        """Say whether every actor of the chain may do the action under every part of a label."""
        return bool(parts) and all(
            self.enforces(actor, name, parts[name], action, purpose, now, carried=place > 0)
            for name in parts
            for place, actor in enumerate(chain)
        )

    def enforces(
        self,
        actor: str,
        name: str,
        definition: Definition,
        action: str,
        purpose: str,
        now: str,
        *,
        carried: bool = False,
    ) -> bool:
        """Put one question to `Enforcer.enforce`."""
        level, words = self._facts.get(actor, (0, frozenset()))
        subject = SimpleNamespace(
            principals=frozenset(_up(self._parents, actor)),
            level=level,
            comps=words,
            known=self._knows(actor, now),
            carried=carried,
        )
        labelled = SimpleNamespace(
            id=name,
            dom=_tenant(name),
            labelled=True,
            owner=definition["owner"],
            readers=frozenset(definition.get("readers", ())),
            denied=frozenset(definition.get("denied", ())),
            level=definition.get("level", 0),
            comps=frozenset(definition.get("compartments", ())),
            purposes=frozenset(definition.get("purposes", ("*",))),
            nbf=definition.get("valid_from", BEGIN),
            exp=definition.get("valid_until", END),
        )
        circumstances = SimpleNamespace(now=now, purpose=purpose)
        return bool(self._enforcer.enforce(subject, _tenant(actor), labelled, action, circumstances))

    def owns(self, person: str, definition: Definition) -> bool:
        """Say whether the person, or a group he is in, owns the label."""
        return definition["owner"] in _up(self._parents, person)

    def _knows(self, actor: str, now: str) -> bool:
        """Known is who is in a group, has facts, or is allowed something by name at this time."""
        return actor in self._members or any(
            begin <= now < end for begin, end in self._allowed.get(actor, ())
        )

    def _purpose_ok(self, purpose: str, names: frozenset[str]) -> bool:
        return not names.isdisjoint(_up(self._broader, purpose))


def _up(parents: Mapping[str, Sequence[str]], name: str) -> set[str]:
    found, waiting = {name}, [name]
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def _tenant(name: str) -> str:
    return name.split("/", 1)[0]
