"""Where time and randomness come from.

Promise: no public call takes a time, an id or a key. They come in here, once,
when a store is opened; a test may pass its own, a user of the SDK cannot.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Protocol

ID_BYTES = 16
"""128 bits: ids are random and never digests of content."""


class Randomness(Protocol):
    """Bytes that nobody can guess."""

    def draw(self, size: int, purpose: str, name: str) -> bytes:
        """Return `size` bytes; `purpose` and `name` say what for, and the default ignores them."""


class SystemRandomness:
    """The operating system's randomness."""

    def draw(self, size: int, purpose: str, name: str) -> bytes:
        """Return `size` bytes of os.urandom."""
        return os.urandom(size)


def wall_clock() -> datetime:
    """Return the time now, UTC, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ambient:
    """The world a store runs in.

    Args:
        clock: Returns UTC, aware.
        randomness: Ids and keys; nonces never come from here.
    """

    clock: Callable[[], datetime] = wall_clock
    randomness: Randomness = field(default_factory=SystemRandomness)

    def now(self) -> str:
        """Return the time as fixed-width text, UTC, to the second."""
        return _second_text(math.floor(self.clock().timestamp()))

    def now_precise(self) -> str:
        """Return the time as text, UTC, to the microsecond, for records."""
        return self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def new_id(self, purpose: str, name: str = "") -> str:
        """Return a fresh opaque id: 32 hexadecimal digits."""
        return self.randomness.draw(ID_BYTES, f"id:{purpose}", name).hex()

    def new_key(self, purpose: str, name: str = "") -> bytes:
        """Return a fresh key of 32 bytes."""
        return self.randomness.draw(32, f"key:{purpose}", name)


@lru_cache(maxsize=8)
def _second_text(seconds: int) -> str:
    """Return a second since 1970 as text; a busy store asks for the same one many times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def software_version() -> str:
    """Return the version of this software."""
    try:
        return importlib.metadata.version("ringfence")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
