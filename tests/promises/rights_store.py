"""A small store whose rights are taken away, and all that a reader still gets from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_changes import Reasoned

from .reader_questions import MODES
from .seeded_store import Page, SeededStore, bundle

ADA, RITA, DORA = "acme/user:ada", "acme/user:rita", "acme/user:dora"
NAMED = NamedLabel("acme/label:project", Label("acme", DORA))
STANDING = [
    f"p, {ADA}, acme, *, delete, any, *, -, -, allow",
    f"p, {ADA}, acme, *, declassify, any, *, -, -, allow",
]
REASON = Reasoned("a test takes it back")


def label(*readers: str) -> Label:
    return Label("acme", DORA, frozenset(readers))


@contextmanager
def store_of(folder: Path, rules: list[str], pages: list[Page]) -> Iterator[SeededStore]:
    store = SeededStore.create(folder, bundle([*STANDING, *rules], [NAMED]), ADA)
    store.write(ADA, pages)
    try:
        yield store
    finally:
        store.close()


def everything(reader: Reader, known: list[str]) -> set[str]:
    """Return the paths a reader gets by any verb at all; every verb must say the same."""
    listed = {document.path: document.id for document in reader.list()}
    for mode in MODES:
        assert {hit.source.path for hit in reader.search("pump", 1000, mode)} == set(listed)  # type: ignore[arg-type]
    assert reader.count().documents == len(listed)
    for document_id in known:
        for ask in (reader.text, reader.why):
            if document_id in listed.values():
                ask(document_id)
            else:
                with pytest.raises(ringfence.NotReadable):
                    ask(document_id)
    for path in ("a.txt", "b.txt"):
        if path not in listed:
            with pytest.raises(ringfence.NotReadable):
                reader.text(path)
    return set(listed)


def by_relabel(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        assert ingestion.relabel("a.txt", label())


def by_removal(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        assert ingestion.remove("a.txt")
