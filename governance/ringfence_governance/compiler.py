"""Say under which labels one actor may act: the matcher of model.conf, asked for all labels at once.

Promise: the answer is the one Casbin's `enforce` would give label by label;
tests hold them equal over random policies and matchers. What is not proven
raises :class:`NotCompilable` and gives no set; the caller then asks Casbin.

A rule's conditions are evaluated once for each distinct value they read, a
label's likewise, and what joins rule and label is looked up by index. Every
condition comes from the matcher's own text: see :mod:`matcher_plan`.

Source: docs/decisions/0008-compiler.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from .label_columns import LabelSegment, Mask, Rows
from .matcher_plan import Plan
from .matcher_tree import Either, Every, Leaf, Negation, Node, NotCompilable, Values, folded, leaves
from .matcher_values import MatchedObject
from .policy_rows import Rule

T = TypeVar("T")

_COMBINATIONS_MAX = 1 << 40
"""Largest number of combinations of values that one condition may span."""

Found = Mask | Rows
"""Labels of a segment: a bool for each, or the numbers of some, ascending."""


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that ask the same of a label, but for the names they give.

    Args:
        effect: `allow` or `deny`.
        asks: What the label must fulfil; conditions on the rule alone are folded away.
        rules: Those that fit the request.
        together: Whether the rules may be asked as one: a label fits if it fits any.
    """

    effect: str
    asks: Node
    rules: tuple[Rule, ...]
    together: bool


@dataclass(frozen=True, slots=True)
class CompiledRequest:
    """One actor's request without the label, and the rules left to ask.

    Args:
        values: What the matcher sees of request and links.
        asks: What every label must fulfil, whatever the rule.
        groups: The rules that fit.
    """

    values: Values
    asks: Node
    groups: tuple[RuleGroup, ...]
    _solved: dict[tuple[LabelSegment, str], Found] = field(default_factory=dict, repr=False)

    def allowed(self, segment: LabelSegment) -> Mask:
        """Return, for each label of a segment, whether the policy allows the request under it.

        Raises:
            NotCompilable: A condition met a value it is not proven for. No mask is made.
        """
        nothing = np.zeros(len(segment), np.bool_)
        if not self.groups or not len(segment):
            return nothing
        try:
            return self._allowed(segment, nothing)
        except NotCompilable:
            raise
        except Exception as error:
            raise NotCompilable(f"{type(error).__name__} while compiling") from error

    def _allowed(self, segment: LabelSegment, allow: Mask) -> Mask:
        deny = np.zeros(len(segment), np.bool_)
        for group in self.groups:
            by_effect = {"allow": allow, "deny": deny}[group.effect]
            for rules in [group.rules] if group.together else [(rule,) for rule in group.rules]:
                by_effect |= _dense(self._solve(group.asks, segment, rules), len(segment))
        # What every label must fulfil is asked of those alone that the rules open: mostly a small part.
        rows = np.flatnonzero(allow & ~deny)
        found = np.zeros(len(segment), np.bool_)
        found[rows[self._among(rows, self.asks, segment)]] = True
        return found

    def _among(self, rows: npt.NDArray[np.intp], node: Node, segment: LabelSegment) -> Mask:
        """Return, for each of some labels, whether a condition that reads no rule is true."""
        if isinstance(node, Leaf) and node.lookup is None:
            truths, codes = self._tried(node, segment, (None,))
            return truths.take(codes[rows])
        if isinstance(node, Negation):
            return ~self._among(rows, node.part, segment)
        if isinstance(node, Every | Either):
            parts = [self._among(rows, part, segment) for part in node.parts]
            joined = np.logical_and if isinstance(node, Every) else np.logical_or
            return cast("Mask", joined.reduce(parts))
        return _dense(self._solve(node, segment, ()), len(segment))[rows]

    def _solve(self, node: Node, segment: LabelSegment, rules: Sequence[Rule]) -> Found:
        if isinstance(node, bool):
            return np.full(len(segment), node)
        if isinstance(node, Leaf):
            return self._leaf(node, segment, rules)
        if isinstance(node, Negation):
            return ~_dense(self._solve(node.part, segment, rules), len(segment))
        parts = [self._solve(part, segment, rules) for part in node.parts]
        found = parts[0]
        for part in parts[1:]:
            found = _either(found, part, len(segment)) if isinstance(node, Either) else _both(found, part)
        return found

    def _leaf(self, leaf: Leaf, segment: LabelSegment, rules: Sequence[Rule]) -> Found:
        if "rule" in leaf.sides:
            return self._joined(leaf, segment, rules)
        key = (segment, leaf.text)
        found = self._solved.get(key)
        if found is None:
            found = self._solved[key] = self._joined(leaf, segment, (None,))
        return found

    def _joined(self, leaf: Leaf, segment: LabelSegment, rules: Iterable[Rule | None]) -> Found:
        """Return the labels for which the condition is true with any of the rules."""
        if leaf.lookup is None:
            truths, codes = self._tried(leaf, segment, rules)
            return truths.take(codes)
        column = segment.columns[leaf.lookup.field]
        asked = replace(self.values)
        names: set[object] = set()
        for rule in _distinct(leaf.rule_fields, rules):
            asked.rule = rule
            names.update(leaf.lookup.names(asked))
        return column.holding_any(names) if leaf.lookup.holds else column.with_value_in(names)

    def _tried(self, leaf: Leaf, segment: LabelSegment, rules: Iterable[Rule | None]) -> tuple[Mask, Rows]:
        """Return for which distinct values the condition is true with any of the rules, and each label's value."""
        codes, truths_of = _asking(leaf, segment)
        asked = replace(self.values)
        found: Mask | None = None
        for rule in _distinct(leaf.rule_fields, rules):
            asked.rule = rule
            found = truths_of(asked) if found is None else found | truths_of(asked)
        if found is None:
            raise NotCompilable("a condition is asked of no rule")
        return found, codes


def compile_request(plan: Plan, values: Values, rules: Iterable[Rule]) -> CompiledRequest:
    """Return what one actor's request asks of labels.

    Args:
        plan: Of the matcher.
        values: What the matcher sees of the request; its `rule` and `obj` are not read.
        rules: At least every rule that could match.

    Raises:
        NotCompilable: A condition met a value it is not proven for.
    """
    try:
        asks: Node = Every(tuple(conjunct.node for conjunct in plan.of_labels))
        open_to = folded(asks, lambda leaf: None if "label" in leaf.sides else leaf.holds(values))
        return CompiledRequest(values, open_to, tuple(_groups(plan, replace(values), rules)))
    except NotCompilable:
        raise
    except Exception as error:
        raise NotCompilable(f"{type(error).__name__} while compiling") from error


def _groups(plan: Plan, values: Values, rules: Iterable[Rule]) -> Iterable[RuleGroup]:
    if not all(_holds(conjunct.node, values) for conjunct in plan.of_request):
        return
    asks: Node = Every(tuple(conjunct.node for conjunct in plan.of_both))
    of_rule = [leaf for leaf in leaves(asks) if "label" not in leaf.sides]
    truths = _remembered(
        {name for leaf in of_rule for name in leaf.rule_fields},
        lambda: tuple(leaf.holds(values) for leaf in of_rule),
        values,
    )
    groups: dict[tuple[str, tuple[bool, ...]], list[Rule]] = defaultdict(list)
    for rule in _fitting(plan, values, rules):
        groups[rule.eft, truths(rule)].append(rule)
    for (effect, answers), members in groups.items():
        known = dict(zip((leaf.text for leaf in of_rule), answers, strict=True))
        rest = folded(asks, lambda leaf, known=known: known.get(leaf.text))  # type: ignore[misc]
        if rest is not False:
            yield RuleGroup(effect, rest, tuple(members), _joins_once(rest))


def _fitting(plan: Plan, values: Values, rules: Iterable[Rule]) -> Iterable[Rule]:
    """Yield the rules whose conditions on the request hold, asked in the matcher's order."""
    tests = [
        _remembered(conjunct.rule_fields, partial(_holds, conjunct.node, values), values)
        for conjunct in plan.of_rules
    ]
    for rule in rules:
        if all(test(rule) for test in tests):
            yield rule


def _remembered(fields: Collection[str], ask: Callable[[], T], values: Values) -> Callable[[Rule], T]:
    """Return what asks about a rule, once for each combination of the fields that are read.

    Args:
        ask: Reads the rule from `values`, where it is put.
    """
    answers: dict[object, T] = {}
    read: Callable[[Rule], object] = attrgetter(*sorted(fields)) if fields else lambda rule: ()

    def answer(rule: Rule) -> T:
        key = read(rule)
        if key not in answers:
            values.rule = rule
            answers[key] = ask()
        return answers[key]

    return answer


def _holds(node: Node, values: Values) -> bool:
    if isinstance(node, bool):
        return node
    if isinstance(node, Leaf):
        return node.holds(values)
    if isinstance(node, Negation):
        return not _holds(node.part, values)
    if isinstance(node, Every):
        return all(_holds(part, values) for part in node.parts)
    return any(_holds(part, values) for part in node.parts)


def _joins_once(node: Node) -> bool:
    """Whether "for some rule" may be asked of each condition by itself.

    That holds beneath `or`, and beneath `and` while only one part speaks of the rule; not beneath `not`.
    """
    if isinstance(node, bool | Leaf):
        return True
    if isinstance(node, Negation):
        return not _speaks_of_rule(node.part)
    if isinstance(node, Every) and sum(map(_speaks_of_rule, node.parts)) > 1:
        return False
    return all(map(_joins_once, node.parts))


def _speaks_of_rule(node: Node) -> bool:
    return any("rule" in leaf.sides for leaf in leaves(node))


def _distinct(fields: Sequence[str], rules: Iterable[Rule | None]) -> list[Rule | None]:
    if not fields:
        return list(rules)[:1]
    read = attrgetter(*fields)
    return list({read(rule): rule for rule in rules}.values())


def _asking(leaf: Leaf, segment: LabelSegment) -> tuple[Rows, Callable[[Values], Mask]]:
    """Return which distinct value each label has, and what says of which of them the condition is true."""
    columns = [segment.columns[name] for name in leaf.label_fields]
    each = leaf.each
    if each is not None:
        codes, shown_values = columns[0].codes, columns[0].values
        return codes, lambda values: _truths(leaf, each(values, shown_values))
    codes, combined = _combined(columns)

    def one_by_one(values: Values) -> Mask:
        shown = _Shown()
        values.obj = cast("MatchedObject", shown)
        found: list[object] = []
        for given in combined:
            shown.__dict__.update(zip(leaf.label_fields, given, strict=True))
            found.append(leaf.evaluate(values))
        return _truths(leaf, found)

    return codes, one_by_one


def _truths(leaf: Leaf, found: list[object]) -> Mask:
    if any(type(truth) is not bool for truth in found):
        raise NotCompilable(f"{leaf.text} is neither true nor false")
    return np.array(found, np.bool_)


class _Shown:
    """As much of a label as one condition reads."""


def _combined(columns: Sequence[Any]) -> tuple[Rows, list[tuple[object, ...]]]:
    """Return the distinct combinations of values, and for each label which one it has."""
    if len(columns) == 1:
        return columns[0].codes, [(value,) for value in columns[0].values]
    sizes = [len(column.values) for column in columns]
    if not columns or np.prod(sizes, dtype=np.float64) > _COMBINATIONS_MAX:
        raise NotCompilable("a condition spans no field, or too many values")
    flat = np.ravel_multi_index([column.codes for column in columns], sizes)
    distinct, codes = np.unique(flat, return_inverse=True)
    places = np.stack(np.unravel_index(distinct, sizes), axis=1).tolist()
    values = [tuple(column.values[at] for column, at in zip(columns, each, strict=True)) for each in places]
    return codes.astype(np.int32), values


def _dense(found: Found, size: int) -> Mask:
    if found.dtype == np.bool_:
        return cast("Mask", found)
    mask = np.zeros(size, np.bool_)
    mask[found] = True
    return mask


def _both(one: Found, other: Found) -> Found:
    if one.dtype == np.bool_:
        return one & other if other.dtype == np.bool_ else other[one[other]]
    if other.dtype == np.bool_:
        return one[other[one]]
    return np.intersect1d(one, other, assume_unique=True)


def _either(one: Found, other: Found, size: int) -> Found:
    # Marking is faster than merging two sorted lists, from some hundred rows on.
    return _dense(one, size) | _dense(other, size)
