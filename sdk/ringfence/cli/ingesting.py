"""The command that ingests: sources into a store, with a label for every document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .answers import finish, lines, table
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, Embedder, Language, StorePath
from .progress_bar import progress_bar
from .stores import opened

if TYPE_CHECKING:
    from ringfence_governance.drafts import LabelChoice
    from ringfence_ingest.summary import Summary

DONE_COUNTS = ("added", "changed", "unchanged", "relabelled", "removed")
"""Numbers of a summary that say a document of the sources is in the store, or rightly gone from it."""

REPORTS = ("refused", "failed", "skipped")
"""Lists of a summary: files that were not ingested as asked."""


def ingest(
    store: StorePath,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Folders, files, mailboxes or fsspec URLs.")
    ],
    subject: AsSubject = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="NAME", help="Label for every document, such as acme/label:payroll."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner", metavar="PRINCIPAL", help="Owner of every document. Without it: who ingests."
        ),
    ] = None,
    readers: Annotated[
        list[str] | None,
        typer.Option(
            "--reader", metavar="PRINCIPAL", help="Who reads too; '*' is everybody known; repeatable."
        ),
    ] = None,
    denied: Annotated[
        list[str] | None,
        typer.Option(
            "--denied", metavar="PRINCIPAL", help="Who never reads, whatever else says so; repeatable."
        ),
    ] = None,
    level: Annotated[
        int | None, typer.Option("--level", metavar="N", help="Clearance a reader needs, 0 to 9.")
    ] = None,
    compartments: Annotated[
        list[str] | None,
        typer.Option("--compartment", metavar="WORD", help="A reader must hold all of them; repeatable."),
    ] = None,
    purposes: Annotated[
        list[str] | None,
        typer.Option(
            "--purpose", metavar="WORD", help="What it may be read for; repeatable. Without: anything."
        ),
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="GLOB", help="Take only these paths; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Leave these paths out; repeatable.")
    ] = None,
    trust_other: Annotated[
        bool,
        typer.Option("--trust-other", help="A file all may read is for everybody known in tenant local."),
    ] = False,
    remove_vanished: Annotated[
        bool, typer.Option("--remove-vanished", help="Remove documents whose files are gone from the source.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option("--encoding", metavar="NAME", help="Of text files that are not UTF-8.")
    ] = None,
    bytes_max: Annotated[
        int | None,
        typer.Option("--max-bytes", metavar="N", help="Largest file, in bytes. Without it: 67108864.", min=1),
    ] = None,
    language: Language = "english",
    embedder: Embedder = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge everything, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the documents of one or more sources into a store."""
    from ringfence_ingest.limits import BYTES_MAX

    fields = {
        "owner": owner,
        "readers": readers,
        "denied": denied,
        "level": level,
        "compartments": compartments,
        "purposes": purposes,
    }
    given: dict[str, object] = {name: value for name, value in fields.items() if value not in (None, [])}
    with opened(store, embedder) as open_store, progress_bar(shown=not as_json) as advance:
        summary = open_store.ingest(
            *sources,
            as_user=subject,
            label=_label(label, given, subject),
            include=include or (),
            exclude=exclude or (),
            trust_other=trust_other,
            remove_vanished=remove_vanished,
            encoding=encoding,
            language=language,
            bytes_max=BYTES_MAX if bytes_max is None else bytes_max,
            dry_run=dry_run,
            on_progress=advance,
        )
    _finish(summary, as_json=as_json)


def _label(name: str | None, fields: dict[str, object], subject: str | None) -> LabelChoice | None:
    """Return the label the options describe: a named one, an anonymous one, or None if they say nothing."""
    from ringfence_governance.identifiers import label_name
    from ringfence_governance.labels import Label
    from ringfence_governance.subjects import local_user

    if name is not None and fields:
        raise typer.BadParameter(
            "found --label and other label options; expected a name, or fields, not both"
        )
    if name is not None:
        return label_name(name)
    if not fields:
        return None
    return Label.from_mapping({"owner": subject if subject is not None else local_user(), **fields})


def _finish(summary: Summary, *, as_json: bool) -> None:
    facts = summary.to_mapping()
    # How long it took is the machine's to know; equal input gives equal output.
    del facts["seconds"]
    counts = [(name, getattr(summary, name)) for name in DONE_COUNTS]
    done = any(number for _, number in counts)

    def show(out: Console) -> None:
        from ringfence_ingest.summary import label_line

        if summary.planned:
            reported = {(each.source, each.path) for word in REPORTS for each in getattr(summary, word)}
            rows = [
                (plan.action, plan.path, label_line(plan.label), plan.origin)
                for plan in summary.planned
                if (plan.source, plan.path) not in reported
            ]
            out.print(table(["would be", "path", "label", "because of"], rows))
        for word in REPORTS:
            if reports := getattr(summary, word):
                out.print(table([word, "reason"], [(each.path, each.reason) for each in reports]))
        would = "nothing was written; would be: " if summary.dry_run else ""
        numbers = [*counts, *((word, len(getattr(summary, word))) for word in REPORTS)]
        lines(
            *summary.notes,
            would + ", ".join(f"{number} {name}" for name, number in numbers),
            f"{summary.chunks} passage{'' if summary.chunks == 1 else 's'} in {summary.seconds:.1f} s",
        )(out)

    finish(facts, show, as_json=as_json, code=DONE if done else NOT_DONE)
