"""An indexed store keeps every promise of a sealed one but one, and its index decides nothing."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest
from lance.dataset import serialize_row_addrs

import ringfence_retrieval.ranking
from ringfence_governance import block_opening, lance_index, lance_tables
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.blinding import COUNT_MAX, Blinding
from ringfence_governance.errors import InvalidInput, StoreCorrupt, StoreError
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.lance_upkeep import Dataset
from ringfence_governance.store_modes import StoreMode
from ringfence_governance.vector_models import VectorModel
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.search import search

from .test_resident import BOB, HAL, LEE, WORDS, exhaustive, fill
from .test_store_places import (
    test_a_read_that_a_writer_overtakes_is_of_one_publication as test_a_read_that_a_writer_overtakes,
)
from .test_store_places import (
    test_a_second_writer_waits_for_the_first_ones_lease_or_is_told as test_a_second_writer,
)
from .test_store_places import (
    test_each_reader_gets_what_is_his_after_it_was_changed_relabelled_and_removed as test_each_reader,
)
from .test_store_places import (
    test_of_writers_who_commit_at_once_none_publishes_over_another as test_of_writers_who_commit_at_once,
)
from .test_store_places import (
    test_what_a_dead_writer_wrote_is_taken_back_before_the_next_ones_first_commit as test_what_a_dead_writer_wrote,
)
from .test_store_places import (
    test_what_is_written_and_not_published_is_not_there as test_what_is_not_published,
)
from .worlds import (
    ADMIN,
    INDEXED,
    MODEL,
    WHY,
    World,
    copy_world,
    database,
    draft,
    make_world,
    open_world,
    subject,
    vector,
)

__all__ = [
    "test_a_read_that_a_writer_overtakes",
    "test_a_second_writer",
    "test_each_reader",
    "test_of_writers_who_commit_at_once",
    "test_what_a_dead_writer_wrote",
    "test_what_is_not_published",
]

DEX = "acme/user:dex"
PEOPLE = (HAL, BOB, LEE, "acme/user:nobody")
SECRET = "zyrquonword"


@pytest.fixture(scope="module")
def indexed_template(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("indexed"), mode=INDEXED)
    world.door.close()
    return world


@pytest.fixture
def world(indexed_template: World, tmp_path: Path) -> Iterator[World]:
    """An empty indexed store; a test that was taken over from elsewhere runs with it."""
    world = copy_world(indexed_template, tmp_path / "world")
    yield world
    world.door.close()


@pytest.fixture
def filled(world: World) -> World:
    """One whose readers have to be answered by its index, since nothing fits into memory."""
    for seed in range(2):
        fill(world, seed)
    world.ground.resident.limit(0)
    return world


def chunks(world: World) -> Dataset:
    version = world.ground.moment().publication.versions["chunks"]
    return lance.dataset(str(world.path / "lance" / "chunks.lance"), version=version)


def agree(world: World) -> None:
    """Hold every answer of the index to that of scoring every readable row, bit for bit."""
    for who in PEOPLE:
        for mode in MODES:
            for k in (3, 1000):
                question = Question("pump leak of the rotor", k, mode, explain=True)
                result = search(world.door, subject(who), question, vector)
                assert [(hit.id, hit.score) for hit in result] == exhaustive(world, who, question), (
                    who,
                    mode,
                )
                assert result.plan is not None
                assert result.plan["name"] == ("index" if result.readable else "nothing")
                assert result.complete is (mode == "text" or not result.readable)


def test_answers_are_those_of_scoring_every_row_through_changes(filled: World) -> None:
    agree(filled)
    with filled.ingestion(DEX) as ingestion:
        assert ingestion.relabel("0/1.txt", "acme/label:staff")
        assert ingestion.remove("1/0.txt")
    agree(filled)
    filled.door.compact(subject(ADMIN))
    agree(filled)
    document = filled.see(HAL).documents[0]
    filled.door.erase(subject(DEX), [document], WHY)
    agree(filled)


def test_joined_the_first_of_each_order_alone_have_a_rank_with_an_index_too(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ringfence_retrieval.ranking, "RANKS", 7)
    agree(filled)


def test_of_an_earlier_time_every_row_is_looked_at_and_no_index_is_asked(filled: World) -> None:
    then = filled.clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    filled.clock.advance(60)
    with filled.ingestion(DEX) as ingestion:
        assert ingestion.relabel("0/1.txt", "acme/label:staff")
        assert ingestion.remove("1/0.txt")
    readable = {}
    for who in PEOPLE:
        for mode in MODES:
            question = Question("pump leak of the rotor", 1000, mode, explain=True, at=then)
            result = search(filled.door, subject(who), question, vector)
            assert [(hit.id, hit.score) for hit in result] == exhaustive(filled, who, question), (who, mode)
            assert result.plan is not None
            assert result.plan["name"] != "index"
            assert result.complete
            readable[who] = result.readable
    # Bob may read what was relabelled now, and might not then; what was removed is nobody's.
    now = search(filled.door, subject(BOB), Question("pump"), vector).readable
    assert 0 == readable["acme/user:nobody"] < readable[BOB] < now


def test_rows_that_are_in_no_index_yet_are_found_and_the_index_follows(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = lance_index.facts(chunks(filled))
    assert {fact["index"]: fact["of"] - fact["rows"] for fact in loose} == {"vectors": 72, "words": 72}
    agree(filled)
    monkeypatch.setattr(lance_index, "LOOSE_ROWS_MAX", 8)
    monkeypatch.setattr(lance_index, "PIECES_MAX", 2)
    pieces = []
    for seed in range(2, 6):
        fill(filled, seed, documents=3)
        pieces.append(lance_index.facts(chunks(filled))[0]["pieces"])
        assert all(fact["rows"] == fact["of"] for fact in lance_index.facts(chunks(filled)))
        agree(filled)
    assert 1 < max(pieces) <= 2
    assert pieces.count(1) > 1, "it was never made anew"


def test_a_word_that_is_held_often_is_counted_from_what_is_sealed(world: World) -> None:
    counts = [1, 2, COUNT_MAX - 1, COUNT_MAX, COUNT_MAX + 1, 3 * COUNT_MAX]
    world.put(*(draft(f"{n}", "pump " * n + "seal") for n in counts), who=DEX)
    world.ground.resident.limit(0)
    for k in (1, 3, 10):
        question = Question("pump", k, "text")
        found = [(hit.id, hit.score) for hit in search(world.door, subject(HAL), question, vector)]
        assert found == exhaustive(world, HAL, question)
        assert len(found) == min(k, len(counts))


def test_what_fits_into_memory_or_must_be_exact_is_not_asked_of_the_index(filled: World) -> None:
    question = Question("pump", 3, "vector", explain=True, exact=True)
    exact = search(filled.door, subject(HAL), question, vector)
    assert exact.plan is not None
    assert exact.plan["name"] == "every row"
    assert exact.complete
    filled.ground.resident.limit(1 << 30)
    fits = search(filled.door, subject(HAL), Question("pump", 3, "vector", explain=True), vector)
    assert fits.plan is not None
    assert fits.plan["name"] == "every row"


def test_a_plan_hangs_on_the_readers_own_rows_alone(filled: World) -> None:
    """With room for just his own rows, another's are no reason to ask the index."""
    own = filled.see(BOB).counts["chunks"]
    assert own < filled.ground.tables.rows("chunks", filled.ground.moment().publication.versions["chunks"])
    for room, name in ((own, "every row"), (own - 1, "index")):
        filled.ground.resident.limit(room * 6_000)
        found = search(filled.door, subject(BOB), Question("pump", 3, "vector", explain=True), vector)
        assert found.plan is not None
        assert found.plan["name"] == name


# The filter broken: what guards behind it.


@pytest.fixture
def unfiltered(filled: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """One whose mask lets every row through."""
    version = filled.ground.moment().publication.versions["chunks"]
    every = filled.ground.tables.map_of("chunks", version)
    atoms = AtomSet.of(part.atom for part in every.parts(None))
    whole = serialize_row_addrs(every.addresses(atoms).tolist())
    monkeypatch.setattr(LanceTables, "_mask", lambda *_: whole)
    return filled


def alarms(world: World) -> int:
    return sum(record["outcome"] == "alarm" for record in world.records())


@pytest.mark.parametrize("mode", MODES)
def test_with_the_filter_broken_nothing_leaves_and_the_log_has_an_alarm(unfiltered: World, mode: Any) -> None:
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        search(unfiltered.door, subject(BOB), Question("pump leak", 5, mode), vector)
    assert alarms(unfiltered) == 1


@pytest.mark.parametrize("mode", MODES)
def test_with_the_check_of_the_scan_broken_too_the_next_one_stops_it(
    unfiltered: World, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    monkeypatch.setattr(LanceTables, "_refuse_other", staticmethod(lambda *_: None))
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        search(unfiltered.door, subject(BOB), Question("pump leak", 5, mode), vector)
    assert alarms(unfiltered) == 1


def test_with_that_broken_as_well_a_row_outside_the_grant_still_does_not_open(
    unfiltered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LanceTables, "_refuse_other", staticmethod(lambda *_: None))
    monkeypatch.setattr(block_opening, "refuse_outside", lambda *_: None)
    with pytest.raises(StoreCorrupt, match="does not open"):
        search(unfiltered.door, subject(BOB), Question("pump leak", 50, "vector"), vector)


def test_a_version_without_an_index_is_refused_and_compacting_makes_it(filled: World) -> None:
    path = str(filled.path / "lance" / "chunks.lance")
    lance.dataset(path).drop_index("words")
    with database(filled.path / "catalog.db") as catalog:
        (sequence,) = catalog.execute("SELECT max(sequence) FROM publications").fetchone()
        (text,) = catalog.execute(
            "SELECT versions FROM publications WHERE sequence = ?", [sequence]
        ).fetchone()
        changed = json.dumps(json.loads(text) | {"chunks": lance.dataset(path).version})
        catalog.execute("UPDATE publications SET versions = ? WHERE sequence = ?", [changed, sequence])
    again = open_world(filled.folder, filled.clock)
    again.ground.resident.limit(0)
    with pytest.raises(StoreCorrupt, match="no index of its words"):
        search(again.door, subject(HAL), Question("pump", 3, "text"), vector)
    again.door.compact(subject(ADMIN))
    agree(again)
    again.door.close()


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


# What it is made as.


@pytest.mark.parametrize(
    "changes",
    [{"mode": "sealed", "dimensions": 0}, {"mode": "other"}, {"dimensions": 0}, {"dimensions": "8"}],
)
def test_a_marker_that_says_another_mode_is_refused(world: World, changes: dict[str, object]) -> None:
    world.door.close()
    path = world.path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(StoreCorrupt, match="store"):
        open_world(world.folder)


def test_a_sealed_stores_marker_cannot_make_it_write_words(tmp_path: Path) -> None:
    world = make_world(tmp_path, mode=StoreMode())
    world.door.close()
    path = world.path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | INDEXED.to_mapping()))
    with pytest.raises(StoreCorrupt, match="says it is indexed"):
        open_world(tmp_path)


@pytest.mark.parametrize(
    ("name", "dimensions"), [("indexed", 0), ("indexed", 8193), ("sealed", 8), ("open", 8)]
)
def test_a_mode_that_cannot_be_is_refused(name: Any, dimensions: int) -> None:
    with pytest.raises(InvalidInput, match="mode"):
        StoreMode(name, dimensions)


def test_a_model_of_another_length_is_refused_before_anything_is_written(world: World) -> None:
    longer = VectorModel("test-hash", "0" * 64, 16)
    with (
        pytest.raises(StoreError, match="expected 8, which this indexed store was made for"),
        world.ingestion(model=longer),
    ):
        pytest.fail("it began")


def test_status_says_what_is_weaker(world: World) -> None:
    told = world.door.status(subject("acme/user:nobody"))
    assert told["mode"] == "indexed"
    assert "learns" in told["weaker"]


@pytest.mark.parametrize("dimensions", [1, 7, 8, 384])
def test_a_rotation_keeps_distances_and_is_the_same_from_the_same_key(dimensions: int) -> None:
    mode, key = StoreMode("indexed", dimensions), bytes(range(32))
    rows = np.random.default_rng(0).standard_normal((50, dimensions)).astype(np.float32)
    made = Blinding(key, mode).rotated(rows)
    assert made.shape == (50, mode.padded)
    assert np.array_equal(made, Blinding(key, mode).rotated(rows))
    assert np.allclose(made @ made.T, rows @ rows.T, atol=1e-3)
    assert not np.allclose(made, Blinding(bytes(32), mode).rotated(rows))


def test_a_token_is_of_one_word_and_one_count_and_says_nothing_of_the_order() -> None:
    blinding = Blinding(bytes(32), INDEXED)
    dice = random.Random(0)
    words = dice.choices(WORDS, k=40)
    assert blinding.text(words) == blinding.text(sorted(words))
    tokens = [token for word in WORDS for token in blinding.tokens(word)]
    assert len(set(tokens)) == len(tokens) == len(WORDS) * COUNT_MAX
    assert set(blinding.text(words).split()) <= set(tokens)
    assert blinding.text(["pump"] * (COUNT_MAX + 9)) == blinding.tokens("pump")[-1]


def test_no_atom_in_the_question_means_no_row(filled: World) -> None:
    tables, version = filled.ground.tables, filled.ground.moment().publication.versions["chunks"]
    assert filled.ground.blinding is not None
    none = AtomSet.of([])
    assert tables.holding(version, none, filled.ground.blinding.tokens("pump")[0]) == ()
    assert tables.nearest(version, none, np.zeros(8, np.float32), 5) == ()
