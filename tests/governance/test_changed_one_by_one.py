"""A policy and a label table that came of many small changes answer as those that are built whole."""

from __future__ import annotations

import random

import pytest

from ringfence_governance.authority import readable_atoms
from ringfence_governance.errors import PolicyRefused
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import LabelEntry
from ringfence_governance.policy_rows import PolicyRows, to_fields
from ringfence_governance.snapshot import Snapshot

from .random_worlds import MOMENTS, random_label, random_subject, random_world, table_of

NOW = MOMENTS[2]
STEPS = 25


@pytest.mark.parametrize("seed", range(4))
def test_the_readable_sets_are_the_same_after_every_change(seed: int) -> None:
    dice = random.Random(700 + seed)
    world, other = random_world(dice), random_world(dice)
    subjects = [random_subject(dice) for _ in range(8)]
    snapshot, table = Snapshot.build(world.rows), table_of(dice, world)
    rows, seen = set(world.rows), set[tuple[object, ...]]()
    for version in range(2, 2 + STEPS):
        row = dice.choice(sorted([*rows, *other.rows], key=to_fields))
        change = {row} - rows, {row} & rows
        try:
            snapshot = snapshot.changed(added=change[0], removed=change[1])
            rows = rows ^ {row}
        except PolicyRefused:
            continue
        table = table.changed(version, [redefined(dice, table)])
        whole = Snapshot.build(PolicyRows.of(rows)), LabelTable(version, table.entries)
        for subject in subjects:
            atoms = readable_atoms(snapshot, table, subject, now=NOW)
            assert atoms == readable_atoms(*whole, subject, now=NOW), (row, subject)
            seen.add((subject, *atoms))
    assert len(seen) > len(subjects), "the changes must change what is readable"


def redefined(dice: random.Random, table: LabelTable) -> LabelEntry:
    named = [entry for entry in table.entries.values() if entry.definition is not None]
    entry = dice.choice(sorted(named, key=lambda entry: entry.atom))
    return LabelEntry(entry.atom, entry.label_id, random_label(dice, entry.tenant))
