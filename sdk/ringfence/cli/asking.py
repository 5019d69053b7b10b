"""Commands for an auditor who asks in SQL: one question, many, or a file to hand over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .answers import console, finish, lines, report, table
from .failures import DONE, NOT_DONE, failure_of
from .options import AsJson, AsSubject, StorePath, decoded
from .stores import opened

if TYPE_CHECKING:
    from ringfence.audit_database import AuditDatabase, AuditRows

PROMPT, MORE = "audit> ", "  ...> "
LEAVE, QUESTIONS = "\\q", "\\?"

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Work out who might read from then on, UTC as 2026-01-31T00:00:00Z. Without it: for all time.",
    ),
]


def sql(
    store: StorePath,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="One SELECT, such as 'FROM runs()'.", callback=decoded)
    ],
    subject: AsSubject = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Answer one question of an auditor in SQL, from what he may audit."""
    with opened(store) as open_store, open_store.as_user(subject).audit_database(since=since) as database:
        found = database.sql(query)
        facts = {**_as_of(database), **found.to_mapping()}
    finish(facts, lambda out: _show(found, out), as_json=as_json, code=DONE if len(found) else NOT_DONE)


def shell(
    store: StorePath,
    subject: AsSubject = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Answer an auditor's questions from standard input, each ending in a semicolon."""
    answers: list[dict[str, Any]] = []
    with opened(store) as open_store, open_store.as_user(subject).audit_database(since=since) as database:
        facts: dict[str, Any] = _as_of(database)
        if not as_json:
            told = f"as of {database.time}; {QUESTIONS} lists the questions, {LEAVE} leaves"
            lines(told)(console())
        for query in _questions(prompted=sys.stdin.isatty() and not as_json):
            if query == QUESTIONS:
                # With JSON standard output is one object: what is for people goes beside it.
                rows = list(database.questions.items())
                console(error=as_json).print(table(["question", "answers"], rows))
                continue
            answers.append({"query": query, **_answered(database, query, as_json=as_json)})
    finish({**facts, "answers": answers}, lambda out: None, as_json=as_json)


def export(
    store: StorePath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A name that is free, such as audit.duckdb.")],
    subject: AsSubject = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Write what an auditor may audit as a DuckDB file to hand over, with a signed statement beside it."""
    with opened(store) as open_store, open_store.as_user(subject).audit_database(since=since) as database:
        facts = {"file": str(file), **database.export(file)}
    shown = (f"{name}: {facts[name]}" for name in ("file", "time", "digest", "public_key"))
    finish(facts, lines(*shown), as_json=as_json)


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that 'audit export' wrote.")],
    public_key: Annotated[
        str,
        typer.Option(
            "--public-key", metavar="HEX", help="Of the store's log, as 'audit checkpoint' tells it."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Say whether an exported file is the one that was signed."""
    from ringfence_governance.audit_export import verify

    facts = verify(file, public_key)
    said = "valid" if facts["valid"] else f"NOT valid: {facts['found']}"
    told = f"store {facts['store']}, auditor {facts['auditor']}, as of {facts['time']}"
    finish(facts, lines(said, told), as_json=as_json, code=DONE if facts["valid"] else NOT_DONE)


def _as_of(database: AuditDatabase) -> dict[str, Any]:
    return {"time": database.time, "as_of": database.as_of}


def _show(found: AuditRows, out: Console) -> None:
    if len(found):
        out.print(table(found.columns, found.rows))
    lines(f"rows: {len(found)}")(out)


def _answered(database: AuditDatabase, query: str, *, as_json: bool) -> dict[str, Any]:
    """Return an answer, or what was wrong with its question, and show it to people."""
    from ringfence_governance.errors import InvalidInput

    try:
        found = database.sql(query)
    except InvalidInput as error:
        failure = failure_of(error)
        report(failure, as_json=False)
        return failure.to_mapping()
    if not as_json:
        _show(found, console())
    return found.to_mapping()


def _questions(*, prompted: bool) -> Iterator[str]:
    """Yield each question, without its semicolon, until the input ends or somebody leaves."""
    waiting: list[str] = []
    while True:
        if prompted:
            console().print(MORE if waiting else PROMPT, end="")
        line = sys.stdin.readline()
        word = line.strip()
        if not line or (not waiting and word == LEAVE):
            break
        if not waiting and word == QUESTIONS:
            yield QUESTIONS
        elif word:
            waiting.append(line)
            if word.endswith(";"):
                yield "".join(waiting).strip().rstrip(";")
                waiting.clear()
    if rest := "".join(waiting).strip():
        yield rest
