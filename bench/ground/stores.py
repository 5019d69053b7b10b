"""Real stores of short documents, made in as many publications as are asked for, and opened as anybody opens one.

Promise: made by the product's own functions, with its defaults; a store's key lies beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.digest_embedder import DigestEmbedder
from bench.drafts import Passage, draft_of
from ringfence.reader import Reader
from ringfence_governance.door import Door
from ringfence_governance.drafts import DocumentDraft, SourceIdentity
from ringfence_governance.labels import Label
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms

ADMIN = Subject("bench/user:admin")
READER = Subject("bench/user:reader")
LABEL = Label("bench", ADMIN.person, frozenset({READER.person}))
SOURCE = SourceIdentity("file:///bench", "folder")
WORDS = ("pump", "valve", "seal", "offer", "contract", "salary", "board", "merger", "plan", "canteen")
EMBEDDER = DigestEmbedder()


def make(folder: Path) -> Door:
    """Make a store beneath a folder; return it open."""
    folder.mkdir(parents=True)
    bundle = PolicyBundle(shipped_default().rows, (), "benchmark")
    door, _ = Door.create(folder / "store", bundle, ADMIN.person, keys_home=folder / "keys")
    return door


def opened(folder: Path) -> Door:
    """Open the store that :func:`make` made beneath a folder."""
    return Door.open(folder / "store", keys_home=folder / "keys")


def drafts(first: int, count: int) -> Iterator[DocumentDraft]:
    """Yield so many documents of one passage, the same for the same numbers."""
    for number in range(first, first + count):
        words = [WORDS[(number * (place + 3) + place) % len(WORDS)] for place in range(60)]
        text = f"document {number}: {' '.join(words)}"
        (vector,) = EMBEDDER.embed([text])
        found = tuple(terms(text))
        yield draft_of(f"{number}.txt", [Passage(text, vector, found, len(found))], LABEL)


def publish(door: Door, documents: Sequence[DocumentDraft]) -> None:
    """Write documents in one run and one publication."""
    with door.ingestion(ADMIN, SOURCE, EMBEDDER.model, pipeline="benchmark") as ingestion:
        for document in documents:
            ingestion.put(document)


def reader(door: Door) -> Reader:
    """Return the one who may read everything."""
    return Reader(door, READER, lambda text: EMBEDDER.embed([text])[0])
