"""Commands that read: search, and list what may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from .answers import finish, lines, table, tell_who_asked
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
    each_decoded,
)
from .printable import one_line
from .stores import opened

if TYPE_CHECKING:
    from ringfence_retrieval.results import Hit, SearchResult

TEXT_SHOWN = 400
"""Characters of a passage that are shown to people; JSON has all of it."""


def search(
    store: StorePath,
    query: Query,
    subject: AsSubject = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="How many passages at most, 1 to 1000.")] = 10,
    mode: Mode = "hybrid",
    syntax: Syntax = "operators",
    language: Language = "english",
    where: Where = None,
    since: Since = None,
    until: Until = None,
    min_score: MinScore = None,
    group_by: Annotated[
        Literal["document"] | None,
        typer.Option("--group-by", help="Only the best passage of each document."),
    ] = None,
    facets: Annotated[
        list[str] | None,
        typer.Option(
            "--facet",
            metavar="COLUMN",
            help="Count what matches by media_type, source or source_kind; repeatable.",
            callback=each_decoded,
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="CURSOR", help="Go on behind the passages that came with it."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how the passages were found: the plan and what decided it.")
    ] = False,
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
    """Find the readable passages that answer a question, best first."""
    with opened(store, embedder, reranker) as open_store:
        reader = open_store.as_user(subject, via=via or (), purpose=purpose)
        result = reader.search(
            query,
            k=k,
            mode=mode,
            language=language,
            where=filter_of(where or ()),
            since=since,
            until=until,
            min_score=min_score,
            group_by=group_by,
            facets=facets or (),
            cursor=cursor,
            explain=explain,
            exact=exact,
            at=at,
            rerank=rerank,
            syntax=syntax,
            timeout=limit,
        )
    tell_who_asked(subject, reader.subject.person, result.readable)
    finish(
        result.to_mapping(),
        lambda out: _show(result, out),
        as_json=as_json,
        code=DONE if result.hits else NOT_DONE,
    )


def list_documents(
    store: StorePath,
    subject: AsSubject = None,
    purpose: Purpose = "",
    via: Via = None,
    at: ReadAt = None,
    as_json: AsJson = False,
) -> None:
    """List the documents that may be read."""
    with opened(store) as open_store:
        reader = open_store.as_user(subject, via=via or (), purpose=purpose)
        found = reader.list(at=at)
    tell_who_asked(subject, reader.subject.person, len(found))

    def show(out: Console) -> None:
        if len(found):
            rows = [(each.id, each.path, each.title, each.size, each.modified, each.label) for each in found]
            out.print(table(["id", "path", "title", "bytes", "modified", "label"], rows))
        lines(f"readable documents: {len(found)}, as of {found.as_of}")(out)

    finish(found.to_mapping(), show, as_json=as_json, code=DONE if len(found) else NOT_DONE)


def _show(result: SearchResult, out: Console) -> None:
    for hit in result.hits:
        lines(_heading(hit), f"   {one_line(hit.text, TEXT_SHOWN)}", _origin(hit), "")(out)
    looked = "all of them looked at" if result.complete else "not all of them looked at"
    matching = f"matching{'' if result.group_by is None else ' documents'}: {result.matching}"
    shown = f"hits: {len(result.hits)}, {matching}, readable passages: {result.readable}, {looked}"
    lines(f"{shown}, as of {result.as_of}")(out)
    if result.cursor is not None:
        lines(f"more: --cursor {result.cursor}")(out)
    for name, facet in (result.facets or {}).items():
        told = (
            ""
            if len(facet.counts) == facet.distinct
            else f" (the first {len(facet.counts)} of {facet.distinct})"
        )
        lines(f"{name}{told}:", *(f"{count:>8} {one_line(value)}" for value, count in facet.counts.items()))(
            out
        )
    if result.plan is not None:
        decided = ", ".join(f"{name} {value}" for name, value in result.plan["thresholds"].items())
        by = f", reranked by {one_line(result.plan['reranker'])}" if "reranker" in result.plan else ""
        how = f"plan: {result.plan['name']}, rows {result.plan['rows']}, k {result.plan['k']}, {decided}{by}"
        words = [f'"{" ".join(phrase)}"' for phrase in result.plan.get("phrases", ())]
        words += [f"{prefix}*" for prefix in result.plan.get("prefixes", ())]
        lines(how, *(f"looked for: {one_line(', '.join(words))}" for _ in words[:1]))(out)


def _heading(hit: Hit) -> Text:
    title = "" if hit.source.title in ("", hit.source.path) else f"  {one_line(hit.source.title)}"
    return Text.assemble(
        f"{hit.rank:>2} ", (one_line(hit.source.path), "bold"), title, (f"  {hit.score:.4f}", "dim")
    )


def _origin(hit: Hit) -> Text:
    label = f", label {hit.label}" if hit.label else ""
    span = f"characters {hit.source.start} to {hit.source.end}"
    return Text("   " + one_line(f"passage {hit.id} of document {hit.document}, {span}{label}"), style="dim")
