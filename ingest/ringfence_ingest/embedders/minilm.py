"""Run the packaged all-MiniLM-L6-v2 through sentence-transformers: the default embedder."""

from __future__ import annotations

from .minilm_files import MODEL, check_files, packaged_folder
from .transformer import TransformerEmbedder, load


def open_minilm() -> TransformerEmbedder:
    """Return the default embedder; its files are checked before anything is loaded.

    Raises:
        EmbedderUnavailable: The package with the weights, or sentence-transformers, is missing.
        WeightsChanged: A file is not the pinned one.
    """
    folder = packaged_folder()
    check_files(folder)
    return TransformerEmbedder(load(folder), MODEL)
