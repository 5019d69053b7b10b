"""How many passages a second are ingested: by the pipeline alone, into plain LanceDB, and governed?

Promise: the same documents go through the same parser, chunker and embedder; only the door differs. Each
run has a process and a folder of its own, and the kinds take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import ringfence
from ringfence_governance.subjects import Subject
from ringfence_ingest.documents import Source
from ringfence_ingest.embedders import Embedder, open_embedder
from ringfence_ingest.pipeline import ingest
from ringfence_ingest.sources import open_source
from ringfence_ingest.summary import Summary

from .corpus import INGESTER, Corpus
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
    source = open_source(list(corpus.documents()))
    embedder.embed(["warm"])
    started = time.perf_counter()
    summary = _ingested(kind, corpus, embedder, folder / "store", source)
    stored = time.perf_counter()
    if kind == "plain":
        index_text(folder / "store")
    return {
        "passages": summary.chunks,
        "seconds": stored - started,
        "index_seconds": time.perf_counter() - stored,
        "bytes": bytes_of(folder / "store"),
    }


def _ingested(kind: str, corpus: Corpus, embedder: Embedder, folder: Path, source: Source) -> Summary:
    """Ingest into a new place of this kind; making the empty place is part of it."""
    ingester = Subject(INGESTER)
    if kind == "governed":
        with ringfence.create(folder, admin=INGESTER, embedder=embedder) as store:
            return store.ingest(source, as_user=INGESTER)
    if kind == "pipeline":
        return ingest(NoDoor(), ingester, [source], embedder=embedder)
    door = PlainDoor(folder, {corpus.label(number): number for number in range(corpus.labels + 1)})
    # Only Ringfence keeps a word list with each passage; LanceDB makes its own when it indexes.
    with patch("ringfence_ingest.drafting.terms", _no_terms):
        return ingest(door, ingester, [source], embedder=embedder)


def _no_terms(_text: str, _language: str) -> list[str]:
    return []


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
