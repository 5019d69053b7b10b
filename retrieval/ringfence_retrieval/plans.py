"""Say how a question is answered, by how many rows its reader may read.

Promise: a plan follows from the question and the number of readable rows
alone, never from what is resident, how fast the machine is or what else the
store holds; every plan gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

EVERY_ROW_MAX = 1024
"""By meaning, so many rows are scored outright; measured in docs/decisions/0013-resident-blocks.md."""

Mode = Literal["vector", "text", "hybrid"]
PlanName = Literal["nothing", "every row", "estimate first", "rows with a word", "both orders"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one question is answered.

    Args:
        name: `nothing`: no row is readable, nothing is opened. `every row`: each is scored by the exact
            routine; always, if the best of each document is wanted. `estimate first`: all that an estimate with
            its bound cannot exclude are. `rows with a word`: those that hold a word of the question. `both
            orders`: every row by meaning, those with a word by words, their ranks joined.
        rows: How many rows are readable, exactly.
        k: How many hits are wanted, with those of the pages before.
    """

    name: PlanName
    rows: int
    k: int

    @property
    def thresholds(self) -> dict[str, int]:
        """What decides between plans."""
        return {"every_row_max": every_row_max(self.k)}

    def to_mapping(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return {"name": self.name, "rows": self.rows, "k": self.k, "thresholds": self.thresholds}


def planned(mode: Mode, k: int, rows: int, *, grouped: bool = False) -> Plan:
    """Return the plan for a question.

    Args:
        rows: How many the reader may read.
        grouped: Whether only the best row of each document is wanted.
    """
    if rows == 0:
        return Plan("nothing", rows, k)
    if mode == "text":
        return Plan("rows with a word", rows, k)
    if mode == "hybrid":
        return Plan("both orders", rows, k)
    return Plan("every row" if grouped or rows <= every_row_max(k) else "estimate first", rows, k)


def every_row_max(k: int) -> int:
    """Return up to how many rows each is scored outright when `k` are wanted."""
    return max(k, EVERY_ROW_MAX)
