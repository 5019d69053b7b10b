"""No file names a path of the machine it was written on, or the host of a package registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SKIPPED_FOLDERS = {
    ".git",
    ".venv",
    ".cache",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "build",
    "dist",
}

# Each pattern is put together from pieces so that this file does not match itself.
HOSTS = [
    "py" + r"pi\.(?:org|io)",
    "python" + r"hosted\.org",
    "npm" + r"js\.(?:org|com)",
    "download" + r"\.pytorch\.org",
    "ana" + r"conda\.(?:org|com)",
    "crates" + r"\.io",
    "proxy" + r"\.golang\.org",
    "deb" + r"\.debian\.org",
    "archive" + r"\.ubuntu\.com",
]
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.~*/}-])/(?:work|root|tmp|opt|Users)/"),
    "a package registry": re.compile("|".join(HOSTS), re.IGNORECASE),
}


def text_files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or entry.name in SKIPPED_FOLDERS:
            continue
        if entry.is_dir():
            yield from text_files(entry)
        elif b"\0" not in entry.read_bytes()[:8192]:
            yield entry


def findings(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN.items():
            if match := pattern.search(line):
                yield f"{number}: {match.group()!r} is {what}"


def test_no_file_names_a_machine_path_or_a_registry(repo: Path) -> None:
    found = [
        f"{file.relative_to(repo)}:{finding}"
        for file in text_files(repo)
        for finding in findings(file.read_text("utf-8", errors="replace"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "cd /" + "work/main",
        'open("/' + 'tmp/x")',
        "see /" + "root/notes",
        "https://py" + "pi.org/simple",
        "https://registry.npm" + "js.org/x",
        "--index-url https://download" + ".pytorch.org/whl/cpu",
    ],
)
def test_a_planted_line_is_found(line: str) -> None:
    assert list(findings(line))


@pytest.mark.parametrize(
    "line", ["docs/work/notes.md", "https://example.org/work/x", "~/tmp/x", "${HOME}/tmp/"]
)
def test_a_harmless_line_is_not_found(line: str) -> None:
    assert not list(findings(line))
