"""The kernel's documents, read by the sections of MAINTAINERS that own them: every count equals the oracle's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

import ringfence
from ringfence_ingest.documents import Document

from .kernel_corpus import KEEPER, KernelCorpus, read_kernel, write_policy
from .measured import Measured, bytes_of
from .readers_oracle import Passages, check_reader, sample, sees_nothing

pytestmark = pytest.mark.real

IMPORTER = "kernel/user:importer"
READERS = 60
SEED = 61


@dataclass(frozen=True)
class Ingested:
    """The corpus in a store."""

    store: ringfence.Store
    corpus: KernelCorpus
    passages: Passages
    words: list[str]
    summary: ringfence.Summary


@pytest.fixture(scope="module")
def ingested(
    kernel_folder: Path, tmp_path_factory: pytest.TempPathFactory, measured: Measured
) -> Iterator[Ingested]:
    folder = tmp_path_factory.mktemp("kernel")
    corpus = read_kernel(kernel_folder)
    write_policy(corpus, folder / "policy")
    passages = Passages.read((document.path, document.content, None) for document in corpus.documents)
    given = [
        Document(document.path, document.content, label=corpus.labels[document.owners])
        for document in corpus.documents
    ]
    with ringfence.create(folder / "store", folder / "policy", admin=IMPORTER, embedder="hash") as store:
        with measured.timed("ingest_s"):
            summary = store.ingest(given, as_user=IMPORTER)
        measured.note("package", (kernel_folder / "PACKAGE").read_text("utf-8"))
        measured.note("documents", len(corpus.documents))
        measured.note("document_bytes", sum(len(document.content) for document in corpus.documents))
        measured.note("passages", summary.chunks)
        measured.note("store_bytes", bytes_of(folder / "store"))
        measured.note("sections", len(corpus.sections))
        measured.note("labels", len(corpus.labels))
        measured.note("people", len(corpus.people))
        measured.note("owned_by_several", sum(len(document.owners) > 1 for document in corpus.documents))
        measured.note("owned_by_none", sum(not document.owners for document in corpus.documents))
        yield Ingested(store, corpus, passages, passages.words(SEED), summary)


def test_every_document_is_ingested_and_none_is_reported(ingested: Ingested) -> None:
    summary = ingested.summary
    assert (summary.added, summary.changed, summary.unchanged) == (len(ingested.corpus.documents), 0, 0)
    assert (summary.failed, summary.refused, summary.skipped, summary.notes) == ((), (), (), ())
    assert summary.chunks == ingested.passages.count([each.path for each in ingested.corpus.documents])


def test_ownership_overlaps(ingested: Ingested) -> None:
    # Else this corpus would test no more than one owner for each document, and the sample says little.
    assert sum(len(document.owners) > 1 for document in ingested.corpus.documents) > 1000
    assert len(ingested.corpus.labels) > 1000


def test_every_reader_lists_counts_and_finds_what_the_oracle_says(
    ingested: Ingested, measured: Measured
) -> None:
    readable = {person: paths for person, paths in ingested.corpus.readable.items() if person != KEEPER}
    words = ingested.words
    checked = [
        check_reader(
            ingested.store.as_user(reader), readable[reader], ingested.passages, words[number % len(words)]
        )
        for number, reader in enumerate(sample(readable, READERS, SEED))
    ]
    assert len(checked) == READERS
    assert sum(check.hits for check in checked) > 0
    measured.note("readers_checked", len(checked))
    measured.note("hits_checked", sum(check.hits for check in checked))
    for name in ("first_s", "count_s", "list_s", "search_s"):
        measured.note(f"median_{name}", round(median(getattr(check, name) for check in checked), 4))


def test_the_mirror_reads_what_it_owns_and_nothing_else(ingested: Ingested) -> None:
    word = ingested.words[0]
    mirror = ingested.store.as_user(KEEPER)
    # It owns every label, also those whose documents no section owns.
    check_reader(mirror, frozenset(each.path for each in ingested.corpus.documents), ingested.passages, word)


def test_a_wrong_answer_would_be_seen(ingested: Ingested) -> None:
    readable = ingested.corpus.readable
    most, other = sample(readable, 16, SEED)[:2]
    assert readable[most] != readable[other]
    with pytest.raises(AssertionError):
        check_reader(ingested.store.as_user(most), readable[other], ingested.passages, ingested.words[0])


@pytest.mark.parametrize("reader", ["kernel/user:nobody-at-all", "elsewhere/user:torvalds"])
def test_who_is_unknown_sees_nothing(ingested: Ingested, reader: str) -> None:
    assert sees_nothing(ingested.store.as_user(reader), ingested.words[0])
