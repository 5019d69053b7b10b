"""Promise 8: gone means gone.

A right that was taken back is gone from the next question on, in every process
that has the store open. A removed document is gone from every verb. What was
only valid for a time is gone when that time is over.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import lance
import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.policy_rows import from_fields
from ringfence_governance.subjects import Subject

from .file_scan import hits, raw_files
from .reader_questions import MODES, cli_answer
from .seeded_store import Page, SeededStore, bundle

ADA, RITA, DORA = "acme/user:ada", "acme/user:rita", "acme/user:dora"
NAMED = NamedLabel("acme/label:project", Label("acme", DORA))
STANDING = [
    f"p, {ADA}, acme, *, delete, any, *, -, -, allow",
    f"p, {ADA}, acme, *, declassify, any, *, -, -, allow",
]
REASON = Reasoned("a test takes it back")
PROCESS_S = 60


def label(*readers: str) -> Label:
    return Label("acme", DORA, frozenset(readers))


@contextmanager
def store_of(folder: Path, rules: list[str], pages: list[Page]) -> Iterator[SeededStore]:
    store = SeededStore.create(folder, bundle([*STANDING, *rules], [NAMED]), ADA)
    store.write(ADA, pages)
    try:
        yield store
    finally:
        store.close()


def everything(reader: Reader, known: list[str]) -> set[str]:
    """Return the paths a reader gets by any verb at all; every verb must say the same."""
    listed = {document.path: document.id for document in reader.list()}
    for mode in MODES:
        assert {hit.source.path for hit in reader.search("pump", 1000, mode)} == set(listed)  # type: ignore[arg-type]
    assert reader.count().documents == len(listed)
    for document_id in known:
        for ask in (reader.text, reader.why):
            if document_id in listed.values():
                ask(document_id)
            else:
                with pytest.raises(ringfence.NotReadable):
                    ask(document_id)
    for path in ("a.txt", "b.txt"):
        if path not in listed:
            with pytest.raises(ringfence.NotReadable):
                reader.text(path)
    return set(listed)


# Rights.

Take = Callable[[SeededStore], None]


def by_grant(store: SeededStore) -> None:
    assert store.reader(ADA).revoke(RITA, "read", "acme/label:project", why="no more") == 1


def by_membership(store: SeededStore) -> None:
    assert store.reader(ADA).remove_member(RITA, "acme/group:team", why="left")


def by_membership_further_up(store: SeededStore) -> None:
    assert store.reader(ADA).remove_member("acme/group:team", "acme/group:all", why="split")


def by_denial(store: SeededStore) -> None:
    row = from_fields(f"p, {RITA}, acme, *, *, any, *, -, -, deny".split(", "))
    assert store.door.add_row(Subject(ADA), row, REASON)


def by_clearance(store: SeededStore) -> None:
    assert store.door.remove_row(Subject(ADA), from_fields(["f", RITA, "2", "-"]), REASON)


def by_relabel(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        assert ingestion.relabel("a.txt", label())


def by_writing_again(store: SeededStore) -> None:
    store.write(ADA, [Page("a.txt", "a pump of other words", label())])


def by_removal(store: SeededStore) -> None:
    with store.ingestion(ADA) as ingestion:
        assert ingestion.remove("a.txt")


WAYS: dict[str, tuple[list[str], Label | str, Take]] = {
    "a grant is revoked": (
        [f"p, {RITA}, acme, acme/label:project, read, any, *, -, -, allow"],
        "acme/label:project",
        by_grant,
    ),
    "a membership ends": ([f"g, {RITA}, acme/group:team"], label("acme/group:team"), by_membership),
    "a group leaves a group": (
        [f"g, {RITA}, acme/group:team", "g, acme/group:team, acme/group:all"],
        label("acme/group:all"),
        by_membership_further_up,
    ),
    "a denial is added": ([f"g, {RITA}, acme/group:x"], label(RITA), by_denial),
    "a clearance is taken": (
        [f"f, {RITA}, 2, -"],
        Label("acme", DORA, frozenset({RITA}), level=2),
        by_clearance,
    ),
    "a document is relabelled": ([f"g, {RITA}, acme/group:x"], label(RITA), by_relabel),
    "a document is written again": ([f"g, {RITA}, acme/group:x"], label(RITA), by_writing_again),
    "a document is removed": ([f"g, {RITA}, acme/group:x"], label(RITA), by_removal),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_gone_from_the_next_question_on(way: str, tmp_path: Path) -> None:
    rules, given, take = WAYS[way]
    pages = [Page("a.txt", "a pump", given), Page("b.txt", "b pump", label())]
    with store_of(tmp_path, rules, pages) as store:
        reader = store.reader(RITA)
        known = list(store.written.values())
        assert everything(reader, known) == {"a.txt"}
        kept = reader.search("pump")[0], reader.list()[0]
        take(store)
        assert everything(reader, known) == set()
        assert everything(store.reader(RITA), known) == set()
        # What he still holds opens nothing either.
        for each in kept:
            for ask in (reader.text, reader.why):
                with pytest.raises(ringfence.NotReadable):
                    ask(each)


def test_an_agent_loses_what_it_may_carry(tmp_path: Path) -> None:
    rules = ["p, acme/agent:desk, acme, acme/label:project, delegate, any, *, -, -, allow"]
    rules += [f"p, {RITA}, acme, acme/label:project, read, any, *, -, -, allow"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", "acme/label:project")]) as store:
        carried = store.reader(RITA, via=["acme/agent:desk"])
        assert everything(carried, []) == {"a.txt"}
        admin = store.reader(ADA)
        assert admin.revoke("acme/agent:desk", "delegate", "acme/label:project", why="no more") == 1
        assert everything(carried, []) == set()
        assert everything(store.reader(RITA), []) == {"a.txt"}


def test_the_person_behind_an_agent_loses_it_for_the_agent(tmp_path: Path) -> None:
    rules = ["p, acme/agent:desk, acme, *, delegate, any, *, -, -, allow"]
    rules += [f"p, {RITA}, acme, acme/label:project, read, any, *, -, -, allow"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", "acme/label:project")]) as store:
        carried = store.reader(RITA, via=["acme/agent:desk"])
        assert everything(carried, []) == {"a.txt"}
        by_grant(store)
        assert everything(carried, []) == set()


def test_a_right_given_again_is_there_again(tmp_path: Path) -> None:
    rules, given, take = WAYS["a grant is revoked"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store:
        for _ in range(3):
            assert everything(store.reader(RITA), []) == {"a.txt"}
            take(store)
            assert everything(store.reader(RITA), []) == set()
            assert store.reader(ADA).grant(RITA, "read", "acme/label:project", why="again")


def test_a_revoked_auditor_and_administrator_ask_no_more(tmp_path: Path) -> None:
    rules = [f"p, {DORA}, acme, *, audit, any, *, -, -, allow"]
    rules += [f"p, {DORA}, acme, acme/policy, administer, any, *, -, -, allow"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", label(RITA))]) as store:
        dora, (known,) = store.reader(DORA), store.written.values()
        assert dora.log()
        assert dora.policy()
        assert dora.who(known)["readers"]
        assert store.reader(ADA).revoke(DORA, "audit", "*", why="no more") == 1
        assert dora.revoke(DORA, "administer", "acme/policy", why="no more") == 1
        for ask in (dora.log, dora.policy, lambda: dora.grant(RITA, "read", "*", why="x")):
            with pytest.raises(ringfence.Refused):
                ask()
        with pytest.raises(ringfence.NotReadable):
            dora.who(known)
        assert set(dora.status()) == {"format", "mode", "health"}


# Time.

ENDS = "2026-03-01T12:00:10Z"


@pytest.mark.parametrize(
    ("rules", "given"),
    [
        ([f"p, {RITA}, acme, acme/label:project, read, any, *, -, {ENDS}, allow"], "acme/label:project"),
        ([f"g, {RITA}, acme/group:x"], Label("acme", DORA, frozenset({RITA}), valid_until=ENDS)),
        ([f"p, {RITA}, acme, *, read, any, *, {ENDS}, -, deny"], label(RITA)),
    ],
    ids=["a grant expires", "a label expires", "a denial begins"],
)
def test_what_ends_is_gone_in_the_second_it_ends(
    rules: list[str], given: Label | str, tmp_path: Path
) -> None:
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store:
        reader = store.reader(RITA)
        for moment, expected in (("2026-03-01T12:00:09Z", {"a.txt"}), (ENDS, set())):
            store.clock.set(moment)
            assert everything(reader, []) == expected
        # A clock that is set back brings nothing back once the store has moved on.
        store.write(ADA, [Page("b.txt", "b", label())])
        store.clock.set("2026-03-01T12:00:01Z")
        assert everything(reader, []) == set()


def test_a_grant_by_the_command_line_ends_by_the_clock_of_the_machine(tmp_path: Path) -> None:
    with store_of(tmp_path, [], [Page("a.txt", "a pump", "acme/label:project")]) as store:
        store.close()
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        words = [
            "grant",
            "STORE",
            RITA,
            "read",
            "acme/label:project",
            "--until",
            until,
            "--why",
            "x",
            "--as",
            ADA,
        ]
        assert cli_answer([*words, "--json"], store.path, store.home)[0] == 0
        ask = ["search", "STORE", "pump", "--as", RITA, "--json"]
        code, out, _ = cli_answer(ask, store.path, store.home)
        assert (code, len(json.loads(out)["hits"])) == (0, 1)
        while time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) < until:
            time.sleep(0.05)
        code, out, _ = cli_answer(ask, store.path, store.home)
        assert (code, json.loads(out)["hits"]) == (1, [])


# Other processes.

ASKER = """
import sys
from pathlib import Path
from ringfence.reader import Reader
from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject
from ringfence_ingest.embedders import open_embedder

path, home, who = sys.argv[1:]
embedder = open_embedder("hash")
reader = Reader(Door.open(Path(path), keys_home=Path(home)), Subject(who), lambda text: embedder.embed([text])[0])
for line in sys.stdin:
    listed, found = [each.path for each in reader.list()], [hit.source.path for hit in reader.search("pump")]
    print(listed, found, reader.count().documents, flush=True)
"""
"""A process that keeps a store open and answers each line with what its reader gets."""


@contextmanager
def process(store: SeededStore, who: str) -> Iterator[Callable[[], str]]:
    command = [sys.executable, "-c", ASKER, str(store.path), str(store.home), who]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert running.stdin is not None
    assert running.stdout is not None

    def ask() -> str:
        running.stdin.write("\n")  # type: ignore[union-attr]
        running.stdin.flush()  # type: ignore[union-attr]
        return running.stdout.readline().strip()  # type: ignore[union-attr]

    try:
        yield ask
    finally:
        running.stdin.close()
        running.wait(PROCESS_S)
        running.stdout.close()


@pytest.mark.parametrize("way", ["a grant is revoked", "a document is relabelled", "a document is removed"])
def test_what_is_taken_here_is_gone_in_a_process_that_has_the_store_open(way: str, tmp_path: Path) -> None:
    rules, given, take = WAYS[way]
    with (
        store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store,
        process(store, RITA) as ask,
    ):
        assert ask() == "['a.txt'] ['a.txt'] 1"
        take(store)
        assert ask() == "[] [] 0"


def test_what_is_taken_by_a_command_elsewhere_is_gone_here(tmp_path: Path) -> None:
    rules, given, _ = WAYS["a grant is revoked"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store:
        reader = store.reader(RITA)
        assert everything(reader, []) == {"a.txt"}
        words = ["revoke", str(store.path), RITA, "read", "acme/label:project", "--why", "x", "--as", ADA]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment["RINGFENCE_HOME"] = str(store.home)
        command = [sys.executable, "-m", "ringfence", *words]
        assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0
        assert everything(reader, []) == set()


# Removed documents.


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
