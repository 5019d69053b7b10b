"""Commands about named labels: define one, give it another meaning, let it expire; list them, show a history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .answers import finish, lines, table
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath, Ticket, Why
from .stores import opened

if TYPE_CHECKING:
    from ringfence_governance.labels import Label

Name = Annotated[str, typer.Argument(metavar="NAME", help="The label's name: tenant/label:NAME.")]
File = Annotated[
    Path | None,
    typer.Option(
        "--file", metavar="FILE", help="Take what it means from this labels.yaml; no other option then."
    ),
]
Owner = Annotated[str | None, typer.Option("--owner", metavar="PRINCIPAL", help="Whose it is.")]
Readers = Annotated[
    list[str] | None,
    typer.Option("--reader", metavar="PRINCIPAL", help="Who reads too; '*' is everybody known; repeatable."),
]
Denied = Annotated[
    list[str] | None,
    typer.Option("--denied", metavar="PRINCIPAL", help="Who never reads, whatever else says so; repeatable."),
]
Level = Annotated[int | None, typer.Option("--level", metavar="N", help="Clearance a reader needs, 0 to 9.")]
Compartments = Annotated[
    list[str] | None,
    typer.Option("--compartment", metavar="WORD", help="A reader must hold all of them; repeatable."),
]
Purposes = Annotated[
    list[str] | None,
    typer.Option("--purpose", metavar="WORD", help="What it may be read for; repeatable. Without: anything."),
]
ValidFrom = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="From when on it is read: 2026-01-31T00:00:00Z.")
]
ValidUntil = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Until when, UTC, this second not included.")
]


def define(
    store: StorePath,
    name: Name,
    why: Why,
    subject: AsSubject = None,
    file: File = None,
    owner: Owner = None,
    readers: Readers = None,
    denied: Denied = None,
    level: Level = None,
    compartments: Compartments = None,
    purposes: Purposes = None,
    valid_from: ValidFrom = None,
    valid_until: ValidUntil = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Define a named label."""
    fields = _fields(owner, readers, denied, level, compartments, purposes, valid_from, valid_until)
    label = _label(name, fields, file)
    with opened(store) as open_store:
        open_store.as_user(subject).define_label(name, label, why=why, ticket=ticket)
    _finish(name, label, changed=True, said="defined", as_json=as_json)


def redefine(
    store: StorePath,
    name: Name,
    why: Why,
    subject: AsSubject = None,
    file: File = None,
    owner: Owner = None,
    readers: Readers = None,
    denied: Denied = None,
    level: Level = None,
    compartments: Compartments = None,
    purposes: Purposes = None,
    valid_from: ValidFrom = None,
    valid_until: ValidUntil = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Give a named label another meaning, as a whole; in force from the next question on."""
    fields = _fields(owner, readers, denied, level, compartments, purposes, valid_from, valid_until)
    label = _label(name, fields, file)
    with opened(store) as open_store:
        changed = open_store.as_user(subject).redefine_label(name, label, why=why, ticket=ticket)
    _finish(
        name, label, changed=changed, said="redefined" if changed else "means that already", as_json=as_json
    )


def expire(
    store: StorePath,
    name: Name,
    why: Why,
    subject: AsSubject = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """End a named label's validity now: from the next question on nobody reads under it."""
    with opened(store) as open_store:
        changed = open_store.as_user(subject).expire_label(name, why=why, ticket=ticket)
    said = "expired" if changed else "has expired already"
    finish({"changed": changed, "label": name}, lines(f"{said}: {name}"), as_json=as_json)


def list_labels(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """List, to who may administer or audit, the named labels of his tenant."""
    with opened(store) as open_store:
        found = list(open_store.as_user(subject).labels())

    def show(out: Console) -> None:
        out.print(
            table(["label", "means"], [(each["name"], definition_line(each["definition"])) for each in found])
        )

    facts = {"labels": found, "count": len(found)}
    finish(facts, show, as_json=as_json, code=DONE if found else NOT_DONE)


def history(store: StorePath, name: Name, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Show, to who may administer or audit, what a label has meant, when, and who changed it why."""
    with opened(store) as open_store:
        found = list(open_store.as_user(subject).label_history(name))

    def show(out: Console) -> None:
        rows = [
            (
                each["at"],
                each["change"],
                each["who"],
                each["why"],
                each["ticket"],
                definition_line(each["definition"]),
            )
            for each in found
        ]
        out.print(table(["at", "change", "who", "why", "ticket", "means"], rows))

    finish({"label": name, "meanings": found}, show, as_json=as_json)


def _fields(
    owner: str | None,
    readers: list[str] | None,
    denied: list[str] | None,
    level: int | None,
    compartments: list[str] | None,
    purposes: list[str] | None,
    valid_from: str | None,
    valid_until: str | None,
) -> dict[str, object]:
    """Return the fields of a label that were given."""
    given = {
        "owner": owner,
        "readers": readers,
        "denied": denied,
        "level": level,
        "compartments": compartments,
        "purposes": purposes,
        "valid_from": valid_from,
        "valid_until": valid_until,
    }
    return {name: value for name, value in given.items() if value not in (None, [])}


def _label(name: str, fields: dict[str, object], file: Path | None) -> Label:
    """Return what the options say a label means, or the file does."""
    from ringfence_governance.identifiers import label_name, tenant_of
    from ringfence_governance.labels import Label
    from ringfence_governance.labels_text import LABELS_BYTES_MAX, parse_labels_yaml
    from ringfence_governance.policy_text import read_file

    label_name(name)
    if file is None:
        if "owner" not in fields:
            raise typer.BadParameter("found no owner; expected --owner, or --file with a labels.yaml")
        return Label.from_mapping(fields, tenant=tenant_of(name))
    if fields:
        raise typer.BadParameter("found label options beside --file; expected one or the other")
    found = {
        each.name: each.definition for each in parse_labels_yaml(read_file(file, LABELS_BYTES_MAX), str(file))
    }
    if name not in found:
        raise typer.BadParameter(f"found no label {name!r} in {str(file)!r}; expected it to be defined there")
    return found[name]


def _finish(name: str, label: Label, *, changed: bool, said: str, as_json: bool) -> None:
    facts = {"changed": changed, "label": name, "definition": label.to_mapping()}
    finish(facts, lines(f"{said}: {name}, {definition_line(label.to_mapping())}"), as_json=as_json)


def definition_line(definition: Mapping[str, Any]) -> str:
    """Return what a label means on one line; fields at their default are left out."""
    from ringfence_governance.labels import Label
    from ringfence_ingest.summary import label_line

    return label_line(Label.from_mapping(definition))
