"""The command that serves a page to look at lineage, rights and reads."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .answers import console, lines, print_json
from .failures import DONE
from .options import AsJson, AsSubject, StorePath
from .stores import opened

PORT_MIN, PORT_MAX = 1024, 65535


def explore(
    store: StorePath,
    subject: AsSubject = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", min=PORT_MIN, max=PORT_MAX, help="Without it: one that is free."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve a page on loopback: lineage drawn, who can read and why, rights and reads over time."""
    from ringfence.explorer.serving import Explorer

    with opened(store) as open_store:
        explorer = Explorer(open_store.as_user(subject), port or 0)
        explorer.start()
        try:
            if as_json:
                print_json({"address": explorer.address})
            else:
                told = (
                    "Whoever has this address looks as the subject. It ends with Ctrl-C, or with the input."
                )
                lines(explorer.address, told)(console())
            sys.stdout.flush()
            while sys.stdin.readline():
                pass
        except KeyboardInterrupt:
            # How one who looks ends it; nothing was cut short.
            pass
        finally:
            explorer.close()
    raise typer.Exit(DONE)
