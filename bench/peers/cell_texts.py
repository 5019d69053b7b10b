"""Put times, and what was not there, into words: the same for every table of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NONE = "-"
Row = Mapping[str, Any]


def missing(found: Row) -> str:
    """Return which engines are in none of the tables, and why."""
    lines = [
        f"- `{group}`: {facts.get('missing') or 'failed: ' + facts['failed']}"
        for group, facts in found["groups"].items()
        if "missing" in facts or "failed" in facts
    ]
    lines += [
        f"- `{name}`: failed: {about['failed']}"
        for name, about in found["engines"].items()
        if "failed" in about
    ]
    lines += [
        f"- `{group}`, what hidden rows change: failed: {facts['twin_failed']}"
        for group, facts in found["groups"].items()
        if "twin_failed" in facts
    ]
    return "Not in the tables:\n\n" + "\n".join(lines) + "\n" if lines else "Every engine was there.\n"


def pair(reader: Row | None, part: str | None) -> str:
    """Return the median and the 95th percentile.

    Args:
        part: Of the time without a part that is told apart; None for all of it.
    """
    if reader is None:
        return NONE
    times = reader if part is None else reader[part]
    return f"{number(times['p50_ms'])} / {number(times['p95_ms'])}"


def number(milliseconds: float) -> str:
    """Return a time as a table has it."""
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
