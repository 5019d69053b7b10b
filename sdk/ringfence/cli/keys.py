"""Commands about a store's master key: rotate it, and say which generations there are."""

from __future__ import annotations

from typing import Annotated

import typer

from .answers import finish, lines
from .options import AsJson, AsSubject, StorePath, Ticket, Why
from .stores import opened


def rotate(
    store: StorePath,
    why: Why,
    subject: AsSubject = None,
    retire: Annotated[
        bool,
        typer.Option(
            "--retire", help="Also destroy the older master keys: older copies of keys.db open nothing."
        ),
    ] = False,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Put a new master key in force; every key is wrapped anew, no content is rewritten."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).rotate_keys(why=why, ticket=ticket, retire=retire)
    counts = facts["rewrapped"]
    said = [
        f"generation {facts['generation']} is in force",
        f"wrapped anew: {counts['document']} document keys, {counts['label']} label keys, "
        f"{counts['store']} of the store",
    ]
    for each in facts["retired"]:
        state = "destroyed" if each["destroyed"] else f"not yet destroyed: {each['note']}"
        said.append(f"generation {each['generation']}: {state}")
    if not retire:
        said.append("older copies of keys.db still open with the older master key; --retire ends that")
    if not facts["cleared"]:
        said.append(
            "older wraps are not yet out of keys.db-wal: a reader holds it; 'ringfence keys status' tries again"
        )
    finish(facts, lines(*said), as_json=as_json)


def status(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Say what keeps the master key, and which generations there are; no secret."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).keys_status()
    provider, counts = facts["provider"], facts["keys"]
    said = [f"provider   {provider['kind']}: {provider['key']}"]
    for each in facts["generations"]:
        number = each["generation"]
        state = "in force" if number == facts["newest"] else "kept for older copies"
        if each["retired_at"] is not None:
            held = "; its master key is not destroyed: rotate with --retire again" if each["held"] else ""
            state = f"retired {each['retired_at']}{held}"
        said.append(f"generation {number}  made {each['made_at']}, {state}")
    said.append(
        f"keys       {counts['document']} of documents, {counts['label']} of labels, {counts['store']} of the store"
    )
    if not facts["cleared"]:
        said.append("deleted wraps are not yet out of keys.db-wal: a reader holds it")
    finish(facts, lines(*said), as_json=as_json)
