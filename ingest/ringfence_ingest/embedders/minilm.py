"""Run the packaged all-MiniLM-L6-v2 through sentence-transformers: the default embedder."""

from __future__ import annotations

from . import minilm_files
from .transformer import TransformerEmbedder, load


def open_minilm() -> TransformerEmbedder:
    """Return the default embedder; its files are checked before anything is loaded.

    Raises:
        EmbedderUnavailable: The package with the weights, or sentence-transformers, is missing.
        WeightsChanged: A file is not the pinned one.
    """
    folder = minilm_files.packaged_folder()
    minilm_files.check_files(folder)
    return TransformerEmbedder(load(folder), minilm_files.MODEL)
