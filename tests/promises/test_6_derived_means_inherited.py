"""Promise 6: derived means inherited.

What is made from several documents is read only by who may read all of them.
Nobody lowers a label by declaring parents, by writing bytes he may read or was
ever given, or by writing a document again, unless he may declassify. Bytes he
never could read have no effect on anything he is told.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence_governance import known_contents, rows
from ringfence_governance.labels import Label

from .derived_store import (
    ADA,
    ANN,
    BOB,
    CAT,
    DECLASSIFIER,
    NAMED,
    OPEN,
    RULES,
    WRITER,
    label,
    paths,
)
from .reader_questions import bytes_of, sdk_answers
from .seeded_store import Page, SeededStore, bundle


@pytest.fixture
def store(derivable: SeededStore) -> SeededStore:
    return derivable


# Parents.


def test_what_is_made_of_two_is_read_by_who_may_read_both(derived: SeededStore) -> None:
    assert paths(derived.reader(ANN)) == {"one.txt"}
    assert paths(derived.reader(BOB)) == {"two.txt"}
    assert paths(derived.reader(CAT)) == {"one.txt", "two.txt", "made.txt"}


def test_it_cannot_be_opened_or_explained_by_who_may_read_one(derived: SeededStore) -> None:
    made = derived.written["files/made.txt"]
    for who in (ANN, BOB):
        for verb in ("text", "why"):
            with pytest.raises(ringfence.NotReadable):
                getattr(derived.reader(who), verb)(made)
    assert derived.reader(CAT).why(made)["decision"] == "allow"


def test_its_own_label_counts_too(derived: SeededStore) -> None:
    parents = (derived.written["files/one.txt"], derived.written["files/two.txt"])
    derived.write(WRITER, [Page("narrow.txt", "pump", label(DECLASSIFIER), parents)])
    assert "narrow.txt" not in paths(derived.reader(CAT))
    assert "narrow.txt" in paths(derived.reader(WRITER))
    # He reads everything, as to him no rule is about owners and readers.
    assert "narrow.txt" in paths(derived.reader(DECLASSIFIER))


def test_what_is_made_of_what_was_made_inherits_from_the_first(derived: SeededStore) -> None:
    second = derived.write(WRITER, [Page("2.txt", "pump again", OPEN, (derived.written["files/made.txt"],))])
    derived.write(WRITER, [Page("3.txt", "pump and again", OPEN, tuple(second))])
    assert paths(derived.reader(CAT)) >= {"2.txt", "3.txt"}
    for who in (ANN, BOB):
        assert not paths(derived.reader(who)) & {"2.txt", "3.txt"}


def test_a_right_to_an_input_that_is_taken_back_takes_the_derivative_with_it(store: SeededStore) -> None:
    inputs = [Page("one.txt", "pump 1", "acme/label:granted"), Page("two.txt", "pump 2", label(BOB))]
    store.write(WRITER, [Page("made.txt", "pump made", OPEN, tuple(store.write(WRITER, inputs)))])
    assert paths(store.reader(BOB)) == {"one.txt", "two.txt", "made.txt"}
    assert store.reader(ADA).revoke(BOB, "read", "acme/label:granted", why="no more") == 1
    assert paths(store.reader(BOB)) == {"two.txt"}


def test_its_label_is_told_to_nobody(derived: SeededStore) -> None:
    made = derived.written["files/made.txt"]
    for who in (CAT, WRITER):
        assert {document.id: document.label for document in derived.reader(who).list()}[made] is None


@pytest.mark.parametrize("parent", ["unreadable", "unknown", "removed", "malformed"])
def test_a_parent_the_writer_may_not_read_is_refused_as_one_there_is_not(
    parent: str, store: SeededStore
) -> None:
    hidden, gone = store.write(
        DECLASSIFIER,
        [Page("x.txt", "pump", label(ANN, owner=CAT)), Page("y.txt", "pump y", label(WRITER, owner=CAT))],
    )
    with store.ingestion(DECLASSIFIER) as ingestion:
        ingestion.remove("y.txt")
    named = {"unreadable": hidden, "unknown": "0" * 32, "removed": gone, "malformed": "x.txt"}[parent]
    with pytest.raises(ringfence.Refused) as refused:
        store.write(WRITER, [Page("made.txt", "pump made", OPEN, (named,))])
    assert str(refused.value) == (
        "a parent is unknown, or the ingester may not read it; expected ids of documents he may read"
    )
    assert "made.txt" not in paths(store.reader(CAT))


def test_parents_of_two_tenants_have_no_child(store: SeededStore) -> None:
    theirs = Label("borealis", "borealis/user:bo", frozenset({"*"}))
    (parent,) = store.write("borealis/user:bo", [Page("b.txt", "pump", theirs)])
    with pytest.raises(ringfence.RingfenceError):
        store.write(WRITER, [Page("made.txt", "pump", OPEN, (parent,))])


# Bytes.


@pytest.mark.parametrize("source_name", ["files", "another source"])
def test_bytes_the_writer_may_read_keep_their_label(source_name: str, store: SeededStore) -> None:
    store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", label(WRITER, owner=CAT))])
    with pytest.raises(
        ringfence.WriteRefused, match="its bytes equal a document you may read, or were given"
    ):
        store.write(WRITER, [Page("copy.txt", "pump secret", OPEN)], source_name=source_name)
    assert paths(store.reader(ANN)) == set()
    # Not lower: the same, or fewer readers.
    store.write(WRITER, [Page("copy.txt", "pump secret", label(WRITER, owner=CAT))], source_name=source_name)
    store.write(WRITER, [Page("less.txt", "pump secret", label(owner=CAT))], source_name=source_name)
    assert paths(store.reader(ANN)) == set()


def test_bytes_the_writer_was_once_given_keep_their_label(store: SeededStore) -> None:
    """He read them, then lost the right; they are as secret as before."""
    (secret,) = store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", "acme/label:granted")])
    store.reader(ADA).grant(BOB, "ingest", "*", why="he writes too")
    assert store.reader(BOB).text(secret).text == "pump secret"
    store.reader(ADA).revoke(BOB, "read", "acme/label:granted", why="no more")
    assert paths(store.reader(BOB)) == set()
    with pytest.raises(ringfence.WriteRefused, match="or were given"):
        store.write(BOB, [Page("copy.txt", "pump secret", OPEN)], source_name="his")
    assert paths(store.reader(ANN)) == set()


def test_bytes_the_writer_was_given_between_two_answers_keep_their_label(store: SeededStore) -> None:
    """What was read in the log for the first answer is read on for the second; for another person it is his own."""
    (own,) = store.write(WRITER, [Page("own.txt", "a valve", label(BOB, CAT))])
    (secret,) = store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", "acme/label:granted")])
    bob, cat = store.reader(BOB), store.reader(CAT)
    assert bob.register_answer("the valve is fine", [own])
    assert cat.register_answer("the valve is fine", [own])
    assert bob.text(secret).text == "pump secret"
    store.reader(ADA).revoke(BOB, "read", "acme/label:granted", why="no more")
    with pytest.raises(ringfence.WriteRefused, match="or were given"):
        bob.register_answer("pump secret", [own])
    assert cat.register_answer("pump secret", [own])


def test_what_is_remembered_is_bounded_and_what_was_forgotten_is_looked_up(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_contents, "DOCUMENTS_KEPT", 2)
    monkeypatch.setattr(known_contents, "PERSONS_KEPT", 1)
    written = [Page(f"{n}.txt", f"pump {n}", label(BOB, CAT, owner=ADA)) for n in range(5)]
    store.write(WRITER, written)
    (own,) = store.write(WRITER, [Page("own.txt", "a valve", label(BOB, CAT))])
    for who in (BOB, CAT, BOB):
        store.reader(who).search("pump")
        for page in written:
            with pytest.raises(ringfence.WriteRefused, match="its bytes equal"):
                store.reader(who).register_answer(page.text, [own])
    contents = store.door._Door__ground.contents  # type: ignore[attr-defined]
    assert len(contents._held) == 2


def test_bytes_given_to_another_or_only_listed_by_nobody_are_free(store: SeededStore) -> None:
    (secret,) = store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", label(ANN, owner=CAT))])
    store.reader(ANN).text(secret)
    store.write(WRITER, [Page("guess.txt", "pump secret", OPEN)])
    assert paths(store.reader(BOB)) == {"guess.txt"}


def opened_metadata(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the ids of the documents whose metadata is opened one by one from now on, as they are."""
    found: list[str] = []
    honest = rows._metadata

    def noting(ground: Any, keys: Any, row: Any) -> Any:
        found.append(row["id"])
        return honest(ground, keys, row)

    monkeypatch.setattr(rows, "_metadata", noting)
    return found


def test_bytes_keep_their_label_whether_they_were_looked_at_before_or_not(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened for a search is not opened again, and holds its label all the same."""
    (old,) = store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", label(WRITER, owner=CAT))])
    opened = opened_metadata(monkeypatch)
    assert len(store.reader(WRITER).search("pump")) == 1
    with pytest.raises(ringfence.WriteRefused, match="its bytes equal a document you may read"):
        store.write(WRITER, [Page("copy.txt", "pump secret", OPEN)])
    assert opened == []
    # Written anew it is of other bytes: those of before were never given to the writer's words.
    store.write(DECLASSIFIER, [Page("secret.txt", "pump changed", label(WRITER, owner=CAT))])
    with pytest.raises(ringfence.WriteRefused, match="its bytes equal a document you may read"):
        store.write(WRITER, [Page("copy.txt", "pump changed", OPEN)])
    assert opened == [old]
    # A label that changes is the one that counts, and what the bytes are is asked of who can open it under that.
    with store.ingestion(DECLASSIFIER) as ingestion:
        assert ingestion.relabel("secret.txt", OPEN)
    store.write(WRITER, [Page("copy.txt", "pump changed", OPEN)])
    assert opened == [old, old]


def test_bytes_that_others_have_open_have_no_effect_on_who_may_not_read_them(store: SeededStore) -> None:
    store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", label(ANN, owner=CAT))])
    for who in (ANN, CAT, DECLASSIFIER):
        assert len(store.reader(who).search("pump")) == 1
    (mine,) = store.write(WRITER, [Page("guess.txt", "pump secret", OPEN)])
    assert store.reader(WRITER).register_answer("pump secret", [mine])


def test_metadata_moved_to_another_document_is_not_taken_for_its_own(store: SeededStore) -> None:
    contents = store.door._Door__ground.contents  # type: ignore[attr-defined]
    contents.note("1" * 32, 7, b"sealed", "a" * 64)
    assert contents.of("1" * 32, 7, b"sealed") == contents.digest("a" * 64) != contents.digest("b" * 64)
    assert contents.of("2" * 32, 7, b"sealed") is None
    assert contents.of("1" * 32, 7, b"sealed anew") is None
    # Nor if its row says that it is under another label: who asks by that one need not be able to open it.
    assert contents.of("1" * 32, 8, b"sealed") is None


def test_who_may_declassify_lowers_and_another_may_not(store: SeededStore) -> None:
    store.write(DECLASSIFIER, [Page("secret.txt", "pump secret", label(WRITER, owner=CAT))])
    store.write(DECLASSIFIER, [Page("copy.txt", "pump secret", OPEN)])
    assert paths(store.reader(ANN)) == {"copy.txt"}


def test_bytes_never_readable_have_no_effect_on_anything_the_writer_is_told(tmp_path: Path) -> None:
    """Through the SDK: summary, progress, answers, errors and a second run, with and without the match."""
    told = []
    for hidden in (True, False):
        store = SeededStore.create(tmp_path / str(hidden), bundle(RULES, [NAMED]), ADA, seed=5)
        text = "the raise is nine percent" if hidden else "quite another text of the same use"
        store.write(ADA, [Page("hr/letter.txt", text, label(ANN, owner=CAT))], step=1)
        team = ringfence.Store(store.door, store.path, "hash", None)
        guesses = [
            ringfence.Document("guess.txt", "the raise is nine percent", label=OPEN),
            ringfence.Document("hr/letter.txt", "the raise is nine percent", label=OPEN),
        ]
        told.append([])
        for step, documents in enumerate((guesses, guesses, guesses[:1]), start=2):
            store.randomness.step = step
            progress: list[object] = []
            for dry in (True, False):
                summary = team.ingest(
                    documents, as_user=WRITER, dry_run=dry, remove_vanished=True, on_progress=progress.append
                )
                facts = summary.to_mapping()
                del facts["seconds"]
                told[-1] += [facts, [repr(each) for each in progress]]
        ids = [document.id for document in team.as_user(WRITER).list()]
        told[-1].append(list(sdk_answers(team.as_user(WRITER), ids)))
        store.close()
    assert told[0] == told[1]
    assert told[0][2]["added"] == 2


# Writing again.

HELD = Label(
    "acme",
    WRITER,
    readers=frozenset({ANN}),
    denied=frozenset({BOB}),
    level=2,
    compartments=frozenset({"x"}),
    purposes=frozenset({"care"}),
    valid_from="2026-01-01T00:00:00Z",
    valid_until="2027-01-01T00:00:00Z",
)
LOWER = {
    "owner": {"owner": ANN},
    "readers": {"readers": frozenset({ANN, CAT})},
    "everybody": {"readers": frozenset({"*"})},
    "a group": {"readers": frozenset({ANN, "acme/group:sales"})},
    "denied": {"denied": frozenset()},
    "level": {"level": 1},
    "compartments": {"compartments": frozenset()},
    "purposes": {"purposes": frozenset({"care", "billing"})},
    "any purpose": {"purposes": frozenset({"*"})},
    "valid_from": {"valid_from": "2025-01-01T00:00:00Z"},
    "valid_until": {"valid_until": "2028-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("way", LOWER)
@pytest.mark.parametrize("again", ["as it was", "with other words"])
def test_a_lower_label_is_refused_and_the_document_keeps_its_own(
    way: str, again: str, store: SeededStore
) -> None:
    lower = Label(**{name: getattr(HELD, name) for name in HELD.__slots__} | LOWER[way])
    text = "pump" if again == "as it was" else "pump anew"
    team = ringfence.Store(store.door, store.path, "hash", None)
    team.ingest([ringfence.Document("a.txt", "pump", label=HELD)], as_user=WRITER)
    summary = team.ingest([ringfence.Document("a.txt", text, label=lower)], as_user=WRITER)
    assert [report.path for report in summary.refused] == ["a.txt"]
    assert (summary.relabelled, summary.changed) == (0, 0)
    # A higher one needs no such right: the other way round it is done. Another owner is neither. A user whom
    # a label names need not be known to the policy, as everybody must.
    team.ingest([ringfence.Document("b.txt", "pump b", label=lower)], as_user=WRITER)
    summary = team.ingest([ringfence.Document("b.txt", f"{text} b", label=HELD)], as_user=WRITER)
    assert summary.complete is (way not in ("owner", "everybody")), summary


def test_from_everybody_to_a_group_is_no_lowering(store: SeededStore) -> None:
    """Whoever is in a group is known, so everybody holds him: fewer read it than before."""
    everybody, group = label("*"), label("acme/group:sales")
    store.write(WRITER, [Page("a.txt", "pump", everybody)])
    assert paths(store.reader(DECLASSIFIER)) == {"a.txt"}
    assert paths(store.reader(BOB)) == {"a.txt"}
    with store.ingestion(WRITER) as ingestion:
        assert ingestion.relabel("a.txt", group)
    assert paths(store.reader(BOB)) == set()
    with store.ingestion(WRITER) as ingestion:
        assert not ingestion.relabel("a.txt", everybody)


def test_who_may_declassify_lowers_a_label(store: SeededStore) -> None:
    team = ringfence.Store(store.door, store.path, "hash", None)
    team.ingest([ringfence.Document("a.txt", "pump", label=label(ANN))], as_user=DECLASSIFIER)
    assert paths(team.as_user(BOB)) == set()
    summary = team.ingest([ringfence.Document("a.txt", "pump", label=label(ANN, BOB))], as_user=DECLASSIFIER)
    assert summary.relabelled == 1
    assert paths(team.as_user(BOB)) == {"a.txt"}


def test_a_derivative_written_again_without_its_parents_keeps_what_it_inherited(derived: SeededStore) -> None:
    for text in ("pump made of both", "pump of nothing at all"):
        with pytest.raises(ringfence.WriteRefused):
            derived.write(WRITER, [Page("made.txt", text, OPEN)])
    assert "made.txt" not in paths(derived.reader(ANN)) | paths(derived.reader(BOB))


def test_relabelling_a_derivative_leaves_what_it_inherited(derived: SeededStore) -> None:
    with derived.ingestion(WRITER) as ingestion:
        ingestion.relabel("made.txt", label(ANN, BOB, CAT))
    assert "made.txt" not in paths(derived.reader(ANN)) | paths(derived.reader(BOB))
    with derived.ingestion(DECLASSIFIER) as ingestion, pytest.raises(ringfence.InvalidInput):
        ingestion.relabel("made.txt", OPEN)


def test_no_order_of_two_readers_and_two_inputs_opens_the_derivative(store: SeededStore) -> None:
    """Each way in which two people can each have one, both or none of the inputs."""
    cases = list(itertools.product([True, False], repeat=4))
    pages = []
    for number, (ann_one, ann_two, bob_one, bob_two) in enumerate(cases):
        one = label(*[who for who, may in ((ANN, ann_one), (BOB, bob_one)) if may])
        two = label(*[who for who, may in ((ANN, ann_two), (BOB, bob_two)) if may])
        pages += [
            Page(f"{number}/one", f"pump {number} one", one),
            Page(f"{number}/two", f"pump {number} two", two),
        ]
    ids = store.write(WRITER, pages)
    made = [Page(f"{n}/made", f"pump {n}", OPEN, tuple(ids[2 * n : 2 * n + 2])) for n in range(len(cases))]
    store.write(WRITER, made)
    for who, place in ((ANN, 0), (BOB, 2)):
        found = {path for path in paths(store.reader(who)) if path.endswith("made")}
        assert found == {f"{n}/made" for n, case in enumerate(cases) if case[place] and case[place + 1]}


def test_an_input_that_is_narrowed_narrows_what_was_made_from_it(derived: SeededStore) -> None:
    assert "made.txt" in paths(derived.reader(CAT))
    with derived.ingestion(WRITER) as ingestion:
        assert ingestion.relabel("one.txt", label(ANN))
    assert paths(derived.reader(CAT)) == {"two.txt"}


def test_a_redefinition_carries_through_and_may_not_lower(store: SeededStore) -> None:
    ids = store.write(
        WRITER, [Page("one.txt", "pump 1", "acme/label:granted"), Page("two.txt", "pump 2", OPEN)]
    )
    store.write(WRITER, [Page("made.txt", "pump made", OPEN, tuple(ids))])
    admin = store.reader(ADA)
    narrower = Label("acme", WRITER, denied=frozenset({BOB}))
    admin.redefine_label("acme/label:granted", narrower, why="no more")
    assert paths(store.reader(BOB)) == {"two.txt"}
    with pytest.raises(ringfence.Refused):
        admin.redefine_label("acme/label:granted", OPEN, why="wider")


def test_the_answers_compared_above_are_not_all_errors(store: SeededStore) -> None:
    (found,) = store.write(WRITER, [Page("a.txt", "offer pump", label())])
    told = dict(sdk_answers(store.reader(WRITER), [found]))
    assert sum(not answer.startswith(b'["raised"') for answer in told.values()) > 15
    assert bytes_of(lambda: store.reader(WRITER).text(found)) == told[f"text {found}"]
