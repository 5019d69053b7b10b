"""Print one answer: a JSON object for programs, or lines for people.

Promise: under `--json` standard output holds exactly one JSON object, in
ASCII, so that nothing in a document reaches a terminal raw; for people,
markup in a document is text and hidden characters are shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .failures import DONE, Failure
from .printable import one_line, visible

Show = Callable[[Console], None]
"""Prints an answer for people."""

PIPE_COLUMNS = 10_000
"""Width where no terminal limits it, so that a line stays a line for grep."""


def finish(facts: Mapping[str, Any], show: Show, *, as_json: bool, code: int = DONE) -> NoReturn:
    """Print an answer and end the command.

    Args:
        facts: The JSON object, in the order of its keys.
        show: Prints the same for people.
        code: The exit code.

    Raises:
        typer.Exit: Always.
    """
    if as_json:
        print_json(facts)
    else:
        show(console())
    sys.stdout.flush()
    raise typer.Exit(code)


def report(failure: Failure, *, as_json: bool) -> None:
    """Print why a command stopped: on standard error, and as JSON on standard output if it was asked for."""
    errors = console(error=True)
    for word, style, text in (("error", "bold red", failure.message), ("hint", "bold", failure.hint)):
        if text:
            errors.print(Text.assemble((f"{word}: ", style), visible(text)), soft_wrap=True)
    if as_json:
        print_json(failure.to_mapping())
        sys.stdout.flush()


def tell_who_asked(named: str | None, subject: str, readable: int) -> None:
    """Say on standard error as whom it was asked, where nobody was named and nothing may be read.

    Args:
        named: What stood behind `--as`; None if nothing did.
        subject: As whom it was asked.
        readable: How much that subject may read.
    """
    if named is None and not readable:
        report(Failure("", "", f"it was asked as {subject}; name somebody else with --as", 0), as_json=False)


def print_json(facts: Mapping[str, Any]) -> None:
    """Write one JSON object on one line of standard output."""
    sys.stdout.write(json.dumps(facts, ensure_ascii=True, allow_nan=False) + "\n")


def console(*, error: bool = False) -> Console:
    """Return where to print for people; neither markup nor emoji codes mean anything there."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else PIPE_COLUMNS
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def lines(*parts: str | Text) -> Show:
    """Return what prints each part on a line of its own."""

    def show(out: Console) -> None:
        for part in parts:
            out.print(part if isinstance(part, Text) else Text(visible(part)), soft_wrap=True)

    return show


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table of plain cells; None is an empty one, and a head of empty names is left out."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for name in columns:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(Text("" if cell is None else one_line(str(cell))) for cell in row))
    return made
