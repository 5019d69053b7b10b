"""Put a result file into words and tables.

Promise: every number on the page is in the file or a ratio of two that are. What loses stays, and what was not there
is named.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from bench.command import Command
from bench.page import machine_line, table

from .cell_texts import NONE, Row, missing, number, pair
from .words import page as words_page

RECALL = 0.99
KINDS = {
    "uncorrelated": "labels go with nothing",
    "positive": "a label is a cluster, and the reader asks about what he may read",
    "negative": "a label is a cluster, and the reader asks about what he may not read",
}
OURS, BARE = "ringfence", "ungoverned"
ENFORCES, NOBODY = "enforces", "no reader"
NOT_ENFORCING = ("filters if asked", "filters afterwards")
GOVERNED_MAX = 1.1
SHARE_OF_ENFORCING, SHARE_OF_OTHERS = 1 / 3, 1.0

HEAD = """# Ringfence against what else can be had

Made by `{program}` from [bench/results](results/{results});
`{program} --render` makes this page from that file again. Do not edit it by hand.

**Machine.** {machine} {versions}. Load average after the run {load_after}{busy}. The run took {seconds} s.

**What is compared.** Each engine holds the same rows, each row with a label; a reader may read some labels. Asked
for the {k} nearest among what he may read, it gives row numbers and scores. *Enforces*: the engine itself holds the
reader to his rows. All other engines do only as the application says: with another filter, or without one, they
give every row. Ringfence's time is that of its whole search: grant, plan, mask, search, Casbin's decision on every
label that leaves, the handle of what he reads, and opening the sealed passages, whose texts come with it; the peers
give no texts. *And record*: with the audit record on the disk before the result leaves, which no peer writes. *Ids
and scores*: without opening the passages and without the record, the peers' own work.

**How.** One client, one question after the other, warm. Each group of engines has a process of its own; they take
turns, {rounds} rounds for each reader, and each time is of one question (p50 / p95, ms). Whose setting is tuned
gets, for each reader, the setting of least time that reaches a recall of {recall} on other questions; if it misses
it on the reported ones, the next is taken. **Bold**: the least time of the engines that reach it. In brackets: the
recall of who does not. Filters, masks, sessions and lists of ids are made outside the time, and so is the embedding
of the question, for all alike. numpy and faiss use one thread; the others as many as they choose.
"""


BUSY = ": **others worked beside it; take the run again before quoting it**"
MEMORY = """*Answers that hidden rows change*: the reader of 10 % asks, with the setting that was taken, once of all
rows and once of an engine that holds his rows alone; what differs tells of rows he may not read. Memory is what opening
the rows and asking as every reader added to the process, or the share of the server's processes; engines of one group
share it. Ringfence's is that of one store, with all that text search needs and the sealed texts{stores}.
"""
TWO_STORES = """; its disk and
build are those of two stores, since a document has one label here, and the peers' rows have two columns of labels"""


def command() -> Command:
    """Return what makes the page."""
    return Command(
        "python -m bench.peers",
        "Compare Ringfence with what else can be had, over the same rows, readers and questions.",
        "peers.json",
        "RESULTS.md",
        page,
        folder="bench",
    )


def page(results: Mapping[str, Any]) -> str:
    """Return the page of one result file."""
    machine, settings = results["machine"], results["settings"]
    run = command().of_size(results["sets"]["synthetic"]["rows"])
    versions = ", ".join(f"{name} {found}" for name, found in results["versions"].items())
    head = HEAD.format(
        program=run.program,
        results=run.results,
        machine=machine_line(machine),
        versions=versions,
        load_after=machine["load_after"],
        busy=BUSY if machine["load_after"] > machine["cores"] else "",
        seconds=settings["seconds"],
        rounds=settings["rounds"],
        k=settings["k"],
        recall=RECALL,
    )
    parts = [part for name, found in results["sets"].items() for part in _set(name, found)]
    if results.get("words"):
        parts += words_page.section(results["words"])
    return "\n".join([head, *parts])


def _set(name: str, found: Row) -> Iterator[str]:
    what = {
        "synthetic": "Made vectors, in clusters",
        "real": "Real vectors: all-MiniLM-L6-v2 over docstrings of Python and of packages",
    }[name]
    yield f"## {what}: {found['rows']:,} vectors of {found['dimensions']} numbers\n"
    yield missing(found)
    for kind, told in KINDS.items():
        cells = [(str(place), cell) for place, cell in enumerate(found["cells"]) if cell["kind"] == kind]
        if not cells:
            continue
        yield f"### {kind.capitalize()}: {told}\n"
        yield _times(found, cells)
    yield "### Targets\n"
    yield _targets(found)
    yield "### What left that may not be read, and what memory it takes\n"
    yield _leaks(found)
    yield "### Settings that were taken\n"
    yield _settings(found)


def _times(found: Row, cells: Sequence[tuple[str, Row]]) -> str:
    engines = _shown(found)
    head = ["readable"]
    for name, about in engines:
        head.append(_title(name, about))
        if name == OURS:
            head += ["ids and scores", "and record"]
    rows = []
    for place, cell in cells:
        least = _least(found, place, lambda about: about["kind"] != NOBODY)
        row = [f"{cell['share']:g} % ({cell['rows']:,})"]
        for name, about in engines:
            reader = about["readers"].get(place)
            row.append(_time(reader, least is not None and least[0] == name, ours=name == OURS))
            if name == OURS:
                row += [pair(reader, "without_both"), pair(reader, None)]
        rows.append(row)
    return table(head, rows)


def _shown(found: Row) -> list[tuple[str, Row]]:
    return [(name, about) for name, about in found["engines"].items() if about["readers"]]


def _title(name: str, about: Row) -> str:
    return about["title"] + (" (enforces)" if about["kind"] == ENFORCES and name != OURS else "")


def _time(reader: Row | None, least: bool, *, ours: bool) -> str:
    if reader is None:
        return NONE
    times = reader["without_record"] if ours else reader
    text = f"{number(times['p50_ms'])} / {number(times['p95_ms'])}"
    if reader["recall"] < RECALL:
        return f"{text} [{reader['recall']:.2f}]"
    return f"**{text}**" if least else text


def _p50(name: str, reader: Row) -> float:
    times: float = (reader["without_record"] if name == OURS else reader)["p50_ms"]
    return times


def _least(found: Row, place: str, wanted: Callable[[Row], bool]) -> tuple[str, float] | None:
    """Return the engine of least time that reaches the recall for a reader, and that time."""
    times = [
        (name, _p50(name, about["readers"][place]))
        for name, about in found["engines"].items()
        if wanted(about) and place in about["readers"] and about["readers"][place]["recall"] >= RECALL
    ]
    return min(times, key=lambda each: each[1], default=None)


def _targets(found: Row) -> str:
    """Return what was aimed at and whether it was reached, reader by reader."""
    head = [
        "reader",
        "recall",
        "of the best that enforces",
        f"≤ {SHARE_OF_ENFORCING:.2f}",
        "of the best that does not",
        f"≤ {SHARE_OF_OTHERS:.2f}",
        "the same for ids and scores",
        "governed ÷ ungoverned",
        f"≤ {GOVERNED_MAX} at 100 %",
    ]
    rows = []
    for nth, cell in enumerate(found["cells"]):
        place = str(nth)
        ours = found["engines"].get(OURS, {"readers": {}})["readers"].get(place)
        if ours is None:
            continue
        mine, bare_work = ours["without_record"]["p50_ms"], ours["without_both"]["p50_ms"]
        bare = found["engines"].get(BARE, {"readers": {}})["readers"].get(place)
        ratio = mine / bare["p50_ms"] if bare else None
        rows.append(
            [
                f"{cell['share']:g} %, {cell['kind']}",
                f"{ours['recall']:.3f}",
                *_against(found, mine, (ENFORCES,), place, SHARE_OF_ENFORCING),
                *_against(found, mine, NOT_ENFORCING, place, SHARE_OF_OTHERS),
                _against(found, bare_work, NOT_ENFORCING, place, SHARE_OF_OTHERS)[0],
                f"{ratio:.2f}" if ratio else NONE,
                _met(ratio is not None and ratio <= GOVERNED_MAX) if cell["share"] == 100 and ratio else "",
            ]
        )
    return table(head, rows)


def _against(found: Row, mine: float, kinds: Container[str], place: str, most: float) -> tuple[str, str]:
    """Return our time over that of the best of some kinds, whose it is, and whether it is low enough."""
    others = {
        name: about
        for name, about in found["engines"].items()
        if about["kind"] in kinds and name not in (OURS, BARE) and place in about["readers"]
    }
    if not others:
        return "none was there", ""
    best = _least(found, place, lambda about: about in others.values())
    if best is None:
        return "none reaches the recall", "met"
    name, time = best
    return f"{mine / time:.2f} ({others[name]['title']})", _met(mine / time <= most)


def _met(reached: bool) -> str:
    return "met" if reached else "**not met**"


def _leaks(found: Row) -> str:
    head = [
        "engine",
        "who enforces",
        "questions",
        "rows not readable that left",
        "too few rows",
        "least recall",
    ]
    head += ["answers that hidden rows change", "scores", "memory MiB", "build s", "disk MiB"]
    rows = []
    for name, about in _shown(found):
        readers, group = list(about["readers"].values()), found["groups"][about["group"]]
        own = name != BARE
        rows.append(
            [
                about["title"],
                about["kind"],
                f"{sum(each['questions'] for each in readers):,}",
                f"{sum(each['unreadable'] for each in readers)}",
                f"{sum(each['short'] for each in readers)}",
                f"{min(each['recall'] for each in readers):.2f}",
                *_hidden(about),
                _mebibytes(group.get("memory_bytes")) if own else NONE,
                f"{group.get('build_s', 0) + group['opened_s']:.0f}" if own else NONE,
                _mebibytes(group.get("disk_bytes")) if own and group.get("disk_bytes") else NONE,
            ]
        )
    stores = TWO_STORES if any(cell["kind"] != "uncorrelated" for cell in found["cells"]) else ""
    return f"{table(head, rows)}\n{MEMORY.format(stores=stores)}"


def _hidden(about: Row) -> tuple[str, str]:
    hidden = about.get("hidden")
    if hidden is None:
        return NONE, NONE
    return f"{hidden['answers']} of {hidden['questions']}", f"{hidden['scores']}"


def _mebibytes(size: int | None) -> str:
    return NONE if size is None else f"{size / 2**20:,.0f}"


def _settings(found: Row) -> str:
    tuned = [(name, about) for name, about in _shown(found) if about["tuned"]]
    if not tuned:
        return "None is tuned here.\n"
    head = ["reader", *(about["title"] for _, about in tuned)]
    rows = [
        [
            f"{cell['share']:g} %, {cell['kind']}",
            *(
                about["readers"][str(place)]["knob"] if str(place) in about["readers"] else NONE
                for _, about in tuned
            ),
        ]
        for place, cell in enumerate(found["cells"])
    ]
    return table(head, rows)
