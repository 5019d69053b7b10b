"""What all benchmarks have in common on the command line: run, write the result file and the page, print the page.

Promise: a quick run writes nothing; a page is made from its result file and from nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Command:
    """One benchmark's command.

    Args:
        program: How it is called.
        description: Its module's docstring.
        results: Name of its result file beneath `bench/results`.
        page: Name of its page.
        text_of: Makes the page from what the result file holds.
        folder: Where its page stands.
    """

    program: str
    description: str | None
    results: str
    page: str
    text_of: Callable[[Any], str]
    folder: str = "docs"

    def of_size(self, rows: int) -> Command:
        """Return the command whose result file and page are those of so many rows: from a million on, others."""
        if rows < MILLION:
            return self
        results, page = (
            str(Path(name).with_stem(f"{Path(name).stem}-million")) for name in (self.results, self.page)
        )
        return replace(self, program=f"{self.program} --size {rows}", results=results, page=page)

    def parser(self) -> argparse.ArgumentParser:
        """Return a parser of the arguments that all benchmarks take; a benchmark adds its own."""
        parser = argparse.ArgumentParser(prog=self.program, description=self.description)
        parser.add_argument(
            "--quick", action="store_true", help="tiny numbers, to see that it runs; keeps nothing"
        )
        parser.add_argument("--out", type=Path, help="write the results there and leave the page as it is")
        parser.add_argument(
            "--render",
            action="store_true",
            help=f"only make {self.folder}/{self.page} from the stored results",
        )
        return parser

    def run(self, measure: Callable[[argparse.Namespace], Mapping[str, object]]) -> None:
        """Read the command line and do what it says; for a benchmark that adds no argument.

        Args:
            measure: Takes the run that the arguments ask for and returns what the result file holds.
        """
        given = self.parser().parse_args()
        self.carry_out(given, lambda: measure(given))

    def carry_out(self, given: argparse.Namespace, measure: Callable[[], Mapping[str, object]]) -> None:
        """Do what the arguments say.

        Args:
            given: As :meth:`parser` read them.
            measure: Takes the run and returns what the result file holds.
        """
        results, page = HERE / "results" / self.results, HERE.parent / self.folder / self.page
        if given.render:
            page.write_text(self.text_of(json.loads(results.read_text("utf-8"))), "utf-8")
            return
        found = measure()
        text, kept = self.text_of(found), json.dumps(found, indent=1) + "\n"
        if given.out is not None:
            given.out.write_text(kept, "utf-8")
        elif not given.quick:
            results.write_text(kept, "utf-8")
            page.write_text(text, "utf-8")
        print(text)
