"""A filter is a typed expression over what a reader is shown of his documents, and nothing else."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence import Filter, field
from ringfence_governance.document_facts import FACTS
from ringfence_governance.errors import InvalidInput
from ringfence_retrieval import filters
from ringfence_retrieval.questions import Question

DAYS = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 5)]
TEXTS = ["", "a", "A", "ab", "é", "z\U0001f600", "text/plain"]
DOCUMENTS = [
    {
        "path": f"docs/{number}.txt",
        "title": TEXTS[number % len(TEXTS)],
        "media_type": ("text/plain", "text/markdown", "message/rfc822")[number % 3],
        "modified": None if number % 5 == 0 else DAYS[number % 4],
        "size": (number * 7919) % 50,
        "source": ("file:///a", "file:///b")[number % 2],
        "source_kind": "folder",
    }
    for number in range(60)
]
TABLE = pa.Table.from_pylist(
    DOCUMENTS, pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in FACTS.items()])
)
COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Oracle = Callable[[dict[str, Any]], bool]


def values(name: str) -> st.SearchStrategy[Any]:
    kinds = {"size": st.integers(-1, 51), "modified": st.sampled_from(DAYS)}
    return kinds.get(name, st.sampled_from([*TEXTS, "docs/1", "docs/7.txt", "file:///a", "folder"]))


@st.composite
def compared(draw: st.DrawFn) -> tuple[Filter, Oracle]:
    name = draw(st.sampled_from(list(FACTS)))
    value, kind = draw(values(name)), draw(st.sampled_from([*COMPARE, "in", "prefix"]))
    if kind == "in":
        some = draw(st.lists(values(name), max_size=3))
        return field(name).isin(some), lambda document: document[name] in some
    if kind == "prefix" and name not in ("size", "modified"):
        return field(name).startswith(value), lambda document: document[name].startswith(value)
    kind = "!=" if kind == "prefix" else kind
    compare = COMPARE[kind]
    missing = kind == "!="
    return compare(
        field(name), value
    ), lambda document: missing if document[name] is None else compare(document[name], value)


def joined(children: st.SearchStrategy[tuple[Filter, Oracle]]) -> st.SearchStrategy[tuple[Filter, Oracle]]:
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda p: (p[0][0] & p[1][0], lambda d: p[0][1](d) and p[1][1](d))),
        pairs.map(lambda p: (p[0][0] | p[1][0], lambda d: p[0][1](d) or p[1][1](d))),
        children.map(lambda c: (~c[0], lambda d: not c[1](d))),
    )


def passing(where: Filter) -> list[bool]:
    columns, says = filters.passing(where)
    return list(says(TABLE.select(columns)))


@settings(max_examples=150, deadline=None)
@given(st.recursive(compared(), joined, max_leaves=8))
def test_a_filter_passes_what_python_passes(made: tuple[Filter, Oracle]) -> None:
    where, oracle = made
    assert passing(where) == [oracle(document) for document in DOCUMENTS]


@pytest.mark.parametrize(
    "name", ["sha256", "label_origin", "label", "atom", "id", "text", "run", "nothing", "", "PATH", None, 3]
)
def test_a_hidden_column_and_an_unknown_one_are_one_answer_that_names_the_known_ones(name: Any) -> None:
    with pytest.raises(InvalidInput) as told:
        field(name)
    assert str(told.value).replace(repr(name), "…") == (
        "column: found …; expected one of path, title, media_type, modified, size, source, source_kind"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: field("size") == "3",
        lambda: field("size") < 3.0,
        lambda: field("size") == True,  # noqa: E712
        lambda: field("size") == 2**63,
        lambda: field("size").startswith("1"),
        lambda: field("size").isin(["1"]),
        lambda: field("path") == 3,
        lambda: field("path") == None,  # noqa: E711
        lambda: field("path") == "\ud800",
        lambda: field("path") == "x" * 4097,
        lambda: field("path").isin("docs"),
        lambda: field("path").isin(3),
        lambda: field("path").startswith(b"docs"),
        lambda: field("modified") > "2026",
        lambda: field("modified") > "2026-01-31",
        lambda: field("modified") > datetime(2026, 1, 31),  # noqa: DTZ001
        lambda: field("modified") > datetime(2026, 1, 31, microsecond=1, tzinfo=UTC),
        lambda: field("modified") > datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))),
        lambda: field("modified").startswith("2026"),
        lambda: field("path").isin(["x"] * 3000),
        lambda: field("path") == field("title"),
    ],
)
def test_a_value_of_another_type_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput, match=r"found .*; expected|expected at most"):
        wrong()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, b: a and b,
        lambda a, b: not a,
        lambda a, b: 1 < field("size") < 3,
        lambda a, b: a & "path == 'x'",
        lambda a, b: a | None,
        lambda a, b: a & True,
    ],
)
def test_what_python_would_read_otherwise_is_refused(wrong: Callable[[Filter, Filter], object]) -> None:
    with pytest.raises(InvalidInput, match="brackets"):
        wrong(field("size") > 1, field("path") == "x")


def test_a_filter_is_bounded_in_depth_and_in_size() -> None:
    def deeper(made: Filter, size: int) -> Filter:
        return ~(made & (field("size") > size)) | (field("size") > 3)

    def wider(made: Filter, size: int) -> Filter:
        return made | (field("size") > size)

    with pytest.raises(InvalidInput, match="levels deep"):
        reduce(deeper, range(100), field("size") > 1)
    with pytest.raises(InvalidInput, match="at most 2000"):
        reduce(wider, range(3000), field("size") > 1)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Filter("==", "sha256", ("x",)),
        lambda: Filter("==", "size", ("x",)),
        lambda: Filter("==", "size", ()),
        lambda: Filter("eval", "path", ("x",)),  # type: ignore[arg-type]
        lambda: Filter("and", "path", ("x",)),
        lambda: Filter("and", parts=("x", "y")),  # type: ignore[arg-type]
    ],
)
def test_a_filter_made_by_hand_holds_only_what_may_be_in_one(made: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput):
        made()


@pytest.mark.parametrize("where", ["size > 3", True, field("size"), {"size": 3}, lambda document: True])
def test_what_is_no_filter_is_refused_by_a_question(where: Any) -> None:
    with pytest.raises(InvalidInput, match="where: found"):
        Question("pump", where=where)


def test_a_filter_of_another_class_is_refused_by_a_question() -> None:
    class Own(Filter):
        pass

    with pytest.raises(InvalidInput, match="where: found"):
        Question("pump", where=Own("==", "path", ("x",)))


def test_times_are_utc_whatever_zone_they_are_given_in() -> None:
    east = datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))
    assert (field("modified") >= east) == (field("modified") >= DAYS[1])
    question = Question("pump", since=east, until=DAYS[2])
    assert question.filter == (field("modified") >= DAYS[1]) & (field("modified") < DAYS[2])


def test_a_filter_prints_as_it_is_written() -> None:
    where = (field("media_type") == "text/plain") & ~(field("size") < 10) | field("path").isin(["a", "b"])
    assert repr(where) == (
        "(((field('media_type') == 'text/plain') & ~(field('size') < 10)) | field('path').isin(['a', 'b']))"
    )
    assert eval(repr(where), {"field": field}) == where


@pytest.mark.parametrize("score", ["1", True, float("nan"), float("inf"), 1j])
def test_a_minimum_score_is_a_finite_number(score: Any) -> None:
    with pytest.raises(InvalidInput, match="min_score"):
        Question("pump", min_score=score)
