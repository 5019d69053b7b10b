"""A store in which what was made of documents inherits from them, and who may read which."""

from __future__ import annotations

from pathlib import Path

from ringfence.reader import Reader
from ringfence_governance.labels import Label, NamedLabel

from .reader_questions import MODES
from .seeded_store import Page, SeededStore, bundle

ADA = "acme/user:ada"
WRITER, ANN, BOB, CAT = "acme/user:writer", "acme/user:ann", "acme/user:bob", "acme/user:cat"
DECLASSIFIER = "acme/user:dex"
RULES = [
    f"p, {WRITER}, acme, *, ingest, any, *, -, -, allow",
    f"p, {DECLASSIFIER}, acme, *, ingest, any, *, -, -, allow",
    f"p, {DECLASSIFIER}, acme, *, declassify, any, *, -, -, allow",
    f"p, {DECLASSIFIER}, acme, *, read, any, *, -, -, allow",
    f"p, {BOB}, acme, acme/label:granted, read, any, *, -, -, allow",
    "p, borealis/user:bo, borealis, *, ingest, any, *, -, -, allow",
]
NAMED = NamedLabel("acme/label:granted", Label("acme", WRITER))


def label(*readers: str, owner: str = WRITER) -> Label:
    return Label("acme", owner, frozenset(readers))


OPEN = label(ANN, BOB, CAT, DECLASSIFIER)
"""What a writer would like to give; wider than anything beneath."""


def derivable_store(folder: Path) -> SeededStore:
    """Make an empty store with these rules."""
    return SeededStore.create(folder, bundle(RULES, [NAMED]), ADA)


def derive(store: SeededStore) -> None:
    """Ann and Bob read one input each, Cat both, and each may read what the derivative asks for."""
    inputs = [Page("one.txt", "pump one", label(ANN, CAT)), Page("two.txt", "pump two", label(BOB, CAT))]
    ids = store.write(WRITER, inputs)
    store.write(WRITER, [Page("made.txt", "pump made of both", OPEN, tuple(ids))])


def paths(reader: Reader) -> set[str]:
    """Return what a reader gets, which must be the same by every verb."""
    listed = {document.path for document in reader.list()}
    for mode in MODES:
        found = {hit.source.path for hit in reader.search("pump", 1000, mode)}  # type: ignore[arg-type]
        assert found == listed, mode
    assert reader.count().documents == len(listed)
    return listed
