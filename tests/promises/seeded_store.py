"""Make small stores quickly: labelled pages through the door, every id and key drawn from one seed.

Two stores made with one seed give the same document, run and label the same
id and the same keys, whatever else is written to either of them.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ringfence.reader import Reader
from ringfence_governance.ambient import Ambient
from ringfence_governance.door import Door
from ringfence_governance.drafts import ChunkDraft, DocumentDraft, LabelChoice, SourceIdentity
from ringfence_governance.labels import NamedLabel
from ringfence_governance.policy_checks import check_rows
from ringfence_governance.policy_rows import PolicyRows, from_fields
from ringfence_governance.policy_text import PolicyBundle
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms
from ringfence_ingest.embedders import open_embedder

PASSAGE_BREAK = "\n\n"
PIPELINE = "promises 1"
EMBEDDER = open_embedder("hash")

GENERIC_RULES = (
    "p, *, *, *, read, owner, *, -, -, allow",
    "p, *, *, *, read, reader, *, -, -, allow",
    "p, *, *, *, *, denied, *, -, -, deny",
)


class SeededRandomness:
    """Bytes from a seed, a purpose and a name; those of a run also from the step it is part of."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.step = 0
        self._used_up: Counter[tuple[str, str, int]] = Counter()

    def draw(self, size: int, purpose: str, name: str) -> bytes:
        """Return the same bytes for the same seed, purpose and name; for a run, another in each step."""
        place = (0, 0)
        if purpose in ("id:run", "id:lease", "id:segment"):
            place = (self.step, self._used_up[purpose, name, self.step])
            self._used_up[purpose, name, self.step] += 1
        recipe = f"{self.seed}|{purpose}|{name}|{place}".encode()
        return hashlib.blake2b(recipe, digest_size=size).digest()


class Clock:
    """A time that stands still until it is told otherwise."""

    def __init__(self, text: str = "2026-03-01T12:00:00Z") -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self._now = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    def advance(self, seconds: int) -> None:
        self._now += timedelta(seconds=seconds)

    def __call__(self) -> datetime:
        return self._now


@dataclass(frozen=True)
class Page:
    """One document to write: passages divided by blank lines, each a chunk of its own."""

    path: str
    text: str
    label: LabelChoice
    parents: tuple[str, ...] = ()
    title: str = ""

    def draft(self) -> DocumentDraft:
        content = self.text.encode()
        return DocumentDraft(
            path=self.path,
            title=self.title,
            media_type=("text/plain", "text/markdown")[len(content) % 2],
            modified=f"2026-01-{1 + len(content) % 28:02}T00:00:00Z" if len(content) % 3 else None,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            text=self.text,
            label=self.label,
            label_origin="argument",
            parents=self.parents,
            chunks=tuple(chunks(self.text)),
        )


def passages(text: str) -> list[tuple[int, str]]:
    """Return (start, passage) of each passage."""
    found, start = [], 0
    for passage in text.split(PASSAGE_BREAK):
        found.append((start, passage))
        start += len(passage) + len(PASSAGE_BREAK)
    return found


def chunks(text: str) -> Iterator[ChunkDraft]:
    for start, passage in passages(text):
        if not passage:
            continue
        words = tuple(terms(passage))
        yield ChunkDraft(start, start + len(passage), passage, embed(passage), words, len(words))


def embed(text: str) -> np.ndarray:
    """Return the vector of a text, by the embedder that needs no model."""
    return EMBEDDER.embed([text])[0]


class SharedWords:
    """A reranker that needs no model: how many words of the question a passage holds. Many are equal."""

    name = "shared words"

    def score(self, question: str, text: str) -> float:
        return float(len(set(terms(question)) & set(terms(text))))


def source(name: str) -> SourceIdentity:
    return SourceIdentity(f"file:///{name}", "folder")


def bundle(rows: Iterable[str], labels: Sequence[NamedLabel] = (), *, generic: bool = True) -> PolicyBundle:
    """Return a policy of lines as `policy.csv` has them, with the generic rules in front."""
    lines = [*(GENERIC_RULES if generic else ()), *rows]
    parsed = PolicyRows.of(from_fields([part.strip() for part in line.split(",")]) for line in lines)
    assert not check_rows(parsed, [label.name for label in labels])
    return PolicyBundle(rows=parsed, labels=tuple(labels), source="a test")


@dataclass
class SeededStore:
    """An open store with its clock and its seed."""

    path: Path
    home: Path
    door: Door
    clock: Clock
    randomness: SeededRandomness
    written: dict[str, str] = field(default_factory=dict)
    """Source and path of each document -> its id."""

    @classmethod
    def create(
        cls, folder: Path, policy: PolicyBundle, admin: str, *, seed: int = 0, clock: Clock | None = None
    ) -> SeededStore:
        """Make a store in `folder`, with its keys beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        clock = clock or Clock()
        randomness = SeededRandomness(seed)
        path, home = folder / "store", folder / "keys"
        door, _ = Door.create(
            path, policy, admin, keys_home=home, ambient=Ambient(clock=clock, randomness=randomness)
        )
        return cls(path, home, door, clock, randomness)

    def copied(self, folder: Path) -> SeededStore:
        """Open a copy of this store, which has to be closed; it goes on a second later."""
        folder.mkdir(parents=True, exist_ok=True)
        path, home = folder / "store", folder / "keys"
        shutil.copytree(self.path, path)
        shutil.copytree(self.home, home)
        clock, randomness = copy.deepcopy((self.clock, self.randomness))
        clock.advance(1)
        door = Door.open(path, keys_home=home, ambient=Ambient(clock=clock, randomness=randomness))
        return SeededStore(path, home, door, clock, randomness, dict(self.written))

    def reader(self, principal: str, *, via: Sequence[str] = (), purpose: str = "") -> Reader:
        return Reader(self.door, Subject(principal, tuple(via), purpose), embed, SharedWords)

    def write(
        self, ingester: str, pages: Iterable[Page], *, source_name: str = "files", step: int | None = None
    ) -> list[str]:
        """Ingest pages in one run and one publication; return their ids."""
        with self.ingestion(ingester, source_name=source_name, step=step) as ingestion:
            ids = []
            for page in pages:
                ids.append(ingestion.put(page.draft()))
                self.written[f"{source_name}/{page.path}"] = ids[-1]
        return ids

    @contextmanager
    def ingestion(
        self, ingester: str, *, source_name: str = "files", step: int | None = None, purpose: str = ""
    ) -> Iterator:
        self.randomness.step = self.randomness.step + 1 if step is None else step
        subject = Subject(ingester, (), purpose)
        with self.door.ingestion(
            subject, source(source_name), EMBEDDER.model, pipeline=PIPELINE
        ) as ingestion:
            yield ingestion

    def close(self) -> None:
        self.door.close()
