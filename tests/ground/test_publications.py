"""A reader sees all of a publication or nothing of it, and what was not published does not exist."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ringfence_governance import publications
from ringfence_governance.errors import RingfenceError, StoreBusy, StoreCorrupt, StoreError, WriteRefused
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.table_schemas import TableChange, Versions

from .worlds import World, database, draft, label, subject

HAL = "acme/user:hal"


def batch(round_: int, size: int = 5) -> list[str]:
    return [f"round {round_} document {n}" for n in range(size)]


def test_what_is_written_and_not_published_is_not_there(world: World) -> None:
    with world.ingestion() as ingestion:
        ingestion.put(draft("a.txt", "one"))
        before = world.see(HAL)
        assert before.documents == ()
        assert before.as_of == world.see("acme/user:nobody").as_of
        ingestion.publish()
        assert world.see(HAL).texts == ("one",)
        ingestion.put(draft("b.txt", "two"))
        assert world.see(HAL).texts == ("one",)
    assert world.see(HAL).texts == ("one", "two")


def test_nothing_to_publish_is_no_publication(world: World) -> None:
    before = world.ground.moment().publication
    with world.ingestion() as ingestion:
        ingestion.publish()
    assert world.ground.moment().publication == before


def test_a_reader_beside_a_writer_sees_whole_publications_only(world: World) -> None:
    """Each publication replaces every document; no answer mixes two of them, and no reader gets an error."""
    mixed: list[object] = []
    rounds: set[str] = set()
    done = threading.Event()

    def look(where: World) -> None:
        while not done.is_set():
            try:
                seen = where.see(HAL)
            except RingfenceError as error:
                mixed.append(error)
                return
            found = {text.rsplit(" document", 1)[0] for text in seen.texts}
            rounds.update(found)
            whole = not seen.texts or (len(seen.texts) == 5 and len(found) == 1)
            if not whole or len(seen.chunks) != len(seen.texts) or seen.counts["chunks"] != len(seen.texts):
                mixed.append(seen)

    readers = [threading.Thread(target=look, args=(where,)) for where in (world.second(), world.second())]
    for reader in readers:
        reader.start()
    try:
        for number in range(8):
            # Every second round relabels too, so that keys of the round before are forgotten.
            choice = "acme/label:payroll" if number % 2 else label("acme/user:dora", "acme/group:hr")
            with world.ingestion("acme/user:dex") as ingestion:
                for n, text in enumerate(batch(number)):
                    ingestion.put(draft(f"{n}.txt", text, choice))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert mixed == []
    assert len(rounds) > 1, "the readers never met a writer"


def fail_at(world: World, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("no space left on the disk")

    ground = world.ground
    owner, name = {
        "keys": (type(ground.keys), "keep"),
        "tables": (type(ground.tables), "write"),
        "record": (type(ground), "record"),
        "publication": (publications, "publish"),
        "manifest": ("ringfence_governance.manifest", "store"),
        "model": ("ringfence_governance.manifest", "check_model"),
    }[step]
    if isinstance(owner, str):
        monkeypatch.setattr(f"{owner}.{name}", fail)
    else:
        monkeypatch.setattr(owner, name, fail)


@pytest.mark.parametrize("step", ["keys", "tables", "record", "publication", "manifest", "model"])
def test_a_failure_at_any_step_publishes_nothing_of_the_batch(
    filled: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = {who: filled.see(f"acme/user:{who}") for who in ("hal", "bob", "ann")}
    ingestion = filled.ingestion().__enter__()
    ingestion.put(draft("pay/salaries.txt", "dora earns a hundred", "acme/label:payroll"))
    ingestion.put(draft("new.txt", "new", "acme/label:payroll"))
    assert ingestion.relabel("project.txt", "acme/label:project")
    assert ingestion.remove("public.txt")
    with monkeypatch.context() as patch:
        fail_at(filled, step, patch)
        with pytest.raises(StoreError, match="no space left"):
            ingestion.publish()
    assert {who: filled.see(f"acme/user:{who}") for who in before} == before
    ingestion.__exit__(StoreError, StoreError(""), None)
    again = filled.reopened()
    assert {who: again.see(f"acme/user:{who}") for who in before} == before
    again.put(draft("later.txt", "later", "acme/label:payroll"))
    assert again.see(HAL).paths == ("later.txt", "pay/salaries.txt", "public.txt")
    assert again.see(HAL).ids["pay/salaries.txt"] == before["hal"].ids["pay/salaries.txt"]


def test_a_batch_that_failed_is_published_when_tried_again(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.ingestion() as ingestion:
        ingestion.put(draft("pay/salaries.txt", "dora earns a hundred", "acme/label:payroll"))
        with monkeypatch.context() as patch:
            fail_at(filled, "manifest", patch)
            with pytest.raises(StoreError):
                ingestion.publish()
    assert filled.see(HAL).texts[0] == "dora earns a hundred"


def test_an_error_in_the_block_publishes_nothing_since_the_last_publication(world: World) -> None:
    ingestion = world.ingestion().__enter__()
    ingestion.put(draft("a.txt", "one"))
    ingestion.publish()
    ingestion.put(draft("b.txt", "two"))
    ingestion.__exit__(ValueError, ValueError(), None)
    assert world.see(HAL).paths == ("a.txt",)


def test_another_publication_in_between_refuses_this_one(world: World) -> None:
    class Slow(LanceTables):
        def write(self, published: Versions, changes: dict[str, TableChange]) -> Versions:  # type: ignore[override]
            versions = super().write(published, changes)
            with world.ground.catalog.write() as connection:
                newest = publications.newest(connection)
                (run,) = connection.exec_driver_sql("SELECT run_id FROM publications LIMIT 1").one()
                publications.publish(world.ground.catalog, connection, run, 0, newest.versions)
            return versions

    ingestion = world.ingestion().__enter__()
    ingestion.put(draft("a.txt", "one"))
    world.ground.tables = Slow(world.path / "lance", world.ground.tables.mode, world.path / "temporary")
    with pytest.raises(WriteRefused, match="another publication came in between"):
        ingestion.__exit__(None, None, None)
    assert world.see(HAL).documents == ()


def test_a_publication_that_does_not_name_all_tables_is_refused(world: World) -> None:
    with database(world.path / "catalog.db") as opened:
        opened.execute("""UPDATE publications SET versions = '{"documents": 1}'""")
    with pytest.raises(StoreCorrupt, match="does not name all tables"):
        world.see(HAL)


def during_the_first(world: World, act: Callable[[], object], who: str = HAL) -> tuple[int, list[str]]:
    """Read once; while the first attempt works, let something happen. Return attempts and paths."""
    attempts: list[int] = []

    def work(reader: GrantedReader) -> Answer[list[str]]:
        attempts.append(1)
        if len(attempts) == 1:
            act()
        rows = reader.documents()
        paths = sorted(str(row.metadata["path"]) for row in rows)
        return Answer([(row.document_id, row.atom) for row in rows], lambda as_of: paths)

    paths = world.door.read(subject(who), "list", work)
    return len(attempts), paths


def test_a_read_that_meets_a_publication_starts_again(filled: World) -> None:
    writer = filled.second()
    found = during_the_first(filled, lambda: writer.put(draft("new.txt", "new", "acme/label:payroll")))
    assert found == (2, ["new.txt", "pay/salaries.txt", "public.txt"])


def test_a_read_that_meets_a_removal_of_its_rows_and_keys_starts_again(filled: World) -> None:
    """The keys of what is removed are gone at once: the older publication's rows do not open any more."""
    writer = filled.second()

    def remove() -> None:
        with writer.ingestion() as ingestion:
            assert ingestion.remove("pay/salaries.txt")

    found = during_the_first(filled, remove)
    assert found == (2, ["public.txt"])


def test_a_read_that_meets_a_change_of_policy_starts_again(filled: World) -> None:
    admin = filled.second()
    found = during_the_first(filled, lambda: admin.remove("g", HAL, "acme/group:hr"))
    assert found == (2, [])


def test_a_read_beside_an_ingest_of_many_new_labels_is_answered_at_once(filled: World) -> None:
    """Interning a label takes a number; an answer that cannot depend on it does not start again."""
    with filled.second().ingestion() as ingestion:

        def intern() -> None:
            ingestion.put(draft("mail.eml", "to ann alone", label("acme/user:zoe", "acme/user:ann")))

        found = during_the_first(filled, intern)
    assert found == (1, ["pay/salaries.txt", "public.txt"])


def test_a_store_that_changes_at_every_attempt_is_busy_and_the_record_says_so(filled: World) -> None:
    admin = filled.second()
    member = ("g", "acme/user:x", "acme/group:hr")
    toggled: list[bool] = []

    def work(reader: GrantedReader) -> Answer[None]:
        toggled.append(admin.remove(*member) if len(toggled) % 2 else admin.add(*member))
        return Answer([], lambda as_of: None)

    with pytest.raises(StoreBusy, match="changed during all 20 attempts"):
        filled.door.read(subject(HAL), "list", work)
    assert len(toggled) == 20
    own = [record for record in filled.records() if record["verb"] == "list"]
    assert [(record["outcome"], record["detail"]) for record in own] == [("error", {"error": "StoreBusy"})]
