"""A scan gives the grant's rows and no other; a write builds on the publication and on nothing else."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from lance.dataset import MergeInsertBuilder

from ringfence_governance import lance_lookups, lance_tables, opaque_ids
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import StoreCorrupt, StoreError, WriterExpelled
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import SCHEMAS, TABLES, TableChange, Versions
from ringfence_governance.table_schemas import moved as new_atoms

COLUMNS = {"documents": ["run_id", "metadata", "text"], "edges": ["child", "parent", "kind"]}


def row_id(number: int) -> str:
    return f"{number:032x}"


def edges(atoms: Mapping[int, int]) -> pa.Table:
    """Edges by number, each with its atom."""
    rows = [
        {
            "id": row_id(number),
            "atom": atom,
            "run_id": row_id(0),
            "child": row_id(number + 1_000_000),
            "parent": row_id(7),
            "kind": "chunk",
        }
        for number, atom in atoms.items()
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["edges"])


class Line:
    """A line of publications over the edges table, beside a plain dict of what it should hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables = LanceTables(folder)
        self.versions: Versions = self.tables.create()
        self.atoms: dict[int, int] = {}

    def publish(
        self,
        added: Mapping[int, int] | None = None,
        moved: Mapping[int, int] | None = None,
        deleted: Collection[int] = (),
    ) -> None:
        self.versions = self.write(added, moved, deleted)
        self.atoms = (
            {n: a for n, a in self.atoms.items() if n not in deleted} | dict(moved or {}) | dict(added or {})
        )

    def write(
        self,
        added: Mapping[int, int] | None = None,
        moved: Mapping[int, int] | None = None,
        deleted: Collection[int] = (),
    ) -> Versions:
        change = TableChange(
            deleted=tuple(map(row_id, deleted)),
            atoms=new_atoms({row_id(number): atom for number, atom in (moved or {}).items()}),
            appended=edges(added) if added else None,
        )
        return self.tables.write(self.versions, {"edges": change})

    def seen(self, atoms: Collection[int], versions: Versions | None = None) -> dict[int, int]:
        found = self.tables.scan("edges", (versions or self.versions)["edges"], atoms, COLUMNS["edges"])
        return {int(row["id"], 16): row["atom"] for row in found.to_pylist()}

    def expected(self, atoms: Collection[int]) -> dict[int, int]:
        return {number: atom for number, atom in self.atoms.items() if atom in atoms}

    def dataset(self, name: str = "edges") -> lance.LanceDataset:
        return lance.dataset(str(self.folder / f"{name}.lance"))


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path / "lance")


def test_a_new_store_has_its_three_tables_empty(line: Line) -> None:
    assert set(line.versions) == set(TABLES) == {"documents", "chunks", "edges"}
    for name in TABLES:
        assert line.tables.count(name, line.versions[name], [1, 2]) == 0


def test_no_atom_gives_no_row(line: Line) -> None:
    line.publish({1: 1, 2: 2})
    assert line.seen([]) == {}
    assert line.tables.count("edges", line.versions["edges"], []) == 0


def test_an_empty_list_of_ids_gives_no_row_and_every_column(line: Line) -> None:
    line.publish({1: 1})
    found = line.tables.scan("edges", line.versions["edges"], [1], ["child"], ids=[])
    assert found.num_rows == 0
    assert found.schema.names == ["id", "atom", "child"]


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_holds_on_a_table_of_many_fragments_changed_deleted_and_relabelled(
    line: Line, seed: int
) -> None:
    draw = random.Random(seed)
    earlier: list[tuple[Versions, dict[int, int]]] = []
    for step in range(6):
        numbers = sorted(line.atoms)
        deleted = draw.sample(numbers, len(numbers) // 5)
        left = [number for number in numbers if number not in deleted]
        moved = {number: draw.randint(1, 4) for number in draw.sample(left, len(left) // 4)}
        line.publish({step * 100 + n: draw.randint(1, 4) for n in range(draw.randint(1, 40))}, moved, deleted)
        earlier.append((line.versions, dict(line.atoms)))
    assert len(line.dataset().get_fragments()) > 3
    for versions, atoms in earlier:
        for allowed in ([1], [2, 3], [4], [1, 2, 3, 4], [5], []):
            expected = {number: atom for number, atom in atoms.items() if atom in allowed}
            assert line.seen(allowed, versions) == expected
            assert line.tables.count("edges", versions["edges"], allowed) == len(expected)


def test_every_scan_passes_an_allowlist_also_when_it_holds_every_row(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.publish({number: 1 + number % 2 for number in range(10)})
    passed: list[tuple[object, object]] = []
    real = lance.LanceDataset.scanner

    def scanner(self: lance.LanceDataset, *arguments: object, **settings: object) -> object:
        passed.append((settings.get("columns"), settings.get("row_addr_allowlist")))
        return real(self, *arguments, **settings)

    monkeypatch.setattr(lance.LanceDataset, "scanner", scanner)
    for atoms in ([1, 2], [1], [9]):
        line.seen(atoms)
        line.tables.scan("edges", line.versions["edges"], atoms, [], ids=[row_id(1), row_id(2)])
    # What the masks are made of: the atoms of all rows, and no other column.
    unmasked = [columns for columns, mask in passed if mask is None]
    assert unmasked == [["atom"]]
    masks = [mask for _, mask in passed if mask is not None]
    assert len(masks) == 6
    assert all(isinstance(mask, bytes) and mask for mask in masks)


def test_without_a_mask_nothing_is_read(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lance takes None for `all rows`."""
    line.publish({1: 1})
    monkeypatch.setattr(lance_tables, "serialize_row_addrs", lambda addresses: None)
    with pytest.raises(StoreError, match="no row mask could be made"):
        line.seen([1])


@pytest.mark.parametrize("guard", ["mask and check", "mask alone"])
def test_a_row_outside_the_grant_that_came_through_the_filter_stops_the_scan(
    line: Line, monkeypatch: pytest.MonkeyPatch, guard: str
) -> None:
    line.publish({1: 1, 2: 2})
    everything = lance_tables.serialize_row_addrs(
        line.tables.map_of("edges", 2).addresses(AtomSet.of([1, 2])).tolist()
    )
    monkeypatch.setattr(lance_tables, "serialize_row_addrs", lambda addresses: everything)
    if guard == "mask alone":
        # With the second check broken too, the attack works: it is a guard and no ornament.
        monkeypatch.setattr(np, "isin", lambda found, allowed: np.ones(len(found), bool))
        assert line.seen([1]) == {1: 1, 2: 2}
        return
    with pytest.raises(StoreCorrupt, match="outside the grant; no result leaves"):
        line.seen([1])


def test_a_mask_is_of_the_version_it_is_used_on(line: Line) -> None:
    """A mask of the version before would let the relabelled row through."""
    line.publish({1: 1, 2: 2})
    before = line.versions
    line.publish(moved={1: 2, 2: 1})
    assert line.seen([1]) == {2: 1}
    assert line.seen([1], before) == {1: 1}


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "' OR 1=1 --",
        "g" * 32,
        "A" * 32,
        "0" * 31,
        "0" * 33,
        "pay/salaries.txt",
        "acme/label:payroll",
        "é" * 32,
    ],
)
def test_an_id_that_is_not_opaque_reaches_no_predicate(line: Line, bad: str) -> None:
    line.publish({1: 1})
    version = line.versions["edges"]
    attempts = [
        lambda: line.tables.scan("edges", version, [1], [], ids=[row_id(1), bad]),
        lambda: line.tables.ids_by("edges", version, "child", [bad]),
        lambda: line.tables.write(line.versions, {"edges": TableChange(deleted=(bad,))}),
        lambda: line.tables.write(line.versions, {"edges": TableChange(atoms=new_atoms({bad: 2}))}),
    ]
    for attempt in attempts:
        with pytest.raises(StoreError, match="is not opaque") as caught:
            attempt()
        assert not bad or bad not in str(caught.value)
    assert line.dataset().version == version


def test_predicates_on_the_disk_hold_ids_and_nothing_else(line: Line) -> None:
    """Lance writes the text of a delete's predicate into its transaction file, for ever."""
    line.publish(dict.fromkeys(range(4), 1))
    line.publish(deleted=[1, 2])
    said = [file.read_bytes() for file in (line.folder / "edges.lance" / "_transactions").iterdir()]
    (predicate,) = [text for text in said if b"id IN" in text]
    start = predicate.index(b"id IN")
    end = predicate.index(b")", start) + 1
    assert predicate[start:end].decode() == f"id IN ('{row_id(1)}', '{row_id(2)}')"
    assert str(line.folder).encode() not in predicate


def test_more_ids_than_fit_one_predicate_are_deleted_and_found(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opaque_ids, "IDS_PER_PREDICATE", 3)
    monkeypatch.setattr(lance_lookups, "AT_ONCE", 3)
    monkeypatch.setattr(lance_lookups, "SHARE", 0)
    line.publish(dict.fromkeys(range(20), 1))
    children = [row_id(1_000_000 + number) for number in range(20)]
    found = line.tables.ids_by("edges", line.versions["edges"], "child", children)
    assert found == {child: [row_id(number)] for number, child in enumerate(children)}
    # So many that the column is read once instead.
    monkeypatch.setattr(lance_lookups, "SHARE", 2)
    assert line.tables.ids_by("edges", line.versions["edges"], "child", children) == found
    line.publish(deleted=range(11))
    assert line.seen([1]) == line.expected([1])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("column", ["id", "atom", "run_id", "the rest"])
def test_no_column_of_any_table_may_be_null(line: Line, table: str, column: str) -> None:
    """Labelled or refused: by the store itself, whoever writes."""
    schema = SCHEMAS[table]
    assert not [field.name for field in schema if field.nullable]
    assert not [field.name for field in line.dataset(table).schema if field.nullable]
    values = {
        field.name: b""
        if pa.types.is_binary(field.type)
        else 1
        if pa.types.is_integer(field.type)
        else row_id(1)
        for field in schema
    }
    nulled = [name for name in values if name == column] or sorted(set(values) - {"id", "atom", "run_id"})
    for name in nulled:
        loose = pa.schema([field.with_nullable(True) for field in schema])
        rows = pa.Table.from_pylist([values | {name: None}], schema=loose)
        with pytest.raises(StoreError, match="nothing was published"):
            line.tables.write(line.versions, {table: TableChange(appended=rows)})
        with pytest.raises((OSError, ValueError)):
            line.dataset(table).insert(rows)
    assert line.dataset(table).count_rows() == 0
    lacking = pa.Table.from_pylist([values], schema=schema).drop_columns([nulled[0]])
    with pytest.raises((StoreError, KeyError)):
        line.tables.write(line.versions, {table: TableChange(appended=lacking)})


def test_what_a_dead_writer_committed_does_not_ride_along_with_the_next(line: Line) -> None:
    """The attack: v1 published; a writer dies after its commit; the next appends to the newest version."""
    line.publish({1: 1, 2: 1})
    line.write({666: 1}, moved={1: 2}, deleted=[2])  # committed, never published
    dead = line.dataset().version
    line.publish({3: 1})
    assert line.versions["edges"] > dead
    assert line.seen([1, 2]) == {1: 1, 2: 1, 3: 1}


def test_the_attack_works_without_the_restore(line: Line) -> None:
    line.publish({1: 1})
    line.write({666: 1})
    pinned = lance.dataset(str(line.folder / "edges.lance"), version=line.versions["edges"])
    pinned.insert(edges({3: 1}))
    assert line.seen([1], {**line.versions, "edges": pinned.version}) == {1: 1, 666: 1, 3: 1}


def test_dead_writers_one_after_the_other_leave_nothing(line: Line) -> None:
    line.publish({1: 1})
    for dead in range(3):
        line.write({600 + dead: 1}, moved={1: 3})
    line.publish(moved={1: 2})
    assert line.seen([1, 2, 3]) == {1: 2}


def test_a_table_that_is_not_touched_keeps_its_version(line: Line) -> None:
    before = dict(line.versions)
    line.publish({1: 1})
    assert {name: line.versions[name] for name in ("documents", "chunks")} == {
        name: before[name] for name in ("documents", "chunks")
    }


@pytest.fixture
def intruder(line: Line, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Another writer, who commits one row right after each Lance call that is named in the list."""
    after: list[str] = []
    real_insert = lance.LanceDataset.insert

    def follow(name: str, owner: type) -> None:
        real = getattr(owner, name)

        def commit(self: object, *arguments: object, **settings: object) -> object:
            done = real(self, *arguments, **settings)
            if name in after:
                after.remove(name)
                real_insert(line.dataset(), edges({666: 1}))
            return done

        monkeypatch.setattr(owner, name, commit)

    for name in ("delete", "insert", "restore"):
        follow(name, lance.LanceDataset)
    follow("execute", MergeInsertBuilder)
    return after


@pytest.mark.parametrize("moment", ["delete", "execute", "restore"])
def test_a_foreign_commit_in_between_expels_the_writer(line: Line, intruder: list[str], moment: str) -> None:
    line.publish({1: 1, 2: 1, 3: 1})
    line.write({5: 1})  # a dead writer's, so that there is something to restore
    before = line.versions
    intruder.append(moment)
    with pytest.raises(WriterExpelled, match="another writer committed in between"):
        line.publish({4: 1}, moved={1: 2}, deleted=[2])
    assert intruder == [], "the other writer did not come"
    assert line.versions == before
    line.publish({4: 1}, moved={1: 2}, deleted=[2])
    assert line.seen([1, 2]) == {1: 2, 3: 1, 4: 1}


def test_a_foreign_commit_after_the_last_one_is_not_in_what_is_published(
    line: Line, intruder: list[str]
) -> None:
    line.publish({1: 1})
    intruder.append("insert")
    line.publish({2: 1})
    assert intruder == []
    assert line.seen([1]) == {1: 1, 2: 1}


def test_a_version_that_is_not_there_is_named_without_a_path(line: Line) -> None:
    with pytest.raises(
        StoreError, match=r"the edges table cannot be opened \(ValueError\); nothing was read"
    ) as caught:
        line.tables.scan("edges", 99, [1], [])
    assert str(line.folder) not in str(caught.value)
    # Lance's own error holds the path; no traceback may show it.
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_stable_row_ids_are_off(line: Line) -> None:
    """With them on, a mask made before a relabelling would let the row through under its old address."""
    line.publish({1: 1})
    assert not line.dataset().has_stable_row_ids


def test_nothing_is_left_in_the_temporary_folder(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    line.publish(dict.fromkeys(range(100), 1))
    line.publish(moved=dict.fromkeys(range(50), 2), deleted=range(50, 60))
    assert line.seen([1, 2]) == line.expected([1, 2])
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_map_holds_addresses_of_rows_and_never_their_numbers(line: Line) -> None:
    """An address is (fragment, place in it); from the second fragment on a row's number is another."""
    dice = random.Random(11)
    for step in range(6):
        line.publish({step * 40 + n: dice.randrange(1, 5) for n in range(40)})
        here = sorted(line.atoms)
        line.publish(moved={n: dice.randrange(1, 5) for n in dice.sample(here, 9)})
        line.publish(deleted=dice.sample(here, 5))
        if step == 3:
            change = TableChange(clustered=True)
            line.versions = line.tables.write(line.versions, {"edges": change})
        assert mapped(line) == lying(line)
    assert len({address >> 32 for address in lying(line)}) > 2
    assert set(lying(line)) != set(range(len(line.atoms)))


def mapped(line: Line) -> dict[int, tuple[int, int]]:
    """Where each row lies as the map of the newest publication has it, read back through the map's own mask."""
    version = line.versions["edges"]
    parts = line.tables.parts("edges", version, AtomSet.of(range(1, 5)))
    assert line.tables.identities("edges", version) == {part.identity for part in parts}
    found = line.tables.scan_parts("edges", version, parts, ["id"]).to_pylist()
    atoms = {int(address): part.atom for part in parts for address in part.addresses}
    assert len(atoms) == len(found) == line.tables.count("edges", version, range(1, 5))
    return {row["_rowaddr"]: (int(row["id"], 16), atoms[row["_rowaddr"]]) for row in found}


def lying(line: Line) -> dict[int, tuple[int, int]]:
    """Where each row lies as Lance itself says without a mask; also that its ids are its addresses."""
    dataset = line.dataset().checkout_version(line.versions["edges"])
    found = (
        dataset.scanner(columns=["id", "atom"], with_row_address=True, with_row_id=True)
        .to_table()
        .to_pylist()
    )
    assert all(row["_rowid"] == row["_rowaddr"] for row in found), (
        "with stable row ids a mask would mean others"
    )
    rows = {row["_rowaddr"]: (int(row["id"], 16), row["atom"]) for row in found}
    assert dict(rows.values()) == line.atoms
    return rows


def test_a_map_of_a_version_opens_nothing_after_a_compaction(line: Line) -> None:
    line.publish({n: 1 + n % 2 for n in range(60)})
    line.publish(dict.fromkeys(range(60, 80), 1), deleted=range(0, 30, 3))
    old = line.tables.parts("edges", line.versions["edges"], AtomSet.of([1]))
    line.versions = line.tables.write(line.versions, {"edges": TableChange(clustered=True)})
    assert line.tables.scan_parts("edges", line.versions["edges"], old, ["id"]).num_rows == 0
    new = line.tables.identities("edges", line.versions["edges"])
    assert new
    assert not {part.identity for part in old} & new
