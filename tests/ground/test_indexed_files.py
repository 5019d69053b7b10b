"""What lies on the disk of an indexed store, what it tells, and how its indexes come and go."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

from ringfence_governance import lance_index, lance_tables
from ringfence_governance.errors import StoreError
from ringfence_governance.lance_upkeep import Dataset
from ringfence_retrieval.questions import Question
from ringfence_retrieval.search import search

from .every_row import BOB, HAL, fill
from .indexed_worlds import DEX, agree, chunks
from .worlds import (
    ADMIN,
    MODEL,
    WHY,
    World,
    draft,
    open_world,
    subject,
    vector,
)


@pytest.fixture(scope="session")
def template(indexed_template: World) -> World:
    """What `world` is a copy of."""
    return indexed_template


SECRET = "zyrquonword"


# What lies on the disk, and what it tells.


def test_the_files_hold_no_word_no_vector_and_no_path(world: World) -> None:
    text = f"{SECRET} and more"
    world.put(draft(f"{SECRET}.txt", text), who=DEX)
    world.door.compact(subject(ADMIN))
    plain = vector(f"{SECRET} and more").tobytes()
    assert len(plain) == 4 * MODEL.dimensions
    for file in world.path.rglob("*"):
        held = file.read_bytes() if file.is_file() else b""
        assert SECRET.encode() not in held
        assert SECRET not in file.name
        assert plain not in held
        assert plain[:16] not in held
    tokens = chunks(world).to_table(columns=["blinded"])["blinded"].to_pylist()
    assert not any(word in each for each in tokens for word in (SECRET, "and", "more"))


def test_an_honest_query_on_the_files_finds_nothing_better_than_chance(world: World) -> None:
    texts = [f"text number {n}" for n in range(120)]
    world.put(draft("all.txt", "\n".join(texts)), who=DEX)
    ground = world.ground
    order = ground.tables.scan("chunks", chunks(world).version, [1, 2, 3, 4, 5, 6], ["ordinal"]).sort_by(
        "ordinal"
    )
    place = {row: n for n, row in enumerate(order["id"].to_pylist())}
    assert len(place) == 120

    def hits(turn: bool) -> int:
        found = 0
        for n, text in enumerate(texts):
            asked = vector(text + "\n" if n < 119 else text)
            query = ground.blinding.rotated(asked[None])[0] if turn and ground.blinding else asked
            nearest = chunks(world).scanner(columns=["id"], nearest={"column": "rotated", "q": query, "k": 1})
            found += place[nearest.to_table()["id"][0].as_py()] == n
        return found

    # By chance one of 120; who has the key finds them all.
    assert hits(turn=False) < 12
    assert hits(turn=True) == 120


def test_what_one_who_may_ingest_learns_from_the_files_is_what_the_threat_model_says(world: World) -> None:
    """The weaker kind, named as weaker: words by a dictionary, vectors by as many known ones as they are long."""
    world.put(
        draft("secret.txt", f"{SECRET} closes\nthe merger stays quiet", "acme/label:payroll"),
        who="acme/user:dex",
    )
    own = [f"{word}" for word in (SECRET, "merger", "absentword")]
    lines = [*own, *(f"known {n}" for n in range(MODEL.dimensions))]
    world.put(draft("own.txt", "\n".join(lines), "acme/label:staff"), who=ADMIN)
    rows = chunks(world).to_table(columns=["atom", "ordinal", "blinded", "rotated"]).to_pylist()
    payroll = world.ground.moment().table.by_id["acme/label:payroll"].atom
    others = [row for row in rows if row["atom"] == payroll]
    mine = sorted((row for row in rows if row["atom"] != payroll), key=lambda row: row["ordinal"])
    assert len(others) == 2
    learnt = [any(mine[n]["blinded"] in row["blinded"].split() for row in others) for n in range(3)]
    assert learnt == [True, True, False]
    known = np.asarray([vector(f"{line}\n" if n + 1 < len(lines) else line) for n, line in enumerate(lines)])
    seen = np.asarray([row["rotated"] for row in mine], np.float64)
    turned, *_ = np.linalg.lstsq(known.astype(np.float64), seen, rcond=None)
    guessed = np.asarray([row["rotated"] for row in others]) @ np.linalg.inv(turned)
    true = np.asarray([vector(f"{SECRET} closes\n"), vector("the merger stays quiet")])
    assert np.abs(np.sort(guessed, axis=0) - np.sort(true, axis=0)).max() < 1e-3
    told = Path(__file__).parents[2] / "docs" / "threat-model.md"
    assert "indexed" in told.read_text()


def test_what_one_who_may_write_the_files_learns_as_a_reader_is_what_the_threat_model_says(
    world: World,
) -> None:
    """The tokens of a row are bound to it by nothing: in a row of his own they answer his questions."""
    (own,) = world.put(draft("own.txt", "nothing of note", "acme/label:project"), who=DEX)
    (hidden,) = world.put(draft("hidden.txt", "merger with meridian in june", "acme/label:payroll"), who=DEX)
    path, version = world.path / "lance" / "chunks.lance", chunks(world).version
    rows = {row["document_id"]: row for row in chunks(world).to_table().to_pylist()}
    rows[own] |= {name: rows[hidden][name] for name in ("blinded", "word_count")}
    changed = pa.Table.from_pylist(list(rows.values()), schema=chunks(world).schema)
    world.door.close()
    shutil.rmtree(path)
    for _ in range(version - 2):
        lance.write_dataset(changed, str(path), mode="overwrite")
    assert lance_index.make(lance.dataset(str(path)), version - 2) == version
    again = open_world(world.folder)
    again.ground.resident.limit(0)

    def learnt(word: str, **settings: bool) -> int:
        return search(again.door, subject(BOB), Question(word, 5, "text", **settings), vector).matching

    guessed = ("merger", "borealis", "june", "july", "note")
    assert [learnt(word) for word in guessed] == [1, 0, 1, 0, 0]
    # What is sealed is bound to its row.
    assert [learnt(word, exact=True) for word in guessed] == [0, 0, 0, 0, 1]
    again.door.close()


def test_an_erased_row_is_in_no_index_file_and_the_certificate_says_what_was_made_anew(world: World) -> None:
    (gone,) = world.put(draft("gone.txt", f"{SECRET} here"), who=DEX)
    world.put(draft("stays.txt", "pump here\nand there"), who=DEX)
    world.door.compact(subject(ADMIN))
    folder = world.path / "lance" / "chunks.lance"
    before = {index.name for index in (folder / "_indices").iterdir()}
    rotated = chunks(world).to_table(columns=["document_id", "rotated"]).to_pylist()
    turned = [np.asarray(row["rotated"], "<f4").tobytes() for row in rotated if row["document_id"] == gone]
    assert len(turned) == 1
    assert any(turned[0] in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    (certificate,) = world.door.erase(subject(DEX), [gone], WHY)
    assert certificate["clean"]
    assert before
    assert before.isdisjoint(index.name for index in (folder / "_indices").iterdir())
    assert not any(turned[0][:16] in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    made = lance_index.facts(chunks(world))
    assert {(each["index"], each["rows"], each["of"]) for each in made} == {
        ("vectors", 2, 2),
        ("words", 2, 2),
    }


def test_a_document_that_lies_alone_in_its_fragment_is_erased_whatever_else_there_is(world: World) -> None:
    for others in (0, 1):
        world.put(*(draft(f"{n}.txt", "stays here") for n in range(others)), who=DEX)
        (gone,) = world.put(draft("gone.txt", f"{SECRET} alone"), who=DEX)
        (certificate,) = world.door.erase(subject(DEX), [gone], WHY)
        assert certificate["clean"]
        assert len(world.see(HAL).documents) == others


def test_indexes_are_made_in_a_temporary_folder_of_the_stores_own(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead writer left in it is gone when the next one begins, and nothing is left when he is done."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    untouched = temporary.stat().st_mtime_ns
    own = world.path / "temporary"
    (own / "shuffle").mkdir()
    (own / "shuffle" / "left").write_bytes(b"rotated vectors")
    before = own.stat().st_mtime_ns
    fill(world, 0)
    world.door.compact(subject(ADMIN))
    assert temporary.stat().st_mtime_ns == untouched
    assert own.stat().st_mtime_ns > before
    assert list(own.iterdir()) == []
    assert os.environ["TMPDIR"] == str(temporary)


def test_a_folder_of_somebody_elses_in_its_place_is_not_emptied(world: World, tmp_path: Path) -> None:
    """Who may write the store's files lets no writer take away what lies elsewhere."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_bytes(b"years of work")
    own = world.path / "temporary"
    own.rmdir()
    own.symlink_to(tmp_path / "theirs")
    fill(world, 0)
    world.door.compact(subject(ADMIN))
    assert (tmp_path / "theirs" / "thesis.txt").read_bytes() == b"years of work"
    assert own.is_dir()
    assert not own.is_symlink()
    assert list(own.iterdir()) == []


def test_without_it_lance_would_use_the_machines(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    untouched = temporary.stat().st_mtime_ns
    monkeypatch.setattr(lance_tables, "private_temporary", lambda folder: nullcontext())
    fill(world, 0)
    world.door.compact(subject(ADMIN))
    assert temporary.stat().st_mtime_ns > untouched


def test_an_index_that_was_cut_short_on_a_full_disk_is_not_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, 0)
    make = lance_index.make

    def cut(dataset: Dataset, version: int) -> int:
        made = make(dataset, version)
        folder = world.path / "lance" / "chunks.lance" / "_indices"
        newest = max(folder.iterdir(), key=lambda index: index.stat().st_mtime_ns)
        for file in newest.iterdir():
            os.truncate(file, file.stat().st_size // 2)
        return made

    monkeypatch.setattr(lance_index, "make", cut)
    publication = world.ground.moment().publication
    with pytest.raises(StoreError, match="chunks table cannot be written"):
        world.door.compact(subject(ADMIN))
    assert world.ground.moment().publication == publication
    monkeypatch.undo()
    world.door.compact(subject(ADMIN))
    world.ground.resident.limit(0)
    agree(world)
