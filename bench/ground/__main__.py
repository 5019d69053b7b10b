"""Measure what publications, sealing and a crash cost, and print the tables.

Promise: one command, one run, one result file; the page is made from the file and from nothing else. What is
compared takes turns within the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.authority.clock import summary
from bench.command import Command
from bench.machine import noted_machine
from ringfence_governance.key_file import HOME_VARIABLE

from . import opening, publishing, sealing
from .page import page
from .plan import FULL, QUICK, Plan

STATES = ("left in peace", "writer killed")


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.ground", __doc__, "ground.json", "bench-ground.md", page)
    command.run(lambda given: _measured(QUICK if given.quick else FULL))


def _measured(plan: Plan) -> dict[str, object]:
    where = noted_machine()
    folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    # A key home of the run's own; the processes it starts inherit it.
    os.environ[HOME_VARIABLE] = str(folder / "keys")
    try:
        stores = [_store(folder, plan, publications) for publications in plan.publications]
        openings = _openings(folder, plan)
        batches = publishing.by_size(folder / "batches", plan.batches, plan.rounds)
        compared = [sealing.compare("digest", plan.passages, plan.rounds, plan.questions, folder)]
        if plan.model_passages:
            compared.append(
                sealing.compare("minilm", plan.model_passages, plan.rounds, plan.questions, folder)
            )
        weighed = folder / "weighed"
        weighed.mkdir()
        weights = sealing.weights(folder / "digest", weighed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "settings": asdict(plan),
        "stores": stores,
        "opening": openings,
        "batches": batches,
        "sealing": [_costs(each) for each in compared],
        "weights": weights,
    }


def _store(folder: Path, plan: Plan, publications: int) -> dict[str, object]:
    """Make a store and its copy in which a writer was killed; return how long its publications took."""
    made = folder / f"store-{publications}"
    taken = publishing.make_in(made, plan.documents, publications)
    print(f"publications {publications}", file=sys.stderr)
    killed = Path(shutil.copytree(made, folder / f"killed-{publications}"))
    command = [sys.executable, "-m", "bench.ground.opening", str(killed), "--die", str(plan.documents)]
    died = subprocess.run(command, check=False)
    if died.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the writer ended with {died.returncode}; expected it to be killed")
    return {
        "publications": publications,
        "documents": plan.documents,
        "taken": taken,
        "lies": publishing.what_lies(made),
    }


def _openings(folder: Path, plan: Plan) -> list[dict[str, object]]:
    """Open every store and its copy in turn."""
    places = {
        (publications, state): folder / f"{name}-{publications}"
        for publications in plan.publications
        for state, name in zip(STATES, ("store", "killed"), strict=True)
    }
    taken: dict[tuple[int, str], list[dict[str, Any]]] = {place: [] for place in places}
    for _ in range(plan.openings):
        for place, path in places.items():
            taken[place].append(opening.open_apart(path))
    return [
        {
            "publications": publications,
            "state": state,
            "hits": found[0]["hits"],
            **{
                f"{name}_ms": summary([each[f"{name}_s"] for each in found], 1e3, 50)
                for name in ("open", "first", "second", "cpu")
            },
        }
        for (publications, state), found in taken.items()
    ]


def _costs(compared: dict[str, Any]) -> dict[str, object]:
    """Return the middle of each kind's times, of its process and on the wall."""
    return {
        "embedder": compared["embedder"],
        "passages": compared["passages"],
        "kinds": {
            kind: {
                act: {
                    clock: summary([each[clock] for each in found[act]], 1e3, 50) for clock in ("cpu", "wall")
                }
                for act in ("ingest", "search")
            }
            for kind, found in compared["kinds"].items()
        },
    }


if __name__ == "__main__":
    main()
