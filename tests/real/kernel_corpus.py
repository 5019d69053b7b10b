"""Who may read each of the kernel's documents, by plain Python over MAINTAINERS?

Promise: nothing of Ringfence is imported here. From the same facts the policy directory is written that
Ringfence reads, and the sets are computed that its answers are held against.

Rules, stated once:
- A section of MAINTAINERS is a group; the people of its M: and R: lines are its members.
- A section owns a document as the kernel's own get_maintainer script says: a path that starts with an F:
  pattern (a folder's whole tree, else the same depth), or holds an N: pattern; an X: pattern takes away.
- THE REST and DOCUMENTATION, which own everything, are dropped.
- Documents with the same set of owning sections share a label, read by all those groups: ownership overlaps.
  What no section owns is read by everybody the policy knows.
- An address becomes `kernel/user:ADDRESS` in lower case; what then is no canonical name is dropped and counted.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

DOCUMENTS = "Documentation/"
KINDS = (".rst", ".txt", ".yaml")
DROPPED = frozenset({"THE REST", "DOCUMENTATION"})
KEEPER = "kernel/service:mirror"
"""Owner of every label: the service that brought the documents; it reads them all."""

_ADDRESS = re.compile(r"([^\s@<>\"(),:;\\\[\]]+@[A-Za-z0-9.-]+)", re.ASCII)
_NAME = re.compile(r"[a-z0-9_][a-z0-9._@+=-]{0,126}", re.ASCII)


@dataclass(frozen=True)
class FilePattern:
    """One F: or X: pattern.

    Args:
        literal: What stands before its first wildcard; most paths differ there already.
        expression: The whole, matched from a path's start.
        depth: How many `/` it has.
        is_folder: Whether all beneath it is meant.
    """

    literal: str
    expression: re.Pattern[str]
    depth: int
    is_folder: bool

    def covers(self, path: str) -> bool:
        """Say whether a path is covered: beneath a folder's pattern, or of the pattern's own depth."""
        return (
            path.startswith(self.literal)
            and (self.is_folder or path.count("/") == self.depth)
            and self.expression.match(path) is not None
        )


@dataclass(frozen=True)
class Section:
    """One section of MAINTAINERS."""

    title: str
    group: str
    members: frozenset[str]
    files: tuple[FilePattern, ...]
    excluded: tuple[FilePattern, ...]
    names: tuple[re.Pattern[str], ...]

    def owns(self, path: str) -> bool:
        """Say whether a document is this section's."""
        if any(pattern.covers(path) for pattern in self.excluded):
            return False
        return any(pattern.covers(path) for pattern in self.files) or any(
            name.search(path) for name in self.names
        )


@dataclass(frozen=True)
class KernelDocument:
    """One document and the sections that own it."""

    path: str
    content: bytes = field(repr=False)
    owners: tuple[str, ...]

    @property
    def is_utf8(self) -> bool:
        """Whether its bytes are UTF-8, the only encoding that may be assumed."""
        try:
            self.content.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True


@dataclass(frozen=True)
class KernelCorpus:
    """All documents, the sections that own some, and who may read which."""

    documents: tuple[KernelDocument, ...]
    sections: dict[str, Section]
    refused_addresses: Counter[str]

    @cached_property
    def labels(self) -> dict[tuple[str, ...], str]:
        """Set of owning groups → the label's name; numbered in the order of the sets."""
        distinct = sorted({document.owners for document in self.documents})
        return {owners: f"kernel/label:owners-{number}" for number, owners in enumerate(distinct)}

    @cached_property
    def people(self) -> frozenset[str]:
        """Everybody the policy knows."""
        return frozenset().union(*(section.members for section in self.sections.values()))

    def readers_of(self, document: KernelDocument) -> frozenset[str]:
        """Return everybody who may read a document."""
        if not document.owners:
            return self.people | {KEEPER}
        return frozenset().union(*(self.sections[group].members for group in document.owners)) | {KEEPER}

    @cached_property
    def readable(self) -> dict[str, frozenset[str]]:
        """Principal → paths of the documents he may read."""
        found: dict[str, set[str]] = defaultdict(set)
        for document in self.documents:
            for reader in self.readers_of(document):
                found[reader].add(document.path)
        return {reader: frozenset(paths) for reader, paths in found.items()}


def read_kernel(package: Path) -> KernelCorpus:
    """Return the corpus in an unpacked documentation package."""
    folder = next(package.glob("usr/share/doc/linux-doc-*"))
    paths = {
        str(file.relative_to(folder)).removesuffix(".gz"): file
        for file in sorted((folder / DOCUMENTS).rglob("*"))
        if file.is_file() and not file.is_symlink()
    }
    refused: Counter[str] = Counter()
    text = gzip.decompress((folder / "MAINTAINERS.gz").read_bytes()).decode()
    folders = {str(parent) for path in paths for parent in Path(path).parents}
    sections = _sections(text, folders, refused)
    # Most sections own code alone.
    sections = [section for section in sections if section.files or section.names]
    documents = tuple(
        KernelDocument(path, _content(file), _owners(path, sections))
        for path, file in paths.items()
        if path.endswith(KINDS)
    )
    owning = {group for document in documents for group in document.owners}
    return KernelCorpus(documents, {s.group: s for s in sections if s.group in owning}, refused)


def write_policy(corpus: KernelCorpus, folder: Path) -> None:
    """Write the policy directory: a group for each section, a named label for each set of owners."""
    folder.mkdir()
    rows = [
        "p, *, *, *, read, owner, *, -, -, allow",
        "p, *, *, *, read, reader, *, -, -, allow",
        "p, *, *, *, *, denied, *, -, -, deny",
    ]
    for group, section in sorted(corpus.sections.items()):
        rows += [f"g, {person}, {group}" for person in sorted(section.members)]
    labels = ["labels:"]
    for owners, name in corpus.labels.items():
        readers = ", ".join(owners) if owners else '"*"'
        labels += [f"  {name}:", f"    owner: {KEEPER}", f"    readers: [{readers}]"]
    (folder / "policy.csv").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "labels.yaml").write_text("\n".join(labels) + "\n", "utf-8")


def _content(file: Path) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if file.suffix == ".gz" else data


def _owners(path: str, sections: list[Section]) -> tuple[str, ...]:
    return tuple(sorted(section.group for section in sections if section.owns(path)))


def _sections(text: str, folders: set[str], refused: Counter[str]) -> list[Section]:
    blocks = re.split(r"\n\s*\n", text[text.index("Maintainers List\n") :])
    found: list[Section] = []
    groups: Counter[str] = Counter()
    for block in blocks:
        title, _, body = block.strip("\n").partition("\n")
        fields = defaultdict(list)
        for key, value in re.findall(r"^([A-Z]):\s*(.*?)\s*$", body, re.MULTILINE):
            fields[key].append(value)
        if not fields or title in DROPPED:
            continue
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:100]
        groups[slug] += 1
        number = f"-{groups[slug]}" if groups[slug] > 1 else ""
        found.append(
            Section(
                title=title,
                group=f"kernel/group:{slug}{number}",
                members=_people(fields["M"] + fields["R"], refused),
                files=_patterns(fields["F"], folders),
                excluded=_patterns(fields["X"], folders),
                names=tuple(re.compile(value) for value in fields["N"]),
            )
        )
    return found


def _people(lines: list[str], refused: Counter[str]) -> frozenset[str]:
    found = set()
    for line in lines:
        address = _ADDRESS.search(line)
        if address is None:
            continue
        if _NAME.fullmatch(address[1].lower()):
            found.add(f"kernel/user:{address[1].lower()}")
        else:
            refused[address[1]] += 1
    return frozenset(found)


def _patterns(values: list[str], folders: set[str]) -> tuple[FilePattern, ...]:
    """Return the patterns that can cover a document at all; most are about code, which is elsewhere."""
    found = (_pattern(value, folders) for value in values)
    return tuple(
        pattern
        for pattern in found
        if pattern.literal.startswith(DOCUMENTS) or DOCUMENTS.startswith(pattern.literal)
    )


def _pattern(value: str, folders: set[str]) -> FilePattern:
    text = f"{value}/" if value in folders else value
    expression = re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."))
    return FilePattern(
        re.split(r"[*?]", text, maxsplit=1)[0], expression, text.count("/"), text.endswith("/")
    )
