"""What a matcher is made of: conditions, what each depends on, and how they are put together.

Promise: plain data and their truth over given values; nothing here knows a
policy, and nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .matcher_values import MatchedContext, MatchedObject, MatchedSubject
from .policy_rows import LinkKind, Rule

Side = Literal["request", "rule", "label"]


class NotCompilable(Exception):
    """The matcher, or a value it met, lies outside what is proven. No set is made."""


class Links(Protocol):
    """What is in what: a policy's links."""

    def closure(self, kind: LinkKind, name: str) -> Collection[str]:
        """Return the name and all it is in."""

    def members(self, kind: LinkKind, name: str) -> Collection[str]:
        """Return the name and all that is in it."""


@dataclass(slots=True)
class Values:
    """What the parts of a matcher are evaluated over. `rule` and `obj` are set where they are read.

    Args:
        links: Of the policy that is asked.
    """

    sub: MatchedSubject
    dom: str
    act: str
    ctx: MatchedContext
    links: Links
    rule: Rule | None = None
    obj: MatchedObject | None = None


Evaluate = Callable[[Values], object]
EvaluateEach = Callable[[Values, Sequence[object]], list[object]]
NamesOf = Callable[[Values], Collection[object]]


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison, or one argument of a function; `of_actor` if it is read of who asks, or his tenant."""

    sides: frozenset[Side]
    evaluate: Evaluate
    rule_field: str | None = None
    label_field: str | None = None
    of_actor: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """Another way to say a leaf: the label's field is one of some names, or holds one of them.

    Args:
        field: Of the label.
        holds: Whether the field is a set of names.
        names: Which names, from request and rule.
    """

    field: str
    holds: bool
    names: NamesOf


@dataclass(frozen=True, slots=True)
class Probe:
    """What a leaf says of a rule by itself: where it is true, the rule's field is one of some names.

    Args:
        field: Of the rule.
        names: Which names, from request and label.
        of_label: Whether the label is read for them.
    """

    field: str
    names: NamesOf
    of_label: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition without and, or, not.

    Args:
        text: As it stands in the matcher; equal texts are equal conditions.
        sides: What it depends on; empty if on nothing.
        rule_fields: The rule's fields it reads.
        label_fields: The label's fields it reads.
        evaluate: Its truth; anything but True or False is an error.
        lookup: How the labels it is true of are found by index; None if only by trying each value.
        each: Its truth for each of some values of the one label field it reads; None if it reads others too,
            or the same twice.
        probe: What it says of the rule by itself; None if nothing.
        of_actor: Whether it reads anything of who asks, his tenant included.
    """

    text: str
    sides: frozenset[Side]
    rule_fields: tuple[str, ...]
    label_fields: tuple[str, ...]
    evaluate: Evaluate
    lookup: Lookup | None = None
    each: EvaluateEach | None = None
    probe: Probe | None = None
    of_actor: bool = False

    def holds(self, values: Values) -> bool:
        """Return its truth.

        Raises:
            NotCompilable: It is neither True nor False; Casbin would raise too, but perhaps not ask.
        """
        found = self.evaluate(values)
        if found is True or found is False:
            return found
        raise NotCompilable(f"{self.text} is {type(found).__name__}")


@dataclass(frozen=True, slots=True)
class Every:
    """True if all its parts are."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True if one of its parts is."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """True if its part is not."""

    part: Node


Node = bool | Leaf | Every | Either | Negation


def leaves(node: Node) -> Iterator[Leaf]:
    """Yield every condition in a tree, left to right."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Every | Either):
        for part in node.parts:
            yield from leaves(part)
    elif isinstance(node, Negation):
        yield from leaves(node.part)


def folded(node: Node, known: Callable[[Leaf], bool | None]) -> Node:
    """Return the tree with the leaves that are known put in as constants and folded away."""
    if isinstance(node, bool):
        return node
    if isinstance(node, Leaf):
        answer = known(node)
        return node if answer is None else answer
    if isinstance(node, Negation):
        part = folded(node.part, known)
        return not part if isinstance(part, bool) else Negation(part)
    deciding = isinstance(node, Either)
    rest: list[Node] = []
    for each in node.parts:
        part = folded(each, known)
        if part is deciding:
            return deciding
        if not isinstance(part, bool):
            rest.append(part)
    if len(rest) < 2:
        return rest[0] if rest else not deciding
    return Either(tuple(rest)) if deciding else Every(tuple(rest))
