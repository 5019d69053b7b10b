"""Documents that were made from one another, as numbers; and what a plain walk finds among them.

Promise: what was made from something is under all its labels, as the product has it; everything follows from the seed
and the size. A plain walk knows arrays alone: nothing of the product is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SEED = 20261127
BRANCHES = 4
"""How many documents are made from each: of six hops an answer still holds all."""
SECOND = 0.05
"""So many of them are made from a second one besides."""
STEPS = (1, 4, 7, 10)
"""How many trees further on that one stands."""
TREES_MIN, TREES_MAX, TREE_SIZE = 10, 200, 20_000
NOTHING = -1
NODE, EDGE, RUN = range(3)
"""What an id is of: no two have the same."""

Numbers: TypeAlias = npt.NDArray[np.int32]
Ends: TypeAlias = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Documents by number, each made from ones of lower numbers.

    Args:
        trees: How many were made from nothing: each under a label of its own.
        labels: int32 of shape (n,): number of the label of each.
        first: int32 of shape (n,): what it was made from, or :data:`NOTHING`.
        second: int32 of shape (n,): what else.
    """

    trees: int
    labels: Numbers
    first: Numbers
    second: Numbers

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def parts(self) -> list[tuple[int, ...]]:
        """The trees whose labels each label joins, by its number."""
        joined = [(tree, (tree + step) % self.trees) for tree in range(self.trees) for step in STEPS]
        return [*((tree,) for tree in range(self.trees)), *joined]

    def readable(self, trees: Collection[int]) -> npt.NDArray[np.bool_]:
        """Return which documents one may read who may read the labels of some trees."""
        by_label = np.asarray([set(each) <= set(trees) for each in self.parts])
        found: npt.NDArray[np.bool_] = by_label[self.labels]
        return found

    def edges(self, start: int, stop: int) -> Ends:
        """Return child and parent of the edges of some documents to what they were made from."""
        found = [
            (np.flatnonzero(parents[start:stop] != NOTHING) + start, parents)
            for parents in (self.first, self.second)
        ]
        return (
            np.concatenate([children for children, _ in found]),
            np.concatenate([parents[children] for children, parents in found]).astype(np.intp),
        )

    def high_up(self, levels: int) -> npt.NDArray[np.intp]:
        """Return the documents that have so many full levels beneath them."""
        last = numbers = np.arange(len(self))
        for _ in range(levels):
            last = BRANCHES * last + self.trees + BRANCHES - 1
        return numbers[last < len(self)]

    def last_ones(self) -> npt.NDArray[np.intp]:
        """Return documents from which nothing was made."""
        return np.arange(max(int(self.first.max()), int(self.second.max())) + 1, len(self))


def grown(documents: int) -> Forest:
    """Return a forest of so many documents, level by level, the trees of each level one after the other."""
    trees = min(max(documents // TREE_SIZE, TREES_MIN), TREES_MAX)
    dice = np.random.default_rng(SEED)
    first, second = (np.full(documents, NOTHING, np.int32) for _ in range(2))
    labels = np.arange(documents, dtype=np.int32)
    begin, width = 0, 1
    while begin + trees * width < documents:
        above, begin = begin, begin + trees * width
        place = np.arange(min(trees * width * BRANCHES, documents - begin))
        here, tree = begin + place, place // (width * BRANCHES)
        first[here] = above + place // BRANCHES
        step = dice.integers(0, len(STEPS), len(place))
        other = (tree + np.asarray(STEPS)[step]) % trees
        taken = above + other * width + dice.integers(0, width, len(place))
        # Of two labels at most: more would be a label for nearly each.
        single = (labels[first[here]] < trees) & (labels[taken] < trees)
        both = single & (dice.random(len(place)) < SECOND) & (taken != first[here])
        second[here[both]] = taken[both]
        joined = trees + tree * len(STEPS) + step
        labels[here] = np.where(both & (other != tree), joined, labels[first[here]])
        width *= BRANCHES
    return Forest(trees, labels, first, second)


class PlainWalk:
    """Walks along those edges of a forest that lead from what one may read to what one may read.

    Args:
        nodes_max: How many documents an answer holds.
    """

    def __init__(self, forest: Forest, readable: npt.NDArray[np.bool_], nodes_max: int) -> None:
        children, parents = forest.edges(0, len(forest))
        kept = readable[children] & readable[parents]
        self._nodes_max = nodes_max
        self._ways = {
            "descendants": _sorted(parents[kept], children[kept]),
            "ancestors": _sorted(children[kept], parents[kept]),
        }

    def found(self, start: int, direction: str, depth: int) -> tuple[dict[int, int], bool]:
        """Return the numbers within so many hops, each with its least; and whether an answer holds all of them."""
        near, far = self._ways[direction]
        found, frontier = {start: 0}, np.asarray([start])
        for hop in range(1, depth + 1):
            spans = zip(
                np.searchsorted(near, frontier), np.searchsorted(near, frontier, side="right"), strict=True
            )
            reached = {each for first, last in spans for each in far[first:last].tolist()} - found.keys()
            if len(found) + len(reached) > self._nodes_max:
                return found, False
            found |= dict.fromkeys(reached, hop)
            frontier = np.asarray(sorted(reached), np.intp)
        return found, True


def _sorted(near: npt.NDArray[np.intp], far: npt.NDArray[np.intp]) -> Ends:
    order = np.argsort(near, kind="stable")
    return near[order], far[order]


def ids_of(numbers: npt.NDArray[np.integer], kind: int = NODE) -> pa.Array:
    """Return ids of 32 digits that look random, the same for the same numbers."""
    upper = _mixed(numbers.astype(np.uint64) + np.uint64((kind << 48) + SEED))
    digits = np.stack([upper, _mixed(upper)], axis=1).astype(">u8").tobytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits))


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return other numbers, one for each: the mixing of SplitMix64."""
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return found
