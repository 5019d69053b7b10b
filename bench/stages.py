"""Where does the time of one governed search, or of another act, go?

Promise: the stages are timed around the functions that run anyway; nothing is left out or replaced.
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from ringfence_governance import as_of, block_opening, read_records, reading
from ringfence_governance.ground import Ground
from ringfence_retrieval import search

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("authorise", Ground, "grant"),
    ("scan and open", block_opening, "open_parts"),
    ("score", search, "_found"),
    ("rank", search, "ranked"),
    ("check again", reading, "_recheck"),
    ("as_of", as_of, "handle"),
    ("record", read_records, "append"),
    ("fetch hits", reading.GrantedReader, "passages"),
)
"""Name of the stage, where its function stands, and the function's name."""

NAMES = tuple(name for name, _, _ in STAGES)


class Stages:
    """Seconds of the current search, by stage; a stage inside another counts for the outer one.

    Args:
        stages: As `STAGES`, which are those of a search.
    """

    def __init__(self, stages: Sequence[tuple[str, Any, str]] = STAGES) -> None:
        self._stages = stages
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = False

    @contextmanager
    def watched(self) -> Iterator[Stages]:
        """Time the stages while the block runs."""
        patches = [
            patch.object(place, name, self._timed(stage, place, name)) for stage, place, name in self._stages
        ]
        for each in patches:
            each.start()
        try:
            yield self
        finally:
            for each in patches:
                each.stop()

    def taken(self) -> dict[str, float]:
        """Return the seconds since the last call, and begin anew."""
        taken, self.seconds = dict(self.seconds), defaultdict(float)
        return taken

    def _timed(self, stage: str, place: Any, name: str) -> Callable[..., Any]:
        original = getattr(place, name)

        @functools.wraps(original)
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return original(*arguments, **named)
            self._inside = True
            started = time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                self.seconds[stage] += time.perf_counter() - started
                self._inside = False

        return timed
