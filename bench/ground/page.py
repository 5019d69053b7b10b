"""Put a result file of the ground benchmark into words and tables.

Promise: every number on the page is in the file; whether a target is met is computed from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.page import machine_line, table

Facts = Mapping[str, Any]

INGEST_TARGET = 1.05
QUERY_TARGET = 1.1
VECTOR_TARGET = 1.03
BYTES_TARGET = 1.3
GROWTH_MAX = 1.25
"""Times that should be equal are called so up to this ratio: the machine's own noise."""

HEAD = """# Benchmark: the ground

Made by `make bench-ground` (`python -m bench.ground`) from [bench/results](../bench/results/ground.json);
`python -m bench.ground --render` makes this page from that file again. Do not edit it by hand.

**What is measured.** What an atomic publication costs, by its size and by how many came before it; how long it takes to
open a store and to get its first answer, after many publications and after a writer was killed by `kill -9` between
writing its tables and publishing them; what sealing costs, in ingest, in search and in bytes.

**Machine.** {machine} Load average after the run {load_after}.
"""

READING = """
**How to read it.** The machine's speed wanders, so ratios within this run mean more than times; what is compared takes
turns. *Unsealed* is the same product with ciphers that hand bytes through unchanged and uncompressed. Stores that are
opened hold the same {documents} documents, made in as many publications as the row says. *CPU* is the time of the
process, all threads. Vectors have 384 numbers.
"""


def page(results: Facts) -> str:
    """Return the page of one result file."""
    found = results["machine"]
    parts = [
        HEAD.format(machine=machine_line(found), load_after=found["load_after"]),
        READING.format(documents=results["settings"]["documents"]),
        "\n## Targets\n\n",
        _targets(results),
        "\n## Opening, after publications and after a crash\n\n",
        _opened(results["opening"]),
        "\n## One publication, by how many came before\n\n",
        _grown(results["stores"]),
        "\n## One publication, by its size\n\n",
        _sized(results["batches"]),
        "\n## Sealing, in time\n\n",
        _sealed(results["sealing"]),
        "\n## Sealing, in bytes\n\n",
        _weighed(results["weights"]),
    ]
    return "".join(parts)


def _targets(results: Facts) -> str:
    rows: list[tuple[str, float, float]] = []
    real = results["sealing"][-1]
    rows.append(
        (
            f"ingest, sealed against unsealed, CPU, embedder {real['embedder']}",
            _ratio(real, "ingest"),
            INGEST_TARGET,
        )
    )
    plain = results["sealing"][0]
    rows.append(
        (
            f"search of {plain['passages']:,} passages, sealed against unsealed, CPU",
            _ratio(plain, "search"),
            QUERY_TARGET,
        )
    )
    weights = {row["what"]: row["sealed_bytes"] / row["plain_bytes"] for row in results["weights"]}
    rows.append(("bytes of the vectors, sealed against plain Lance", weights["chunks.vector"], VECTOR_TARGET))
    rows.append(
        ("bytes of all columns, sealed against plain Lance", weights["all columns of both"], BYTES_TARGET)
    )
    peace = [row for row in results["opening"] if row["state"] == "left in peace"]
    killed = [row for row in results["opening"] if row["state"] != "left in peace"]
    for name, what in (("open", "opening"), ("first", "first answer")):
        many, one = peace[-1], peace[0]
        rows.append(
            (
                f"{what} after {many['publications']:,} publications against after {one['publications']:,}",
                many[f"{name}_ms"]["p50"] / one[f"{name}_ms"]["p50"],
                GROWTH_MAX,
            )
        )
        worst = max(
            b[f"{name}_ms"]["p50"] / a[f"{name}_ms"]["p50"] for a, b in zip(peace, killed, strict=True)
        )
        rows.append((f"{what} after a crash against without, the largest ratio", worst, GROWTH_MAX))
    last = results["stores"][-1]["taken"]
    rows.append(
        (
            f"publication {last[-1]['publication']:,} against publication {last[0]['publication']:,}",
            last[-1]["ms"] / last[0]["ms"],
            GROWTH_MAX,
        )
    )
    return table(
        ["what", "at most", "measured", ""],
        [
            [what, f"{target:g}", f"{measured:.2f}", "met" if measured <= target else "**not met**"]
            for what, measured, target in rows
        ],
    )


def _ratio(compared: Facts, act: str, clock: str = "cpu") -> float:
    kinds = compared["kinds"]
    ratio: float = kinds["sealed"][act][clock]["p50"] / kinds["unsealed"][act][clock]["p50"]
    return ratio


def _opened(rows: Sequence[Facts]) -> str:
    return table(
        [
            "publications",
            "state",
            "opening, ms p50 / max",
            "first answer",
            "second answer",
            "CPU of the process, ms",
        ],
        [
            [
                f"{row['publications']:,}",
                row["state"],
                *(
                    f"{row[name]['p50']:.1f} / {row[name]['max']:.1f}"
                    for name in ("open_ms", "first_ms", "second_ms")
                ),
                f"{row['cpu_ms']['p50']:.0f}",
            ]
            for row in rows
        ],
    )


def _grown(stores: Sequence[Facts]) -> str:
    largest = stores[-1]
    names = list(largest["taken"][0]["steps_ms"])
    lies = ", ".join(
        f"{store['publications']:,} publications: {store['lies']['files']:,} files, {store['lies']['bytes']:,} bytes, "
        f"of which {store['lies']['_versions bytes']:,} of versions and "
        f"{store['lies']['_transactions bytes']:,} of transactions"
        for store in stores
    )
    text = table(
        ["publication", "ms p50", *names],
        [
            [
                f"{row['publication']:,}",
                f"{row['ms']:.1f}",
                *(f"{row['steps_ms'][name]:.1f}" for name in names),
            ]
            for row in largest["taken"]
        ],
    )
    return (
        f"Of {largest['documents'] // largest['publications']} document each, into the same store; the middle of up "
        "to ten. What is in no column is the catalog, lineage and the lease.\n\n"
        f"{text}\nWhat lies in the tables' folders of the same documents: {lies}.\n\n{CAUSES}"
    )


CAUSES = """Where growth comes from: every publication adds a fragment and one to three Lance versions to each table. A
search opens each table anew for every scan, and Lance looks into each fragment; `_write_table` finds rows to replace by
a scan of all fragments; `_read_whole` compares the list of all fragments with the published one's, and reads the new;
`durable_files.names` lists all files a table ever had, twice; each manifest lists all fragments, so the bytes of
versions grow with the square of publications. Compaction and retention have to bound fragments, versions and files.
"""


def _sized(rows: Sequence[Facts]) -> str:
    names = list(rows[0]["steps_ms"])
    return table(
        ["documents", "ms p50", "ms a document", *names],
        [
            [
                f"{row['documents']:,}",
                f"{row['ms']:.1f}",
                f"{row['ms'] / row['documents']:.2f}",
                *(f"{row['steps_ms'][name]:.1f}" for name in names),
            ]
            for row in rows
        ],
    )


def _sealed(compared: Sequence[Facts]) -> str:
    rows = [
        [
            f"{act} of {each['passages']:,} passages, {each['embedder']}, {clock}",
            *(f"{each['kinds'][kind][act][clock]['p50']:,.1f}" for kind in ("sealed", "unsealed")),
            f"{_ratio(each, act, clock):.2f}",
        ]
        for each in compared
        for act in ("ingest", "search")
        for clock in ("cpu", "wall")
    ]
    return table(["what", "sealed, ms p50", "unsealed", "ratio"], rows)


def _weighed(rows: Sequence[Facts]) -> str:
    text = table(
        ["column", "rows", "sealed, bytes", "plain Lance", "ratio"],
        [
            [
                row["what"],
                f"{row['rows']:,}",
                f"{row['sealed_bytes']:,}",
                f"{row['plain_bytes']:,}",
                f"{row['sealed_bytes'] / row['plain_bytes']:.2f}",
            ]
            for row in rows
        ],
    )
    return (
        f"{text}\nEach column, and then all with ids, atoms, runs and places, written alike to a new table of one "
        "fragment. Plain Lance holds text, word lists and numbers in their own types, as it compresses them.\n"
    )
