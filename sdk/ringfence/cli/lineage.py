"""Commands about lineage: what came from what; and the events of runs that wait for a backend."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from .answers import finish, lines, table
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath
from .stores import opened


def show(
    store: StorePath,
    object_id: Annotated[
        str,
        typer.Argument(metavar="OBJECT", help="Id of a document or passage, or path of a readable document."),
    ],
    subject: AsSubject = None,
    descendants: Annotated[
        bool, typer.Option("--descendants", help="What was made from it. Without it: what it came from.")
    ] = False,
    depth: Annotated[int, typer.Option("--depth", metavar="N", help="How many hops, 1 to 16.")] = 6,
    audit: Annotated[
        bool, typer.Option("--audit", help="Ask as an auditor: also how many there are that are not shown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a document or passage came from, or what was made from it."""
    direction = "descendants" if descendants else "ancestors"
    with opened(store) as open_store:
        facts = open_store.as_user(subject).lineage(object_id, direction=direction, depth=depth, audit=audit)
    rows = [(node["depth"], node["kind"], node["id"], node["document"]) for node in facts["nodes"]]
    said = [] if facts["hidden"] is None else [f"{facts['hidden']} more are not shown"]
    said += [] if facts["complete"] else ["there are more than are listed; ask with a smaller --depth"]

    def shown(out: Console) -> None:
        out.print(table(["hops", "kind", "id", "document"], rows))
        lines(*said)(out)

    finish(facts, shown, as_json=as_json)


def flush(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Send the events of lineage that no backend has taken yet."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).flush_lineage()
    said = [f"backends  {', '.join(facts['backends']) or 'none'}", f"waiting   {facts['waiting']}"]
    if facts["set_aside"]:
        said.append(
            f"set aside {facts['set_aside']}, in lineage/set-aside.jsonl: nothing sends them by itself"
        )
    if facts["problem"]:
        said.append(f"problem   {facts['problem']}")
    finish(facts, lines(*said), as_json=as_json, code=NOT_DONE if facts["waiting"] else DONE)
