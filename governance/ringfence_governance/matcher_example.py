"""Give a request, a rule and a label that hold a value of the right kind in every field.

Promise: what can be asked of these values can be asked of any: a field of the
same name holds the same kind of value in every request, rule and label.
"""

from __future__ import annotations

from collections.abc import Collection

from .identifiers import TIME_MAX, TIME_MIN
from .labels import EVERYBODY, Label
from .matcher_tree import Values
from .matcher_values import MatchedContext, MatchedObject, MatchedSubject
from .policy_rows import ANY, LinkKind, Rule

_ACTOR, _LABEL, _WORD, _ACTION = "a/user:a", "a/label:a", "a", "read"


def example() -> Values:
    """Return what a matcher sees of one request, one rule and one label, over a policy without links."""
    return Values(
        sub=MatchedSubject(principals=(_ACTOR,), level=0, comps=(_WORD,), known=True, carried=False),
        dom="a",
        act=_ACTION,
        ctx=MatchedContext(TIME_MIN, _WORD),
        links=_NoLinks(),
        rule=Rule(ANY, ANY, ANY, _ACTION, "any", ANY, TIME_MIN, TIME_MAX, "allow"),
        obj=MatchedObject(
            _LABEL,
            Label(
                "a",
                _ACTOR,
                readers=frozenset({EVERYBODY}),
                denied=frozenset({_ACTOR}),
                compartments=frozenset({_WORD}),
            ),
        ),
    )


class _NoLinks:
    """Each name is in itself and in nothing else."""

    def closure(self, kind: LinkKind, name: str) -> Collection[str]:
        return (name,)

    def members(self, kind: LinkKind, name: str) -> Collection[str]:
        return (name,)
