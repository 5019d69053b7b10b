"""Find the rows of a policy by whom, what and which they name, and derive the next policy from one change.

Promise: an index never changes; a changed policy is another index that shares
all the rest with the one before, so a change costs what it touches. Its content
digest depends on the rows alone, in whatever order they came.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from rpds import HashTrieMap

from .identifiers import TIME_MAX, TIME_MIN
from .policy_rows import Facts, Link, LinkKind, PolicyRows, Row, Rule, to_fields

LINK_KINDS: tuple[LinkKind, ...] = ("g", "g2", "g3")
DIGEST_BITS = 2048
"""Width of the sum of row digests. Sums of narrower digests can be forged by choosing rows."""
_MODULUS = 1 << DIGEST_BITS

T = TypeVar("T", Rule, str)
Names: TypeAlias = "HashTrieMap[str, tuple[str, ...]]"
Rules: TypeAlias = "HashTrieMap[str, tuple[Rule, ...]]"


@dataclass(frozen=True, slots=True, repr=False)
class PolicyIndex:
    """All rows of one policy, found by what they name.

    Args:
        by_subject: Principal or `*` → the rules that name it.
        by_object: Label, set, policy or `*` → the rules that name it.
        above: Kind of link → name → what it is directly in, sorted.
        beneath: Kind of link → name → what is directly in it.
        facts: Actor → what he is cleared for.
        times: When rules begin or cease to apply, ascending. May hold times of rules that are gone.
        rule_count: How many rules there are.
        link_count: How many links there are.
        sum: The rows' digests added up.
    """

    by_subject: Rules
    by_object: Rules
    above: dict[LinkKind, Names]
    beneath: dict[LinkKind, Names]
    facts: HashTrieMap[str, Facts]
    times: tuple[str, ...]
    rule_count: int
    link_count: int
    sum: int
    _members: dict[LinkKind, dict[str, tuple[str, ...]]] = field(compare=False)
    """Name → all that is in it, as far as it was asked; shared by policies with the same links of the kind."""

    @classmethod
    def build(cls, rows: PolicyRows) -> PolicyIndex:
        """Return the index of these rows, each of which stands once."""
        above = {kind: _grouped((link.child, link.parent) for link in _of(rows, kind)) for kind in LINK_KINDS}
        beneath = {
            kind: _grouped((link.parent, link.child) for link in _of(rows, kind)) for kind in LINK_KINDS
        }
        return cls(
            by_subject=_grouped((rule.sub, rule) for rule in rows.rules),
            by_object=_grouped((rule.obj, rule) for rule in rows.rules),
            above=above,
            beneath=beneath,
            facts=HashTrieMap({facts.principal: facts for facts in rows.facts}),
            times=tuple(sorted({time for rule in rows.rules for time in _times(rule)})),
            rule_count=len(rows.rules),
            link_count=len(rows.links),
            sum=sum(map(row_digest, rows)) % _MODULUS,
            _members={kind: {} for kind in LINK_KINDS},
        )

    def __contains__(self, row: object) -> bool:
        if isinstance(row, Rule):
            return row in self._narrower(row)
        if isinstance(row, Link):
            return row.parent in self.parents(row.kind, row.child)
        return isinstance(row, Facts) and self.facts.get(row.principal) == row

    def __iter__(self) -> Iterator[Row]:
        yield from self.rules()
        for kind in LINK_KINDS:
            for child, parent in self.links(kind):
                yield Link(kind, child, parent)
        yield from self.facts.values()

    def parents(self, kind: LinkKind, name: str) -> tuple[str, ...]:
        """Return what the name is directly in, sorted."""
        return self.above[kind].get(name) or ()

    def children(self, kind: LinkKind, name: str) -> tuple[str, ...]:
        """Return what is directly in the name."""
        return self.beneath[kind].get(name) or ()

    def closure(self, kind: LinkKind, name: str) -> tuple[str, ...]:
        """Return the name and all it is in, directly or through others, nearest first."""
        return _reached(self.above[kind], name)

    def members(self, kind: LinkKind, name: str) -> tuple[str, ...]:
        """Return the name and all that is in it, directly or through others, nearest first."""
        links, kept = self.beneath[kind], self._members[kind]
        found = kept.get(name)
        if found is None:
            found = _reached(links, name)
            if name in links:  # what has nothing in it is not remembered: anybody may ask for any name
                kept[name] = found
        return found

    def links_above(self, kind: LinkKind, names: Iterable[str]) -> list[tuple[str, str]]:
        """Return every (child, parent) on the ways up from the names, each once."""
        found: dict[str, None] = {}
        for name in names:
            found |= dict.fromkeys(self.closure(kind, name))
        return [(child, parent) for child in found for parent in self.parents(kind, child)]

    def with_row(self, row: Row) -> PolicyIndex:
        """Return the index of these rows and one more that is not among them."""
        if isinstance(row, Rule):
            times = list(self.times)
            for time in _times(row):
                place = bisect_left(times, time)
                if times[place : place + 1] != [time]:
                    times.insert(place, time)
            changed = replace(
                self,
                by_subject=_with(self.by_subject, row.sub, row),
                by_object=_with(self.by_object, row.obj, row),
                times=tuple(times),
                rule_count=self.rule_count + 1,
            )
        elif isinstance(row, Link):
            changed = self._with_link(row, _with, self.link_count + 1)
        else:
            changed = replace(self, facts=self.facts.insert(row.principal, row))
        return replace(changed, sum=(self.sum + row_digest(row)) % _MODULUS)

    def without_row(self, row: Row) -> PolicyIndex:
        """Return the index of these rows without one that is among them."""
        if isinstance(row, Rule):
            changed = replace(
                self,
                by_subject=_without(self.by_subject, row.sub, row),
                by_object=_without(self.by_object, row.obj, row),
                rule_count=self.rule_count - 1,
            )
        elif isinstance(row, Link):
            changed = self._with_link(row, _without, self.link_count - 1)
        else:
            changed = replace(self, facts=self.facts.remove(row.principal))
        return replace(changed, sum=(self.sum - row_digest(row)) % _MODULUS)

    def rules(self) -> Iterator[Rule]:
        """Yield every rule."""
        for rules in self.by_subject.values():
            yield from rules

    def links(self, kind: LinkKind) -> list[tuple[str, str]]:
        """Return every (child, parent) of one kind."""
        return [(child, parent) for child, parents in self.above[kind].items() for parent in parents]

    def content(self) -> bytes:
        """Return what equal rows share, in whatever order they came."""
        return self.sum.to_bytes(DIGEST_BITS // 8, "big")

    def rows(self) -> PolicyRows:
        """Return all rows, each kind sorted; takes time in proportion to them."""
        rows = PolicyRows.of(self)
        facts = tuple(sorted(rows.facts, key=lambda each: each.principal))
        return PolicyRows(tuple(sorted(rows.rules)), tuple(sorted(rows.links)), facts)

    def _narrower(self, rule: Rule) -> tuple[Rule, ...]:
        """Return the shorter of the two lists that would hold the rule."""
        of_subject, of_object = self.by_subject.get(rule.sub) or (), self.by_object.get(rule.obj) or ()
        return min(of_subject, of_object, key=len)

    def _with_link(
        self, link: Link, change: Callable[[Names, str, str], Names], link_count: int
    ) -> PolicyIndex:
        above = self.above | {link.kind: change(self.above[link.kind], link.child, link.parent)}
        beneath = self.beneath | {link.kind: change(self.beneath[link.kind], link.parent, link.child)}
        members: dict[LinkKind, dict[str, tuple[str, ...]]] = {**self._members, link.kind: {}}
        return replace(self, above=above, beneath=beneath, link_count=link_count, _members=members)


def row_digest(row: Row) -> int:
    """Return the row's digest as an integer of :data:`DIGEST_BITS` bits."""
    digest = hashlib.shake_256()
    for text in to_fields(row):
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return int.from_bytes(digest.digest(DIGEST_BITS // 8), "big")


def _of(rows: PolicyRows, kind: LinkKind) -> Iterator[Link]:
    return (link for link in rows.links if link.kind == kind)


def _times(rule: Rule) -> set[str]:
    return {rule.nbf, rule.exp} - {TIME_MIN, TIME_MAX}


def _grouped(pairs: Iterable[tuple[str, T]]) -> HashTrieMap[str, tuple[T, ...]]:
    found: dict[str, list[T]] = defaultdict(list)
    for name, value in pairs:
        found[name].append(value)
    return HashTrieMap({name: tuple(sorted(values)) for name, values in found.items()})


def _with(mapping: HashTrieMap[str, tuple[T, ...]], name: str, value: T) -> HashTrieMap[str, tuple[T, ...]]:
    values = list(mapping.get(name) or ())
    insort(values, value)
    return mapping.insert(name, tuple(values))


def _without(
    mapping: HashTrieMap[str, tuple[T, ...]], name: str, value: T
) -> HashTrieMap[str, tuple[T, ...]]:
    kept = tuple(each for each in mapping[name] if each != value)
    return mapping.insert(name, kept) if kept else mapping.remove(name)


def _reached(links: Names, name: str) -> tuple[str, ...]:
    found = {name: None}
    waiting = [name]
    for each in waiting:
        for other in links.get(each) or ():
            if other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(found)
