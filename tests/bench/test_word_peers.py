"""What the comparison by words counts and refuses: answers that move, and wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .runs import REPO

DEPTH = 20


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.peers import vector_sets
    from bench.peers.words import word_sets

    return word_sets.synthetic(vector_sets.synthetic(1000, (10.0, 100.0)), 300)


def right(words: Any, cell: int, mode: str, asked: Any, depth: int = DEPTH) -> tuple[list[int], list[float]]:
    """The right answer, from the product's own scores of single word lists."""
    from ringfence_retrieval.ranking import fused, ranked
    from ringfence_retrieval.text_scoring import bm25_scores

    own = np.flatnonzero(words.may_read(cell))
    scores = np.asarray(bm25_scores([words.row_words(row) for row in own], asked.text.split()))
    if mode == "hybrid":
        ids = np.stack([np.zeros(len(own), np.uint64), own.astype(np.uint64)], axis=1)
        held = np.flatnonzero(scores > 0)
        scores = fused(words.vectors[own].astype(float) @ asked.vector.astype(float), scores[held], held, ids)
        best = ranked(scores, ids, depth)
    else:
        best = np.argsort(-scores, kind="stable")[:depth]
    best = best[scores[best] > 0]
    return own[best].tolist(), scores[best].tolist()


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_the_reference_takes_the_right_answer_and_no_other(words: Any, mode: str) -> None:
    from bench.peers.words.reference import Reference, Wrong

    reference, checked = Reference(words, 0), 0
    hidden = int(np.flatnonzero(~words.may_read(0))[0])
    for asked in words.asked(0, mode):
        rows, scores = right(words, 0, mode, asked)
        reference.check(mode, asked, rows, scores, DEPTH)
        if len(set(scores)) < 2:
            continue
        checked += 1
        for bad_rows, bad_scores in (
            (rows[1:], scores[1:]),
            (rows[:-1], scores[:-1]),
            ([hidden, *rows[1:]], scores),
            ([rows[0], *rows[:-1]], scores),
            (rows, [scores[0] + 1e-6, *scores[1:]]),
            (rows[::-1], scores[::-1]),
        ):
            with pytest.raises(Wrong):
                reference.check(mode, asked, bad_rows, bad_scores, DEPTH)
    assert checked > 5


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_the_reference_misses_the_best_row(words: Any, mode: str) -> None:
    from bench.peers.words.reference import Reference, Wrong

    reference, found = Reference(words, 1), 0
    for asked in words.asked(1, mode):
        rows, scores = right(words, 1, mode, asked, DEPTH + 1)
        if len(rows) > DEPTH and scores[0] > scores[-1]:
            found += 1
            with pytest.raises(Wrong, match="none of a row that scores more"):
                reference.check(mode, asked, rows[1:], scores[1:], DEPTH)
    assert found


def test_scores_over_all_rows_are_not_those_over_the_readers(words: Any) -> None:
    """The reference knows raw BM25, cut to what may be read, from the right answer."""
    from bench.peers.words.reference import Reference, Wrong

    may_read, everything = words.may_read(0), 1
    assert words.may_read(everything).all()
    over_all, reference = Reference(words, everything), Reference(words, 0)
    found = 0
    for asked in words.asked(0, "text"):
        scores, _ = over_all.by_words(asked)
        best = [row for row in np.argsort(-scores, kind="stable") if scores[row] > 0 and may_read[row]][
            :DEPTH
        ]
        if best:
            found += 1
            with pytest.raises(Wrong, match="a score that is not the reference's"):
                reference.check("text", asked, [int(row) for row in best], scores[best].tolist(), DEPTH)
    assert found


def test_what_moves_is_counted_and_rows_of_equal_score_may_change_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.peers.words.measure import differences

    own = [10, 20, 30]
    full = [((10, 20, 30), (3.0, 2.0, 1.0))]
    assert differences(full, [((0, 1, 2), (3.0, 2.0, 1.0))], own) == counted(0, 0)
    assert differences(full, [((1, 0, 2), (3.0, 2.0, 1.0))], own) == counted(1, 1)
    assert differences(full, [((0, 1, 2), (3.0, 2.0, np.nextafter(1.0, 2.0)))], own) == counted(0, 1)
    assert differences(full, [((0, 1), (3.0, 2.0))], own) == counted(1, 0)
    tied = [((20, 10, 30), (2.0, 2.0, 1.0))]
    assert differences(tied, [((0, 1, 2), (2.0, 2.0, 1.0))], own) == counted(0, 0)


def counted(answers: int, scores: int) -> dict[str, int]:
    return {"questions": 1, "answers": answers, "scores": scores}


def test_a_set_of_one_readers_rows_holds_those_and_nothing_else(words: Any, tmp_path: Path) -> None:
    from bench.peers.words.word_sets import WordSet

    alone, own = words.alone(0)
    alone.save(tmp_path)
    again = WordSet.load(tmp_path)
    assert [again.text(row) for row in range(len(own))] == [words.text(row) for row in own]
    assert own == np.flatnonzero(words.may_read(0)).tolist()
    assert again.may_read(0).all()
    assert [each.text for each in again.asked(0, "text")] == [each.text for each in words.asked(0, "text")]
    word = again.row_words(0)[0]
    rows, counts = again.holding(word)
    assert dict(zip(rows.tolist(), counts.tolist(), strict=True)) == {
        row: again.row_words(row).count(word) for row in range(len(own)) if word in again.row_words(row)
    }


def test_every_word_is_one_to_every_engine(words: Any) -> None:
    from ringfence_governance.terms import terms

    for row in range(len(words.vectors)):
        assert terms(words.text(row), "none") == words.row_words(row)


def test_a_result_file_without_words_has_no_such_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.peers.page import page

    stored: dict[str, Any] = json.loads((REPO / "bench" / "results" / "peers.json").read_text("utf-8"))
    stored.pop("words", None)
    assert "## Search by words" not in page(stored)
    group = {"opened_s": 1.0}
    reader = {"p50_ms": 2.0, "p95_ms": 3.0, "questions": 4, "unreadable": 0, "short": 0}
    about = {
        "group": "zvec", "title": "zvec, filter", "kind": "filters if asked", "mode": "text",
        "readers": {"0": reader, "1": reader},
        "hidden": {"0": {"questions": 4, "answers": 1, "scores": 3}, "1": {"questions": 4, "answers": 0, "scores": 0}},
    }  # fmt: skip
    cells = [{"share": 10.0, "rows": 10}, {"share": 100.0, "rows": 100}]
    groups = {"zvec": group, "qdrant": {"twin_failed": "no answer within 300 s"}}
    found = {"rows": 100, "cells": cells, "groups": groups, "engines": {"zvec-text": about}}
    text = page({**stored, "words": {"synthetic": found}})
    assert text.startswith(page(stored))
    assert "- `qdrant`, what hidden rows change: failed: no answer within 300 s" in text
    assert "| zvec, filter | 25% / 75% | 0% / 0% |" in text
    assert "| zvec, filter | by words | filters if asked | 8 | 0 | 0 | 1 of 4 | 3 of 4 |" in text
