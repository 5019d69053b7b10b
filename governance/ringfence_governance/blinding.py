"""Blind vectors and words for an index on the disk, under keys of the store.

Promise: an index over what comes out answers as one over the plain would: the
rotation is orthogonal, so distances stay; equal words held equally often give
equal tokens. It hides neither distances nor which rows share words: see
docs/threat-model.md for what that is worth.

Source: DESIGN.md §5, *Seal*; docs/decisions/0015-indexed-stores.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from .seal import derive_from_all
from .store_modes import StoreMode

COUNT_MAX = 32
"""A word that a row holds so often or more gives one token; fewer times, one for each number of times."""
TOKEN_BYTES = 9
"""So long is a token before it is written in base 64: two of a store's words meet in one with odds of 2⁻⁷²."""


class Blinding:
    """The blinding of one store.

    Args:
        key: 32 bytes, the store's own.
        mode: Of an indexed store.
    """

    __slots__ = ("_dimensions", "_padded", "_rotation", "_tokens", "_words")

    def __init__(self, key: bytes, mode: StoreMode) -> None:
        self._dimensions, self._padded = mode.dimensions, mode.padded
        self._rotation = _orthogonal(derive_from_all({"blinding": key}, b"vectors"), mode.padded)
        self._words = derive_from_all({"blinding": key}, b"words")
        self._tokens: dict[tuple[str, int], str] = {}

    def __repr__(self) -> str:
        return "Blinding(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a blinding cannot be pickled")

    def rotated(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return vectors rotated, float32 of shape (n, p), p the length rounded up to a multiple of 8.

        Args:
            vectors: float32 of shape (n, d).
        """
        wide = np.zeros((len(vectors), self._padded), np.float64)
        wide[:, : self._dimensions] = vectors
        return (wide @ self._rotation).astype(np.float32)

    def text(self, words: Sequence[str]) -> str:
        """Return the tokens of a row's words, in no order that says anything, a blank between them."""
        return " ".join(sorted(self._token(word, count) for word, count in Counter(words).items()))

    def tokens(self, word: str) -> list[str]:
        """Return the tokens of a word: of one that a row holds once, twice, …, :data:`COUNT_MAX` times or more."""
        return [self._token(word, count) for count in range(1, COUNT_MAX + 1)]

    def _token(self, word: str, count: int) -> str:
        place = (word, min(count, COUNT_MAX))
        found = self._tokens.get(place)
        if found is None:
            raw = hmac.digest(self._words, bytes([place[1]]) + word.encode(), "sha256")[:TOKEN_BYTES]
            found = base64.urlsafe_b64encode(raw).decode()
            if len(self._tokens) < TOKENS_KEPT:
                self._tokens[place] = found
        return found


TOKENS_KEPT = 1 << 18
"""How many words' tokens are kept; others are made anew each time."""


def _orthogonal(seed: bytes, size: int) -> npt.NDArray[np.float64]:
    """Return a random orthogonal matrix, the same for the same seed whatever the version of a library.

    Source: Stewart, The Efficient Generation of Random Orthogonal Matrices, 1980 (the QR form).
    """
    normal = _normal(seed, size * size).reshape(size, size)
    found, upper = np.linalg.qr(normal)
    made: npt.NDArray[np.float64] = found * np.sign(np.diag(upper))
    return made


def _normal(seed: bytes, count: int) -> npt.NDArray[np.float64]:
    """Return normally distributed numbers: the bytes of SHAKE-256, by Box and Muller."""
    pairs = -(-count // 2)
    drawn = np.frombuffer(hashlib.shake_256(seed).digest(16 * pairs), "<u8").astype(np.float64)
    first, second = (drawn / 2.0**64).reshape(2, pairs)
    radius = np.sqrt(-2.0 * np.log(np.maximum(first, 2.0**-65)))
    angle = 2.0 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
