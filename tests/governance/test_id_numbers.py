"""Ids become numbers and numbers ids, whatever digits they have in common."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.id_numbers import IdColumn, numbered, order_of

HALVES = st.sampled_from([0, 1, 1 << 3, 1 << 63, (1 << 64) - 1, 0xABCDEF0123456789, 0xABCDEF0123456788])
IDS = st.builds("{:016x}{:016x}".format, HALVES | st.integers(0, 2**64 - 1), HALVES)
COLUMNS = st.lists(st.lists(st.lists(IDS, max_size=6), max_size=3), min_size=1, max_size=3)
"""Columns, each of some pieces."""


@given(columns=COLUMNS, asked=st.lists(IDS, max_size=8))
def test_each_row_gets_the_number_of_its_id_and_an_id_is_found_if_it_is_there(
    columns: list[list[list[str]]], asked: list[str]
) -> None:
    made = []
    for pieces in columns:
        made.append(IdColumn())
        for piece in pieces:
            # Not from the beginning of its buffers, as a piece of a larger one is.
            made[-1].add(pa.array(["0" * 32, *piece], pa.string()).slice(1))
    ids, found = numbered(made)
    every = [[each for piece in pieces for each in piece] for pieces in columns]
    ordered = sorted({each for column in every for each in column})
    assert ids.texts(order_of(ids.of(ordered))) == ordered
    assert [ids.texts(numbers) for numbers in found] == every
    there = sorted(set(asked) & set(ordered))
    assert ids.texts(ids.of(asked)) == there
    assert len(ids) == len(ordered)
    assert ids.size == 16 * len(ordered)


@given(st.lists(st.integers(0, 3) | st.integers(0, 2**31 - 1)))
def test_equal_numbers_stay_in_the_order_of_their_places(numbers: list[int]) -> None:
    found = order_of(pa.array(numbers, pa.int32()).to_numpy())
    assert found.tolist() == sorted(range(len(numbers)), key=numbers.__getitem__)


@pytest.mark.parametrize("bad", ["", "f" * 31, "g" * 32, None])
def test_what_is_no_id_is_an_error(bad: str | None) -> None:
    with pytest.raises(StoreCorrupt, match="no opaque id"):
        IdColumn().add(pa.array(["0" * 32, bad], pa.string()))
