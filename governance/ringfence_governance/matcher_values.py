"""What the matcher of model.conf sees of a request, and the functions it may call.

Promise: the evaluator beneath Casbin finds no container to walk, no text that
pretends to equal another, and no method that is true by existing: sets are
opaque, objects have exactly the attributes the matcher names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .identifiers import TIME_MAX, TIME_MIN, tenant_of
from .labels import EVERYBODY, Label


class Names:
    """A set of names that only answers: is it in, is it within, do they meet."""

    __slots__ = ("_names",)

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __le__(self, other: Names) -> bool:
        return self._names <= other._names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and self._names == other._names

    def __hash__(self) -> int:
        return hash(self._names)

    def meet(self, other: Names) -> bool:
        """Say whether any name is in both."""
        return not self._names.isdisjoint(other._names)

    def each(self) -> frozenset[str]:
        """Return the names; for the functions here and the compiler, never for the matcher."""
        return self._names


class MatchedSubject:
    """`r.sub`: one actor with all his principals at once, so that a deny for any of them counts."""

    __slots__ = ("carried", "comps", "known", "level", "principals")

    def __init__(
        self, *, principals: Iterable[str], level: int, comps: Iterable[str], known: bool, carried: bool
    ) -> None:
        self.principals = Names(principals)
        self.level = level
        self.comps = Names(comps)
        self.known = known
        self.carried = carried


class MatchedObject:
    """`r.obj`: a label, or the policy object of a tenant, which nobody owns and which is always valid."""

    __slots__ = (
        "comps", "denied", "dom", "exp", "id", "labelled", "level", "nbf", "owner", "purposes", "readers",
    )  # fmt: skip

    def __init__(self, object_id: str, label: Label | None) -> None:
        self.id = object_id
        self.dom = label.tenant if label else tenant_of(object_id)
        self.labelled = label is not None
        self.owner = label.owner if label else ""
        self.readers = Names(label.readers if label else ())
        self.denied = Names(label.denied if label else ())
        self.level = label.level if label else 0
        self.comps = Names(label.compartments if label else ())
        self.purposes = Names(label.purposes if label else (EVERYBODY,))
        self.nbf = label.valid_from if label else TIME_MIN
        self.exp = label.valid_until if label else TIME_MAX


class MatchedContext:
    """`r.ctx`: when, and for what."""

    __slots__ = ("now", "purpose")

    def __init__(self, now: str, purpose: str) -> None:
        self.now = now
        self.purpose = purpose


def member(principals: Names, name: str) -> bool:
    """Say whether the name is the actor, or a group or role he is in.

    Raises:
        TypeError: Not a set of names: a piece of a text is no member of it.
    """
    if type(principals) is not Names:
        raise TypeError(f"member: found {type(principals).__name__}; expected names")
    return name in principals


class Broader(Protocol):
    """What a purpose is narrower than."""

    def has_link(self, name1: str, name2: str) -> bool:
        """Say whether the first is the second, or is in it."""


def reach(principals: Names, names: Names) -> bool:
    """Say whether any of the names is the actor, or a group or role he is in."""
    return principals.meet(names)


def purpose_ok(broader: Broader, purpose: str, names: Names) -> bool:
    """Say whether the purpose is one of the names, or narrower than one."""
    return any(broader.has_link(purpose, name) for name in names.each())
