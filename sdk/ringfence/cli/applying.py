"""Commands that make a store's policy what files say, and say beforehand what that would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .answers import finish, lines
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath, Ticket, Why
from .stores import opened

Files = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="Folder with policy.csv and, if wanted, labels.yaml; or a policy.csv."
    ),
]


def apply(
    store: StorePath,
    files: Files,
    why: Why,
    subject: AsSubject = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Make the policy what files say: all of it at once, journaled, or nothing."""
    with opened(store) as open_store:
        done = open_store.as_user(subject).apply_policy(files, why=why, ticket=ticket)
    said = "applied" if done["changed"] else "stands already"
    finish(done, lines(*_difference(done), f"{said}: {_counts(done)}"), as_json=as_json)


def diff(
    store: StorePath,
    files: Files,
    subject: AsSubject = None,
    action: Annotated[
        str, typer.Option("--action", metavar="ACTION", help="What is looked at; any action but delegate.")
    ] = "read",
    as_json: AsJson = False,
) -> None:
    """Say what applying files would change, and whom it would let in and shut out. Changes nothing."""
    with opened(store) as open_store:
        found = open_store.as_user(subject).diff_policy(files, action=action)
    differs = bool(found["opened"] or found["closed"])
    shown = [*_difference(found), *_access(found)]
    finish(found, lines(*shown), as_json=as_json, code=NOT_DONE if differs else DONE)


def _difference(found: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"- {row}" for row in found["removed"])
    yield from (f"defines {name}" for name in found["defined"])
    yield from (f"redefines {name}" for name in found["redefined"])
    yield from (f"+ {row}" for row in found["added"])
    yield from (f"keeps {kept['row']}: {kept['why']}" for kept in found["kept"])
    yield from (f"keeps {name}: no label is ever removed" for name in found["kept_labels"])


def _access(found: Mapping[str, Any]) -> Iterator[str]:
    for word in ("opens", "closes"):
        for pair in found[word]:
            carried = ", carrying for somebody else" if pair["carried"] else ""
            purpose = f", for {pair['purpose']}" if pair["purpose"] else ""
            since = f", from {pair['since']} on" if pair["since"] != found["at"] else ""
            yield f"{word}  {pair['subject']}{carried}, {found['action']} {pair['object']}{purpose}{since}"
    if not found["complete"]:
        yield "more than are listed: see the numbers"
    yield from (f"not yours to apply: {refusal}" for refusal in found["refusals"])
    yield f"opens {found['opened']}, closes {found['closed']}, as of {found['at']}; {_counts(found)}"


def _counts(found: Mapping[str, Any]) -> str:
    names = ("added", "removed", "defined", "redefined")
    return ", ".join(f"{len(found[name])} {name}" for name in names)
