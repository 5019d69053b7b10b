"""How many passages a second are ingested: by the pipeline alone, into plain LanceDB, and governed?

Promise: the same documents go through the same parser, chunker and embedder; only the door differs. Each
run has a process and a folder of its own, and the kinds take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import ringfence_ingest.drafting
from ringfence_governance.subjects import Subject
from ringfence_ingest.embedders import Embedder, open_embedder
from ringfence_ingest.pipeline import ingest
from ringfence_ingest.sources import open_source

import ringfence

from .corpus import INGESTER, LABELS, Corpus
from .digest_embedder import DigestEmbedder
from .machine import bytes_of, in_a_process, peak_memory_bytes, spread
from .plain_store import NoDoor, PlainDoor, index_text

KINDS = ("pipeline", "plain", "governed")


def compare(passages: int, embedder: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Run every kind `rounds` times in turn; return each kind's median and the spread of its rounds.

    The last round's folders stay for the search benchmark.
    """
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS[number % len(KINDS) :] + KINDS[: number % len(KINDS)]:
            target = folder / f"{embedder}-{kind}-{number}"
            runs[kind].append(_run_apart(kind, passages, embedder, target))
    return {
        "passages": runs["governed"][0]["passages"],
        "embedder": embedder,
        "rounds": rounds,
        "kinds": {kind: _middle(found) for kind, found in runs.items()},
    }


def folder_of(folder: Path, kind: str, rounds: int) -> Path:
    """Return where the last round with the digest embedder left what it stored."""
    return folder / f"digest-{kind}-{rounds - 1}" / "store"


def opened(embedder: str) -> Embedder:
    """Return the embedder of a name; `digest` is the benchmark's own."""
    return DigestEmbedder() if embedder == "digest" else open_embedder(embedder)


def _run_apart(kind: str, passages: int, embedder: str, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    command = ["bench.ingest_cost", kind, str(passages), embedder, str(folder)]
    return in_a_process(command)


def _middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    middle = {name: median(run[name] for run in runs) for name in runs[0] if name != "passages"}
    return {**middle, "spread": spread([run["seconds"] for run in runs])}


def _run(kind: str, corpus: Corpus, embedder: Embedder, folder: Path) -> dict[str, Any]:
    documents = list(corpus.documents())
    embedder.embed(["warm"])
    return _TIMED[kind](corpus, embedder, folder / "store", open_source(documents))


def _governed(corpus: Corpus, embedder: Embedder, folder: Path, source: Any) -> dict[str, Any]:
    with ringfence.create(folder, admin=INGESTER, embedder=embedder) as store:
        started = time.perf_counter()
        summary = store.ingest(source, as_user=INGESTER)
        seconds = time.perf_counter() - started
    return {"passages": summary.chunks, "seconds": seconds, "index_seconds": 0.0, "bytes": bytes_of(folder)}


def _plain(corpus: Corpus, embedder: Embedder, folder: Path, source: Any) -> dict[str, Any]:
    # Only Ringfence keeps a word list with each passage; LanceDB makes its own when it indexes.
    ringfence_ingest.drafting.terms = _no_terms
    door = PlainDoor(folder, {corpus.label(number): number for number in range(LABELS + 1)})
    started = time.perf_counter()
    summary = ingest(door, Subject(INGESTER), [source], embedder=embedder)
    stored = time.perf_counter()
    index_text(folder)
    return {
        "passages": summary.chunks,
        "seconds": stored - started,
        "index_seconds": time.perf_counter() - stored,
        "bytes": bytes_of(folder),
    }


def _pipeline(corpus: Corpus, embedder: Embedder, folder: Path, source: Any) -> dict[str, Any]:
    started = time.perf_counter()
    summary = ingest(NoDoor(), Subject(INGESTER), [source], embedder=embedder)
    return {
        "passages": summary.chunks,
        "seconds": time.perf_counter() - started,
        "index_seconds": 0.0,
        "bytes": 0,
    }


def _no_terms(text: str, language: str = "english") -> list[str]:
    return []


_TIMED: Mapping[str, Callable[[Corpus, Embedder, Path, Any], dict[str, Any]]] = {
    "governed": _governed,
    "plain": _plain,
    "pipeline": _pipeline,
}


def main() -> None:
    """Run one kind once, in this process, and print its numbers as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("passages", type=int)
    parser.add_argument("embedder")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    facts = _run(given.kind, Corpus(given.passages), opened(given.embedder), given.folder)
    print(json.dumps({**facts, "peak_memory_bytes": peak_memory_bytes()}))


if __name__ == "__main__":
    main()
