"""A filtered answer is the whole answer without what does not pass, and nobody's score is another for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from ringfence import Filter, field
from ringfence_governance import resident, row_map, vector_scan
from ringfence_governance.document_facts import DIGEST, FACTS
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_retrieval import plans

from .stocked_world import BOB, HAL, NAMES, NOBODY, ask, documents, stocked_world
from .worlds import World, copy_world, subject, vector

FILTERS: dict[str, Filter] = {
    "kind": field("media_type") == "text/markdown",
    "not": ~(field("media_type") == "text/markdown"),
    "path": field("path").startswith("a/") & (field("size") > 0),
    "one": field("path").isin(["a/4.txt"]),
    "time": (field("modified") >= "2026-01-03T00:00:00Z") & (field("modified") < "2026-01-20T00:00:00Z"),
    "none": field("source_kind") == "url",
    "all": field("source_kind") == "folder",
}


@pytest.fixture(scope="module")
def stocked_template(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))


@pytest.fixture
def stocked(stocked_template: World, tmp_path: Any) -> Iterator[World]:
    world = copy_world(stocked_template, tmp_path / "world")
    yield world
    world.door.close()


def passes(where: Filter, metadata: dict[str, Any]) -> bool:
    """Say by brute force whether a document passes."""
    if where.kind == "not":
        return not passes(where.parts[0], metadata)
    if where.parts:
        return (all if where.kind == "and" else any)(passes(part, metadata) for part in where.parts)
    held, value = metadata[where.column], where.values[0]
    compared: dict[str, Callable[[], bool]] = {
        "==": lambda: held == value,
        "<": lambda: held < value,
        "<=": lambda: held <= value,
        ">": lambda: held > value,
        ">=": lambda: held >= value,
        "in": lambda: held in where.values,
        "prefix": lambda: held.startswith(value),
    }
    return held is not None and compared[where.kind]()


def agree(
    world: World, names: Sequence[str] = tuple(FILTERS), people: Sequence[str] = (HAL, BOB, NOBODY)
) -> None:
    chosen = {name: FILTERS[name] for name in names}
    for who in people:
        known = documents(world, who)
        for mode in ("vector", "text"):
            whole = ask(world, who, mode)
            for name, where in chosen.items():
                wanted = [(h.id, h.score) for h in whole if passes(where, known[h.document])]
                found = ask(world, who, mode, where=where)
                assert [(hit.id, hit.score) for hit in found] == wanted, (who, mode, name)
                assert (found.matching, found.readable) == (len(wanted), whole.readable)
                few = ask(world, who, mode, k=3, where=where)
                assert [(hit.id, hit.score) for hit in few] == wanted[:3], (who, mode, name)
                assert few.matching == len(wanted)
        for name, where in chosen.items():
            near = [h.id for h in ask(world, who, "vector", where=where)]
            worded = [h.id for h in ask(world, who, "text", where=where)]
            scores = {row: 1 / (60 + rank) for rank, row in enumerate(near, start=1)}
            for rank, row in enumerate(worded, start=1):
                scores[row] += 1 / (60 + rank)
            found = ask(world, who, "hybrid", where=where)
            best = sorted(scores, key=lambda row: (-scores[row], row))
            assert [(hit.id, hit.score) for hit in found] == [(row, scores[row]) for row in best], (who, name)


def test_a_filter_takes_away_and_changes_no_score(stocked: World) -> None:
    agree(stocked)


def test_it_does_so_when_rows_are_estimated_first_and_compiled(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "EVERY_ROW_MAX", 20)
    agree(stocked)
    assert vector_scan.load_kernels(len(vector("x")))
    agree(stocked)


def test_it_does_so_when_only_a_few_rows_fit_into_memory(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_map, "PART_ROWS_MAX", 5)
    stocked.ground.resident.limit(50 * resident.BYTES_PER_ROW)
    agree(stocked, ["kind", "none"], [BOB])


def test_a_minimum_score_cuts_the_end_off(stocked: World) -> None:
    for mode in ("vector", "text", "hybrid"):
        whole = ask(stocked, HAL, mode)
        middle = whole[len(whole) // 2].score
        found = ask(stocked, HAL, mode, min_score=middle)
        assert [hit.id for hit in found] == [hit.id for hit in whole if hit.score >= middle]
        assert 0 < len(found) < len(whole)
        assert not len(ask(stocked, HAL, mode, min_score=1e9))


def test_only_the_readers_own_documents_are_looked_at(stocked: World) -> None:
    """Blocks of several labels lie side by side once a reader of all of them has asked."""
    ask(stocked, HAL, "hybrid")

    def work(reader: GrantedReader) -> Answer[list[str]]:
        looked = [
            document
            for rows in reader.passes()
            for document in rows.documents(["id"]).facts["id"].to_pylist()
        ]
        return Answer([], lambda as_of: looked)

    for who in (HAL, BOB):
        looked = stocked.door.read(subject(who), "list", work)
        assert sorted(set(looked)) == sorted(documents(stocked, who))
    assert documents(stocked, HAL).keys() - documents(stocked, BOB).keys()
    assert len(stocked.ground.resident._segments()) < len(NAMES)


def test_a_block_keeps_of_the_metadata_what_may_be_asked_about_and_the_digest_and_no_text(
    stocked: World,
) -> None:
    ask(stocked, HAL, "hybrid")
    segments = stocked.ground.resident._segments()
    assert segments
    for segment in segments:
        assert set(segment.documents.column_names) == {"id", "atom", DIGEST, *FACTS}
        assert set(segment.chunks.column_names) == {"id", "run_id", "text"}
        # The text lies there as it does in the table.
        for row in segment.chunks.to_pylist():
            assert isinstance(row["text"], bytes)


def test_no_other_column_of_a_document_can_be_had_of_the_rows(stocked: World) -> None:
    def work(reader: GrantedReader) -> Answer[None]:
        for rows in reader.passes():
            for column in ("metadata", "run_id", "sha256"):
                with pytest.raises(ValueError, match="columns"):
                    rows.documents([column])
        return Answer([], lambda as_of: None)

    stocked.door.read(subject(HAL), "list", work)
