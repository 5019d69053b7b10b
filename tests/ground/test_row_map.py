"""How many rows a reader may read is counted once for each set of atoms, and never taken from another set."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence_governance import row_map
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.row_map import FragmentColumns, FragmentRows, TableRows


@pytest.fixture
def rows() -> TableRows:
    """Two fragments: five rows of atom 1, three of atom 2, one of atom 4."""
    found = []
    for number, atoms in enumerate(([1, 1, 2, 4], [1, 1, 1, 2, 2])):
        columns = FragmentColumns(np.arange(len(atoms), dtype=np.uint32), np.asarray(atoms, np.int32), None)
        found.append(FragmentRows(number, str(number), columns))
    return TableRows(found)


def test_a_set_is_counted_once(rows: TableRows, monkeypatch: pytest.MonkeyPatch) -> None:
    atoms = AtomSet.of([1, 4])
    assert rows.count(atoms) == 6
    monkeypatch.setattr(FragmentRows, "places", lambda *_: pytest.fail("counted again"))
    assert rows.count(atoms) == 6


def test_another_set_is_never_told_the_number_of_one_that_was_counted(
    rows: TableRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has the same place in memory, as one has that was made after another was let go."""
    monkeypatch.setattr(row_map, "id", lambda _: 7, raising=False)
    for atoms, count in (([1], 5), ([2], 3), ([], 0), ([3], 0), ([1, 2, 4], 9)):
        assert rows.count(AtomSet.of(atoms)) == count


def test_no_more_sets_are_kept_than_said(rows: TableRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_map, "SETS_COUNTED", 2)
    sets = [AtomSet.of([1]) for _ in range(9)]
    assert {rows.count(each) for each in sets} == {5}
    assert len(rows._counted) <= 2
