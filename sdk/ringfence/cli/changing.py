"""Commands that change who may do what: grant, revoke, and membership of groups and roles."""

from __future__ import annotations

from typing import Annotated

import typer

from .answers import finish, lines
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath, Ticket, Why
from .stores import opened

Principal = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="A user, group, role, agent or service: acme/group:sales.")
]
Action = Annotated[
    str,
    typer.Argument(
        metavar="ACTION",
        help="read, ingest, relabel_from, relabel_to, declassify, delete, audit, administer or delegate.",
    ),
]
Object = Annotated[
    str, typer.Argument(metavar="OBJECT", help="tenant/label:NAME, tenant/set:NAME, tenant/policy, or '*'.")
]
Member = Annotated[str, typer.Argument(metavar="MEMBER", help="Who belongs: a principal.")]
Group = Annotated[
    str, typer.Argument(metavar="GROUP", help="To what: tenant/group:NAME or tenant/role:NAME.")
]


def grant(
    store: StorePath,
    principal: Principal,
    action: Action,
    object_id: Object,
    why: Why,
    subject: AsSubject = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From when on, UTC: 2026-01-31T00:00:00Z.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Until when, UTC, this second not included.")
    ] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", metavar="WORD", help="Only for this purpose. Without it: any.")
    ] = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Grant a principal an action on a label, a set of labels, or the policy."""
    with opened(store) as open_store:
        changed = open_store.as_user(subject).grant(
            principal,
            action,
            object_id,
            why=why,
            ticket=ticket,
            valid_from=valid_from,
            valid_until=valid_until,
            purpose=purpose,
        )
    facts = {
        "changed": changed,
        "subject": principal,
        "action": action,
        "object": object_id,
        "from": valid_from,
        "until": valid_until,
        "purpose": purpose,
    }
    said = "granted" if changed else "stands already"
    finish(facts, lines(f"{said}: {principal} {action} {object_id}"), as_json=as_json)


def revoke(
    store: StorePath,
    principal: Principal,
    action: Action,
    object_id: Object,
    why: Why,
    subject: AsSubject = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only grants that hold from this time on.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only grants that hold until this time.")
    ] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", metavar="WORD", help="Only grants for this purpose.")
    ] = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Take back the grants of an action on an object; in force from the next question on."""
    with opened(store) as open_store:
        revoked = open_store.as_user(subject).revoke(
            principal,
            action,
            object_id,
            why=why,
            ticket=ticket,
            valid_from=valid_from,
            valid_until=valid_until,
            purpose=purpose,
        )
    facts = {
        "revoked": revoked,
        "subject": principal,
        "action": action,
        "object": object_id,
        "from": valid_from,
        "until": valid_until,
        "purpose": purpose,
    }
    said = f"revoked {revoked}" if revoked else "no such grant stands"
    finish(
        facts,
        lines(f"{said}: {principal} {action} {object_id}"),
        as_json=as_json,
        code=DONE if revoked else NOT_DONE,
    )


def relabel(
    store: StorePath,
    document: Annotated[
        str, typer.Argument(metavar="DOCUMENT", help="Id of a document, or path of a readable one.")
    ],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="A named label, such as acme/label:payroll.")],
    why: Why,
    subject: AsSubject = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Give a document another label, and what was made from it; in force from the next question on."""
    with opened(store) as open_store:
        changed = open_store.as_user(subject).relabel(document, label, why=why, ticket=ticket)
    said = "relabelled" if changed else "has it already"
    facts = {"changed": changed, "document": document, "label": label}
    finish(facts, lines(f"{said}: {document} {label}"), as_json=as_json)


def add_member(
    store: StorePath,
    member: Member,
    group: Group,
    why: Why,
    subject: AsSubject = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Put a principal into a group or role."""
    with opened(store) as open_store:
        changed = open_store.as_user(subject).add_member(member, group, why=why, ticket=ticket)
    said = "added" if changed else "is in it already"
    facts = {"changed": changed, "member": member, "group": group}
    finish(facts, lines(f"{said}: {member} in {group}"), as_json=as_json)


def remove_member(
    store: StorePath,
    member: Member,
    group: Group,
    why: Why,
    subject: AsSubject = None,
    ticket: Ticket = "",
    as_json: AsJson = False,
) -> None:
    """Take a principal out of a group or role; in force from the next question on."""
    with opened(store) as open_store:
        changed = open_store.as_user(subject).remove_member(member, group, why=why, ticket=ticket)
    said = "removed" if changed else "is not in it"
    facts = {"changed": changed, "member": member, "group": group}
    finish(facts, lines(f"{said}: {member} in {group}"), as_json=as_json, code=DONE if changed else NOT_DONE)
