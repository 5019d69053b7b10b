"""Measure from how many rows on it is quicker to estimate first than to score each outright.

Promise: what is measured are made-up vectors, the same each time; nothing of a
store is looked at. Either way gives the same answer.

Source: docs/decisions/0023-calibrated-thresholds.md.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence_governance import vector_scan
from ringfence_governance.quantised import quantised
from ringfence_governance.thresholds import CHOICES
from ringfence_governance.vector_scan import Runs

from .scoring import cosine_scores

K = 10
"""How many are wanted where nobody says."""
TIMES = 7
"""How often each is measured; the median counts."""


def measured(dimensions: int) -> tuple[int, list[dict[str, Any]]]:
    """Return up to how many rows scoring each outright is not slower, and what was measured.

    Args:
        dimensions: Length of the vectors.

    Returns:
        One of :data:`thresholds.CHOICES`, and for each of them `rows`, `every_row_ms` and `estimate_first_ms`.
    """
    # As a process that answers many questions does it; without numba numpy serves both.
    vector_scan.load_kernels(dimensions)
    dice = np.random.default_rng(0)
    vectors = dice.standard_normal((CHOICES[-1], dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query, small = vectors[0].copy(), quantised(vectors)
    found = []
    for rows in CHOICES:
        whole = Runs(vectors, small, np.zeros(1, np.int64), np.full(1, rows, np.int64))

        def outright(whole: Runs = whole) -> None:
            _scored(whole, query)

        def estimated(whole: Runs = whole) -> None:
            near = vector_scan.nearest([whole], query, K + 1).astype(np.int64)
            _scored(Runs(vectors, small, near, near + 1), query)

        found.append(
            {"rows": rows, "every_row_ms": _median_ms(outright), "estimate_first_ms": _median_ms(estimated)}
        )
    return chosen(found), found


def chosen(found: list[dict[str, Any]]) -> int:
    """Return the largest number of rows up to which scoring each outright was never slower; the least if it was."""
    best = CHOICES[0]
    for each in found:
        if each["every_row_ms"] > each["estimate_first_ms"]:
            break
        best = each["rows"]
    return int(best)


def _scored(runs: Runs, query: npt.NDArray[np.float32]) -> None:
    if vector_scan.exact([runs], query) is None:
        spans = [
            np.arange(start, end) for start, end in zip(runs.starts.tolist(), runs.ends.tolist(), strict=True)
        ]
        cosine_scores(runs.vectors[np.concatenate(spans)], query)


def _median_ms(work: Callable[[], None]) -> float:
    work()
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken) * 1000, 4)
