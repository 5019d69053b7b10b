"""An indexed store keeps every promise of a sealed one but one, and its index decides nothing."""

from __future__ import annotations

import json

import lance
import pytest

import ringfence_retrieval.ranking
from ringfence_governance import lance_index, lance_lookups
from ringfence_governance.blinding import COUNT_MAX
from ringfence_governance.errors import StoreCorrupt
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.search import search

from .every_row import BOB, HAL, exhaustive, fill
from .indexed_worlds import DEX, PEOPLE, agree, chunks
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
    WHY,
    World,
    database,
    draft,
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


@pytest.fixture(scope="session")
def template(indexed_template: World) -> World:
    """What `world` is a copy of."""
    return indexed_template


@pytest.fixture(scope="session")
def filled_template(indexed_filled_template: World) -> World:
    """What `filled` is a copy of."""
    return indexed_filled_template


@pytest.fixture
def filled(filled: World) -> World:
    """One whose readers have to be answered by its index, since nothing fits into memory."""
    filled.ground.resident.limit(0)
    return filled


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


def test_an_answer_of_an_earlier_time_does_not_tell_whether_anybody_published_since(filled: World) -> None:
    filled.clock.advance(5)
    then = filled.clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    filled.clock.advance(5)
    question = Question("pump leak of the rotor", 5, explain=True, at=then)
    before = search(filled.door, subject(BOB), question, vector)
    filled.put(draft("hidden.txt", "not for bob", "acme/label:payroll"), who=DEX)
    assert BOB not in filled.door.who(subject("acme/user:olga"), filled.see(HAL).ids["hidden.txt"])["readers"]
    assert search(filled.door, subject(BOB), question, vector) == before


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
    counts = [
        1,
        2,
        COUNT_MAX - 1,
        COUNT_MAX,
        COUNT_MAX + 1,
        3 * COUNT_MAX,
        *range(2 * COUNT_MAX, 3 * COUNT_MAX, 4),
    ]
    # Under two labels: rows of one stand together when they are opened, and do not where they lie.
    labels = [f"acme/label:{name}" for name in ("staff", "payroll")]
    world.put(*(draft(f"{n}", "pump " * n + "seal", labels[n % 8 == 0]) for n in counts), who=DEX)
    world.ground.resident.limit(0)
    for k in (1, 3, 20):
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


def test_indexes_of_ids_are_made_and_read_back_beside_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own may still be of no row: then there is nothing of them to read, and Lance would refuse to."""
    monkeypatch.setattr(lance_lookups, "ROWS_MIN", 1)
    world.ground.resident.limit(0)
    fill(world, 0)
    agree(world)
    world.door.compact(subject(ADMIN))
    agree(world)
    dataset = chunks(world)
    assert {index.name for index in dataset.describe_indices()} == {
        "by_document_id",
        "by_id",
        "vectors",
        "words",
    }
