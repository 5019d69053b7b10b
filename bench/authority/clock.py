"""How long did something take, on the wall and of this process's time, and what is typical of many times?

Promise: nothing is left out of a summary; a percentile is a value that was measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.machine import percentile

T = TypeVar("T")


@dataclass(slots=True)
class Clock:
    """Times of one kind.

    Args:
        cpu: Seconds of this process, all threads.
        wall: Seconds.
    """

    cpu: list[float]
    wall: list[float]

    @classmethod
    def new(cls) -> Clock:
        """Return one that has measured nothing."""
        return cls([], [])

    def time(self, work: Callable[[], T]) -> T:
        """Do something, keep how long it took, and return what it gave."""
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return done


def seconds_of(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many seconds of this process something took, and what it gave."""
    clock = Clock.new()
    done = clock.time(work)
    return clock.cpu[0], done


def wall_of(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many seconds on the wall something took, and what it gave. For what takes microseconds."""
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


def summary(times: Sequence[float], scale: float, *percents: int) -> dict[str, float]:
    """Return how many times there are, some percentiles and the largest, each multiplied by `scale`."""
    found: dict[str, float] = {
        f"p{percent}": round(percentile(times, percent) * scale, 3) for percent in percents
    }
    return {"count": len(times), **found, "max": round(max(times) * scale, 3)}
