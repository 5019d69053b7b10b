"""Writers and readers that work beside each other for a time, and what each must find at any moment.

Run in processes of their own by `processes.py`. Each writer follows a line of publications that is known
beforehand, so a reader can tell from one document which publication it sees, and then what all others must be.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from ringfence_governance.door import Door
from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.errors import RingfenceError, StoreBusy
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.subjects import Subject

from .dying import READERS, WRITER, State, choice
from .worlds import MODEL, draft, vector

WRITERS = ("w0", "w1")
OWNER, STRANGER = "acme/user:dora", "acme/user:nobody"
PEOPLE = (*READERS, OWNER, STRANGER)
"""Who reads: the two between whom labels change, one who reads all, and one who reads nothing."""

PAUSE_S = 0.02
"""How long a writer stays away when another writes, and after each publication, on average."""
REOPENED_EVERY = 25
"""Reads after which a reader closes the store and opens it again."""


def state_after(writer: str, number: int) -> State:
    """What a writer's source holds after so many of its publications.

    One new document stays each time; two others are replaced and change sides, one is relabelled alone.
    """
    if not number:
        return {}
    state: State = {
        f"{writer}/kept {step}": (f"kept {step} of {writer}", step % 2) for step in range(1, number + 1)
    }
    state[f"{writer}/a"] = (f"a of {number}\nand more of {number}", number % 2)
    state[f"{writer}/b"] = (f"b of {number}\nand more of {number}", (number + 1) % 2)
    state[f"{writer}/moved"] = ("moved\nand whole", number % 2)
    return state


def view(writer: str, number: int, who: str) -> dict[str, str]:
    """Path → text of what one person reads of it."""
    side = READERS.index(who) if who in READERS else None
    state = state_after(writer, number) if who != STRANGER else {}
    return {path: text for path, (text, reader) in state.items() if side in (None, reader)}


def number_seen(writer: str, who: str, seen: Mapping[str, str]) -> int:
    """Return which publication of a writer is seen; raise if it is none, whole and alone."""
    part = {path: text for path, text in seen.items() if path.startswith(f"{writer}/")}
    told = [part[path].split()[2] for path in (f"{writer}/a", f"{writer}/b") if path in part]
    number = int(told[0]) if told else 0
    expected = view(writer, number, who)
    if part != expected:
        wrong = sorted(set(part.items()) ^ set(expected.items()))
        raise AssertionError(f"{who} sees no publication of {writer}, near {number}: {wrong[:6]}")
    return number


def look(door: Door, who: str) -> dict[str, str]:
    """Return path → text of all one person reads, put together from the chunks; vectors and terms are checked."""

    def work(reader: GrantedReader) -> Answer[dict[str, str]]:
        documents = {found.document_id: str(found.metadata["path"]) for found in reader.documents()}
        block = reader.chunks(vectors=True, terms=True)
        texts = reader.chunk_texts(block.ids)
        assert block.vectors is not None
        assert block.terms is not None
        for row, words, numbers in zip(block.ids, block.terms, block.vectors, strict=True):
            assert list(words) == texts[row].text.split(), "the terms are those of another text"
            assert numbers.tobytes() == vector(texts[row].text).tobytes(), (
                "the vector is that of another text"
            )
        parts: dict[str, list[str]] = defaultdict(list)
        for found in sorted(texts.values(), key=lambda each: each.start):
            parts[documents[found.document_id]].append(found.text)
        assert set(parts) == set(documents.values()), "a document is seen without its chunks"
        rows = [(found.document_id, found.atom) for found in reader.documents()]
        rows += zip(block.ids, map(int, block.atoms), strict=True)
        seen = {path: "".join(part) for path, part in parts.items()}
        return Answer(rows, lambda as_of: seen, documents=list(documents))

    return door.read(Subject(who), "list", work)


def write_beside(folder: Path, writer: str, seconds: float) -> dict[str, object]:
    """Publish along the line for a time, twice at least, waiting whenever the other writes; say how far it came."""
    door, dice = _opened(folder), random.Random(writer)
    until, number, waited = time.monotonic() + seconds, 0, 0
    took: list[float] = []
    while time.monotonic() < until or number < 2:
        started = time.monotonic()
        try:
            _publish(door, writer, number + 1)
        except StoreBusy:
            waited += 1
        else:
            number += 1
            took.append(time.monotonic() - started)
        time.sleep(dice.uniform(0, 2 * PAUSE_S))
    door.close()
    return {"writer": writer, "published": number, "waited": waited, **_pace(took)}


def _publish(door: Door, writer: str, number: int) -> None:
    before, after = state_after(writer, number - 1), state_after(writer, number)
    source = SourceIdentity(f"file:///beside/{writer}", "folder")
    with door.ingestion(Subject(WRITER), source, MODEL, pipeline="1") as ingestion:
        for path, (text, reader) in after.items():
            if path not in before or before[path][0] != text:
                ingestion.put(draft(path, text, choice(reader)))
            elif before[path][1] != reader:
                assert ingestion.relabel(path, choice(reader))


def read_beside(folder: Path, who: str, seconds: float) -> dict[str, object]:
    """Read everything one person may, over and over; say what was seen last and what was wrong."""
    door, until = _opened(folder), time.monotonic() + seconds
    numbers, took, wrong = dict.fromkeys(WRITERS, 0), list[float](), list[str]()
    while time.monotonic() < until and not wrong:
        started = time.monotonic()
        try:
            seen = look(door, who)
            for writer in WRITERS:
                number = number_seen(writer, who, seen)
                assert number >= numbers[writer] or who == STRANGER, (
                    f"{who} went back from {numbers} to {number}"
                )
                numbers[writer] = number
            assert all(path.startswith(WRITERS) for path in seen)
        except (RingfenceError, AssertionError) as error:
            wrong.append(f"{type(error).__name__}: {error}")
        took.append(time.monotonic() - started)
        if len(took) % REOPENED_EVERY == 0:
            door.close()
            door = _opened(folder)
    door.close()
    return {"who": who, "reads": len(took), "seen": numbers, "wrong": wrong, **_pace(took)}


def _opened(folder: Path) -> Door:
    # By the true clock: leases of several processes are held against each other.
    return Door.open(folder / "store", keys_home=folder / "keys")


def _pace(took: list[float]) -> dict[str, list[float]]:
    """Return the middle of the first and of the last tenth of some times, in milliseconds."""
    part = max(1, len(took) // 10)
    return {
        "ms": [round(sorted(each)[len(each) // 2] * 1000, 1) for each in (took[:part], took[-part:]) if each]
    }
