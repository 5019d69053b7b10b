"""Say which kind of store one is: sealed through and through, or with an index on the disk.

Promise: a store's kind is chosen when it is made and never changes; the
weaker kind is named as weaker wherever it shows.

Source: DESIGN.md §5, *Seal*; docs/decisions/0015-indexed-stores.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import InvalidInput, StoreCorrupt
from .vector_models import DIMENSIONS_MAX

Mode = Literal["sealed", "indexed"]
MODES: tuple[Mode, ...] = get_args(Mode)
BLINDING = "blinding"
"""What the key of an indexed store's vectors and words is for; no sealed store has one."""
GROUP = 8
"""Lance's index takes vectors whose length is a multiple of this."""

WEAKER = (
    "indexed: who may ingest and can read the files learns from his own documents which words others' hold, "
    "and with as many known vectors as they are long, every vector"
)
"""What whoever chooses `indexed` has to know; shown by `init` and `status`."""


def as_mode(name: str) -> Mode:
    """Return a mode by its name.

    Raises:
        InvalidInput: It is none.
    """
    for mode in MODES:
        if mode == name:
            return mode
    raise InvalidInput(f"mode: found {name!r}; expected one of {', '.join(MODES)}")


@dataclass(frozen=True, slots=True)
class StoreMode:
    """The kind of a store.

    Args:
        name: `sealed`, or `indexed`.
        dimensions: Length of its vectors; of an indexed store only, whose tables are made for it. Else 0.

    Raises:
        InvalidInput: The name is none, or the length is not as said.
    """

    name: Mode = "sealed"
    dimensions: int = 0

    def __post_init__(self) -> None:
        as_mode(self.name)
        if self.indexed and not 1 <= self.dimensions <= DIMENSIONS_MAX:
            raise InvalidInput(
                f"mode: found {self.dimensions} dimensions; expected 1 to {DIMENSIONS_MAX} for an indexed store"
            )
        if not self.indexed and self.dimensions:
            raise InvalidInput("mode: found dimensions for a sealed store; expected none")

    @property
    def indexed(self) -> bool:
        """Whether rotated vectors and blinded words lie on the disk."""
        return self.name == "indexed"

    @property
    def padded(self) -> int:
        """Length of its rotated vectors."""
        return -(-self.dimensions // GROUP) * GROUP

    def to_mapping(self) -> dict[str, object]:
        """Return the fields for the store's marker."""
        return {"mode": self.name, **({"dimensions": self.dimensions} if self.indexed else {})}

    @classmethod
    def from_mapping(cls, fields: Mapping[str, object]) -> StoreMode:
        """Return the kind that a marker says.

        Raises:
            StoreCorrupt: It says none that can be.
        """
        name, dimensions = fields.get("mode"), fields.get("dimensions", 0)
        if not isinstance(name, str) or type(dimensions) is not int:
            raise StoreCorrupt("store: its marker names no mode that can be")
        try:
            return cls(name, dimensions)  # type: ignore[arg-type]
        except InvalidInput as error:
            raise StoreCorrupt(f"store: its marker is damaged: {error}") from None


SEALED = StoreMode()
