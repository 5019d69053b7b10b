"""Commands that explain: why a subject may read something, who may, what he may, and what was read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from .answers import finish, lines, table
from .failures import DONE, NOT_DONE
from .labels import definition_line
from .options import AsJson, AsSubject, At, ObjectId, Purpose, StorePath, Via
from .stores import opened

ARROW = " → "

KNOWN = {
    "publication": "labels as they were published then",
    "newest": "labels as they are published now, led back over what the journal says; what was published then is gone",
    "absent": "nothing was there under a label that you may audit",
}
"""What people are told of `label_as_of`."""


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
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="What was published then, UTC as 2026-01-31T00:00:00Z, by the rights of now; "
            "with --by, by those of then. Without it: now.",
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
            explained = asked.why(object_id, at=at)
        else:
            explained = open_store.as_user(auditor).why_for(
                asked.subject.person, object_id, via=via or (), purpose=purpose, at=at
            )
    facts = explained.to_mapping()
    finish(facts, lines(*_explanation(facts)), as_json=as_json)


def who(
    store: StorePath,
    object_id: ObjectId,
    subject: AsSubject = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Say, to an auditor, who may read a document or passage now, or might at a time."""
    from ringfence_governance.rows import is_opaque

    if not is_opaque(object_id):
        raise typer.BadParameter(
            "found an OBJECT that is no id; expected 32 hexadecimal digits; a reader's 'list' shows them, "
            "and so does 'audit sql' with \"FROM documents\""
        )
    with opened(store) as open_store:
        facts = open_store.as_user(subject).who(object_id, at=at).to_mapping()
    shown = [*facts["readers"]]
    shown += [f"{reader} for {purpose}" for purpose, found in facts["purposes"].items() for reader in found]
    finish(facts, lines(*_known(facts), *shown), as_json=as_json, code=DONE if shown else NOT_DONE)


def what(
    store: StorePath,
    asked: Annotated[
        str | None,
        typer.Argument(
            metavar="SUBJECT", help="Who is asked about, by an auditor. Without it: the one who asks."
        ),
    ] = None,
    subject: AsSubject = None,
    action: Annotated[
        str, typer.Option("--action", metavar="ACTION", help="What SUBJECT may do: read, ingest, audit …")
    ] = "read",
    at: At = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="List the ids of the documents under each label.")
    ] = False,
    purpose: Purpose = "",
    via: Via = None,
    as_json: AsJson = False,
) -> None:
    """Say under which labels a subject may read, or do something else, and how many documents each has."""
    if asked is None and (at is not None or action != "read"):
        raise typer.BadParameter(
            "found --at or --action without SUBJECT; expected one; name who is asked about"
        )
    with opened(store) as open_store:
        if asked is None:
            reader = open_store.as_user(subject, via=via or (), purpose=purpose)
            facts = reader.what(documents=documents).to_mapping()
        else:
            found = open_store.as_user(subject).what_for(
                asked, via=via or (), purpose=purpose, action=action, at=at, documents=documents
            )
            facts = found.to_mapping()
    there = facts["labels"] or facts.get("labels_hidden")
    finish(facts, lines(*_labels(facts)), as_json=as_json, code=DONE if there else NOT_DONE)


def log(
    store: StorePath,
    subject: AsSubject = None,
    last: Annotated[
        int | None, typer.Option("--last", metavar="N", help="Only the newest N records.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show, to an auditor, what was read, refused and changed."""
    with opened(store) as open_store:
        records = list(deque(open_store.as_user(subject).log(), last))

    def show(out: Console) -> None:
        rows = [
            (
                record["at"],
                record["verb"],
                record["action"],
                record["outcome"],
                ARROW.join([record["subject"] or "(another tenant)", *record["via"]]),
                len(record["rows"]),
                record["rows_hidden"],
                record.get("row", "") or record["record"],
            )
            for record in records
        ]
        names = ["at", "verb", "action", "outcome", "subject", "rows", "rows hidden", "record, or change"]
        out.print(table(names, rows))

    finish(
        {"records": records, "count": len(records)}, show, as_json=as_json, code=DONE if records else NOT_DONE
    )


def _explanation(facts: Mapping[str, Any]) -> Iterator[str]:
    passage = "" if facts["object"] == facts["document"] else f"passage {facts['object']} of "
    yield f"{facts['decision'] or 'no answer'}: {facts['subject']}, read {passage}document {facts['document']}"
    yield from _known(facts)
    if facts["label"] is not None:
        yield f"label {facts['label']}"
    yield from _definitions(facts)
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
    """Yield who granted a rule and its memberships, where a store's journal says so, and who revoked them since."""
    for granted in [rule.get("granted"), *rule.get("membership_granted", ())]:
        if granted is not None:
            yield f"    granted {_change(granted)}"
            if granted["revoked"] is not None:
                yield f"    revoked {_change(granted['revoked'])}"


def _change(change: Mapping[str, Any]) -> str:
    ticket = f", ticket {change['ticket']}" if change["ticket"] else ""
    return f"{change['at']} by {change['who']}: {change['why']}{ticket}"


def _labels(facts: Mapping[str, Any]) -> Iterator[str]:
    asked = f"{facts['action']} by {ARROW.join([facts['subject'], *facts['via']])}"
    yield asked + (f" for {facts['purpose']}" if facts["purpose"] else "")
    yield from _known(facts)
    for label in facts["labels"]:
        yield f"{label['documents']:>6} documents under {label['label'] or 'a label without a name'}"
        yield from _definitions(label)
        yield from (f"  document {each}" for each in label.get("ids", ()))
    if "labels_hidden" in facts:
        yield f"labels: {len(facts['labels'])}, and {facts['labels_hidden']} that you may not audit"


def _known(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is said of the time that was asked of, if one was."""
    if "at" in facts:
        yield f"at {facts['at']}: {KNOWN[facts['label_as_of']]}"


def _definitions(facts: Mapping[str, Any]) -> Iterator[str]:
    for definition in facts.get("label_definition", ()):
        yield f"  {definition_line(definition)}"
