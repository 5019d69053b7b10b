"""Turn an answer into a draft: check its text, cut it, embed it, name its words.

Promise: as for a document, each chunk is a slice of the text, and its vector
depends on it alone. Whether it may be written is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ringfence_governance.answers import MEDIA_TYPE, AnswerDraft
from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput

from .chunks import cut
from .drafting import check_vectors, chunk
from .parsed import short_title

ANSWER_CHARS_MAX = 1_000_000
"""Longest answer, in characters: more than any model writes at once."""

Embed = Callable[[str], npt.NDArray[np.float32]]
"""Turns a text into a vector of the store's model, float32 of shape (d,), length 1."""


def answer_draft(
    text: str,
    inputs: Sequence[str],
    embed: Embed,
    *,
    title: str = "",
    label: LabelChoice | None = None,
    language: str = "english",
    why: str = "",
) -> AnswerDraft:
    """Return an answer, ready for the door.

    Args:
        text: Kept as it is; Markdown is cut at its headings.
        inputs: Ids of the passages and documents it was made from.
        title: Control characters are dropped.

    Raises:
        InvalidInput: The text is none, is blank, too long, or holds what is no character.
        FileTrouble: The embedder gave something that is no vector of length 1.
    """
    _check(text)
    spans = cut(text, MEDIA_TYPE)
    vectors = np.stack([embed(span.text) for span in spans])
    check_vectors(vectors, (len(spans), vectors.shape[-1]))
    chunks = tuple(chunk(span, vector, language) for span, vector in zip(spans, vectors, strict=True))
    return AnswerDraft(text, short_title(title), chunks, tuple(dict.fromkeys(inputs)), label, why)


def _check(text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput("answer: found no text; expected the text of an answer")
    if len(text) > ANSWER_CHARS_MAX:
        raise InvalidInput(f"answer: found {len(text)} characters; expected at most {ANSWER_CHARS_MAX}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput("answer: found a lone surrogate, which is no character; expected Unicode text")
