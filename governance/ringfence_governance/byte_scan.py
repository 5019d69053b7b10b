"""Look for byte strings in every file beneath some folders, and in every object of a bucket.

Promise: every byte of every file and object is read, and what was looked at is said:
names, sizes and digests. A file that cannot be read is an error, never left
out; one that vanishes while it is read is reported as such.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, StoreError

PATTERN_BYTES_MIN = 6
"""Shorter ones stand in any large file by accident."""
PATTERN_BYTES_MAX = 4096
BLOCK_BYTES = 4 << 20
"""How much of a file is looked at together; the blocks overlap by the longest pattern."""


Readable: TypeAlias = tuple[str, Callable[[], Iterable[bytes]]]
"""The name of a file or an object, and what reads it from its beginning, block by block."""


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One file as it was looked at."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was looked at, and what was found.

    Args:
        files: Every file, by name.
        vanished: Files that were listed and gone when they were read: of a log that was emptied, or of a reader.
        found: (kind of pattern, name of the file), sorted; each pair once.
    """

    files: tuple[FileSeen, ...]
    vanished: tuple[str, ...]
    found: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 over names, sizes and digests of all files."""
        lines = "".join(f"{file.name}\0{file.size}\0{file.sha256}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()


class Patterns:
    """Byte strings to look for, each with a kind, laid out so that many cost little more than one.

    Raises:
        InvalidInput: One is shorter or longer than the bounds.
    """

    __slots__ = ("_by_prefix", "_first_two", "_prefixes", "longest")

    def __init__(self, kinds: Mapping[bytes, str]) -> None:
        for pattern in kinds:
            if not PATTERN_BYTES_MIN <= len(pattern) <= PATTERN_BYTES_MAX:
                raise InvalidInput(
                    f"canary: found {len(pattern)} bytes; expected {PATTERN_BYTES_MIN} to {PATTERN_BYTES_MAX}; "
                    "shorter ones stand in files by accident"
                )
        self._by_prefix: dict[int, list[tuple[bytes, str]]] = {}
        self._first_two = np.zeros(1 << 16, np.bool_)
        for pattern, kind in kinds.items():
            prefix = int.from_bytes(pattern[:PATTERN_BYTES_MIN], "big")
            self._by_prefix.setdefault(prefix, []).append((pattern, kind))
            self._first_two[int.from_bytes(pattern[:2], "big")] = True
        self._prefixes = np.array(sorted(self._by_prefix), np.uint64)
        self.longest = max(map(len, kinds), default=PATTERN_BYTES_MIN)

    def kinds_in(self, block: bytes) -> set[str]:
        """Return the kinds of all patterns that stand in a block."""
        data = np.frombuffer(block, np.uint8)
        if len(data) < PATTERN_BYTES_MIN or not len(self._prefixes):
            return set()
        starts = data[: len(data) - PATTERN_BYTES_MIN + 1].astype(np.uint16) << np.uint16(8)
        starts |= data[1 : len(data) - PATTERN_BYTES_MIN + 2]
        places = np.flatnonzero(self._first_two[starts])
        places = places[np.isin(_prefixes_at(data, places), self._prefixes)]
        return {
            kind
            for place in places.tolist()
            for pattern, kind in self._by_prefix[
                int.from_bytes(block[place : place + PATTERN_BYTES_MIN], "big")
            ]
            if block.startswith(pattern, place)
        }


def scan(folders: Mapping[str, Path], patterns: Patterns, objects: Iterable[Readable] = ()) -> Scanned:
    """Read every file beneath the folders, and objects that lie elsewhere.

    Args:
        folders: How names of its files begin → folder.
        objects: Each with its name; one that is gone by now raises FileNotFoundError when it is read.

    Raises:
        StoreError: A file or an object cannot be read.
    """
    seen: list[FileSeen] = []
    vanished: list[str] = []
    found: set[tuple[str, str]] = set()
    for name, blocks in chain(_files(folders), objects):
        try:
            file, kinds = _read(name, blocks(), patterns)
        except FileNotFoundError:
            vanished.append(name)
            continue
        except OSError as error:
            raise StoreError(f"a file of the store cannot be scanned ({error.strerror}): {name}") from None
        seen.append(file)
        found.update((kind, name) for kind in kinds)
        found.update((kind, name) for kind in patterns.kinds_in(name.encode()))
    return Scanned(tuple(seen), tuple(vanished), tuple(sorted(found)))


def _files(folders: Mapping[str, Path]) -> Iterator[Readable]:
    for prefix, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() or path.is_symlink():
                yield f"{prefix}/{path.relative_to(folder)}", partial(_blocks, path)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _read(name: str, blocks: Iterable[bytes], patterns: Patterns) -> tuple[FileSeen, set[str]]:
    digest = hashlib.sha256()
    kinds: set[str] = set()
    size, kept = 0, b""
    for block in blocks:
        digest.update(block)
        size += len(block)
        kinds |= patterns.kinds_in(kept + block)
        kept = (kept + block)[1 - patterns.longest :]
    return FileSeen(name, size, digest.hexdigest()), kinds


def _prefixes_at(data: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint64]:
    found = np.zeros(len(places), np.uint64)
    for offset in range(PATTERN_BYTES_MIN):
        found = (found << np.uint64(8)) | data[places + offset]
    return found
