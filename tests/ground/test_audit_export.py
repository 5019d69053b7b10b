"""A file that is handed over: what it holds, who can make it, and that a changed byte of it shows."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ringfence_governance import audit_export, audit_session
from ringfence_governance.audit_macros import MACROS
from ringfence_governance.audit_schema import SCHEMAS
from ringfence_governance.errors import InvalidInput, Refused, RingfenceError, StoreError

from .past_times import OLGA, OTTO, PROJECT
from .worlds import World, copy_world, files_of_at_most, subject

OTHERS = (b"payroll", b"borealis", b"canteen", b"ninety", b"meridian", b"public.txt")
"""What an auditor of one label, who may read nothing of it, is not to hold: other labels, content, names."""


@pytest.fixture(scope="module")
def world(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = copy_world(filled_template, tmp_path_factory.mktemp("exporting"))
    world.clock.advance(10)
    yield world
    world.door.close()


@pytest.fixture(scope="module")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "audit.duckdb"
    world.door.audit_desk(subject(OLGA)).export(path)
    return path


def test_the_file_answers_as_the_store_did(world: World, exported: Path) -> None:
    desk = world.door.audit_desk(subject(OLGA))
    kept = [name for name in SCHEMAS if name not in ("about", "records", "record_rows", "log_chain", "kept")]
    with closing(duckdb.connect(str(exported), read_only=True)) as connection:
        for name in kept:
            query = f"SELECT * FROM {name} ORDER BY ALL"
            assert connection.execute(query).fetchall() == list(desk.ask(query).rows), name
        (document, *_) = (
            connection.execute("SELECT id FROM documents WHERE label = ?", [PROJECT]).fetchone() or ()
        )
        for macro in MACROS:
            count = {
                "who_could": [document, desk.at],
                "why": [OTTO, document],
                "policy_diff": [desk.at, desk.at],
            }
            given: list[Any] = count.get(macro.name, [document] * len(macro.parameters))
            connection.execute(f"FROM {macro.name}({', '.join('?' * len(given))})", given).fetchall()
        assert connection.execute("SELECT holds FROM verify_log()").fetchall() == [(True,)]


def test_file_and_statement_are_for_their_owner_alone_and_nothing_else_is_left(exported: Path) -> None:
    assert sorted(file.name for file in exported.parent.iterdir()) == ["audit.duckdb", "audit.duckdb.sig"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in exported.parent.iterdir()} == {0o600}


def test_it_is_verified_without_a_store_and_by_no_other_key(world: World, exported: Path) -> None:
    public = world.ground.checkpoints.public_key
    found = audit_export.verify(exported, public)
    assert (found["valid"], found["auditor"], found["store"]) == (True, OLGA, world.ground.store_id)
    assert audit_export.verify(exported, "0" * 64)["found"] == "it is signed by another key"


@pytest.mark.parametrize("where", [0, 4096, -1])
def test_a_changed_byte_of_the_file_shows(world: World, exported: Path, tmp_path: Path, where: int) -> None:
    path = copied(exported, tmp_path)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    found = audit_export.verify(path, world.ground.checkpoints.public_key)
    assert (found["valid"], found["found"]) == (False, "the file is not the one that was signed")


@pytest.mark.parametrize("field", sorted(audit_export.FIELDS - {"public_key"}))
def test_a_changed_word_of_the_statement_shows(
    world: World, exported: Path, tmp_path: Path, field: str
) -> None:
    path = copied(exported, tmp_path)
    words = audit_export.statement_of(path)
    said = json.loads(words.read_text("utf-8"))
    said[field] = "0" * 128 if field == "signature" else "other"
    words.write_text(json.dumps(said), "utf-8")
    found = audit_export.verify(path, world.ground.checkpoints.public_key)
    assert (found["valid"], found["found"]) == (False, "the statement was changed")


def copied(exported: Path, folder: Path) -> Path:
    path = folder / exported.name
    path.write_bytes(exported.read_bytes())
    audit_export.statement_of(path).write_bytes(audit_export.statement_of(exported).read_bytes())
    return path


def test_what_has_no_statement_is_no_export(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(exported.read_bytes())
    for text in (None, "", "{}", "[1]", "x" * 100_000, "[" * 10_000):
        if text is not None:
            audit_export.statement_of(path).write_text(text, "utf-8")
        with pytest.raises(InvalidInput):
            audit_export.verify(path, "0" * 64)


def test_the_file_of_who_may_audit_one_label_holds_no_byte_of_the_others(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "otto.duckdb"
    world.door.audit_desk(subject(OTTO)).export(path)
    data = path.read_bytes()
    assert PROJECT.encode() in data
    assert [word for word in OTHERS if word in data] == []


def test_it_is_recorded_with_the_ids_before_the_file_is_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = world.door.audit_desk(subject(OLGA))
    path, seen = tmp_path / "a.duckdb", list[bool]()
    real = audit_session.duckdb.connect

    def noting(*args: Any, **named: Any) -> Any:
        seen.append(world.records()[-1]["verb"] == "audit_export")
        return real(*args, **named)

    monkeypatch.setattr("ringfence_governance.audit_export.duckdb.connect", noting)
    desk.export(path)
    record = world.records()[-1]
    assert (seen, record["verb"], record["outcome"]) == ([True], "audit_export", "allowed")
    assert set(record["rows"]) >= {row[0] for row in desk.ask("SELECT id FROM documents").rows}


def test_nothing_is_written_without_a_record(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = world.door.audit_desk(subject(OLGA))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ringfence_governance.audit_log.os.fdatasync", full)
    with pytest.raises(RingfenceError, match="audit log cannot be written"):
        desk.export(tmp_path / "a.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_and_a_folder_that_is_not_there_are_refused(
    world: World, exported: Path, tmp_path: Path
) -> None:
    desk = world.door.audit_desk(subject(OLGA))
    before = exported.read_bytes()
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b.duckdb.sig").write_text("")
    for path in (exported, tmp_path / "link.duckdb", tmp_path / "b.duckdb", tmp_path / "none" / "c.duckdb"):
        with pytest.raises(InvalidInput):
            desk.export(path)
    assert exported.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.duckdb.sig", "link.duckdb"]


def test_a_full_disk_leaves_nothing(world: World, tmp_path: Path) -> None:
    desk = world.door.audit_desk(subject(OLGA))
    desk.ask("SELECT count(*) FROM access")
    with files_of_at_most(100_000), pytest.raises(StoreError, match="nothing is left"):
        desk.export(tmp_path / "a.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_who_lost_the_right_exports_nothing(filled: World, tmp_path: Path) -> None:
    desk = filled.door.audit_desk(subject(OTTO))
    filled.add("p", OTTO, "acme", PROJECT, "audit", "any", "*", "-", "-", "deny")
    with pytest.raises(Refused):
        desk.export(tmp_path / "a.duckdb")
    assert [file.name for file in tmp_path.iterdir()] == ["world"]
