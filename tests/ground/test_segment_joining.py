"""Segments are joined so that small ones cost little, and nothing stays of what was not taken."""

from __future__ import annotations

from bisect import insort
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence_governance import resident
from ringfence_governance.joining import alike, next_to_join
from ringfence_governance.quantised import quantised
from ringfence_governance.segments import WORD_BITS, WORD_MASK, Segment, WordLists, joined, word_lists
from ringfence_retrieval.questions import Question
from ringfence_retrieval.search import search

from .every_row import HAL, fill
from .test_word_order import Block, blocks, segment
from .worlds import World, subject, vector


def told(lists: WordLists) -> dict[str, Any]:
    """Return what word lists say, by words and not by their numbers."""
    names = list(lists.vocabulary)
    assert list(lists.vocabulary.values()) == list(range(len(names)))
    held = {}
    for place, key in enumerate(lists.keys.tolist()):
        here = slice(int(lists.starts[place]), int(lists.starts[place + 1]))
        found = (lists.rows[here].tolist(), lists.counts[here].tolist())
        held[key >> WORD_BITS, names[key & WORD_MASK]] = found
    return {
        "held": held,
        "ascending": bool((np.diff(lists.keys) > 0).all()),
        "words": set(names),
        "lengths": lists.lengths.tolist(),
        "order": [names[number] for number in lists.order.tolist()],
        "begins": lists.begins.tolist(),
    }


def named(made: list[Block], names: list[int]) -> Segment:
    """Return a segment of blocks with these names, in which no row is like another."""
    places = [[name, row] for name, block in zip(names, made, strict=True) for row in range(len(block))]
    ids = np.asarray(places, np.uint64).reshape(-1, 2)
    vectors = ids.astype(np.float32) + 1
    return replace(
        segment(made, 0),
        blocks=tuple(bytes([name]) for name in names),
        ids=ids,
        vectors=vectors,
        small=quantised(vectors),
        spans=ids.astype(np.int64),
        chunks=pa.table({"id": [f"{name}.{row}" for name, row in places]}),
    )


@settings(max_examples=200, deadline=None)
@given(blocks, blocks, st.randoms(use_true_random=False))
def test_some_blocks_of_two_segments_are_as_if_nothing_else_had_been_there(
    first: list[Block], second: list[Block], dice: Any
) -> None:
    names = dice.sample(range(200), len(first) + len(second))
    both = [(first, sorted(names[: len(first)])), (second, sorted(names[len(first) :]))]
    taken = [sorted(dice.sample(range(len(made)), dice.randint(0, len(made)))) for made, _ in both]
    left = sorted(
        (own[number], made[number])
        for (made, own), numbers in zip(both, taken, strict=True)
        for number in numbers
    )
    if not left:
        return
    whole = joined(zip((named(*each) for each in both), taken, strict=True))
    starts = np.cumsum([0, *(len(block) for _, block in left)]).astype(np.int64)
    assert whole.blocks == tuple(bytes([name]) for name, _ in left)
    assert whole.starts.tolist() == starts.tolist()
    assert told(whole.words) == told(word_lists([row for _, block in left for row in block], starts))
    wanted = named([block for _, block in left], [name for name, _ in left])
    for name in ("ids", "vectors", "spans"):
        assert getattr(whole, name).tolist() == getattr(wanted, name).tolist()
    assert whole.small.codes.tolist() == wanted.small.codes.tolist()
    assert whole.chunks.equals(wanted.chunks)


def test_documents_of_rows_that_were_not_taken_do_not_stay() -> None:
    one, other = (segment([[["a"]]], number) for number in (0, 1))
    both = joined([(one, [0]), (other, [0])])
    assert both.documents["atom"].to_pylist() == [0, 1]
    assert both.document_of.tolist() == [0, 1]
    alone = joined([(both, [1])])
    assert (alone.documents["atom"].to_pylist(), alone.document_of.tolist()) == ([1], [0])


@pytest.mark.parametrize(
    ("sizes", "size_max", "wanted"),
    [
        ([], 100, slice(0)),
        ([5], 100, slice(0)),
        ([5, 5, 5], 100, slice(0, 3)),
        # Much larger than those before it together: it stays as it is.
        ([5, 5, 41], 100, slice(0, 2)),
        ([5, 5, 40], 100, slice(0, 3)),
        ([5, 21, 30], 100, slice(1, 3)),
        ([5, 21, 85], 1000, slice(0)),
        # No more than there is room for twice.
        ([40, 40, 40], 100, slice(0, 2)),
        ([60, 60, 60], 100, slice(0)),
    ],
)
def test_what_is_of_like_size_is_joined(sizes: list[int], size_max: int, wanted: slice) -> None:
    assert sizes[alike(sizes, size_max)] == sizes[wanted]
    assert alike(sizes, size_max) == wanted


def test_a_thousand_small_ones_are_copied_a_few_times_each_and_stand_in_few() -> None:
    sizes, copied, most = [20_000], 0, 0
    for _ in range(1000):
        insort(sizes, 1)
        while sizes[taken := next_to_join(sizes, 1 << 40)]:
            copied += sum(sizes[taken])
            insort(sizes, sum(sizes.pop(taken.start) for _ in sizes[taken]))
        most = max(most, len(sizes))
    assert sum(sizes) == 21_000
    assert most <= 8
    assert copied < 20_000


def test_new_publications_have_no_large_segment_copied(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(filled, 0, documents=200)

    def ask() -> set[int]:
        search(filled.door, subject(HAL), Question("pump"), vector)
        return {id(each) for each in filled.ground.resident._segments() if len(each.ids) > 100}

    (large,) = ask()
    made: list[int] = []
    joining = resident.joined
    monkeypatch.setattr(resident, "joined", lambda taken: (made.append(1), joining(taken))[1])
    for number in range(6):
        fill(filled, 100 + number, documents=1)
        assert ask() == {large}
    assert made
