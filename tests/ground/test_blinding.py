"""What an indexed store writes in place of words and vectors."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ringfence_governance.blinding import COUNT_MAX, Blinding
from ringfence_governance.store_modes import StoreMode

from .every_row import WORDS
from .worlds import (
    INDEXED,
)


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
