"""Run the packaged all-MiniLM-L6-v2 through onnxruntime, from the same pinned weights.

Promise: no converted file is stored or trusted: the graph is written here
from the checked safetensors each time, in under a second, and gives the same
vectors as sentence-transformers within 1e-6. No torch is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.errors import EmbedderUnavailable

from . import minilm_files
from .minilm_files import DIMENSIONS, MODEL, TOKENS_MAX, WEIGHTS_FILE

INSTALL = "pip install 'ringfence[onnx]'"

THREADS = 1
"""Threads for one text; see `ringfence_governance.torch_models.THREADS`."""


class OnnxMiniLM:
    """A session of onnxruntime and the model's tokenizer.

    Args:
        session: Takes token ids of shape (1, s), gives a vector of shape (1, 384).
        tokenizer: Cuts at 256 tokens, as the model expects.
    """

    def __init__(self, session: Any, tokenizer: Any) -> None:
        self._session = session
        self._tokenizer = tokenizer

    @property
    def model(self) -> VectorModel:
        """The same model as `minilm`: their vectors may be mixed."""
        return MODEL

    def __repr__(self) -> str:
        return "OnnxMiniLM()"

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit vector for each text, each run by itself.

        Returns:
            float32 of shape (n, 384), n = len(texts), rows of length 1 within 1e-6; n may be 0.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
            vectors[row] = self._session.run(None, {"ids": ids})[0][0]
        return vectors


def open_minilm_onnx() -> OnnxMiniLM:
    """Return the packaged model on onnxruntime; its files are checked before anything is loaded.

    Raises:
        EmbedderUnavailable: The weights' package, or one of the extra's packages, is missing.
        WeightsChanged: A file is not the pinned one.
    """
    folder = minilm_files.packaged_folder()
    minilm_files.check_files(folder)
    try:
        import onnxruntime
        from tokenizers import Tokenizer

        graph = _graph(folder)
    except ImportError as error:
        raise EmbedderUnavailable(
            f"embedder 'minilm-onnx': found no {error.name}; expected the extra 'onnx'; run: {INSTALL}"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    # Threads that spin while they wait take twice the CPU and are slower on a machine with other work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    return OnnxMiniLM(session, tokenizer)


def _graph(folder: Path) -> bytes:
    from safetensors.numpy import load_file

    from .minilm_graph import minilm_graph

    return minilm_graph(load_file(folder / WEIGHTS_FILE))
