"""Measure governed ingest and search against plain LanceDB, and print the table.

Promise: one command, one run, one result file; the page is made from the file and from nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from ringfence_governance.key_file import HOME_VARIABLE

from . import ingest_cost, search_cost
from .command import Command
from .corpus import PARAGRAPHS, SEED, Corpus
from .machine import noted_machine
from .page import page


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench", __doc__, "governed-against-plain.json", "bench.md", page)
    parser = command.parser()
    parser.add_argument("--passages", type=int, default=20_000, help="how many are ingested and searched")
    parser.add_argument("--model-passages", type=int, default=300, help="with MiniLM; 0: not at all")
    parser.add_argument("--rounds", type=int, default=3, help="ingests of each kind")
    parser.add_argument("--questions", type=int, default=20, help="for each share and mode")
    given = parser.parse_args()
    if given.quick:
        given.passages, given.model_passages, given.rounds, given.questions = 200, 0, 1, 1
    if given.passages % PARAGRAPHS or given.passages < 2 * PARAGRAPHS:
        parser.error(f"--passages must be a multiple of {PARAGRAPHS} from {2 * PARAGRAPHS}")
    command.carry_out(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> dict[str, object]:
    where = noted_machine()
    folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    # A key home of the run's own; the processes it starts inherit it.
    os.environ[HOME_VARIABLE] = str(folder / "keys")
    corpus = Corpus(given.passages)
    try:
        ingests = [ingest_cost.compare(given.passages, "digest", given.rounds, folder)]
        if given.model_passages:
            ingests.append(ingest_cost.compare(given.model_passages, "minilm", given.rounds, folder))
        governed = ingest_cost.folder_of(folder, "governed", given.rounds)
        plain = ingest_cost.folder_of(folder, "plain", given.rounds)
        searches = search_cost.compare(corpus, ingest_cost.opened("digest"), governed, plain, given.questions)
        kinds = search_cost.MEMORY_KINDS[: 1 if given.quick else None]
        memory = search_cost.memory(corpus, "digest", governed, plain, kinds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": where,
        "settings": {
            "passages": given.passages,
            "labels": corpus.labels + 1,
            "seed": SEED,
            "k": search_cost.K,
            "dimensions": 384,
        },
        "ingest": ingests,
        "search": searches,
        "search_peak_memory_bytes": memory,
    }


if __name__ == "__main__":
    main()
