"""Say where Lance tables lie, and when what was written there is safe from a power cut.

Promise: the two kinds of place, a folder and a bucket, answer the same questions;
what writes and reads tables does not know which it has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from . import durable_files
from .bucket import Bucket


class TablePlace(Protocol):
    """Where tables lie."""

    @property
    def uri(self) -> str:
        """The database's address, as Lance takes it."""

    @property
    def options(self) -> dict[str, str] | None:
        """What Lance is told to reach it; holds secrets."""

    def table(self, name: str) -> str:
        """Return a table's address, as Lance takes it."""

    def names(self, name: str | None = None) -> Collection[str]:
        """Return the files that are safe already, of one table or of all."""

    def make_safe(self, known: Collection[str], name: str | None = None) -> None:
        """Return when every file but the known ones would outlast a power cut."""

    def sizes(self, name: str, files: Collection[str]) -> Mapping[str, int]:
        """Return the sizes of some of a table's data files; one that is not there has none."""

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What of the tables may lie where it cannot be looked at."""

    def outside(self) -> Iterator[tuple[str, Callable[[], Iterable[bytes]]]]:
        """Yield every object of the store's that lies outside its folder: its name, and what reads it."""


@dataclass(frozen=True, slots=True, repr=False)
class FolderPlace:
    """Tables in a folder."""

    root: Path

    @property
    def uri(self) -> str:
        """The folder's path."""
        return str(self.root)

    @property
    def options(self) -> dict[str, str] | None:
        """None: a folder needs none."""
        return None

    def table(self, name: str) -> str:
        """Return the path of a table's folder."""
        return str(self._folder(name))

    def names(self, name: str | None = None) -> Collection[str]:
        """Return the files that are there."""
        return durable_files.names(self._folder(name))

    def make_safe(self, known: Collection[str], name: str | None = None) -> None:
        """Write every new file and its folder's entry to the disk; Lance itself never asks for that."""
        durable_files.sync_new(self._folder(name), known)

    def sizes(self, name: str, files: Collection[str]) -> Mapping[str, int]:
        """Return the sizes as the disk has them."""
        data = self._folder(name) / "data"
        return {file: (data / file).stat().st_size for file in files if (data / file).is_file()}

    elsewhere: ClassVar[tuple[str, ...]] = ()

    def outside(self) -> Iterator[tuple[str, Callable[[], Iterable[bytes]]]]:
        """Yield nothing: the folder is in the store's."""
        yield from ()

    def _folder(self, name: str | None) -> Path:
        return self.root if name is None else self.root / f"{name}.lance"


@dataclass(frozen=True, slots=True, repr=False)
class BucketPlace:
    """Tables in object storage: an object that was taken is durable, so there is nothing to wait for.

    Attributes:
        bucket: Where the tables lie.
        whole: The store's address; all that lies beneath it is looked at by an erasure.
    """

    bucket: Bucket
    whole: Bucket

    @property
    def uri(self) -> str:
        """The address."""
        return self.bucket.uri

    @property
    def options(self) -> dict[str, str] | None:
        """Endpoint, region, credentials and time limits."""
        return self.bucket.lance_options()

    def table(self, name: str) -> str:
        """Return a table's address."""
        return f"{self.bucket.uri}/{name}.lance"

    def names(self, name: str | None = None) -> Collection[str]:
        """Return nothing: none needs to be known."""
        return ()

    def make_safe(self, known: Collection[str], name: str | None = None) -> None:
        """Return at once."""

    def sizes(self, name: str, files: Collection[str]) -> Mapping[str, int]:
        """Return the sizes as the server has them."""
        there = self.bucket.beneath(f"{name}.lance").beneath("data").sizes()
        return {file: there[file] for file in files if file in there}

    elsewhere: ClassVar[tuple[str, ...]] = (
        "versions and copies that the bucket keeps of objects that were removed or replaced, if it is set to",
        "parts of uploads to the bucket that were never completed; it lists none of them",
    )

    def outside(self) -> Iterator[tuple[str, Callable[[], Iterable[bytes]]]]:
        """Yield every object beneath the store's address, whoever put it there."""
        for name in sorted(self.whole.sizes()):
            yield name, partial(self.whole.blocks, name)
