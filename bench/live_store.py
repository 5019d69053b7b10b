"""Measure the first question after a publication, of a process that has all rows in memory.

Promise: each publication is the product's own, and each question that follows is of somebody who may read all rows.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.authority.clock import summary
from bench.drafts import Passage, draft_of
from bench.page import table
from bench.peers.ringfence_engines import ADMIN, EVERYBODY, SOURCE
from ringfence_governance.door import Door
from ringfence_governance.ingestion import Ingestion
from ringfence_governance.labels import Label
from ringfence_governance.vector_models import VectorModel
from ringfence_retrieval.questions import Question
from ringfence_retrieval.search import search

PASSAGES = 20
SEED = 20261127
HEAD = """## The first question after a publication

Of somebody who may read every row, all of them in memory before; {times} publications of each kind, one after the
other. Added is a document of {passages} passages, under a label that no other document had before; removed is one of
the store's, whose label has others.
"""


def measured(door: Door, dimensions: int, times: int) -> list[dict[str, object]]:
    """Return what publications took, and the questions after them.

    Args:
        dimensions: Of the store's vectors.
        times: Publications of each kind.
    """
    dice = np.random.default_rng(SEED)
    model = VectorModel("bench", hashlib.sha256(b"peers").hexdigest(), dimensions)
    # An owner of its own: a label that no other document has.
    label = Label("bench", "bench/user:owner-live", frozenset({EVERYBODY.person}))

    def add(number: int) -> Callable[[Ingestion], object]:
        vectors = dice.standard_normal((PASSAGES, dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        passages = [Passage(f"live {number}", each, ("live", f"w{number}"), 2) for each in vectors]
        draft = draft_of(f"live-{number}.txt", passages, label)
        return lambda ingestion: ingestion.put(draft)

    def remove(number: int) -> Callable[[Ingestion], object]:
        return lambda ingestion: ingestion.remove(f"{number}.txt")

    _ask(door, dimensions)
    return [
        {"what": what, **_of(door, model, [change(number) for number in range(times)])}
        for what, change in (("a document is added", add), ("a document is removed", remove))
    ]


def _of(
    door: Door, model: VectorModel, changes: Sequence[Callable[[Ingestion], object]]
) -> dict[str, object]:
    published, first, second = [], [], []
    for change in changes:
        started = time.perf_counter()
        with door.ingestion(ADMIN, SOURCE, model, pipeline="bench") as ingestion:
            change(ingestion)
        published.append(time.perf_counter() - started)
        first.append(_ask(door, model.dimensions))
        second.append(_ask(door, model.dimensions))
    found = {"publication": published, "first": first, "second": second}
    return {f"{name}_ms": summary(taken, 1e3, 50) for name, taken in found.items()}


def _ask(door: Door, dimensions: int) -> float:
    vector = np.full(dimensions, dimensions**-0.5, np.float32)
    started = time.perf_counter()
    search(door, EVERYBODY, Question("what is new", 10, "vector"), lambda _: vector)
    return time.perf_counter() - started


def section(found: Sequence[dict[str, Any]]) -> str:
    """Return what a page says of it; nothing of a run that did not look at it."""
    if not found:
        return ""
    rows = [
        [
            each["what"],
            *(
                f"{each[name]['p50']:.1f} / {each[name]['max']:.1f}"
                for name in ("publication_ms", "first_ms", "second_ms")
            ),
        ]
        for each in found
    ]
    shown = table(["", "publication, ms p50 / max", "first question after it", "second"], rows)
    return f"\n{HEAD.format(times=found[0]['first_ms']['count'], passages=PASSAGES)}\n{shown}"
