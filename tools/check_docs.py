"""Do the links of the documentation lead somewhere?

Promise: ends with exit code 1 and one line for each of these: a relative link or anchor in a Markdown file
that leads nowhere, a page under docs/ that no chain of links from README.md reaches, a `make` target named
in a page that the Makefile does not have. Nothing is fetched; links to other hosts are not followed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

SKIPPED_FOLDERS = {".git", ".venv", ".cache", ".hypothesis", ".pytest_cache", "build", "dist", "examples"}
FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]\n]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
MAKE_TARGET = re.compile(r"`make ([a-z][a-z-]*)`")


def main() -> None:
    """Check the repository this script is in and print what is wrong."""
    repo = Path(__file__).resolve().parents[1]
    wrong = list(broken_links(repo)) + list(unreached_pages(repo)) + list(unknown_targets(repo))
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(f"error: {len(wrong)} broken\nhint: each line above names the page and what it points to")
    print(f"{len(list(pages(repo)))} pages, every link leads somewhere")


def pages(folder: Path) -> Iterator[Path]:
    """Yield the Markdown files of the repository."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and entry.name not in SKIPPED_FOLDERS:
            yield from pages(entry)
        elif entry.suffix == ".md":
            yield entry


def targets(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield link text, file and anchor of every link to this repository in the page."""
    text = INLINE_CODE.sub("", FENCE.sub("", page.read_text("utf-8")))
    for link in LINK.findall(text) + REFERENCE.findall(text):
        if not ELSEWHERE.match(link):
            path, _, anchor = unquote(link).partition("#")
            yield link, (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, made the way GitHub makes them."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text("utf-8"))):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def broken_links(repo: Path) -> Iterator[str]:
    """Yield a line for each link whose file or anchor is not there."""
    for page in pages(repo):
        for link, file, anchor in targets(page):
            if not file.exists() or not file.is_relative_to(repo):
                yield f"{page.relative_to(repo)}: {link}: no such file in the repository"
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                yield f"{page.relative_to(repo)}: {link}: no such heading"


def unreached_pages(repo: Path) -> Iterator[str]:
    """Yield a line for each page under docs/ that a reader who starts at README.md cannot click to."""
    reached = {repo / "README.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        if page.is_dir():  # a forge shows a linked folder as the list of its files
            linked = set(page.glob("*.md"))
        elif page.is_file() and page.suffix == ".md":
            linked = {file for _, file, _ in targets(page)}
        else:
            continue
        waiting += linked - reached
        reached |= linked
    for page in pages(repo / "docs"):
        if page not in reached:
            yield f"{page.relative_to(repo)}: no chain of links leads here from README.md"


def unknown_targets(repo: Path) -> Iterator[str]:
    """Yield a line for each `make` target that a page names and the Makefile lacks."""
    known = set(re.findall(r"^([a-z-]+):", (repo / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in pages(repo):
        for target in MAKE_TARGET.findall(page.read_text("utf-8")):
            if target not in known:
                yield f"{page.relative_to(repo)}: make {target}: no such target"


if __name__ == "__main__":
    main()
