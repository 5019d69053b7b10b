"""Promise 6, for answers: what was made of passages is read by who may read them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance.labels import Label
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.subjects import Subject

from .derived_store import (
    ADA,
    ANN,
    BOB,
    CAT,
    NAMED,
    OPEN,
    RULES,
    WRITER,
    label,
    paths,
)
from .recorded_store import records
from .seeded_store import Page, SeededStore, bundle


@pytest.fixture
def store(derivable: SeededStore) -> SeededStore:
    return derivable


def test_an_answer_made_from_passages_is_read_by_who_may_read_them_all(derived: SeededStore) -> None:
    cat = derived.reader(CAT)
    answer = cat.register_answer("Both pumps leak.", passages=list(cat.search("pump")))
    assert cat.why(answer)["decision"] == "allow"
    for who in (ANN, BOB):
        with pytest.raises(ringfence.NotReadable):
            derived.reader(who).why(answer)


def answers(reader: Reader) -> set[str]:
    """Return the ids of the answers a reader gets, which must be the same by every verb."""
    paths(reader)
    listed = {document.id for document in reader.list() if document.kind == "answer"}
    found = {hit.document for hit in reader.search("pump", 1000) if hit.source.kind == "answer"}
    taken = {each.document for each in reader.context("pump").citations if each.source.kind == "answer"}
    assert listed == found == taken
    for document in listed:
        assert reader.why(document)["kind"] == "answer"
    without = reader.context("pump", where=ringfence.field("source_kind") != "answer")
    assert {each.document for each in without.citations} == {each.id for each in reader.list()} - listed
    return listed


def test_an_answer_is_private_to_who_registers_it_unless_a_label_says_who_else(derived: SeededStore) -> None:
    """Cat and the writer may both read all inputs."""
    cat, writer = derived.reader(CAT), derived.reader(WRITER)
    own = cat.register_answer("A pump of her own.", cat.context("pump"), title="What is it?")
    assert (answers(cat), answers(writer)) == ({own}, set())
    shared = writer.register_answer("A pump of all.", writer.context("pump one two made"), label=OPEN)
    assert (answers(cat), answers(writer)) == ({own, shared}, {shared})
    assert answers(derived.reader(ANN)) == answers(derived.reader(BOB)) == set()
    of_one = writer.register_answer("A pump of one.", [derived.written["files/one.txt"]], label=OPEN)
    assert answers(derived.reader(ANN)) == {of_one}
    assert answers(derived.reader(BOB)) == set()
    # And on through what is made of it.
    second = writer.register_answer(
        "Of the pump of one.", [of_one, derived.written["files/two.txt"]], label=OPEN
    )
    assert answers(derived.reader(ANN)) == {of_one}
    assert second in answers(cat)


def test_the_label_of_an_answer_is_told_to_nobody(derived: SeededStore) -> None:
    cat = derived.reader(CAT)
    made = cat.register_answer("A pump of her own.", cat.context("pump"))
    (told,) = [document for document in cat.list() if document.id == made]
    assert (told.label, told.kind) == (None, "answer")


@pytest.mark.parametrize("which", ["unreadable", "unknown", "malformed", "a passage rewritten since"])
def test_an_input_that_may_not_be_read_is_refused_as_one_there_is_not(
    which: str, derived: SeededStore
) -> None:
    (hit,) = [hit for hit in derived.reader(ANN).search("pump") if hit.source.path == "one.txt"]
    named = {"unreadable": derived.written["files/two.txt"], "unknown": "0" * 32, "malformed": "two.txt"}
    if which not in named:
        derived.write(WRITER, [Page("one.txt", "pump one anew", label(ANN, CAT))])
    ann = derived.reader(ANN)
    before = ann.count(), ann.list().as_of
    with pytest.raises(ringfence.NotReadable) as refused:
        ann.register_answer("A pump.", [derived.written["files/one.txt"], named.get(which, hit.id)])
    assert str(refused.value) == "nothing you may read has this id"
    assert (ann.count(), ann.list().as_of) == before


def test_who_may_read_nothing_is_not_told_the_model_of_the_stores_vectors(derived: SeededStore) -> None:
    """In an empty store there is none."""
    other = Reader(derived.door, Subject("acme/user:ghost"), lambda _: np.eye(3, dtype=np.float32)[0])
    with pytest.raises(ringfence.NotReadable):
        other.register_answer("pump", ["0" * 32])
    assert records(derived.path)[-1]["outcome"] == "refused"


def test_who_may_not_ingest_under_a_label_puts_no_answer_before_others(derived: SeededStore) -> None:
    cat = derived.reader(CAT)
    for chosen in (OPEN, label(ANN, owner=CAT), "acme/label:granted", "acme/label:none"):
        with pytest.raises(ringfence.Refused, match="may not ingest under"):
            cat.register_answer("A pump.", cat.context("pump"), label=chosen)
    assert answers(cat) == set()


def test_a_rule_that_denies_to_ingest_denies_a_private_answer_too(tmp_path: Path) -> None:
    deny = f"p, {CAT}, acme, *, ingest, any, *, -, -, deny"
    store = SeededStore.create(tmp_path, bundle([*RULES, deny], [NAMED]), ADA)
    store.write(WRITER, [Page("one.txt", "pump one", label(CAT))])
    cat = store.reader(CAT)
    with pytest.raises(ringfence.Refused, match="a rule denies"):
        cat.register_answer("A pump.", cat.context("pump"))
    assert paths(cat) == {"one.txt"}
    store.close()


def test_an_answer_with_the_bytes_of_a_document_it_does_not_name_is_refused(derived: SeededStore) -> None:
    cat, two = derived.reader(CAT), derived.written["files/two.txt"]
    with pytest.raises(ringfence.WriteRefused, match="its bytes equal a document you may read"):
        cat.register_answer("pump two", [derived.written["files/one.txt"]])
    made = cat.register_answer("pump two", [derived.written["files/one.txt"], two])
    assert answers(cat) == {made}


@pytest.mark.parametrize("way", ["relabel", "ingest again", "redefine", "revoke"])
def test_a_change_to_an_input_is_a_change_to_the_answer(way: str, store: SeededStore) -> None:
    named = way in ("redefine", "revoke")
    inputs = [
        Page("one.txt", "pump one", "acme/label:granted" if named else label(BOB, CAT)),
        Page("two.txt", "pump two", label(BOB, CAT)),
    ]
    store.write(WRITER, inputs)
    writer, bob, admin = store.reader(WRITER), store.reader(BOB), store.reader(ADA)
    made = writer.register_answer("Of two pumps.", writer.context("pump"), label=OPEN)
    private = bob.register_answer("Of two pumps, his.", bob.context("pump two one"))
    assert answers(bob) == {made, private}
    narrower = Label("acme", WRITER, denied=frozenset({BOB}))
    change = {
        "relabel": lambda: writer.relabel("one.txt", label(CAT), why="x"),
        "ingest again": lambda: store.write(WRITER, [Page("one.txt", "pump one anew", label(CAT))]),
        "redefine": lambda: admin.redefine_label("acme/label:granted", narrower, why="x"),
        "revoke": lambda: admin.revoke(BOB, "read", "acme/label:granted", why="x"),
    }[way]
    change()
    assert paths(bob) == {"two.txt"}
    assert made in answers(writer)


def test_a_right_to_an_input_that_goes_while_an_answer_is_written_takes_it_along(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(
        WRITER, [Page("one.txt", "pump 1", "acme/label:granted"), Page("two.txt", "pump 2", label(BOB))]
    )
    bob, admin = store.reader(BOB), store.reader(ADA)
    found = bob.context("pump")
    honest = LanceTables.write

    def late(tables: LanceTables, *given: Any) -> Any:
        assert admin.revoke(BOB, "read", "acme/label:granted", why="in between") == 1
        return honest(tables, *given)

    with monkeypatch.context() as patch:
        patch.setattr(LanceTables, "write", late)
        with pytest.raises(ringfence.Refused, match="the policy changed"):
            bob.register_answer("Of both pumps.", found)
    assert answers(bob) == set()
    assert store.reader(ADA).grant(BOB, "read", "acme/label:granted", why="again")
    assert answers(bob) == set()
    assert answers(store.reader(BOB)) == set()
    made = bob.register_answer("Of both pumps.", found)
    assert answers(bob) == {made}


def test_relabelling_an_answer_leaves_what_it_inherited(derived: SeededStore) -> None:
    writer = derived.reader(WRITER)
    made = writer.register_answer("A pump.", writer.context("pump"), label=OPEN)
    assert writer.relabel(made, label(ANN, BOB, CAT), why="not for all of them")
    assert answers(derived.reader(CAT)) == {made}
    assert answers(derived.reader(ANN)) == answers(derived.reader(BOB)) == set()
    # What was private is lowered by a label that lets others in.
    own = writer.register_answer("A pump of his own.", writer.context("pump"))
    with pytest.raises(ringfence.WriteRefused):
        writer.relabel(own, label(CAT), why="for her too")
    assert answers(derived.reader(CAT)) == {made}


def test_an_answer_has_one_key_that_no_single_label_opens(derived: SeededStore) -> None:
    cat = derived.reader(CAT)
    made = cat.register_answer("A pump of her own.", cat.context("pump"))
    ground = derived.door._Door__ground  # type: ignore[attr-defined]
    (wrap,) = ground.keys.wraps_of([made])
    table = ground.moment().table
    entry = table.entries[wrap.atom]
    owners = {(label.owner, label.readers) for _, label in table.definitions(entry)}
    own = (CAT, frozenset())
    assert owners == {own, *((each.owner, each.readers) for each in (label(ANN, CAT), label(BOB, CAT), OPEN))}
    for part in entry.parts:
        with pytest.raises(ringfence.RingfenceError):
            ground.keys.keyring([table.by_id[part]], [made]).cipher(made, wrap.run_id, wrap.atom)
    assert ground.keys.keyring([entry], [made]).cipher(made, wrap.run_id, wrap.atom)


def test_an_answer_for_a_purpose_is_read_for_that_purpose_alone(store: SeededStore) -> None:
    care = Label("acme", WRITER, frozenset({CAT}), purposes=frozenset({"care"}))
    store.write(WRITER, [Page("one.txt", "pump one", care)])
    cat = store.reader(CAT, purpose="care")
    made = cat.register_answer("A pump.", cat.context("pump"))
    assert answers(cat) == {made}
    assert answers(store.reader(CAT)) == answers(store.reader(CAT, purpose="billing")) == set()


def test_an_agent_carries_no_answer_it_may_not_carry_the_inputs_of(tmp_path: Path) -> None:
    agent = "acme/agent:desk"
    carries = f"p, {agent}, acme, acme/label:granted, delegate, any, *, -, -, allow"
    store = SeededStore.create(tmp_path, bundle([*RULES, carries], [NAMED]), ADA)
    store.write(
        WRITER, [Page("one.txt", "pump 1", "acme/label:granted"), Page("two.txt", "pump 2", label(BOB))]
    )
    bob, carried = store.reader(BOB), store.reader(BOB, via=[agent])
    with pytest.raises(ringfence.NotReadable):
        carried.register_answer("Of both pumps.", bob.context("pump"))
    made = carried.register_answer("Of a pump.", carried.context("pump"))
    # The agent may carry his question there and not what is private to him.
    assert (answers(bob), answers(carried)) == ({made}, set())
    store.close()
