"""Promise 7: the log is a chain, and cutting or changing it is found."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .reader_questions import cli_answer
from .recorded_store import (
    DORA,
    OLGA,
    RITA,
    assert_chained,
    recorded_store,
    records,
)
from .seeded_store import SeededStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeededStore]:
    """A store of its own, all of whose records are in one segment."""
    store = recorded_store(tmp_path)
    yield store
    store.close()


@pytest.mark.parametrize("harm", ["changed", "left out", "swapped", "slipped in", "renumbered"])
def test_a_harmed_chain_does_not_verify(harm: str, store: SeededStore) -> None:
    for _ in range(4):
        store.reader(RITA).list()
    (segment,) = (store.path / "audit").glob("*.jsonl")
    lines = segment.read_text("utf-8").splitlines()
    assert assert_chained(store.path) == len(lines)
    changed = {
        "changed": [*lines[:2], lines[2].replace(RITA, DORA), *lines[3:]],
        "left out": [*lines[:2], *lines[3:]],
        "swapped": [*lines[:2], lines[3], lines[2], *lines[4:]],
        "slipped in": [*lines[:3], lines[2], *lines[3:]],
        "renumbered": [*lines[:2], lines[2].replace('"number":3', '"number":9'), *lines[3:]],
    }[harm]
    segment.write_text("\n".join(changed) + "\n", "utf-8")
    with pytest.raises(AssertionError):
        assert_chained(store.path)


COUNTER = """
import sys
from pathlib import Path
from ringfence.reader import Reader
from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject

path, home, who, times = sys.argv[1:]
door = Door.open(Path(path), keys_home=Path(home))
reader = Reader(door, Subject(who), lambda text: None)
for _ in range(int(times)):
    reader.count()
door.close()
"""


def test_processes_that_read_at_once_each_write_a_whole_chain(store: SeededStore) -> None:
    before = len(records(store.path))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", COUNTER, str(store.path), str(store.home), RITA, "15"]
    readers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    for _ in range(15):
        store.reader(RITA).count()
    for process in readers:
        assert process.wait(60) == 0
    assert assert_chained(store.path) == before + 45


# Against whoever can write the files.


def checkpoint(store: SeededStore, witness: Path) -> None:
    words = ["audit", "checkpoint", "STORE", "--witness", str(witness), "--as", OLGA, "--json"]
    code, out, errors = cli_answer(words, store.path, store.home)
    assert code == 0, (out, errors)


def verified(store: SeededStore, *words: str) -> tuple[int, dict[str, Any]]:
    command = ["audit", "verify", "STORE", *words, "--as", OLGA, "--json"]
    code, out, errors = cli_answer(command, store.path, store.home)
    assert out, errors
    return code, json.loads(out)


def files_of_the_log(store: SeededStore) -> dict[Path, bytes]:
    """The whole log as it lies in the store: segments, checkpoints, what was handed to whom."""
    folders = (store.path / "audit", store.path / "checkpoints")
    return {file: file.read_bytes() for folder in folders for file in folder.iterdir()}


@pytest.mark.parametrize(
    "harm",
    ["the last records cut off", "a segment gone", "the whole folder of yesterday", "a record left out"],
)
def test_a_log_cut_short_is_found_against_a_witness(harm: str, store: SeededStore, tmp_path: Path) -> None:
    """Whoever cuts it puts yesterday's checkpoints back too, so that the store agrees with itself."""
    witness = tmp_path / "witness.jsonl"
    store.reader(RITA).list()
    checkpoint(store, witness)
    yesterday = files_of_the_log(store)
    store.reader(RITA).search("pump")
    (lost,) = [record for record in records(store.path) if record["verb"] == "search"]
    checkpoint(store, witness)
    assert verified(store, "--witness", str(witness))[0] == 0
    store.close()
    segment = store.path / "audit" / f"{lost['segment']}.jsonl"
    lines = segment.read_text("utf-8").splitlines(keepends=True)
    if harm == "the last records cut off":
        segment.write_text("".join(lines[:-1]), "utf-8")
    elif harm == "a segment gone":
        segment.unlink()
    elif harm == "a record left out":
        segment.write_text("".join([*lines[:1], *lines[2:]]), "utf-8")
    else:
        for file in files_of_the_log(store):
            file.write_bytes(yesterday.get(file, b""))
    for file, content in yesterday.items():
        if file.parent.name == "checkpoints":
            file.write_bytes(content)
    code, report = verified(store, "--witness", str(witness))
    assert (code, report["valid"]) == (1, False)
    first = {"a segment gone": 1, "a record left out": 2}.get(harm, lost["number"])
    assert (lost["segment"], first) in {(each["segment"], each["number"]) for each in report["findings"]}


def test_without_a_witness_verify_says_what_it_cannot_know(store: SeededStore) -> None:
    code, report = verified(store)
    assert (code, report["valid"], report["witnessed"]) == (0, True, 0)
    assert any("no witness was asked" in each for each in report["unknown"])


def test_a_chain_made_anew_by_who_can_write_the_files_is_found(store: SeededStore) -> None:
    store.reader(RITA).list()
    store.close()
    (segment,) = (store.path / "audit").glob("*.jsonl")
    previous, forged = "0" * 64, []
    for line in segment.read_text("utf-8").splitlines():
        fields = json.loads(line.replace(RITA, DORA)) | {"previous": previous}
        del fields["digest"]
        body = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(body.encode()).hexdigest()
        forged.append(f'{body[:-1]},"digest":"{previous}"}}')
    segment.write_text("\n".join(forged) + "\n", "utf-8")
    assert assert_chained(store.path) == len(forged)
    code, report = verified(store)
    assert (code, report["valid"]) == (1, False)
    assert {(each["kind"], each["segment"]) for each in report["findings"]} == {("rewritten", segment.stem)}
