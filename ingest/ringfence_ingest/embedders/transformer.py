"""Run a SentenceTransformer on the CPU, one text at a time.

Promise: no network is touched and no code of a model folder is run. A text's
vector does not depend on the texts beside it: each is run by itself, which on
a CPU is also the fastest way (docs/decisions/0006-embedder.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence_governance import torch_models
from ringfence_governance.model_files import files_sha256
from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.errors import EmbedderUnavailable


class TransformerEmbedder:
    """A loaded SentenceTransformer.

    Args:
        transformer: Loaded, on the CPU.
        model: Which model it is.
    """

    def __init__(self, transformer: Any, model: VectorModel) -> None:
        self._transformer = transformer
        self._model = model

    @property
    def model(self) -> VectorModel:
        """Which model this is."""
        return self._model

    def __repr__(self) -> str:
        return f"TransformerEmbedder({self._model.model_id!r})"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit vector for each text.

        Returns:
            float32 of shape (n, d), n = len(texts), rows of length 1 within 1e-6; n may be 0.
        """
        vectors = np.zeros((len(texts), self._model.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = _vector(self._transformer, text)
        return vectors


def open_transformer(name: str) -> TransformerEmbedder:
    """Return the SentenceTransformer at a folder, or of a name that is in the local cache.

    Raises:
        EmbedderUnavailable: There is none there, or its files cannot be read.
    """
    folder = _folder_of(name)
    transformer = load(folder)
    dimensions = len(_vector(transformer, "a"))
    return TransformerEmbedder(transformer, VectorModel(_id_of(name), files_sha256(folder), dimensions))


def load(folder: Path) -> Any:
    """Return the SentenceTransformer of a folder, on the CPU, without network and without foreign code.

    Raises:
        EmbedderUnavailable: sentence-transformers is missing or cannot load the folder.
    """
    return torch_models.load(
        "SentenceTransformer", folder, lambda found: EmbedderUnavailable(f"embedder: {found}")
    )


def _vector(transformer: Any, text: str) -> npt.NDArray[np.float32]:
    with torch_models.running():
        found = transformer.encode(
            [text], normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
    return np.asarray(found[0], dtype=np.float32)


def _folder_of(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name).resolve()
    torch_models.stay_offline()
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise EmbedderUnavailable(f"embedder {name!r}: found no folder and no {error.name}") from None
    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError):
        raise EmbedderUnavailable(
            f"embedder: found no folder {name!r} and no model of that name on this machine; expected 'minilm', "
            "'minilm-onnx', 'hash', or a SentenceTransformer's folder; nothing is fetched from a network"
        ) from None


def _id_of(name: str) -> str:
    return Path(name).resolve().name if Path(name).is_dir() else name
