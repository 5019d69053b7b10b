"""Commands about lineage: send what waits for a backend."""

from __future__ import annotations

from .answers import finish, lines
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath
from .stores import opened


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
