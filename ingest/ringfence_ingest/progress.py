"""Say how far a run is, in numbers only.

Promise: progress holds counts and the source's place; no path, title or word
of a document, so it may be shown or logged anywhere the source's place may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringfence_governance.drafts import SourceIdentity


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Args:
        source: The source being read.
        source_number: From 1.
        sources: How many there are.
        documents: Items of this source dealt with, whatever came of them.
        expected: About how many it has, or None if it does not say.
        written: Documents written in the whole run so far.
        chunks: Chunks written in the whole run so far.
        reported: Files reported in the whole run so far.
    """

    source: SourceIdentity
    source_number: int
    sources: int
    documents: int
    expected: int | None
    written: int
    chunks: int
    reported: int


OnProgress = Callable[[Progress], None]
"""Called after each item. What it raises ends the run; what was published stays."""
