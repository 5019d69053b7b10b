"""The command about prompts: what goes into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .answers import finish, lines
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, Embedder, Mode, Purpose, Query, StorePath, Via
from .stores import opened

if TYPE_CHECKING:
    from ringfence_retrieval.contexts import Context

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
    purpose: Purpose = "",
    via: Via = None,
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Put the readable passages that answer a question together for a prompt: each once, in order, cited."""
    with opened(store, embedder) as open_store:
        reader = open_store.as_user(subject, via=via or (), purpose=purpose)
        found = reader.context(query, tokens_max, k, mode)
    finish(
        found.to_mapping(),
        lambda out: _show(found, out),
        as_json=as_json,
        code=DONE if len(found) else NOT_DONE,
    )


def _show(found: Context, out: Console) -> None:
    lines(*found.text.split("\n"), "")(out)
    counted = (
        f"passages: {len(found)}, tokens: {found.tokens}, found: {found.found} of {found.readable} readable"
    )
    left = f"equal: {found.equal}, did not fit: {found.left_out}"
    lines(f"{counted}, {left}; {LIMITS[found.limit]}, as of {found.as_of}")(out)
