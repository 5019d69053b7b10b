"""What keeps the master key of a store, and uses it for us.

Promise: nothing here hands out a master key. A provider wraps and unwraps
with it, so that one whose keys never leave it (a KMS) does as well as a file.

A provider is called once for each generation that a process opens: it wraps
one key-encryption key for each, and that wraps the keys of labels and store.

Source: DESIGN.md §5; docs/decisions/0011-keys.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

FIRST_GENERATION = 1


@dataclass(frozen=True, slots=True)
class Retirement:
    """What became of a master key that is retired.

    Args:
        generation: Which one.
        destroyed: Whether nothing can be unwrapped with it any more, by anybody but who copied it before.
        note: What is left to do, or until when it could be brought back; empty if nothing.
    """

    generation: int
    destroyed: bool
    note: str = ""


class KeyProvider(Protocol):
    """The master key of one store, in generations numbered from 1."""

    def wrap(self, generation: int, plain: bytes, context: bytes) -> bytes:
        """Return `plain` wrapped under a generation, bound to `context`.

        Raises:
            KeyUnavailable: There is no such generation, or it cannot be used.
        """

    def unwrap(self, generation: int, wrapped: bytes, context: bytes) -> bytes:
        """Return what was wrapped under a generation for this `context`.

        Raises:
            KeyUnavailable: There is no such generation, it cannot be used, or it does not open this.
        """

    def generations(self) -> tuple[int, ...]:
        """Return the generations it has, ascending."""

    def newest(self) -> int:
        """Return the newest generation it has; 0 if none."""

    def new_generation(self, after: int) -> int:
        """Return a generation newer than `after`, durable when this returns.

        One that an interrupted rotation left is used rather than making another.

        Raises:
            KeyUnavailable: None can be had; the message says how to provide one.
        """

    def retire(self, generation: int) -> Retirement:
        """Destroy a generation as far as this provider can, and say how far that is."""

    def describe(self) -> dict[str, str]:
        """Return `kind` and what names the key; no secret."""


class StoreKeys(Protocol):
    """The store's own keys, from whichever format of the key database."""

    def store_key(self, purpose: str) -> bytes:
        """Return one of them.

        Raises:
            StoreCorrupt: It is missing or does not open.
            KeyUnavailable: The master key is not the one it was wrapped under.
        """
