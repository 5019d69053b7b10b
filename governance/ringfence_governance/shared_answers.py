"""Say which actors a matcher cannot tell apart under one label, so that one answer of Casbin serves them all.

Promise: two actors have the same key only if every condition of the matcher
that reads anything of the actor has the same truth for both, at every rule
that could match either. Nothing is decided here. Where a condition is not
proven there is no key, and each actor is asked about by himself.

Source: docs/decisions/0008-compiler.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from .matcher_plan import Conjunct, Plan
from .matcher_tree import Every, Leaf, NotCompilable, Values, folded, leaves
from .policy_rows import Rule

_Told = tuple[Hashable, tuple[Leaf, ...]]
"""What a rule has in common for all actors, and the conditions left to ask of each."""


class SharedKeys:
    """Keys of actors for one label, action, purpose and time.

    Args:
        plan: Of the matcher.
    """

    __slots__ = ("_asked", "_of_rule", "_rules")

    def __init__(self, plan: Plan) -> None:
        self._asked = tuple(
            leaf for leaf in _leaves((*plan.of_request, *plan.of_labels)) if self.tells_apart(leaf)
        )
        self._of_rule = (*plan.of_rules, *plan.of_both)
        self._rules: dict[Rule, _Told | None] = {}

    @staticmethod
    def tells_apart(leaf: Leaf) -> bool:
        """Say whether a condition reads anything of the actor, his tenant included."""
        return leaf.of_actor

    def key(self, values: Values, rules: Iterable[Rule]) -> Hashable:
        """Return what the decision on an actor depends on beyond what is the same for all.

        Args:
            values: What the matcher sees of the request and the label; its `rule` is not read.
            rules: At least every rule that could match.

        Raises:
            NotCompilable: A condition met a value it is not proven for.
        """
        try:
            of_actor = tuple(leaf.holds(values) for leaf in self._asked)
            of_rules = set[Hashable]()
            for rule in rules:
                values.rule = rule
                told = self._told(rule, values)
                if told is not None:
                    of_rules.add((told[0], tuple(leaf.holds(values) for leaf in told[1])))
        except NotCompilable:
            raise
        except Exception as error:
            raise NotCompilable(f"{type(error).__name__} while comparing actors") from error
        return values.dom, of_actor, frozenset(of_rules)

    def _told(self, rule: Rule, values: Values) -> _Told | None:
        """Return what is the same for all actors at a rule; None if by that alone it cannot match."""
        if rule not in self._rules:
            truths = {
                leaf.text: leaf.holds(values) for leaf in _leaves(self._of_rule) if not self.tells_apart(leaf)
            }
            rest = folded(
                Every(tuple(each.node for each in self._of_rule)), lambda leaf: truths.get(leaf.text)
            )
            left = {leaf.text: leaf for leaf in leaves(rest)}
            same = (rule.eft, tuple(truths.values()))
            self._rules[rule] = None if rest is False else (same, tuple(left.values()))
        return self._rules[rule]


def _leaves(conjuncts: Iterable[Conjunct]) -> Iterable[Leaf]:
    return {leaf.text: leaf for each in conjuncts for leaf in leaves(each.node)}.values()
