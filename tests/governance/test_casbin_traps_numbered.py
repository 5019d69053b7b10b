"""Each of the thirty traps has a test, and each test of a trap says which it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from .traps import TRAPS

FILES = sorted(Path(__file__).parent.glob("test_casbin_traps_*.py"))
NUMBERED = re.compile(r"Traps? (\d+(?:(?:, | to | and )\d+)*): \S")


def docstrings() -> dict[str, str]:
    """Return the first line of the docstring of every test of a trap, by the test's name."""
    found: dict[str, str] = {}
    for file in FILES:
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and file != Path(__file__):
                found[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


def numbers(docstring: str) -> set[int]:
    """Return the traps a docstring begins with: `Trap 8: …`, `Traps 1 to 3, 12 and 13: …`."""
    match = NUMBERED.match(docstring)
    found: set[int] = set()
    for piece in re.split(", | and ", match[1] if match else ""):
        first, _, last = piece.partition(" to ")
        found |= set(range(int(first), int(last or first) + 1)) if first else set()
    return found


def test_every_trap_has_a_test_of_its_own() -> None:
    assert list(TRAPS) == list(range(1, 31))
    named = [numbers(text) for text in docstrings().values()]
    alone = set().union(*(each for each in named if len(each) == 1))
    assert alone == set(TRAPS)


def test_every_test_of_a_trap_says_which() -> None:
    wrong = [
        name
        for name, text in docstrings().items()
        if not (numbers(text) and numbers(text) <= set(TRAPS)) and not text.startswith("Outage: ")
    ]
    assert not wrong
    assert len(docstrings()) > 30


def test_numbers_are_read_as_they_are_written() -> None:
    assert numbers("Trap 8: x") == {8}
    assert numbers("Traps 1 to 3, 12 and 13: x") == {1, 2, 3, 12, 13}
    for text in ("", "Trap: x", "Trap 8 x", "A trap 8: x", "Outage: x"):
        assert not numbers(text)
