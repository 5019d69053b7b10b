"""Open the model that turns texts into vectors.

Promise: opening says which model it is, down to the bytes of its weights,
before any vector is made; a packaged model whose files are not the pinned
ones is refused. Nothing is ever fetched from a network. Model runtimes are
imported when a model is opened, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.errors import EmbedderUnavailable

DEFAULT_EMBEDDER = "minilm"


class Embedder(Protocol):
    """What turns texts into vectors."""

    @property
    def model(self) -> VectorModel:
        """Which model this is; stored with every vector."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one vector for each text.

        The vector of a text depends on that text alone, bit for bit, not on its neighbours: a hidden
        document must not move a visible one's score.

        Returns:
            float32 of shape (n, d), n = len(texts), rows of length 1 within 1e-6; n may be 0.
        """


def open_embedder(name: str = DEFAULT_EMBEDDER) -> Embedder:
    """Return the embedder of that name.

    Args:
        name: `minilm` (the packaged all-MiniLM-L6-v2 through sentence-transformers), `minilm-onnx` (the
            same weights through onnxruntime), `hash` (no model at all: for tests), the path of a folder
            that holds a SentenceTransformer, or the name of one that is in the local cache already.

    Raises:
        EmbedderUnavailable: A package or a file is missing; says which.
        WeightsChanged: The packaged model's files are not the pinned ones.
    """
    if name == "hash":
        from .hashed import HashEmbedder

        return HashEmbedder()
    if name == "minilm":
        from .minilm import open_minilm

        return open_minilm()
    if name == "minilm-onnx":
        from .minilm_onnx import open_minilm_onnx

        return open_minilm_onnx()
    from .transformer import open_transformer

    if not name or (not Path(name).is_dir() and name.count("/") > 1):
        raise EmbedderUnavailable(
            f"embedder: found {name!r}; expected 'minilm', 'minilm-onnx', 'hash', or a SentenceTransformer's folder"
        )
    return open_transformer(name)
