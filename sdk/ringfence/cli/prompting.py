"""The commands about prompts: what goes into one, and keeping what was made of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from rich.console import Console

from .answers import finish, lines, tell_who_asked
from .failures import DONE, NOT_DONE
from .filtering import filter_of
from .options import (
    AsJson,
    AsSubject,
    Embedder,
    Exact,
    Language,
    Limit,
    MinScore,
    Mode,
    Purpose,
    Query,
    ReadAt,
    Rerank,
    Reranker,
    Since,
    StorePath,
    Syntax,
    Until,
    Via,
    Where,
    decoded,
)
from .stores import opened

if TYPE_CHECKING:
    from ringfence_retrieval.contexts import Context

STANDARD_INPUT = "-"
BYTES_MAX = 64 * 1024 * 1024
"""Largest file that is read."""

LIMITS = {
    "tokens_max": "the budget is full",
    "k": "no more were looked for",
    "found": "there is nothing more to be found",
}
"""What kept a context from being longer, for people."""


def context(
    store: StorePath,
    query: Query,
    subject: AsSubject = None,
    tokens_max: Annotated[
        int,
        typer.Option("--tokens", metavar="N", help="How long it may be; a token is 3 bytes of UTF-8."),
    ] = 4000,
    k: Annotated[
        int, typer.Option("-k", metavar="N", help="How many passages are looked for, 1 to 1000.")
    ] = 50,
    mode: Mode = "hybrid",
    syntax: Syntax = "operators",
    language: Language = "english",
    where: Where = None,
    since: Since = None,
    until: Until = None,
    min_score: MinScore = None,
    exact: Exact = False,
    purpose: Purpose = "",
    via: Via = None,
    at: ReadAt = None,
    rerank: Rerank = None,
    reranker: Reranker = None,
    limit: Limit = None,
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Put the readable passages that answer a question together for a prompt: each once, in order, cited."""
    with opened(store, embedder, reranker) as open_store:
        reader = open_store.as_user(subject, via=via or (), purpose=purpose)
        found = reader.context(
            query,
            tokens_max,
            k,
            mode,
            language,
            where=filter_of(where or ()),
            since=since,
            until=until,
            min_score=min_score,
            exact=exact,
            at=at,
            rerank=rerank,
            syntax=syntax,
            timeout=limit,
        )
    tell_who_asked(subject, reader.subject.person, found.readable)
    finish(
        found.to_mapping(),
        lambda out: _show(found, out),
        as_json=as_json,
        code=DONE if len(found) else NOT_DONE,
    )


def answer(
    store: StorePath,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The answer's text, in UTF-8; '-' reads it in.")
    ],
    subject: AsSubject = None,
    made_from: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ID", help="A passage or document that went into it; repeatable."),
    ] = None,
    context_file: Annotated[
        Path | None,
        typer.Option(
            "--context", metavar="JSON", help="What 'context --json' printed: all of it went into it."
        ),
    ] = None,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="What readers are shown.", callback=decoded)
    ] = "",
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="NAME", help="Who else may read it, of those who may read all of that."
        ),
    ] = None,
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="Kept with the run.", callback=decoded)
    ] = "",
    purpose: Purpose = "",
    via: Via = None,
    language: Language = "english",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Keep an answer that was made from passages: read only by who may read all that went into it."""
    text, inputs = _text(file), [*(made_from or ()), *_used(context_file)]
    with opened(store, embedder) as open_store:
        reader = open_store.as_user(subject, via=via or (), purpose=purpose)
        answer_id = reader.register_answer(text, inputs, title=title, label=label, language=language, why=why)
    facts = {"answer": answer_id, "inputs": len(set(inputs))}
    finish(facts, lines(f"registered: {answer_id}, made from {facts['inputs']}"), as_json=as_json)


def _text(file: str) -> str:
    """Return the text of the answer.

    Raises:
        InvalidInput: It cannot be read, or is no UTF-8.
    """
    import ringfence

    try:
        return _read("answer", sys.stdin.buffer if file == STANDARD_INPUT else Path(file)).decode()
    except UnicodeDecodeError:
        raise ringfence.InvalidInput("answer: found bytes that are no UTF-8; expected text") from None


def _used(file: Path | None) -> Iterator[str]:
    """Yield the ids of what is in a context, or in a search's result, that was printed as JSON.

    Raises:
        InvalidInput: It is none.
    """
    import json

    import ringfence

    if file is None:
        return
    try:
        found: dict[str, Any] = json.loads(_read("context", file))
        for passage in found["passages"] if "passages" in found else found["hits"]:
            yield from map(str, passage["chunks"] if "chunks" in passage else [passage["id"]])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ringfence.InvalidInput(
            f"context: found {str(file)!r}; expected what 'ringfence context --json' printed"
        ) from None


def _read(what: str, source: Path | BinaryIO) -> bytes:
    import ringfence

    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                data = file.read(BYTES_MAX + 1)
        else:
            data = source.read(BYTES_MAX + 1)
    except OSError as error:
        raise ringfence.InvalidInput(
            f"{what}: cannot read {str(source)!r} ({error.strerror}); expected a file"
        ) from None
    if len(data) > BYTES_MAX:
        raise ringfence.InvalidInput(f"{what}: found more than {BYTES_MAX} bytes; expected at most that")
    return data


def _show(found: Context, out: Console) -> None:
    lines(*found.text.split("\n"), "")(out)
    counted = (
        f"passages: {len(found)}, tokens: {found.tokens}, found: {found.found} of {found.readable} readable"
    )
    left = f"equal: {found.equal}, left out: {found.left_out}"
    lines(f"{counted}, {left}; {LIMITS[found.limit]}, as of {found.as_of}")(out)
