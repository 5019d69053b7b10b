"""The arguments and options that several commands share, each described once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ringfence_governance.stopping import TIMEOUT_MAX_S


def decoded(text: str) -> str:
    """Return `text` if it is text.

    Raises:
        typer.BadParameter: The command line held bytes that the locale's encoding does not know.
    """
    if text.encode("utf-8", "replace").decode() == text:
        return text
    raise typer.BadParameter(
        "found bytes that are no text in this locale; expected text; mind LANG and LC_ALL"
    )


def each_decoded(texts: list[str] | None) -> list[str] | None:
    """Return texts as they are if each is text; see :func:`decoded`."""
    return texts if texts is None else [decoded(text) for text in texts]


def seconds(found: float | None) -> float | None:
    """Return a time limit as it is if a read can have it.

    Raises:
        typer.BadParameter: It is not above 0 and at most a day.
    """
    if found is None or 0 < found <= TIMEOUT_MAX_S:
        return found
    raise typer.BadParameter(
        f"found {found:g}; expected seconds, above 0 and at most {TIMEOUT_MAX_S:g}; leave it out for no limit"
    )


StorePath = Annotated[str, typer.Argument(metavar="STORE", help="The store's folder, or s3://BUCKET/PREFIX.")]
ObjectId = Annotated[str, typer.Argument(metavar="OBJECT", help="Id of a document or passage.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
AsSubject = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="SUBJECT",
        help="Who asks, such as acme/user:dora. Without it: you, as local/user:NAME.",
    ),
]
Via = Annotated[
    list[str] | None,
    typer.Option(
        "--via",
        metavar="AGENT",
        help="An agent or service that carries the request, nearest to the person first; repeatable.",
    ),
]
Purpose = Annotated[str, typer.Option("--purpose", metavar="WORD", help="What it is asked for.")]
Query = Annotated[str, typer.Argument(metavar="QUERY", help="A question or some words.", callback=decoded)]
Mode = Annotated[
    Literal["hybrid", "vector", "text"],
    typer.Option("--mode", help="By meaning (vector), by words (text), or both."),
]
Syntax = Annotated[
    Literal["operators", "plain"],
    typer.Option("--syntax", help='Whether "phrases" and prefix* are operators, or all is text (plain).'),
]
Language = Annotated[
    str,
    typer.Option(
        "--language",
        metavar="NAME",
        help="Whose word stems are used, such as german; 'none' for none. The same to ingest and to search.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Only documents of which this holds; by =, !=, <, <=, >, >= or ^= (begins with); repeatable.",
        callback=each_decoded,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Only documents modified then or later, UTC as 2026-01-31T00:00:00Z."
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only documents modified before then.")
]
MinScore = Annotated[
    float | None,
    typer.Option("--min-score", metavar="SCORE", help="Only passages with at least this score."),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact", help="Look at every readable row even where an indexed store would ask its index."
    ),
]
Embedder = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="minilm, hash, or the folder of a SentenceTransformer. Without it: the store's own, or minilm.",
    ),
]
Reranker = Annotated[
    str | None,
    typer.Option(
        "--reranker", metavar="FOLDER", help="Of a CrossEncoder that puts the best into another order."
    ),
]
Rerank = Annotated[
    int | None,
    typer.Option(
        "--rerank",
        metavar="N",
        help="How many of the best the reranker is shown, 1 to 200; the hits are of these.",
    ),
]
Limit = Annotated[
    float | None,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="End without an answer after so long, at most 86400. Without it: as long as it takes.",
        callback=seconds,
    ),
]
Why = Annotated[
    str,
    typer.Option("--why", metavar="TEXT", help="Why it is changed; kept with the change.", callback=decoded),
]
Ticket = Annotated[
    str, typer.Option("--ticket", metavar="TEXT", help="Where it was asked for.", callback=decoded)
]
ReadAt = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="What was published then, UTC as 2026-01-31T00:00:00Z, by the rights of now. Without it: now.",
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="As the store stood then, UTC as 2026-01-31T00:00:00Z; only for an auditor. Without it: now.",
    ),
]
