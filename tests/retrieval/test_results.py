"""A result is an Arrow table first; data frames are made of it."""

from __future__ import annotations

import sys

import pyarrow as pa
import pytest

from ringfence_governance.errors import InvalidInput
from ringfence_retrieval.results import Facet, Hit, SearchResult, Source

HITS = tuple(
    Hit(
        f"{number:032x}",
        "d" * 32,
        Source("offer.txt", "An offer", 10 * number, 10 * number + 8, "r" * 32, "folder"),
        number,
        1 / number,
        f"passage {number}",
        "acme/label:x" if number == 1 else None,
    )
    for number in (1, 2, 3)
)
COLUMNS = ["rank", "score", "id", "document", "path", "title", "start", "end", "run", "kind", "text", "label"]


def result(*hits: Hit, **more: object) -> SearchResult:
    return SearchResult(hits, 9, 5, True, "0" * 32, **more)  # type: ignore[arg-type]


def test_a_table_has_a_row_for_each_hit_with_all_that_cites_it() -> None:
    table = result(*HITS).to_arrow()
    assert table.column_names == COLUMNS
    assert table.to_pylist() == [
        {
            **{name: getattr(hit, name) for name in ("rank", "score", "id", "document", "text", "label")},
            **{name: getattr(hit.source, name) for name in ("path", "title", "start", "end", "run", "kind")},
        }
        for hit in HITS
    ]


def test_a_table_of_no_hits_has_the_same_columns_and_types() -> None:
    assert result().to_arrow().schema == result(*HITS).to_arrow().schema
    assert result().to_arrow().num_rows == 0


def test_whatever_takes_arrow_takes_a_result() -> None:
    assert pa.table(result(*HITS)) == result(*HITS).to_arrow()  # type: ignore[arg-type]


def test_pandas_gets_the_same_rows() -> None:
    frame = result(*HITS).to_pandas()
    assert list(frame.columns) == COLUMNS
    assert frame["id"].tolist() == [hit.id for hit in HITS]
    assert frame["label"].isna().tolist() == [False, True, True]


def test_polars_gets_the_same_rows() -> None:
    frame = result(*HITS).to_polars()
    assert frame.columns == COLUMNS
    assert frame["score"].to_list() == [hit.score for hit in HITS]
    assert frame.to_arrow().to_pylist() == result(*HITS).to_arrow().to_pylist()


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named_with_what_to_do(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidInput, match=f"{package} cannot be loaded") as told:
        getattr(result(*HITS), f"to_{package}")()
    assert told.value.hint == f"pip install 'ringfence[{package}]'"


def test_a_result_prints_what_was_found_and_of_how_much() -> None:
    assert repr(result(HITS[0])).startswith(
        "SearchResult(1 of 5 matching passages, 9 readable passages\n  Hit("
    )
    grouped = result(HITS[0], group_by="document", facets={"media_type": Facet({"text/plain": 5}, 1)})
    assert repr(grouped).startswith("SearchResult(1 of 5 matching documents, 9 readable passages")
    assert grouped.to_mapping()["facets"] == {"media_type": {"counts": {"text/plain": 5}, "distinct": 1}}
