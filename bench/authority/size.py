"""One size of policy and label table: what is made once, and what each question to it takes.

Promise: the functions that are timed are the product's own. What a subject may read is timed the first time that
subject is asked for (cold) and then kept (warm), as a read of a store does it; every label that is decided singly
besides must agree.
"""

from __future__ import annotations

import argparse
import gc
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rpds import HashTrieMap

from bench.machine import peak_memory_bytes
from bench.policy_world import NOW, PURPOSES, TENANTS, world
from ringfence_governance import authority
from ringfence_governance.ground import Ground, Moment
from ringfence_governance.identifiers import TIME_MAX, TIME_MIN
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import LabelEntry
from ringfence_governance.policy_checks import check_rows
from ringfence_governance.policy_index import PolicyIndex
from ringfence_governance.policy_rows import Facts, Link, Row, Rule
from ringfence_governance.snapshot import Request, Snapshot
from ringfence_governance.standing_policy import StandingPolicy
from ringfence_governance.subjects import Subject

from .clock import Clock, seconds_of, wall_of
from .partner import answer_all
from .plan import SEED
from .stock import StockCasbin
from .stores import default_bundle, make

WARM_REPEATS = 20
"""Times that a kept set is asked for again, for each subject."""
LABELS_DECIDED = 6
"""Labels decided singly for each subject: half of what is readable, half of anything in his tenant."""
STOCK_SECONDS_MAX = 20.0
"""No further label is put to stock Casbin once this much was spent."""


class Size:
    """A policy and labels of one size, and a small real store that asks them.

    Args:
        layers: Numbers of rules; see :func:`policy_world.world`.
        folder: Where the small store is made.
    """

    def __init__(self, labels: int, rules: int, layers: Sequence[int], folder: Path) -> None:
        self._before = _resident_bytes()
        self.generated_s, self._world = seconds_of(lambda: world(labels, rules, SEED, layers=layers))
        rows = self._world.rows()
        self.rule_count, self.link_count, self.facts_count = len(rows.rules), len(rows.links), len(rows.facts)
        self.checked_s, _ = seconds_of(partial(check_rows, rows))
        self.indexed_s = seconds_of(partial(PolicyIndex.build, rows))[0]
        self.snapshot_s, self.snapshot = seconds_of(partial(Snapshot.build, rows))
        del rows
        self.table_s, self.table = seconds_of(lambda: LabelTable(1, self._world.labels))
        self.segments_s, _ = seconds_of(lambda: self.table.segments(self.snapshot.label_fields))
        gc.collect()
        self._after = _resident_bytes(), peak_memory_bytes()
        self._ground = make(folder, default_bundle())
        self._moment = _moment_of(self._ground, self.snapshot, self.table)
        self._dice = random.Random(SEED)
        self._people = self._dice.sample(self._world.people, len(self._world.people))
        self._named = [entry for entry in self._world.labels.values() if entry.named]
        self._decided: set[Request] = set()
        self._layers: list[Snapshot] = []

    def build(self) -> dict[str, object]:
        """Return what was made, how long it took and what memory it holds."""
        first = self._subject(self._people.pop())
        first_s, _ = seconds_of(partial(self._readable, first))
        resident, peak = self._after
        return {
            "labels": len(self.table),
            "rules": self.rule_count,
            "links": self.link_count,
            "facts": self.facts_count,
            "people": len(self._world.people),
            "generated_s": self.generated_s,
            "checked_s": self.checked_s,
            "indexed_s": self.indexed_s,
            "snapshot_s": self.snapshot_s,
            "table_s": self.table_s,
            "segments_s": self.segments_s,
            "first_ever_ms": first_s * 1000,
            "resident_bytes": resident - self._before,
            "peak_bytes": peak - self._before,
            "before_bytes": self._before,
        }

    def sets(self, people: int) -> dict[str, object]:
        """Return, for people not asked for before, how long their readable sets take: cold, and kept."""
        cold, warm, sizes, groups = Clock.new(), list[float](), list[int](), list[int]()
        for subject in self._next_subjects(people):
            atoms = cold.time(partial(self._readable, subject)).atoms
            for _ in range(WARM_REPEATS):
                again_s, again = wall_of(partial(self._readable, subject))
                if again.atoms is not atoms:
                    raise RuntimeError("the set was not kept; expected the same one")
                warm.append(again_s)
            sizes.append(len(atoms))
            groups.append(len(self.snapshot.groups_of(subject.person)))
        return {"cpu": cold.cpu, "wall": cold.wall, "warm": warm, "readable": sizes, "groups": groups}

    def decisions(self, people: int) -> dict[str, object]:
        """Return how long single decisions take: the first, which Casbin makes, and the kept one after it."""
        first, kept, disagreed = list[float](), list[float](), 0
        for name in self._dice.choices(self._world.people, k=people):
            subject = self._subject(name)
            atoms = self._readable(subject).atoms
            for entry in self._labels_for(subject, list(atoms)):
                request = Request(
                    subject.person, entry.label_id, entry.definition, "read", subject.purpose, NOW, False
                )
                if request in self._decided:
                    continue
                self._decided.add(request)
                first_s, decision = wall_of(partial(self.snapshot.decide_kept, request))
                kept_s, again = wall_of(partial(self.snapshot.decide_kept, request))
                disagreed += decision.allowed is not (entry.atom in atoms) or again != decision
                first.append(first_s)
                kept.append(kept_s)
        return {"first": first, "kept": kept, "disagreed": disagreed}

    def changes(self, count: int) -> dict[str, object]:
        """Return how long one changed row takes, and the next readable set over the changed policy, by kind."""
        found: dict[str, list[float]] = {}
        for _ in range(count):
            for kind, row in self._rows_to_add():
                added_s, changed = wall_of(partial(self.snapshot.with_row, row))
                removed_s, back = wall_of(partial(changed.without_row, row))
                if changed is self.snapshot or back.revision != self.snapshot.revision:
                    raise RuntimeError(f"{row} is in the policy already; expected one that changes it")
                subject = self._subject(self._dice.choice(self._world.people))
                after_s, _ = wall_of(partial(authority.readable_atoms, changed, self.table, subject, now=NOW))
                found.setdefault(kind, []).extend((added_s, removed_s))
                found.setdefault(f"set after {kind}", []).append(after_s)
        return found

    def stock(self, labels: int) -> dict[str, object]:
        """Return how long stock Casbin takes for each of some labels of one subject."""
        built_s, stock = seconds_of(lambda: StockCasbin(self._world.rows()))
        subject = self._subject(self._dice.choice(self._world.people))
        atoms = self._readable(subject).atoms
        cpu: list[float] = []
        disagreed = 0
        for entry in self._labels_for(subject, list(atoms), labels):
            if sum(cpu) < STOCK_SECONDS_MAX or not cpu:
                clock, (allowed,) = stock.time(self.snapshot, subject, [entry], NOW)
                cpu += clock.cpu
                disagreed += allowed is not (entry.atom in atoms)
        return {"built_s": built_s, "cpu": cpu, "disagreed": disagreed}

    def lay(self) -> dict[str, object]:
        """Build the policies of the first layers, for :meth:`foreign`; return how many rules each has."""
        layers = self._world.layers
        self._layers = [Snapshot.build(self._world.rows(place)) for place in range(1, len(layers))]
        self._layers.append(self.snapshot)
        return {"rules": [snapshot.index.rule_count for snapshot in self._layers]}

    def foreign(self, people: int) -> dict[str, object]:
        """Return how long the same people's sets take over each of the policies, in turning order.

        All rules that name them or their groups are in every policy; what else is in it does not concern them.
        """
        clocks = [Clock.new() for _ in self._layers]
        concerning, sizes = [], []
        for name in self._dice.choices(self._world.layers[0].people, k=people):
            subject = self._subject(name)
            sets = {}
            turn = self._dice.randrange(len(self._layers))
            for place in [*range(turn, len(self._layers)), *range(turn)]:
                sets[place] = clocks[place].time(
                    partial(authority.readable_atoms, self._layers[place], self.table, subject, now=NOW)
                )
            if len(set(sets.values())) != 1:
                raise RuntimeError(f"{name} reads something else in another policy; expected the same")
            sizes.append(len(sets[0]))
            by_subject = self.snapshot.index.by_subject
            names = ["*", name, *self.snapshot.groups_of(name)]
            concerning.append(sum(len(by_subject.get(each) or ()) for each in names))
        return {"cpu": [clock.cpu for clock in clocks], "readable": sizes, "concerning": concerning}

    def _readable(self, subject: Subject) -> Any:
        return self._ground._readable(self._moment, subject, "read")

    def _subject(self, name: str) -> Subject:
        return Subject(name, purpose=self._dice.choice(("", *PURPOSES)))

    def _next_subjects(self, count: int) -> list[Subject]:
        """Return people who were not asked for yet."""
        if count > len(self._people):
            raise RuntimeError(f"only {len(self._people)} people are left; expected {count}")
        taken, self._people = self._people[:count], self._people[count:]
        return [self._subject(name) for name in taken]

    def _labels_for(
        self, subject: Subject, atoms: list[int], count: int = LABELS_DECIDED
    ) -> list[LabelEntry]:
        tenant = int(subject.tenant[1:])
        ours = [tenant + 1 + TENANTS * self._dice.randrange(len(self.table) // TENANTS) for _ in range(count)]
        chosen = self._dice.sample(atoms, min(count // 2, len(atoms)))
        return [self.table.entries[atom] for atom in dict.fromkeys([*chosen, *ours])][:count]

    def _rows_to_add(self) -> list[tuple[str, Row]]:
        """Return one row of each kind that the policy does not have."""
        person = self._dice.choice(self._world.layers[-1].people)
        tenant = person.partition("/")[0]
        label = self._dice.choice(self._named)
        return [
            (
                "rule",
                Rule(person, tenant, f"{tenant}/set:s0", "delete", "any", "*", TIME_MIN, TIME_MAX, "allow"),
            ),
            ("membership", Link("g", person, f"{tenant}/group:new")),
            ("label in set", Link("g2", label.label_id, f"{label.tenant}/set:new")),
            ("facts", Facts(f"{tenant}/user:new", 1, frozenset())),
        ]


def _moment_of(ground: Ground, snapshot: Snapshot, table: LabelTable) -> Moment:
    """Return a store's moment with another policy and other labels in it."""
    moment = ground.moment()
    policy = StandingPolicy(moment.policy.version, moment.policy.digest, snapshot, HashTrieMap())
    return replace(moment, now=NOW, policy=policy, table=table)


def _resident_bytes() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_memory_bytes()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text("utf-8"), re.MULTILINE)
    return int(found[1]) * 1024 if found is not None else 0


def main() -> None:
    """Make one size and answer questions about it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("labels", type=int)
    parser.add_argument("rules", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, nargs="*", default=[])
    given = parser.parse_args()
    size = Size(given.labels, given.rules, given.layers, given.folder)
    answer_all(
        {
            "build": size.build,
            "sets": size.sets,
            "decisions": size.decisions,
            "changes": size.changes,
            "stock": size.stock,
            "lay": size.lay,
            "foreign": size.foreign,
        }
    )


if __name__ == "__main__":
    main()
