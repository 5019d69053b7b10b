"""How much memory may opened rows take?

Promise: a setting that is no number of bytes is refused before a store is
opened; a smaller budget makes answers slower, never other.
"""

from __future__ import annotations

import os
import re

from .errors import InvalidInput
from .machine_memory import memory_bytes

MEMORY_VARIABLE = "RINGFENCE_MEMORY"
"""What opened rows may take if the one who opens the store says nothing."""
SHARE_OF_MEMORY = 4
"""Without a setting a quarter of the memory that the process may have."""
UNITS = {"": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
BYTES_MIN = 1 << 20
"""Less would open every question's rows one block at a time."""


def budget(memory: int | str | None) -> int:
    """Return the bytes that opened rows may take.

    Args:
        memory: Bytes, or a text such as `512MiB` or `2GB`; None asks the environment, then takes a share of the
            machine's memory.

    Raises:
        InvalidInput: It is no such number, or below 1 MiB.
    """
    if memory is None:
        memory = os.environ.get(MEMORY_VARIABLE) or None
        return memory_share() if memory is None else _bytes(memory, MEMORY_VARIABLE)
    return _bytes(memory, "memory")


def memory_share() -> int:
    """Return the bytes that opened rows may take where nothing is said: a share of the machine's memory."""
    return memory_bytes() // SHARE_OF_MEMORY


def _bytes(memory: object, name: str) -> int:
    found = memory if type(memory) is int else _read(memory)
    if found is None or found < BYTES_MIN:
        raise InvalidInput(
            f"{name}: found {memory!r}; expected at least {BYTES_MIN} bytes, as a number or as 512MiB or 2GB"
        )
    return found


def _read(memory: object) -> int | None:
    match = re.fullmatch(r"([0-9]{1,15})([A-Za-z]*)", memory, re.ASCII) if isinstance(memory, str) else None
    if match is None or match[2] not in UNITS:
        return None
    return int(match[1]) * UNITS[match[2]]
