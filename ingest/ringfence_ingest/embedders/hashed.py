"""Make vectors without a model, from hashed words: for tests and for trying things out.

Promise: the same text gives the same vector on every machine. It knows no
meaning: two texts are near only if they share words.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ringfence_governance.terms import terms
from ringfence_governance.vector_models import VectorModel

HASH_DIMENSIONS = 64
_RECIPE = f"crc32 bag of english stems, sign by bit 31, {HASH_DIMENSIONS} dimensions, unit length, version 1"


class HashEmbedder:
    """Vectors from a signed, hashed bag of stemmed words."""

    @property
    def model(self) -> VectorModel:
        """Its name and the digest of its recipe, since it has no weights."""
        return VectorModel("ringfence/hash", hashlib.sha256(_RECIPE.encode()).hexdigest(), HASH_DIMENSIONS)

    def __repr__(self) -> str:
        return "HashEmbedder()"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit vector for each text; a text without words gets the first axis.

        Returns:
            float32 of shape (n, 64), n = len(texts); n may be 0.
        """
        vectors = np.zeros((len(texts), HASH_DIMENSIONS), dtype=np.float64)
        for row, text in zip(vectors, texts, strict=True):
            for term in terms(text):
                code = zlib.crc32(term.encode("utf-8"))
                row[code % HASH_DIMENSIONS] += 1.0 if code >> 31 else -1.0
            length = np.sqrt(np.dot(row, row))
            if length:
                row /= length
            else:
                row[0] = 1.0
        return vectors.astype(np.float32)
