"""A row's score depends on the row and the question alone, to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence_retrieval import ranking
from ringfence_retrieval.ranking import fused, ranked
from ringfence_retrieval.scoring import ROWS_PER_BLOCK, cosine_scores
from ringfence_retrieval.text_scoring import K1, B, bm25_scores


def rows(count: int, width: int = 384, seed: int = 7) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("width", [1, 2, 3, 64, 383, 384, 385])
def test_a_score_is_the_same_alone_and_among_others(width: int) -> None:
    vectors, query = rows(ROWS_PER_BLOCK + 37, width), rows(1, width, seed=8)[0]
    together = cosine_scores(vectors, query)
    for row in [0, 1, 2, ROWS_PER_BLOCK - 1, ROWS_PER_BLOCK, len(vectors) - 1]:
        assert cosine_scores(vectors[row : row + 1], query)[0].tobytes() == together[row].tobytes()
    half = cosine_scores(vectors[::2].copy(), query)
    assert half.tobytes() == together[::2].tobytes()


def test_a_score_is_the_inner_product() -> None:
    vectors, query = rows(50), rows(1, seed=9)[0]
    exact = [math.fsum(float(a) * float(b) for a, b in zip(row, query, strict=True)) for row in vectors]
    assert np.allclose(cosine_scores(vectors, query), exact, rtol=0, atol=1e-15)


def test_scoring_leaves_the_vectors_as_they_were() -> None:
    vectors, query = rows(5), rows(1, seed=9)[0]
    before = vectors.copy()
    cosine_scores(vectors, query)
    assert (vectors == before).all()


def test_no_rows_have_no_scores() -> None:
    assert cosine_scores(np.zeros((0, 384), np.float32), rows(1)[0]).shape == (0,)
    assert bm25_scores([], ["word"]) == []


def test_bm25_is_what_its_formula_says() -> None:
    texts = [["pump", "pump", "valve"], ["valve"], ["price", "list", "price", "price"]]
    average = 8 / 3
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    norm = K1 * (1 - B + B * 3 / average)
    assert bm25_scores(texts, ["pump"]) == pytest.approx([idf * 2 * (K1 + 1) / (2 + norm), 0.0, 0.0])


def test_every_row_that_holds_a_term_scores_above_zero_and_no_other() -> None:
    texts = [["common"]] * 50 + [["common", "rare"], ["other"]]
    scores = bm25_scores(texts, ["common"])
    assert all(score > 0 for score in scores[:51])
    assert scores[51] == 0.0


def test_a_repeated_query_term_counts_once() -> None:
    texts = [["pump", "price"], ["valve"]]
    assert bm25_scores(texts, ["pump", "pump"]) == bm25_scores(texts, ["pump"])


word = st.sampled_from(["pump", "valve", "price", "list", "seal"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(word, max_size=8), min_size=1, max_size=12), st.lists(word, min_size=1, max_size=5))
def test_the_order_of_rows_and_of_the_query_changes_no_score(
    texts: list[list[str]], query: list[str]
) -> None:
    scores = bm25_scores(texts, query)
    assert bm25_scores(texts[::-1], query[::-1]) == scores[::-1]


def by_hand(scores: np.ndarray, ids: np.ndarray) -> list[int]:
    return sorted(range(len(scores)), key=lambda row: (-scores[row], *ids[row].tolist()))


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores many of which are equal, and ids that differ in either half."""
    dice = np.random.default_rng(seed)
    ids = np.stack([dice.integers(0, 3, count), dice.permutation(count)], axis=1).astype(np.uint64)
    return dice.integers(0, max(count // 3, 1), count) / 7, ids


@pytest.mark.parametrize("count", [0, 1, 2, 17, 500])
def test_rows_are_ordered_by_score_then_id(count: int) -> None:
    for seed in range(20):
        scores, ids = drawn(seed, count)
        whole = by_hand(scores, ids)
        assert ranked(scores, ids).tolist() == whole
        for k in (1, 3, count, count + 1):
            assert ranked(scores, ids, k).tolist() == whole[:k]


@pytest.mark.parametrize("count", [1, 2, 17, 500])
def test_the_joined_score_is_the_sum_of_reciprocal_ranks_to_the_last_bit(count: int) -> None:
    for seed in range(20):
        meaning, ids = drawn(seed, count)
        words, _ = drawn(seed + 100, count)
        holding = np.flatnonzero(words > 0.3)
        expected = [0.0] * count
        orders = [by_hand(meaning, ids), [row for row in by_hand(words, ids) if words[row] > 0.3]]
        for order in orders:
            for rank, row in enumerate(order, start=1):
                expected[row] += 1.0 / (60 + rank)
        assert fused(meaning, words[holding], holding, ids).tolist() == expected


def test_only_so_many_of_each_order_have_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "RANKS", 3)
    meaning, ids = drawn(1, 20)
    words, _ = drawn(101, 20)
    holding = np.flatnonzero(words > 0.3)
    expected = [0.0] * 20
    for order in (by_hand(meaning, ids)[:3], [row for row in by_hand(words, ids) if words[row] > 0.3][:3]):
        for rank, row in enumerate(order, start=1):
            expected[row] += 1.0 / (60 + rank)
    assert fused(meaning, words[holding], holding, ids).tolist() == expected
