"""One random policy, asked in every way, against stock Casbin label by label.

Each comparison takes a seed and makes everything from it: a failure names the
seed, and the same call shows it again. What is counted says how much the
comparisons are worth: how many answers, how many of them a yes, what was compiled.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from ringfence_governance import label_table
from ringfence_governance.authority import allowed, readable_until
from ringfence_governance.decisions import Asked, Request
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import LabelEntry
from ringfence_governance.listings import what_may, who_may
from ringfence_governance.matcher_tree import NotCompilable
from ringfence_governance.policy_checks import check_rows
from ringfence_governance.policy_rows import ACTIONS, Rule, to_fields
from ringfence_governance.snapshot import PolicyRefused, Snapshot
from ringfence_governance.subjects import Subject

from .random_matchers import random_matcher
from .random_worlds import (
    ACTORS,
    GROUPS,
    MOMENTS,
    PURPOSES,
    SETS,
    TIMES,
    World,
    random_label,
    random_request,
    random_row,
    random_subject,
    random_world,
    tenant,
)
from .stock_casbin import StockCasbin

Counts = Counter[str]
WHO_SHARE = 0.1
"""In how many policies `who_may` is asked too: it asks about everybody, for every purpose."""


class Brute:
    """Stock Casbin over a world; a question asked before is not asked again."""

    def __init__(self, world: World, model: str | None = None) -> None:
        self.stock = StockCasbin(map(to_fields, world.rows), model)
        self._labels = {name: label.to_mapping() for name, label in world.labels.items()}
        self.answers: dict[Request, bool] = {}

    def may(self, request: Request) -> bool:
        if request not in self.answers:
            answer = self.stock.enforces(*self._question(request), carried=request.carried)
            self.answers[request] = answer
        return self.answers[request]

    def matching(self, request: Request) -> list[tuple[str, ...]]:
        return self.stock.matching(*self._question(request), carried=request.carried)

    def _question(self, request: Request) -> tuple[str, str, dict[str, object] | None, str, str, str]:
        definition = self._labels.get(request.object_id)
        return request.actor, request.object_id, definition, request.action, request.purpose, request.now


class Case:
    """One world, asked in one model.

    Args:
        world: Its labels are the table's.
    """

    def __init__(self, dice: random.Random, world: World, snapshot: Snapshot, model: str | None) -> None:
        self.dice = dice
        self.world = world
        self.snapshot = snapshot
        self.brute = Brute(world, model)
        self.counts = Counts()

    def chain_may(
        self, table: LabelTable, entry: LabelEntry, subject: Subject, action: str, now: str
    ) -> bool:
        parts = sorted(entry.parts) if entry.definition is None else [entry.label_id]
        known = [self.world.labels.get(part) for part in parts]
        return bool(parts) and all(
            label is not None
            and self.brute.may(Request(actor, part, label, action, subject.purpose, now, place > 0))
            for part, label in zip(parts, known, strict=True)
            for place, actor in enumerate(subject.chain)
        )

    def compare_sets(self, table: LabelTable, subject: Subject, action: str, now: str) -> None:
        """Ask for all labels at once, and for some of them one by one."""
        for place, actor in enumerate(subject.chain):
            self.counts[
                "compiled"
                if self.compiles(Asked(actor, action, subject.purpose, now, place > 0))
                else "asked"
            ] += 1
        atoms, until = readable_until(self.snapshot, table, subject, action=action, now=now)
        may = {
            atom: self.chain_may(table, entry, subject, action, now) for atom, entry in table.entries.items()
        }
        expected = {atom for atom, answer in may.items() if answer}
        assert set(atoms) == expected, (subject, action, now)
        self.counts["yes"] += len(expected)
        self.counts["no"] += len(may) - len(expected)
        for later in [moment for moment in MOMENTS if now < moment < until][:1]:
            for atom, entry in table.entries.items():
                assert self.chain_may(table, entry, subject, action, later) is may[atom], (
                    subject,
                    action,
                    now,
                    later,
                )
        for atom in self.dice.sample(sorted(may), min(2, len(may))):
            assert allowed(self.snapshot, subject, table.entries[atom], table, action, now) is may[atom], (
                subject,
                action,
                now,
            )
        listed = what_may(self.snapshot, table, subject, action, now)
        assert [entry.atom for entry in listed] == sorted(expected), (subject, action, now)

    def compiles(self, asked: Asked) -> bool:
        try:
            self.snapshot.compiled(asked)
        except NotCompilable:
            return False
        return True

    def compare_request(self) -> None:
        """Ask one question fresh, and as it is kept while time goes to and fro."""
        allowed_before = [request for request, answer in self.brute.answers.items() if answer]
        request = random_request(self.dice, self.world)
        if allowed_before and self.dice.random() < 0.5:
            request = self.dice.choice(allowed_before)
        start = self.dice.randrange(len(MOMENTS) - 2)
        for now in (request.now, *MOMENTS[start : start + 3], random_moment(self.dice)):
            asked = Request(
                request.actor,
                request.object_id,
                request.label,
                request.action,
                request.purpose,
                now,
                request.carried,
            )
            answer = self.brute.may(asked)
            assert self.snapshot.decide(asked).allowed is answer, asked
            assert self.snapshot.decide_kept(asked).allowed is answer, asked
            assert self.snapshot.decide_kept(asked).allowed is answer, asked
            self.counts["single yes" if answer else "single no"] += 1

    def compare_matching(self) -> None:
        """List the rules that match; mostly for something that is allowed."""
        asked = [request for request, answer in self.brute.answers.items() if answer]
        if not asked or self.dice.random() < 0.3:
            asked = list(self.brute.answers)
        request, failures = self.dice.choice(asked), self.brute.stock.failures
        expected = self.brute.matching(request)
        if self.brute.stock.failures == failures:
            found = [to_line(rule) for rule in self.snapshot.matching(request)]
            assert found == sorted(expected), request
            self.counts["matching"] += len(found)

    def compare_who(self, table: LabelTable, entry: LabelEntry, action: str, now: str) -> None:
        listed = who_may(self.snapshot, table, entry, action, now)
        of = [actor for actor in ACTORS if tenant(actor) == entry.tenant]

        def may(purpose: str) -> set[str]:
            return {
                actor
                for actor in of
                if self.chain_may(table, entry, Subject(actor, (), purpose), action, now)
            }

        assert listed.readers == tuple(sorted(may(""))), (entry, action, now)
        needed = {purpose: tuple(sorted(may(purpose) - may(""))) for purpose in sorted(PURPOSES)}
        assert listed.purposes == {purpose: actors for purpose, actors in needed.items() if actors}, (
            entry,
            action,
            now,
        )


def to_line(rule: Rule) -> tuple[str, ...]:
    return (rule.sub, rule.dom, rule.obj, rule.act, rule.rel, rule.purpose, rule.nbf, rule.exp, rule.eft)


def compare_shipped(seed: int) -> Counts:
    """Compare one random policy in the shipped model, which must compile."""
    dice = random.Random(f"shipped {seed}")
    world = random_world(dice)
    case = Case(dice, world, Snapshot.build(world.rows), None)
    with named(f"compare_shipped({seed})", world), few_labels_in_many_segments(dice):
        table = table_in_steps(dice, case)
        for _ in range(2):
            case.compare_sets(table, random_subject(dice), random_action(dice), random_moment(dice))
        assert not case.counts["asked"], "a request of the shipped model did not compile"
        for _ in range(2):
            case.compare_request()
        case.compare_matching()
        if table.entries and dice.random() < WHO_SHARE:
            entry = table.entries[dice.choice(sorted(table.entries))]
            case.compare_who(table, entry, random_action(dice), random_moment(dice))
        assert not case.brute.stock.failures
    return case.counts


def compare_matcher(seed: int) -> Counts:
    """Compare one random policy in a model with a random matcher."""
    dice = random.Random(f"matcher {seed}")
    world, matcher = random_world(dice), random_matcher(dice)
    with named(f"compare_matcher({seed})", (matcher, world)), few_labels_in_many_segments(dice):
        case = Case(dice, world, Snapshot.build(world.rows, matcher.model), matcher.model)
        table = table_in_steps(dice, case)
        case.compare_sets(table, random_subject(dice), random_action(dice), random_moment(dice))
        for _ in range(2):
            case.compare_request()
        case.compare_matching()
    kind = f"{'ordered' if matcher.ordered else 'mixed'}, {'typed' if matcher.typed else 'untyped'}"
    case.counts[kind] += 1
    case.counts[f"{kind}, compiled"] += not case.counts["asked"]
    case.counts["raised"] += bool(case.brute.stock.failures)
    case.counts["some yes"] += bool(case.counts["yes"] + case.counts["single yes"])
    return case.counts


def compare_changes(seed: int) -> Counts:
    """Change a policy and its labels step by step; each step must be what is built anew, and refused where that is."""
    dice = random.Random(f"changes {seed}")
    world = random_world(dice)
    model = random_matcher(dice).model if dice.random() < 0.3 else None
    counts = Counts()
    with named(f"compare_changes({seed})", (model, world)), few_labels_in_many_segments(dice):
        snapshot = Snapshot.build(world.rows, model)
        table = table_in_steps(dice, Case(dice, world, snapshot, model))
        for _ in range(3):
            snapshot, world = change_rows(dice, snapshot, world, model, counts)
            table, world = change_labels(dice, table, world)
            fresh = LabelTable(table.version, dict(table.entries))
            case = Case(dice, world, snapshot, model)
            subject, action, now = random_subject(dice), random_action(dice), random_moment(dice)
            case.compare_sets(table, subject, action, now)
            again = readable_until(Snapshot.build(world.rows, model), fresh, subject, action=action, now=now)[
                0
            ]
            assert readable_until(snapshot, table, subject, action=action, now=now)[0] == again
            case.compare_request()
            counts += case.counts
    return counts


def change_rows(
    dice: random.Random, snapshot: Snapshot, world: World, model: str | None, counts: Counts
) -> tuple[Snapshot, World]:
    """Take some rows away and give some others, or be refused."""
    rows = world.rows
    removed = dice.sample(list(rows), min(len(rows), dice.choice([0, 0, 1, 2])))
    added = [row for row in (random_row(dice) for _ in range(dice.choice([0, 1, 1, 2]))) if row is not None]
    for row in removed:
        rows = rows.without_row(row)
    for row in added:
        rows = rows.with_row(row)
    findings = check_rows(rows)
    try:
        changed = snapshot.changed(added=added, removed=removed)
    except PolicyRefused:
        assert findings, ("refused, and would load", added, removed)
        counts["refused"] += 1
        return snapshot, world
    assert not findings, ("not refused", findings, added, removed)
    counts["changed"] += 1
    fresh = Snapshot.build(rows, model)
    assert changed.revision == fresh.revision
    assert changed.rows == fresh.rows
    for part in ("by_subject", "by_object", "above", "beneath", "facts", "rule_count", "link_count"):
        assert getattr(changed.index, part) == getattr(fresh.index, part), part
    for kind, names in (("g", GROUPS), ("g2", SETS), ("g3", PURPOSES)):
        for name in names:
            assert changed.index.members(kind, name) == fresh.index.members(kind, name)
    assert set(fresh.boundaries) <= set(changed.boundaries)
    return changed, World(rows, world.labels)


def change_labels(dice: random.Random, table: LabelTable, world: World) -> tuple[LabelTable, World]:
    """Give some labels another meaning."""
    labels = dict(world.labels)
    for name in dice.sample(sorted(labels), min(len(labels), dice.choice([0, 1, 1, 2]))):
        labels[name] = random_label(dice, tenant(name))
        table = table.changed(table.version + 1, [LabelEntry(table.by_id[name].atom, name, labels[name])])
        if dice.random() < 0.5:
            table.laid_out()
    return table, World(world.rows, labels)


def table_in_steps(dice: random.Random, case: Case) -> LabelTable:
    """Return the world's labels and some compound ones, with gaps between atoms, as several changes made them."""
    world = case.world
    atoms = dice.sample(range(1, 40), len(world.labels) + 7)
    entries = [LabelEntry(atoms.pop(), *item) for item in world.labels.items()]
    names = sorted(world.labels)
    ours = [name for name in names if tenant(name) == "a"]
    compound = [frozenset(dice.sample(ours, dice.choice([2, 2, 3]))) for _ in range(4)]
    compound += [
        frozenset(dice.sample(names, 2)),
        frozenset({dice.choice(ours), "a/label:gone"}),
        frozenset(),
    ]
    ids = [f"a/label:~{'c' * 31}{number}" for number in range(len(compound))]
    compound[5] |= {ids[0]} if dice.random() < 0.5 else set()
    entries += [LabelEntry(atoms.pop(), *item) for item in zip(ids, [None] * 7, compound, strict=True)]
    dice.shuffle(entries)
    if dice.random() < 0.1:
        entries = [entry for entry in entries if entry.definition is None]
    if dice.random() < 0.05:
        entries = []
    later = [entry for entry in entries if entry.definition is not None and dice.random() < 0.5]
    at_first = [entry for entry in entries if dice.random() < 0.8 or entry in later]
    table = LabelTable(1, {each.atom: _earlier(dice, each) if each in later else each for each in at_first})
    rest = later + [entry for entry in entries if entry not in at_first]
    dice.shuffle(rest)
    while rest:
        if dice.random() < 0.7:
            lay_out(table, case.snapshot)
        count = dice.randint(1, 3)
        table = table.changed(table.version + 1, rest[:count])
        rest = rest[count:]
    world.labels = {name: label for name, label in world.labels.items() if name in table.by_id}
    return table


def lay_out(table: LabelTable, snapshot: Snapshot) -> None:
    try:
        table.segments(snapshot.label_fields)
    except NotCompilable:
        table.laid_out()


def _earlier(dice: random.Random, entry: LabelEntry) -> LabelEntry:
    return LabelEntry(entry.atom, entry.label_id, random_label(dice, entry.tenant))


def random_action(dice: random.Random) -> str:
    return "read" if dice.random() < 0.7 else dice.choice(sorted(ACTIONS))


def random_moment(dice: random.Random) -> str:
    return dice.choice(MOMENTS) if dice.random() < 0.96 else dice.choice([TIMES[0], TIMES[-1]])


@contextmanager
def few_labels_in_many_segments(dice: random.Random) -> Iterator[None]:
    """Lay labels out as a large store would: merged seldom."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_table, "MERGE_RATIO", dice.choice([0, 1, 8]))
        yield


@contextmanager
def named(call: str, made: object) -> Iterator[None]:
    """Name the call that shows a failure again."""
    try:
        yield
    except Exception as error:
        error.add_note(f"shown again by {call}; made from it: {made}")
        raise


def compared(compare: Callable[[int], Counts], seeds: Sequence[int]) -> Counts:
    """Compare the policies of these seeds, and count them."""
    counts = Counts()
    for seed in seeds:
        counts += compare(seed)
        counts["policies"] += 1
    return counts
