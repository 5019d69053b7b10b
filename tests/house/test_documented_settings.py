"""docs/cli.md describes every command, option and environment variable, and none that is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ringfence import cli

SETTING = re.compile(r"\bRINGFENCE_[A-Z][A-Z0-9_]*\b")
HEADING = re.compile(r"^(#+)\s+(.*)$")


@pytest.fixture(scope="session")
def page(repo: Path) -> str:
    return (repo / "docs" / "cli.md").read_text("utf-8")


def walk(command: Any, path: str = "ringfence") -> Iterator[tuple[str, Any]]:
    """Yield the words that call a command, and the command, for all that do something by themselves."""
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from walk(child, f"{path} {name}")
    if not children:
        yield path, command


def long_options(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    return {name for name in names if name.startswith("--")} - {"--help"}


def sections(page: str) -> dict[str, str]:
    """Heading -> its text, up to the next heading of the same or a higher level; code holds no headings."""
    found: dict[str, str] = {}
    open_headings: list[tuple[int, str]] = []
    in_code = False
    for line in page.splitlines():
        in_code ^= line.startswith("```")
        heading = None if in_code else HEADING.match(line)
        if heading:
            level, title = len(heading[1]), heading[2].replace("`", "")
            open_headings = [(above, name) for above, name in open_headings if above < level] + [
                (level, title)
            ]
            found[title] = ""
            continue
        for _, title in open_headings:
            found[title] += line + "\n"
    return found


def section_of(path: str, page: str) -> str | None:
    """Return the text of the section whose heading calls the command, with what holds for every command."""
    found = sections(page)
    shared = "".join(text for title, text in found.items() if "every command" in title.lower())
    own = [text for title, text in found.items() if re.search(rf"\b{re.escape(path)}(?![\w-])", title)]
    return "".join(own) + shared if own else None


def undocumented(command: Any, page: str) -> list[str]:
    missing = []
    for path, leaf in walk(command):
        text = section_of(path, page)
        if text is None:
            missing.append(f"no heading names `{path}`")
            continue
        absent = [name for name in long_options(leaf) if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)]
        missing += [f"the section of `{path}` does not mention {name}" for name in sorted(absent)]
    return missing


def settings_in(modules: dict[str, Path]) -> set[str]:
    found = set()
    for file in modules.values():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and SETTING.fullmatch(node.value)
            ):
                found.add(node.value)
    return found


def test_every_command_and_option_is_documented(page: str) -> None:
    missing = undocumented(typer.main.get_command(cli.app), page)
    assert not missing, "docs/cli.md: " + "\n".join(missing)


def test_no_documented_command_is_missing(page: str) -> None:
    known = {path for path, _ in walk(typer.main.get_command(cli.app))}
    headings = {title for title in sections(page) if re.match(r"ringfence [a-z]", title)}
    unknown = {title for title in headings if not any(re.search(rf"\b{path}\b", title) for path in known)}
    assert not unknown


def test_every_environment_variable_is_documented(page: str, modules: dict[str, Path]) -> None:
    assert not settings_in(modules) - set(SETTING.findall(page))


def test_no_documented_environment_variable_is_missing(page: str, modules: dict[str, Path]) -> None:
    assert not set(SETTING.findall(page)) - settings_in(modules)


def test_an_undocumented_command_and_option_would_be_seen() -> None:
    app = typer.Typer()

    @app.command()
    def ask(question: str, depth: int = 1) -> None: ...

    @app.command()
    def forget(document: str) -> None: ...

    @app.callback()
    def face() -> None: ...

    command = typer.main.get_command(app)
    described = "## `ringfence ask QUESTION`\n`--depth`\n## `ringfence forget DOCUMENT`\n"
    assert undocumented(command, described) == []
    assert undocumented(command, described.replace("--depth", "--depths")) == [
        "the section of `ringfence ask` does not mention --depth"
    ]
    assert undocumented(command, "## `ringfence ask QUESTION`\n--depth") == [
        "no heading names `ringfence forget`"
    ]
