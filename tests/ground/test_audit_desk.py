"""An auditor's tables: who may open them, what they hold, and that each question is recorded."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance import audit_access
from ringfence_governance.audit_desk import AuditDesk
from ringfence_governance.audit_macros import MACROS
from ringfence_governance.audit_schema import SCHEMAS
from ringfence_governance.errors import InvalidInput, RecheckFailed, Refused, RingfenceError, StoreCorrupt

from .desks import everything, rows
from .past_times import DEX, DORA, HAL, HR_GRANT, LEE, OLGA, OTTO, PAYROLL, PROJECT, wait
from .worlds import ADMIN, WHY, World, draft, label, subject

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "audit-sql.md").read_text("utf-8")
CANARIES = ("canteen", "ninety", "meridian", "tarnfield", "foundry", "a note of ann")
"""Words of the documents of the world."""
OTHERS = ("borealis", "plans")
"""What there is of another tenant."""


# Every macro


EXAMPLES = dict(re.findall(r"^## `(\w+)\([^`]*\)`\n.*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))


def test_every_macro_has_a_heading_with_its_parameters_and_an_example() -> None:
    headings = re.findall(r"^## `(\w+\([^`]*\))`", PAGE, re.MULTILINE)
    assert headings == [macro.call for macro in MACROS]
    assert list(EXAMPLES) == [macro.name for macro in MACROS]


def test_every_table_is_named_on_the_page() -> None:
    listed = set(re.findall(r"`(\w+)`", PAGE.split("## The tables")[1]))
    assert listed >= SCHEMAS.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_gives_rows(name: str, desk: AuditDesk, used: World) -> None:
    erased = rows(desk, "FROM erasures")[0]["document"]
    document = used.see(ADMIN).ids["public.txt"]
    passage = rows(desk, "FROM nodes WHERE kind = 'passage' AND document = ?", document)[0]["id"]
    query = EXAMPLES[name].replace("DOCUMENT", document).replace("PASSAGE", passage).replace("ERASED", erased)
    found = desk.ask(query)
    assert name in found.asked
    assert found.rows


# What they hold


def test_no_content_is_in_any_table(desk: AuditDesk, used: World) -> None:
    told = everything(desk)
    texts = " ".join([*used.see(ADMIN).texts, *used.see(DORA).texts])
    assert all(word in texts for word in ("canteen", "ninety"))
    assert [word for word in CANARIES if word in told] == []
    assert len(told) > 10_000


def test_nothing_of_another_tenant_is_in_any_table(desk: AuditDesk) -> None:
    told = everything(desk)
    assert [word for word in OTHERS if word in told] == []


def test_when_another_tenant_writes_is_in_no_table(filled: World) -> None:
    def told() -> list[dict[str, Any]]:
        desk = filled.door.audit_desk(subject(OLGA))
        # Not what her own asking adds to.
        names = [name for name in SCHEMAS if not name.startswith(("about", "log_", "record"))]
        found = [row for name in names for row in rows(desk, f"FROM {name}")]
        return [row for row in found if row.get("what") != "log segment"]

    filled.put(draft("own.txt", "of the tenant's own", PAYROLL), who=DEX)
    before = told()
    assert len([row for row in before if row.get("what") == "publication"]) > 2
    filled.clock.advance(5)
    filled.put(draft("plans.txt", "of others", "borealis/label:plans"), who="borealis/user:bo")
    assert told() == before


def test_the_path_of_a_document_is_there_for_who_may_read_it_and_for_no_other(used: World) -> None:
    assert {row["path"] for row in rows(used.door.audit_desk(subject(OLGA)), "FROM documents")} == {
        "public.txt",
        None,
    }
    used.add("p", ADMIN, "acme", "*", "audit", "any", "*", "-", "-", "allow")
    paths = {row["path"] for row in rows(used.door.audit_desk(subject(ADMIN)), "FROM documents")}
    assert paths - {None} == set(used.see(ADMIN).paths)
    assert None in paths
    used.remove("p", ADMIN, "acme", "*", "audit", "any", "*", "-", "-", "allow")


def test_a_name_that_casbin_refuses_when_asked_again_leaves_with_nothing(
    used: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ringfence_governance import audit_desk

    real = audit_desk.authority.allowed

    def refusing(snapshot: Any, asked: Any, entry: Any, table: Any, action: str, at: str) -> bool:
        return action != "read" and real(snapshot, asked, entry, table, action, at)

    monkeypatch.setattr(audit_desk.authority, "allowed", refusing)
    with pytest.raises(RecheckFailed):
        used.door.audit_desk(subject(OLGA))


def test_who_may_audit_one_label_is_told_of_it_alone_and_of_the_rest_a_number(used: World) -> None:
    desk = used.door.audit_desk(subject(OTTO))
    assert {row["label"] for row in rows(desk, "FROM labels")} == {PROJECT}
    assert {row["label"] for row in rows(desk, "FROM nodes WHERE kind <> 'source'")} == {PROJECT}
    assert {row["label"] for row in rows(desk, "FROM record_rows")} == {PROJECT}
    assert {row["label"] for row in rows(desk, "FROM access")} == {PROJECT}
    for name in ("policy", "erasures", "log_chain", "log_parts"):
        assert rows(desk, f"FROM {name}") == [], name
    hidden = {row["kind"]: row["count"] for row in rows(desk, "FROM hidden")}
    whole = used.door.audit_desk(subject(OLGA))
    count = {
        name: rows(whole, f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in ("labels", "documents")
    }
    assert (hidden["labels"], hidden["documents"]) == (count["labels"] - 1, count["documents"] - 1)
    told = everything(desk)
    others = [row["id"] for row in rows(whole, "FROM nodes WHERE label <> ?", PROJECT)]
    assert [each for each in [*others, "payroll", "hr", "merger"] if each in told] == []


def test_who_may_audit_one_label_learns_no_names_but_of_those_who_may_read_under_it(used: World) -> None:
    desk = used.door.audit_desk(subject(OTTO))
    document = rows(desk, "FROM documents")[0]["id"]
    (denied,) = rows(desk, "SELECT decision, rule FROM why(?, ?)", HAL, document)
    assert denied == {"decision": "deny", "rule": None}
    named = {row["subject"] for row in rows(used.door.audit_desk(subject(OTTO)), "FROM reasons")}
    assert named == {row["subject"] for row in rows(desk, "FROM access WHERE until IS NULL")}
    everybody = {row["subject"] for row in rows(used.door.audit_desk(subject(OLGA)), "FROM reasons")}
    assert named < everybody


def test_what_was_made_under_other_labels_is_a_number(filled: World) -> None:
    filled.add("p", ADMIN, "acme", "*", "read", "any", "*", "-", "-", "allow")
    filled.add("p", ADMIN, "acme", "*", "declassify", "any", "*", "-", "-", "allow")
    start = filled.see(ADMIN).ids["project.txt"]
    (between,) = filled.put(draft("between.txt", "hidden from otto\nboth", PAYROLL, parents=[start]))
    filled.put(draft("end.txt", "hidden too", PROJECT, parents=[between]))
    desk = filled.door.audit_desk(subject(OTTO))
    found = rows(desk, "FROM descendants(?)", start)
    assert between not in everything(desk)
    # Two documents and their three passages.
    assert {row["id"]: row["hidden"] for row in found if row["kind"] != "passage"} == {None: 5}
    whole = rows(filled.door.audit_desk(subject(OLGA)), "FROM descendants(?)", start)
    assert len([row for row in whole if row["id"]]) == 5 + len([row for row in found if row["id"]])
    assert [row for row in whole if row["hidden"]] == []


def test_what_was_written_anew_from_other_inputs_is_no_descendant_of_the_former_ones(filled: World) -> None:
    filled.add("p", ADMIN, "acme", "*", "read", "any", "*", "-", "-", "allow")
    filled.add("p", ADMIN, "acme", "*", "declassify", "any", "*", "-", "-", "allow")
    seen = filled.see(ADMIN).ids
    former, newer = seen["public.txt"], seen["ann.txt"]
    (made,) = filled.put(draft("made.txt", "from the canteen's hours", label(DORA, ADMIN), parents=[former]))
    filled.put(draft("made.txt", "from the note", label(DORA, ADMIN), parents=[newer]))
    desk = filled.door.audit_desk(subject(OLGA))
    below = {each: {row["id"] for row in rows(desk, "FROM descendants(?)", each)} for each in (former, newer)}
    assert (made in below[former], made in below[newer]) == (False, True)
    assert (
        rows(desk, "SELECT count(*) AS n FROM edges WHERE child = ? AND parent = ?", made, former)[0]["n"]
        == 1
    )


def test_a_document_whose_publications_are_gone_has_the_label_the_journal_leads_back_to(
    filled: World,
) -> None:
    filled.clock.step = timedelta(0)
    (moved,) = filled.put(draft("moved.txt", "once for all, then for few", "acme/label:staff"), who=DEX)
    before = wait(filled, 5)
    filled.put(draft("moved.txt", "once for all, then for few", PAYROLL), who=DEX)
    between = wait(filled, 5)
    filled.door.erase(subject(DEX), [filled.see(DORA).ids["project.txt"]], WHY)
    wait(filled, 5)
    desk = filled.door.audit_desk(subject(OLGA))
    told = {at: rows(desk, "FROM who_could(?, ?)", moved, at) for at in (before, between)}
    assert [{row["label"] for row in told[at]} for at in (before, between)] == [
        {"acme/label:staff"},
        {PAYROLL},
    ]
    for at, found in told.items():
        given = filled.door.who(subject(OLGA), moved, at=at)
        assert (given["label_as_of"], {row["known"] for row in found}) == ("newest", {"newest"})
        assert {row["subject"] for row in found} == set(given["readers"])


def test_a_read_of_a_passage_that_was_written_anew_since_is_still_a_read_of_its_document(
    filled: World,
) -> None:
    (document,) = filled.put(draft("notes.txt", "the first words\nand more of them", PAYROLL), who=DEX)
    filled.see(HAL)
    filled.put(draft("notes.txt", "other words", PAYROLL), who=DEX)
    desk = filled.door.audit_desk(subject(OLGA))
    found = rows(desk, "FROM who_did_read(?) WHERE subject = ?", document, HAL)
    assert len(found) == 3
    assert {row["document"] for row in found} == {document}
    kinds = rows(desk, "SELECT kind, count(*) AS n FROM descendants(?) GROUP BY kind", document)
    assert {row["kind"]: row["n"] for row in kinds} == {"former passage": 2, "passage": 1}


def test_a_right_that_casbin_refuses_when_asked_again_is_an_alarm_and_nothing_leaves(
    used: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = used.door.audit_desk(subject(OLGA))
    monkeypatch.setattr(audit_access.authority, "allowed_among", lambda *_: frozenset())
    with pytest.raises(StoreCorrupt):
        desk.ask("FROM access")
    assert (used.records()[-1]["verb"], used.records()[-1]["outcome"]) == ("audit_sql", "alarm")
    monkeypatch.undo()
    assert rows(desk, "FROM access")


# Who may, and for how long


def test_who_may_audit_nothing_opens_nothing_and_that_is_recorded(used: World) -> None:
    with pytest.raises(Refused):
        used.door.audit_desk(subject(HAL))
    last = used.records()[-1]
    assert (last["verb"], last["outcome"], last["chain"][0]["actor"]) == ("audit_open", "refused", HAL)


def test_opening_and_each_question_are_records_before_the_answer_leaves(used: World) -> None:
    desk = used.door.audit_desk(subject(OLGA))
    opened = used.records()[-1]
    nodes = rows(desk, "FROM nodes WHERE kind IN ('document', 'passage')")
    assert (opened["verb"], opened["action"], opened["rows"]) == (
        "audit_open",
        "audit",
        [row["id"] for row in nodes],
    )
    secret = "a-word-in-the-question"
    desk.ask("SELECT count(*) FROM runs() WHERE job <> ?", [secret])
    asked = used.records()[-1]
    assert (asked["verb"], asked["plan"], asked["counts"]) == ("audit_sql", "sql runs", {"rows": 1})
    assert asked["query"]
    assert secret not in json.dumps(asked)


def test_a_question_that_fails_is_recorded_too_since_an_error_may_tell_a_value(used: World) -> None:
    desk = used.door.audit_desk(subject(OLGA))
    with pytest.raises(InvalidInput, match="acme/user:dora"):
        desk.ask("SELECT error(owner) FROM labels WHERE label = ?", [PAYROLL])
    assert (used.records()[-1]["verb"], used.records()[-1]["plan"]) == ("audit_sql", "sql failed")


@pytest.mark.parametrize(
    "question",
    [
        # DuckDB has such an interval and Python has not: its error names the number.
        "SELECT to_days((1000000000 + length(owner))::INTEGER) FROM labels WHERE label = ?",
        "SELECT ? || '\ud800' FROM labels",
    ],
)
def test_so_is_one_that_fails_at_a_value_or_character_outside_of_duckdb(question: str, used: World) -> None:
    desk = used.door.audit_desk(subject(OLGA))
    before = len(used.records())
    with pytest.raises(InvalidInput, match="the question failed"):
        desk.ask(question, [PAYROLL])
    assert [(each["verb"], each["plan"]) for each in used.records()[before:]] == [("audit_sql", "sql failed")]


def test_no_answer_leaves_without_its_record(used: World, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = used.door.audit_desk(subject(OLGA))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ringfence_governance.audit_log.os.fdatasync", full)
    with pytest.raises(RingfenceError, match="audit log cannot be written"):
        desk.ask("FROM labels")


def test_it_shows_what_stood_when_it_was_opened_and_nothing_later(filled: World) -> None:
    desk = filled.door.audit_desk(subject(OLGA))
    before = rows(desk, "FROM about"), rows(desk, "FROM documents"), rows(desk, "FROM access")
    filled.clock.advance(5)
    filled.put(draft("later.txt", "later", PAYROLL))
    filled.add(*HR_GRANT)
    assert (rows(desk, "FROM about"), rows(desk, "FROM documents"), rows(desk, "FROM access")) == before
    again = filled.door.audit_desk(subject(OLGA))
    assert (again.at, again.as_of) != (desk.at, desk.as_of)
    assert len(rows(again, "FROM documents")) == len(before[1]) + 1


@pytest.mark.parametrize(
    ("opener", "change"),
    [
        (OLGA, ("p", OLGA, "acme", "*", "audit", "any", "*", "-", "-", "deny")),
        (OLGA, ("p", OLGA, "acme", PAYROLL, "audit", "any", "*", "-", "-", "deny")),
        (OTTO, ("p", OTTO, "acme", PROJECT, "audit", "any", "*", "-", "-", "deny")),
        # It names documents under that label, that she may read no more.
        (OLGA, ("p", OLGA, "acme", "acme/label:staff", "read", "any", "*", "-", "-", "deny")),
    ],
)
def test_who_lost_a_right_is_told_nothing_more_by_what_he_opened_before(
    filled: World, opener: str, change: tuple[str, ...]
) -> None:
    desk = filled.door.audit_desk(subject(opener))
    assert rows(desk, "FROM labels")
    filled.add(*change)
    with pytest.raises(Refused):
        desk.ask("SELECT 1")
    assert filled.records()[-1]["outcome"] == "refused"


@pytest.mark.parametrize(
    ("opener", "start", "end"),
    [
        # He may not audit the new label; she may not read under it, and has been told the name.
        (OTTO, PROJECT, PAYROLL),
        (OLGA, "acme/label:staff", PAYROLL),
    ],
)
def test_who_lost_a_document_by_its_new_label_is_told_nothing_more_by_what_he_opened_before(
    filled: World, opener: str, start: str, end: str
) -> None:
    (stays, moves) = filled.put(
        draft("stays.txt", "stays", start), draft("moves.txt", "moves", start), who=DEX
    )
    desk = filled.door.audit_desk(subject(opener))
    filled.put(draft("other.txt", "of others", PAYROLL), who=DEX)
    with filled.ingestion(DEX) as ingestion:
        ingestion.remove("stays.txt")
    assert {stays, moves} <= {row["id"] for row in rows(desk, "FROM documents")}
    filled.door.relabel(subject(DEX), moves, end, WHY)
    for _ in range(2):
        with pytest.raises(Refused, match="changed since"):
            desk.ask("FROM documents WHERE id = ?", [moves])
    again = filled.door.audit_desk(subject(opener))
    assert rows(again, "FROM documents WHERE id = ? AND path IS NOT NULL", moves) == []


def test_a_document_that_got_a_label_he_may_audit_too_ends_nothing(filled: World) -> None:
    (moves,) = filled.put(draft("moves.txt", "moves", PROJECT), who=DEX)
    desk = filled.door.audit_desk(subject(OLGA))
    filled.door.relabel(subject(DEX), moves, PAYROLL, WHY)
    assert [row["label"] for row in rows(desk, "FROM documents WHERE id = ?", moves)] == [PROJECT]


def test_what_others_erase_is_not_told_by_what_an_auditor_opened(filled: World) -> None:
    document = filled.see(DORA).ids["pay/salaries.txt"]
    filled.put(draft("own.txt", "of the project", PROJECT), who=DEX)
    desk = filled.door.audit_desk(subject(OTTO))
    before = rows(desk, "FROM documents")
    filled.door.erase(subject(DEX), [document], WHY)
    assert rows(desk, "FROM documents") == before != []


def test_after_an_erasure_it_is_opened_anew(filled: World) -> None:
    document = filled.see(DORA).ids["pay/salaries.txt"]
    desk = filled.door.audit_desk(subject(OLGA))
    assert rows(desk, "FROM documents WHERE id = ?", document)
    filled.door.erase(subject(DEX), [document], WHY)
    with pytest.raises(Refused, match="erased"):
        desk.ask("FROM documents")
    again = filled.door.audit_desk(subject(OLGA))
    assert rows(again, "FROM documents WHERE id = ?", document) == []
    assert rows(again, "FROM erasure_proof(?)", document)[0]["rows_there"] == 0


def test_why_explains_the_pair_that_is_asked_for_and_all_of_them_only_where_it_must(used: World) -> None:
    desk = used.door.audit_desk(subject(OLGA))
    document = used.see(ADMIN).ids["public.txt"]
    every = "SELECT rule FROM reasons JOIN documents USING (label) WHERE documents.id = ? AND subject = ?"
    whole = {who: rows(used.door.audit_desk(subject(OLGA)), every, document, who) for who in (HAL, LEE)}

    def explained() -> int:
        pairs = "SELECT count(DISTINCT (subject, label)) FROM reasons"
        ((count,),) = desk._session._connection.execute(pairs).fetchall()
        return int(count)

    counts = []
    for query, given in [
        ("FROM why(?, ?)", [HAL, document]),
        (f"FROM why('{HAL}', '{document}')", []),
        ("FROM why($2, $1)", [document, LEE]),
        ("FROM why(?, ?)", ["acme/user:nobody", document]),
        ("FROM why(who := ?, asked := ?)", [HAL, document]),
    ]:
        found = rows(desk, query, *given)
        counts.append(explained())
        for who in (HAL, LEE):
            if who in (*given, query.split("'")[1] if "'" in query else ""):
                assert sorted(str(row["rule"]) for row in found) == sorted(
                    str(row["rule"]) for row in whole[who]
                )
    assert counts[:4] == [1, 1, 2, 2]
    assert counts[4] > 20


def test_a_time_before_what_was_opened_is_an_error(used: World) -> None:
    whole = used.door.audit_desk(subject(OLGA))
    (document, *_) = [row["id"] for row in rows(whole, "FROM documents ORDER BY id")]
    narrowed = used.door.audit_desk(subject(OLGA), since="2026-06-01T00:00:30Z")
    asked = "SELECT subject, purpose FROM who_could(?, ?)"
    for at in ("2026-06-01T00:00:30Z", "2026-06-01T00:00:45Z"):
        assert rows(narrowed, asked, document, at) == rows(whole, asked, document, at)
    with pytest.raises(InvalidInput, match="before what was opened"):
        rows(narrowed, asked, document, "2026-06-01T00:00:29Z")
    with pytest.raises(InvalidInput, match="to come"):
        rows(narrowed, asked, document, "2999-01-01")


# The log


def test_a_record_that_was_changed_is_found_in_sql(filled: World) -> None:
    filled.see(HAL)
    filled.see(HAL)
    segment = newest_segment(filled)
    lines = segment.read_text("ascii").splitlines()
    number = len(lines) - 1
    lines[number - 1] = lines[number - 1].replace('"plan":"exact"', '"plan":"other"')
    segment.write_text("".join(f"{line}\n" for line in lines), "ascii")
    (found,) = rows(filled.door.audit_desk(subject(OLGA)), "FROM verify_log()")
    assert (found["holds"], found["first_bad"]) == (False, f"{segment.stem}:{number}")
    assert "digest" in found["finding"]
    assert filled.door.verify_log(subject(OLGA))["findings"][0]["number"] == number


def test_a_record_that_was_dropped_and_a_tail_that_was_cut_are_found_in_sql(filled: World) -> None:
    for _ in range(4):
        filled.see(HAL)
    filled.ground.checkpoints.checkpoint(sweep=True)
    segment = newest_segment(filled)
    lines = segment.read_text("ascii").splitlines()

    def verified(kept: list[str]) -> dict[str, Any]:
        segment.write_text("".join(f"{line}\n" for line in kept), "ascii")
        with closing(filled.second().door) as door:
            (found,) = rows(door.audit_desk(subject(OLGA)), "FROM verify_log()")
        return found

    assert verified(lines)["holds"]
    assert verified([*lines[:1], *lines[2:]])["first_bad"] == f"{segment.stem}:3"
    assert "checkpoint" in verified(lines[:-1])["finding"]


def newest_segment(world: World) -> Path:
    return world.path / "audit" / f"{world.records()[-1]['segment']}.jsonl"
