"""Which label a document had at a time, and from what that is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

import lance
import pytest

from ringfence_governance import journal
from ringfence_governance.errors import NotReadable
from ringfence_governance.journal import Change, Relabelling

from .past_times import (
    BOB,
    DEX,
    DORA,
    HAL,
    LEE,
    OLGA,
    OTTO,
    PAYROLL,
    PROJECT,
    now,
    wait,
)
from .worlds import ADMIN, World, draft, subject


@dataclass(frozen=True)
class Moved:
    """A document that lay under `project` at one time and lies under `payroll` now."""

    document: str
    at: str


@pytest.fixture
def moved(still: World) -> Moved:
    (document,) = still.put(draft("moved.txt", "a plan", PROJECT), who=DEX)
    at = wait(still)
    still.put(draft("moved.txt", "a plan", PAYROLL), who=DEX)
    still.clock.advance(1)
    return Moved(document, at)


def forget_old_versions(world: World) -> None:
    for name in ("documents", "chunks", "edges"):
        lance.dataset(str(world.path / "lance" / f"{name}.lance")).cleanup_old_versions(timedelta(0))


def test_the_label_is_the_one_the_publication_of_that_time_says(still: World, moved: Moved) -> None:
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=moved.at)
    assert (answer["label"], answer["label_as_of"], answer["decision"]) == (PROJECT, "publication", "allow")
    assert still.door.who(subject(OLGA), moved.document, at=moved.at)["readers"] == [BOB, DORA, LEE]
    counts = {
        each["label"]: each["documents"]
        for each in still.door.what_for(subject(OLGA), subject(DORA), at=moved.at)["labels"]
    }
    assert (counts[PROJECT], counts[PAYROLL]) == (2, 1)
    record = still.records()[-3]
    table = still.ground.moment().table.by_id
    assert (record["verb"], record["plan"]) == ("why", f"why at {moved.at}")
    assert record["rows"] == [moved.document] * 2
    assert record["atoms"] == [table[PAYROLL].atom, table[PROJECT].atom]


def test_where_that_publication_is_gone_the_answer_says_so_and_the_journal_leads_back(
    still: World, moved: Moved
) -> None:
    forget_old_versions(still)
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=moved.at)
    assert (answer["label"], answer["label_as_of"], answer["decision"]) == (PROJECT, "newest", "allow")
    listed = still.door.what_for(subject(OLGA), subject(DORA), at=moved.at)
    assert listed["label_as_of"] == "newest"
    assert still.door.what_for(subject(OLGA), subject(DORA), at=now(still))["label_as_of"] == "publication"


def test_of_several_relabellings_since_the_one_nearest_to_the_time_counts(still: World, moved: Moved) -> None:
    forget_old_versions(still)
    journal_relabel(still, moved.document, PAYROLL, "acme/label:staff")
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=moved.at)
    assert (answer["label"], answer["label_as_of"], answer["decision"]) == (PROJECT, "newest", "allow")
    listed = still.door.what_for(subject(OLGA), subject(BOB), at=moved.at, documents=True)
    (project,) = [each for each in listed["labels"] if each["label"] == PROJECT]
    assert moved.document in project["ids"]
    # Until the relabelling itself; from then on it has the new one.
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=now(still))
    assert (answer["label"], answer["decision"]) == (PAYROLL, "deny")


def journal_relabel(world: World, document: str, old: str, new: str) -> None:
    ground, change = world.ground, Change("relabelled", relabelling=Relabelling(document, old, new))
    with ground.catalog.write() as connection:
        journal.append(
            ground.catalog, connection, [change], {"who": ADMIN, "asserted_by": {}, "why": "x", "ticket": ""}
        )


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_label_he_may_not_audit_and_no_document_at_all_are_one_answer(
    still: World, forgotten: bool
) -> None:
    """Otto audits `project` alone; one document came to it from `payroll`, another was not there before."""
    (came,) = still.put(draft("came.txt", "a plan", PAYROLL), who=DEX)
    at = wait(still)
    (new,) = still.put(draft("new.txt", "another plan", PROJECT))
    still.put(draft("came.txt", "a plan", PROJECT), who=DEX)
    journal_relabel(still, came, PAYROLL, PROJECT)
    still.clock.advance(1)
    if forgotten:
        forget_old_versions(still)
        journal_relabel(still, new, "acme/label:none", PROJECT)
    answers = []
    for document in (came, new):
        told = [
            still.door.why_for(subject(OTTO), subject(HAL), document, at=at),
            still.door.who(subject(OTTO), document, at=at),
        ]
        assert [each["label_as_of"] for each in told] == ["absent", "absent"]
        answers.append(json.dumps(told).replace(document, "it"))
    assert answers[0] == answers[1]
    assert json.loads(answers[0])[0]["decision"] is None
    assert json.loads(answers[0])[1]["readers"] == []
    listed = still.door.what_for(subject(OTTO), subject(DORA), at=at, documents=True)
    assert not {came, new} & {each for entry in listed["labels"] for each in entry["ids"]}
    assert still.door.why_for(subject(OLGA), subject(HAL), came, at=at)["label"] == PAYROLL


def test_a_document_that_went_to_a_label_he_may_not_audit_is_not_told_of_any_time(
    still: World, moved: Moved
) -> None:
    for act in (
        lambda: still.door.why_for(subject(OTTO), subject(BOB), moved.document, at=moved.at),
        lambda: still.door.who(subject(OTTO), moved.document, at=moved.at),
    ):
        with pytest.raises(NotReadable):
            act()
    listed = still.door.what_for(subject(OTTO), subject(BOB), at=moved.at, documents=True)
    assert [each["label"] for each in listed["labels"]] == [PROJECT]
    assert moved.document not in listed["labels"][0]["ids"]


def test_a_document_that_is_no_more_in_the_store_is_not_told_of_any_time(still: World) -> None:
    (gone,) = still.put(draft("gone.txt", "a plan", PROJECT))
    at = wait(still)
    with still.ingestion() as ingestion:
        assert ingestion.remove("gone.txt")
    with pytest.raises(NotReadable):
        still.door.who(subject(OLGA), gone, at=at)
    listed = still.door.what_for(subject(OLGA), subject(BOB), at=at, documents=True)
    assert gone not in json.dumps(listed)


def test_a_passage_is_told_of_as_it_was_published_then(still: World) -> None:
    at = wait(still)
    (document,) = still.put(draft("late.txt", "one line", PROJECT))
    ground = still.ground
    version = ground.moment().publication.versions["chunks"]
    (chunk,) = ground.tables.ids_by("chunks", version, "document_id", [document])[document]
    assert still.door.who(subject(OLGA), chunk, at=now(still))["readers"] == [BOB, DORA, LEE]
    assert still.door.who(subject(OLGA), chunk, at=at)["label_as_of"] == "absent"
