"""What one row of a policy is, and what a set of rows holds.

Promise: a row in this module is always canonical; what is not raises
:class:`PolicyRefused` and makes no object. Nothing here knows a file or decides
anything. What only several rows together can violate (duplicates, cycles,
unknown labels) is checked in :mod:`policy_text`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from . import identifiers
from .errors import Finding, PolicyRefused
from .identifiers import TIME_MAX, TIME_MIN
from .labels import LEVEL_MAX
from .row_fields import (
    ACTIONS,
    ANY,
    EFFECTS,
    RELATIONS,
    UNBOUNDED,
    Problem,
    choice_problem,
    identifier_problem,
    is_policy_object,
    object_problem,
    tenant_problem,
    time_problem,
    word_problem,
)

__all__ = [
    "ACTIONS",
    "ANY",
    "EFFECTS",
    "RELATIONS",
    "UNBOUNDED",
    "Facts",
    "Link",
    "LinkKind",
    "PolicyRows",
    "Row",
    "Rule",
    "from_fields",
    "named_tenants",
    "to_fields",
]

ROW_FILE = "<row>"

LinkKind = Literal["g", "g2", "g3"]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """Who may, or may not, do what to which labels, when and for what.

    Args:
        sub: A principal, or `*` for everybody.
        dom: A tenant, or `*` for each in its own.
        obj: A label's name, a set, `tenant/policy`, or `*`.
        act: One of :data:`ACTIONS`; `*` only to deny.
        rel: What the subject must be to the label; `any` asks nothing.
        purpose: The purpose of use it holds for; `*` is any, none included.
        nbf: UTC, inclusive.
        exp: UTC, exclusive.
        eft: `allow` or `deny`.

    Raises:
        PolicyRefused: Malformed, or it could never apply. Carries all that is wrong.
    """

    sub: str
    dom: str
    obj: str
    act: str
    rel: str
    purpose: str
    nbf: str
    exp: str
    eft: str

    def __post_init__(self) -> None:
        malformed = [*_rule_field_problems(self)]
        _refuse([*malformed, *_combination_problems(self), *(() if malformed else _bound_problems(self))])


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """One step up: a member to a group or role, a label to a set, a purpose to a broader one.

    Args:
        kind: `g`, `g2` or `g3`.
        child: The member, label or purpose.
        parent: The group or role, set, or broader purpose.

    Raises:
        PolicyRefused: Malformed, or across tenants.
    """

    kind: LinkKind
    child: str
    parent: str

    def __post_init__(self) -> None:
        _refuse(_link_problems(self))


@dataclass(frozen=True, slots=True)
class Facts:
    """What one actor is cleared for. Who has no such row has level 0 and no compartment.

    Args:
        principal: A user, agent or service.
        level: 0 to 9.
        compartments: Words.

    Raises:
        PolicyRefused: Malformed.
    """

    principal: str
    level: int = 0
    compartments: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _refuse(_facts_problems(self))


Row = Rule | Link | Facts


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """All rows of a policy. Never changes; a change makes another."""

    rules: tuple[Rule, ...] = ()
    links: tuple[Link, ...] = ()
    facts: tuple[Facts, ...] = ()
    _index: frozenset[Row] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for kind, rows in ((Rule, self.rules), (Link, self.links), (Facts, self.facts)):
            if strange := next((row for row in rows if type(row) is not kind), None):
                raise TypeError(f"policy rows: found {type(strange).__name__}; expected {kind.__name__}")
        object.__setattr__(self, "_index", frozenset[Row]((*self.rules, *self.links, *self.facts)))

    @classmethod
    def of(cls, rows: Iterable[Row]) -> PolicyRows:
        """Return the rows sorted by what they are, each kind in the given order."""
        kinds: dict[type, list[Row]] = {Rule: [], Link: [], Facts: []}
        for row in rows:
            kinds[type(row)].append(row)
        return cls(
            cast("tuple[Rule, ...]", tuple(kinds[Rule])),
            cast("tuple[Link, ...]", tuple(kinds[Link])),
            cast("tuple[Facts, ...]", tuple(kinds[Facts])),
        )

    def __iter__(self) -> Iterator[Row]:
        yield from self.rules
        yield from self.links
        yield from self.facts

    def __len__(self) -> int:
        return len(self.rules) + len(self.links) + len(self.facts)

    def __contains__(self, row: object) -> bool:
        return row in self._index

    @property
    def distinct(self) -> int:
        """How many different rows there are."""
        return len(self._index)

    def with_row(self, row: Row) -> PolicyRows:
        """Return the rows and this one; the same rows if it is among them."""
        return self if row in self else PolicyRows.of((*self, row))

    def without_row(self, row: Row) -> PolicyRows:
        """Return the rows without this one; the same rows if it is not among them."""
        return PolicyRows.of([kept for kept in self if kept != row]) if row in self else self


def to_fields(row: Row) -> tuple[str, ...]:
    """Return what a line of `policy.csv` holds for this row, in its one canonical spelling."""
    if isinstance(row, Rule):
        nbf = UNBOUNDED if row.nbf == TIME_MIN else row.nbf
        exp = UNBOUNDED if row.exp == TIME_MAX else row.exp
        return ("p", row.sub, row.dom, row.obj, row.act, row.rel, row.purpose, nbf, exp, row.eft)
    if isinstance(row, Link):
        return (row.kind, row.child, row.parent)
    return ("f", row.principal, str(row.level), "|".join(sorted(row.compartments)) or UNBOUNDED)


def from_fields(fields: Sequence[str]) -> Row:
    """Return the row that the fields of one line describe.

    Args:
        fields: The row type first, then its fields, without blanks around them.

    Raises:
        PolicyRefused: Unknown row type, wrong number of fields, or a malformed one; file `<row>`, line 1.
    """
    shape = _SHAPES.get(fields[0]) if fields else None
    if shape is None:
        found = f"row type {fields[0]!a}" if fields else "an empty row"
        raise _refusal([(found, f"one of {', '.join(_SHAPES)}", "row types are lower case, the first field")])
    names, make = shape
    if len(fields) - 1 != len(names):
        found = f"{len(fields) - 1} fields after {fields[0]!r}"
        raise _refusal(
            [(found, f"{len(names)}: {', '.join(names)}", "give every field; write - for an open one")]
        )
    return make(fields)


def _rule_from(fields: Sequence[str]) -> Row:
    _, sub, dom, obj, act, rel, purpose, nbf, exp, eft = fields
    nbf = TIME_MIN if nbf == UNBOUNDED else nbf
    exp = TIME_MAX if exp == UNBOUNDED else exp
    return Rule(sub, dom, obj, act, rel, purpose, nbf, exp, eft)


def _link_from(fields: Sequence[str]) -> Row:
    kind, child, parent = fields
    return Link(cast("LinkKind", kind), child, parent)


def _facts_from(fields: Sequence[str]) -> Row:
    _, principal, level, compartments = fields
    problems: list[Problem] = []
    if level not in _LEVELS:
        problems.append((f"level {level!a}", f"one digit, 0 to {LEVEL_MAX}", "write the clearance level"))
    names = [] if compartments == UNBOUNDED else compartments.split("|")
    if len(set(names)) != len(names):
        problems.append((f"compartments {compartments!a}", "each once", "remove the repeated one"))
    if problems:
        raise _refusal(problems)
    return Facts(principal, int(level), frozenset(names))


_LEVELS = frozenset(str(level) for level in range(LEVEL_MAX + 1))
_SHAPES: dict[str, tuple[tuple[str, ...], Callable[[Sequence[str]], Row]]] = {
    "p": (("sub", "dom", "obj", "act", "rel", "purpose", "nbf", "exp", "eft"), _rule_from),
    "g": (("member", "group-or-role"), _link_from),
    "g2": (("label", "set"), _link_from),
    "g3": (("purpose", "broader-purpose"), _link_from),
    "f": (("principal", "level", "compartments"), _facts_from),
}


def _rule_field_problems(rule: Rule) -> Iterator[Problem]:
    if rule.sub != ANY:
        yield from identifier_problem("sub", rule.sub, identifiers.PRINCIPAL_KINDS)
    if rule.dom != ANY:
        yield from tenant_problem(rule.dom)
    if rule.obj != ANY and not is_policy_object(rule.obj):
        yield from object_problem(rule.obj)
    if rule.act != ANY:
        yield from choice_problem("action", rule.act, ACTIONS)
    yield from choice_problem("relation", rule.rel, RELATIONS)
    if rule.purpose != ANY:
        yield from word_problem("purpose", rule.purpose)
    yield from time_problem("nbf", rule.nbf)
    yield from time_problem("exp", rule.exp)
    yield from choice_problem("effect", rule.eft, EFFECTS)


def _combination_problems(rule: Rule) -> Iterator[Problem]:
    """Yield what the fields allow alone, not together: no effect, or more than it seems to say."""
    allows = rule.eft == "allow"
    if rule.act == ANY and rule.eft != "deny":
        do = "write one rule for each action; '*' only denies"
        yield "action '*' in a rule that allows", "a named action", do
    if rule.rel == "denied" and allows:
        do = "who a label denies is never allowed for it"
        yield "relation 'denied' in a rule that allows", "effect deny", do
    if rule.rel == "reader" and rule.eft == "deny":
        do = "else a label with fewer readers could be read by more; write relation denied or any"
        yield "relation 'reader' in a rule that denies", "effect allow", do
    if rule.act == "delegate" and rule.rel != "any" and allows:
        found = f"action 'delegate' with relation {rule.rel!a}"
        yield found, "relation any", "a later actor of a chain owns and reads nothing itself"
    if rule.rel != "any" and is_policy_object(rule.obj):
        found = f"relation {rule.rel!a} on {rule.obj!a}"
        yield found, "relation any", "the policy has no owner and no readers"


def _bound_problems(rule: Rule) -> Iterator[Problem]:
    named = {identifiers.tenant_of(name) for name in (rule.sub, rule.dom, rule.obj)} - {ANY}
    if len(named) > 1:
        found = f"tenants {', '.join(map(repr, sorted(named)))} in one rule"
        yield found, "one tenant", "a rule stays in one tenant"
    if rule.nbf >= rule.exp:
        found = f"nbf {rule.nbf!r} not before exp {rule.exp!r}"
        yield found, "nbf before exp", "the rule would never apply"


def _link_problems(link: Link) -> list[Problem]:
    if link.kind == "g3":
        return [*word_problem("purpose", link.child), *word_problem("broader purpose", link.parent)]
    kinds = _LINK_KINDS.get(link.kind)
    if kinds is None:
        return [(f"link {link.kind!a}", "g, g2 or g3", "links are of these three kinds")]
    problems = [
        *identifier_problem(kinds[0], link.child, kinds[1]),
        *identifier_problem(kinds[2], link.parent, kinds[3]),
    ]
    if not problems and identifiers.tenant_of(link.child) != identifiers.tenant_of(link.parent):
        found = f"{link.child!r} put into {link.parent!r} of another tenant"
        problems.append((found, "both of one tenant", "nothing is shared across tenants"))
    return problems


_LINK_KINDS: dict[str, tuple[str, frozenset[str], str, frozenset[str]]] = {
    "g": ("member", identifiers.PRINCIPAL_KINDS, "group or role", frozenset({"group", "role"})),
    "g2": ("label", frozenset({"label"}), "set", frozenset({"set"})),
}


def _facts_problems(facts: Facts) -> list[Problem]:
    problems = identifier_problem("principal", facts.principal, identifiers.ACTOR_KINDS)
    if type(facts.level) is not int or not 0 <= facts.level <= LEVEL_MAX:
        problems.append(
            (f"level {facts.level!r}", f"an integer from 0 to {LEVEL_MAX}", "write the clearance level")
        )
    if type(facts.compartments) is not frozenset:
        found = f"compartments of type {type(facts.compartments).__name__}"
        return [*problems, (found, "a frozenset", "give a set of words")]
    for name in sorted(facts.compartments, key=ascii):
        problems += word_problem("compartment", name)
    return problems


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise _refusal(problems)


def _refusal(problems: Sequence[Problem]) -> PolicyRefused:
    return PolicyRefused(tuple(Finding(ROW_FILE, 1, *problem) for problem in problems))


def named_tenants(row: Row) -> frozenset[str]:
    """Return the tenants a row names; none if it is for every tenant."""
    if isinstance(row, Rule):
        names = [name for name in (row.sub, row.dom, row.obj) if name != ANY]
    elif isinstance(row, Facts):
        names = [row.principal]
    else:
        names = [] if row.kind == "g3" else [row.parent]
    return frozenset(map(identifiers.tenant_of, names))
