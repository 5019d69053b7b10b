"""Compaction changes nobody's answer, orders rows by label, and keeps few versions."""

from __future__ import annotations

import threading
from typing import Any
from unittest import mock

import lance
import pytest

from ringfence_governance import errors as ringfence_errors
from ringfence_governance import publications, retention
from ringfence_governance.errors import Refused, StoreBusy
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.retention import PUBLICATIONS_BETWEEN, RETAINED_PUBLICATIONS
from ringfence_governance.table_schemas import TABLES

from .worlds import ADMIN, World, draft, label, subject

PEOPLE = ("acme/user:bob", "acme/user:hal", "acme/user:lee", "acme/user:ann", "borealis/user:bo")


def everything(world: World) -> list[Any]:
    return [world.see(who) for who in PEOPLE]


def versions(world: World, name: str) -> list[int]:
    return [each["version"] for each in lance.dataset(str(world.path / "lance" / f"{name}.lance")).versions()]


def atoms(world: World, name: str) -> list[int]:
    version = world.ground.moment().publication.versions[name]
    found = lance.dataset(str(world.path / "lance" / f"{name}.lance"), version=version)
    return list(found.to_table(columns=["atom"])["atom"].to_pylist())


def compact(world: World, who: str = ADMIN, **settings: Any) -> dict[str, Any]:
    return world.door.compact(subject(who), **settings)


@pytest.fixture
def worn(filled: World) -> World:
    """A store with rows in many small files, deleted ones, and atoms in no order."""
    for n in range(4):
        filled.put(
            draft(f"{n}", f"text {n}\nand {n}", "acme/label:staff" if n % 2 else label("acme/user:bob")),
            who="acme/user:dex",
        )
    with filled.ingestion("acme/user:dex") as ingestion:
        assert ingestion.relabel("1", "acme/label:project")
        assert ingestion.remove("2")
    return filled


def test_answers_are_the_same_bit_for_bit_and_rows_of_one_label_lie_together(worn: World) -> None:
    before = everything(worn)
    assert atoms(worn, "chunks") != sorted(atoms(worn, "chunks"))
    compact(worn)
    assert everything(worn) == before
    for name in TABLES:
        assert atoms(worn, name) == sorted(atoms(worn, name))
        dataset = lance.dataset(str(worn.path / "lance" / f"{name}.lance"))
        assert len(dataset.get_fragments()) == 1
        assert dataset.schema.equals(worn.ground.tables.schemas[name])
    again = worn.reopened()
    assert everything(again) == before
    again.put(draft("next", "of the next writer", "acme/label:staff"))
    assert "next" in again.see("acme/user:bob").paths


def test_its_progress_is_told_to_who_may_know_of_every_tenant(alone: World) -> None:
    """Nobody else: tests/ground/test_lineage_attacks.py."""
    for name in ("b", "c"):
        alone.put(draft(name, f"text {name}", "acme/label:staff"))
    done: list[tuple[str, int, int]] = []
    rewritten = compact(alone, on_progress=lambda *at: done.append(at))["rewritten"]
    assert rewritten
    assert {name for name, _, _ in done} == set(rewritten)
    assert all(written == of for _, written, of in done)


def test_a_second_one_rewrites_nothing(worn: World) -> None:
    compact(worn)
    sequence = worn.ground.moment().publication.sequence
    compact(worn)
    assert worn.ground.moment().publication.sequence == sequence


def test_few_versions_are_kept_and_every_kept_publication_opens(filled: World) -> None:
    for n in range(2 * RETAINED_PUBLICATIONS):
        filled.put(draft(f"{n}", f"text {n}"))
    compact(filled)
    with filled.ground.catalog.read() as connection:
        kept = publications.newest_few(connection, RETAINED_PUBLICATIONS, after=0)
    assert len(kept) == RETAINED_PUBLICATIONS
    for name in TABLES:
        wanted = {each.versions[name] for each in kept}
        assert set(versions(filled, name)) == wanted
        for version in wanted:
            assert (
                lance.dataset(str(filled.path / "lance" / f"{name}.lance"), version=version).to_table()
                is not None
            )


def test_writers_keep_versions_few_by_themselves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PUBLICATIONS_BETWEEN", 6)
    monkeypatch.setattr(retention, "RETAINED_PUBLICATIONS", 2)
    assert PUBLICATIONS_BETWEEN > RETAINED_PUBLICATIONS
    for n in range(5):
        world.put(draft(f"{n}", f"text {n}"))
    assert len(versions(world, "documents")) <= 3
    assert len(world.see("acme/user:hal").texts) == 5


def test_what_a_dead_writer_left_is_swept(worn: World) -> None:
    newest = lance.dataset(str(worn.path / "lance" / "documents.lance"))
    newest.insert(newest.to_table())
    orphan = worn.path / "lance" / "documents.lance" / "data" / "left.lance"
    orphan.write_bytes(b"half a file")
    before = everything(worn)
    compact(worn)
    assert not orphan.exists()
    assert everything(worn) == before
    with worn.ground.catalog.read() as connection:
        kept = publications.newest_few(connection, RETAINED_PUBLICATIONS, after=0)
    assert set(versions(worn, "documents")) <= {each.versions["documents"] for each in kept}


def test_a_dead_writers_version_on_a_table_in_order_is_swept_too(worn: World) -> None:
    compact(worn)
    newest = lance.dataset(str(worn.path / "lance" / "documents.lance"))
    newest.insert(newest.to_table())
    left = newest.version
    before = everything(worn)
    compact(worn)
    assert left not in versions(worn, "documents")
    assert everything(worn) == before


def test_a_reader_whose_version_is_removed_starts_again(worn: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "RETAINED_PUBLICATIONS", 1)
    second, real, done = worn.second(), LanceTables.scan, []

    def slow(*arguments: Any, **settings: Any) -> Any:
        if not done:
            done.append(1)
            compact(worn)
        return real(*arguments, **settings)

    expected = worn.see("acme/user:bob")
    with mock.patch.object(LanceTables, "scan", slow):
        seen = second.see("acme/user:bob")
    assert done
    assert seen == expected


def test_readers_beside_it_see_no_error(worn: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "RETAINED_PUBLICATIONS", 1)
    expected, failures, stop = worn.see("acme/user:bob"), [], threading.Event()

    def ask() -> None:
        world = worn.second()
        while not stop.is_set():
            try:
                assert world.see("acme/user:bob") == expected
            except (ringfence_errors.RingfenceError, AssertionError) as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(3):
        worn.put(draft(f"ann {n}", f"hidden {n}", label("acme/user:ann")))
        compact(worn)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_it_waits_for_a_living_writer_and_only_an_administrator_may(worn: World) -> None:
    ingestion = worn.second().ingestion()
    ingestion.__enter__()
    with pytest.raises(StoreBusy):
        compact(worn)
    ingestion.__exit__(None, None, None)
    with pytest.raises(Refused):
        compact(worn, "acme/user:bob")
    assert compact(worn)["bytes_removed"] is None, "borealis is none of the administrator's business"
