"""Promise 1: labelled or refused.

No row is written without label, lineage and run: the tables themselves refuse
it, and every way to write gives all three or writes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import lance
import lancedb
import pyarrow as pa
import pytest

import ringfence
from ringfence_governance.drafts import DocumentDraft, SourceIdentity
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.subjects import Subject
from ringfence_governance.table_schemas import SCHEMAS
from ringfence_ingest.label_choice import ORIGIN_PRIVATE

from .reader_questions import cli_answer
from .seeded_store import EMBEDDER, PIPELINE, Page, SeededStore, bundle, source

ADA, RITA, DORA = "acme/user:ada", "acme/user:rita", "acme/user:dora"
TABLES = ("documents", "chunks", "edges")
OPEN, NARROW = Label("acme", DORA, readers=frozenset({RITA})), Label("acme", DORA)
NAMED = NamedLabel("acme/label:board", Label("acme", DORA))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeededStore]:
    rules = [
        f"p, {ADA}, acme, *, delete, any, *, -, -, allow",
        f"p, {RITA}, acme, *, ingest, owner, *, -, -, allow",
    ]
    store = SeededStore.create(tmp_path, bundle(rules, [NAMED]), ADA)
    yield store
    store.close()


def rows(store: SeededStore, table: str) -> list[dict[str, Any]]:
    """Return every row of the newest version of a table, past every door."""
    return lance.dataset(str(store.path / "lance" / f"{table}.lance")).to_table().to_pylist()


def catalog(store: SeededStore, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store.path / "catalog.db")) as connection:
        connection.execute("pragma foreign_keys = on")
        with connection:
            return connection.execute(query).fetchall()


# The tables refuse by themselves.


def columns() -> list[tuple[str, str]]:
    return [(table, name) for table in SCHEMAS for name in SCHEMAS[table].names]


def test_there_are_these_tables_and_each_row_has_label_and_run() -> None:
    assert {table for table, _ in columns()} == set(TABLES)
    for table in TABLES:
        assert {"id", "atom", "run_id"} <= {name for of, name in columns() if of == table}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeededStore]:
    """One store for all that is refused, as what is refused leaves it as it was."""
    store = SeededStore.create(tmp_path_factory.mktemp("untouched"), bundle([]), ADA)
    store.write(ADA, [Page("a.txt", "one\n\ntwo", OPEN)])
    yield store
    store.close()


@pytest.mark.parametrize(("table", "column"), columns())
@pytest.mark.parametrize("way", ["insert", "append", "lancedb", "merge", "left out"])
def test_a_row_without_a_value_is_refused_by_the_table_itself(
    table: str, column: str, way: str, untouched: SeededStore
) -> None:
    path = str(untouched.path / "lance" / f"{table}.lance")
    dataset = lance.dataset(path)
    before = dataset.to_table()
    place = before.schema.get_field_index(column)
    field = before.schema.field(column).with_nullable(True)
    nulled = before.set_column(place, field, pa.nulls(before.num_rows, field.type))
    ways: dict[str, Callable[[], object]] = {
        "insert": lambda: dataset.insert(nulled),
        "append": lambda: lance.write_dataset(nulled, path, mode="append"),
        "lancedb": lambda: lancedb.connect(str(untouched.path / "lance")).open_table(table).add(nulled),
        "merge": lambda: dataset.merge_insert("id").when_not_matched_insert_all().execute(nulled),
        "left out": lambda: dataset.insert(before.drop_columns([column])),
    }
    if way == "merge" and column != "id":
        ways["merge"] = lambda: dataset.merge_insert("id").when_matched_update_all().execute(nulled)
    with pytest.raises((OSError, ValueError, RuntimeError, pa.ArrowInvalid)):
        ways[way]()
    assert lance.dataset(path).to_table().equals(before)


@pytest.mark.parametrize("column", ["source_id", "atom", "run_id", "path_digest", "sealed_path"])
def test_the_catalog_refuses_a_document_without_label_run_or_source(
    column: str, untouched: SeededStore
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        catalog(untouched, f"update manifest set {column} = null")


@pytest.mark.parametrize(
    "change",
    [
        "update manifest set run_id = 'no such run'",
        "update manifest set atom = 4711",
        "update manifest set source_id = 'no such source'",
        "insert into publications select max(sequence), 'no such run', 1, '{}' from entries where kind = 'policy'",
        "delete from runs",
        "delete from labels",
    ],
)
def test_the_catalog_refuses_a_label_run_or_source_that_does_not_exist(
    change: str, untouched: SeededStore
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        catalog(untouched, change)


# Every way to write gives all three.


def assert_everything_is_labelled(store: SeededStore) -> None:
    """Each row names a label there is and a run that ended well; each has the lineage of what it is."""
    atoms = {row[0] for row in catalog(store, "select atom from labels")}
    ended = {row[0] for row in catalog(store, "select run_id from runs where state = 'COMPLETE'")}
    held = {table: rows(store, table) for table in TABLES}
    for table in TABLES:
        for row in held[table]:
            assert row["atom"] in atoms, (table, row["id"])
            assert row["run_id"] in ended, (table, row["id"])
    sources = {row[0] for row in catalog(store, "select source_id from sources")}
    parents = {(edge["kind"], edge["child"]): edge for edge in held["edges"]}
    atom_of = {row["id"]: row["atom"] for row in held["documents"]}
    manifest = dict(catalog(store, "select document_id, atom from manifest"))
    assert manifest == atom_of
    for document in held["documents"]:
        edge = parents["document", document["id"]]
        assert edge["parent"] in sources
        assert edge["atom"] == document["atom"]
    for chunk in held["chunks"]:
        edge = parents["chunk", chunk["id"]]
        assert edge["parent"] == chunk["document_id"]
        assert edge["atom"] == chunk["atom"] == atom_of[chunk["document_id"]]
        assert edge["run_id"] == chunk["run_id"]


def put(store: SeededStore) -> None:
    store.write(ADA, [Page("new.txt", "three\n\nfour", "acme/label:board")])


def replace(store: SeededStore) -> None:
    store.write(ADA, [Page("a.txt", "five\n\nsix\n\nseven", OPEN)])


def replace_and_narrow(store: SeededStore) -> None:
    store.write(ADA, [Page("a.txt", "five\n\nsix\n\nseven", NARROW)])


def relabel(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        assert ingestion.relabel("a.txt", NARROW)


def remove(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        assert ingestion.remove("a.txt")


def derive(store: SeededStore) -> None:
    pages = [Page(name, f"of {name}", Label("acme", RITA)) for name in ("her1", "her2")]
    ids = store.write(ADA, pages, source_name="hers")
    store.write(
        RITA, [Page("made.txt", "made of both", Label("acme", RITA), tuple(ids))], source_name="her own"
    )


def all_at_once(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        ingestion.put(Page("c.txt", "eight", NARROW).draft())
        ingestion.publish()
        assert ingestion.relabel("a.txt", NARROW)
        ingestion.put(Page("d.txt", "", OPEN).draft())
        assert ingestion.remove("b.txt")


def register_an_answer(store: SeededStore) -> None:
    rita = store.reader(RITA)
    rita.register_answer("One and two.\n\nAnd more of it.", rita.context("one two"), title="Which?")


WAYS = [put, replace, replace_and_narrow, relabel, remove, derive, all_at_once, register_an_answer]


@pytest.mark.parametrize("write", WAYS)
def test_every_row_of_every_way_to_write_has_label_run_and_lineage(
    write: Callable[[SeededStore], None], store: SeededStore
) -> None:
    store.write(ADA, [Page("a.txt", "one\n\ntwo", OPEN), Page("b.txt", "b", OPEN)])
    before = [rows(store, table) for table in TABLES]
    write(store)
    assert [rows(store, table) for table in TABLES] != before
    assert_everything_is_labelled(store)


def test_what_a_document_was_made_from_stands_in_its_lineage(store: SeededStore) -> None:
    derive(store)
    made = store.written["her own/made.txt"]
    derived = [edge for edge in rows(store, "edges") if edge["kind"] == "derived"]
    assert {(edge["child"], edge["parent"]) for edge in derived} == {
        (made, store.written["hers/her1"]),
        (made, store.written["hers/her2"]),
    }


def test_what_an_answer_was_made_from_stands_in_its_lineage_and_in_that_of_its_run(
    store: SeededStore,
) -> None:
    store.write(ADA, [Page("a.txt", "one\n\ntwo", OPEN), Page("b.txt", "b", OPEN)])
    rita = store.reader(RITA)
    hits, whole = list(rita.search("one two", mode="text")), store.written["files/b.txt"]
    made = rita.register_answer("Both.", [*hits, hits[0], whole], why="asked on the telephone")
    derived = [edge for edge in rows(store, "edges") if edge["kind"] == "derived"]
    inputs = {whole, *(hit.id for hit in hits)}
    assert len(hits) == 2
    assert sorted((edge["child"], edge["parent"]) for edge in derived) == sorted(
        (made, each) for each in inputs
    )
    (document,) = [row for row in rows(store, "documents") if row["id"] == made]
    assert {edge["run_id"] for edge in derived} == {document["run_id"]}
    assert catalog(store, "select job, state from runs where job = 'answer'") == [("answer", "COMPLETE")]
    text = (store.path / "lineage" / "openlineage.jsonl").read_text()
    events = [event for event in map(json.loads, text.splitlines()) if event["job"]["name"] == "answer"]
    assert [event["eventType"] for event in events] == ["START", "RUNNING", "COMPLETE"]
    for event in events[:2]:
        assert inputs < {each["name"] for each in event["inputs"]}
    assert [each["name"] for each in events[1]["outputs"]] == [made]
    assert "telephone" not in text
    assert "asked on the telephone" in told_by_the_run(store, document["run_id"])


def told_by_the_run(store: SeededStore, run_id: str) -> str:
    ground = store.door._Door__ground  # type: ignore[attr-defined]
    ((sealed,),) = catalog(store, f"select detail from runs where run_id = '{run_id}'")
    return str(ground.catalog.open(sealed, "run", run_id).decode())


@pytest.mark.parametrize(
    ("text", "inputs", "named"),
    [
        ("", None, {}),
        (" \n", None, {}),
        ("a \ud800", None, {}),
        (7, None, {}),
        ("x" * 1_000_001, None, {}),
        ("fine", [], {}),
        ("fine", "0" * 32, {}),
        ("fine", [7], {}),
        ("fine", 7, {}),
        ("fine", ["0" * 32] * 2 + [f"{n:032x}" for n in range(1, 1001)], {}),
        ("fine", None, {"why": "x" * 2001}),
        ("fine", None, {"label": "no label's name"}),
        ("fine", None, {"language": "klingon"}),
    ],
    ids=[
        "empty",
        "blank",
        "no character",
        "no text",
        "too long",
        "of nothing",
        "one id",
        "a number",
        "no list",
        "of too much",
        "why",
        "label",
        "language",
    ],
)
def test_an_answer_that_is_none_writes_nothing(
    text: object, inputs: object, named: dict[str, Any], untouched: SeededStore
) -> None:
    reader = untouched.reader(RITA)
    before = [rows(untouched, table) for table in TABLES]
    made_from = [hit.id for hit in reader.search("one")] if inputs is None else inputs
    with pytest.raises(ringfence.InvalidInput):
        reader.register_answer(text, made_from, **named)  # type: ignore[arg-type]
    assert [rows(untouched, table) for table in TABLES] == before


def test_no_ingest_writes_what_passes_for_a_registered_answer(store: SeededStore) -> None:
    with pytest.raises(ringfence.InvalidInput, match="no ingest can name"):
        store.door.ingestion(
            Subject(ADA), SourceIdentity("answers", "answer"), EMBEDDER.model, pipeline=PIPELINE
        ).__enter__()
    store.write(ADA, [Page("answers/1.md", "one", OPEN)])
    assert [document.kind for document in store.reader(RITA).list()] == ["folder"]


def test_a_dry_run_writes_no_row(store: SeededStore) -> None:
    store.write(ADA, [Page("a.txt", "one", OPEN)])
    before = [rows(store, table) for table in TABLES] + catalog(store, "select * from manifest, runs")
    with store.door.ingestion(
        Subject(ADA), source("files"), EMBEDDER.model, pipeline=PIPELINE, dry_run=True
    ) as ingestion:
        ingestion.put(Page("b.txt", "two", OPEN).draft())
        ingestion.relabel("a.txt", NARROW)
    assert before == [rows(store, table) for table in TABLES] + catalog(store, "select * from manifest, runs")


# Refused: nothing is written.


@pytest.mark.parametrize("label", [None, "", "payroll", 7, {"owner": DORA}, object()])
def test_a_document_without_a_label_is_not_even_described(label: object) -> None:
    with pytest.raises((ringfence.InvalidInput, TypeError, AttributeError)):
        Page("a.txt", "one", label).draft()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "label",
    ["acme/label:none", "borealis/label:none", Label("borealis", "borealis/user:bo")],
    ids=["unknown", "unknown of another tenant", "of another tenant"],
)
def test_a_label_that_is_unknown_or_anothers_writes_nothing(label: str | Label, store: SeededStore) -> None:
    store.write(ADA, [Page("a.txt", "one", OPEN)])
    before = [rows(store, table) for table in TABLES]
    with pytest.raises(ringfence.Refused):
        store.write(ADA, [Page("b.txt", "two", OPEN), Page("c.txt", "three", label)])
    assert [rows(store, table) for table in TABLES] == before
    assert len(store.reader(RITA).list()) == 1


def test_who_may_not_ingest_under_a_label_writes_nothing(store: SeededStore) -> None:
    for label in (NARROW, OPEN, "acme/label:board"):
        with pytest.raises(ringfence.Refused):
            store.write(RITA, [Page("a.txt", "one", label)])
    assert [rows(store, table) for table in TABLES] == [[], [], []]


def test_a_run_that_fails_is_recorded_as_failed_and_leaves_no_row(store: SeededStore) -> None:
    def failing() -> None:
        with store.ingestion(ADA) as ingestion:
            ingestion.put(Page("a.txt", "one", OPEN).draft())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert [rows(store, table) for table in TABLES] == [[], [], []]
    assert ("ingest", "FAIL") in catalog(store, "select job, state from runs")
    events = [
        json.loads(line) for line in (store.path / "lineage" / "openlineage.jsonl").read_text().splitlines()
    ]
    assert [event["eventType"] for event in events] == ["START", "FAIL"]


# The public ways in: the SDK and the command line.


@pytest.fixture
def team(tmp_path: Path) -> Iterator[ringfence.Store]:
    with ringfence.create(tmp_path / "team", admin=ADA, embedder="hash") as team:
        yield team


def test_a_document_nothing_labels_is_its_ingesters_alone(team: ringfence.Store) -> None:
    plain = [ringfence.Document("a.txt", "a pump")]
    summary = team.ingest(plain, as_user=ADA, dry_run=True)
    assert [(plan.origin, plan.label) for plan in summary.planned] == [(ORIGIN_PRIVATE, Label("acme", ADA))]
    team.ingest(plain, as_user=ADA)
    assert len(team.as_user(ADA).list()) == 1
    assert len(team.as_user(RITA).list()) == 0


def test_a_summary_names_each_document_it_refused_and_writes_the_others(team: ringfence.Store) -> None:
    documents = [
        ringfence.Document("good.txt", "a pump"),
        ringfence.Document("bad.txt", "a valve", label="acme/label:none"),
        ringfence.Document("foreign.txt", "a seal", label=Label("borealis", "borealis/user:bo")),
    ]
    summary = team.ingest(documents, as_user=ADA)
    assert summary.added == 1
    assert {report.path for report in summary.refused} == {"bad.txt", "foreign.txt"}
    assert [document.path for document in team.as_user(ADA).list()] == ["good.txt"]


@pytest.mark.parametrize("option", [["--label", "acme/label:none"], ["--owner", "borealis/user:bo"]])
def test_a_command_with_a_label_there_is_not_writes_nothing(
    option: list[str], store: SeededStore, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a pump", "utf-8")
    words = ["ingest", "STORE", str(tmp_path / "in"), "--as", ADA, "--embedder", "hash", "--json", *option]
    code, out, _ = cli_answer(words, store.path, store.home)
    assert code == 1
    assert json.loads(out)["added"] == 0
    assert [report["path"] for report in json.loads(out)["refused"]] == ["a.txt"]
    assert [rows(store, table) for table in TABLES] == [[], [], []]


def test_every_document_from_a_folder_a_mailbox_and_python_is_labelled(
    store: SeededStore, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("a pump", "utf-8")
    mail = "From: x@acme.example\nTo: y@acme.example\nSubject: pump\n\nThe pump leaks.\n"
    (folder / "one.eml").write_text(mail, "utf-8")
    (tmp_path / "box.mbox").write_text(f"From x@acme.example Mon Jan  5 09:00:00 2026\n{mail}\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(store.home))
        with ringfence.open(store.path, embedder="hash") as team:
            documents = [ringfence.Document("p.txt", "a pump of Python's", label="acme/label:board")]
            summary = team.ingest(folder, tmp_path / "box.mbox", folder / "a.txt", documents, as_user=ADA)
            assert summary.added == 5
            assert summary.complete, summary
    assert len(rows(store, "documents")) == 5
    assert_everything_is_labelled(store)


def test_a_draft_cannot_lose_its_label_after_it_was_judged() -> None:
    draft = Page("a.txt", "one", OPEN).draft()
    assert isinstance(draft, DocumentDraft)
    with pytest.raises(AttributeError):
        draft.label = "acme/label:none"  # type: ignore[misc]


def test_an_answer_is_written_with_the_labels_of_all_its_passages(team: ringfence.Store) -> None:
    team.ingest([ringfence.Document("a.txt", "a pump")], as_user=ADA)
    reader = team.as_user(ADA)
    answer = reader.register_answer("It is a pump.", passages=list(reader.search("pump")))
    assert reader.why(answer)["decision"] == "allow"


def test_the_way_from_a_passage_to_its_source_is_one_question(team: ringfence.Store) -> None:
    team.ingest([ringfence.Document("a.txt", "a pump")], as_user=ADA)
    team.as_user(ADA).grant(ADA, "audit", "*", why="to follow lineage")
    reader = team.as_user(ADA)
    (hit,) = reader.search("pump")
    with reader.audit_database() as database:
        assert hit.document in [row["id"] for row in database.sql("FROM ancestors(?)", [hit.id])]
