"""4,150 real mails, their lists' members and recipients as readers: every count equals the oracle's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

import ringfence
from ringfence_governance.labels import Label
from ringfence_ingest.documents import Document

from .mail_corpus import MailCorpus, read_mails, write_mailboxes, write_policy
from .measured import Measured, bytes_of
from .readers_oracle import Passages, check_reader, sample, sees_nothing

pytestmark = pytest.mark.real

IMPORTER = "lists/user:importer"
READERS = 300
LEAVERS = 5
SEED = 20021


@dataclass(frozen=True)
class Ingested:
    """The corpus in a store, and where it was ingested from."""

    store: ringfence.Store
    corpus: MailCorpus
    passages: Passages
    words: list[str]
    mailboxes: Path
    summary: ringfence.Summary

    def ingest(self) -> ringfence.Summary:
        return self.store.ingest(self.mailboxes, letters(self.corpus), as_user=IMPORTER)


def letters(corpus: MailCorpus) -> list[Document]:
    """The private mails that name people elsewhere, each with a label of its own."""
    return [
        Document(mail.path, mail.content, label=Label("lists", mail.owner, mail.people))
        for mail in corpus.mails
        if mail.list_name is None and not mail.at_home
    ]


@pytest.fixture(scope="module")
def ingested(
    mail_folder: Path, tmp_path_factory: pytest.TempPathFactory, measured: Measured
) -> Iterator[Ingested]:
    folder = tmp_path_factory.mktemp("mail")
    corpus = read_mails(mail_folder)
    write_policy(corpus, folder / "policy")
    write_mailboxes(corpus, folder / "mailboxes")
    passages = Passages.read((mail.path, mail.content, "message/rfc822") for mail in corpus.mails)
    with ringfence.create(folder / "store", folder / "policy", admin=IMPORTER, embedder="hash") as store:
        with measured.timed("ingest_s"):
            summary = store.ingest(folder / "mailboxes", letters(corpus), as_user=IMPORTER)
        measured.note("mails", len(corpus.mails))
        measured.note("mail_bytes", sum(len(mail.content) for mail in corpus.mails))
        measured.note("passages", summary.chunks)
        measured.note("store_bytes", bytes_of(folder / "store"))
        measured.note("lists", len(corpus.members))
        measured.note("mails_of_lists", sum(mail.list_name is not None for mail in corpus.mails))
        measured.note("mails_at_home", sum(mail.at_home for mail in corpus.mails))
        private = {(mail.owner, mail.people) for mail in corpus.mails if mail.list_name is None}
        measured.note("labels", len(corpus.members) + len(private))
        measured.note("principals_with_mail", len(corpus.readable))
        measured.note("addresses_refused", len(corpus.refused_addresses))
        measured.note("mentions_refused", corpus.refused_addresses.total())
        yield Ingested(store, corpus, passages, passages.words(SEED), folder / "mailboxes", summary)


def test_every_mail_is_ingested_and_none_is_reported(ingested: Ingested) -> None:
    summary = ingested.summary
    assert (summary.added, summary.changed, summary.unchanged) == (4150, 0, 0)
    assert (summary.failed, summary.refused, summary.skipped, summary.notes) == ((), (), (), ())
    assert summary.chunks == ingested.passages.count([mail.path for mail in ingested.corpus.mails])


def test_every_reader_lists_counts_and_finds_what_the_oracle_says(
    ingested: Ingested, measured: Measured
) -> None:
    readable = ingested.corpus.readable
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


def test_a_wrong_answer_would_be_seen(ingested: Ingested) -> None:
    readable = ingested.corpus.readable
    most, other = sample(readable, 16, SEED)[:2]
    assert readable[most] != readable[other]
    with pytest.raises(AssertionError):
        check_reader(ingested.store.as_user(most), readable[other], ingested.passages, ingested.words[0])


@pytest.mark.parametrize(
    "reader", ["lists/user:nobody-at-all", IMPORTER, "elsewhere/user:kre@munnari.oz.au", "lists/user:kre"]
)
def test_who_may_read_nothing_sees_nothing(ingested: Ingested, reader: str) -> None:
    assert reader not in ingested.corpus.readable
    assert sees_nothing(ingested.store.as_user(reader), ingested.words[0])


def test_a_second_run_changes_nothing(ingested: Ingested, measured: Measured) -> None:
    with measured.timed("second_ingest_s"):
        summary = ingested.ingest()
    assert (summary.unchanged, summary.added, summary.changed, summary.relabelled) == (4150, 0, 0, 0)


def test_who_leaves_a_list_loses_its_mails_at_once(ingested: Ingested) -> None:
    corpus, store = ingested.corpus, ingested.store
    # Members who may still read something afterwards, and who do not read the list as its owner.
    members = sorted(
        (person, name)
        for name, people in corpus.members.items()
        for person in people - corpus.owners[name]
        if len(lists_of(corpus, person)) > 1
    )
    leaving = random.Random(SEED).sample(members, LEAVERS)
    for person, name in leaving:
        before = corpus.readable[person]
        gone = {mail.path for mail in corpus.mails if mail.list_name == name}
        assert gone <= before
        assert store.as_user(IMPORTER).remove_member(person, f"lists/group:{name}", why="left the list")
        check_reader(store.as_user(person), before - gone, ingested.passages, ingested.words[0])


def lists_of(corpus: MailCorpus, person: str) -> list[str]:
    return [name for name, people in corpus.members.items() if person in people]
