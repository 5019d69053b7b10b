"""Promise 5: sealed.

Who reads every file of a store, in every version, raw and decoded, and has no
key finds no text, no usable vector, no term, and no name or path of a document
or label; not even one who may ingest documents of his own choice.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

import ringfence
from ringfence_governance.drafts import DocumentDraft
from ringfence_governance.errors import NotReadable, StoreCorrupt
from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_rows import from_fields
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms

from .file_scan import database_values, decoded_tables, forms, hits, raw_files, unpacked, vector_forms
from .forged_tables import replace_published
from .reader_questions import cli_answer
from .seeded_store import EMBEDDER, Page, SeededStore, bundle, embed

DORA, INGESTER, INSIDER = "acme/user:dora", "acme/user:ingester", "acme/user:mallory"

WORDS = {
    "text": "zebrafinchmerger",
    "replaced text": "quokkasalary",
    "removed text": "narwhalbonus",
    "term of a mail": "pangolinclause",
    "path": "axolotlfolder",
    "file name": "wolverinefile",
    "title": "Capybaratitle",
    "label name": "ocelotlabel",
    "label owner": "marmotowner",
    "label reader": "tapirreader",
    "group": "gibbongroup",
    "query": "lemurquestion",
    "reason of a change": "okapireason",
    "source folder": "ibexsource",
    "answer": "serowanswer",
    "title of an answer": "takintitle",
    "reason of an answer": "sakireason",
}


@dataclass
class Life:
    """A store that has been through everything, and where it left something."""

    path: Path
    keys: Path
    temporary: Path
    printed: str


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Make a store by the command line, write, replace, relabel, remove, ask, refuse, grant and revoke."""
    folder = tmp_path_factory.mktemp("sealed")
    life = Life(folder / "store", folder / "keys", folder / "temporary", "")
    life.temporary.mkdir()
    source, policy = folder / WORDS["source folder"], folder / "policy"
    write_policy(policy)
    write_files(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(life.temporary))
        patch.setattr(tempfile, "tempdir", None)
        call(life, "init", "STORE", "--policy", str(policy), "--admin", INGESTER)
        ingest = ["ingest", "STORE", str(source), "--as", INGESTER, "--embedder", "hash", "--remove-vanished"]
        call(life, *ingest)
        change_files(source)
        call(life, *ingest)
        ask(life)
    return life


def write_policy(folder: Path) -> None:
    folder.mkdir()
    (folder / "policy.csv").write_text(
        "p, *, *, *, read, owner, *, -, -, allow\n"
        "p, *, *, *, read, reader, *, -, -, allow\n"
        f"p, {DORA}, acme, acme/policy, administer, any, *, -, -, allow\n"
        f"p, {DORA}, acme, *, audit, any, *, -, -, allow\n"
        f"g, {DORA}, acme/group:{WORDS['group']}\n",
        "utf-8",
    )
    (folder / "labels.yaml").write_text(
        f"labels:\n  acme/label:{WORDS['label name']}:\n    owner: {DORA}\n    level: 0\n", "utf-8"
    )


def write_files(source: Path) -> None:
    hidden = source / WORDS["path"]
    hidden.mkdir(parents=True)
    owner, reader = WORDS["label owner"], WORDS["label reader"]
    (source / ".ringfence.yaml").write_text(
        "version: 1\nrules:\n"
        f"  - glob: '{WORDS['path']}/**'\n    label: acme/label:{WORDS['label name']}\n"
        f"  - glob: '**'\n    owner: {DORA}\n    readers: [acme/user:{owner}, acme/user:{reader}]\n",
        "utf-8",
    )
    (hidden / f"{WORDS['file name']}.md").write_text(f"# {WORDS['title']}\n\nThe {WORDS['text']}.\n", "utf-8")
    (source / "changed.txt").write_text(f"The {WORDS['replaced text']} of last year.\n", "utf-8")
    (source / "removed.txt").write_text(f"The {WORDS['removed text']} that nobody gets.\n", "utf-8")
    (source / "relabelled.eml").write_text(
        f"From: a@acme.example\nTo: b@acme.example\nSubject: {WORDS['title']}\n\nThe {WORDS['term of a mail']}.\n",
        "utf-8",
    )


def change_files(source: Path) -> None:
    (source / "changed.txt").write_text("Something else of this year.\n", "utf-8")
    (source / "removed.txt").unlink()
    shutil.copy(source / "changed.txt", source / WORDS["path"] / "second.txt")
    rules = (source / ".ringfence.yaml").read_text("utf-8")
    narrower = f"[acme/user:{WORDS['label reader']}]"
    (source / ".ringfence.yaml").write_text(rules.replace(f"acme/user:{WORDS['label owner']}, ", ""), "utf-8")
    assert narrower in (source / ".ringfence.yaml").read_text("utf-8")


def ask(life: Life) -> None:
    label = f"acme/label:{WORDS['label name']}"
    why = ["--why", WORDS["reason of a change"], "--as", DORA]
    for mode in ("vector", "text", "hybrid"):
        call(life, "search", "STORE", f"{WORDS['query']} {WORDS['text']}", "--as", DORA, "--mode", mode)
    call(life, "search", "STORE", WORDS["query"], "--as", INSIDER)
    call(life, "context", "STORE", f"{WORDS['query']} {WORDS['text']}", "--as", DORA)
    register(life)
    call(life, "list", "STORE", "--as", DORA)
    call(life, "why", "STORE", f"{WORDS['path']}/{WORDS['file name']}.md", "--as", DORA)
    call(life, "grant", "STORE", INSIDER, "read", label, *why)
    call(life, "revoke", "STORE", INSIDER, "read", label, *why)
    call(life, "member", "add", "STORE", INSIDER, f"acme/group:{WORDS['group']}", *why)
    call(life, "log", "STORE", "--as", DORA)
    call(life, "policy", "show", "STORE", "--as", DORA)


def register(life: Life) -> None:
    """Register an answer, from a file that is not in the store."""
    _, out, _ = cli_answer(["search", "STORE", WORDS["text"], "--as", DORA, "--json"], life.path, life.keys)
    answer = life.path.parent / "answer.md"
    answer.write_text(f"The {WORDS['answer']} is what they say.", "utf-8")
    made_from = [word for hit in json.loads(out)["hits"] for word in ("--from", hit["id"])]
    told = ["--title", WORDS["title of an answer"], "--why", WORDS["reason of an answer"]]
    call(life, "answer", "STORE", str(answer), *made_from, *told, "--as", DORA)


def call(life: Life, *words: str) -> None:
    code, out, errors = cli_answer([*words, "--json"], life.path, life.keys)
    assert code in (0, 1), (words, out, errors)
    life.printed += errors


@pytest.fixture(scope="module")
def canaries() -> dict[str, set[bytes]]:
    """Each word as it was written and as it is indexed."""
    found = {}
    for what, word in WORDS.items():
        found[what] = forms(word) | {form for term in terms(word) for form in forms(term)}
    return found


def test_the_life_was_lived(life: Life) -> None:
    """What is looked for below was written, read, replaced and removed; else not finding it means nothing."""
    _, out, _ = cli_answer(["list", "STORE", "--as", DORA, "--json"], life.path, life.keys)
    documents = json.loads(out)["documents"]
    (answer,) = [each for each in documents if each["kind"] == "answer"]
    assert answer["title"] == WORDS["title of an answer"]
    paths = {each["path"] for each in documents if each is not answer}
    hidden = WORDS["path"]
    assert paths == {
        "changed.txt",
        "relabelled.eml",
        f"{hidden}/{WORDS['file name']}.md",
        f"{hidden}/second.txt",
    }
    _, out, _ = cli_answer(["search", "STORE", WORDS["text"], "--as", DORA, "--json"], life.path, life.keys)
    assert WORDS["text"] in out
    assert len(lance.dataset(str(life.path / "lance" / "chunks.lance")).versions()) > 3


@pytest.mark.parametrize("state", ["as it lies", "as its engines read it"])
def test_no_file_of_the_store_holds_a_word_or_a_name(
    life: Life, canaries: dict[str, set[bytes]], state: str
) -> None:
    if state == "as it lies":
        blobs = raw_files(life.path)
    else:
        catalog = life.path / "catalog.db"
        blobs = unpacked([*decoded_tables(life.path / "lance"), *database_values(catalog)])
    # Principals stand in the audit log in clear: who read is what it is for (docs/threat-model.md).
    told = {"label owner", "label reader", "group"}
    for found in hits(blobs, canaries):
        what, _, where = found.partition(" in ")
        assert what in told, found
        assert "audit" in where, found


def test_no_label_name_lies_beside_the_wrapped_keys(life: Life, canaries: dict[str, set[bytes]]) -> None:
    (database,) = life.keys.rglob("keys.db")
    assert hits([*raw_files(life.keys), *unpacked(database_values(database))], canaries) == []


def test_nothing_is_left_in_the_temporary_folder(life: Life) -> None:
    assert list(life.temporary.rglob("*")) == []


def test_progress_and_errors_of_the_commands_hold_no_word(life: Life) -> None:
    for what in ("text", "replaced text", "removed text", "term of a mail"):
        assert WORDS[what] not in life.printed


@pytest.mark.parametrize("hidden", ["raw", "compressed", "in a table", "in a database", "in a name"])
def test_the_scan_would_find_a_word(hidden: str, canaries: dict[str, set[bytes]], tmp_path: Path) -> None:
    said = f"about the {WORDS['text']} of today, and about it once more"
    if hidden == "raw":
        (tmp_path / "a.bin").write_bytes(b"\0\1" + said.encode("utf-16-le"))
        blobs = list(raw_files(tmp_path))
    elif hidden == "compressed":
        blobs = list(unpacked([("cell", os.urandom(12) + zlib.compress(said.encode()))]))
        blobs += unpacked([("file", gzip.compress(said.encode()))])
    elif hidden == "in a table":
        rows = pa.table({"id": [str(n) for n in range(300)], "text": [said] * 300})
        lance.write_dataset(rows, str(tmp_path / "t.lance"))
        lance.dataset(str(tmp_path / "t.lance")).delete("true")
        blobs = list(decoded_tables(tmp_path))
    elif hidden == "in a database":
        import sqlite3

        with sqlite3.connect(tmp_path / "x.db") as connection:
            connection.execute("create table t (a)")
            connection.execute("insert into t values (?)", [said])
        blobs = list(database_values(tmp_path / "x.db"))
    else:
        (tmp_path / WORDS["text"]).mkdir()
        blobs = list(raw_files(tmp_path))
    assert hits(blobs, {"text": canaries["text"]})


# Vectors, and what somebody learns who may write.


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SeededStore]:
    named = [NamedLabel("acme/label:board", Label("acme", DORA))]
    rules = [f"p, {INSIDER}, acme, *, ingest, owner, *, -, -, allow"]
    store = SeededStore.create(tmp_path, bundle(rules, named), INGESTER)
    yield store
    store.close()


SECRET = "acquisition of meridian at forty two million signed by dora on friday"


def test_no_file_holds_the_numbers_of_a_vector(small: SeededStore) -> None:
    dice = np.random.default_rng(1)
    vectors = dice.standard_normal((6, EMBEDDER.model.dimensions)).astype(np.float32)
    with small.ingestion(INGESTER) as ingestion:
        for place, vector in enumerate(vectors):
            ingestion.put(with_vector(Page(f"{place}.txt", SECRET, "acme/label:board").draft(), vector))
    small.reader(DORA).search(SECRET, mode="vector")
    small.close()
    patterns = {"vector": set().union(*(vector_forms(vector) for vector in vectors))}
    everything = [*raw_files(small.path), *decoded_tables(small.path / "lance")]
    assert hits(unpacked(everything), patterns) == []
    # The scan would find them.
    assert hits([("file", b"\1\2\3" + vectors[3].tobytes())], patterns)
    assert hits([("file", vectors[3][5:20].astype("<f8").tobytes())], patterns)


def with_vector(draft: DocumentDraft, vector: np.ndarray) -> DocumentDraft:
    return dataclasses.replace(
        draft, chunks=tuple(dataclasses.replace(c, vector=vector) for c in draft.chunks)
    )


def test_who_ingests_a_whole_dictionary_and_the_very_text_learns_no_word_of_others(
    small: SeededStore,
) -> None:
    small.write(INGESTER, [Page("hr/deal.txt", SECRET, "acme/label:board")])
    secret_rows = rows_of(small)
    mine = Label("acme", INSIDER)
    dictionary = sorted({*SECRET.split(), "pump", "valve", "seal", "offer"})
    pages = [Page(f"{word}.txt", word, mine) for word in dictionary]
    # The text itself, under the very path of the hidden document.
    pages += [Page("hr/deal.txt", SECRET, mine)]
    # Ids are random; that those of equal names are equal here is the seed's doing.
    small.randomness.seed += 1
    small.write(INSIDER, pages, source_name="files")
    # As often as it stands there: a value equal to a hidden one is his too.
    own_rows = list((Counter(rows_of(small)) - Counter(secret_rows)).elements())
    assert len(own_rows) > len(dictionary) * 3
    theirs, his = set().union(*map(blocks, secret_rows)), set().union(*map(blocks, own_rows))
    assert theirs
    assert not theirs & his


def rows_of(store: SeededStore) -> list[tuple[str, object]]:
    """Return every value in the store's tables and catalog, with its column; ids and numbers left out."""
    found: list[tuple[str, object]] = []
    for name in ("documents", "chunks", "edges"):
        table = lance.dataset(str(store.path / "lance" / f"{name}.lance")).to_table()
        for column in set(table.column_names) - {"atom", "ordinal", "token_count", "run_id", "kind"}:
            found += [(f"{name}.{column}", value) for value in table[column].to_pylist()]
    catalog = database_values(store.path / "catalog.db")
    wanted = ("manifest", "sources", "runs", "labels", "label_versions")
    for name, value in catalog:
        if name.endswith(tuple(f" {each}" for each in wanted)) and len(value) >= 24:
            found.append((name, value))
    return found


def blocks(row: tuple[str, object]) -> set[bytes]:
    """Return every run of twelve bytes of a value: two of different values are hardly ever equal."""
    data = row[1] if isinstance(row[1], bytes) else str(row[1]).encode()
    return {data[start : start + 12] for start in range(len(data) - 11)}


def test_sealed_vectors_rank_nothing(small: SeededStore) -> None:
    """Who holds a vector of his own finds no hidden neighbour of it: the sealed bytes are noise."""
    near = [Page(f"near/{n}.txt", f"pump valve leak {n}", "acme/label:board") for n in range(24)]
    far = [Page(f"far/{n}.txt", f"merger salary bonus {n}", "acme/label:board") for n in range(24)]
    small.write(INGESTER, [*near, *far])
    near_ids = {small.written[f"files/{page.path}"] for page in near}
    table = lance.dataset(str(small.path / "lance" / "chunks.lance")).to_table()
    query = embed("pump valve leak")
    sealed = [np.frombuffer(cell[12 : 12 + 4 * len(query)], "<f4") for cell in table["vector"].to_pylist()]
    scores = [float(np.dot(np.nan_to_num(np.sign(row)), np.sign(query))) for row in sealed]
    ranked = np.argsort(scores)[::-1][:24]
    found = sum(table["document_id"][int(row)].as_py() in near_ids for row in ranked)
    # A usable vector would give all 24; chance gives 12 with a deviation of 2.5.
    assert found < 23


# Without the key.


@pytest.fixture
def closed(small: SeededStore) -> SeededStore:
    small.write(INGESTER, [Page("a.txt", SECRET, "acme/label:board")])
    small.close()
    return small


def opens(store: SeededStore) -> ringfence.Store:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(store.home))
        return ringfence.open(store.path, embedder="hash")


def test_with_the_key_it_opens(closed: SeededStore) -> None:
    with opens(closed) as store:
        assert len(store.as_user(DORA).list()) == 1


@pytest.mark.parametrize("missing", ["everything", "master.key", "keys.db"])
def test_without_the_key_nothing_opens(closed: SeededStore, missing: str) -> None:
    (folder,) = closed.home.iterdir()
    shutil.rmtree(folder) if missing == "everything" else (folder / missing).unlink()
    with pytest.raises(ringfence.KeyUnavailable):
        opens(closed)


def test_a_wrong_key_opens_nothing(closed: SeededStore) -> None:
    (folder,) = closed.home.iterdir()
    words = (folder / "master.key").read_text("ascii").split()
    words[-1] = "A" * 43 + "="
    (folder / "master.key").write_text(" ".join(words) + "\n", "ascii")
    with pytest.raises(ringfence.RingfenceError):
        opens(closed)


def test_a_row_moved_under_another_label_by_who_can_write_the_files_opens_for_nobody(
    small: SeededStore,
) -> None:
    """An insider rewrites the atom of a hidden document to that of his own label."""
    small.write(INGESTER, [Page("a.txt", SECRET, "acme/label:board")])
    small.write(INSIDER, [Page("b.txt", "mine", Label("acme", INSIDER))], source_name="his")
    for name in ("documents", "chunks"):
        dataset = lance.dataset(str(small.path / "lance" / f"{name}.lance"))
        his = max(dataset.to_table(columns=["atom"])["atom"].to_pylist())
        # In place: a new version would not be the published one, and nobody would look at it.
        table = dataset.to_table()
        atoms = pa.array([his] * table.num_rows, pa.int32())
        rewritten = table.set_column(table.schema.get_field_index("atom"), table.schema.field("atom"), atoms)
        replace_published(dataset, rewritten)
    for ask in (lambda reader: reader.search("acquisition"), lambda reader: reader.list()):
        with pytest.raises(StoreCorrupt, match="does not open: no key for its document under its label"):
            ask(small.reader(INSIDER))


def written(small: SeededStore) -> tuple[str, str]:
    """Return the ids of a hidden document and of an insider's own."""
    (hidden,) = small.write(INGESTER, [Page("pay/a.txt", SECRET, "acme/label:board")])
    (his,) = small.write(INSIDER, [Page("b.txt", "mine", Label("acme", INSIDER))], source_name="his")
    return hidden, his


def move_rows(small: SeededStore, *names: str) -> None:
    """Let the insider rewrite the atom of the hidden document to that of his own label."""
    for name in names or ("documents", "chunks"):
        dataset = lance.dataset(str(small.path / "lance" / f"{name}.lance"))
        table = dataset.to_table()
        atoms = pa.array([max(table["atom"].to_pylist())] * table.num_rows, pa.int32())
        place = table.schema.get_field_index("atom")
        replace_published(dataset, table.set_column(place, table.schema.field("atom"), atoms))


def own_by_forgery(small: SeededStore, hidden: str, his: str) -> None:
    """Let the catalog say that a document is from the insider's own source."""
    with closing(sqlite3.connect(small.path / "catalog.db")) as catalog, catalog:
        (source,) = catalog.execute("SELECT source_id FROM manifest WHERE document_id = ?", [his]).fetchone()
        catalog.execute("UPDATE manifest SET source_id = ? WHERE document_id = ?", [source, hidden])


def made_from_by_forgery(small: SeededStore, hidden: str, his: str) -> None:
    """Let the edges say that a document was made from the insider's own."""
    documents = lance.dataset(str(small.path / "lance" / "documents.lance")).to_table().to_pylist()
    run, atom = next((each["run_id"], each["atom"]) for each in documents if each["id"] == hidden)
    dataset = lance.dataset(str(small.path / "lance" / "edges.lance"))
    table = dataset.to_table()
    edge = {"id": "f" * 32, "atom": atom, "run_id": run, "child": hidden, "parent": his, "kind": "derived"}
    replace_published(dataset, pa.Table.from_pylist([*table.to_pylist(), edge], schema=table.schema))


HIGHER = Label("acme", INSIDER, denied=frozenset({DORA}))


@pytest.mark.parametrize("way", [own_by_forgery, made_from_by_forgery])
def test_the_key_of_a_moved_row_is_wrapped_for_no_label_of_who_moved_it(
    way: Callable[[SeededStore, str, str], None], small: SeededStore
) -> None:
    """Relabelling wraps keys anew: what follows from the label that a row says must not decide for whom."""
    hidden, his = written(small)
    move_rows(small)
    way(small, hidden, his)
    insider = small.reader(INSIDER)
    with pytest.raises((StoreCorrupt, NotReadable)):
        insider.relabel(hidden if way is own_by_forgery else his, HIGHER, why="x")
    with pytest.raises(StoreCorrupt):
        insider.text(hidden)
    wraps = small.door._Door__ground.keys.wraps_of([hidden])  # type: ignore[attr-defined]
    board = small.door._Door__ground.moment().table.by_id["acme/label:board"]  # type: ignore[attr-defined]
    assert {wrap.atom for wrap in wraps} == {board.atom}


@pytest.mark.parametrize("what", ["answer", "document", "erasure"])
def test_a_moved_row_is_an_input_of_nothing_and_is_erased_by_nobody(what: str, small: SeededStore) -> None:
    """What inherits its label would inherit the wrong one; and nothing of it need be opened for that."""
    for action in ("read", "delete"):
        rule = ("p", INGESTER, "acme", "*", action, "any", "*", "-", "-", "allow")
        assert small.door.add_row(Subject(INGESTER), from_fields(rule), Reasoned("x"))
    hidden, _ = written(small)
    ada, keys = small.reader(INGESTER), small.door._Door__ground.keys  # type: ignore[attr-defined]
    (passage,) = [hit.id for hit in ada.search(SECRET, mode="text") if hit.document == hidden]
    move_rows(small, "documents" if what == "erasure" else "chunks")
    attempts: dict[str, Callable[[], object]] = {
        "answer": lambda: ada.register_answer("forty two million", [passage]),
        "document": lambda: small.write(
            INGESTER, [Page("c.txt", "made", Label("acme", INGESTER), (passage,))]
        ),
        "erasure": lambda: ada.erase(hidden, why="x"),
    }
    with pytest.raises(StoreCorrupt, match="another label than its key"):
        attempts[what]()
    assert keys.wraps_of([hidden])


def test_a_document_moved_to_anothers_source_tells_him_no_path(small: SeededStore) -> None:
    (hidden,) = small.write(INGESTER, [Page("pay/a.txt", SECRET, "acme/label:board")])
    (his,) = small.write(INSIDER, [Page("b.txt", "mine", Label("acme", INSIDER))], source_name="his")
    with small.ingestion(INSIDER, source_name="his") as ingestion:
        assert ingestion.paths() == {"b.txt"}
    own_by_forgery(small, hidden, his)
    with (
        pytest.raises(StoreCorrupt, match="not its own"),
        small.ingestion(INSIDER, source_name="his") as again,
    ):
        again.paths()


def test_a_source_put_in_the_place_of_his_own_tells_nobody_a_path(small: SeededStore) -> None:
    small.write(INGESTER, [Page("pay/a.txt", SECRET, "acme/label:board")])
    with small.ingestion(INSIDER, source_name="his") as ingestion:
        assert ingestion.paths() == set()
    with closing(sqlite3.connect(small.path / "catalog.db")) as catalog, catalog:
        one, other = catalog.execute("SELECT source_id, digest FROM sources ORDER BY rowid").fetchall()
        for source, digest in ((one[0], ""), (other[0], one[1]), (one[0], other[1])):
            catalog.execute("UPDATE sources SET digest = ? WHERE source_id = ?", [digest, source])
    with pytest.raises(StoreCorrupt, match="another source"), small.ingestion(INSIDER, source_name="his"):
        pytest.fail("somebody else's source was opened")


def test_after_a_rotation_an_old_copy_of_the_keys_opens_nothing(closed: SeededStore, tmp_path: Path) -> None:
    old = Path(shutil.copytree(closed.home, tmp_path / "old"))
    words = ["keys", "rotate", "STORE", "--retire", "--why", "a lost backup", "--as", INGESTER, "--json"]
    code, out, errors = cli_answer(words, closed.path, closed.home)
    assert code == 0, (out, errors)
    with opens(closed) as store:
        assert len(store.as_user(DORA).list()) == 1
    with pytest.raises(ringfence.KeyUnavailable):
        opens(dataclasses.replace(closed, home=old))
