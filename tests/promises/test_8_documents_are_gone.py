"""Promise 8, for documents: what was removed or erased is gone, with its key, its bytes and what was made of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lance
import pytest

import ringfence
from ringfence_governance.labels import Label

from .file_scan import hits, raw_files
from .reader_questions import cli_answer
from .rights_store import ADA, DORA, RITA, by_relabel, by_removal, everything, label, store_of
from .seeded_store import Page, SeededStore


@pytest.fixture
def removed(tmp_path: Path) -> Iterator[tuple[SeededStore, dict[str, list[bytes]], bytes]]:
    """A store from which a document was removed: the sealed cells it had, and its wrapped key."""
    pages = [
        Page("a.txt", "a pump and its secret\n\na second passage", label(RITA)),
        Page("b.txt", "b pump", label(RITA)),
    ]
    with store_of(tmp_path, [], pages) as store:
        document_id = store.written["files/a.txt"]
        cells = cells_of(store, document_id)
        wrapped = wrapped_key(store, document_id)
        assert wrapped is not None
        by_removal(store)
        yield store, cells, wrapped


def cells_of(store: SeededStore, document_id: str) -> dict[str, list[bytes]]:
    """Return every sealed value of a document and its passages."""
    found: dict[str, list[bytes]] = {}
    for name, column in (("documents", "id"), ("chunks", "document_id")):
        dataset = lance.dataset(str(store.path / "lance" / f"{name}.lance"))
        for row in dataset.to_table().to_pylist():
            if row[column] == document_id:
                for key, value in row.items():
                    if isinstance(value, bytes):
                        found.setdefault(f"{name}.{key}", []).append(value)
    return found


def wrapped_key(store: SeededStore, document_id: str) -> bytes | None:
    (database,) = store.home.rglob("keys.db")
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute(
            "select wrapped from document_keys where document_id = ?", [document_id]
        ).fetchone()
    return None if row is None else bytes(row[0])


def test_the_key_of_a_removed_document_is_forgotten(
    removed: tuple[SeededStore, dict[str, list[bytes]], bytes],
) -> None:
    store, cells, _ = removed
    assert {len(values) for values in cells.values()} == {1, 2}
    assert wrapped_key(store, store.written["files/a.txt"]) is None
    assert wrapped_key(store, store.written["files/b.txt"]) is not None


def test_a_removed_document_is_gone_from_every_verb_the_auditors_too(
    removed: tuple[SeededStore, dict[str, list[bytes]], bytes],
) -> None:
    store, _, _ = removed
    gone = store.written["files/a.txt"]
    store.reader(ADA).grant(ADA, "audit", "*", why="to look")
    for ask in (store.reader(ADA).who, lambda found: store.reader(ADA).why_for(RITA, found)):
        with pytest.raises(ringfence.NotReadable):
            ask(gone)
    with closing(sqlite3.connect(store.path / "catalog.db")) as connection:
        held = [row[0] for row in connection.execute("select document_id from manifest")]
    assert held == [store.written["files/b.txt"]]


def test_no_public_call_names_a_version(
    removed: tuple[SeededStore, dict[str, list[bytes]], bytes],
) -> None:
    """Older versions lie in the folder; nothing of the public face opens one by its number, or by a handle."""
    store, _, _ = removed
    versions = lance.dataset(str(store.path / "lance" / "documents.lance")).versions()
    assert len(versions) > 2
    for version in versions:
        for given in (version["version"], str(version["version"]), f"documents@{version['version']}"):
            with pytest.raises((ringfence.RingfenceError, TypeError)):
                store.reader(RITA).text(given)
    for argument in ("version", "as_of", "tag", "branch", "now"):
        with pytest.raises(TypeError):
            store.reader(RITA).search("pump", **{argument: 1})
    for at in (1, "1", store.reader(RITA).list().as_of):
        with pytest.raises(ringfence.InvalidInput):
            store.reader(RITA).search("pump", at=at)  # type: ignore[arg-type]


def test_a_file_that_vanished_is_gone_when_its_removal_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(f"{name} pump", "utf-8")
    with ringfence.create(tmp_path / "team", admin=ADA, embedder="hash") as team:
        team.ingest(folder, as_user=ADA, label=Label("acme", ADA))
        (folder / "a.txt").unlink()
        assert team.ingest(folder, as_user=ADA, label=Label("acme", ADA)).removed == 0
        summary = team.ingest(folder, as_user=ADA, label=Label("acme", ADA), remove_vanished=True)
        assert summary.removed == 1
        assert everything(team.as_user(ADA), []) == {"b.txt"}


def test_the_scan_for_removed_bytes_finds_those_of_a_document_that_is_there(
    removed: tuple[SeededStore, dict[str, list[bytes]], bytes],
) -> None:
    store, _, _ = removed
    there = cells_of(store, store.written["files/b.txt"])
    assert {hit.split(" in ")[0] for hit in scan(store, there)} == set(there)


def scan(store: SeededStore, cells: dict[str, list[bytes]]) -> list[str]:
    """Return where on the disk a sealed value lies. Lance stores bytes as they are."""
    return hits(raw_files(store.path), {name: set(values) for name, values in cells.items()})


# What later parts bring.


def test_the_bytes_of_an_erased_document_are_in_no_file(tmp_path: Path) -> None:
    pages = [Page("a.txt", "a pump and its secret", label(RITA)), Page("b.txt", "b pump", label(RITA))]
    with store_of(tmp_path, [], pages) as store:
        document_id = store.written["files/a.txt"]
        cells, key = cells_of(store, document_id), wrapped_key(store, document_id)
        assert key is not None
        store.close()
        words = ["erase", "STORE", document_id, "--why", "asked to", "--as", ADA, "--json"]
        code, out, errors = cli_answer(words, store.path, store.home)
        assert code == 0, (out, errors)
        assert scan(store, cells) == []
        assert hits(raw_files(store.home), {"key": {key}}) == []
        certificate = json.loads(out)["certificate"]
        assert certificate["documents"] == [document_id]


def test_the_key_of_a_removed_document_is_in_no_file(
    removed: tuple[SeededStore, dict[str, list[bytes]], bytes],
) -> None:
    store, _, wrapped = removed
    assert hits(raw_files(store.home), {"key": {wrapped}}) == []


def test_what_was_made_from_an_erased_document_is_gone_too(tmp_path: Path) -> None:
    with store_of(tmp_path, [], [Page("a.txt", "a pump", Label("acme", ADA, frozenset({RITA})))]) as store:
        parent = store.written["files/a.txt"]
        store.write(
            ADA, [Page("made.txt", "a pump made of it", Label("acme", ADA, frozenset({RITA})), (parent,))]
        )
        assert everything(store.reader(RITA), []) == {"a.txt", "made.txt"}
        words = ["erase", "STORE", parent, "--why", "asked to", "--as", ADA, "--json"]
        code, out, errors = cli_answer(words, store.path, store.home)
        assert code == 0, (out, errors)
        assert everything(store.reader(RITA), []) == set()


@pytest.mark.parametrize("way", ["a passage", "a document", "an answer", "a passage rewritten since"])
def test_an_answer_made_from_an_erased_document_is_gone_with_its_key_and_bytes(
    way: str, tmp_path: Path
) -> None:
    pages = [Page("a.txt", "a pump", label(RITA)), Page("b.txt", "b pump", label(RITA))]
    with store_of(tmp_path, [], pages) as store:
        rita, parent = store.reader(RITA), store.written["files/a.txt"]
        inputs: list[object] = [hit for hit in rita.search("pump") if hit.document == parent]
        if way == "a document":
            inputs = [parent]
        if way == "an answer":
            inputs = [rita.register_answer("a first answer of the pump", inputs)]
        made = rita.register_answer("an answer of the pump", inputs)
        kept = rita.register_answer("another pump", [store.written["files/b.txt"]])
        if way == "a passage rewritten since":
            store.write(ADA, [Page("a.txt", "a pump of other words", label(RITA))])
        cells, key = cells_of(store, made), wrapped_key(store, made)
        assert key is not None
        assert store.reader(ADA).erase(parent, why="asked to")[0]["clean"]
        assert {document.id for document in rita.list()} == {kept, store.written["files/b.txt"]}
        for ask in (rita.text, rita.why):
            with pytest.raises(ringfence.NotReadable):
                ask(made)
        assert scan(store, cells) == []
        assert hits(raw_files(store.home), {"key": {key}}) == []


def test_who_registered_an_answer_may_erase_it_and_nobody_elses(tmp_path: Path) -> None:
    """She may not ingest: what she may write for herself alone she may take away."""
    with store_of(tmp_path, [], [Page("a.txt", "a pump", label(RITA))]) as store:
        rita = store.reader(RITA)
        made = rita.register_answer("an answer of the pump", rita.context("pump"))
        with pytest.raises(ringfence.Refused):
            rita.erase(store.written["files/a.txt"], why="x")
        with pytest.raises(ringfence.NotReadable):
            store.reader(DORA).erase(made, why="x")
        assert [each["documents"] for each in rita.erase(made, why="x")] == [[made]]
        assert [document.path for document in rita.list()] == ["a.txt"]


def test_an_agent_erases_no_answer_of_its_person_that_it_may_not_carry(tmp_path: Path) -> None:
    """No rule denies it anything; none lets it carry anything either."""
    agent = "acme/agent:helper"
    with store_of(tmp_path, [], [Page("a.txt", "a pump", label(RITA))]) as store:
        rita, carried = store.reader(RITA), store.reader(RITA, via=[agent])
        made = rita.register_answer("an answer of the pump", rita.context("pump"))
        assert not carried.list().documents
        with pytest.raises(ringfence.NotReadable):
            carried.erase(made, why="x")
        assert rita.text(made).text
        assert store.reader(ADA).grant(agent, "delegate", "*", why="x")
        assert [each["documents"] for each in carried.erase(made, why="x")] == [[made]]


def test_an_answer_for_others_is_erased_by_who_may_delete_or_ingest_alone(tmp_path: Path) -> None:
    ingests = f"p, {RITA}, acme, *, ingest, any, *, -, -, allow"
    denied = f"p, {DORA}, acme, *, delete, any, *, -, -, deny"
    with store_of(tmp_path, [ingests, denied], [Page("a.txt", "a pump", label(RITA))]) as store:
        rita, dora = store.reader(RITA), store.reader(DORA)
        made = rita.register_answer("an answer for others", rita.context("pump"), label=label(RITA))
        own = dora.register_answer("an answer of her own", dora.context("pump"))
        assert store.reader(ADA).revoke(RITA, "ingest", "*", why="no more") == 1
        for reader, answer in ((rita, made), (dora, own)):
            assert reader.text(answer).text
            with pytest.raises(ringfence.Refused):
                reader.erase(answer, why="x")


def test_an_older_publication_shows_nothing_that_may_not_be_read_today(tmp_path: Path) -> None:
    with store_of(
        tmp_path, [], [Page("a.txt", "a pump", label(RITA)), Page("b.txt", "b pump", label(RITA))]
    ) as store:
        reader = store.reader(RITA)
        before = store.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        store.clock.advance(60)
        assert {hit.source.path for hit in reader.search("pump", at=before)} == {"a.txt", "b.txt"}
        by_relabel(store)
        assert {hit.source.path for hit in reader.search("pump", at=before)} == {"b.txt"}
