"""Where the rows of an atom lie is told in parts, and a row that goes takes its own part with it alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence_governance import block_opening, row_map
from ringfence_governance.row_map import PART_ROWS_MAX, PART_ROWS_MIN, FragmentColumns, FragmentRows
from ringfence_retrieval.questions import Question
from ringfence_retrieval.search import search

from .every_row import HAL, fill
from .worlds import World, subject, vector


def fragment(offsets: np.ndarray, atom: int = 7) -> FragmentRows:  # type: ignore[type-arg]
    columns = FragmentColumns(offsets.astype(np.uint32), np.full(len(offsets), atom, np.int32))
    return FragmentRows(3, "files", columns)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90_000), st.integers(1, 400), st.integers(0, 1000))
def test_parts_hold_every_row_once_and_none_too_many(count: int, apart: int, seed: int) -> None:
    offsets = np.random.default_rng(seed).choice(count * apart, count, replace=False)
    parts = fragment(offsets).parts(0)
    found = np.concatenate([part.addresses for part in parts])
    assert (found == (np.sort(offsets).astype(np.uint64) | np.uint64(3 << 32))).all()
    sizes = [len(part) for part in parts]
    assert max(sizes) <= PART_ROWS_MAX
    assert min(sizes[:-1], default=PART_ROWS_MIN) >= PART_ROWS_MIN
    assert len({part.identity for part in parts}) == len(parts)
    assert [part.identity for part in parts] == list(fragment(offsets).identities(0))


@pytest.mark.parametrize("first", [0, 1, 4181, 50_000, 77_777, 99_980])
def test_where_some_rows_go_all_other_parts_stay(first: int) -> None:
    whole = np.arange(100_000)
    before = set(fragment(whole).identities(0))
    after = set(fragment(np.delete(whole, np.s_[first : first + 20])).identities(0))
    assert len(before) > 20
    assert len(before - after) <= 2
    assert len(after - before) <= 2


def test_a_part_is_of_its_atom_and_of_its_files() -> None:
    offsets = np.arange(5000)
    columns = FragmentColumns(offsets.astype(np.uint32), np.full(5000, 7, np.int32))
    names = [
        set(each.identities(0))
        for each in (
            fragment(offsets),
            fragment(offsets, 8),
            FragmentRows(3, "others", columns),
            FragmentRows(4, "files", columns),
        )
    ]
    for one, other in pairwise([*names, names[0]]):
        assert not one & other


def test_a_document_that_goes_has_few_others_opened_again(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_map, "PART_ROWS_MIN", 8)
    monkeypatch.setattr(row_map, "PART_ROWS_MAX", 64)
    fill(filled, 0, documents=600)
    opened: list[int] = []
    real = block_opening.open_parts
    monkeypatch.setattr(
        block_opening,
        "open_parts",
        lambda ground, grant, parts: (opened.append(sum(map(len, parts))), real(ground, grant, parts))[1],
    )

    def ask() -> int:
        opened.clear()
        search(filled.door, subject(HAL), Question("pump"), vector)
        return sum(opened)

    assert ask() > 500
    for number in (3, 301, 30):
        with filled.ingestion("acme/user:dex") as ingestion:
            assert ingestion.remove(f"0/{number}.txt")
        assert 0 < ask() < 100
