"""Files that are damaged: whichever sealed value does not open, that is said, and nothing of the answer leaves."""

from __future__ import annotations

import pytest

from ringfence_governance.errors import StoreCorrupt

from .worlds import World, draft

HAL = "acme/user:hal"
SEALED = [
    ("documents", "metadata"),
    ("documents", "text"),
    ("chunks", "metadata"),
    ("chunks", "text"),
    ("chunks", "vector"),
    ("chunks", "terms"),
]


def cell(world: World, table: str, column: str) -> bytes:
    """One sealed value as it lies in the published version."""
    versions = world.ground.moment().publication.versions
    ids = world.see(HAL).documents
    key = "id" if table == "documents" else "document_id"
    (row, *_) = world.ground.tables.rows_by(table, versions[table], key, ids, [column])
    value = row[column]
    assert isinstance(value, bytes)
    return value


def flip(world: World, table: str, value: bytes, bit: int) -> int:
    """Flip one bit of a value wherever it lies in the table's files; return how often it was found."""
    found = 0
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    for file in (world.path / "lance" / f"{table}.lance" / "data").iterdir():
        content = file.read_bytes()
        found += content.count(value)
        file.write_bytes(content.replace(value, bytes(changed)))
    return found


@pytest.mark.parametrize(
    ("table", "column", "bit"),
    [
        (table, column, bit)
        for table, column in SEALED
        # Of a value all of whose bits are under one tag, each end and the middle once.
        for bit in (("first", "middle", "last") if column == "vector" else ("middle",))
    ],
)
def test_a_flipped_bit_in_a_sealed_value_is_an_alarm_and_no_text_leaves(
    world: World, table: str, column: str, bit: str
) -> None:
    world.put(draft("a.txt", "of the first line\nand of the second", "acme/label:staff"))
    assert world.see(HAL).texts == ("of the first line\nand of the second",)
    value = cell(world, table, column)
    bits = {"first": 0, "middle": len(value) * 4, "last": len(value) * 8 - 1}
    assert flip(world, table, value, bits[bit]) == 1
    again = world.reopened()
    with pytest.raises(StoreCorrupt, match="does not open") as caught:
        again.see(HAL)
    assert "line" not in str(caught.value)
    assert str(again.folder) not in str(caught.value)
    assert again.records()[-1]["outcome"] == "alarm"
