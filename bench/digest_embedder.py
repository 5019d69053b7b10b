"""Make vectors of a model's length without a model, so that the store's own cost shows.

Promise: the same text gives the same unit vector. It knows no meaning; exact search takes the same time
whatever the vectors mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ringfence_governance.vector_models import VectorModel

DIMENSIONS = 384


class DigestEmbedder:
    """Unit vectors of 384 numbers drawn from a seed that is the text's digest."""

    @property
    def model(self) -> VectorModel:
        """Its name; it has no weights."""
        return VectorModel("bench/digest", hashlib.sha256(b"version 1").hexdigest(), DIMENSIONS)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return float32 of shape (n, 384), rows of length 1; n may be 0."""
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
            drawn = np.random.Generator(np.random.SFC64(seed)).standard_normal(DIMENSIONS, np.float32)
            row[:] = drawn / np.linalg.norm(drawn)
        return vectors
