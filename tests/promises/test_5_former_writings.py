"""Promise 5, of what a document said before it was written anew: its key went with it, or needs both labels.

Who can write the store's files and has no key puts rows of before back, under whatever label; nobody is given them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence_governance import key_upkeep, retention
from ringfence_governance.errors import StoreBusy, StoreCorrupt
from ringfence_governance.ground import Ground
from ringfence_governance.keyrings import Standing
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.lance_tables import LanceTables

from .forged_tables import replace_published, replace_versions, table_of, under
from .recorded_store import records
from .seeded_store import Clock, Page, SeededStore, bundle

ADA, BOB, CAT = "acme/user:ada", "acme/user:bob", "acme/user:cat"
SECRET, OPEN = "acme/label:secret", "acme/label:open"
"""Bob reads what is open, Cat that and what is secret; Ada writes."""
BEFORE, AFTER = "the pump costs forty two million", "the pump has a price"
THEN = "2026-03-01T12:00:00Z"
NO_KEY = "does not open: no key for its document under its label"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeededStore]:
    named = [
        NamedLabel(SECRET, Label("acme", ADA, frozenset({CAT}))),
        NamedLabel(OPEN, Label("acme", ADA, frozenset({BOB, CAT}))),
    ]
    rules = [f"p, {ADA}, acme, *, {action}, any, *, -, -, allow" for action in ("declassify", "delete")]
    made = SeededStore.create(tmp_path, bundle(rules, named), ADA, clock=Clock(THEN))
    yield made
    made.close()


def ground_of(store: SeededStore) -> Ground:
    found: Ground = store.door._Door__ground  # type: ignore[attr-defined]
    return found


def write(store: SeededStore, text: str, label: str) -> str:
    """Write the one document, new or anew, a minute after what was done before."""
    (document_id,) = store.write(ADA, [Page("a.txt", text, label)])
    store.clock.advance(60)
    return document_id


def atom_of(store: SeededStore, name: str) -> int:
    return ground_of(store).moment().table.by_id[name].atom


TABLES = ("documents", "chunks")
QUESTIONS: dict[str, Callable[[Any, str], object]] = {
    "text": lambda reader, document_id: reader.text(document_id),
    "list": lambda reader, _: reader.list(),
    "search by words": lambda reader, _: reader.search("pump", mode="text"),
    "search by vectors": lambda reader, _: reader.search("pump", mode="vector"),
    "context": lambda reader, _: reader.context("pump"),
}


@pytest.mark.parametrize("label", [OPEN, SECRET])
@pytest.mark.parametrize("question", QUESTIONS)
def test_rows_of_before_that_are_put_back_open_for_nobody(
    store: SeededStore, question: str, label: str
) -> None:
    document_id = write(store, BEFORE, label)
    former = {name: table_of(store.path, name).to_table() for name in TABLES}
    write(store, AFTER, OPEN)
    for name, rows in former.items():
        replace_published(table_of(store.path, name), under(rows, atom_of(store, OPEN)))
    before = len(records(store.path))
    for who in (BOB, CAT):
        with pytest.raises(StoreCorrupt, match=NO_KEY):
            QUESTIONS[question](store.reader(who), document_id)
    assert {record["outcome"] for record in records(store.path)[before:]} == {"alarm"}


@pytest.mark.parametrize("claimed", ["the run of before", "the run of now"])
def test_whatever_run_they_say_they_are_of(store: SeededStore, claimed: str) -> None:
    document_id = write(store, BEFORE, OPEN)
    former = {name: table_of(store.path, name).to_table() for name in TABLES}
    write(store, AFTER, OPEN)
    for name, rows in former.items():
        table = table_of(store.path, name)
        own = table.to_table(columns=["run_id"])["run_id"][0].as_py() if claimed == "the run of now" else None
        place = rows.schema.get_field_index("run_id")
        runs = [own or each for each in rows["run_id"].to_pylist()]
        replace_published(table, rows.set_column(place, rows.schema.field("run_id"), [runs]))
    with pytest.raises(StoreCorrupt, match="does not open"):
        store.reader(BOB).text(document_id)


def test_the_whole_store_of_yesterday_beside_the_keys_of_today_opens_nothing_that_was_written_anew(
    store: SeededStore, tmp_path: Path
) -> None:
    changed = write(store, BEFORE, SECRET)
    (other,) = store.write(ADA, [Page("b.txt", "another pump", OPEN)], source_name="more")
    yesterday = shutil.copytree(store.path, tmp_path / "yesterday")
    write(store, AFTER, OPEN)
    store.close()
    shutil.rmtree(store.path)
    yesterday.rename(store.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(store.home))
        with ringfence.open(store.path, embedder="hash") as opened:
            for who in (BOB, CAT):
                assert opened.as_user(who).text(other).text == "another pump"
                with pytest.raises(ringfence.RingfenceError) as refused:
                    opened.as_user(who).text(changed)
                assert BEFORE not in str(refused.value)


def forge_then(store: SeededStore, before: dict[str, tuple[int, Any]], atom: int) -> None:
    """Let the versions of before say that their rows are of another label; those of now stay."""
    for name, (version, rows) in before.items():
        table = table_of(store.path, name)
        replace_versions(table, {version: under(rows, atom), table.version: table.to_table()})


def test_of_an_earlier_time_both_labels_keys_are_needed_whatever_the_files_say(store: SeededStore) -> None:
    document_id = write(store, BEFORE, SECRET)
    before = {
        name: (table_of(store.path, name).version, table_of(store.path, name).to_table()) for name in TABLES
    }
    write(store, AFTER, OPEN)
    assert store.reader(CAT).text(document_id, at=THEN).text == BEFORE
    with pytest.raises(ringfence.NotReadable):
        store.reader(BOB).text(document_id, at=THEN)
    forge_then(store, before, atom_of(store, OPEN))
    with pytest.raises(ringfence.NotReadable):
        store.reader(BOB).text(document_id, at=THEN)
    assert not store.reader(BOB).search("pump", at=THEN)
    assert store.reader(BOB).text(document_id).text == AFTER
    # The attack works but for that: who may read both is given it under the label that was forged.
    assert store.reader(CAT).text(document_id, at=THEN).text == BEFORE


def test_the_key_behind_that_does_not_open_with_the_label_of_now_alone(store: SeededStore) -> None:
    document_id = write(store, BEFORE, SECRET)
    write(store, AFTER, OPEN)
    ground = ground_of(store)
    (replaced,) = [key for key in ground.keys.wraps_of([document_id]) if not key.stands]
    table = ground.moment().table
    assert (replaced.atom, replaced.former) == (table.by_id[OPEN].atom, table.by_id[SECRET].atom)
    standing = Standing(
        {document_id: (replaced.atom, "a later run")}, {(document_id, replaced.run_id): replaced.former}
    )
    for names, opens in (([OPEN], False), ([SECRET], False), ([OPEN, SECRET], True)):
        keyring = ground.keys.keyring(
            [table.by_id[name] for name in names],
            [document_id],
            standing=standing,
            covered={replaced.former},
        )
        if opens:
            assert keyring.cipher(document_id, replaced.run_id, replaced.former)
            continue
        with pytest.raises(StoreCorrupt, match=NO_KEY):
            keyring.cipher(document_id, replaced.run_id, replaced.former)


def then(store: SeededStore, who: str, document_id: str, at: str = THEN) -> str | None:
    """Return what a reader is given of an earlier time; None if nothing, by any question."""
    reader = store.reader(who)
    listed = reader.list(at=at)
    assert len(listed) == reader.count(at=at).documents == len(reader.search("pump", at=at))
    if not listed:
        with pytest.raises(ringfence.NotReadable):
            reader.text(document_id, at=at)
        with pytest.raises(ringfence.NotReadable):
            reader.why(document_id, at=at)
        return None
    assert reader.why(document_id, at=at).facts
    return str(reader.text(document_id, at=at).text)


def test_what_a_relabelling_took_no_later_writing_gives_back(store: SeededStore) -> None:
    """Open, then secret, then written anew and open: what was open once was said to be secret since."""
    document_id = write(store, BEFORE, OPEN)
    store.reader(ADA).relabel(document_id, SECRET, why="it tells the price")
    store.clock.advance(60)
    raised = "2026-03-01T12:01:00Z"
    assert (then(store, BOB, document_id), then(store, CAT, document_id)) == (None, BEFORE)
    write(store, AFTER, OPEN)
    for at in (THEN, raised):
        assert (then(store, BOB, document_id, at), then(store, CAT, document_id, at)) == (None, BEFORE)
    assert store.reader(BOB).text(document_id).text == AFTER


def test_what_was_lowered_before_it_was_written_anew_is_shown_to_who_may_read_it_then(
    store: SeededStore,
) -> None:
    document_id = write(store, BEFORE, SECRET)
    store.reader(ADA).relabel(document_id, OPEN, why="it was announced")
    store.clock.advance(60)
    lowered = "2026-03-01T12:01:00Z"
    write(store, AFTER, OPEN)
    assert (then(store, BOB, document_id, lowered), then(store, BOB, document_id)) == (BEFORE, None)
    assert then(store, CAT, document_id) == BEFORE


def test_each_of_several_writings_has_its_own_labels(store: SeededStore) -> None:
    texts = [("one pump", OPEN), ("two pump", SECRET), ("three pump", OPEN), ("four pump", OPEN)]
    for text, label in texts:
        document_id = write(store, text, label)
    for number, (text, label) in enumerate(texts):
        at = f"2026-03-01T12:0{number}:00Z"
        assert then(store, CAT, document_id, at) == text
        assert then(store, BOB, document_id, at) == (None if label == SECRET else text)
    # A label that it gets now takes all of them from whoever may not read that.
    store.reader(ADA).relabel(document_id, SECRET, why="all of it")
    for number, (text, _) in enumerate(texts):
        at = f"2026-03-01T12:0{number}:00Z"
        assert (then(store, BOB, document_id, at), then(store, CAT, document_id, at)) == (None, text)


def test_what_leaves_is_logged_under_every_label_it_had(store: SeededStore) -> None:
    document_id = write(store, BEFORE, OPEN)
    store.reader(ADA).relabel(document_id, SECRET, why="it tells the price")
    store.clock.advance(60)
    write(store, AFTER, OPEN)
    before = len(records(store.path))
    store.reader(CAT).text(document_id, at=THEN)
    (record,) = records(store.path)[before:]
    assert {atom for _, atom in record["given"]} == {atom_of(store, OPEN), atom_of(store, SECRET)}


def replaced_keys(store: SeededStore) -> int:
    return len([name for name in ground_of(store).keys.names() if name.former >= 0])


def test_the_keys_of_writings_go_with_the_last_version_that_shows_them(store: SeededStore) -> None:
    for number in range(retention.RETAINED_PUBLICATIONS + 4):
        document_id = write(store, f"pump {number}", (OPEN, SECRET)[number % 2])
    assert replaced_keys(store) == retention.RETAINED_PUBLICATIONS + 3
    store.reader(ADA).compact()
    # Compacting is the newest publication, the newest writing's the one before it.
    assert replaced_keys(store) == retention.RETAINED_PUBLICATIONS - 2
    oldest = 4 + 1
    assert then(store, CAT, document_id, f"2026-03-01T12:{oldest:02}:00Z") == f"pump {oldest}"
    with pytest.raises(ringfence.Gone):
        store.reader(CAT).list(at=f"2026-03-01T12:{oldest - 1:02}:00Z")


@pytest.mark.parametrize("how", ["removed", "erased"])
def test_all_keys_of_a_document_go_with_it(store: SeededStore, how: str) -> None:
    write(store, BEFORE, SECRET)
    document_id = write(store, AFTER, OPEN)
    if how == "erased":
        store.reader(ADA).erase(document_id, why="x")
    else:
        with store.ingestion(ADA) as ingestion:
            assert ingestion.remove("a.txt")
    assert not ground_of(store).keys.wraps_of([document_id])


def test_a_writer_that_dies_before_it_forgot_leaves_the_next_one_to_do_it(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = write(store, BEFORE, OPEN)

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    monkeypatch.setattr(key_upkeep, "forget", die)
    with pytest.raises(Died):
        write(store, AFTER, SECRET)
    monkeypatch.undo()
    assert len(ground_of(store).keys.wraps_of([document_id])) == 3
    store.reader(ADA).compact()
    keys = ground_of(store).keys.wraps_of([document_id])
    assert sorted((key.atom, key.stands) for key in keys) == [
        (atom_of(store, SECRET), False),
        (atom_of(store, SECRET), True),
    ]
    store.clock.advance(60)
    assert (then(store, BOB, document_id), then(store, CAT, document_id)) == (None, BEFORE)


def fail_at(store: SeededStore, patch: pytest.MonkeyPatch, owner: object, name: str, label: str) -> None:
    """Write the document anew under a label and fail in the midst of it, alive, as at a disk that is busy."""

    def busy(*_: object) -> None:
        raise StoreBusy("the disk is busy")

    with patch.context() as broken:
        broken.setattr(owner, name, busy)
        with pytest.raises(StoreBusy):
            write(store, AFTER, label)
    store.clock.advance(60)


def others_write(store: SeededStore, count: int) -> str:
    """Write another document some times, each a publication; return when the last one began."""
    at = ""
    for number in range(count):
        at = store.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        store.write(ADA, [Page("b.txt", f"another one, number {number}", OPEN)], source_name="more")
        store.clock.advance(60)
    return at


def test_what_a_writer_failed_to_forget_the_next_one_does(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write the store's files can keep its catalog busy, too."""
    document_id = write(store, BEFORE, OPEN)
    former = {name: table_of(store.path, name).to_table() for name in TABLES}
    fail_at(store, monkeypatch, key_upkeep, "forget", OPEN)
    assert store.reader(BOB).text(document_id).text == AFTER, "it was published"
    keys = ground_of(store).keys
    assert keys.unswept
    others_write(store, 1)
    assert not keys.unswept
    assert len([key for key in keys.wraps_of([document_id]) if key.stands]) == 1
    for name, rows in former.items():
        replace_published(table_of(store.path, name), rows)
    with pytest.raises(StoreCorrupt, match=NO_KEY):
        store.reader(BOB).text(document_id)


def test_so_does_the_next_one_after_a_relabelling_that_failed_to(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = write(store, BEFORE, OPEN)

    def busy(*_: object) -> None:
        raise StoreBusy("the catalog is busy")

    with monkeypatch.context() as broken:
        broken.setattr(key_upkeep, "forget", busy)
        store.reader(ADA).relabel(document_id, SECRET, why="it tells the price")
    assert len(ground_of(store).keys.wraps_of([document_id])) == 2
    others_write(store, 1)
    (key,) = ground_of(store).keys.wraps_of([document_id])
    assert key.atom == atom_of(store, SECRET)


def test_so_does_the_next_one_after_a_removal_that_failed_to(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id = write(store, BEFORE, OPEN)

    def busy(*_: object) -> None:
        raise StoreBusy("the catalog is busy")

    with monkeypatch.context() as broken:
        broken.setattr(key_upkeep, "forget", busy)
        with pytest.raises(StoreBusy), store.ingestion(ADA) as ingestion:
            ingestion.remove("a.txt")
    assert not store.reader(BOB).list()
    assert ground_of(store).keys.wraps_of([document_id])
    others_write(store, 1)
    assert not ground_of(store).keys.wraps_of([document_id])


def test_a_writer_that_failed_before_it_published_shortens_no_keys_life(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It noted how long the writing of before was shown, which is longer since."""
    document_id = write(store, BEFORE, OPEN)
    fail_at(store, monkeypatch, LanceTables, "write", OPEN)
    at = others_write(store, retention.RETAINED_PUBLICATIONS + 4)
    assert [name.stands for name in ground_of(store).keys.wraps_of([document_id])] == [True]
    write(store, AFTER, SECRET)
    store.reader(ADA).compact()
    assert {each.id for each in store.reader(CAT).list(at=at)} >= {document_id}
    assert store.reader(CAT).text(document_id, at=at).text == BEFORE


@pytest.mark.parametrize("label", [OPEN, SECRET])
def test_nor_if_nobody_swept_after_it(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    document_id = write(store, BEFORE, OPEN)
    fail_at(store, monkeypatch, LanceTables, "write", OPEN)
    monkeypatch.setattr(key_upkeep, "forget_left", lambda *_: None)
    at = others_write(store, retention.RETAINED_PUBLICATIONS + 4)
    write(store, AFTER, label)
    store.reader(ADA).compact()
    assert store.reader(CAT).text(document_id, at=at).text == BEFORE


def test_what_is_written_anew_and_raised_by_what_it_is_made_from_in_one_run_is_shown_of_an_earlier_time(
    store: SeededStore,
) -> None:
    (source,) = store.write(ADA, [Page("source.txt", "what it is made from", OPEN)])
    (made,) = store.write(ADA, [Page("made.txt", BEFORE, OPEN, (source,))])
    store.clock.advance(60)
    with store.ingestion(ADA) as ingestion:
        ingestion.put(Page("made.txt", AFTER, OPEN, (source,)).draft())
        assert ingestion.relabel("source.txt", SECRET)
    for who, now, before in ((BOB, None, None), (CAT, AFTER, BEFORE)):
        for at, text in ((None, now), (THEN, before)):
            if text is None:
                with pytest.raises(ringfence.NotReadable):
                    store.reader(who).text(made, at=at)
            else:
                assert store.reader(who).text(made, at=at).text == text


def test_an_older_store_beside_newer_keys_destroys_none_that_the_newer_one_needs(
    store: SeededStore, tmp_path: Path
) -> None:
    rewritten = write(store, BEFORE, OPEN)
    (moved,) = store.write(ADA, [Page("b.txt", "a pump of another sort", OPEN)], source_name="more")
    yesterday = Path(shutil.copytree(store.path, tmp_path / "yesterday"))
    write(store, AFTER, OPEN)
    store.reader(ADA).relabel(moved, SECRET, why="a test")
    store.close()
    store.path.rename(tmp_path / "today")
    yesterday.rename(store.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(store.home))
        with ringfence.open(store.path, embedder="hash") as opened:
            opened.as_user(ADA).compact()
        shutil.rmtree(store.path)
        (tmp_path / "today").rename(store.path)
        with ringfence.open(store.path, embedder="hash") as opened:
            assert opened.as_user(BOB).text(rewritten).text == AFTER
            assert opened.as_user(CAT).text(moved).text == "a pump of another sort"
