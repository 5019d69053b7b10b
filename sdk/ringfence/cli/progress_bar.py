"""Show how far an ingest is, while it runs, to people at a terminal.

Promise: writes to standard error and only to a terminal; shows counts and no
name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from .answers import console

if TYPE_CHECKING:
    from ringfence_ingest.progress import OnProgress, Progress


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[OnProgress | None]:
    """Give what an ingest calls after each item; None where there is no terminal to show it on."""
    errors = console(error=True)
    if not shown or not errors.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def advance(progress: Progress) -> None:
            bar.update(
                task,
                description=_described(progress),
                completed=progress.documents,
                total=progress.expected,
            )

        yield advance


def _described(progress: Progress) -> str:
    source = f"source {progress.source_number} of {progress.sources}"
    return f"{source}, {progress.chunks} passages, {progress.reported} reported"
