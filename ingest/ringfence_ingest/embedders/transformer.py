"""Run a SentenceTransformer on the CPU, one text at a time.

Promise: no network is touched and no code of a model folder is run. A text's
vector does not depend on the texts beside it: each is run by itself, which on
a CPU is also the fastest way (docs/decisions/0006-embedder.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence_governance.model_files import files_sha256
from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.errors import EmbedderUnavailable

THREADS = 1
"""Threads for one text of some hundred tokens. Two wait for each other whenever the machine has other
work: measured at a load of 4 on 2 cores, 2.9 texts a second with two threads, 14.8 with one."""


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
        if not texts:
            return np.zeros((0, self._model.dimensions), dtype=np.float32)
        with _own_threads():
            found = self._transformer.encode(
                list(texts),
                batch_size=1,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        return np.asarray(found, dtype=np.float32)


@contextmanager
def _own_threads() -> Iterator[None]:
    """Run with :data:`THREADS`, then give the process its own number back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def open_transformer(name: str) -> TransformerEmbedder:
    """Return the SentenceTransformer at a folder, or of a name that is in the local cache.

    Raises:
        EmbedderUnavailable: There is none there, or its files cannot be read.
    """
    folder = _folder_of(name)
    transformer = load(folder)
    dimensions = int(transformer.encode(["a"], show_progress_bar=False).shape[1])
    return TransformerEmbedder(transformer, VectorModel(_id_of(name), files_sha256(folder), dimensions))


def load(folder: Path) -> Any:
    """Return the SentenceTransformer of a folder, on the CPU, without network and without foreign code.

    Raises:
        EmbedderUnavailable: sentence-transformers is missing or cannot load the folder.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise EmbedderUnavailable(
            f"embedder: found no {error.name}; expected it beside Ringfence; run: pip install sentence-transformers"
        ) from None
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(
            str(folder),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, ImportError, AttributeError, TypeError) as error:
        raise EmbedderUnavailable(
            f"embedder: found no loadable SentenceTransformer in {str(folder)!r} ({type(error).__name__}); expected "
            "a folder saved by SentenceTransformer.save, with safetensors"
        ) from None


def _folder_of(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name).resolve()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
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
