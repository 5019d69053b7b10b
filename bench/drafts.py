"""Documents as the door takes them, from passages with their vectors and words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringfence_governance.drafts import ChunkDraft, DocumentDraft, LabelChoice


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage.

    Args:
        vector: float32, of the model's length.
        terms: What it is found by.
        tokens: How many it counts for.
    """

    text: str
    vector: npt.NDArray[np.float32]
    terms: tuple[str, ...]
    tokens: int


def draft_of(name: str, passages: Sequence[Passage], label: LabelChoice) -> DocumentDraft:
    """Return a plain text of these passages, each on a line of its own, under a label."""
    text, chunks, start = "\n".join(passage.text for passage in passages), [], 0
    for passage in passages:
        end = start + len(passage.text)
        chunks.append(ChunkDraft(start, end, passage.text, passage.vector, passage.terms, passage.tokens))
        start = end + 1
    return DocumentDraft(
        path=name,
        title=name,
        media_type="text/plain",
        modified=None,
        size=len(text),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        label=label,
        label_origin="explicit",
        parents=(),
        chunks=tuple(chunks),
    )
