"""Put a reader's rows together by their documents: the best of each, and how many there are of each kind.

Promise: what is counted are the rows that match, which are the reader's own;
a value of which he may read no matching row is not told, not even as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ringfence_governance.readable_rows import ReadableRows, RowDocuments

from .ranking import Places
from .results import Facet

if TYPE_CHECKING:
    import pyarrow as pa

FACET_VALUES_MAX = 100
"""How many values of a column are told, the most frequent first."""


class SeenDocuments:
    """The documents of the rows that match, pass by pass.

    Args:
        facets: The columns that are counted.
    """

    def __init__(self, facets: Sequence[str]) -> None:
        self._facets = tuple(facets)
        self._seen: list[RowDocuments] = []

    def add(self, rows: ReadableRows, places: Places) -> None:
        """Note the documents of some rows of a pass."""
        self._seen.append(rows.documents(["id", "atom", *self._facets], places))

    def numbers(self) -> npt.NDArray[np.intp]:
        """Return a number for each row that was added, in their order: equal for rows of one document alone."""
        return self._coded("id")[self._of()]

    def atoms(self) -> frozenset[int]:
        """Return the atoms of all the documents."""
        return frozenset(self._facts().column("atom").to_pylist()) if self._seen else frozenset()

    def counts(self, *, documents: bool) -> dict[str, Facet]:
        """Return how many rows there are of each value of each column.

        Args:
            documents: Whether documents are counted, and not rows.
        """
        if not self._seen:
            return {name: Facet({}, 0) for name in self._facets}
        # A document may stand in several places; it is counted at the first.
        first = np.unique(self._coded("id"), return_index=True)[1]
        weights = np.bincount(self._of(), minlength=self._facts().num_rows)
        found = {}
        for name in self._facets:
            values, codes = self._encoded(name)
            counted = np.bincount(
                codes[first] if documents else np.repeat(codes, weights), minlength=len(values)
            )
            pairs = sorted(zip(values, counted.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
            found[name] = Facet(dict(pairs[:FACET_VALUES_MAX]), len(pairs))
        return found

    def _facts(self) -> pa.Table:
        import pyarrow as pa

        return pa.concat_tables([each.facts for each in self._seen])

    def _of(self) -> npt.NDArray[np.intp]:
        before = np.cumsum([0, *(each.facts.num_rows for each in self._seen)])
        parts = [each.of + start for each, start in zip(self._seen, before.tolist(), strict=False)]
        return np.concatenate(parts) if parts else np.zeros(0, np.intp)

    def _coded(self, name: str) -> npt.NDArray[np.intp]:
        return self._encoded(name)[1] if self._seen else np.zeros(0, np.intp)

    def _encoded(self, name: str) -> tuple[list[str], npt.NDArray[np.intp]]:
        """Return the values of a column, each once, and which of them each document has."""
        found = self._facts().column(name).combine_chunks().dictionary_encode()
        return found.dictionary.to_pylist(), found.indices.to_numpy().astype(np.intp)


def best_of_each(order: Places, numbers: npt.NDArray[np.intp]) -> Places:
    """Return of rows in their order those that are the first of their document.

    Args:
        numbers: The document of each row, by its place.
    """
    first = np.unique(numbers[order], return_index=True)[1]
    return order[np.sort(first)]
