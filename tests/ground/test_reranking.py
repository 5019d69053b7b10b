"""A reranker puts the best into another order: one passage at a time, after the record, or nothing leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ringfence.reader import Reader
from ringfence_governance.errors import Gone, InvalidInput
from ringfence_retrieval.errors import RerankerFailed, RerankerUnavailable
from ringfence_retrieval.results import SearchResult

from .stocked_world import BOB, HAL, stocked_world
from .worlds import World, copy_world, draft, subject, vector

QUERY = "pump leak of the rotor"
TOP = 20


def of_text(question: str, text: str) -> float:
    """Return a score that follows from the two texts alone; some are equal."""
    return float(hashlib.sha256(f"{question}|{text}".encode()).digest()[0] % 16)


@dataclass
class Scripted:
    """A reranker that does as it is told, and keeps what it was shown."""

    answer: Callable[[str, str], Any] = of_text
    name: str = "scripted"
    shown: list[str] = field(default_factory=list)

    def score(self, question: str, text: str) -> float:
        self.shown.append(text)
        found: float = self.answer(question, text)
        return found


@pytest.fixture(scope="module")
def stocked(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    template = stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))
    world = copy_world(template, tmp_path_factory.mktemp("world") / "world")
    yield world
    world.door.close()


def reader_of(world: World, reranker: Scripted | None = None, who: str = HAL) -> Reader:
    return Reader(world.door, subject(who), vector, lambda: reranker)


def scores(result: SearchResult) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in result]


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_the_hits_are_the_best_ones_in_the_order_of_the_reranker_and_equal_ones_by_id(
    stocked: World, mode: Any
) -> None:
    model = Scripted()
    reader = reader_of(stocked, model)
    best = reader.search(QUERY, TOP, mode)
    found = reader.search(QUERY, TOP, mode, rerank=TOP, explain=True)
    assert sorted(model.shown) == sorted(hit.text for hit in best)
    expected = sorted((-of_text(QUERY, hit.text), hit.id) for hit in best)
    assert scores(found) == [(each, -score) for score, each in expected]
    assert len({score for _, score in scores(found)}) < len(found), "no two are equal: ties are not tried"
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    assert (found.plan or {})["reranker"] == "scripted"
    assert (found.plan or {})["k"] == TOP
    assert found.cursor is None
    few = reader.search(QUERY, 3, mode, rerank=TOP)
    assert scores(few) == scores(found)[:3]


def test_pages_go_on_through_what_was_reranked_and_no_further(stocked: World) -> None:
    reader = reader_of(stocked, Scripted())
    whole = scores(reader.search(QUERY, TOP, rerank=TOP))
    pages: list[tuple[str, float]] = []
    cursor = None
    for _ in range(3):
        page = reader.search(QUERY, 8, rerank=TOP, cursor=cursor)
        assert page[0].rank == len(pages) + 1
        pages += scores(page)
        cursor = page.cursor
    assert (pages, cursor) == (whole, None)
    first = reader.search(QUERY, 8, rerank=TOP)
    for other in ({}, {"rerank": TOP + 1}):
        with pytest.raises(InvalidInput, match="cursor"):
            reader.search(QUERY, 8, cursor=first.cursor, **other)
    with pytest.raises(InvalidInput, match="cursor"):
        reader_of(stocked, Scripted(name="another")).search(QUERY, 8, rerank=TOP, cursor=first.cursor)


def test_min_score_groups_and_filters_hold_with_a_reranker(stocked: World) -> None:
    reader = reader_of(stocked, Scripted())
    whole = scores(reader.search(QUERY, TOP, rerank=TOP))
    least = reader.search(QUERY, TOP, rerank=TOP, min_score=8)
    assert scores(least) == [each for each in whole if each[1] >= 8]
    assert 0 < len(least) < TOP
    grouped = reader.search(QUERY, 10, rerank=15, group_by="document")
    best = reader.search(QUERY, 15, group_by="document")
    assert {hit.id for hit in grouped} < {hit.id for hit in best}
    assert len({hit.document for hit in grouped}) == 10


def test_questions_asked_together_get_what_each_gets_alone(stocked: World) -> None:
    reader = reader_of(stocked, Scripted())
    queries = [QUERY, "valve", QUERY, "nothing of the sort"]
    alone = [reader.search(query, 5, rerank=9) for query in queries]
    assert list(reader.search_many(queries, 5, rerank=9)) == alone


def test_a_context_takes_the_best_of_what_was_reranked(stocked: World) -> None:
    model = Scripted()
    reader = reader_of(stocked, model)
    best = reader.search(QUERY, 5, rerank=TOP)
    model.shown.clear()
    found = reader.context(QUERY, k=5, rerank=TOP)
    assert {chunk for each in found for chunk in each.citation.chunks} == {hit.id for hit in best}
    assert found.passages[0].citation.document == best[0].document
    assert (found.found, found.limit) == (5, "k")
    (record,) = stocked.records()[-1:]
    assert (record["verb"], len(record["rows"])) == ("context", TOP)
    assert len(model.shown) == TOP
    # All that was reranked is in it, but there was more that was not looked for.
    assert reader.context(QUERY, 10_000, k=TOP, rerank=TOP).limit == "k"


def test_a_reranker_is_shown_what_the_durable_record_names_and_no_earlier(stocked: World) -> None:
    before = len(stocked.records())
    seen: list[Any] = []

    def look(question: str, text: str) -> float:
        seen.append(stocked.records()[before:])
        return of_text(question, text)

    model = Scripted(look)
    found = reader_of(stocked, model).search(QUERY, 2, rerank=7)
    best = {hit.id: hit.text for hit in reader_of(stocked).search(QUERY, 7)}
    assert [len(each) for each in seen] == [1] * 7
    (record,) = seen[0]
    assert set(record["rows"]) == set(best) > {hit.id for hit in found}
    assert sorted(model.shown) == sorted(best.values())
    assert "7 shown to scripted" in record["plan"]


SECRET = "the words of a passage"


def raising(question: str, text: str) -> float:
    raise ValueError(f"{SECRET}: {text}")


FAILURES: dict[str, Callable[[str, str], Any]] = {
    "an error": raising,
    "no number": lambda question, text: "high",
    "nothing": lambda question, text: None,
    "not a number": lambda question, text: float("nan"),
    "without end": lambda question, text: float("inf"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_of_a_reranker_that_fails_nothing_leaves_and_the_log_says_so(stocked: World, name: str) -> None:
    shown: list[str] = []

    def fail_late(question: str, text: str) -> Any:
        shown.append(text)
        return FAILURES[name](question, text) if len(shown) == 3 else 1.0

    reader = reader_of(stocked, Scripted(fail_late))
    for ask in (reader.search, lambda query, k, **more: reader.context(query, k=k, **more)):
        before = len(stocked.records())
        shown.clear()
        with pytest.raises(RerankerFailed) as failure:
            ask(QUERY, 3, rerank=5)  # type: ignore[operator]
        told, taken_back = stocked.records()[before:]
        assert (told["outcome"], len(told["rows"])) == ("allowed", 5)
        assert (taken_back["outcome"], taken_back["rows"]) == ("error", [])
        assert taken_back["detail"]["error"] == "RerankerFailed"
        assert not any(text in str(failure.value) for text in (SECRET, *shown))


def test_a_right_that_goes_while_passages_are_reranked_takes_them_along(stocked: World) -> None:
    rule = ("p", HAL, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "deny")

    def take(question: str, text: str) -> float:
        stocked.add(*rule)
        return of_text(question, text)

    reader = reader_of(stocked, Scripted(take))
    everything = reader_of(stocked).search(QUERY, 1000).readable
    try:
        found = reader.search(QUERY, 5, rerank=TOP)
        assert 0 < found.readable < everything
        assert scores(found) == scores(reader_of(stocked, Scripted()).search(QUERY, 5, rerank=TOP))
    finally:
        stocked.remove(*rule)


def test_what_no_reranking_is_is_refused(stocked: World) -> None:
    reader = reader_of(stocked, Scripted())
    for wrong in (0, -1, 201, 2.0, True, "5"):
        with pytest.raises(InvalidInput, match="rerank"):
            reader.search(QUERY, 1, rerank=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="k: found 10 with rerank=5"):
        reader.search(QUERY, 10, rerank=5)
    with pytest.raises(InvalidInput, match="k: found 50 with rerank=5"):
        reader.context(QUERY, rerank=5)
    for name in ("", "x" * 201, "a\nb", 7):
        with pytest.raises(InvalidInput, match="reranker: found the name"):
            reader_of(stocked, Scripted(name=name)).search(QUERY, 1, rerank=5)  # type: ignore[arg-type]
    with pytest.raises(RerankerUnavailable, match="no reranker was given"):
        reader_of(stocked).search(QUERY, 1, rerank=5)
    with pytest.raises(RerankerUnavailable, match="no reranker was given"):
        Reader(stocked.door, subject(HAL), vector).search_many([QUERY], 1, rerank=5)


def test_who_reads_nothing_shows_nothing(stocked: World) -> None:
    model = Scripted()
    found = reader_of(stocked, model, "acme/user:nobody").search("canteen", 3, "text", rerank=5)
    assert model.shown == [hit.text for hit in found]
    model.shown.clear()
    assert len(reader_of(stocked, model, "borealis/user:oz").search(QUERY, 3, rerank=5)) == 0
    assert model.shown == []


def test_a_context_and_a_reranking_of_an_earlier_time_are_of_its_rows(
    filled_template: World, tmp_path: Path
) -> None:
    world = copy_world(filled_template, tmp_path / "world")
    then = world.clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    world.clock.advance(60)
    world.put(draft("public.txt", "the canteen is closed"))
    with world.ingestion() as ingestion:
        assert ingestion.remove("project.txt")
    reader = reader_of(world, Scripted(), BOB)
    for more in ({}, {"rerank": 50}):
        assert "is closed" in reader.context("canteen offer", **more).text
        found = reader.context("canteen offer", at=then, **more).text
        assert "opens at nine" in found
        assert "is closed" not in found
        # What was removed since does not come back, though its label may still be read.
        assert "offer to meridian" not in found
    with pytest.raises(Gone):
        reader.context("offer", at="2020-01-01T00:00:00Z")
    with pytest.raises(InvalidInput, match="to come"):
        reader.context("offer", at="2999-01-01T00:00:00Z")
    world.door.close()
