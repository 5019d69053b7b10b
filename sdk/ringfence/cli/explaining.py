"""Commands that explain: why a subject may read something, who may, and what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from .answers import finish, lines, table
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, ObjectId, Purpose, StorePath, Via
from .stores import opened

ARROW = " → "


def why(
    store: StorePath,
    object_id: Annotated[
        str,
        typer.Argument(metavar="OBJECT", help="Id of a document or passage, or path of a readable document."),
    ],
    subject: AsSubject = None,
    auditor: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="AUDITOR", help="An auditor who asks about SUBJECT and is told everything."
        ),
    ] = None,
    purpose: Purpose = "",
    via: Via = None,
    as_json: AsJson = False,
) -> None:
    """Say why a document or passage may be read: the decision, its rules, the way to each."""
    with opened(store) as open_store:
        asked = open_store.as_user(subject, via=via or (), purpose=purpose)
        if auditor is None:
            explained = asked.why(object_id)
        else:
            explained = open_store.as_user(auditor).why_for(
                asked.subject.person, object_id, via=via or (), purpose=purpose
            )
    facts = explained.to_mapping()
    finish(facts, lines(*_explanation(facts)), as_json=as_json)


def who(store: StorePath, object_id: ObjectId, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Say, to an auditor, who may read a document or passage now."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).who(object_id).to_mapping()
    shown = [*facts["readers"]]
    shown += [f"{reader} for {purpose}" for purpose, found in facts["purposes"].items() for reader in found]
    finish(facts, lines(*shown), as_json=as_json, code=DONE if shown else NOT_DONE)


def log(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Show, to an auditor, what was read, refused and changed."""
    with opened(store) as open_store:
        records = list(open_store.as_user(subject).log())

    def show(out: Console) -> None:
        rows = [
            (
                record["at"],
                record["verb"],
                record["outcome"],
                ARROW.join([record["subject"] or "(another tenant)", *record["via"]]),
                len(record["rows"]),
                record["rows_hidden"],
            )
            for record in records
        ]
        out.print(table(["at", "verb", "outcome", "subject", "rows", "rows hidden"], rows))

    finish(
        {"records": records, "count": len(records)}, show, as_json=as_json, code=DONE if records else NOT_DONE
    )


def _explanation(facts: Mapping[str, Any]) -> Iterator[str]:
    passage = "" if facts["object"] == facts["document"] else f"passage {facts['object']} of "
    yield f"{facts['decision']}: {facts['subject']}, read {passage}document {facts['document']}"
    if facts["label"] is not None:
        yield f"label {facts['label']}"
    for definition in facts.get("label_definition", ()):
        yield "  " + ", ".join(f"{name} {_plain(value)}" for name, value in definition.items())
    for rule in facts.get("rules", ()):
        yield from _rule(rule["rule"], rule["path"], rule["relation"])
    for verdict in facts.get("verdicts", ()):
        yield from verdict_lines(verdict)


def verdict_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell people what was decided of one actor, and the rules that matched."""
    carried = ", carrying the request" if verdict["carried"] else ""
    yield f"{verdict['actor']}{carried}: {verdict['reason']} on {verdict['label']}"
    for rule in verdict["rules"]:
        yield from _rule(rule["rule"], rule["membership"], rule["relation"])
        yield from _granted(rule)


def _rule(rule: str, path: list[str], relation: list[str]) -> Iterator[str]:
    yield f"  rule      {rule}"
    yield f"    names   {ARROW.join(path)}"
    if relation:
        yield f"    label   {ARROW.join(relation)}"


def _granted(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield who granted a rule and its memberships, where a store's journal says so."""
    for granted in [rule.get("granted"), *rule.get("membership_granted", ())]:
        if granted is not None:
            ticket = f", ticket {granted['ticket']}" if granted["ticket"] else ""
            yield f"    granted {granted['at']} by {granted['who']}: {granted['why']}{ticket}"


def _plain(value: object) -> str:
    return ("|".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
