"""Words in a row and words that begin alike are found as by looking at every word of the reader's own rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence_governance import word_order
from ringfence_governance.document_facts import FACTS
from ringfence_governance.prefixes import prefix_of
from ringfence_governance.quantised import quantised
from ringfence_governance.readable_rows import ReadableRows
from ringfence_governance.segments import Segment, joined, word_lists

Row = list[str]
Block = list[Row]

words = st.sampled_from(["a", "ab", "abc", "b", "ba", "é", "契約"])
rows = st.lists(words, max_size=7)
blocks = st.lists(st.lists(rows, min_size=1, max_size=4), min_size=1, max_size=4)
runs = st.lists(words, min_size=1, max_size=4)


def segment(made: list[Block], first: int) -> Segment:
    """A segment of some blocks, named by their number from `first` on."""
    every = [row for block in made for row in block]
    starts = np.cumsum([0, *map(len, made)]).astype(np.int64)
    vectors = np.ones((len(every), 2), np.float32)
    shape = pa.schema([("id", "string"), ("atom", "int32"), *FACTS.items()])
    document = pa.Table.from_pylist([{"id": "one", "atom": first}], shape)
    return Segment(
        blocks=tuple(bytes([first + number]) for number in range(len(made))),
        starts=starts,
        ids=np.zeros((len(every), 2), np.uint64),
        vectors=vectors,
        small=quantised(vectors),
        words=word_lists(every, starts),
        spans=np.zeros((len(every), 2), np.int64),
        chunks=pa.table({"id": [str(number) for number in range(len(every))]}),
        documents=document,
        document_of=np.zeros(len(every), np.int32),
    )


def follows(row: Row, run: list[str]) -> bool:
    return any(row[start : start + len(run)] == run for start in range(len(row)))


def agree(held: ReadableRows, readable: list[Row], run: list[str], beginning: str) -> None:
    every = [place for place, row in enumerate(readable) if follows(row, run)]
    assert held.holding_run(run).tolist() == every
    some = np.arange(0, len(readable), 2)
    assert held.holding_run(run, some).tolist() == [place for place in every if place % 2 == 0]
    prefix = prefix_of(beginning, "none")[1]
    assert prefix is not None
    counts = {place: sum(map(prefix.covers, row)) for place, row in enumerate(readable)}
    places, found = held.beginning(prefix)
    assert dict(zip(places.tolist(), found.tolist(), strict=True)) == {p: n for p, n in counts.items() if n}
    assert (np.diff(places) > 0).all()


@settings(max_examples=250, deadline=None)
@given(blocks, blocks, runs, words, st.randoms(use_true_random=False))
def test_they_are_found_in_whatever_blocks_are_readable(
    first: list[Block], second: list[Block], run: list[str], beginning: str, dice: object
) -> None:
    """Of two segments, and of the two joined, in which hidden blocks hold the same words."""
    readable = [
        sorted(dice.sample(range(len(made)), dice.randint(0, len(made))))  # type: ignore[attr-defined]
        for made in (first, second)
    ]
    own = [
        row
        for made, numbers in zip((first, second), readable, strict=True)
        for n in numbers
        for row in made[n]
    ]
    apart = [segment(first, 0), segment(second, len(first))]
    taken = [
        (each, np.asarray(numbers, np.int64))
        for each, numbers in zip(apart, readable, strict=True)
        if numbers
    ]
    agree(ReadableRows(taken), own, run, beginning)
    whole = joined([(each, range(len(each.blocks))) for each in apart])
    numbers = np.asarray([*readable[0], *(len(first) + n for n in readable[1])], np.int64)
    if len(numbers):
        agree(ReadableRows([(whole, numbers)]), own, run, beginning)
        alone = joined(zip(apart, readable, strict=True))
        agree(ReadableRows([(alone, np.arange(len(numbers)))]), own, run, beginning)


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_rows_are_looked_at_a_few_at_a_time(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_order, "WORDS_AT_ONCE", at_once)
    made = [[["a", "b"] * (n % 4) + ["a"] * (n % 3) for n in range(30)]]
    held = ReadableRows([(segment(made, 0), np.zeros(1, np.int64))])
    for run in (["a", "b", "a"], ["a", "a"], ["b", "b"], ["b"], ["a"] * 5):
        agree(held, made[0], run, "a")


def test_a_segment_of_many_words_and_one_of_few_hold_them_in_as_many_bytes_as_they_need() -> None:
    made = [[[f"w{n}" for n in range(start, start + 100)] for start in range(0, 70_000, 100)]]
    many, few = segment(made, 0), segment([[["a", "b"]]], 1)
    assert (many.words.order.dtype, few.words.order.dtype) == (np.uint32, np.uint8)
    for whole in (many, joined([(many, [0]), (few, [0])])):
        held = ReadableRows([(whole, np.arange(len(whole.blocks)))])
        assert held.holding_run(["w69998", "w69999"]).tolist() == [699]
        assert held.holding_run(["w99", "w100"]).tolist() == []


def test_a_prefix_that_nearly_every_word_has_is_found_as_a_rare_one_is() -> None:
    """Both ways to go through the lists; the second is taken where words times blocks are more than the lists."""
    made = [[[f"w{block}{row}", "w"] for row in range(3)] for block in range(20)]
    held = ReadableRows([(segment(made, 0), np.arange(1, 20, 2))])
    own = [row for block in made[1::2] for row in block]
    for beginning in ("w", "w1", "w150", "x"):
        agree(held, own, ["w"], beginning)
