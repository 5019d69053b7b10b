"""What an engine that is compared has to do, and which engines there are.

Promise: an engine that is not installed is named, not left out; one that fails says why, and the rest goes on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from .question_sets import Cell

Kind = Literal["enforces", "filters if asked", "filters afterwards", "no reader"]
"""Who sees to it that a reader gets his rows alone: the engine, by a rule that it holds; the engine, if the application
passes the right filter; the application, after the answer. `no reader`: nobody, there is none."""


class NotInstalled(Exception):
    """A distribution that an engine needs is missing. Its text names it."""


@dataclass(slots=True)
class Answered:
    """What an engine answered.

    Args:
        rows: Numbers of rows, best first.
        scores: One for each.
        parts: Seconds of the time that are told apart.
    """

    rows: Sequence[int]
    scores: Sequence[float]
    parts: dict[str, float] = field(default_factory=dict)


Asked = Callable[[Any], Answered]
"""Asks one question, as one reader with one setting: the ten best rows he may read. The question is a vector, or words
and a vector, as the group's question set has them."""


class Engine(Protocol):
    """One way to ask.

    Attributes:
        title: For the table.
        kind: Who sees to it that the answer is right.
        knobs: Settings to choose from, by what the table calls them.
        tuned: Whether the one with the least time at the wanted recall is chosen for each reader; else the first.
    """

    title: str
    kind: Kind
    knobs: Mapping[str, Any]
    tuned: bool

    def reader(self, cell: Cell, knob: Any) -> Asked:
        """Make ready to ask as a reader with a setting: filter, mask or session are made here, outside the time."""


class Group(Protocol):
    """Engines over the same stored rows, in one process.

    What it builds and opens is a set of one kind: rows that are found by meaning, or those that have texts too.

    Attributes:
        kept: Whether what was built may be used by a later run: it follows from the rows and the versions alone.
        engines: By name, once it is open.
    """

    kept: bool
    engines: Mapping[str, Engine]

    def build(self, questions: Any, folder: Path) -> None:
        """Write the rows and their indexes into an empty folder.

        Raises:
            NotInstalled: Something is missing.
        """

    def open(self, questions: Any, folder: Path) -> None:
        """Open what was built."""

    def other_memory(self) -> int:
        """Return bytes of memory that it takes in processes of its own."""

    def close(self) -> None:
        """Let it go."""


GROUPS = ("ringfence", "pgvector", "qdrant", "zvec", "faiss", "lancedb")
"""Each is the group of the module `NAME_engines`."""


def group(name: str) -> Group:
    """Return a group by name, neither built nor opened."""
    found: Group = importlib.import_module(f"bench.peers.{name}_engines").made()
    return found


def needed(module: str, distribution: str) -> Any:
    """Import what an engine needs.

    Raises:
        NotInstalled: It is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotInstalled(f"not installed: {distribution}") from error
