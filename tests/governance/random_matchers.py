"""Random matchers over the requests and rules of the shipped model.

Everything a matcher may hold occurs: every field, comparison and function, `and`, `or` and `not` within each
other, conditions in an order that compiles and in any other, and some that compare what cannot be compared.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ringfence_policies import model_text

from .random_worlds import ACTORS, GROUPS, MOMENTS, NAMED, PURPOSES, SETS, STEPS, TIMES

FIELDS = {
    "request": {
        "text": ("r.dom", "r.act", "r.ctx.now", "r.ctx.purpose"),
        "number": ("r.sub.level",),
        "flag": ("r.sub.known", "r.sub.carried"),
        "names": ("r.sub.principals", "r.sub.comps"),
    },
    "rule": {
        "text": ("p.sub", "p.dom", "p.obj", "p.act", "p.rel", "p.purpose", "p.nbf", "p.exp", "p.eft"),
    },
    "label": {
        "text": ("r.obj.id", "r.obj.dom", "r.obj.owner", "r.obj.nbf", "r.obj.exp"),
        "number": ("r.obj.level",),
        "flag": ("r.obj.labelled",),
        "names": ("r.obj.readers", "r.obj.denied", "r.obj.comps", "r.obj.purposes"),
    },
}
"""Side → kind of value → the fields of it."""
TEXTS = [
    *ACTORS, *GROUPS, *STEPS[-2:], *NAMED, *SETS, *PURPOSES, *MOMENTS, *TIMES,
    "a", "b", "x", "y", "read", "ingest", "delegate", "*", "any", "owner", "reader", "denied", "allow", "deny",
]  # fmt: skip
LIKELY = {
    "request": (
        'r.act == "read"', "r.sub.known", "r.sub.carried", "r.sub.level >= 1", '"x" in r.sub.comps',
        'r.ctx.purpose != "q"', 'member(r.sub.principals, "a/group:g")', 'g3(r.ctx.purpose, "broad")',
        'r.dom == "a"', 'r.ctx.now < "2026-06-01T00:00:00Z"', '"a/role:r" in r.sub.principals',
    ),
    "rule": (
        "p.act == r.act", 'p.sub == "*"', "member(r.sub.principals, p.sub)", "p.sub in r.sub.principals",
        "p.nbf <= r.ctx.now", "r.ctx.now < p.exp", "p.nbf < r.ctx.now", "r.ctx.now <= p.exp",
        'p.purpose == "*"', "g3(r.ctx.purpose, p.purpose)",
        'p.eft == "deny"', 'p.eft != "deny"', 'p.rel == "any"', "p.dom == r.dom", 'p.dom != "b"', 'p.obj == "*"',
        'g(p.sub, "a/role:r")', 'g(p.sub, "a/group:step9")',
    ),
    "label": (
        "r.obj.dom == r.dom", "r.obj.level <= r.sub.level", "r.obj.comps <= r.sub.comps", "r.obj.labelled",
        '"*" in r.obj.readers', "purpose_ok(r.ctx.purpose, r.obj.purposes)", "r.ctx.now < r.obj.exp",
        "member(r.sub.principals, r.obj.owner)", "reach(r.sub.principals, r.obj.readers)",
        "r.obj.nbf <= r.ctx.now", "r.obj.nbf < r.ctx.now", "r.ctx.now <= r.obj.exp",
        'g(r.obj.owner, "a/group:h")', 'g2(r.obj.id, "a/set:s")',
        "r.obj.owner in r.obj.readers", "reach(r.obj.denied, r.obj.readers)", "r.obj.level != 1",
        "reach(r.sub.principals, r.obj.denied)",
    ),
    "both": (
        "p.obj == r.obj.id", "g2(r.obj.id, p.obj)", "g(r.obj.owner, p.sub)", "p.sub in r.obj.readers",
        "member(r.obj.readers, p.sub)", "purpose_ok(p.purpose, r.obj.purposes)", "r.obj.owner == p.sub",
        "p.nbf <= r.obj.nbf", "p.purpose in r.obj.purposes", "p.dom == r.obj.dom", "g(p.sub, r.obj.owner)",
        "p.obj != r.obj.id",
    ),
}  # fmt: skip
"""Conditions that random policies fulfil often enough, by what they depend on."""
RANKS = ("request", "rule", "label", "both")
SIDES = {
    "request": ("request",),
    "rule": ("request", "rule"),
    "label": ("request", "label"),
    "both": ("request", "rule", "label"),
}
OF_SUBJECT = ("member(r.sub.principals, p.sub)", '(p.sub in r.sub.principals || p.sub == "*")')
SWAPPED = {"<": ">", "<=": ">=", "==": "!=", "in": "not in"}


SHAPES = [
    *(f"{{}} {sign} {{}}" for sign in ("<", "<=", ">=", "==", "!=", "in")),
    *(f"{name}({{}}, {{}})" for name in ("member", "reach", "purpose_ok", "g", "g2")),
]
"""Every way to ask about two values, whatever their kinds."""


@dataclass(frozen=True)
class Matcher:
    """A matcher, and what is known of it.

    Args:
        text: As it stands in a model, on one line.
        ordered: Its conjuncts come in an order that compiles.
        typed: It compares nothing that cannot be compared.
    """

    text: str
    ordered: bool
    typed: bool

    @property
    def model(self) -> str:
        """The shipped model with this matcher in place of its own."""
        head, section, _ = model_text().partition("[matchers]")
        return f"{head}{section}\nm = {self.text}\n"


def random_matcher(dice: random.Random) -> Matcher:
    typed, ordered = dice.random() < 0.75, dice.random() < 0.85
    grammar = _Grammar(dice)
    ranks = [
        dice.choice([*RANKS, "both"])
        for _ in range(dice.choice([1, 2, 2, 3, 3, 4] if typed else [0, 1, 1, 2]))
    ]
    parts = [grammar.tree(rank, dice.choice([0, 1, 1, 2])) for rank in ranks]
    if not typed:
        parts.append(grammar.doubtful(dice.choice(["rule", "rule", "label", "both"])))
    if dice.random() < 0.8:  # few policies mean anything to a matcher that does not ask whom a rule is about
        parts.append(dice.choice(OF_SUBJECT))
        dice.shuffle(parts)
    if ordered:
        parts.sort(key=_rank)
    return Matcher(" && ".join(parts), parts == sorted(parts, key=_rank), typed)


def _rank(conjunct: str) -> int:
    """Return the place of a conjunct in an order that compiles: those of the request, a rule, a label, both."""
    return 2 * ("r.obj." in conjunct) + bool(re.search(r"\bp\.", conjunct))


class _Grammar:
    """One matcher's conditions."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def tree(self, rank: str, depth: int) -> str:
        dice = self._dice
        if depth == 0:
            leaf = self.leaf(rank)
            return f"!({leaf})" if dice.random() < (0.3 if rank == "both" else 0.15) else leaf
        parts = [self.tree(rank, depth - 1)]
        parts += [self.tree(self._below(rank), depth - 1) for _ in range(dice.choice([1, 1, 2]))]
        dice.shuffle(parts)
        whole = f"({dice.choice([' || ', ' || ', ' || ', ' && ']).join(parts)})"
        return f"!{whole}" if dice.random() < 0.15 else whole

    def _below(self, rank: str) -> str:
        """Return a rank whose conditions may stand in a conjunct of this one."""
        if self._dice.random() < 0.4:
            return rank
        return self._dice.choice([each for each in RANKS if set(SIDES[each]) <= set(SIDES[rank])])

    def doubtful(self, rank: str) -> str:
        """Return what Casbin may stop at, or never come to: an ill-typed condition beside another."""
        parts = [self._dice.choice(LIKELY[self._below(rank)]), self._ill_typed(rank)]
        self._dice.shuffle(parts)
        return f"({self._dice.choice([' || ', ' || ', ' && ']).join(parts)})"

    def leaf(self, rank: str) -> str:
        if self._dice.random() < 0.65:
            return self._dice.choice(LIKELY[rank])
        return self._dice.choice([self._comparison, self._comparison, self._function])(rank)

    def _comparison(self, rank: str) -> str:
        dice = self._dice
        kind = dice.choice(["text", "text", "text", "number", "flag", "names", "in", "in"])
        if kind == "in":
            left = self._value("text", rank) if dice.random() < 0.7 else dice.choice(_quoted(TEXTS))
            right = self._value("names", rank)
            operator = "in"
        else:
            left, right = self._value(kind, rank), self._value(kind, rank)
            if dice.random() < 0.3 and kind in ("text", "number"):
                right = dice.choice(_quoted(TEXTS) if kind == "text" else ["0", "1", "2"])
            operator = dice.choice(["==", "==", "<=", "<"] if kind in ("text", "number") else ["==", "<="])
            left, right = (right, left) if dice.random() < 0.5 else (left, right)
        return f"{left} {SWAPPED[operator] if dice.random() < 0.25 else operator} {right}"

    def _function(self, rank: str) -> str:
        name = self._dice.choice(["g", "g2", "g3", "member", "reach", "purpose_ok"])
        kinds = {"member": ("names", "text"), "reach": ("names", "names"), "purpose_ok": ("text", "names")}
        first, second = kinds.get(name, ("text", "text"))
        left, right = self._value(first, rank), self._value(second, rank)
        if second == "text" and self._dice.random() < 0.3:
            right = self._dice.choice(_quoted(TEXTS))
        return f"{name}({left}, {right})"

    def _ill_typed(self, rank: str) -> str:
        """Return a condition on two kinds of value: a comparison that fails, or one that is never true."""
        kinds = self._dice.sample(["text", "number", "flag", "names"], 2)
        left, right = (self._value(kind, rank) for kind in kinds)
        shape = self._dice.choice(SHAPES)
        if shape == "{} in {}" and right.count(".") < 2:
            right = "r.sub.level"
        return shape.format(left, right)

    def _value(self, kind: str, rank: str) -> str:
        """Return a field of this kind, of the rarest side the rank allows that has one, or of another."""
        sides: Sequence[str] = SIDES[rank]
        if self._dice.random() < 0.5:
            sides = [self._dice.choice(sides)]
        fields = [field for side in sides for field in FIELDS[side].get(kind, ())]
        fields = fields or [field for side in SIDES[rank] for field in FIELDS[side].get(kind, ())]
        return self._dice.choice(fields)


def _quoted(texts: Sequence[str]) -> list[str]:
    return [f'"{text}"' for text in texts]
