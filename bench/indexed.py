"""Measure an indexed store's index against opening every readable row, and print the tables.

Promise: both answer the same questions of the same store in turn, and are compared hit by hit; made by the product's
own functions. Recall is counted against the exact answer of the same reader.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.authority.clock import summary
from bench.command import Command
from bench.drafts import Passage, draft_of
from bench.machine import noted_machine
from bench.page import machine_line, table
from ringfence_governance.door import Door
from ringfence_governance.drafts import DocumentDraft, SourceIdentity
from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.labels import Label
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.store_modes import StoreMode
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel
from ringfence_retrieval import listing
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.search import search

DIMENSIONS = 384
CHUNKS_PER_DOCUMENT = 100
CLUSTERS = 200
SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
"""How much of the store each reader may read."""
ADMIN = Subject("bench/user:admin")
SOURCE = SourceIdentity("file:///bench", "folder")
MODEL = VectorModel("bench/clusters", hashlib.sha256(b"version 1").hexdigest(), DIMENSIONS)
Vector = npt.NDArray[np.float32]

HEAD = """# Benchmark: indexed stores

Made by `make bench-indexed` (`python -m bench.indexed`) from [bench/results](../bench/results/indexed.json);
`python -m bench.indexed --render` makes this page from that file again. Do not edit it by hand.

**Machine.** {machine} Load average after the run {load_after}.

**How to read it.** One indexed store of {rows} passages with vectors of {dimensions} numbers in
{clusters} clusters, each passage of 40 words of a vocabulary of {words} (Zipf). Each reader may read
a share of the documents, drawn without regard to what they say. *Index* is the plan that is taken when
the rows do not fit into memory; *resident* the exact one, with all rows opened before. The two take turns
over the same questions; each time is that of a whole search with its durable record. *Recall* is the
share of the exact ten that the index found; *other score* counts hits with another score than the exact
plan gives that row: none by meaning or by words; joined, a row that the index missed by meaning makes the ranks
behind it one less.
"""


def reader(share: float) -> Subject:
    """Return who may read a share of the store."""
    return Subject(f"bench/user:{int(share * 1000)}")


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.indexed", __doc__, "indexed.json", "bench-indexed.md", page)
    command.run(_measured)


def _measured(given: argparse.Namespace) -> dict[str, object]:
    documents, questions, words = (10, 1, 300) if given.quick else (1000, 20, 30_000)
    where, folder = noted_machine(), Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    corpus = Corpus(documents, words)
    try:
        taken = {mode.name: _filled(folder / mode.name, mode, corpus) for mode in _modes()}
        door = Door.open(folder / "indexed" / "store", keys_home=folder / "indexed" / "keys")
        started = time.perf_counter()
        door.compact(ADMIN)
        compacted = time.perf_counter() - started
        asked = [_compared(door, corpus, share, mode, questions) for share in SHARES for mode in MODES]
        started = time.perf_counter()
        door.erase(ADMIN, [_any_document(door)], Reasoned("the benchmark asks for it"))
        erased = time.perf_counter() - started
        door.close()
        sizes = {name: _bytes(folder / name / "store") for name in taken}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "settings": {
            "rows": documents * CHUNKS_PER_DOCUMENT,
            "dimensions": DIMENSIONS,
            "clusters": CLUSTERS,
            "words": words,
        },
        "ingest_s": taken,
        "bytes": sizes,
        "compact_s": round(compacted, 2),
        "erase_s": round(erased, 2),
        "asked": asked,
    }


def _modes() -> tuple[StoreMode, StoreMode]:
    return StoreMode(), StoreMode("indexed", DIMENSIONS)


class Corpus:
    """Documents whose vectors lie in clusters, and questions near some of them; the same every time."""

    def __init__(self, documents: int, words: int) -> None:
        self.documents = documents
        self._dice = np.random.default_rng(7)
        self._centres = self._dice.standard_normal((CLUSTERS, DIMENSIONS)).astype(np.float32)
        weights = 1.0 / np.arange(1, words + 1)
        self._weights = weights / weights.sum()
        bands = np.searchsorted(
            np.asarray(SHARES), self._dice.permutation(documents) / documents, side="right"
        )
        # The few documents of the smallest share are at least one.
        bands[0] = 0
        self._bands = np.minimum(bands, len(SHARES) - 1)

    def drafts(self, first: int, count: int) -> Iterator[DocumentDraft]:
        """Yield some documents."""
        for number in range(first, first + count):
            dice = np.random.default_rng(1000 + number)
            vectors = self._near(dice, CHUNKS_PER_DOCUMENT)
            held = dice.choice(len(self._weights), (CHUNKS_PER_DOCUMENT, 40), p=self._weights)
            texts = [" ".join(f"w{word}" for word in row) for row in held]
            yield _draft(number, texts, vectors, self._label(int(self._bands[number])))

    def question(self, number: int) -> tuple[str, Vector]:
        """Return some words and a vector."""
        dice = np.random.default_rng(90_000 + number)
        rare = dice.choice(len(self._weights), 2)
        common = dice.choice(min(100, len(self._weights)), 2)
        return " ".join(f"w{word}" for word in (*rare, *common)), self._near(dice, 1)[0]

    def _near(self, dice: np.random.Generator, count: int) -> Vector:
        centres = self._centres[dice.integers(0, CLUSTERS, count)]
        found = centres + 0.7 * dice.standard_normal((count, DIMENSIONS)).astype(np.float32)
        unit: Vector = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
        return unit

    @staticmethod
    def _label(band: int) -> Label:
        return Label("bench", ADMIN.person, frozenset(reader(share).person for share in SHARES[band:]))


def _draft(number: int, texts: Sequence[str], vectors: Vector, label: Label) -> DocumentDraft:
    passages = [
        Passage(text, vector, tuple(text.split()), 40) for text, vector in zip(texts, vectors, strict=True)
    ]
    return draft_of(f"{number}.txt", passages, label)


def _filled(folder: Path, mode: StoreMode, corpus: Corpus) -> float:
    """Make a store, fill it in ten publications, and return how many seconds that took."""
    folder.mkdir()
    bundle = PolicyBundle(shipped_default().rows, (), "benchmark")
    door, _ = Door.create(folder / "store", bundle, ADMIN.person, keys_home=folder / "keys", mode=mode)
    step = max(corpus.documents // 10, 1)
    made = [list(corpus.drafts(first, step)) for first in range(0, corpus.documents, step)]
    started = time.perf_counter()
    for drafts in made:
        with door.ingestion(ADMIN, SOURCE, MODEL, pipeline="bench") as ingestion:
            for draft in drafts:
                ingestion.put(draft)
    taken = time.perf_counter() - started
    door.close()
    return round(taken, 2)


def _compared(door: Door, corpus: Corpus, share: float, mode: Any, questions: int) -> dict[str, object]:
    """Ask the index and the resident rows the same questions in turn."""
    times: dict[str, list[float]] = {"index": [], "resident": []}
    found = wanted = wrong = 0
    readable = 0
    for number in range(-1, questions):
        text, vector = corpus.question(number + 1)
        hits = {}
        for plan, room in (("index", 0), ("resident", 1 << 40)):
            _limit(door, room)
            started = time.perf_counter()
            result = search(door, reader(share), Question(text, 10, mode, "none"), lambda _, v=vector: v)
            if number >= 0:
                times[plan].append(time.perf_counter() - started)
            hits[plan] = {hit.id: hit.score for hit in result}
            readable = result.readable
        exact = hits["resident"]
        found += len(hits["index"].keys() & exact.keys())
        wanted += len(exact)
        wrong += sum(exact[row] != score for row, score in hits["index"].items() if row in exact)
    return {
        "share": share,
        "readable": readable,
        "mode": mode,
        "index_ms": summary(times["index"], 1e3, 50, 95),
        "resident_ms": summary(times["resident"], 1e3, 50, 95),
        "recall": round(found / wanted, 4) if wanted else None,
        "wrong": wrong,
    }


def _limit(door: Door, room: int) -> None:
    """Say how many rows may be opened before the index is asked, and let no opened row go."""
    resident: Any = door._Door__ground.resident  # type: ignore[attr-defined]
    resident._budget = room


def _any_document(door: Door) -> str:
    return next(iter(listing.documents(door, reader(SHARES[0])))).id


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "lance").rglob("*") if file.is_file())


def page(found: Mapping[str, Any]) -> str:
    """Return the page of a result file."""
    machine, settings = found["machine"], found["settings"]
    asked = table(
        ["readable", "index p50 ms", "p95", "resident p50 ms", "index / resident", "recall", "other score"],
        [
            [
                f"{each['share']:.1%} ({each['readable']}), {each['mode']}",
                f"{each['index_ms']['p50']}",
                f"{each['index_ms']['p95']}",
                f"{each['resident_ms']['p50']}",
                f"{each['index_ms']['p50'] / each['resident_ms']['p50']:.2f}",
                f"{each['recall']}",
                f"{each['wrong']}",
            ]
            for each in found["asked"]
        ],
    )
    ingest, sizes = found["ingest_s"], found["bytes"]
    costs = table(
        ["", "sealed", "indexed", "ratio"],
        [
            ["ingest, vectors given, s", f"{ingest['sealed']}", f"{ingest['indexed']}", _ratio(ingest)],
            ["bytes of the tables, MB", *(f"{sizes[name] / 1e6:.1f}" for name in sizes), _ratio(sizes)],
        ],
    )
    return "\n".join(
        [
            HEAD.format(machine=machine_line(machine), load_after=machine["load_after"], **settings),
            "## Questions\n",
            asked,
            "\n## What it costs\n",
            costs,
            f"\nCompacting the indexed store, indexes made anew with it: {found['compact_s']} s. Erasing one document,"
            f" indexes made anew and every byte looked at: {found['erase_s']} s.\n",
        ]
    )


def _ratio(pair: Mapping[str, float]) -> str:
    return f"{pair['indexed'] / pair['sealed']:.2f}"


if __name__ == "__main__":
    main()
