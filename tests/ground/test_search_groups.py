"""The best passage of each document, and how many there are of each kind, are those of all that matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ringfence import field
from ringfence_governance import authority, reading, resident, row_map
from ringfence_governance.errors import InvalidInput, RecheckFailed
from ringfence_governance.label_table import LabelTable
from ringfence_retrieval import by_document, plans
from ringfence_retrieval.questions import Question

from .stocked_world import BOB, HAL, NOBODY, ask, documents, label_of, stocked_world
from .worlds import World, copy_world

COLUMNS = ["media_type", "source", "source_kind"]


@pytest.fixture(scope="module")
def template_of_groups(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    return stocked_world(filled_template, tmp_path_factory.mktemp("stocked"))


@pytest.fixture
def stocked(template_of_groups: World, tmp_path: Any) -> Iterator[World]:
    world = copy_world(template_of_groups, tmp_path / "world")
    yield world
    world.door.close()


def agree(world: World, who: str) -> None:
    known = documents(world, who)
    for mode in ("vector", "text", "hybrid"):
        for more in ({}, {"where": field("media_type") == "text/markdown"}):
            whole = ask(world, who, mode, **more, facets=COLUMNS)
            best: dict[str, Any] = {}
            for hit in whole:
                best.setdefault(hit.document, hit)
            wanted = [(hit.id, hit.score) for hit in best.values()]
            for k in (4, 1000):
                found = ask(world, who, mode, k, **more, group_by="document", facets=COLUMNS)
                assert [(hit.id, hit.score) for hit in found] == wanted[:k], (who, mode, k)
                assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
                assert found.matching == len(best)
                assert whole.facets is not None
                assert found.facets is not None
                for column in COLUMNS:
                    passages = Counter(known[hit.document][column] for hit in whole)
                    by_documents = Counter(known[document][column] for document in best)
                    assert (whole.facets[column].counts, found.facets[column].counts) == (
                        passages,
                        by_documents,
                    )
                    ordered = list(found.facets[column].counts.items())
                    assert ordered == sorted(ordered, key=lambda pair: (-pair[1], pair[0]))


def test_a_group_is_told_by_its_best_passage_and_facets_count_all_that_matches(stocked: World) -> None:
    for who in (HAL, BOB, NOBODY):
        agree(stocked, who)


def test_that_holds_when_an_estimate_would_have_been_first(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "EVERY_ROW_MAX", 4)
    agree(stocked, HAL)


def test_that_holds_when_only_a_few_rows_fit_into_memory(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_map, "PART_ROWS_MAX", 7)
    stocked.ground.resident.limit(60 * resident.BYTES_PER_ROW)
    agree(stocked, BOB)


def test_the_most_frequent_values_are_told_and_how_many_there_are(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ask(stocked, HAL, "vector", facets=["media_type"]).facets
    monkeypatch.setattr(by_document, "FACET_VALUES_MAX", 2)
    first = ask(stocked, HAL, "vector", facets=["media_type"]).facets
    assert whole is not None
    assert first is not None
    assert list(first["media_type"].counts.items()) == list(whole["media_type"].counts.items())[:2]
    assert first["media_type"].distinct == len(whole["media_type"].counts) == 3


def test_a_column_that_tells_documents_apart_is_not_counted() -> None:
    for facets in (["path"], ["title"], ["media_type", "size"], ["sha256"], "media_type", 3, [None]):
        with pytest.raises(InvalidInput, match="expected"):
            Question("pump", facets=facets)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="group_by"):
        Question("pump", group_by="path")  # type: ignore[arg-type]


def test_a_label_of_which_only_a_count_leaves_is_put_to_casbin_again(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Casbin says no to one label of the readable set: no hit is of it, and nothing leaves all the same."""
    (first,) = ask(stocked, HAL, "vector", k=1)
    documents_of = [row["path"] for row in documents(stocked, HAL).values() if row["path"][1] == "/"]
    readable = {label_of(path) for path in documents_of}
    (other,) = readable - {label_of(first.source.path)}
    refused = stocked.ground.moment().table.by_id[other].atom
    honest = authority.allowed

    def asked(snapshot: Any, who: Any, entry: Any, table: LabelTable, action: str, now: str) -> bool:
        return entry.atom != refused and honest(snapshot, who, entry, table, action, now)

    monkeypatch.setattr(reading.authority, "allowed", asked)
    assert [hit.id for hit in ask(stocked, HAL, "vector", k=1)] == [first.id]
    with pytest.raises(RecheckFailed):
        ask(stocked, HAL, "vector", k=1, facets=["media_type"])
