"""What somebody may: of himself he learns how much he reads, by label; an auditor learns what he may audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ringfence_governance import authority, listings
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import InvalidInput, Refused, StoreCorrupt
from ringfence_governance.labels import NamedLabel
from ringfence_governance.subjects import Subject

from .worlds import ADMIN, WHY, World, draft, label, subject

HAL, BOB, OLGA, OTTO, LEE, DEX = (
    f"acme/user:{name}" for name in ("hal", "bob", "olga", "otto", "lee", "dex")
)
DORA, OZ = "acme/user:dora", "borealis/user:oz"
STAFF, PAYROLL, PROJECT, BOARD = (f"acme/label:{name}" for name in ("staff", "payroll", "project", "board"))


def told(answer: dict[str, Any]) -> list[tuple[str | None, int]]:
    return [(each["label"], each["documents"]) for each in answer["labels"]]


# Of oneself


def test_a_reader_is_told_how_many_documents_he_reads_under_each_label(filled: World) -> None:
    filled.put(draft("more.txt", "the canteen closes", STAFF))
    answer = filled.door.what(subject(BOB))
    labels = answer.pop("labels")
    assert answer == {
        "subject": BOB,
        "via": [],
        "purpose": "",
        "action": "read",
        "documents": 3,
        "as_of": filled.see(BOB).as_of,
    }
    assert sorted(labels, key=lambda each: each["documents"]) == [
        {"label": None, "documents": 1},
        {"label": None, "documents": 2},
    ]


def test_the_owner_and_who_may_audit_a_label_are_told_its_name_and_nobody_else(filled: World) -> None:
    dora = filled.door.what(subject(DORA))
    assert told(dora) == [(PAYROLL, 1), (PROJECT, 1), (STAFF, 1)]
    assert told(filled.door.what(subject(OLGA))) == [(STAFF, 1)]
    assert told(filled.door.what(subject(HAL))) == [(None, 1), (None, 1)]
    # An anonymous label has no name to tell, even to its owner.
    assert told(filled.door.what(subject("acme/user:ann"))) == [(None, 1)]


def test_he_is_told_no_more_than_his_rows_say(filled: World) -> None:
    """No definition, no other label, not even one he might read under if there were a document."""
    filled.door.define_label(subject(ADMIN), NamedLabel("acme/label:empty", label(DORA, BOB)), WHY)
    before = filled.door.what(subject(BOB), documents=True)
    assert len(before["labels"]) == 2
    text = json.dumps(before)
    assert not [word for word in ("payroll", "staff", "project", "empty", "dora", "hr") if word in text]
    filled.put(draft("pay/more.txt", "hal earns more", PAYROLL))
    filled.door.define_label(subject(ADMIN), NamedLabel("acme/label:new", label(DORA, BOB)), WHY)
    assert filled.door.what(subject(BOB), documents=True) == before


def test_the_documents_are_listed_if_asked_for_and_are_his_own(filled: World) -> None:
    seen = filled.see(BOB)
    answer = filled.door.what(subject(BOB), documents=True)
    assert sorted(one for each in answer["labels"] for one in each["ids"]) == sorted(seen.documents)
    assert "ids" not in filled.door.what(subject(BOB))["labels"][0]
    with_ids, without = filled.records()[-2:]
    assert (with_ids["verb"], with_ids["action"], without["rows"]) == ("what", "read", [])
    assert with_ids["rows"] == sorted(seen.documents)
    assert with_ids["counts"] == {"labels": 2, "documents": 2}


def test_unnamed_labels_come_in_the_order_of_their_documents_not_of_the_store(filled: World) -> None:
    """The order in which the store met its labels is no reader's to know."""
    for number in range(6):
        filled.put(draft(f"{number}.txt", "text", label(f"acme/user:u{number}", BOB)))
    found = [each["ids"] for each in filled.door.what(subject(BOB), documents=True)["labels"]]
    assert found == sorted(found)


def test_who_may_read_nothing_is_told_nothing(filled: World) -> None:
    for who in ("acme/user:nobody", "borealis/user:nobody"):
        answer = filled.door.what(subject(who))
        assert (answer["labels"], answer["documents"]) == ([], 0)


def test_a_chain_is_told_what_all_of_it_may_read(filled: World) -> None:
    filled.add("p", "acme/agent:desk", "acme", PROJECT, "delegate", "any", "*", "-", "-", "allow")
    chain = Subject(BOB, ("acme/agent:desk",))
    answer = filled.door.what(chain)
    assert (answer["via"], answer["documents"]) == (["acme/agent:desk"], 1)
    assert [each["label"] for each in filled.door.what_for(subject(OLGA), chain)["labels"]] == [PROJECT]


# Of others


def test_an_auditor_is_told_each_label_what_it_means_and_how_much_is_under_it(filled: World) -> None:
    answer = filled.door.what_for(subject(OLGA), subject(LEE))
    assert {name: answer[name] for name in ("subject", "via", "purpose", "action")} == {
        "subject": LEE,
        "via": [],
        "purpose": "",
        "action": "read",
    }
    assert told(answer) == [(BOARD, 1), (PROJECT, 1), (STAFF, 1)]
    assert answer["labels"][0]["label_definition"][0]["level"] == 2
    assert (answer["labels_hidden"], answer["documents"]) == (0, 3)
    assert list(answer) == [
        "subject",
        "via",
        "purpose",
        "action",
        "labels",
        "labels_hidden",
        "documents",
    ]


def test_a_label_he_may_read_under_is_told_to_an_auditor_without_a_document_too(filled: World) -> None:
    filled.door.define_label(subject(ADMIN), NamedLabel("acme/label:empty", label(DORA, BOB)), WHY)
    assert ("acme/label:empty", 0) in told(filled.door.what_for(subject(OLGA), subject(BOB)))


def test_labels_without_a_name_are_told_by_what_they_mean(filled: World) -> None:
    filled.put(draft("a.txt", "a", label("acme/user:ann", BOB)), draft("b.txt", "b", label(BOB)))
    answer = filled.door.what_for(subject(OLGA), subject(BOB))
    assert [each["label"] for each in answer["labels"]] == [PROJECT, STAFF, None, None]
    owners = [each["label_definition"][0]["owner"] for each in answer["labels"][2:]]
    assert owners == ["acme/user:ann", BOB]


def test_a_compound_label_is_told_with_each_of_its_parts(filled: World) -> None:
    filled.add("p", DEX, "acme", "*", "read", "any", "*", "-", "-", "allow")
    ids = filled.see(DEX).ids
    both = [ids["project.txt"], ids["pay/salaries.txt"]]
    filled.put(draft("sum.txt", "made of both", "acme/label:staff", parents=both), who=DEX)
    answer = filled.door.what_for(subject(OLGA), subject(DEX))
    compound = [each for each in answer["labels"] if len(each["label_definition"]) > 1]
    assert [(each["label"], each["documents"]) for each in compound] == [(None, 1)]
    assert len(compound[0]["label_definition"]) == 3


def test_labels_he_may_not_audit_are_one_number_of_his_own_tenant(filled: World) -> None:
    answer = filled.door.what_for(subject(OTTO), subject(BOB), documents=True)
    assert [each["label"] for each in answer["labels"]] == [PROJECT]
    assert answer["labels_hidden"] == 1
    assert answer["documents"] == 1
    text = json.dumps(answer)
    assert not [name for name in ("staff", "payroll", *filled.see(OLGA).documents) if name in text]
    for auditor, asked in ((OLGA, "borealis/user:bo"), (OZ, BOB), (OTTO, "borealis/user:bo")):
        answer = filled.door.what_for(subject(auditor), subject(asked), documents=True)
        assert (answer["labels"], answer["labels_hidden"], answer["documents"]) == ([], 0, 0)


def test_an_auditor_asks_about_any_action_but_one_that_is_never_asked_for(filled: World) -> None:
    ingest = filled.door.what_for(subject(OLGA), subject(DEX), action="ingest")
    assert {PAYROLL, BOARD, PROJECT, STAFF} <= {each["label"] for each in ingest["labels"]}
    assert filled.door.what_for(subject(OLGA), subject(BOB), action="ingest")["labels"] == []
    for action in ("delegate", "fly", "*", ""):
        with pytest.raises(InvalidInput, match="expected one of administer, audit, "):
            filled.door.what_for(subject(OLGA), subject(DEX), action=action)


def test_an_auditor_is_told_what_may_be_read_for_a_purpose(filled: World) -> None:
    limited = label(DORA, HAL, purposes=frozenset({"payroll-run"}))
    filled.put(draft("run.txt", "salaries", limited))
    for purpose, found in (("", 0), ("payroll-run", 1), ("other", 0)):
        answer = filled.door.what_for(subject(OLGA), Subject(HAL, (), purpose))
        assert [each["documents"] for each in answer["labels"] if each["label"] is None] == [1] * found


@pytest.mark.parametrize("who", [BOB, DORA, ADMIN, "acme/user:nobody", "borealis/user:bea"])
def test_who_may_audit_nothing_gets_one_answer_about_everybody(filled: World, who: str) -> None:
    answers = set()
    for asked in (HAL, who, "acme/user:unheard-of", "borealis/user:bo"):
        with pytest.raises(Refused) as caught:
            filled.door.what_for(subject(who), subject(asked), documents=True)
        answers.add((str(caught.value), caught.value.hint))
        record = filled.records()[-1]
        assert (record["verb"], record["action"], record["outcome"]) == ("what", "audit", "refused")
    assert answers == {(f"{who} may audit nothing here", "an administrator can grant 'audit'")}


def test_an_answer_to_an_auditor_is_recorded_with_the_documents_that_are_listed(filled: World) -> None:
    listed = filled.door.what_for(subject(OLGA), subject(BOB), documents=True)
    filled.door.what_for(subject(OLGA), subject(BOB))
    with_ids, without = filled.records()[-2:]
    ids = sorted(one for each in listed["labels"] for one in each["ids"])
    assert (with_ids["verb"], with_ids["action"], with_ids["outcome"]) == ("what", "audit", "allowed")
    assert (with_ids["rows"], without["rows"]) == (ids, [])
    assert len(set(with_ids["atoms"])) == 2
    assert with_ids["counts"] == without["counts"] == {"labels": 2, "documents": 2}


@pytest.mark.parametrize("wrong", ["subject", "auditor", "self"])
def test_a_label_that_casbin_denies_when_asked_again_lets_nothing_leave(
    filled: World, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """The sets are computed; were they wrong, no name of a label would be told."""
    table = filled.ground.moment().table
    everything = AtomSet.of(table.entries)
    if wrong == "subject":
        monkeypatch.setattr(listings, "what_may", lambda *_: tuple(table.entries.values()))
    else:
        made = authority.readable_until

        def too_much(snapshot: Any, labels: Any, asker: Subject, **named: Any) -> Any:
            atoms, until = made(snapshot, labels, asker, **named)
            return (everything if named["action"] != "read" or wrong == "self" else atoms), until

        monkeypatch.setattr(authority, "readable_until", too_much)
    ask: dict[str, Callable[[], object]] = {
        "self": lambda: filled.door.what(subject(HAL)),
        "auditor": lambda: filled.door.what_for(subject(OTTO), subject(BOB)),
        "subject": lambda: filled.door.what_for(subject(OLGA), subject(BOB)),
    }
    with pytest.raises(StoreCorrupt, match="not allowed when asked again"):
        ask[wrong]()
    assert filled.records()[-1]["outcome"] == "alarm"
