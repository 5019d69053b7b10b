"""Kill a process at an instant that a seed draws, and look at what the dead one left."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

from .dying import READERS, State
from .worlds import World, process


def killed(
    program: str, folder: Path, seed: int, instants: int, *, late_ms: float = 15.0
) -> list[dict[str, Any]]:
    """Run a program of `processes.py` over a closed store until it is killed; return what it said before.

    Args:
        instants: How many instants the program has when nobody kills it; one of them is drawn.
        late_ms: It dies at that instant, or up to so many milliseconds after it.
    """
    draw = random.Random(seed)
    instant, delay_ms = draw.randint(1, instants), draw.choice((0.0, 0.0, draw.uniform(0.0, late_ms)))
    print(f"seed {seed}: killed at instant {instant} of {instants}, {delay_ms:.2f} ms after it")
    with process(program, folder, str(instant), str(delay_ms)) as dying:
        said = dying.hear_out()
    # A delayed kill may come when all is done; one at the instant itself may not.
    assert dying.child.returncode == -signal.SIGKILL or (delay_ms and {"survived": True} in said)
    return said


def views(state: State) -> list[dict[str, str]]:
    """Path → text, as each reader should see it."""
    return [
        {path: text for path, (text, readers) in state.items() if readers == number}
        for number in range(len(READERS))
    ]


def seen(world: World) -> list[dict[str, str]]:
    """Path → text, as each reader sees it; everything he may read was opened."""
    found = []
    for who in READERS:
        look = world.see(who)
        assert sorted(look.chunks) == sorted(line for text in look.texts for line in text.splitlines(True))
        assert look.counts["documents"] == len(look.texts)
        found.append(dict(zip(look.paths, look.texts, strict=True)))
    return found


def unfinished(world: World) -> set[str]:
    """Runs whose START no other event follows."""
    lines = (world.path / "lineage" / "openlineage.jsonl").read_text().splitlines()
    events = [(event["run"]["runId"], event["eventType"]) for event in map(json.loads, lines)]
    return {run for run, kind in events if kind == "START"} - {run for run, kind in events if kind != "START"}
