"""Say which model made a vector, exactly enough that two models never mix.

Promise: two vectors may be compared only if their models are equal here: the
same name, the same bytes of weights, the same length. Nothing here loads a
model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InvalidInput

DIMENSIONS_MAX = 8192
"""Longest vector a store takes; today's longest common models give 4096."""

MODEL_ID_CHARS_MAX = 256

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VectorModel:
    """The identity of an embedding model. Equal means: vectors may be compared.

    Args:
        model_id: What it is called, such as `sentence-transformers/all-MiniLM-L6-v2`.
        weights_sha256: 64 lower-case hex digits over the weights it runs with.
        dimensions: Length of its vectors, from 1.

    Raises:
        InvalidInput: A field is malformed. No model is made.
    """

    model_id: str
    weights_sha256: str
    dimensions: int

    def __post_init__(self) -> None:
        model_id: object = self.model_id
        if not isinstance(model_id, str) or not 0 < len(model_id) <= MODEL_ID_CHARS_MAX:
            raise InvalidInput(
                f"model: found id {self.model_id!r}; expected text of 1 to {MODEL_ID_CHARS_MAX} characters"
            )
        weights: object = self.weights_sha256
        if not isinstance(weights, str) or not _SHA256.fullmatch(weights):
            raise InvalidInput(
                f"model {self.model_id!r}: found weights_sha256 {self.weights_sha256!r}; "
                "expected 64 lower-case hex digits"
            )
        if type(self.dimensions) is not int or not 1 <= self.dimensions <= DIMENSIONS_MAX:
            raise InvalidInput(
                f"model {self.model_id!r}: found {self.dimensions!r} dimensions; "
                f"expected an integer from 1 to {DIMENSIONS_MAX}"
            )

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return {
            "model_id": self.model_id,
            "weights_sha256": self.weights_sha256,
            "dimensions": self.dimensions,
        }

    @classmethod
    def from_mapping(cls, fields: Mapping[str, object]) -> VectorModel:
        """Return the model that :meth:`to_mapping` described.

        Raises:
            InvalidInput: A field is missing, unknown or malformed.
        """
        expected = {"model_id", "weights_sha256", "dimensions"}
        if set(fields) != expected:
            raise InvalidInput(
                f"model: found fields {sorted(map(str, fields))!r}; expected {sorted(expected)!r}"
            )
        return cls(**fields)  # type: ignore[arg-type]
