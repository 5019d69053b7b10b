"""Say which segments of opened rows to put together, so that few are left and no large one is copied for a small.

Promise: each row is copied a few times in all, however many segments come one after the other.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

from collections.abc import Sequence

SEGMENTS_MAX = 4
"""So many stay apart; more are joined, since each costs every question a little."""
TIMES_LARGER = 4
"""A segment this many times larger than others together is not copied to join them."""
JOINED_SHARE = 4
"""No more than one in so many parts of the budget is put together: it stands twice meanwhile."""
JOINED_BYTES_MAX = 1 << 29
"""Nor more than this: where a row goes, its segment is made anew without it, which takes up to a second."""


def next_to_join(sizes: Sequence[int], budget: int) -> slice:
    """Return which segments to join next, by their sizes in ascending order; none if few are left, or none are alike.

    Args:
        budget: Bytes that all may take together.
    """
    return (
        alike(sizes, min(budget // JOINED_SHARE, JOINED_BYTES_MAX)) if len(sizes) > SEGMENTS_MAX else slice(0)
    )


def alike(sizes: Sequence[int], size_max: int) -> slice:
    """Return the first of some ascending sizes of which each is not much larger than those before it together.

    Args:
        size_max: Of all that are returned together.
    """
    for first in range(len(sizes) - 1):
        last, whole = first + 1, sizes[first]
        while last < len(sizes) and sizes[last] <= min(TIMES_LARGER * whole, size_max - whole):
            whole += sizes[last]
            last += 1
        if last - first > 1:
            return slice(first, last)
    return slice(0)
