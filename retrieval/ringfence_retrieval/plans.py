"""Say how a question is answered, by how many rows its reader may read.

Promise: a plan follows from the question and the number of readable rows
alone, never from what is resident, how fast the machine is or what else the
store holds. Every plan gives the same answer, but for `index`, which an indexed
store takes when the rows do not fit into memory: it may miss a row by meaning,
unless a phrase says which there are, and never admits or misjudges one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

EVERY_ROW_MAX = 1024
"""By meaning, so many rows are scored outright; measured in docs/decisions/0013-resident-blocks.md."""

Mode = Literal["vector", "text", "hybrid"]
PlanName = Literal["nothing", "every row", "estimate first", "rows with a word", "both orders", "index"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one question is answered.

    Args:
        name: `nothing`: no row is readable, nothing is opened. `every row`: each is scored by the exact
            routine; always, if the best of each document is wanted. `estimate first`: all that an estimate with
            its bound cannot exclude are. `rows with a word`: those that hold a word of the question. `both
            orders`: every row by meaning, those with a word by words, the first ranks of each joined. `index`: those
            an index finds.
        rows: How many rows are readable, exactly.
        k: How many hits are wanted, with those of the pages before.
        room: How many rows may be opened at once; None in a sealed store, or if the exact answer is asked for.
        complete: Whether no readable row that should be a hit can be missed.
        outright: Up to how many rows each is scored outright, as it was measured; None for :data:`EVERY_ROW_MAX`.
    """

    name: PlanName
    rows: int
    k: int
    room: int | None = None
    complete: bool = True
    outright: int | None = None

    @property
    def every_row_max(self) -> int:
        """Up to how many rows each is scored outright."""
        return every_row_max(self.k, self.outright)

    @property
    def thresholds(self) -> dict[str, int]:
        """What decides between plans."""
        room = {} if self.room is None else {"opened_max": self.room}
        return {"every_row_max": self.every_row_max, **room}

    def to_mapping(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return {"name": self.name, "rows": self.rows, "k": self.k, "thresholds": self.thresholds}


def planned(
    mode: Mode,
    k: int,
    rows: int,
    *,
    grouped: bool = False,
    room: int | None = None,
    outright: int | None = None,
    phrased: bool = False,
) -> Plan:
    """Return the plan for a question.

    Args:
        rows: How many the reader may read.
        grouped: Whether only the best row of each document is wanted.
        room: How many may be opened at once before an index is asked; None if there is none to ask.
        outright: Up to how many rows each is scored outright, as it was measured; None if it never was.
        phrased: Whether only rows that hold a phrase are wanted; an index misses none of those.
    """
    if rows == 0:
        return Plan("nothing", rows, k, room, outright=outright)
    if room is not None and rows > room:
        return Plan("index", rows, k, room, complete=mode == "text" or phrased, outright=outright)
    name: PlanName = "rows with a word" if mode == "text" else "both orders"
    if mode == "vector":
        name = "every row" if grouped or rows <= every_row_max(k, outright) else "estimate first"
    return Plan(name, rows, k, room, outright=outright)


def every_row_max(k: int, outright: int | None = None) -> int:
    """Return up to how many rows each is scored outright when `k` are wanted.

    Args:
        outright: As it was measured; None if it never was.
    """
    return max(k, EVERY_ROW_MAX if outright is None else outright)
