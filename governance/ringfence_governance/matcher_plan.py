"""Read a matcher as what it depends on: the request, the rule, the label, or several of them.

Promise: a plan is derived from the matcher of model.conf alone; no rule of
access is written here a second time. What is not understood makes no plan
(:class:`NotCompilable`), nor does a condition that could be without an answer;
then Casbin itself is asked label by label, about every rule.

Source: docs/decisions/0008-compiler.md.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from .matcher_example import example
from .matcher_tree import (
    Either,
    Evaluate,
    EvaluateEach,
    Every,
    Leaf,
    Lookup,
    NamesOf,
    Negation,
    Node,
    NotCompilable,
    Operand,
    Probe,
    Side,
    Values,
    leaves,
)
from .matcher_values import Names
from .policy_rows import LinkKind

FUNCTION_LINKS: dict[str, LinkKind] = {"g": "g", "g2": "g2", "g3": "g3", "purpose_ok": "g3"}
"""Functions that follow links upwards, from their first argument, and links of which kind."""
BOOLEANS = frozenset({"carried", "known", "labelled"})
"""Attributes that may stand alone as a condition."""

Ask = Callable[[Any, Any], object]
"""A comparison, or a function of two arguments over the links of one policy."""

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


@dataclass(frozen=True, slots=True)
class Conjunct:
    """One of the conditions that must all hold, and what it depends on."""

    node: Node
    sides: frozenset[Side]
    rule_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A place from which the matcher may follow links upwards."""

    kind: LinkKind
    start: Operand


@dataclass(frozen=True, slots=True)
class Plan:
    """A matcher, sorted by what its conjuncts depend on.

    Args:
        of_request: Depend on the request alone.
        of_rules: On request and rule.
        of_labels: On request and label.
        of_both: On rule and label.
        probes: Rule's field → the values it can have in a rule that matches; absent if any.
        probes_of_request: Likewise, from the request alone.
        walks: Where links are followed from.
        label_fields: All fields of a label that are read.
    """

    of_request: tuple[Conjunct, ...]
    of_rules: tuple[Conjunct, ...]
    of_labels: tuple[Conjunct, ...]
    of_both: tuple[Conjunct, ...]
    probes: dict[str, NamesOf]
    probes_of_request: dict[str, NamesOf]
    walks: tuple[Walk, ...]
    label_fields: tuple[str, ...]


def plan(expression: ast.expr, functions: dict[str, Callable[..., object]]) -> Plan:
    """Return the plan of a matcher.

    Args:
        expression: The matcher's syntax tree, `r.sub.level` and `p.act` as attributes of r and p.
        functions: By name, those it may call besides the links' own; total for well-formed arguments.

    Raises:
        NotCompilable: It uses what is not proven.
    """
    reader = _Reader(functions)
    parts = expression.values if _is(expression, ast.And) else [expression]  # type: ignore[attr-defined]
    conjuncts = [_conjunct(reader.node(part)) for part in parts]
    if [_rank(each) for each in conjuncts] != sorted(_rank(each) for each in conjuncts):
        # No condition is without an answer (`_leaf`), so no order could change one. It is held all the same.
        raise NotCompilable("conjuncts are not ordered request, rule, label, rule with label")
    fields = {field for each in conjuncts for leaf in leaves(each.node) for field in leaf.label_fields}
    return Plan(
        of_request=_where(conjuncts, rule=False, label=False),
        of_rules=_where(conjuncts, rule=True, label=False),
        of_labels=_where(conjuncts, rule=False, label=True),
        of_both=_where(conjuncts, rule=True, label=True),
        probes=_probes_of(conjuncts, of_label=True),
        probes_of_request=_probes_of(conjuncts, of_label=False),
        walks=tuple(reader.walks),
        label_fields=tuple(sorted(fields)),
    )


def _where(conjuncts: Iterable[Conjunct], *, rule: bool, label: bool) -> tuple[Conjunct, ...]:
    return tuple(
        each for each in conjuncts if ("rule" in each.sides) is rule and ("label" in each.sides) is label
    )


def _rank(conjunct: Conjunct) -> int:
    return 2 * ("label" in conjunct.sides) + ("rule" in conjunct.sides)


def _conjunct(node: Node) -> Conjunct:
    found = list(leaves(node))
    sides = frozenset(side for leaf in found for side in leaf.sides)
    return Conjunct(node, sides, tuple(sorted({field for leaf in found for field in leaf.rule_fields})))


def _probes_of(conjuncts: Sequence[Conjunct], *, of_label: bool) -> dict[str, NamesOf]:
    every = Every(tuple(each.node for each in conjuncts))
    found = {field: _probe(every, field, of_label=of_label) for field in ("sub", "obj")}
    return {field: names for field, names in found.items() if names is not None}


def _probe(node: Node, field: str, *, of_label: bool) -> NamesOf | None:
    """Return the values a rule's field can have where the tree is true; None if nothing follows.

    Args:
        of_label: Whether the label may be read for them.
    """
    if isinstance(node, Leaf):
        probe = node.probe
        if probe is None or probe.field != field or (probe.of_label and not of_label):
            return None
        return probe.names
    if isinstance(node, Every):
        return next(filter(None, (_probe(part, field, of_label=of_label) for part in node.parts)), None)
    if isinstance(node, Either):
        parts = [_probe(part, field, of_label=of_label) for part in node.parts]
        if all(parts):
            found = cast("list[NamesOf]", parts)
            return lambda values: {name for part in found for name in part(values)}
    return None


class _Reader:
    """One pass over one matcher."""

    def __init__(self, functions: dict[str, Callable[..., object]]) -> None:
        self._functions = functions
        self.walks: list[Walk] = []

    def node(self, tree: ast.expr) -> Node:
        if isinstance(tree, ast.BoolOp):
            parts = tuple(self.node(part) for part in tree.values)
            return Every(parts) if isinstance(tree.op, ast.And) else Either(parts)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            return Negation(self.node(tree.operand))
        if isinstance(tree, ast.Constant) and isinstance(tree.value, bool):
            return tree.value
        if isinstance(tree, ast.Compare) and len(tree.ops) == 1:
            return self._comparison(tree)
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
            return self._call(tree, tree.func.id)
        if isinstance(tree, ast.Attribute) and tree.attr in BOOLEANS:
            operand = self._operand(tree)
            return _leaf(tree, (operand,), operand.evaluate)
        raise NotCompilable(f"no condition: {ast.unparse(tree)}")

    def _comparison(self, tree: ast.Compare) -> Leaf:
        left, right = self._operand(tree.left), self._operand(tree.comparators[0])
        compare = _COMPARISONS.get(type(tree.ops[0]))
        if compare is None:
            raise NotCompilable(f"comparison not known: {ast.unparse(tree)}")

        def evaluate(values: Values) -> object:
            return compare(left.evaluate(values), right.evaluate(values))

        lookup = probe = None
        if isinstance(tree.ops[0], ast.Eq):
            pair = ((left, right), (right, left))
            lookup = next((_equal(one, other) for one, other in pair if _looks_up(one, other)), None)
            probe = next((_probed(one, other) for one, other in pair if _probes(one, other)), None)
        if isinstance(tree.ops[0], ast.In) and _looks_up(right, left):
            lookup = Lookup(str(right.label_field), True, lambda values: (left.evaluate(values),))
        return _leaf(
            tree, (left, right), evaluate, lookup, probe, _each_of(left, right, lambda values: compare)
        )

    def _call(self, tree: ast.Call, name: str) -> Leaf:
        arguments = tuple(map(self._operand, tree.args))
        if len(arguments) != 2:
            raise NotCompilable(f"{name} with {len(arguments)} arguments")
        first, second = arguments
        kind = FUNCTION_LINKS.get(name)
        if kind is not None:
            self.walks.append(Walk(kind, first))
        if kind is not None and name == kind:
            return self._link(tree, kind, first, second)
        function = self._functions.get(name)
        if function is None:
            raise NotCompilable(f"function not known: {name}")

        def evaluate(values: Values) -> object:
            return function(values.links, first.evaluate(values), second.evaluate(values))

        lookup = probe = None
        # Both are true if, and only if, one of the first argument's names is, or is in, the second.
        if name in ("member", "reach") and "label" not in first.sides:
            if second.label_field is not None and "rule" not in first.sides:
                lookup = Lookup(second.label_field, name == "reach", _each(first))
            if name == "member" and second.rule_field is not None and "rule" not in first.sides:
                probe = Probe(second.rule_field, _each(first), False)
        each = _each_of(first, second, lambda values: partial(function, values.links))
        return _leaf(tree, arguments, evaluate, lookup, probe, each)

    def _link(self, tree: ast.Call, name: LinkKind, first: Operand, second: Operand) -> Leaf:
        """`g2(x, y)`: y is x, or x is in y."""

        def evaluate(values: Values) -> object:
            return second.evaluate(values) in values.links.closure(name, _text(first.evaluate(values)))

        lookup = probe = None
        if first.label_field is not None and "label" not in second.sides:
            lookup = Lookup(
                first.label_field,
                False,
                lambda values: values.links.members(name, _text(second.evaluate(values))),
            )
        if second.rule_field is not None and "rule" not in first.sides:
            probe = Probe(
                second.rule_field,
                lambda values: values.links.closure(name, _text(first.evaluate(values))),
                "label" in first.sides,
            )
        return _leaf(tree, (first, second), evaluate, lookup, probe)

    def _operand(self, tree: ast.expr) -> Operand:
        if isinstance(tree, ast.Constant) and type(tree.value) in (str, int, bool):
            constant = tree.value
            return Operand(frozenset(), lambda values: constant)
        path = _path(tree)
        if path[:1] == ("p",) and len(path) == 2:
            field = path[1]
            return Operand(frozenset({"rule"}), lambda values: getattr(values.rule, field), rule_field=field)
        if path in (("r", "dom"), ("r", "act")):
            name = path[1]
            return Operand(
                frozenset({"request"}), lambda values: getattr(values, name), of_actor=name == "dom"
            )
        if len(path) == 3 and path[:2] in (("r", "sub"), ("r", "ctx")):
            part, name = path[1:]
            return Operand(
                frozenset({"request"}),
                lambda values: getattr(getattr(values, part), name),
                of_actor=part == "sub",
            )
        if len(path) == 3 and path[:2] == ("r", "obj"):
            name = path[2]
            return Operand(frozenset({"label"}), lambda values: getattr(values.obj, name), label_field=name)
        raise NotCompilable(f"no value: {ast.unparse(tree)}")


def _leaf(
    tree: ast.expr,
    operands: tuple[Operand, ...],
    evaluate: Evaluate,
    lookup: Lookup | None = None,
    probe: Probe | None = None,
    each: EvaluateEach | None = None,
) -> Leaf:
    """Return a condition that has an answer for every request, rule and label.

    What kind of value stands in each field is fixed, and each way to ask fails, if it does, for the kinds
    it is given. So a condition that has an answer once always has one. Casbin stops at what fails, also at
    a rule that no question need hold and at a part that folding away would leave out; hence no such part.
    """
    rule_fields = {operand.rule_field for operand in operands} - {None}
    label_fields = {operand.label_field for operand in operands} - {None}
    leaf = Leaf(
        text=ast.unparse(tree),
        sides=frozenset[Side]().union(*(operand.sides for operand in operands)),
        rule_fields=tuple(sorted(map(str, rule_fields))),
        label_fields=tuple(sorted(map(str, label_fields))),
        evaluate=evaluate,
        lookup=lookup,
        each=each,
        probe=probe,
        of_actor=any(operand.of_actor for operand in operands),
    )
    try:
        values = example()
        leaf.holds(values)
        for found in (lookup, probe):
            if found is not None:
                found.names(values)
    except NotCompilable:
        raise
    except Exception as error:
        raise NotCompilable(f"{leaf.text} has no answer: {error}") from error
    return leaf


def _each_of(first: Operand, second: Operand, asking: Callable[[Values], Ask]) -> EvaluateEach | None:
    """Return what asks about many values of the one label field that is read; what else is read, it reads once."""

    def each_first(values: Values, shown: Sequence[object]) -> list[object]:
        ask, other = asking(values), second.evaluate(values)
        return [ask(value, other) for value in shown]

    def each_second(values: Values, shown: Sequence[object]) -> list[object]:
        ask, other = asking(values), first.evaluate(values)
        return [ask(other, value) for value in shown]

    if first.label_field is not None and "label" not in second.sides:
        return each_first
    return each_second if second.label_field is not None and "label" not in first.sides else None


def _looks_up(one: Operand, other: Operand) -> bool:
    return one.label_field is not None and "label" not in other.sides


def _equal(one: Operand, other: Operand) -> Lookup:
    return Lookup(str(one.label_field), False, lambda values: (other.evaluate(values),))


def _probes(one: Operand, other: Operand) -> bool:
    return one.rule_field is not None and "rule" not in other.sides


def _probed(one: Operand, other: Operand) -> Probe:
    return Probe(str(one.rule_field), lambda values: (other.evaluate(values),), "label" in other.sides)


def _each(names: Operand) -> NamesOf:
    def each(values: Values) -> Collection[object]:
        found = names.evaluate(values)
        if type(found) is not Names:
            raise NotCompilable(f"found {type(found).__name__}; expected names")
        return found.each()

    return each


def _text(value: object) -> str:
    if type(value) is not str:
        raise NotCompilable(f"found {type(value).__name__}; expected text")
    return value


def _path(tree: ast.expr) -> tuple[str, ...]:
    """Return ("r", "sub", "level") for `r.sub.level`; empty for anything else."""
    if isinstance(tree, ast.Name):
        return (tree.id,)
    if isinstance(tree, ast.Attribute):
        above = _path(tree.value)
        return (*above, tree.attr) if above else ()
    return ()


def _is(tree: ast.expr, kind: type[ast.boolop]) -> bool:
    return isinstance(tree, ast.BoolOp) and isinstance(tree.op, kind)
