"""Run one command, and turn whatever stops it into an error line, a hint and an exit code.

Promise: no traceback and nothing of a document reaches the terminal through
an error; with `--json` there is one JSON object on standard output, also then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer.core

from .answers import report
from .failures import INTERRUPTED, failure_of

PROGRAM = "ringfence"
DEBUG_VARIABLE = "RINGFENCE_DEBUG"
JSON_FLAG = "--json"


class ReportingGroup(typer.core.TyperGroup):
    """The root of all commands: where every error ends."""

    def main(self, args: Sequence[str] | None = None, *positional: Any, **named: Any) -> Any:
        """Run the command that `args` call, and exit with its code."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = wants_json(words)
        try:
            code = super().main(words, *positional, **(named | {"standalone_mode": False}))
        except Exception as error:
            if os.environ.get(DEBUG_VARIABLE) == "1":
                raise
            failure = failure_of(error)
            report(failure, as_json=as_json)
            raise SystemExit(failure.code) from error
        if code == INTERRUPTED.code:
            report(INTERRUPTED, as_json=as_json)
        sys.exit(code or 0)


def wants_json(words: Sequence[str]) -> bool:
    """Say whether a command line asks for JSON, even if it cannot be understood otherwise."""
    options = words[: words.index("--")] if "--" in words else words
    return JSON_FLAG in options
