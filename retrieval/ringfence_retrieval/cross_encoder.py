"""Run a cross-encoder of sentence-transformers as a reranker, on the CPU.

Promise: no network is touched and no code of a model folder is run. Each pair
is run by itself, without padding, by one thread: its score is the same bits
whatever else is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ringfence_governance import torch_models
from ringfence_governance.model_files import files_sha256

from .errors import RerankerUnavailable
from .reranking import NAME_CHARACTERS_MAX

DIGITS_SHOWN = 12
"""Of the digest over the model's files, in its name."""


class CrossEncoderReranker:
    """A loaded CrossEncoder. Made by :func:`open_reranker`.

    Args:
        encoder: With one score for each pair.
        name: Of its folder, and of its bytes.
    """

    def __init__(self, encoder: Any, name: str) -> None:
        self._encoder = encoder
        self._name = name

    @property
    def name(self) -> str:
        """The folder's name and the beginning of a digest over its files."""
        return self._name

    def __repr__(self) -> str:
        return f"CrossEncoderReranker({self._name!r})"

    def score(self, question: str, text: str) -> float:
        """Return the model's score of a pair, as its own activation gives it; of a longer text, of its beginning."""
        with torch_models.running():
            found = self._encoder.predict([(question, text)], batch_size=1, show_progress_bar=False)
        return float(found[0])


def open_reranker(folder: str | Path) -> CrossEncoderReranker:
    """Return the CrossEncoder that was saved to a folder.

    Raises:
        RerankerUnavailable: sentence-transformers is missing, or there is no such model in the folder.
    """
    place = Path(folder)
    if not place.is_dir():
        raise RerankerUnavailable(
            f"reranker: found no folder {str(folder)!r}; expected one saved by CrossEncoder.save; "
            "nothing is fetched from a network"
        )
    encoder = torch_models.load(
        "CrossEncoder", place.resolve(), lambda found: RerankerUnavailable(f"reranker: {found}")
    )
    if encoder.num_labels != 1:
        raise RerankerUnavailable(
            f"reranker: found a model with {encoder.num_labels} outputs in {str(folder)!r}; expected one score a pair"
        )
    digest = files_sha256(place)[:DIGITS_SHOWN]
    return CrossEncoderReranker(encoder, f"{place.resolve().name[: NAME_CHARACTERS_MAX // 2]}@{digest}")
