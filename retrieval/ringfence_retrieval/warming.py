"""Open beforehand what a reader's questions will need, so that his first one does not wait for it.

Promise: what is opened is what his search would open, by his own grant; what
he is told follows from his own rows and the memory setting alone, not from
what others' questions left open.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ringfence_governance import stopping
from ringfence_governance.door import Door
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.stopping import TimeLimit
from ringfence_governance.subjects import Subject

from .candidates import Embed

WORD = "prewarm"
"""What the embedder is asked, so that its model is loaded."""


@dataclass(frozen=True, slots=True)
class Warmed:
    """What was opened for a reader.

    Args:
        readable: How many passages he may read.
        within_budget: Whether so many fit into the memory that opened passages may take, at 6,000 bytes each: then
            all are open. Else those of one pass are; in an indexed store none, as its index is asked.
        as_of: Opaque; equal as long as the reader's own data is.
    """

    readable: int
    within_budget: bool
    as_of: str

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def prewarm(
    door: Door, subject: Subject, embed: Embed, limit: TimeLimit | None = None, *, lineage: bool = False
) -> Warmed:
    """Open the passages a reader may read, as far as memory goes, and load the embedder.

    Args:
        lineage: Also hold lineage in memory if it fits, for walks; whether it did hangs on all rows, and is not told.

    Raises:
        AuditUnavailable: The record could not be made durable.
        TimedOut, Cancelled: It was to stop; what was opened until then stays open.
    """

    def work(reader: GrantedReader) -> Answer[Warmed]:
        readable = reader.count("chunks")
        fits = readable <= reader.memory_room
        if readable and (fits or reader.room is None):
            # Further passes would push out what the first one opened.
            next(reader.passes(), None)
        if readable:
            with stopping.within(None):
                embed(WORD)
        if readable and lineage:
            reader.open_lineage()
        return Answer(
            rows=[],
            finish=lambda as_of: Warmed(readable, fits, as_of),
            plan="prewarm",
            counts={"readable": readable},
        )

    return door.read(subject, "prewarm", work, limit=limit)
