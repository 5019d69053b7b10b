"""Put what was measured with words into words and tables.

Promise: every number is in the file or a ratio of two that are; what was not there is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.page import table
from bench.peers.cell_texts import NONE, Row, missing, number, pair

OURS = "ringfence"
MODES = {"text": "By words", "hybrid": "By words and meaning"}
TITLES = {
    "synthetic": "Made texts, the r-th word about one r-th as often as the first, with the made vectors",
    "real": "Docstrings of Python and of packages, with their vectors of all-MiniLM-L6-v2",
}

HEAD = """## Search by words, and by words and meaning

**What is compared.** The same rows and labels, now with texts; three words are asked, and a row that holds any of
them may be found, at most ten. All engines find the same words: letters a to z, none stemmed or left out. *By both*:
the order by words and the one by meaning are joined by reciprocal ranks, by the engine's own means; by meaning every
row that passes the filter is looked at, in every engine, so that what hidden rows change comes from words. How well a
row answers, each judges by its own formula (Ringfence, LanceDB, Qdrant Edge and zvec by BM25, Postgres by `ts_rank`,
which knows no other row), so there is no recall here. Ringfence's answers were held to a plain BM25 over the reader's
rows alone, {checked} of them; a wrong one ends the run. LanceDB, Qdrant Edge and zvec are given a filter by label;
Postgres has a policy. faiss has no texts.

**What hidden rows change.** Each reader asks the same questions once of all rows and once of a store that holds his
rows alone, put in in the same order and, in Ringfence, with the same ids. First share: answers whose rows or order
are others, rows of equal score being put in one order; then: answers in which a row of both has another score.
Whoever sees either move learns of rows he may not read: how many there are, and which words stand in them. The last
column is the check: nothing is hidden from who may read everything, so what differs there differs whenever the engine
is built again, as it adds in another order or puts rows of equal score into another before it joins ranks.
"""


def section(words: Mapping[str, Any]) -> list[str]:
    """Return the part of the page about search by words.

    Args:
        words: What was measured, by set.
    """
    checked = sum(
        about.get("held_to_reference", 0) for found in words.values() for about in found["engines"].values()
    )
    parts = [HEAD.format(checked=f"{checked:,}")]
    for name, found in words.items():
        parts += _set(name, found)
    return parts


def _set(name: str, found: Row) -> Iterator[str]:
    yield f"### {TITLES[name]}: {found['rows']:,} rows\n"
    yield missing(found)
    for mode, told in MODES.items():
        engines = [
            each for each in found["engines"].items() if each[1]["mode"] == mode and each[1]["readers"]
        ]
        yield f"#### {told}: times (p50 / p95, ms)\n"
        yield _times(found, engines)
        yield f"#### {told}: answers, and answers with scores, that hidden rows change\n"
        yield _hidden(found, engines)
    yield "#### What left that may not be read, and what it takes\n"
    yield _leaks(found)


def _times(found: Row, engines: Sequence[tuple[str, Row]]) -> str:
    head = ["readable"]
    for _, about in engines:
        head.append(_title(about))
        if about["group"] == OURS:
            head += ["ids and scores", "and record"]
    rows = []
    for place, cell in enumerate(found["cells"]):
        readers = [(about["group"], about["readers"].get(str(place))) for _, about in engines]
        least = min((_first(*each)["p50_ms"] for each in readers if each[1] is not None), default=None)
        row = [f"{cell['share']:g} % ({cell['rows']:,})"]
        for group, reader in readers:
            row.append(_time(group, reader, least))
            if group == OURS:
                row += [pair(reader, "without_both"), pair(reader, None)]
        rows.append(row)
    return table(head, rows)


def _title(about: Row) -> str:
    return about["title"] + (" (enforces)" if about["kind"] == "enforces" and about["group"] != OURS else "")


def _first(group: str, reader: Row) -> Row:
    """Return the times an engine is compared by: without the record, which no peer writes."""
    times: Row = reader["without_record"] if group == OURS else reader
    return times


def _time(group: str, reader: Row | None, least: float | None) -> str:
    if reader is None:
        return NONE
    times = _first(group, reader)
    text = f"{number(times['p50_ms'])} / {number(times['p95_ms'])}"
    return f"**{text}**" if times["p50_ms"] == least else text


def _hidden(found: Row, engines: Sequence[tuple[str, Row]]) -> str:
    less, every = _hidden_from(found)
    head = ["engine", *(f"{found['cells'][place]['share']:g} % readable" for place in less)]
    head += ["nothing hidden, built again" for _ in every]
    rows = [
        [_title(about), *(_shares(about["hidden"].get(str(place))) for place in (*less, *every))]
        for _, about in engines
    ]
    return table(head, rows)


def _hidden_from(found: Row) -> tuple[list[int], list[int]]:
    """Return the places of the readers from whom rows are hidden, and of who may read everything."""
    places = range(len(found["cells"]))
    less = [place for place in places if found["cells"][place]["rows"] < found["rows"]]
    return less, [place for place in places if place not in less]


def _shares(hidden: Row | None) -> str:
    if hidden is None:
        return NONE
    answers, scores = (hidden[name] / hidden["questions"] for name in ("answers", "scores"))
    return f"{answers:.0%} / {scores:.0%}"


def _leaks(found: Row) -> str:
    head = ["engine", "how", "who enforces", "questions", "rows not readable that left", "too few rows"]
    head += ["answers hidden rows change", "answers with scores they change", "memory MiB", "build s"]
    rows, (less, _) = [], _hidden_from(found)
    for about in (each for each in found["engines"].values() if each["readers"]):
        readers = list(about["readers"].values())
        hidden = [about["hidden"][str(place)] for place in less if str(place) in about["hidden"]]
        group = found["groups"][about["group"]]
        asked = sum(each["questions"] for each in hidden)
        rows.append(
            [
                about["title"],
                MODES[about["mode"]].lower(),
                about["kind"],
                f"{sum(each['questions'] for each in readers):,}",
                f"{sum(each['unreadable'] for each in readers)}",
                f"{sum(each['short'] for each in readers)}",
                f"{sum(each['answers'] for each in hidden)} of {asked}",
                f"{sum(each['scores'] for each in hidden)} of {asked}",
                f"{group['memory_bytes'] / 2**20:,.0f}" if "memory_bytes" in group else NONE,
                f"{group.get('build_s', 0) + group['opened_s']:.0f}",
            ]
        )
    return table(head, rows)
