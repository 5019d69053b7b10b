"""Measure how long it takes to say who may read under a label, with ten thousand actors in the tenant.

Promise: both ways answer the same labels of one policy in turn, within one run: as shipped, where actors whom
no condition tells apart share one answer of Casbin, and with each of them asked about by himself. The answers
are compared; a difference ends the run.

    python -m bench.authority.listing [--quick]
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any
from unittest import mock

from bench.command import Command
from bench.machine import noted_machine
from bench.policy_world import NOW, TENANTS, world
from ringfence_governance import listings
from ringfence_governance.label_table import LabelTable
from ringfence_governance.matcher_tree import NotCompilable
from ringfence_governance.shared_answers import SharedKeys
from ringfence_governance.snapshot import Snapshot

PEOPLE, QUICK_PEOPLE = 10_000, 50
"""Of each tenant."""
LABELS, QUICK_LABELS = 3_000, 30
ASKED, QUICK_ASKED = 5, 2
SEED = 20


def main() -> None:
    """Read the command line, measure, write result file and page, print the page."""
    command = Command("python -m bench.authority.listing", __doc__, "who.json", "bench-who.md", page)
    given = command.parser().parse_args()
    sizes = (QUICK_PEOPLE, QUICK_LABELS, QUICK_ASKED) if given.quick else (PEOPLE, LABELS, ASKED)
    command.carry_out(given, lambda: measured(*sizes))


def measured(people: int, labels: int, asked: int) -> dict[str, Any]:
    """Return the times of some labels of one tenant, both ways."""
    where = noted_machine()
    made = world(labels, people * TENANTS, SEED, per_person=1)
    snapshot = Snapshot.build(made.rows())
    table = LabelTable(1, made.labels)
    of_tenant = [entry for entry in made.labels.values() if entry.tenant == "t0" and entry.named]
    rows = []
    for entry in random.Random(SEED).sample(of_tenant, asked):
        started = time.perf_counter()
        shared = listings.who_may(snapshot, table, entry, "read", NOW)
        between = time.perf_counter()
        with mock.patch.object(SharedKeys, "key", side_effect=NotCompilable("measured without")):
            alone = listings.who_may(snapshot, table, entry, "read", NOW)
        ended = time.perf_counter()
        if shared != alone:
            raise SystemExit(f"the two ways differ for {entry.label_id}")
        rows.append(
            {"readers": len(shared.readers), "shared_s": between - started, "alone_s": ended - between}
        )
    return {"people": people, "rules": people * TENANTS, "rows": rows, "machine": where}


def page(results: Mapping[str, Any]) -> str:
    """Return the page of a run."""
    lines = [
        "# Who may read: what it costs",
        "",
        f"A tenant of {results['people']:,} people, a policy of {results['rules']:,} rules over ten tenants; labels",
        "drawn at random. Made by `python -m bench.authority.listing`; the page holds nothing else.",
        f"Load of the machine before the run: {results['machine']['load_before']}"
        f"{'' if results['machine']['quiet'] else ', not quiet'}.",
        "",
        "| may read | shared answers, s | each asked alone, s | ratio |",
        "|---|---|---|---|",
        *(
            f"| {row['readers']:,} | {row['shared_s']:.2f} | {row['alone_s']:.2f} | "
            f"{row['shared_s'] / row['alone_s']:.2f} |"
            for row in results["rows"]
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
