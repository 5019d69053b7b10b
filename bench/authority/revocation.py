"""How soon after a right is taken back is the answer no, in this process and in another?

Promise: a real store on disk; the right is taken back by the one call there is for it, and the answer asked for is
that of the next read's grant. A round in which the answer was ever wrong ends the run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.machine import peak_memory_bytes
from ringfence_governance.ground import Ground
from ringfence_governance.policy_changes import Reasoned, add_row, remove_row

from .clock import Clock, wall_of
from .partner import Partner, answer_all
from .stores import ADMIN, RIGHT, VISITOR, WATCHED, bundle_of, make

WHY = Reasoned("the benchmark asks for it")


class Revocation:
    """One store whose policy has so many rules.

    Args:
        rules: 0 for the default policy.
    """

    def __init__(self, folder: Path, rules: int) -> None:
        self._folder = folder
        self._made = Clock.new()
        self._ground: Ground = self._made.time(lambda: make(folder, bundle_of(rules)))
        self._atom = self._ground.moment().table.by_id[WATCHED.name].atom

    def made(self) -> dict[str, object]:
        """Return what the store holds, and how long making it took."""
        moment = self._ground.moment()
        return {
            "rules": moment.snapshot.index.rule_count,
            "journal_rows": len(self._ground.history()),
            "labels": len(moment.table),
            "made_s": self._made.wall[0],
            "peak_bytes": peak_memory_bytes(),
        }

    def grants(self, count: int) -> dict[str, object]:
        """Return how long a whole grant takes when nothing changed since the last one."""
        self._ground.grant(VISITOR, "read")
        return {"grant": [wall_of(partial(self._ground.grant, VISITOR, "read"))[0] for _ in range(count)]}

    def revocations(self, count: int) -> dict[str, object]:
        """Give the right and take it back; return how long the changes and the next grants took."""
        change, visible = Clock.new(), Clock.new()
        for _ in range(count):
            self._give()
            change.time(self._take)
            grant = visible.time(partial(self._ground.grant, VISITOR, "read"))
            if self._atom in grant.atoms:
                raise RuntimeError("the right was taken back and the next grant still had it")
        return {"change": change.wall, "visible": visible.wall, "visible_cpu": visible.cpu}

    def watched(self, count: int) -> dict[str, object]:
        """Give the right and take it back while another process looks; return how long it takes to see it.

        Seconds from when the call returned here; not below 0 where the other one saw it before that.
        """
        visible: list[float] = []
        with Partner(["bench.authority.watching", str(self._folder)]) as other:
            other.next()
            for _ in range(count):
                self._seen(other, self._give, allowed=True)
                visible.append(self._seen(other, self._take, allowed=False))
        return {"visible": visible}

    def _seen(self, other: Partner, change: Callable[[], None], *, allowed: bool) -> float:
        change()
        returned = time.perf_counter()
        seen = other.next()
        if seen["allowed"] is not allowed:
            raise RuntimeError(f"the other process saw {seen}; expected allowed {allowed}")
        return max(0.0, float(seen["at"]) - returned)

    def _give(self) -> None:
        add_row(self._ground, ADMIN, RIGHT, WHY)
        if self._atom not in self._ground.grant(VISITOR, "read").atoms:
            raise RuntimeError("the right was given and the next grant did not have it")

    def _take(self) -> None:
        remove_row(self._ground, ADMIN, RIGHT, WHY)


def main() -> None:
    """Make a store and answer questions about it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rules", type=int)
    given = parser.parse_args()
    store = Revocation(given.folder, given.rules)
    answer_all(
        {
            "made": store.made,
            "grants": store.grants,
            "revocations": store.revocations,
            "watched": store.watched,
        }
    )


if __name__ == "__main__":
    main()
