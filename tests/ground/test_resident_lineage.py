"""Lineage that is held in memory gives what looking rows up gives, and takes no more than it may."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ringfence_governance import lineage_pieces, lineage_walk, resident_lineage, stopping
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import Cancelled, Refused, StoreCorrupt, StoreError
from ringfence_governance.stopping import CancelToken, TimeLimit
from ringfence_governance.store_modes import SEALED

from .lineage_histories import ASKING, BOB, DIRECTIONS, DORA, OLGA, LineageHistory
from .worlds import World, make_world

CHANGES = ("write", "relabel", "remove", "erase", "compact")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("empty"), seed="lineage", mode=SEALED)
    world.door.close()
    return world


@pytest.fixture
def history(empty: World, tmp_path: Path) -> Iterator[LineageHistory]:
    made = LineageHistory.begun(empty, tmp_path, 1)
    made.write(12)
    made.write(12)
    yield made
    made.world.door.close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were read into memory, one number for each time."""
    found: list[int] = []
    honest = lineage_pieces.read

    def noting(fragments: Any) -> Any:
        made = honest(fragments)
        found.append(len(made[0]))
        return made

    monkeypatch.setattr(lineage_pieces, "read", noting)
    return found


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening pays as soon as anything was looked up."""
    monkeypatch.setattr(resident_lineage, "LOOKED_UP_MIN", 1)
    monkeypatch.setattr(resident_lineage, "ROWS_FOR_ONE", 10**9)


def ids_held(history: LineageHistory) -> set[str]:
    """All ids that stand in memory, of rows that stand and of those that do not."""
    cut = history.held._cut
    pieces = () if cut is None else cut.pieces
    return {each for held in pieces for each in held.piece.ids.texts(np.arange(len(held.piece.ids)))}


def agree(history: LineageHistory, *, nodes_max: int = 10_000) -> None:
    """Whoever asks, of whatever publication, is told the same either way, in one order."""
    before = lineage_walk.NODES_MAX
    lineage_walk.NODES_MAX = nodes_max
    try:
        for start in history.starts():
            for who, audit in ASKING:
                for publication in (None, *history.dice.sample(history.publications, 1)):
                    grant = history.grant(who, audit, publication)
                    direction, depth = history.dice.choice(DIRECTIONS), history.dice.choice((1, 2, 16))
                    if publication is not None and grant.erased:
                        continue
                    found = history.walked(grant, start, direction, depth)
                    with history.by_look_ups():
                        assert found == history.walked(grant, start, direction, depth)
    finally:
        lineage_walk.NODES_MAX = before


@given(
    changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=7),
    seed=st.integers(0, 2**32),
    nodes_max=st.sampled_from([3, 10_000]),
    opened=st.sampled_from(["asked", "paid", "both"]),
)
@example(
    changes=["erase", "remove", "erase", "erase", "compact"], seed=257046, nodes_max=10_000, opened="paid"
)
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_walk_finds_the_same_either_way_through_publications_erasures_and_compaction(
    empty: World, changes: list[str], seed: int, nodes_max: int, opened: str
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        if opened != "asked":
            patch.setattr(resident_lineage, "LOOKED_UP_MIN", 1)
            patch.setattr(resident_lineage, "ROWS_FOR_ONE", 10**9)
        history = LineageHistory.begun(empty, Path(folder), seed)
        try:
            history.write(8)
            for change in changes:
                if opened != "paid":
                    assert history.held.open(history.grant(OLGA, True))
                history.write(2) if change == "write" else getattr(history, change)()
                agree(history, nodes_max=nodes_max)
            if opened != "asked":
                assert history.held.size > 0
            # Once more: where nothing is left nobody asked since.
            last = history.grant(OLGA, True)
            history.held.every(last, "documents", ["run_id"], "id", [history.new_id()])
            assert ids_held(history).isdisjoint(last.erased)
        finally:
            history.world.door.close()


def test_what_a_reader_is_told_and_what_stands_in_the_record_are_the_same_either_way(
    history: LineageHistory,
) -> None:
    grant = history.grant(DORA, audit=False)
    readable = [key for key, row in history.rows["documents"].items() if row["atom"] in grant.atoms]

    def ask() -> list[Any]:
        before = len(history.world.records())
        told = [
            history.world.door.lineage(grant.subject, start, direction=direction, depth=16)
            for start in readable
            for direction in DIRECTIONS
        ]
        records = history.world.records()[before:]
        told.append([(each["plan"], each["rows"], each["counts"]) for each in records])
        return told

    with history.by_look_ups():
        expected = ask()
    assert history.held.open(grant)
    assert ask() == expected


def test_an_earlier_publication_is_looked_up_and_what_came_since_is_not_in_it(
    history: LineageHistory, reads: list[int]
) -> None:
    earlier = history.publications[-1]
    history.write(5)
    history.relabel()
    assert history.held.open(history.grant(OLGA, True))
    cut = history.held._cut
    agree(history)
    grant = history.grant(OLGA, True, earlier)
    assert history.held._held(grant, ["0" * 32]) is None
    assert history.held._cut is cut
    assert len(reads) == 1


@pytest.mark.usefixtures("always")
def test_a_later_publication_is_added_and_nothing_read_before_is_read_again(
    history: LineageHistory, reads: list[int]
) -> None:
    assert history.held.open(history.grant(OLGA, True))
    whole = reads[0]
    assert whole == sum(map(len, history.rows.values()))
    for _ in range(6):
        history.write(1)
        agree(history)
    history.relabel()
    history.remove()
    agree(history)
    assert max(reads[1:]) < whole / 2
    assert len(history.held._cut.pieces) < 5  # type: ignore[union-attr]


def test_a_row_that_was_removed_or_relabelled_since_is_given_as_it_stands(
    history: LineageHistory, reads: list[int]
) -> None:
    assert history.held.open(history.grant(OLGA, True))
    nodes = [*history.rows["documents"], *history.rows["chunks"]]
    for change in (history.relabel, history.remove) * 3:
        change()
    grant = history.grant(OLGA, True)
    assert history.held.open(grant)
    # Read of old files: nothing is new.
    assert len(reads) == 1
    for table in ("documents", "chunks"):
        found = {row["id"]: row["atom"] for row in history.held.every(grant, table, ["id"], "id", nodes)}
        assert found == {key: row["atom"] for key, row in history.rows[table].items()}
    assert len(history.rows["documents"]) < 24


def test_a_piece_of_which_half_stands_no_more_goes(history: LineageHistory, reads: list[int]) -> None:
    assert history.held.open(history.grant(OLGA, True))
    history._change({name: sorted(rows)[1:] for name, rows in history.rows.items()}, {})
    for _ in range(2):
        assert history.held.open(history.grant(OLGA, True))
        history.relabel()
    assert history.held.open(history.grant(OLGA, True))
    cut = history.held._cut
    assert cut is not None
    assert sum(len(held.piece) for held in cut.pieces) == sum(map(len, history.rows.values())) == 3


def test_of_what_was_erased_nothing_stays_in_memory(history: LineageHistory) -> None:
    assert history.held.open(history.grant(OLGA, True))
    before = ids_held(history)
    while not (erased := history.grant(OLGA, True).erased):
        history.erase()
    assert before & erased
    history.walked(history.grant(BOB, audit=False), history.starts()[0], "ancestors", 1)
    assert ids_held(history) == set()
    assert history.world.ground.resident.lent == 0
    assert history.held.open(history.grant(OLGA, True))
    assert ids_held(history).isdisjoint(erased)


def test_after_compaction_what_is_there_no_more_is_let_go(history: LineageHistory, reads: list[int]) -> None:
    assert history.held.open(history.grant(OLGA, True))
    history.compact()
    assert history.held.open(history.grant(OLGA, True))
    assert reads == [reads[0]] * 2
    assert len(history.held._cut.pieces) == 1  # type: ignore[union-attr]
    agree(history)


def test_a_small_walk_opens_nothing_and_many_do(history: LineageHistory, reads: list[int]) -> None:
    grant, (start, *_) = history.grant(OLGA, True), history.starts()
    history.walked(grant, start, "descendants", 16)
    assert reads == []
    for _ in range(1000):
        history.walked(grant, start, "descendants", 16)
        if reads:
            break
    assert len(reads) == 1
    assert history.held._looked_up == 0


def test_many_rows_are_not_opened_while_few_are_looked_up(
    history: LineageHistory, reads: list[int], always: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident_lineage, "FEW_ROWS", 10)
    grant, nodes = history.grant(OLGA, True), list(history.rows["documents"])
    history.held.every(grant, "documents", ["id"], "id", nodes)
    monkeypatch.setattr(resident_lineage, "FEW_IDS", len(nodes))
    history.held.every(grant, "documents", ["id"], "id", nodes)
    assert reads == []
    monkeypatch.setattr(resident_lineage, "FEW_IDS", len(nodes) - 1)
    history.held.every(grant, "documents", ["id"], "id", nodes)
    assert len(reads) == 1


@pytest.mark.usefixtures("always")
def test_several_threads_open_it_once_and_all_are_told_the_same(
    history: LineageHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant, (start, *_) = history.grant(OLGA, True), history.starts()
    with history.by_look_ups():
        expected = history.walked(grant, start, "descendants", 16)
    opening, others, opened = threading.Event(), threading.Event(), []
    honest = lineage_pieces.read

    def slow(fragments: Any) -> Any:
        opened.append(threading.get_ident())
        opening.set()
        assert others.wait(60)
        return honest(fragments)

    monkeypatch.setattr(lineage_pieces, "read", slow)
    found: list[Any] = []

    def ask() -> None:
        found.append(history.walked(grant, start, "descendants", 16))

    first = threading.Thread(target=ask)
    first.start()
    assert opening.wait(60)
    # While one opens, the rest look up and wait for nothing.
    rest = [threading.Thread(target=ask) for _ in range(3)]
    for each in rest:
        each.start()
    for each in rest:
        each.join(60)
    assert found == [expected] * 3
    others.set()
    first.join(60)
    assert found == [expected] * 4
    assert len(opened) == 1
    assert history.held.size > 0


def test_what_does_not_fit_is_looked_up(history: LineageHistory, reads: list[int], always: None) -> None:
    memory = history.world.ground.resident
    # Of the earlier ones there would be room for less.
    del history.publications[:-1]
    assert history.held.open(history.grant(OLGA, True))
    size = history.held.size
    assert memory.lent == size
    # Exactly half of the budget may be lent.
    memory.limit(2 * size)
    assert history.held.size == size
    memory.limit(2 * size - 1)
    assert (history.held.size, memory.lent) == (0, 0)
    reads.clear()
    assert not history.held.open(history.grant(OLGA, True))
    agree(history)
    assert reads == []
    memory.limit(10 * size)
    assert history.held.open(history.grant(OLGA, True))


def test_after_the_store_is_closed_nothing_is_held_and_nothing_is_opened(
    history: LineageHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = history.grant(OLGA, True)
    honest, held = lineage_pieces.read, history.held

    def closing(fragments: Any) -> Any:
        held.close()
        return honest(fragments)

    assert held.open(grant)
    held.clear()
    monkeypatch.setattr(lineage_pieces, "read", closing)
    held.open(grant)
    assert (held.size, history.world.ground.resident.lent) == (0, 0)
    assert not held.open(grant)
    ground = history.world.ground
    ground.resident_lineage = resident_lineage.ResidentLineage(ground.tables, ground.resident)
    monkeypatch.undo()
    assert history.held.open(grant)
    history.world.door.close()
    assert history.held.size == 0


def test_a_row_outside_the_grant_that_came_out_of_memory_is_handed_to_nobody(
    history: LineageHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = history.grant(BOB, audit=False)
    hidden = [key for key, row in history.rows["documents"].items() if row["atom"] not in grant.atoms]
    assert history.held.open(grant)
    assert history.held.granted(grant, "documents", ["id"], "id", hidden) == []
    monkeypatch.setattr(AtomSet, "holds_each", lambda _, atoms: np.ones(atoms.shape, bool))
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        history.held.granted(grant, "documents", ["id"], "id", hidden)


def test_a_grant_that_is_over_walks_no_more_though_all_is_in_memory(history: LineageHistory) -> None:
    grant, (start, *_) = history.grant(OLGA, True), history.starts()
    assert history.held.open(grant)
    history.world.ground.issued.withdraw(grant)
    with pytest.raises(Refused):
        history.walked(grant, start, "ancestors", 1)


@pytest.mark.parametrize("bad", ["", "f" * 31, "F" * 32, "g" * 32, "f" * 64])
def test_what_is_no_id_is_refused_as_by_the_tables(history: LineageHistory, bad: str) -> None:
    grant = history.grant(OLGA, True)
    assert history.held.open(grant)
    with pytest.raises(StoreError):
        history.held.every(grant, "edges", ["child"], "parent", [bad])
    with pytest.raises(StoreError):
        history.held.granted(grant, "edges", ["child"], "parent", [bad])


def test_opening_can_be_stopped_and_is_done_by_the_next_who_asks(history: LineageHistory) -> None:
    token = CancelToken()
    token.cancel()
    with stopping.within(TimeLimit.of(None, token)), pytest.raises(Cancelled):
        history.held.open(history.grant(OLGA, True))
    assert history.held.size == 0
    assert history.held.open(history.grant(OLGA, True))
