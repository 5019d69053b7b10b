"""What a publication wrote is read back before it is published, however little of it is damaged; the rest is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ringfence_governance.errors import StoreError
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import SCHEMAS, TableChange, Versions, moved

Damage = Callable[[Path], Any]


def row_id(number: int) -> str:
    return f"{number:032x}"


def edges(*numbers: int) -> pa.Table:
    common = {"atom": 1, "run_id": row_id(0), "parent": row_id(7), "kind": "chunk"}
    rows = [{**common, "id": row_id(number), "child": row_id(number + 1000)} for number in numbers]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["edges"])


CHANGES = {
    "append": TableChange(appended=edges(20, 21)),
    "relabel": TableChange(atoms=moved({row_id(1): 5})),
    "delete": TableChange(deleted=(row_id(1),)),
    "delete and append": TableChange(deleted=(row_id(2),), appended=edges(22)),
    "materialise": TableChange(deleted=(row_id(3),), materialised=True),
    "cluster": TableChange(deleted=(row_id(4),), clustered=True),
}
DAMAGES: dict[str, Damage] = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "gone": Path.unlink,
    "end overwritten": lambda file: file.write_bytes(file.read_bytes()[:-16] + b"\0" * 16),
}


@pytest.fixture
def tables(tmp_path: Path) -> LanceTables:
    return LanceTables(tmp_path)


@pytest.fixture
def published(tables: LanceTables) -> Versions:
    """Three publications: rows 1 to 6, two in each."""
    versions = tables.create()
    for number in (1, 3, 5):
        versions = tables.write(versions, {"edges": TableChange(appended=edges(number, number + 1))})
    return versions


def files(folder: Path) -> set[Path]:
    """The files that hold rows, or say which are deleted."""
    table = folder / "edges.lance"
    return {*table.glob("data/*"), *table.glob("_deletions/*")}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_new_file_is_not_published(
    change: str,
    damage: str,
    tables: LanceTables,
    published: Versions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = files(tmp_path)
    honest = LanceTables._read_whole
    damaged = []

    def read_whole(self: LanceTables, *given: Any) -> None:
        # After everything was written, as a disk that lost the end of a file would have it.
        damaged.extend(sorted(files(tmp_path) - before))
        DAMAGES[damage](damaged[-1])
        honest(self, *given)

    monkeypatch.setattr(LanceTables, "_read_whole", read_whole)
    with pytest.raises(StoreError):
        tables.write(published, {"edges": CHANGES[change]})
    assert damaged


def test_what_was_read_back_before_is_not_read_again(
    tables: LanceTables, published: Versions, tmp_path: Path
) -> None:
    for file in files(tmp_path):
        file.write_bytes(b"")
    versions = tables.write(published, {"edges": CHANGES["append"]})
    assert tables.rows("edges", versions["edges"]) == 8
    with pytest.raises(StoreError):
        tables.count("edges", versions["edges"], [1])
