"""What is erased is gone from every row, version, key and file, and nothing brings it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import lance
import pytest

from ringfence_governance import erasure_ledger, erasure_proof, rows
from ringfence_governance.errors import (
    ErasedRow,
    InvalidInput,
    NotReadable,
    Refused,
    StoreCorrupt,
    WriteRefused,
    WriterExpelled,
)
from ringfence_governance.key_store import KeyStore
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.table_schemas import TABLES

from .worlds import ADMIN, WHY, World, database, draft, label, open_world, process, subject

DEX, BO = "acme/user:dex", "borealis/user:bo"
"""Dex may delete under any label of his tenant."""


def erase(world: World, *documents: str, who: str = DEX, canaries: tuple[bytes, ...] = ()) -> dict[str, Any]:
    """Erase, and return the one certificate."""
    (certificate,) = world.door.erase(subject(who), documents, WHY, canaries=canaries)
    return certificate


def document(world: World, path: str, who: str) -> str:
    return world.see(who).ids[path]


def sealed_cells(world: World, document_id: str) -> set[bytes]:
    """Every sealed value of a document, in every version of every table."""
    found: set[bytes] = set()
    for name, column in (("documents", "id"), ("chunks", "document_id")):
        path = str(world.path / "lance" / f"{name}.lance")
        for version in lance.dataset(path).versions():
            for row in lance.dataset(path, version=version["version"]).to_table().to_pylist():
                if row[column] == document_id:
                    found |= {value for value in row.values() if isinstance(value, bytes)}
    return found


def wraps(world: World, document_id: str) -> set[bytes]:
    with database(world.keys / "keys.db") as opened:
        found = opened.execute("SELECT wrapped FROM document_keys WHERE document_id = ?", [document_id])
        return {bytes(row[0]) for row in found}


def files_with(pattern: bytes, *folders: Path) -> set[str]:
    return {
        str(file.relative_to(folder))
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and pattern in file.read_bytes()
    }


def ids_remain_only_where_they_may(world: World, document_id: str) -> None:
    found = files_with(document_id.encode(), world.path, world.keys)
    assert {name.partition("/")[0] for name in found} <= {
        "catalog.db",
        "catalog.db-wal",
        "audit",
        "lineage",
        "certificates",
        "erasures.log",
    }, found


def replaced_twice(world: World) -> str:
    """A document with two contents and two labels behind it: all of them lie in older versions."""
    (document_id,) = world.put(draft("a.txt", "the first secret\nof two lines", "acme/label:staff"), who=DEX)
    world.put(draft("a.txt", "the second secret", "acme/label:staff"), who=DEX)
    with world.ingestion(DEX) as ingestion:
        assert ingestion.relabel("a.txt", "acme/label:project")
    world.put(draft("b.txt", "stays", "acme/label:project"), who=DEX)
    return document_id


def test_nothing_of_it_is_in_any_file_or_version(world: World) -> None:
    document_id = replaced_twice(world)
    cells, keys = sealed_cells(world, document_id), wraps(world, document_id)
    assert len(cells) >= 10
    assert keys
    assert all(files_with(cell, world.path) for cell in cells)
    assert files_with(next(iter(keys)), world.keys)
    certificate = erase(world, document_id)
    assert certificate["clean"]
    assert not [cell for cell in cells if files_with(cell, world.path)]
    assert not [key for key in keys if files_with(key, world.keys)]
    assert not wraps(world, document_id)
    ids_remain_only_where_they_may(world, document_id)
    assert world.see("acme/user:bob").texts == ("stays",)
    for name in TABLES:
        assert len(lance.dataset(str(world.path / "lance" / f"{name}.lance")).versions()) == 1


def test_what_was_made_from_it_goes_too_through_any_number_of_steps_and_passages(world: World) -> None:
    source, other = world.put(
        draft("a", "a source", "acme/label:staff"), draft("o", "other", "acme/label:staff")
    )
    world.add("p", "acme/user:pam", "acme", "acme/label:staff", "ingest", "any", "*", "-", "-", "allow")
    passage = chunks_of(world, source)[0]
    (first,) = world.put(draft("b", "made of it", "acme/label:staff", parents=[passage]), who="acme/user:pam")
    (second,) = world.put(draft("c", "made of that and another", "acme/label:staff", parents=[first, other]))
    certificate = erase(world, source)
    assert certificate["documents"] == [source]
    assert world.see("acme/user:hal").documents == (other,)
    assert not any(wraps(world, each) for each in (source, first, second))
    assert wraps(world, other)
    assert world.ground.moment().erased == {source, first, second}


def chunks_of(world: World, document_id: str) -> list[str]:
    version = world.ground.moment().publication.versions["chunks"]
    return world.ground.tables.ids_by("chunks", version, "document_id", [document_id])[document_id]


def test_it_is_gone_in_a_process_that_holds_the_store_open(filled: World) -> None:
    with process("look", filled.folder, "acme/user:bob") as other:
        assert "project.txt" in other.hear()["paths"]
        erase(filled, document(filled, "project.txt", "acme/user:bob"))
        other.tell()
        assert "project.txt" not in other.hear()["paths"]


def test_a_read_that_began_before_starts_again(filled: World) -> None:
    """Its publication's files are gone under it: it must answer as the store stands now."""
    gone = document(filled, "project.txt", "acme/user:bob")
    second, real, erased = filled.second(), rows.chunk_block, []

    def slow(*arguments: Any, **settings: Any) -> Any:
        if not erased:
            erased.append(erase(filled, gone))
        return real(*arguments, **settings)

    with mock.patch.object(rows, "chunk_block", slow):
        seen = second.see("acme/user:bob")
    assert erased
    assert "project.txt" not in seen.paths
    assert "the offer to meridian" not in seen.texts


def test_an_ingest_that_runs_is_expelled_and_publishes_nothing(filled: World) -> None:
    gone = document(filled, "project.txt", "acme/user:bob")
    ingestion = filled.second().ingestion()
    ingestion.__enter__()
    ingestion.put(draft("project.txt", "written by one who slept", "acme/label:project"))
    ingestion.put(draft("new.txt", "never published", "acme/label:project"))
    erase(filled, gone)
    with pytest.raises(WriterExpelled):
        ingestion.publish()
    assert not wraps(filled, gone)
    with pytest.raises(WriterExpelled):
        ingestion.__exit__(None, None, None)
    assert filled.see("acme/user:bob").paths == ("public.txt",)
    ids_remain_only_where_they_may(filled, gone)


def test_a_writer_that_slept_through_it_brings_no_key_back(filled: World) -> None:
    """Asleep between judging its batch and keeping the keys: the keys must not come back."""
    (gone,) = filled.put(draft("moved.txt", "of dex", "acme/label:project"), who=DEX)
    ingestion = filled.second().ingestion(DEX)
    ingestion.__enter__()
    assert ingestion.relabel("moved.txt", "acme/label:payroll")
    real = ingestion._newest

    def sleeps(_: object) -> Any:
        found = real()
        assert erase(filled, gone)["clean"]
        return found

    with mock.patch.object(type(ingestion), "_newest", sleeps), pytest.raises(WriterExpelled):
        ingestion.publish()
    assert not wraps(filled, gone)


def test_the_same_file_is_a_new_document(filled: World) -> None:
    gone = document(filled, "project.txt", "acme/user:bob")
    erase(filled, gone)
    (again,) = filled.put(draft("project.txt", "the offer to meridian", "acme/label:project"))
    assert again != gone
    assert filled.see("acme/user:bob").ids["project.txt"] == again


def test_an_erased_id_is_never_given_again(filled: World) -> None:
    gone = document(filled, "project.txt", "acme/user:bob")
    erase(filled, gone)
    with mock.patch.object(type(filled.ambient), "new_id", _first_gives(filled, gone)):
        (again,) = filled.put(draft("x.txt", "another", "acme/label:project"))
    assert again != gone
    ingestion = filled.ingestion().__enter__()
    ingestion.put(draft("y.txt", "and another", "acme/label:project"))
    ingestion._written.append(gone)
    with pytest.raises(WriteRefused):
        ingestion.publish()


def _first_gives(world: World, taken: str) -> Callable[..., str]:
    real, given = type(world.ambient).new_id, []

    def new_id(self: Any, purpose: str, name: str = "") -> str:
        if purpose == "document" and not given:
            given.append(taken)
            return taken
        return real(self, purpose, name)

    return new_id


# Who may.


def test_who_may_not_delete_is_refused_and_expels_nobody(filled: World) -> None:
    project = document(filled, "project.txt", "acme/user:bob")
    held = filled.second().ingestion()
    held.__enter__()
    held.put(draft("new.txt", "of a living writer", "acme/label:project"))
    with pytest.raises(Refused, match="may not delete"):
        erase(filled, project, who="acme/user:bob")
    with pytest.raises(NotReadable) as hidden:
        erase(filled, project, who="acme/user:hal")
    with pytest.raises(NotReadable) as unknown:
        erase(filled, "0" * 32, who="acme/user:hal")
    assert str(hidden.value) == str(unknown.value)
    with pytest.raises(NotReadable):
        erase(filled, project, who=BO)
    held.__exit__(None, None, None)
    assert filled.see("acme/user:bob").paths == ("new.txt", "project.txt", "public.txt")
    refused = [each for each in filled.records() if each["verb"] == "erase"]
    assert [each["outcome"] for each in refused] == ["refused"] * 4


def test_one_that_may_not_be_erased_keeps_all_that_were_asked_for(filled: World) -> None:
    ann = document(filled, "ann.txt", "acme/user:ann")
    plans = document(filled, "plans.txt", BO)
    with pytest.raises(NotReadable):
        filled.door.erase(subject(DEX), [ann, plans], WHY)
    assert filled.see("acme/user:ann").paths == ("ann.txt",)


def test_who_ingested_it_may_erase_it_unless_a_rule_denies_it(filled: World) -> None:
    plans = document(filled, "plans.txt", BO)
    filled.add("p", BO, "borealis", "*", "delete", "any", "*", "-", "-", "deny", who="borealis/user:bea")
    with pytest.raises(Refused):
        erase(filled, plans, who=BO)
    filled.remove("p", BO, "borealis", "*", "delete", "any", "*", "-", "-", "deny", who="borealis/user:bea")
    assert erase(filled, plans, who=BO)["clean"]


def test_a_right_that_goes_meanwhile_erases_nothing(filled: World) -> None:
    project = document(filled, "project.txt", "acme/user:bob")
    real = LanceTables.write

    def revoked_meanwhile(tables: LanceTables, *arguments: Any) -> Any:
        filled.remove("p", DEX, "acme", "*", "delete", "any", "*", "-", "-", "allow")
        return real(tables, *arguments)

    with (
        mock.patch.object(LanceTables, "write", revoked_meanwhile),
        pytest.raises(Refused, match="policy changed"),
    ):
        erase(filled, project)
    assert "project.txt" in filled.see("acme/user:bob").paths
    assert "project.txt" in filled.reopened().see("acme/user:bob").paths


def test_a_certificate_tells_of_the_rest_of_the_store_only_who_may_know_it(filled: World) -> None:
    own = document(filled, "public.txt", "acme/user:bob")
    filled.put(draft("hidden", "made of it", "acme/label:payroll", parents=[own]))
    certificate = erase(filled, own)
    assert set(certificate) & {"looked_at", "sequence", "files", "bytes"} == set()
    assert certificate["documents"] == [own]
    with pytest.raises(Refused, match="canaries"):
        erase(filled, document(filled, "ann.txt", "acme/user:ann"), canaries=(b"borealis/user:bo",))


def test_malformed_requests_change_nothing(filled: World) -> None:
    for ids in ([], ["x"], "0" * 32, ["0" * 31 + "G"], [f"{n:032x}" for n in range(1001)]):
        with pytest.raises(InvalidInput):
            filled.door.erase(subject(DEX), ids, WHY)
    with pytest.raises(InvalidInput, match="6 to"):
        erase(filled, "0" * 32, canaries=(b"short",))


# Crash, and older copies.


@contextmanager
def dies(owner: Any, name: str, *, after: bool = False) -> Iterator[None]:
    """Let a call fail as if the process ended there."""
    real = getattr(owner, name)

    def dying(*arguments: Any, **settings: Any) -> Any:
        if after:
            real(*arguments, **settings)
        raise KeyboardInterrupt

    with mock.patch.object(owner, name, dying), pytest.raises(KeyboardInterrupt):
        yield


BEFORE = [(LanceTables, "write", True), (erasure_ledger, "add", False)]
AFTER = [
    (erasure_ledger.LedgerCopy, "append", True),
    (KeyStore, "forget", False),
    (KeyStore, "checkpoint", False),
    (LanceTables, "clean", False),
    (LanceTables, "clean", True),
    (erasure_proof, "certificate", False),
    (erasure_ledger, "certify", False),
]


@pytest.mark.parametrize(("owner", "name", "after"), BEFORE)
def test_cut_off_before_it_was_decided_it_never_was(
    owner: Any, name: str, after: bool, filled: World
) -> None:
    project = document(filled, "project.txt", "acme/user:bob")
    with dies(owner, name, after=after):
        erase(filled, project)
    again = filled.reopened()
    assert "the offer to meridian" in again.see("acme/user:bob").texts
    again.put(draft("next", "of the next writer", "acme/label:project"))
    assert again.see("acme/user:bob").paths == ("next", "project.txt", "public.txt")
    assert erase(again, project)["clean"]


@pytest.mark.parametrize(("owner", "name", "after"), AFTER)
def test_cut_off_after_it_was_decided_it_is_gone_and_finished_by_the_next(
    owner: Any, name: str, after: bool, filled: World
) -> None:
    project = document(filled, "project.txt", "acme/user:bob")
    cells, keys = sealed_cells(filled, project), wraps(filled, project)
    with dies(owner, name, after=after):
        erase(filled, project)
    again = filled.reopened()
    assert again.see("acme/user:bob").paths == ("public.txt",)
    again.put(draft("next", "of the next writer", "acme/label:project"))
    assert again.see("acme/user:bob").paths == ("next", "public.txt")
    certificate = erase(again, project)
    assert certificate["clean"]
    assert not [cell for cell in cells if files_with(cell, again.path)]
    assert not [key for key in keys if files_with(key, again.keys)]
    ids_remain_only_where_they_may(again, project)
    # Asked once more, it gives the same proof.
    assert erase(again, project) == certificate


def restored(world: World, copy: Path) -> World:
    """Put an older copy of the store's folder back, as from a backup."""
    world.door.close()
    shutil.rmtree(world.path)
    shutil.copytree(copy, world.path)
    return open_world(world.folder, world.clock)


def test_an_older_copy_of_the_store_is_erased_again_before_it_serves(filled: World, tmp_path: Path) -> None:
    project = document(filled, "project.txt", "acme/user:bob")
    cells = sealed_cells(filled, project)
    filled.door.close()
    copy = Path(shutil.copytree(filled.path, tmp_path / "copy"))
    filled = open_world(filled.folder, filled.clock)
    erase(filled, project)
    back = restored(filled, copy)
    assert back.see("acme/user:bob").paths == ("public.txt",)
    assert not [cell for cell in cells if files_with(cell, back.path)]
    ids_remain_only_where_they_may(back, project)
    (record,) = [each for each in back.records() if each["verb"] == "erase"]
    assert record["detail"]["replayed"]
    assert erase(back, project)["clean"]
    assert back.put(draft("next", "next", "acme/label:project"))
    assert back.reopened().see("acme/user:bob").paths == ("next", "public.txt")


def test_without_the_replay_the_older_copy_would_name_it_and_the_ledger_still_keeps_it(
    filled: World, tmp_path: Path
) -> None:
    """The attack on a store whose opening does not replay: row and ledger are both there, the read refuses."""
    project = document(filled, "project.txt", "acme/user:bob")
    lance_copy = Path(shutil.copytree(filled.path / "lance", tmp_path / "lance"))
    versions = dict(filled.ground.moment().publication.versions)
    erase(filled, project)
    filled.door.close()
    shutil.rmtree(filled.path / "lance")
    shutil.copytree(lance_copy, filled.path / "lance")
    with database(filled.path / "catalog.db") as opened:
        opened.execute("UPDATE publications SET versions = ?", [json.dumps(versions)])
    again = open_world(filled.folder, filled.clock)
    with pytest.raises(ErasedRow):
        again.see("acme/user:bob")
    assert [each["outcome"] for each in again.records()][-1] == "alarm"
    # Who never could read it is answered as always.
    assert again.see("acme/user:hal").paths == ("pay/salaries.txt", "public.txt")


def test_an_older_copy_of_the_keys_loses_the_keys_again(filled: World, tmp_path: Path) -> None:
    project = document(filled, "project.txt", "acme/user:bob")
    keys = wraps(filled, project)
    filled.door.close()
    copy = Path(shutil.copytree(filled.keys, tmp_path / "keys"))
    filled = open_world(filled.folder, filled.clock)
    erase(filled, project)
    filled.door.close()
    folder = filled.folder / "keys" / copy_name(filled)
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    assert files_with(next(iter(keys)), folder)
    again = open_world(filled.folder, filled.clock)
    assert not wraps(again, project)
    assert not files_with(next(iter(keys)), again.keys)
    assert again.ground.erasures.newest_id() is not None


def copy_name(world: World) -> str:
    return str(json.loads((world.path / "store.json").read_text())["store"])


def test_a_copy_of_the_ledger_that_was_changed_is_refused(filled: World, tmp_path: Path) -> None:
    filled.door.close()
    copy = Path(shutil.copytree(filled.path, tmp_path / "copy"))
    filled = open_world(filled.folder, filled.clock)
    project, ann = (
        document(filled, "project.txt", "acme/user:bob"),
        document(filled, "ann.txt", "acme/user:ann"),
    )
    erase(filled, project)
    log = filled.keys / erasure_ledger.FILE_NAME
    log.write_bytes(log.read_bytes().replace(project.encode(), ann.encode()))
    filled.door.close()
    shutil.rmtree(filled.path)
    shutil.copytree(copy, filled.path)
    with pytest.raises(StoreCorrupt, match=r"erasures\.log:1"):
        open_world(filled.folder, filled.clock)


@pytest.mark.parametrize("way", ["added", "widened", "widened and not finished"])
def test_an_erasure_that_this_store_did_not_seal_destroys_no_key(
    way: str, filled: World, tmp_path: Path
) -> None:
    """Who can write the catalog and not the folder of keys says that a document was erased."""
    seen = filled.see("acme/user:hal").ids
    old = Path(shutil.copytree(filled.home, tmp_path / "old"))
    filled.door.erase(subject("acme/user:dex"), [seen["public.txt"]], WHY)
    filled.door.close()
    named = json.dumps([seen["pay/salaries.txt"], seen["public.txt"]])
    with database(filled.path / "catalog.db") as catalog:
        if way == "added":
            catalog.execute("INSERT INTO entries (kind, at) VALUES ('erasure', '2026-06-01T00:00:09Z')")
            catalog.execute(
                "INSERT INTO erasures SELECT ?, (SELECT max(sequence) FROM entries), ?, sealed, NULL FROM erasures",
                ["e" * 32, named],
            )
        elif way == "widened and not finished":
            catalog.execute("UPDATE erasures SET documents = ?, certificate = NULL", [named])
        else:
            shutil.rmtree(filled.home)
            shutil.copytree(old, filled.home)
            catalog.execute("UPDATE erasures SET documents = ?", [named])
    with pytest.raises(StoreCorrupt):
        # What is not finished the next erasure finishes.
        open_world(filled.folder, filled.clock).door.erase(
            subject("acme/user:dex"), [seen["public.txt"]], WHY
        )
    with database(next(filled.home.glob("*/keys.db"))) as keys:
        counted = "SELECT count(*) FROM document_keys WHERE document_id = ?"
        assert keys.execute(counted, [seen["pay/salaries.txt"]]).fetchone() == (1,)


def test_opening_a_store_that_agrees_writes_nothing(filled: World) -> None:
    erase(filled, document(filled, "project.txt", "acme/user:bob"))
    sequence = filled.ground.moment().sequence
    again = filled.reopened()
    assert again.ground.moment().sequence == sequence


def test_the_ledger_says_who_and_why_and_only_with_the_key(filled: World) -> None:
    erase(filled, document(filled, "project.txt", "acme/user:bob"))
    with filled.ground.catalog.read() as connection:
        (entry,) = erasure_ledger.entries(connection)
    told = entry.told(filled.ground.catalog)
    assert (told["who"], told["why"], told["ticket"]) == (DEX, WHY.why, WHY.ticket)
    assert not files_with(WHY.why.encode(), filled.path, filled.keys)


def test_an_admin_without_delete_may_not(filled: World) -> None:
    ann = document(filled, "ann.txt", "acme/user:ann")
    other = document(filled, "plans.txt", BO)
    assert erase(filled, ann, who=ADMIN)["clean"], "the admin ingested it"
    with pytest.raises(NotReadable):
        erase(filled, other, who=ADMIN)


def test_an_unknown_label_value_is_no_way_around(filled: World) -> None:
    (own,) = filled.put(draft("p", "pam's own", label("acme/user:pam")), who="acme/user:pam")
    with pytest.raises(NotReadable):
        erase(filled, own, who="acme/user:bob")
