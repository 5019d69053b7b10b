"""Put a result file of the authority benchmark into words and tables.

Promise: every number on the page is in the file; whether a target is met is computed from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.page import machine_line, table

Facts = Mapping[str, Any]

COLD_TARGET_MS = 10.0
WARM_TARGET_US = 50.0
REVOKED_TARGET_MS = 10.0
GROWTH_MAX = 1.25
"""Times over policies that differ in rules which do not concern the subject are called equal up to this ratio."""

HEAD = """# Benchmark: authority

Made by `make bench-authority` (`python -m bench.authority`) from [bench/results](../bench/results/authority.json);
`python -m bench.authority --render` makes this page from that file again. Do not edit it by hand.

**What is measured.** Every read rests on one question: which labels may this subject read now? The answer is compiled
from the matcher of `model.conf`, and each label of a result is put to Casbin once more
([why](decisions/0008-compiler.md)). This page says what the answer costs the first time and when it is kept, what one
decision costs, what Casbin by itself would take, how soon a right that was taken back is gone, and what a process pays
when it opens a store.

**The policies** come from a seed ({seed}): ten tenants; a fifth as many people as rules, most in one to six teams, some
in dozens, some in none; teams in departments, those in divisions; labels in one to three sets, with owners, readers,
levels and compartments. 10 % of the rules deny, 15 % hold for some time only, 20 % for one purpose only.

**Machine.** {machine}
"""

READING = """
**How to read it.** The machine is shared and its speed wanders, so ratios within this run mean more than times. All
sizes are asked in turn, {rounds} rounds. *CPU* is the time of the process, *wall* that of a clock; what takes
microseconds or waits for the disk is wall time. A percentile is one of the values measured.
"""


def page(results: Facts) -> str:
    """Return the page of one result file."""
    settings = results["settings"]
    parts = [
        HEAD.format(seed=settings["seed"], machine=machine_line(results["machine"])),
        READING.format(rounds=settings["rounds"]),
        "\n## Targets\n\n",
        _targets(results),
        "\n## What a subject may read\n",
        _sets(results["sets"]),
        "\n## Rules that do not concern the subject\n",
        _foreign(results["foreign"]),
        "\n## One decision, and Casbin by itself\n",
        _decisions(results["sets"]),
        "\n## Making it, changing it, and memory\n",
        _made(results["sets"]),
        "\n## How soon a right that was taken back is gone\n",
        _revoked(results["revocation"]),
        "\n## Opening a store\n",
        _opened(results["opening"]),
    ]
    return "".join(parts)


def _targets(results: Facts) -> str:
    square = [row for row in results["sets"] if row["labels"] == row["rules"]]
    size = max(square or results["sets"], key=lambda row: row["rules"])
    growth = _growth(results["foreign"]["rows"])
    foreign = results["foreign"]["rows"]
    rows = [
        (
            f"readable set, first time for a subject, at {_size(size)}: p50 up to {COLD_TARGET_MS:g} ms",
            f"{size['cold_cpu_ms']['p50']:.1f} ms CPU, {size['cold_wall_ms']['p50']:.1f} ms wall",
            size["cold_wall_ms"]["p50"] <= COLD_TARGET_MS,
        ),
        (
            f"the same, from {foreign[0]['rules']:,} to {foreign[-1]['rules']:,} rules of which only those that "
            f"do not concern the subject grow: p50 does not grow (here: up to {GROWTH_MAX:g} times)",
            f"{growth:.2f} times",
            growth <= GROWTH_MAX,
        ),
        (
            f"readable set, kept: up to {WARM_TARGET_US:g} µs, at every size",
            ", ".join(f"{row['warm_us']['p50']:.1f}" for row in results["sets"]) + " µs p50",
            all(row["warm_us"]["p50"] <= WARM_TARGET_US for row in results["sets"]),
        ),
        (
            f"the same as a whole grant of a store on disk, when nothing changed: up to {WARM_TARGET_US:g} µs",
            ", ".join(f"{row['grant_us']['p50']:.1f}" for row in results["revocation"]) + " µs p50",
            all(row["grant_us"]["p50"] <= WARM_TARGET_US for row in results["revocation"]),
        ),
        *(
            (
                f"a right taken back is gone within the process, {_store(row)}: p99 up to {REVOKED_TARGET_MS:g} ms",
                f"{row['visible_ms']['p99']:.1f} ms, {row['visible_cpu_ms']['p99']:.1f} ms CPU",
                row["visible_ms"]["p99"] <= REVOKED_TARGET_MS,
            )
            for row in results["revocation"]
        ),
    ]
    return table(["target", "measured", ""], [[*row[:2], "met" if row[2] else "**not met**"] for row in rows])


def _growth(rows: Sequence[Facts]) -> float:
    return float(rows[-1]["cold_cpu_ms"]["p50"] / rows[0]["cold_cpu_ms"]["p50"])


def _sets(rows: Sequence[Facts]) -> str:
    head = ["labels by rules", "links", "readable p5 / p50 / p95", "groups p50 / p95", "first ever, ms"]
    head += ["cold, CPU ms p50 / p95 / max", "cold, wall ms p50 / p95", "kept, µs p50 / p95"]
    body = [
        [
            _size(row),
            f"{row['links']:,}",
            " / ".join(f"{row['readable'][name]:,}" for name in ("p5", "p50", "p95")),
            f"{row['groups']['p50']} / {row['groups']['p95']}",
            f"{row['first_ever_ms']:.0f}",
            _times(row["cold_cpu_ms"], "p50", "p95", "max"),
            _times(row["cold_wall_ms"], "p50", "p95"),
            _times(row["warm_us"], "p50", "p95"),
        ]
        for row in rows
    ]
    return (
        f"\nOf {rows[0]['cold_cpu_ms']['count']} people, each asked for the first time, for a purpose or none. *First "
        "ever* is the first question to a new label table, which makes its posting lists. *Kept* is the same set "
        "again, until policy, labels or the time change; a whole grant of a store is in the table of stores below.\n\n"
        f"{table(head, body)}"
    )


def _foreign(foreign: Facts) -> str:
    rows = foreign["rows"]
    first = rows[0]["cold_cpu_ms"]["p50"]
    body = [
        [
            f"{row['rules']:,}",
            _times(row["cold_cpu_ms"], "p50", "p95"),
            f"{row['cold_cpu_ms']['p50'] / first:.2f}",
        ]
        for row in rows
    ]
    return (
        f"\nThe same people and labels over growing policies: {foreign['concerning']['p50']} rules (p50) name somebody "
        "the subject is or belongs to, in each of them; all others name other people and teams of the same tenants, "
        f"and the same labels and sets. The sets are equal ({foreign['readable']['p50']:,} labels, p50).\n\n"
        f"{table(['rules', 'cold, CPU ms p50 / p95', '÷ first row'], body)}"
    )


def _decisions(rows: Sequence[Facts]) -> str:
    head = ["labels by rules", "first, µs p50 / p95", "kept, µs p50 / p95", "stock, ms a label"]
    head += ["stock ÷ first", "stock, all labels (extrapolated)", "÷ readable set, cold"]
    body = []
    for row in rows:
        stock = row["stock"]
        whole_s = stock["all_labels_s_extrapolated"]
        body.append(
            [
                _size(row),
                _times(row["decided_first_us"], "p50", "p95"),
                _times(row["decided_kept_us"], "p50", "p95"),
                f"{stock['label_ms']:,.1f} ({stock['labels_asked']} labels)",
                f"{stock['label_ms'] * 1e3 / row['decided_first_us']['p50']:,.0f}",
                _long(whole_s),
                f"{whole_s * 1e3 / row['cold_cpu_ms']['p50']:,.0f}",
            ]
        )
    disagreed = sum(row["disagreed"] for row in rows)
    count = sum(row["decided_first_us"]["count"] + row["stock"]["labels_asked"] for row in rows)
    return (
        "\n*First* is Casbin's `enforce_ex` with the rules that can match, *kept* the same request again. *Stock* is "
        "`casbin.Enforcer.enforce` over all rules, which a listing would ask for each label: measured on some labels "
        "and **extrapolated** to all. Readable sets, single decisions and stock Casbin were compared on "
        f"{count:,} labels; they disagreed on {disagreed}.\n\n"
        f"{table(head, body)}"
    )


def _made(rows: Sequence[Facts]) -> str:
    head = [
        "labels by rules",
        "rows checked, s",
        "index, s",
        "whole snapshot, s",
        "label table, s",
        "laid out, s",
    ]
    head += ["memory held, MiB", "peak, MiB"]
    body = [
        [
            _size(row),
            *(
                f"{row[name]:.2f}"
                for name in ("checked_s", "indexed_s", "snapshot_s", "table_s", "segments_s")
            ),
            f"{row['resident_bytes'] / 2**20:,.0f}",
            f"{row['peak_bytes'] / 2**20:,.0f}",
        ]
        for row in rows
    ]
    kinds = list(rows[0]["changed_us"])
    changed = [
        [
            _size(row),
            *(_times(row["changed_us"][kind], "p50", "p95") for kind in kinds),
            *(f"{row['set_after_change_ms'][kind]['p50']:.1f}" for kind in kinds),
        ]
        for row in rows
    ]
    changed_head = ["labels by rules", *(f"{kind}, µs p50 / p95" for kind in kinds)]
    changed_head += [f"set after {kind}, ms" for kind in kinds]
    return (
        "\nCPU seconds, each once, in a process of its own for each size; memory is what the process holds, or held at "
        f"most, above the {rows[0]['before_bytes'] / 2**20:.0f} MiB that Python and the packages take, the made-up "
        "rows and labels included.\n\n"
        f"{table(head, body)}"
        "\nOne row added or removed, as a new snapshot beside the old one; then the readable set of anybody over it, "
        "cold, p50.\n\n"
        f"{table(changed_head, changed)}"
    )


def _revoked(rows: Sequence[Facts]) -> str:
    head = ["policy", "journal rows", "the change, ms p50 / p99", "gone in this process, ms p50 / p99 / max"]
    head += ["the same, CPU ms p50 / p99"]
    head += ["gone in another process, ms p50 / p99", "grant when nothing changed, µs p50 / p95"]
    body = [
        [
            f"{row['rules']:,} rules",
            f"{row['journal_rows']:,}",
            _times(row["change_ms"], "p50", "p99"),
            _times(row["visible_ms"], "p50", "p99", "max"),
            _times(row["visible_cpu_ms"], "p50", "p99"),
            _times(row["visible_elsewhere_ms"], "p50", "p99"),
            _times(row["grant_us"], "p50", "p95"),
        ]
        for row in rows
    ]
    counts = ", ".join(f"{row['change_ms']['count']} ({_store(row)})" for row in rows)
    return (
        "\nA real store on disk, sealed, every change and its audit record durable when the call returns. *Gone* is "
        "the time from when the call that takes the right back returns until the next grant, which no longer has it, "
        "is there; in another process, which asks again and again, until it has seen it (0 where it saw it before the "
        f"call returned). Wall time; revocations: {counts}.\n\n"
        f"{table(head, body)}"
    )


def _opened(rows: Sequence[Facts]) -> str:
    head = [
        "journal rows",
        "to the first moment, s",
        "CPU s",
        "of it: the policy read, s",
        "first grant after it, ms",
    ]
    head += ["peak, MiB"]
    body = [
        [
            f"{row['journal_rows']:,} ({row['rules']:,} rules)",
            f"{row['seconds']['p50']:.2f}",
            f"{row['cpu_s']['p50']:.2f}",
            f"{row['moment_s']['p50']:.2f}",
            f"{row['first_grant_s']['p50'] * 1e3:.1f}",
            f"{row['peak_bytes'] / 2**20:,.0f}",
        ]
        for row in rows
    ]
    return (
        f"\nFrom starting a process, Python and packages included, to knowing the policy; median of "
        f"{rows[0]['seconds']['count']} processes for each store, in turn. Every row of the journal is opened, and its "
        "chain checked.\n\n"
        f"{table(head, body)}"
    )


def _times(times: Facts, *names: str) -> str:
    return " / ".join(f"{times[name]:,.1f}" for name in names)


def _size(row: Facts) -> str:
    return f"{row['labels']:,} by {row['rules']:,}"


def _store(row: Facts) -> str:
    return f"policy of {row['rules']:,} rules"


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.1f} s"
    return f"{seconds / 60:,.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
