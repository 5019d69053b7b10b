"""A document that gets another label is a row of the journal, in the transaction that publishes it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event

from ringfence_governance import publications
from ringfence_governance.errors import Refused
from ringfence_governance.journal import Change, Relabelling
from ringfence_governance.write_judgements import WriteJudgements

from .worlds import FOLDER, World, draft, label, subject

STAFF, PAYROLL = "acme/label:staff", "acme/label:payroll"
DEX = "acme/user:dex"


@pytest.fixture
def held(world: World) -> World:
    """Three documents of dex's under the label staff."""
    world.put(*(draft(f"{name}.txt", f"the text of {name}", STAFF) for name in "abc"), who=DEX)
    return world


def relabellings(world: World) -> list[Change]:
    return [entry.change for entry in world.ground.history() if entry.change.kind == "relabelled"]


def test_each_document_is_one_row_with_old_and_new_label(held: World) -> None:
    ids = held.see("acme/user:dora").ids
    with held.ingestion(DEX) as run:
        run.relabel("a.txt", PAYROLL)
        run.relabel("b.txt", label("acme/user:dora"))
    first, second = relabellings(held)
    anonymous = held.ground.moment().table.by_value[label("acme/user:dora")].label_id
    assert first == Change("relabelled", relabelling=Relabelling(ids["a.txt"], STAFF, PAYROLL))
    assert second == Change("relabelled", relabelling=Relabelling(ids["b.txt"], STAFF, anonymous))


def test_the_row_says_who_and_from_which_run_and_source_and_names_no_file(held: World) -> None:
    with held.ingestion(DEX) as run:
        run.relabel("a.txt", PAYROLL)
    entry = held.ground.history()[-1]
    assert (entry.who, entry.asserted_by) == (DEX, held.ground.asserted_by)
    (record,) = [record for record in held.records() if record["verb"] == "ingest"][-1:]
    assert entry.ticket == f"run {record['detail']['run']}"
    assert entry.why.startswith("ingest of source ")
    assert not [name for name in ("a.txt", FOLDER.uri, "share") if name in entry.why + entry.ticket]


def test_new_content_under_another_label_is_a_row_too_and_under_the_same_is_none(held: World) -> None:
    held.put(draft("a.txt", "another text", PAYROLL), draft("b.txt", "another one", STAFF), who=DEX)
    (change,) = relabellings(held)
    assert change.relabelling is not None
    assert (change.relabelling.old, change.relabelling.new) == (STAFF, PAYROLL)


def test_a_document_that_keeps_its_label_a_new_one_and_a_removed_one_are_no_rows(held: World) -> None:
    with held.ingestion(DEX) as run:
        assert run.relabel("a.txt", STAFF)
        run.put(draft("new.txt", "new", PAYROLL))
        run.remove("c.txt")
    assert relabellings(held) == []


def test_the_rows_are_written_with_the_publication_or_not_at_all(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held.ground.moment()

    def fail(*_: object) -> None:
        raise RuntimeError("no publication")

    def relabel() -> None:
        with held.ingestion(DEX) as run:
            run.relabel("a.txt", PAYROLL)

    with monkeypatch.context() as patch:
        patch.setattr(publications, "publish", fail)
        with pytest.raises(RuntimeError):
            relabel()
    assert relabellings(held) == []
    assert held.ground.moment().policy.version == before.policy.version
    relabel()
    (number,) = [entry.sequence for entry in held.ground.history() if entry.change.kind == "relabelled"]
    assert before.sequence < number < held.ground.moment().publication.sequence


def test_the_policy_that_stands_is_the_same_and_so_is_one_opened_anew(held: World) -> None:
    snapshot = held.ground.moment().snapshot
    with held.ingestion(DEX) as run:
        run.relabel("a.txt", PAYROLL)
    assert held.ground.moment().snapshot is snapshot
    again = held.reopened()
    assert again.ground.moment().snapshot.revision == snapshot.revision
    assert len(relabellings(again)) == 1
    assert again.add("g", "acme/user:new", "acme/group:hr"), "a row after it does not fit"


def test_a_run_that_journals_does_not_judge_its_next_batch_twice(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Counter[str]()
    real = WriteJudgements._relabel

    def relabel(self: WriteJudgements, *arguments: Any) -> None:
        judged["again"] += 1
        real(self, *arguments)

    monkeypatch.setattr(WriteJudgements, "_relabel", relabel)
    with held.ingestion(DEX) as run:
        for name in "abc":
            run.relabel(f"{name}.txt", PAYROLL)
            run.publish()
    assert judged["again"] == 0
    with held.ingestion(DEX) as run:
        run.relabel("a.txt", STAFF)
        held.second().add("g", "acme/user:new", "acme/group:hr")
    assert judged["again"] == 1


def test_a_right_lost_after_a_batch_with_relabellings_still_stops_the_next(held: World) -> None:
    def run_on() -> None:
        with held.ingestion(DEX) as run:
            run.relabel("a.txt", PAYROLL)
            run.publish()
            run.relabel("b.txt", PAYROLL)
            held.second().remove("p", DEX, "acme", "*", "ingest", "any", "*", "-", "-", "allow")

    with pytest.raises(Refused):
        run_on()
    assert len(relabellings(held)) == 1


def test_an_auditor_of_the_tenant_sees_it_and_no_other(held: World) -> None:
    with held.ingestion(DEX) as run:
        run.relabel("a.txt", PAYROLL)
    document = relabellings(held)[0].relabelling
    assert document is not None
    (entry,) = [each for each in held.door.log(subject("acme/user:olga")) if each["action"] == "relabelled"]
    assert entry["row"] == f'["{document.document_id}", "{STAFF}", "{PAYROLL}"]'
    assert (entry["verb"], entry["subject"], entry["ticket"][:4]) == ("policy", DEX, "run ")
    other = held.door.log(subject("borealis/user:oz"))
    assert not [each for each in other if each["action"] == "relabelled"]


def test_many_rows_take_few_statements(held: World) -> None:
    """One for the numbers, one for the rows: not one for each document."""
    held.put(*(draft(f"many/{number}.txt", f"text {number}", STAFF) for number in range(200)), who=DEX)
    statements = Counter[str]()
    engine = held.ground.catalog._database.engine

    def count(_c: Any, _cursor: Any, statement: str, *_: object) -> None:
        statements[statement.split("(")[0]] += 1

    event.listen(engine, "before_cursor_execute", count)
    try:
        with held.ingestion(DEX) as run:
            for number in range(200):
                run.relabel(f"many/{number}.txt", PAYROLL)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert len(relabellings(held)) == 200
    assert sum(many for text, many in statements.items() if "INSERT INTO journal" in text) == 1
    assert sum(many for text, many in statements.items() if "INSERT INTO entries" in text) < 10
