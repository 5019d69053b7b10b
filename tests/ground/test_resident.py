"""Resident blocks give what opening and scoring every row gives, and hold nothing they should not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ringfence_retrieval.ranking
from ringfence_governance import block_opening, lance_tables, resident, row_map, vector_scan
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.quantised import quantised
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.row_map import VersionFacts
from ringfence_governance.vector_scan import Runs
from ringfence_retrieval import plans
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.scoring import cosine_scores
from ringfence_retrieval.search import search

from .every_row import BOB, HAL, LEE, exhaustive, fill
from .worlds import World, subject, vector


def agree(world: World) -> None:
    for who in (HAL, BOB, LEE, "acme/user:nobody"):
        for mode in MODES:
            for k in (1, 5, 1000):
                question = Question("pump leak of the rotor", k, mode)
                result = search(world.door, subject(who), question, vector)
                assert [(hit.id, hit.score) for hit in result] == exhaustive(world, who, question)


def test_answers_are_those_of_scoring_every_row_through_changes(filled: World) -> None:
    for seed in range(3):
        fill(filled, seed)
        agree(filled)
    with filled.ingestion("acme/user:dex") as ingestion:
        assert ingestion.relabel("0/1.txt", "acme/label:staff")
        assert ingestion.remove("1/0.txt")
    agree(filled)


def test_answers_are_the_same_when_only_a_few_rows_fit_into_memory(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_map, "PART_ROWS_MAX", 5)
    fill(filled, 0)
    filled.ground.resident.limit(10 * resident.BYTES_PER_ROW)

    def work(reader: GrantedReader) -> Answer[int]:
        count = len(list(reader.passes()))
        return Answer([], lambda as_of: count)

    passes = filled.door.read(subject(HAL), "list", work)
    assert passes > 1
    agree(filled)


def test_an_atom_outside_the_grant_is_not_opened(filled: World) -> None:
    ground = filled.ground
    grant = ground.grant(subject(BOB), "read")
    payroll = ground.moment().table.by_id["acme/label:payroll"].atom
    parts = ground.tables.parts("chunks", grant.publication.versions["chunks"], AtomSet.of([payroll]))
    assert parts
    with pytest.raises(StoreCorrupt, match="outside the grant"):
        block_opening.open_parts(ground, grant, parts)


def held(world: World) -> frozenset[bytes]:
    return frozenset(world.ground.resident._blocks)


def ask(world: World, who: str) -> None:
    search(world.door, subject(who), Question("pump"), vector)


def test_a_block_whose_rows_did_not_change_survives_a_publication_and_one_whose_rows_went_does_not(
    filled: World,
) -> None:
    fill(filled, 0)
    ask(filled, HAL)
    before = held(filled)
    fill(filled, 1)
    ask(filled, BOB)
    assert before <= held(filled)
    with filled.ingestion("acme/user:dex") as ingestion:
        assert ingestion.remove("0/1.txt")  # of the payroll, which Bob may not read
    ask(filled, BOB)
    payroll = filled.ground.moment().table.by_id["acme/label:payroll"].atom.to_bytes(4, "big")
    assert not {each for each in before - held(filled) if not each.startswith(payroll)}
    assert before - held(filled)


def test_an_unknown_kind_of_change_lets_every_block_go(filled: World) -> None:
    ask(filled, HAL)
    assert held(filled)
    with filled.ground.catalog.write() as connection:
        filled.ground.catalog.next_entry(connection, "erasure")
    ask(filled, "acme/user:nobody")
    ask(filled, "borealis/user:bo")
    payroll = filled.ground.moment().table.by_id["acme/label:payroll"].atom.to_bytes(4, "big")
    assert not [each for each in held(filled) if each.startswith(payroll)]


@pytest.mark.parametrize("dimensions", [8, 384])
@pytest.mark.parametrize("k", [1, 2, 3, 20, 1000])
def test_the_compiled_and_the_plain_scan_keep_all_that_belong_to_the_nearest(dimensions: int, k: int) -> None:
    random_rows = np.random.default_rng(5)
    rows = random_rows.standard_normal((3000, dimensions)).astype(np.float32)
    rows[100:200] = rows[50]  # ties
    rows[7] = 0.0
    runs = [Runs(rows, quantised(rows), np.array([0, 1500]), np.array([1000, 3000]))]
    granted = np.r_[0:1000, 1500:3000]
    queries = [rows[50], random_rows.standard_normal(dimensions).astype(np.float32)]
    with pytest.MonkeyPatch.context() as plain_alone:
        plain_alone.setattr(vector_scan, "_kernels", lambda dimensions, rows: None)
        plain = [vector_scan.nearest(runs, query, k) for query in queries]
    assert vector_scan.load_kernels(dimensions)
    for query, found in zip(queries, plain, strict=True):
        scores = cosine_scores(rows[granted], query)
        belong = set(np.flatnonzero(scores >= np.sort(scores)[-k]).tolist())
        assert belong <= set(found.tolist())
        compiled = vector_scan.nearest(runs, query, k)
        assert belong <= set(compiled.tolist())
        # No more than its bounds ask for: twice what is lost of a vector in a byte a number, from the k-th on.
        lost = 2.5 * float(quantised(rows).errors.max() * np.linalg.norm(query)) + 2.5 * float(
            quantised(query[None]).errors[0] * np.linalg.norm(rows, axis=1).max()
        )
        assert scores[compiled].min() >= np.sort(scores)[-k] - lost


@pytest.mark.parametrize("dimensions", [1, 2, 3, 8, 37, 384])
def test_the_compiled_scores_are_the_fixed_routines_to_the_last_bit(dimensions: int) -> None:
    random_rows = np.random.default_rng(dimensions)
    rows = (random_rows.standard_normal((700, dimensions)) * 10.0 ** random_rows.integers(-20, 20)).astype(
        np.float32
    )
    runs = [Runs(rows, quantised(rows), np.array([0, 400]), np.array([300, 700]))]
    query = random_rows.standard_normal(dimensions).astype(np.float32)
    assert vector_scan.load_kernels(dimensions)
    found = vector_scan.exact(runs, query)
    few = [Runs(rows, quantised(rows), np.arange(5, 50, 3), np.arange(6, 51, 3))]
    some = vector_scan.exact(few, query)
    assert found is not None
    assert some is not None
    expected = cosine_scores(rows[np.r_[0:300, 400:700]], query)
    assert found.tobytes() == expected.tobytes()
    assert some.tobytes() == expected[5:50:3].tobytes()


@pytest.mark.parametrize("compiled", [True, False])
def test_answers_agree_with_the_compiled_loops_and_without(
    filled: World, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    fill(filled, 0, documents=90)
    monkeypatch.setattr(plans, "EVERY_ROW_MAX", 20)
    width = len(vector("x"))
    if compiled:
        assert vector_scan.load_kernels(width)
    else:
        monkeypatch.setattr(vector_scan, "_kernels", lambda dimensions, rows: None)
    agree(filled)


def test_a_pass_that_lacks_rows_is_found_by_their_count(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(filled, 0)
    monkeypatch.setattr(GrantedReader, "count", lambda reader, table: 1 + len(reader.chunks()))
    with pytest.raises(StoreCorrupt, match="as they are counted"):
        ask(filled, HAL)


def test_a_plan_says_how_many_rows_are_readable_and_why_it_was_taken(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "EVERY_ROW_MAX", 256)
    fill(filled, 0, documents=200)
    assert explained(filled, "acme/user:nobody", 5)["name"] == "nothing"
    most = explained(filled, HAL, 5)
    count = len(search(filled.door, subject(HAL), Question("pump", 1000, "hybrid"), vector))
    assert most.pop("thresholds")["every_row_max"] == 256
    assert most == {"name": "estimate first", "rows": count, "k": 5}
    assert count > 256
    assert explained(filled, HAL, 1000)["name"] == ("every row" if count <= 1000 else "estimate first")
    assert search(filled.door, subject(HAL), Question("pump"), vector).plan is None


def explained(world: World, who: str, k: int) -> dict[str, Any]:
    plan = search(world.door, subject(who), Question("pump", k, "vector", explain=True), vector).plan
    assert plan is not None
    return dict(plan)


def test_a_rows_codes_scale_and_error_are_its_own() -> None:
    rows = np.random.default_rng(2).standard_normal((50, 16)).astype(np.float32)
    rows[30:] *= 1000.0
    together, alone = quantised(rows), quantised(rows[:30])
    for name in ("codes", "scales", "errors", "lengths"):
        assert getattr(together, name)[:30].tobytes() == getattr(alone, name).tobytes()


@pytest.mark.parametrize("outright", [1024, 8])
def test_joined_only_the_first_of_each_order_have_a_rank_and_the_pages_end_with_them(
    filled: World, monkeypatch: pytest.MonkeyPatch, outright: int
) -> None:
    monkeypatch.setattr(ringfence_retrieval.ranking, "RANKS", 7)
    monkeypatch.setattr(plans, "EVERY_ROW_MAX", outright)
    fill(filled, 0)
    agree(filled)
    question = Question("pump leak of the rotor", 5, "hybrid")
    whole = exhaustive(filled, HAL, replace(question, k=1000))
    assert 7 < len(whole) <= 14
    found, cursor = [], None
    while cursor is not None or not found:
        page = search(filled.door, subject(HAL), replace(question, cursor=cursor), vector)
        found += [(hit.id, hit.score) for hit in page]
        cursor = page.cursor
        assert page.matching == page.readable > 14
    assert found == whole


def test_a_new_publication_reads_only_what_is_new_of_the_map(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(filled, 0)
    ask(filled, HAL)
    read: list[int] = []
    real = lance_tables.facts_of

    def spied(*arguments: Any) -> VersionFacts:
        facts = real(*arguments)
        return replace(facts, read=lambda numbers: (read.extend(numbers), facts.read(numbers))[1])

    monkeypatch.setattr(lance_tables, "facts_of", spied)
    fill(filled, 1)
    filled.ground.tables.count("chunks", filled.ground.moment().publication.versions["chunks"], [1])
    assert len(read) == 1


def open_all(world: World, who: str) -> None:
    """Have all that one may read opened, also in a store that would ask its index."""

    def work(reader: GrantedReader) -> Answer[None]:
        list(reader.passes())
        return Answer([], lambda as_of: None)

    world.door.read(subject(who), "list", work)


def test_what_is_lent_takes_the_place_of_what_was_not_used_for_longest(filled: World) -> None:
    fill(filled, 0)
    memory, gone = filled.ground.resident, []
    open_all(filled, BOB)
    first = held(filled)
    open_all(filled, HAL)
    memory.limit(memory.size)
    assert not memory.lend(memory.budget // 2 + 1, lambda: gone.append("kept"), lambda: gone.append("let go"))
    assert memory.lend(memory.budget // 4, lambda: gone.append("kept"), lambda: gone.append("let go"))
    assert gone == ["kept"]
    assert memory.size + memory.lent <= memory.budget
    assert first - held(filled)
    agree(filled)


def test_what_a_question_needs_at_once_comes_before_what_is_lent(filled: World) -> None:
    fill(filled, 0)
    open_all(filled, HAL)
    memory, gone = filled.ground.resident, []
    opened = held(filled)
    size = memory.size
    # Room for what the size of a row is taken for when a few of them are open.
    memory.limit(size * 5 // 4)
    assert memory.lend(size // 2, lambda: None, lambda: gone.append("let go"))
    assert gone == []
    assert held(filled) < opened
    open_all(filled, HAL)
    assert gone == ["let go"]
    assert memory.lent == 0
    assert held(filled) == opened


def test_what_is_lent_and_not_used_goes_before_what_was_used_since(filled: World) -> None:
    fill(filled, 0)
    memory, gone = filled.ground.resident, []
    open_all(filled, HAL)
    every, size = held(filled), memory.size
    for used in (False, True):
        memory.limit(2 * size)
        assert memory.lend(size // 4, lambda: None, lambda: gone.append("let go"))
        open_all(filled, HAL)
        if used:
            memory.use_lent()
        memory.limit(size)
        assert gone == ["let go"]
        assert memory.size + memory.lent <= memory.budget
        assert (memory.lent, held(filled) == every) == ((size // 4, False) if used else (0, True))


def test_how_a_question_is_planned_does_not_hang_on_what_is_lent(filled: World) -> None:
    memory = filled.ground.resident
    before = memory.room
    assert memory.lend(memory.budget // 2, lambda: None, lambda: None)
    assert memory.room == before
