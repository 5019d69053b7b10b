"""Find words that follow one another, and words that begin alike, in the word lists of some rows.

Promise: only the rows, or the blocks, that are asked about have a say in what
is found.

Source: docs/decisions/0026-phrases-and-prefixes.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import stopping
from .prefixes import Prefix
from .segments import WORD_BITS, WORD_MASK, WordLists

WORDS_AT_ONCE = 1 << 20
"""About so many words of rows are looked at together."""

_Numbers = npt.NDArray[np.int64]


def holding_run(lists: WordLists, rows: _Numbers, run: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Say of some rows which of them hold some words one after the other.

    Args:
        rows: Rows of the segment.
        run: At least one word.
    """
    held = np.zeros(len(rows), np.bool_)
    numbers = [lists.vocabulary.get(word) for word in run]
    if None in numbers:
        return held
    # Where the first of them may stand: the others need room behind it.
    sizes = np.maximum(lists.lengths[rows].astype(np.int64) - (len(run) - 1), 0)
    whole = np.cumsum(sizes)
    start = 0
    while start < len(rows):
        stopping.check()
        before = int(whole[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(whole, before + WORDS_AT_ONCE, side="right")))
        owners = np.repeat(np.arange(start, end), sizes[start:end])
        at = spans(lists.begins[rows[start:end]], sizes[start:end])
        for offset, number in enumerate(numbers):
            here = lists.order[at + offset] == number
            owners, at = owners[here], at[here]
        held[owners] = True
        start = end
    return held


def lists_of(lists: WordLists, blocks: _Numbers, prefix: Prefix) -> tuple[_Numbers, _Numbers]:
    """Return which lists of some blocks are of a word that a prefix covers, and whose each is.

    Args:
        blocks: Ascending.

    Returns:
        Places in the `keys` of the lists, and for each the place of its block in `blocks`.
    """
    numbers = np.asarray(
        [number for word, number in lists.vocabulary.items() if prefix.covers(word)], np.int64
    )
    if len(numbers) * len(blocks) <= len(lists.keys):
        wanted = ((blocks << WORD_BITS)[:, None] | numbers).reshape(-1)
        places = np.searchsorted(lists.keys, wanted)
        found = np.flatnonzero(lists.keys[np.minimum(places, len(lists.keys) - 1)] == wanted)
        return places[found], found // max(len(numbers), 1)
    # Nearly every word is covered, or there are many blocks: it is quicker to look at all their lists.
    covered = np.zeros(len(lists.vocabulary), np.bool_)
    covered[numbers] = True
    firsts = np.searchsorted(lists.keys, blocks << WORD_BITS)
    sizes = np.searchsorted(lists.keys, (blocks + 1) << WORD_BITS) - firsts
    every = spans(firsts, sizes)
    kept = covered[lists.keys[every] & WORD_MASK]
    return every[kept], np.repeat(np.arange(len(blocks)), sizes)[kept]


def spans(starts: _Numbers, sizes: _Numbers) -> _Numbers:
    """Return the numbers of some spans, one span after the other."""
    return np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
