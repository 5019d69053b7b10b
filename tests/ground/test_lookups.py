"""Rows are found by their ids whatever has an index of them yet, what an index holds goes with the rows it is of."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest

from ringfence_governance import lance_lookups
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import StoreCorrupt, StoreError
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import SCHEMAS, TableChange, Versions, moved

Row = dict[str, Any]


def row_id(number: int) -> str:
    """An id that begins with none of another one's digits, as random ones do."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:016x}"


def edge(number: int, child: int, parent: int, atom: int) -> Row:
    return {
        "id": row_id(1_000_000 + number),
        "atom": atom,
        "run_id": row_id(0),
        "child": row_id(child),
        "parent": row_id(parent),
        "kind": "derived",
    }


class Store:
    """A line of publications of the edges, beside a plain dict of what it should hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables = LanceTables(folder)
        self.versions: Versions = self.tables.create()
        self.rows: dict[str, Row] = {}

    def publish(self, *added: Row, deleted: Collection[str] = (), **given: Any) -> None:
        change = TableChange(
            deleted=tuple(deleted),
            appended=pa.Table.from_pylist(list(added), schema=SCHEMAS["edges"]) if added else None,
            **given,
        )
        self.versions = self.tables.write(self.versions, {"edges": change})
        self.rows = {key: row for key, row in self.rows.items() if key not in deleted}
        self.rows |= {row["id"]: row for row in added}

    def relabel(self, atoms: dict[str, int]) -> None:
        self.publish(atoms=moved(atoms))
        self.rows |= {key: {**self.rows[key], "atom": atom} for key, atom in atoms.items()}

    def dataset(self) -> lance.LanceDataset:
        return lance.dataset(str(self.folder / "edges.lance"))

    def pieces(self) -> list[int]:
        """How many pieces each index has."""
        return [len(index.segments) for index in self.dataset().describe_indices()]

    def index_bytes(self) -> bytes:
        indexes = self.folder / "edges.lance" / "_indices"
        return b"".join(file.read_bytes() for file in indexes.rglob("*") if file.is_file())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "lance")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes from the first row on, kept current after a few."""
    monkeypatch.setattr(lance_lookups, "ROWS_MIN", 1)
    monkeypatch.setattr(lance_lookups, "LOOSE_ROWS_MAX", 5)


def agree(store: Store, draw: random.Random, versions: Versions, rows: dict[str, Row]) -> None:
    """What is looked up is what is there: for a writer every row, for a reader those of his atoms."""
    for column in ("child", "parent"):
        nodes = [*sorted({row[column] for row in rows.values()}), row_id(999_999)]
        asked = draw.sample(nodes, draw.randint(1, len(nodes)))
        expected = {key: row for key, row in rows.items() if row[column] in asked}
        columns = ["child", "parent", "kind", "run_id", "atom"]
        found = store.tables.rows_by("edges", versions["edges"], column, asked, columns)
        assert {row["id"]: row for row in found} == expected
        atoms = draw.sample(range(1, 5), 2)
        seen = store.tables.scan(
            "edges", versions["edges"], atoms, columns, ids=asked, id_column=column
        ).to_pylist()
        assert {row["id"]: row for row in seen} == {
            key: row for key, row in expected.items() if row["atom"] in atoms
        }


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_looked_up_is_found_among_rows_that_come_move_and_go(store: Store, seed: int) -> None:
    draw, number, pieces = random.Random(seed), 0, []
    earlier: list[tuple[Versions, dict[str, Row]]] = []
    for _ in range(9):
        added = [
            edge(number + each, draw.randint(1, 60), draw.randint(1, 20), draw.randint(1, 4))
            for each in range(draw.randint(1, 12))
        ]
        number += len(added)
        gone = draw.sample(sorted(store.rows), len(store.rows) // 8)
        what = draw.choice([{}, {}, {"materialised": True}, {"clustered": True}])
        store.publish(*added, deleted=gone, **what)
        store.relabel({key: draw.randint(1, 4) for key in draw.sample(sorted(store.rows), 1)})
        pieces.append(max(store.pieces()))
        earlier.append((store.versions, dict(store.rows)))
        for versions, rows in draw.sample(earlier, min(2, len(earlier))):
            agree(store, draw, versions, rows)
        agree(store, draw, *earlier[-1])
    assert max(pieces) > 1, "no index was ever added to"


@pytest.mark.usefixtures("small")
def test_a_row_outside_the_grant_that_came_out_of_an_index_stops_the_scan(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(edge(1, 11, 12, 1), edge(2, 21, 12, 2))

    def seen() -> list[str]:
        found = store.tables.scan(
            "edges", store.versions["edges"], [1], [], ids=[row_id(12)], id_column="parent"
        )
        return list(found["id"].to_pylist())

    assert seen() == [edge(1, 11, 12, 1)["id"]]
    monkeypatch.setattr(AtomSet, "holds_each", lambda _, atoms: np.ones(atoms.shape, bool))
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        seen()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("few", [0, 1000])
def test_many_ids_are_looked_up_as_few_are(store: Store, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(lance_lookups, "FEW", few)
    store.publish(*(edge(each, each, each % 7, 1 + each % 3) for each in range(40)))
    agree(store, random.Random(few), store.versions, store.rows)
    none = store.tables.rows_by("edges", store.versions["edges"], "child", [row_id(999)], ["parent"])
    assert none == []


@pytest.mark.usefixtures("small")
def test_pieces_of_an_index_stay_few_and_rows_without_one_stay_few(store: Store) -> None:
    for number in range(40):
        store.publish(*(edge(6 * number + each, number, each, 1) for each in range(6)))
        assert store.pieces() == [pieces := store.pieces()[0]] * 2
        assert pieces <= 8
        dataset = store.dataset()
        for index in dataset.describe_indices():
            covered = {each for piece in index.segments for each in piece.fragment_ids}
            rows = {each.fragment_id: each.count_rows() for each in dataset.get_fragments()}
            assert sum(count for each, count in rows.items() if each not in covered) <= 5


def test_a_small_table_has_no_index_and_a_publication_is_one_commit(store: Store) -> None:
    before = store.versions["edges"]
    store.publish(edge(1, 1, 2, 1))
    assert store.pieces() == []
    assert store.versions["edges"] == before + 1


@pytest.mark.usefixtures("small")
def test_what_is_erased_is_in_no_index(store: Store) -> None:
    gone, kept = edge(1, 11, 12, 1), edge(2, 21, 22, 1)
    store.publish(gone, kept, *(edge(each, each, each, 2) for each in range(30, 50)))
    assert gone["child"].encode() in store.index_bytes()
    store.publish(deleted=[gone["id"]], materialised=True)
    store.tables.clean("edges", [store.versions["edges"]])
    held = store.index_bytes()
    for column in ("child", "parent"):
        assert gone[column].encode() not in held
        assert kept[column].encode() in held
    assert store.pieces() == [1, 1]


@pytest.mark.usefixtures("small")
def test_an_index_that_cannot_be_read_is_not_published(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.publish(edge(1, 1, 2, 1))
    keep_current = lance_lookups.keep_current

    def cut(dataset: lance.LanceDataset, name: str, version: int) -> int:
        made = keep_current(dataset, name, version)
        for file in (store.folder / "edges.lance" / "_indices").rglob("page_data.lance"):
            file.write_bytes(file.read_bytes()[:-20])
        return made

    monkeypatch.setattr(lance_lookups, "keep_current", cut)
    with pytest.raises(StoreError, match="nothing was published"):
        store.publish(*(edge(each, each, each, 1) for each in range(10, 20)))


def test_compacting_makes_the_indexes_that_a_table_of_its_size_has(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(*(edge(each, each, each, 1) for each in range(20)))
    store.publish(clustered=True)
    assert store.tables.is_clustered("edges", store.versions["edges"])
    assert store.pieces() == []
    monkeypatch.setattr(lance_lookups, "ROWS_MIN", 20)
    assert not store.tables.is_clustered("edges", store.versions["edges"])
    store.publish(clustered=True)
    assert store.tables.is_clustered("edges", store.versions["edges"])
    assert store.pieces() == [1, 1]
