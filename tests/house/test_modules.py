"""Every module says what it answers, is called after it, and stays small enough to be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

LINES_MAX = 400
# Names that say nothing, so that anything may be put there.
EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}


@pytest.fixture(scope="session")
def sources(modules: dict[str, Path], repo: Path) -> dict[str, Path]:
    """Modules of the packages, and the scripts beside them."""
    scripts = [*(repo / "tools").rglob("*.py"), *(repo / "bench").rglob("*.py")]
    return modules | {str(file.relative_to(repo)): file for file in scripts}


def test_every_module_has_a_docstring_that_starts_with_a_sentence(sources: dict[str, Path]) -> None:
    wrong = []
    for name, file in sources.items():
        docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        if not docstring.partition("\n\n")[0].rstrip().endswith((".", "?")):
            wrong.append(name)
    assert not wrong, f"no docstring, or its first paragraph is no sentence: {wrong}"


def test_no_module_reaches_four_hundred_lines(sources: dict[str, Path]) -> None:
    sizes = {name: len(file.read_text("utf-8").splitlines()) for name, file in sources.items()}
    assert not {name: lines for name, lines in sizes.items() if lines >= LINES_MAX}


def test_no_module_has_an_empty_name(sources: dict[str, Path]) -> None:
    assert not [name for name, file in sources.items() if file.stem in EMPTY_NAMES]


def test_every_package_is_marked_as_typed(packages: dict[str, Path]) -> None:
    assert not [name for name, folder in packages.items() if not (folder / "py.typed").is_file()]


def test_every_part_says_its_promise_and_what_it_may_import(packages: dict[str, Path]) -> None:
    for folder in packages.values():
        text = (folder.parent / "README.md").read_text("utf-8")
        assert "**Promise.**" in text, folder.parent.name
        assert "**May import.**" in text, folder.parent.name
        assert len(text.splitlines()) <= 40, f"{folder.parent.name}/README.md is more than one screen"
