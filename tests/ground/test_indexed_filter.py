"""With the filter of an indexed store broken, what stands behind it lets nothing leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lance.dataset import serialize_row_addrs

from ringfence_governance import block_opening
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.lance_tables import LanceTables
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.search import search

from .every_row import BOB
from .worlds import (
    World,
    subject,
    vector,
)


@pytest.fixture(scope="session")
def filled_template(indexed_filled_template: World) -> World:
    """What `filled` is a copy of."""
    return indexed_filled_template


@pytest.fixture
def filled(filled: World) -> World:
    """One whose readers have to be answered by its index, since nothing fits into memory."""
    filled.ground.resident.limit(0)
    return filled


# The filter broken: what guards behind it.


@pytest.fixture
def unfiltered(filled: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """One whose mask lets every row through."""
    version = filled.ground.moment().publication.versions["chunks"]
    every = filled.ground.tables.map_of("chunks", version)
    atoms = AtomSet.of(filled.ground.moment().table.entries)
    whole = serialize_row_addrs(every.addresses(atoms).tolist())
    monkeypatch.setattr(LanceTables, "_mask", lambda *_: whole)
    return filled


def alarms(world: World) -> int:
    return sum(record["outcome"] == "alarm" for record in world.records())


@pytest.mark.parametrize("mode", MODES)
def test_with_the_filter_broken_nothing_leaves_and_the_log_has_an_alarm(unfiltered: World, mode: Any) -> None:
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        search(unfiltered.door, subject(BOB), Question("pump leak", 5, mode), vector)
    assert alarms(unfiltered) == 1


@pytest.mark.parametrize("mode", MODES)
def test_with_the_check_of_the_scan_broken_too_the_next_one_stops_it(
    unfiltered: World, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    monkeypatch.setattr(LanceTables, "_refuse_other", staticmethod(lambda *_: None))
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        search(unfiltered.door, subject(BOB), Question("pump leak", 5, mode), vector)
    assert alarms(unfiltered) == 1


def test_with_that_broken_as_well_a_row_outside_the_grant_still_does_not_open(
    unfiltered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LanceTables, "_refuse_other", staticmethod(lambda *_: None))
    monkeypatch.setattr(block_opening, "refuse_outside", lambda *_: None)
    with pytest.raises(StoreCorrupt, match="does not open"):
        search(unfiltered.door, subject(BOB), Question("pump leak", 50, "vector"), vector)


def test_no_atom_in_the_question_means_no_row(filled: World) -> None:
    tables, version = filled.ground.tables, filled.ground.moment().publication.versions["chunks"]
    assert filled.ground.blinding is not None
    none = AtomSet.of([])
    assert tables.holding(version, none, filled.ground.blinding.tokens("pump")[0]) == ()
    assert tables.nearest(version, none, np.zeros(8, np.float32), 5) == ()
