"""What the catalog promises holds in every database that can keep it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ringfence_governance import (
    catalog_labels,
    catalog_migrations,
    leases,
    manifest,
    postgres_engine,
    publications,
    runs,
    sqlite_engine,
)
from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.errors import (
    NotReadable,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreVersionMismatch,
    WriterExpelled,
)
from ringfence_governance.labels import NamedLabel
from ringfence_governance.leases import WriterLease
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.vector_models import VectorModel

from .catalogs import database_of, rows, run, tables
from .worlds import ADMIN, FOLDER, World, draft, label, make_world, process, row, subject

HAL, BOB = "acme/user:hal", "acme/user:bob"
MEMBER = ("g", BOB, "acme/group:hr")


@pytest.fixture
def world(catalog_url: str | None, tmp_path: Path) -> Iterator[World]:
    """An empty store of its own, its catalog in the database under test."""
    world = make_world(tmp_path / "world", catalog=catalog_url)
    yield world
    world.door.close()


@contextmanager
def reopened(world: World) -> Iterator[World]:
    again = world.reopened()
    try:
        yield again
    finally:
        again.door.close()


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """The same store, opened a second time."""
    second = world.second()
    yield second
    second.door.close()


def take(world: World, kind: str = "test") -> int:
    with world.ground.catalog.write() as connection:
        return world.ground.catalog.next_entry(connection, kind)[0]


def sequences(world: World) -> list[int]:
    return [number for (number,) in rows(world, "SELECT sequence FROM entries ORDER BY sequence")]


# The sequence and its transactions.


def test_numbers_only_rise_whoever_takes_them(world: World, other: World) -> None:
    taken = [take(where) for where in (world, other, world, other)]
    assert taken == sorted(set(taken))
    with world.ground.catalog.read() as connection:
        assert world.ground.catalog.sequence(connection) == taken[-1]


def test_a_transaction_that_fails_changes_nothing(world: World) -> None:
    before, mark = sequences(world), world.ground.catalog.mark()

    def half() -> None:
        with world.ground.catalog.write() as connection:
            world.ground.catalog.next_entry(connection, "policy")
            world.ground.catalog.set_meta(connection, "half", "done")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert sequences(world) == before
    assert rows(world, "SELECT value FROM meta WHERE name = 'half'") == []
    assert world.ground.catalog.mark() == mark


def test_the_mark_changes_with_every_commit_and_with_nothing_else(world: World, other: World) -> None:
    marks = [world.ground.catalog.mark()]
    for where in (world, other):
        sequences(world)
        assert world.ground.catalog.mark() == marks[-1]
        take(where)
        marks.append(world.ground.catalog.mark())
    assert len(set(marks)) == 3


def test_the_mark_changes_though_no_number_was_taken(world: World, other: World) -> None:
    """A key that is forgotten or a run that ends takes none."""
    mark = world.ground.catalog.mark()
    run(other, "UPDATE runs SET state = 'FAIL'")
    assert world.ground.catalog.mark() != mark


def test_a_read_sees_one_state_whatever_is_committed_meanwhile(world: World, other: World) -> None:
    catalog = world.ground.catalog
    with catalog.read() as connection:
        before = catalog.sequence(connection)
        take(other)
        assert catalog.sequence(connection) == before
    with catalog.read() as connection:
        assert catalog.sequence(connection) > before


def test_a_reader_waits_for_no_writer_and_sees_nothing_of_it(world: World, other: World) -> None:
    before = sequences(world)
    with other.ground.catalog.write() as connection:
        other.ground.catalog.next_entry(connection, "policy")
        started = time.monotonic()
        assert sequences(world) == before
        world.ground.catalog.mark()
        assert time.monotonic() - started < 5


def test_a_writer_that_waits_too_long_is_told_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for engine in (sqlite_engine, postgres_engine):
        monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.3)
    late = world.second()
    with world.ground.catalog.write():
        with pytest.raises(StoreBusy, match=r"another process is writing .*try again"):
            take(late)
        assert sequences(late)
    assert take(late)
    late.door.close()


def test_a_writer_that_waited_sees_what_the_one_before_it_wrote(world: World, other: World) -> None:
    """A snapshot as old as the wait would let it overwrite what it never saw."""
    run(world, "INSERT INTO meta VALUES ('count', '0')")
    inside = threading.Event()

    def add(where: World, pause_s: float) -> None:
        with where.ground.catalog.write() as connection:
            held = int(str(where.ground.catalog.meta(connection, "count")))
            inside.set()
            time.sleep(pause_s)
            connection.exec_driver_sql(f"UPDATE meta SET value = '{held + 1}' WHERE name = 'count'")

    first = threading.Thread(target=add, args=(world, 0.5))
    first.start()
    inside.wait()
    add(other, 0)
    first.join()
    assert rows(world, "SELECT value FROM meta WHERE name = 'count'") == [("2",)]


def test_time_never_goes_back_for_anybody(world: World, other: World) -> None:
    world.clock.advance(3600)
    take(world)
    (newest,) = rows(world, "SELECT max(at) FROM entries")[0]
    world.clock.advance(-7200)
    fresh = world.second()
    for where in (world, other, fresh):
        with where.ground.catalog.read() as connection:
            assert where.ground.catalog.now(connection) >= newest
    fresh.door.close()


def test_a_new_label_changes_no_answer_and_a_change_of_policy_does(world: World) -> None:
    catalog = world.ground.catalog
    with catalog.read() as connection:
        before = catalog.sequence(connection)
    catalog_labels.intern_value(catalog, label("acme/user:new"))
    with catalog.read() as connection:
        assert not catalog.changed_since(connection, before)
    world.add(*MEMBER)
    with catalog.read() as connection:
        assert catalog.changed_since(connection, before)


def test_a_setting_is_set_once(world: World) -> None:
    with world.ground.catalog.write() as connection:
        world.ground.catalog.set_meta(connection, "once", "first")
    with pytest.raises(StoreError), world.ground.catalog.write() as connection:
        world.ground.catalog.set_meta(connection, "once", "second")
    assert rows(world, "SELECT value FROM meta WHERE name = 'once'") == [("first",)]


def test_what_refers_to_nothing_is_not_taken(world: World) -> None:
    with pytest.raises(StoreError) as caught:
        run(world, "INSERT INTO publications VALUES (99999, 'planted-run', 1, '{}')")
    assert "planted-run" not in str(caught.value)


def test_a_process_that_is_older_than_the_catalog_reads_and_writes_nothing(world: World) -> None:
    """Another one has migrated it: what is new in it, this one would overlook."""
    world.put(draft("a.txt", "text"))
    newer = str(catalog_migrations.NEWEST + 1)
    run(world, "UPDATE meta SET value = :newer WHERE name = 'schema'", newer=newer)
    for act in (lambda: world.see(HAL), lambda: world.add(*MEMBER), lambda: take(world)):
        with pytest.raises(StoreVersionMismatch, match=f"found catalog version {newer}"):
            act()


# Labels.


def test_equal_labels_are_one_atom_whoever_interns_them(world: World, other: World) -> None:
    values = [label(f"acme/user:p{n % 3}") for n in range(12)]
    places = [(world, other)[n % 2].ground.catalog for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        entries = list(pool.map(catalog_labels.intern_value, places, values))
    assert len({entry.atom for entry in entries}) == 3
    assert len({(entry.label_id, entry.atom) for entry in entries}) == 3
    assert catalog_labels.atom_of_value(other.ground.catalog, values[0]) == entries[0].atom
    assert catalog_labels.atom_of_value(other.ground.catalog, label("acme/user:unknown")) is None


def test_a_compound_label_is_one_atom_in_any_order(world: World) -> None:
    catalog = world.ground.catalog
    parts = frozenset({"acme/label:staff", "acme/label:payroll"})
    one, same = (catalog_labels.intern_compound(catalog, parts) for _ in range(2))
    assert one == same
    assert world.ground.moment().table.entries[one.atom].parts == parts


def test_a_redefined_label_keeps_its_atom_and_its_history(world: World, other: World) -> None:
    before = other.ground.moment().table.by_id["acme/label:payroll"]
    world.door.define_label(
        subject(ADMIN), NamedLabel("acme/label:later", label("acme/user:dora")), Reasoned("new")
    )
    with world.ground.catalog.write() as connection:
        number, _ = world.ground.catalog.next_entry(connection, "policy")
        catalog_labels.define(
            world.ground.catalog, connection, "acme/label:payroll", label("acme/user:dora", BOB), number
        )
    after = other.ground.moment().table
    assert after.by_id["acme/label:payroll"].atom == before.atom
    assert after.by_id["acme/label:payroll"].definition == label("acme/user:dora", BOB)
    assert "acme/label:later" in after.by_id
    assert rows(world, "SELECT count(*) FROM label_versions WHERE atom = :atom", atom=before.atom) == [(2,)]


def test_what_is_kept_and_added_to_is_what_a_fresh_process_loads(world: World, other: World) -> None:
    for number in range(4):
        (world, other)[number % 2].put(
            draft(f"{number}.txt", "text", label(f"acme/user:p{number}")), who="acme/user:dex"
        )
    with world.ground.catalog.read() as connection:
        fresh = catalog_labels.load(world.ground.catalog, connection)
    for table in (world.ground.moment().table, other.ground.moment().table):
        assert (table.version, dict(table.entries)) == (fresh.version, dict(fresh.entries))


# The journal.


def test_the_journal_says_who_and_why_in_order_and_its_chain_holds(world: World) -> None:
    world.door.add_row(subject(ADMIN), row(*MEMBER), Reasoned("bob joined", "HR-9"))
    world.remove(*MEMBER)
    with reopened(world) as again:
        history = again.ground.history()
    assert [entry.sequence for entry in history] == sorted(entry.sequence for entry in history)
    assert (history[-2].who, history[-2].why, history[-2].ticket) == (ADMIN, "bob joined", "HR-9")
    assert [entry.change.kind for entry in history[-2:]] == ["row_added", "row_removed"]


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM journal WHERE sequence = :number",
        "UPDATE journal SET payload = (SELECT payload FROM journal WHERE sequence = :before) "
        "WHERE sequence = :number",
        "UPDATE journal SET previous = digest WHERE sequence = :number",
    ],
    ids=["dropped", "replaced", "unchained"],
)
def test_a_journal_row_changed_behind_its_back_is_found(world: World, tampering: str) -> None:
    world.add(*MEMBER)
    world.remove(*MEMBER)
    numbers = [entry.sequence for entry in world.ground.history()]
    values = {"number": numbers[-2], "before": numbers[-3]}
    used = {name: value for name, value in values.items() if f":{name}" in tampering}
    assert run(world, tampering, **used) == 1
    with reopened(world) as again, pytest.raises(StoreCorrupt):
        again.see(HAL)


# Publications, runs, leases, the manifest.


def test_a_publication_is_there_whole_or_not_at_all(world: World) -> None:
    published = world.ground.moment().publication
    newer = {name: version + 1 for name, version in published.versions.items()}
    ((made_by,),) = rows(world, "SELECT run_id FROM publications")

    def half() -> None:
        with world.ground.catalog.write() as connection:
            publications.publish(world.ground.catalog, connection, made_by, 1, newer)
            assert publications.newest(connection).versions == newer
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert world.ground.moment().publication == published
    with world.ground.catalog.write() as connection:
        made = publications.publish(world.ground.catalog, connection, made_by, 1, newer)
    assert world.ground.moment().publication == made


def test_a_run_begins_and_ends_and_says_nothing_in_clear(world: World) -> None:
    with WriterLease(world.ground.catalog) as lease:
        runs.start(world.ground, lease, subject(ADMIN), "a" * 32, "ingest", {"source": "planted-name"})
    assert rows(world, "SELECT state, ended_at FROM runs WHERE job = 'ingest'") == [("START", None)]
    runs.end(world.ground, "a" * 32, "ingest", "COMPLETE")
    ((state, ended, detail),) = rows(world, "SELECT state, ended_at, detail FROM runs WHERE job = 'ingest'")
    assert state == "COMPLETE"
    assert ended >= "2026"
    assert b"planted-name" not in bytes(detail)


def test_one_writer_at_a_time_and_its_number_rises(world: World, other: World) -> None:
    with world.ingestion() as first:
        with pytest.raises(StoreBusy, match="another ingest"):
            other.put(draft("b.txt", "late"))
        first.put(draft("a.txt", "first"))
    other.put(draft("b.txt", "in time"))
    assert rows(world, "SELECT lease FROM publications ORDER BY sequence") == [(0,), (1,), (2,)]
    assert rows(world, "SELECT number, expires_at FROM leases") == [(2, "")]


def test_a_woken_writer_whose_lease_was_taken_publishes_nothing(world: World, other: World) -> None:
    old = world.ingestion().__enter__()
    old.put(draft("old.txt", "from before the pause"))
    run(world, "UPDATE leases SET host = 'elsewhere'")
    world.clock.advance(leases.LEASE_S + 1)
    other.put(draft("new.txt", "from after it"))
    old.put(draft("more.txt", "still asleep"))
    with pytest.raises(WriterExpelled):
        old.__exit__(None, None, None)
    assert world.see(HAL).paths == ("new.txt",)


def test_a_source_that_two_runs_begin_at_once_is_made_once(world: World, other: World) -> None:
    def make(where: World) -> str:
        return manifest.source_id(where.ground, subject(ADMIN), FOLDER, make=True)

    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(make, [world, other] * 6))
    assert len(made) == 1
    assert manifest.source_id(world.ground, subject(ADMIN), FOLDER, make=False) in made
    unknown = SourceIdentity("file:///nowhere", "folder")
    assert manifest.source_id(world.ground, subject(ADMIN), unknown, make=False) == ""


def test_the_manifest_says_what_a_source_holds_and_changes_with_its_publication(world: World) -> None:
    ids = world.put(draft("a.txt", "one"), draft("b.txt", "two"))
    source = manifest.source_id(world.ground, subject(ADMIN), FOLDER, make=False)
    held = manifest.held(world.ground, source)
    assert {each.document_id for each in held.values()} == set(ids)
    table = world.ground.moment().table
    assert sorted(manifest.open_paths(world.ground, table, source, held.values())) == ["a.txt", "b.txt"]
    with world.ingestion() as ingestion:
        ingestion.put(draft("a.txt", "changed"))
        ingestion.remove("b.txt")
        assert manifest.held(world.ground, source) == held
    (now,) = manifest.held(world.ground, source).values()
    assert now.path_digest in held
    assert now.content_digest != held[now.path_digest].content_digest


def put_with(world: World, model: VectorModel) -> None:
    with world.ingestion(model=model) as ingestion:
        ingestion.put(draft("b.txt", "two"))


def test_vectors_of_two_models_never_mix(world: World, other: World) -> None:
    world.put(draft("a.txt", "one"))
    with pytest.raises(StoreError, match="expected the store's own"):
        put_with(other, VectorModel("another", "1" * 64, 8))
    assert world.see(HAL).paths == ("a.txt",)


# What lies in it.


def test_nothing_of_a_store_stands_in_it_in_clear(world: World) -> None:
    world.put(draft("secret-path/plan.txt", "planted words", "acme/label:payroll", title="planted-title"))
    world.add(*MEMBER)
    found = []
    with database_of(world).read() as connection:
        for table in tables(world):
            for values in connection.exec_driver_sql(f"SELECT * FROM {table}"):
                found += [value if isinstance(value, bytes) else str(value).encode() for value in values]
    assert len(found) > 100
    words = (b"acme", b"payroll", b"hal", b"dora", b"secret-path", b"planted", b"srv", b"row_added ")
    seen = {(word, value) for value in found for word in words if word in value}
    # The digests and sealed values are random: three bytes may meet by chance, a whole name may not.
    assert {word for word, value in seen if value.isascii()} == set()
    assert {word for word, _ in seen if len(word) > 3} == set()


# Many at once.


def test_two_processes_lose_no_update_and_readers_see_every_number_once_in_order(world: World) -> None:
    run(world, "INSERT INTO meta VALUES ('count', '0')")
    before = sequences(world)[-1]
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        newest = before
        while True:
            last = done.is_set()
            # A number that shows after a higher one was seen would be missed for ever.
            found = rows(
                world,
                "SELECT sequence FROM entries WHERE sequence > :newest ORDER BY sequence",
                newest=newest,
            )
            seen.extend(number for (number,) in found)
            newest = seen[-1] if seen else newest
            if last:
                return

    with ExitStack() as stack:
        writers = [stack.enter_context(process("number", world.folder, "60")) for _ in range(2)]
        for writer in writers:
            writer.hear()
        watcher = threading.Thread(target=watch)
        watcher.start()
        for writer in writers:
            writer.tell()
        taken = [number for writer in writers for number in writer.hear()["taken"]]
        done.set()
        watcher.join()
    assert len(set(taken)) == 120
    assert seen == sorted(taken)
    assert rows(world, "SELECT value FROM meta WHERE name = 'count'") == [("120",)]


def test_two_processes_change_the_policy_and_no_change_is_lost(world: World) -> None:
    with ExitStack() as stack:
        changers = [stack.enter_context(process("join", world.folder, prefix, "8")) for prefix in "ab"]
        for changer in changers:
            changer.hear()
        for changer in changers:
            changer.tell()
        for changer in changers:
            changer.hear()
    standing = world.ground.moment().snapshot.rows
    for prefix in "ab":
        for number in range(8):
            assert row("g", f"acme/user:{prefix}{number}", "acme/group:joined") in standing
    with reopened(world) as again:
        assert again.ground.history()[-1].sequence == sequences(again)[-1]


def test_a_right_taken_away_by_another_process_is_gone_with_the_next_question(world: World) -> None:
    world.put(draft("pay.txt", "salaries", "acme/label:payroll"))
    with process("look", world.folder, HAL) as reader:
        assert reader.hear()["paths"] == ["pay.txt"]
        for _ in range(3):
            world.remove("g", HAL, "acme/group:hr")
            reader.tell()
            assert reader.hear()["paths"] == []
            world.add("g", HAL, "acme/group:hr")
            reader.tell()
            assert reader.hear()["paths"] == ["pay.txt"]


# A whole round through the door.


def test_a_store_lives_a_whole_life(world: World) -> None:
    pay, _ = world.put(
        draft("pay.txt", "dora earns ninety\nhal earns eighty", "acme/label:payroll"),
        draft("public.txt", "the canteen opens at nine", "acme/label:staff"),
    )
    assert world.see(HAL).paths == ("pay.txt", "public.txt")
    assert world.see(BOB).paths == ("public.txt",)
    with pytest.raises(NotReadable):
        world.door.why(subject(BOB), pay)

    assert world.add(*MEMBER)
    assert world.see(BOB).paths == ("pay.txt", "public.txt")
    assert world.door.why(subject(BOB), pay)["decision"]
    assert world.remove(*MEMBER)
    assert world.see(BOB).paths == ("public.txt",)

    with world.ingestion() as ingestion:
        assert ingestion.put(draft("public.txt", "the canteen opens at ten", "acme/label:staff"))
        assert ingestion.remove("pay.txt")
    with reopened(world) as again:
        assert again.see(HAL).texts == ("the canteen opens at ten",)
        assert again.see(BOB).texts == again.see(HAL).texts
        assert [entry.change.kind for entry in again.ground.history()][-2:] == ["row_added", "row_removed"]
        assert {record["store"] for record in again.records()} == {again.ground.store_id}
