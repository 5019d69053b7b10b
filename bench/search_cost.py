"""How long does a search take, governed and in plain LanceDB, by how much a reader may read?

Promise: every question is put to every kind before the next question, in turning order, in one process; so
what else the machine does hits all alike. Times end when the hits are Python values.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, get_args

import ringfence
from ringfence_governance import vector_scan
from ringfence_ingest.embedders import Embedder

from .corpus import SELECTIVITIES, Corpus, reader
from .ingest_cost import opened
from .machine import in_a_process, peak_memory_bytes, percentile
from .plain_store import Mode, PlainReader
from .stages import NAMES, Stages

K = 10
KINDS = ("governed", "plain", "plain where", "plain masked")
MEMORY_KINDS = ("governed", "plain")
Ask = Callable[[str, Mode], object]


def compare(
    corpus: Corpus, embedder: Embedder, governed: Path, plain: Path, questions: int
) -> list[dict[str, Any]]:
    """Return one row for each share readable and mode.

    Args:
        governed: The governed store's folder.
        plain: The plain table's folder.
        questions: How many for each row.
    """
    asked = corpus.questions(questions)
    table: list[dict[str, Any]] = []
    # As a process has them that has asked for a while.
    vector_scan.load_kernels(len(embedder.embed(asked[:1])[0]))
    with ringfence.open(governed, embedder=embedder) as store, Stages().watched() as stages:
        for percent in SELECTIVITIES:
            person = store.as_user(reader(percent))
            started = time.perf_counter()
            readable = person.count()
            first_s = time.perf_counter() - started
            asks = _asks(person, PlainReader(plain, corpus.numbers_of(percent)), embedder)
            for mode in get_args(Mode):
                row = _row(asks, asked, mode, stages)
                table.append(
                    {
                        "percent": percent,
                        "mode": mode,
                        "readable": readable.chunks,
                        "first_authorisation_ms": _ms(first_s),
                        **row,
                    }
                )
    return table


def memory(
    corpus: Corpus, embedder_name: str, governed: Path, plain: Path, kinds: Sequence[str] = MEMORY_KINDS
) -> dict[str, int]:
    """Return, by kind, the peak memory of a process that only searches, as the reader of everything."""
    return {
        kind: in_a_process(
            ["bench.search_cost", kind, str(corpus.passages), embedder_name, str(governed), str(plain)]
        )["peak_memory_bytes"]
        for kind in kinds
    }


def _asks(person: ringfence.Reader, plain: PlainReader, embedder: Embedder) -> dict[str, Ask]:
    def vector(question: str) -> Any:
        return embedder.embed([question])[0]

    return {
        "governed": lambda question, mode: person.search(question, k=K, mode=mode),
        "plain": lambda question, mode: plain.search(vector(question), question, mode, K, filtered=False),
        "plain where": lambda question, mode: plain.search(
            vector(question), question, mode, K, filtered=True
        ),
        "plain masked": lambda question, mode: plain.masked(vector(question), question, mode, K),
    }


def _row(asks: dict[str, Ask], questions: list[str], mode: Mode, stages: Stages) -> dict[str, Any]:
    taken: dict[str, list[float]] = defaultdict(list)
    staged: list[dict[str, float]] = []
    for ask in asks.values():
        ask(questions[0], mode)
    stages.taken()
    for number, question in enumerate(questions):
        turn = number % len(KINDS)
        for kind in KINDS[turn:] + KINDS[:turn]:
            started = time.perf_counter()
            asks[kind](question, mode)
            taken[kind].append(time.perf_counter() - started)
            if kind == "governed":
                staged.append(stages.taken())
    extra = [stage.get("as_of", 0.0) + stage.get("record", 0.0) for stage in staged]
    taken["governed without as_of and record"] = [
        whole - part for whole, part in zip(taken["governed"], extra, strict=True)
    ]
    return {
        "questions": len(questions),
        "kinds": {
            kind: {"p50_ms": _ms(percentile(times, 50)), "p95_ms": _ms(percentile(times, 95))}
            for kind, times in taken.items()
        },
        "stages_ms": {name: _ms(mean(stage.get(name, 0.0) for stage in staged)) for name in NAMES},
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def main() -> None:
    """Ask a few questions of one kind as the reader of everything; print the peak memory as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=MEMORY_KINDS)
    parser.add_argument("passages", type=int)
    parser.add_argument("embedder")
    parser.add_argument("governed", type=Path)
    parser.add_argument("plain", type=Path)
    given = parser.parse_args()
    corpus, embedder = Corpus(given.passages), opened(given.embedder)
    everything = SELECTIVITIES[-1]
    questions = corpus.questions(3)
    if given.kind == "governed":
        with ringfence.open(given.governed, embedder=embedder) as store:
            for question in questions:
                store.as_user(reader(everything)).search(question, k=K)
    else:
        plain = PlainReader(given.plain, corpus.numbers_of(everything))
        for question in questions:
            plain.search(embedder.embed([question])[0], question, "hybrid", K, filtered=False)
    print(json.dumps({"peak_memory_bytes": peak_memory_bytes()}))


if __name__ == "__main__":
    main()
