"""Promise 8, of an earlier time: it gives back nothing that was taken since.

A row of then leaves only if its reader may read the label it had then and the
label its document has now, both by the policy of now; and what was erased, or
is not kept any more, is gone for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance import authority, resident, retention
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import RecheckFailed, StoreError
from ringfence_governance.ground import Ground
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.subjects import Subject

from .reader_questions import MODES, bytes_of
from .recorded_store import records
from .seeded_store import Clock, Page, SeededStore, bundle

ADA, RITA, DORA = "acme/user:ada", "acme/user:rita", "acme/user:dora"
PROJECT = "acme/label:project"
THEN = "2026-03-01T12:00:00Z"
"""When the first pages of every store here are written; the clock stands still until it is moved."""
STANDING = [
    f"p, {ADA}, acme, *, delete, any, *, -, -, allow",
    f"p, {ADA}, acme, *, declassify, any, *, -, -, allow",
    "p, *, *, *, declassify, owner, *, -, -, allow",
]
WHY = "a test changes it"
UNKNOWN_ID = "0" * 32


def label(*readers: str) -> Label:
    return Label("acme", DORA, frozenset(readers))


@contextmanager
def store_of(folder: Path, *pages: Page, rules: tuple[str, ...] = ()) -> Iterator[SeededStore]:
    """Yield a store whose pages were written at THEN, a minute later."""
    policy = bundle([*STANDING, *rules], [NamedLabel(PROJECT, label(RITA))])
    store = SeededStore.create(folder, policy, ADA, clock=Clock(THEN))
    store.write(ADA, pages)
    store.clock.advance(60)
    try:
        yield store
    finally:
        store.close()


def ground_of(store: SeededStore) -> Ground:
    found: Ground = store.door._Door__ground  # type: ignore[attr-defined]
    return found


def seen(reader: Reader, known: list[str], at: str | None = THEN) -> dict[str, str]:
    """Return path and text of what a reader gets by any verb at all; every verb must say the same."""
    listed = {document.path: document.id for document in reader.list(at=at)}
    for mode in MODES:
        found = reader.search("pump", 1000, mode, at=at)
        assert {hit.source.path for hit in found} == set(listed), mode
        assert found.readable == reader.count(at=at).chunks == len(listed)
        assert found.complete
    assert reader.count(at=at).documents == len(listed)
    for document_id in {*known, UNKNOWN_ID} - set(listed.values()):
        with pytest.raises(ringfence.NotReadable):
            reader.text(document_id, at=at)
    return {path: reader.text(document_id, at=at).text for path, document_id in listed.items()}


def everything(reader: Reader, ids: list[str]) -> dict[str, bytes]:
    """Return every byte of what a reader is told of that time."""
    told = {"list": bytes_of(lambda: reader.list(at=THEN)), "count": bytes_of(lambda: reader.count(at=THEN))}
    for mode in MODES:
        for query, k in (("pump", 1000), ("old pump words", 2), ("nothing of the sort", 3)):
            told[f"{mode} {query}"] = bytes_of(
                lambda q=query, k=k, m=mode: reader.search(q, k, m, explain=True, at=THEN)
            )
    return told | {each: bytes_of(lambda d=each: reader.text(d, at=THEN)) for each in ids}


def test_what_was_published_then_is_answered_as_it_was(tmp_path: Path) -> None:
    with store_of(
        tmp_path, Page("a.txt", "old pump", label(RITA)), Page("b.txt", "b pump", label())
    ) as store:
        reader, ids = store.reader(RITA), list(store.written.values())
        before = {mode: bytes_of(lambda m=mode: reader.search("pump", 10, m)) for mode in MODES}
        handle = reader.list().as_of
        store.write(ADA, [Page("a.txt", "new pump of other words", label(RITA))])
        store.write(ADA, [Page("c.txt", "a third pump", label(RITA))], source_name="more")
        assert seen(reader, ids) == {"a.txt": "old pump"}
        assert {
            mode: bytes_of(lambda m=mode: reader.search("pump", 10, m, at=THEN)) for mode in MODES
        } == before
        assert reader.list(at=THEN).as_of == handle != reader.list().as_of
        assert reader.text("a.txt", at=THEN).text == "old pump"
        assert seen(reader, ids, None) == {"a.txt": "new pump of other words", "c.txt": "a third pump"}


def test_why_tells_of_what_was_found_of_then_under_the_label_it_had_and_the_one_it_has(
    tmp_path: Path,
) -> None:
    rule = f"p, {RITA}, acme, {PROJECT}, read, any, *, -, -, allow"
    with store_of(tmp_path, Page("a.txt", "a pump of then", label(RITA)), rules=(rule,)) as store:
        reader = store.reader(RITA)
        (hit,) = reader.search("pump", at=THEN)
        at_once = reader.why(hit, at=THEN)
        assert at_once.facts == reader.why(hit).facts
        store.write(ADA, [Page("a.txt", "a pump of now", PROJECT)])
        # The passage is no more; of then it is told by which rules it may be read now, under both labels.
        with pytest.raises(ringfence.NotReadable):
            reader.why(hit)
        found = reader.why(hit, at=THEN)
        assert (found["decision"], found["object"], found["document"]) == ("allow", hit.id, hit.document)
        granted = f"p, {RITA}, acme, (its label), read, any, *, -, -, allow"
        assert granted not in {each["rule"] for each in at_once["rules"]}
        assert granted in {each["rule"] for each in found["rules"]}
        assert [each for each in found["rules"] if each in at_once["rules"]] == at_once["rules"]
        assert records(store.path)[-1]["detail"] == {"at": THEN}
        with store.ingestion(ADA) as ingestion:
            assert ingestion.relabel("a.txt", label())
        with pytest.raises(ringfence.NotReadable):
            reader.why(hit, at=THEN)
        with pytest.raises(ringfence.NotReadable):
            store.reader("acme/user:ghost").why(hit, at=THEN)
        with pytest.raises(ringfence.Gone):
            reader.why(hit, at="2020-01-01T00:00:00Z")


def test_a_document_whose_label_was_raised_since_is_not_there(tmp_path: Path) -> None:
    pages = (Page("a.txt", "a pump", label(RITA)), Page("b.txt", "b pump", label(RITA)))
    with store_of(tmp_path, *pages) as store:
        ids = list(store.written.values())
        with store.ingestion(ADA) as ingestion:
            assert ingestion.relabel("a.txt", label())
        assert seen(store.reader(RITA), ids) == {"b.txt": "b pump"}
        # Who may read both labels gets it, opened with the key it has now.
        assert seen(store.reader(DORA), ids) == {"a.txt": "a pump", "b.txt": "b pump"}


def test_a_document_whose_label_was_lowered_since_is_not_there_either(tmp_path: Path) -> None:
    pages = (Page("a.txt", "a pump", label()), Page("b.txt", "b pump", label(RITA)))
    with store_of(tmp_path, *pages) as store:
        ids = list(store.written.values())
        with store.ingestion(ADA) as ingestion:
            assert ingestion.relabel("a.txt", label(RITA))
        assert seen(store.reader(RITA), ids, None) == {"a.txt": "a pump", "b.txt": "b pump"}
        assert seen(store.reader(RITA), ids) == {"b.txt": "b pump"}


def narrowed(store: SeededStore) -> None:
    assert store.reader(ADA).redefine_label(PROJECT, label(), why=WHY)


def revoked(store: SeededStore) -> None:
    assert store.reader(ADA).revoke(RITA, "read", PROJECT, why=WHY) == 1


def left(store: SeededStore) -> None:
    assert store.reader(ADA).remove_member(RITA, "acme/group:team", why=WHY)


TEAM = Label("acme", DORA, frozenset({"acme/group:team"}))


@pytest.mark.parametrize(
    ("rules", "chosen", "take"),
    [
        ((), PROJECT, narrowed),
        (
            (f"p, {RITA}, acme, {PROJECT}, read, any, *, -, -, allow",),
            PROJECT,
            lambda s: (narrowed(s), revoked(s)),
        ),
        ((f"g, {RITA}, acme/group:team",), TEAM, left),
    ],
    ids=["a label that means less", "a rule that was revoked", "a group that was left"],
)
def test_what_the_policy_of_now_does_not_allow_is_not_there(
    rules: tuple[str, ...], chosen: str | Label, take: Callable[[SeededStore], Any], tmp_path: Path
) -> None:
    with store_of(tmp_path, Page("a.txt", "a pump", chosen), rules=rules) as store:
        assert set(seen(store.reader(RITA), [])) == {"a.txt"}
        store.write(ADA, [Page("other.txt", "no matter", label())], source_name="more")
        assert set(seen(store.reader(RITA), [])) == {"a.txt"}
        take(store)
        assert seen(store.reader(RITA), list(store.written.values())) == {}


def test_what_a_label_lets_in_since_is_read_of_then_too(tmp_path: Path) -> None:
    mia = "acme/user:mia"
    with store_of(tmp_path, Page("a.txt", "a pump", PROJECT)) as store:
        store.write(ADA, [Page("a.txt", "new pump", PROJECT)])
        assert seen(store.reader(mia), list(store.written.values())) == {}
        assert store.reader(ADA).redefine_label(PROJECT, label(RITA, mia), why=WHY)
        assert seen(store.reader(mia), []) == {"a.txt": "a pump"}


def test_a_removed_document_is_not_there(tmp_path: Path) -> None:
    pages = (Page("a.txt", "a pump", label(RITA)), Page("b.txt", "b pump", label(RITA)))
    with store_of(tmp_path, *pages) as store:
        with store.ingestion(ADA) as ingestion:
            ingestion.remove("a.txt")
        assert seen(store.reader(RITA), list(store.written.values())) == {"b.txt": "b pump"}


@pytest.mark.parametrize("who", [RITA, DORA, "acme/user:nobody"])
def test_what_was_published_before_an_erasure_is_gone_for_everybody(who: str, tmp_path: Path) -> None:
    pages = (Page("a.txt", "a pump", label()), Page("b.txt", "b pump", label(RITA)))
    with store_of(tmp_path, *pages) as store:
        store.write(ADA, [Page("c.txt", "c pump", label(RITA))], source_name="more")
        store.clock.advance(60)
        (certificate,) = store.reader(ADA).erase(store.written["files/a.txt"], why=WHY)
        assert certificate["clean"]
        for at in (THEN, "2026-03-01T12:01:59Z"):
            for ask in asked(store.reader(who), at):
                with pytest.raises(ringfence.Gone) as gone:
                    ask()
                assert str(gone.value) == f"at: found {at!r}; the rows of that time are not kept any more"
        after = store.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        store.clock.advance(60)
        store.write(ADA, [Page("c.txt", "changed pump", label(RITA))], source_name="more")
        assert seen(store.reader(RITA), [], after) == {"b.txt": "b pump", "c.txt": "c pump"}


def test_versions_that_an_erasure_could_not_remove_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise StoreError("the documents table cannot be cleaned (a broken disk)")

    with store_of(tmp_path, Page("a.txt", "a pump", label()), Page("b.txt", "b pump", label(RITA))) as store:
        ground = ground_of(store)
        versions = ground.moment().publication.versions
        store.write(ADA, [Page("b.txt", "new pump", label(RITA))])
        assert seen(store.reader(RITA), []) == {"b.txt": "b pump"}
        monkeypatch.setattr(LanceTables, "clean", broken)
        with pytest.raises(StoreError):
            store.reader(ADA).erase(store.written["files/a.txt"], why=WHY)
        assert all(ground.tables.holds(name, version) for name, version in versions.items())
        for ask in asked(store.reader(RITA), THEN):
            with pytest.raises(ringfence.Gone):
                ask()


def asked(reader: Reader, at: str) -> list[Callable[[], object]]:
    return [
        lambda: reader.list(at=at),
        lambda: reader.count(at=at),
        lambda: reader.search("pump", at=at),
        lambda: reader.text(UNKNOWN_ID, at=at),
    ]


def test_a_time_whose_versions_were_removed_is_gone_and_one_that_is_kept_is_told_the_same(
    tmp_path: Path,
) -> None:
    with store_of(tmp_path, Page("a.txt", "pump 0", label(RITA))) as store:
        for number in range(1, retention.RETAINED_PUBLICATIONS):
            store.write(ADA, [Page("a.txt", f"pump {number}", label(RITA))])
            store.clock.advance(60)
        before = everything(store.reader(RITA), [])
        # The compaction is one more: the oldest goes, and the second is the oldest then.
        second = "2026-03-01T12:01:00Z"
        told = bytes_of(lambda: store.reader(RITA).search("pump", at=second))
        store.reader(ADA).compact()
        assert before != everything(store.reader(RITA), [])
        for ask in asked(store.reader(RITA), THEN):
            with pytest.raises(ringfence.Gone):
                ask()
        assert bytes_of(lambda: store.reader(RITA).search("pump", at=second)) == told
        assert store.reader(RITA).text("a.txt", at=second).text == "pump 1"


def test_a_reader_under_whom_the_versions_go_is_told_that_they_are_gone(tmp_path: Path) -> None:
    with store_of(tmp_path, Page("a.txt", "old pump", label(RITA))) as store:
        store.write(ADA, [Page("a.txt", "new pump", label(RITA))])
        ground = ground_of(store)

        def work(reader: GrantedReader) -> Answer[int]:
            for name, version in ground.moment().publication.versions.items():
                ground.tables.clean(name, {version})
            return Answer([], lambda _: len(reader.documents()))

        with pytest.raises(ringfence.Gone):
            store.door.read(Subject(RITA), "list", work, at=THEN)


def test_times_that_cannot_be_asked_of_are_refused_and_before_the_store_nothing_is_kept(
    tmp_path: Path,
) -> None:
    with store_of(tmp_path, Page("a.txt", "a pump", label(RITA))) as store:
        for ask in (
            *asked(store.reader(RITA), "yesterday"),
            *asked(store.reader(RITA), "2026-03-01T12:01:01Z"),
        ):
            with pytest.raises(ringfence.InvalidInput):
                ask()
        for ask in asked(store.reader(RITA), "2026-03-01T11:59:59Z"):
            with pytest.raises(ringfence.Gone):
                ask()
        assert seen(store.reader(RITA), [], "2026-03-01T12:01:00Z") == {"a.txt": "a pump"}


def test_the_answer_of_then_is_that_of_a_store_without_what_may_not_be_read(tmp_path: Path) -> None:
    own = [Page("a.txt", "old pump", label(RITA)), Page("b.txt", "pump pump of old words", label(RITA))]
    hidden = [
        Page("hidden.txt", "pump pump pump", label()),
        Page("raised.txt", "old pump words", label(RITA)),
        Page("lowered.txt", "words of a pump", label()),
    ]
    told = []
    for name, more in (("full", hidden), ("twin", [])):
        with store_of(tmp_path / name, *own) as store:
            store.clock.set(THEN)
            if more:
                store.write(ADA, more, source_name="more", step=100)
            store.clock.advance(60)
            store.write(ADA, [Page("a.txt", "new pump", label(RITA))], step=200)
            # What is kept of an answer that was right then must not be in a later one.
            everything(store.reader(RITA), [])
            if more:
                with store.ingestion(ADA, source_name="more", step=300) as ingestion:
                    assert ingestion.relabel("raised.txt", label())
                    assert ingestion.relabel("lowered.txt", label(RITA))
            ids = [store.written[f"files/{page.path}"] for page in own]
            told.append(everything(store.reader(RITA), [*ids, UNKNOWN_ID]))
            assert set(seen(store.reader(RITA), ids)) == {"a.txt", "b.txt"}
    assert told[0] == told[1]


def test_a_cursor_goes_on_at_its_own_time_alone(tmp_path: Path) -> None:
    pages = [Page(f"{n}.txt", f"pump number{n}", label(RITA)) for n in range(3)]
    with store_of(tmp_path, *pages) as store:
        store.write(ADA, [Page("0.txt", "new pump", label(RITA))])
        reader = store.reader(RITA)
        whole = [hit.id for hit in reader.search("pump", at=THEN)]
        first = reader.search("pump", 2, at=THEN)
        rest = reader.search("pump", 2, cursor=first.cursor, at=THEN)
        assert [hit.id for hit in (*first, *rest)] == whole
        for at in (None, "2026-03-01T12:00:30Z"):
            with pytest.raises(ringfence.InvalidInput):
                reader.search("pump", 2, cursor=first.cursor, at=at)
        with store.ingestion(ADA) as ingestion:
            assert ingestion.relabel("1.txt", label())
        with pytest.raises(ringfence.InvalidInput):
            reader.search("pump", 2, cursor=first.cursor, at=THEN)


def test_read_in_several_passes_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [Page(f"{n}.txt", f"pump number{n}", label(RITA, f"acme/user:u{n}")) for n in range(4)]
    with store_of(tmp_path, *pages) as store:
        store.write(ADA, [Page("0.txt", "new pump", label(RITA))])
        once = everything(store.reader(RITA), [])
        monkeypatch.setattr(resident, "ROWS_OPENED_AT_ONCE", 1)
        assert everything(store.reader(RITA), []) == once


def test_nothing_that_was_opened_for_an_earlier_time_is_kept(tmp_path: Path) -> None:
    with store_of(tmp_path, Page("a.txt", "old pump", label(RITA))) as store:
        store.write(ADA, [Page("a.txt", "new pump", label(RITA))])
        reader, held = store.reader(RITA), ground_of(store).resident
        assert [hit.text for hit in reader.search("pump", at=THEN)] == ["old pump"]
        assert held.size == 0
        assert [hit.text for hit in reader.search("pump")] == ["new pump"]
        blocks = dict(held._blocks)
        assert [hit.text for hit in reader.search("pump", at=THEN)] == ["old pump"]
        assert held._blocks == blocks
        assert [hit.text for hit in reader.search("pump")] == ["new pump"]


def test_the_record_says_of_which_time_and_under_which_labels_it_left(tmp_path: Path) -> None:
    with store_of(tmp_path, Page("a.txt", "a pump", label(RITA, DORA))) as store:
        published = records(store.path)[-1]["publication"]
        with store.ingestion(ADA) as ingestion:
            assert ingestion.relabel("a.txt", label(RITA))
        count = len(records(store.path))
        store.reader(RITA).search("pump", at=THEN)
        with pytest.raises(ringfence.Gone):
            store.reader(RITA).list(at="2026-03-01T11:00:00Z")
        answered, gone = records(store.path)[count:]
        assert (answered["outcome"], answered["detail"]) == ("allowed", {"at": THEN})
        assert published <= answered["publication"] < gone["publication"]
        assert (gone["outcome"], gone["detail"]) == ("error", {"error": "Gone", "at": "2026-03-01T11:00:00Z"})
        (then,) = answered["atoms"]
        (now,) = store.reader(RITA).search("pump") and records(store.path)[-1]["atoms"]
        # Whoever brings the bytes again may go below neither.
        assert [atom for _, atom in answered["given"]] == [then, now]
        assert then != now


def test_the_label_of_now_is_put_to_casbin_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store_of(tmp_path, Page("a.txt", "a pump", label(RITA))) as store:
        with store.ingestion(ADA) as ingestion:
            assert ingestion.relabel("a.txt", label())
        honest = authority.readable_until

        def generous(snapshot: Any, table: Any, subject: Subject, **asked: Any) -> tuple[AtomSet, str]:
            atoms, until = honest(snapshot, table, subject, **asked)
            return AtomSet.of({*atoms, *table.entries}), until

        assert seen(store.reader(RITA), []) == {}
        monkeypatch.setattr(authority, "readable_until", generous)
        # Another subject, so that no set that was made honestly is kept.
        with pytest.raises(RecheckFailed):
            store.reader(RITA, purpose="audit").search("pump", at=THEN)
