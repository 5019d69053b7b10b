"""Say what is wrong with rows that are each well-formed: duplicates, cycles, depth, unknown labels.

Promise: rows without a finding can be decided over; Casbin meets none of the
rows it would silently drop, truncate or follow only part of the way.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

from .errors import Finding
from .policy_index import Names, PolicyIndex
from .policy_rows import Facts, Link, PolicyRows, Row, Rule, to_fields

DEPTH_MAX = 9
"""Longest chain of links. Casbin follows no more, so a deny further up would be ignored."""

FINDINGS_MAX = 1000
"""Findings listed for one file; one more says that there are others."""

ROWS_FILE = "<rows>"


def check_rows(
    rows: PolicyRows,
    label_names: Collection[str] | None = None,
    file: str = ROWS_FILE,
    *,
    lines: Mapping[Row, int] | None = None,
    partial: bool = False,
) -> tuple[Finding, ...]:
    """Return everything wrong with the rows together; empty if nothing is.

    Args:
        rows: A whole policy.
        label_names: The named labels there are; None where they are not known yet and not compared.
        file: Where the rows came from, for the findings.
        lines: The line of each row; else its place among the rules, links and facts.
        partial: Malformed rows were left out, so that having no rule says nothing.

    Returns:
        Findings by line, at most :data:`FINDINGS_MAX` and one.
    """
    check = _Check(file, lines, rows)
    findings = [*check.duplicates(rows), *check.contradicting_facts(rows.facts), *check.chains(rows.links)]
    if not rows.rules and not partial:
        findings.append(
            Finding(file, 1, "no rule at all", "at least one rule", "an empty policy is not loaded")
        )
    if label_names is not None:
        findings += check.unknown_labels(rows, label_names)
    return bounded(findings, file)


def check_names(rows: Iterable[Row], label_names: Container[str], file: str) -> tuple[Finding, ...]:
    """Return a finding for each row that names a label there is not."""
    return tuple(_Check(file).unknown_labels(rows, label_names))


def check_change(index: PolicyIndex, row: Row, file: str = ROWS_FILE) -> tuple[Finding, ...]:
    """Return everything wrong with one more row in a policy that has no finding itself.

    Asks only about what the row touches; refuses what :func:`check_rows` would refuse of the whole.

    Args:
        index: The policy without the row.
        row: Not among its rows.
    """
    check = _Check(file)
    findings: list[Finding] = []
    if isinstance(row, Facts):
        kept = index.facts.get(row.principal)
        findings += check.contradicting_facts([kept, row] if kept is not None else [])
    if isinstance(row, Link):
        findings += check.chain(index, row)
    return tuple(findings)


def bounded(findings: Sequence[Finding], file: str) -> tuple[Finding, ...]:
    """Return the findings by line, cut after :data:`FINDINGS_MAX`, which a last one then says."""
    ordered = sorted(findings, key=lambda finding: finding.line)
    if len(ordered) <= FINDINGS_MAX:
        return tuple(ordered)
    found, do = "more findings than are listed", "mend the ones above and look again"
    last = Finding(file, ordered[FINDINGS_MAX].line, found, "none", do)
    return (*ordered[:FINDINGS_MAX], last)


class _Check:
    """One pass over one policy, with what is needed to say where."""

    def __init__(self, file: str, lines: Mapping[Row, int] | None = None, rows: Iterable[Row] = ()) -> None:
        self._file = file
        self._lines = lines
        self._rows = rows

    def duplicates(self, rows: PolicyRows) -> Iterator[Finding]:
        if rows.distinct == len(rows):
            return
        seen: set[Row] = set()
        for row in rows:
            if row in seen:
                found = f"{', '.join(to_fields(row))} twice"
                yield self._at(row, found, "each row once", "remove one of them")
            seen.add(row)

    def contradicting_facts(self, facts: Sequence[Facts]) -> Iterator[Finding]:
        first: dict[str, Facts] = {}
        for row in facts:
            kept = first.setdefault(row.principal, row)
            if kept != row:
                found = f"other facts of {row.principal!r} than in line {self._line(kept, 0)}"
                yield self._at(row, found, "one row of facts for each actor", "remove one of them")

    def unknown_labels(self, rows: Iterable[Row], label_names: Container[str]) -> Iterator[Finding]:
        expected = "a label that labels.yaml or the store defines"
        for row in rows:
            name = row.obj if isinstance(row, Rule) else row.child if isinstance(row, Link) else ""
            if "/label:" in name and name not in label_names:
                yield self._at(row, f"label {name!r}", expected, "define it, or correct the name")

    def chain(self, index: PolicyIndex, link: Link) -> Iterator[Finding]:
        """Say what one more link does to the chains it becomes part of."""
        if link.child in index.closure(link.kind, link.parent):
            yield self._cycle(link)
            return
        above = _longest(index.above[link.kind], link.parent)
        if above + 1 + _longest(index.beneath[link.kind], link.child) > DEPTH_MAX:
            yield self._too_long(link)

    def chains(self, links: Sequence[Link]) -> Iterator[Finding]:
        for kind in ("g", "g2", "g3"):
            of_kind = [link for link in links if link.kind == kind]
            beneath = _depths([(link.child, link.parent) for link in of_kind])
            above = _depths([(link.parent, link.child) for link in of_kind])
            for link in of_kind:
                if link.child not in beneath and link.parent not in above:
                    yield self._cycle(link)
                elif beneath.get(link.child) == DEPTH_MAX:
                    yield self._too_long(link)

    def _cycle(self, link: Link) -> Finding:
        found = f"{link.child!r} in {link.parent!r} is part of a cycle, or between two"
        return self._at(link, found, "links that lead upwards", "remove one link of the cycle")

    def _too_long(self, link: Link) -> Finding:
        found = f"{link.child!r} in {link.parent!r} makes a chain of more than {DEPTH_MAX} links"
        return self._at(link, found, f"at most {DEPTH_MAX}", "Casbin follows no more; flatten the groups")

    def _at(self, row: Row, found: str, expected: str, do: str) -> Finding:
        return Finding(self._file, self._line(row, 1), found, expected, do)

    def _line(self, row: Row, otherwise: int) -> int:
        if self._lines is None:  # most policies have no finding, so places are counted for the first one
            self._lines = {row: place for place, row in reversed(list(enumerate(self._rows, start=1)))}
        return self._lines.get(row, otherwise)


def _longest(links: Names, name: str) -> int:
    """Return the longest chain of links away from a name, at most one more than allowed."""
    reached, steps = {name}, 0
    while steps <= DEPTH_MAX:
        reached = {other for each in reached for other in links.get(each) or ()}
        if not reached:
            break
        steps += 1
    return steps


def _depths(links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the longest chain of links beneath each name, without the names in a cycle or above one."""
    parents: dict[str, list[str]] = defaultdict(list)
    open_below: dict[str, int] = defaultdict(int)
    for child, parent in links:
        parents[child].append(parent)
        open_below[parent] += 1
    depth = {child: 0 for child in parents if not open_below[child]}
    ready = deque(depth)
    while ready:
        child = ready.popleft()
        for parent in parents.get(child, ()):
            open_below[parent] -= 1
            if not open_below[parent]:  # names come by depth, so the last one beneath is the deepest
                depth[parent] = depth[child] + 1
                ready.append(parent)
    return depth
