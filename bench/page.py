"""Put a result file into words and tables.

Promise: every number on the page is in the file; none is rounded to look better than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .search_cost import K
from .stages import NAMES

HEAD = """# Benchmark: governed against plain

Made by `make bench` (`python -m bench`) from [bench/results](../bench/results/governed-against-plain.json);
`python -m bench --render` makes this page from that file again. Do not edit it by hand.

**What is compared.** The same {documents} documents ({passages} passages, {dimensions} numbers a vector,
{labels} labels), made from seed {seed}, go through Ringfence's own parser, chunker and embedder. *Governed* is a
Ringfence store: labels, encryption of every text, name, vector and word list, lineage, atomic publication, and an
audit record on the disk before any result leaves. *Plain* is one LanceDB table in clear, without any of that.
What the difference buys is on the [front page](../README.md); this page says what it costs.

**Machine.** {machine}
"""

READING = """
**How to read it.** Times are of one run on one machine: ratios within a run mean more than the times. Each question
is put to every kind before the next one. The embedder is a seeded one that costs next to nothing, so that the
store's own cost shows; with a real model the model outweighs the store (second ingest table). The governed pipeline
also makes the word list of each passage; plain LanceDB makes its own when it builds its text index, so its rows leave
that out. Searches are warm: a first question, which is not counted, has opened what the reader may read, and the
compiled loops are loaded, as in a process that has asked for a while. Plain LanceDB searches without a vector index
here, so both are exact.
"""


def page(results: Mapping[str, Any]) -> str:
    """Return the page of one result file."""
    settings = results["settings"]
    passages = results["ingest"][0]["passages"]
    head = HEAD.format(
        documents=f"{settings['passages'] // 10:,}",
        passages=f"{passages:,}",
        dimensions=settings["dimensions"],
        labels=settings["labels"],
        seed=settings["seed"],
        machine=machine_line(results["machine"]),
    )
    parts = [head, READING, "\n## Ingest\n", *map(_ingest, results["ingest"]), "\n## Search\n"]
    parts += [_search(results["search"]), "\n## Where a governed search spends its time\n"]
    parts += [_stages(results["search"]), _memory(results["search_peak_memory_bytes"])]
    return "".join(parts)


def machine_line(facts: Mapping[str, Any]) -> str:
    """Return one paragraph about the machine and how quiet it was."""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    quiet = "quiet" if facts["quiet"] else "**not quiet: take the run again before quoting it**"
    return (
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, "
        f"{facts['system']}, Python {facts['python']}, {packages}. "
        f"Load average before the run {facts['load_before']} ({quiet})."
    )


def _ingest(measured: Mapping[str, Any]) -> str:
    kinds = measured["kinds"]
    plain_s = kinds["plain"]["seconds"] + kinds["plain"]["index_seconds"]
    names = {
        "pipeline": "the governed pipeline, nothing stored",
        "plain": "plain LanceDB",
        "governed": "governed (text search included)",
    }
    rows = [
        [
            names[kind],
            f"{measured['passages'] / facts['seconds']:,.0f}",
            f"{facts['seconds']:.1f}",
            f"{facts['seconds'] / plain_s:.2f}",
            f"{facts['bytes'] / 2**20:.1f}",
            f"{facts['peak_memory_bytes'] / 2**20:.0f}",
            f"{facts['spread']:.0%}",
        ]
        for kind, facts in kinds.items()
    ]
    with_index = kinds["plain"]
    rows.insert(
        2,
        [
            "plain LanceDB with its text index",
            f"{measured['passages'] / plain_s:,.0f}",
            f"{plain_s:.1f}",
            "1.00",
            f"{with_index['bytes'] / 2**20:.1f}",
            f"{with_index['peak_memory_bytes'] / 2**20:.0f}",
            "",
        ],
    )
    head = ["", "passages/s", "seconds", "time ÷ plain with index", "MiB on disk", "peak MiB", "spread"]
    return (
        f"\n{measured['passages']:,} passages, embedder `{measured['embedder']}`, "
        f"median of {measured['rounds']} rounds:\n\n"
        f"{table(head, rows)}"
    )


def _search(rows: Sequence[Mapping[str, Any]]) -> str:
    head = [
        "readable",
        "mode",
        "governed",
        "without as_of and record",
        "plain",
        "plain `where`",
        "plain masked",
    ]
    head += ["governed ÷ plain", "governed ÷ `where`"]
    body = []
    for row in rows:
        kinds = row["kinds"]
        names = ("governed", "governed without as_of and record", "plain", "plain where", "plain masked")
        times = [f"{kinds[name]['p50_ms']:.1f} / {kinds[name]['p95_ms']:.1f}" for name in names]
        governed = kinds["governed"]["p50_ms"]
        ratios = [f"{governed / kinds[name]['p50_ms']:.1f}" for name in ("plain", "plain where")]
        body.append([f"{row['percent']:g} % ({row['readable']:,})", row["mode"], *times, *ratios])
    return (
        f"\nMilliseconds for one search, k = {K}, p50 / p95 of {rows[0]['questions']} questions. *Plain* searches "
        "everything; *where* filters by label in SQL; *masked* hands Lance's scanner the readable rows, as Ringfence "
        "does, over data in clear (its hybrid is both searches, not fused).\n\n"
        f"{table(head, body)}"
        "\nThe first question of a reader also puts every label to Casbin, once for each policy revision: "
        f"{_first(rows)}.\n"
    )


def _first(rows: Sequence[Mapping[str, Any]]) -> str:
    firsts = sorted({row["first_authorisation_ms"] for row in rows})
    return f"{firsts[0]:.0f} to {firsts[-1]:.0f} ms here"


def _stages(rows: Sequence[Mapping[str, Any]]) -> str:
    body = [
        [f"{row['percent']:g} %", row["mode"], *(f"{row['stages_ms'][name]:.2f}" for name in NAMES)]
        for row in rows
    ]
    return f"\nMean milliseconds of each stage:\n\n{table(['readable', 'mode', *NAMES], body)}"


def _memory(peak: Mapping[str, int]) -> str:
    sizes = ", ".join(f"{kind} {size / 2**20:.0f} MiB" for kind, size in peak.items())
    return f"\nPeak memory of a process that only searches, as the reader of everything: {sizes}.\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
