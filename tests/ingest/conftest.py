"""Fixtures of the ingest tests: a door that only remembers, and small files of each format."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docx
import pytest
from fpdf import FPDF

from ringfence_governance.drafts import DocumentDraft, LabelChoice, SourceIdentity
from ringfence_governance.errors import Refused, WriteRefused
from ringfence_governance.labels import Label, lowering
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.embedders.hashed import HashEmbedder
from ringfence_ingest.pipeline import ingest
from ringfence_ingest.sources import open_source
from ringfence_ingest.summary import Summary


@dataclass
class RecordedIngestion:
    """One source's documents in memory, with the rules of the door that ingest relies on."""

    door: RecordingDoor
    pipeline: str
    dry_run: bool
    stored: dict[str, tuple[str, DocumentDraft]]
    pending: dict[str, tuple[str, DocumentDraft] | None] = field(default_factory=dict)

    def _now(self) -> dict[str, tuple[str, DocumentDraft]]:
        now = {**self.stored, **self.pending}
        return {path: held for path, held in now.items() if held is not None}

    def state(self, path: str, sha256: str, label: LabelChoice) -> str:
        held = self._now().get(path)
        if held is None:
            return "new"
        if held[0] != f"{self.pipeline}|{sha256}":
            return "changed"
        return "unchanged" if self.door.labels[(id(self.stored), path)] == label else "label_changed"

    def check_label(self, label: LabelChoice) -> None:
        if isinstance(label, str) and label not in self.door.named:
            raise Refused("found a label you may not ingest under, or none; expected one you may")
        if label in self.door.forbidden:
            raise Refused("found a label you may not ingest under, or none; expected one you may")

    def is_lower(self, new: LabelChoice, old: LabelChoice) -> bool:
        return new != old and bool(lowering(self.door.definition(new), self.door.definition(old)))

    def put(self, draft: DocumentDraft) -> str:
        self.door.calls.append(("put", draft.path))
        if draft.path in self.door.refuse_writes:
            raise WriteRefused("its label would be lower than the one it has")
        if self.door.fail_after is not None and self.door.puts >= self.door.fail_after:
            raise KeyboardInterrupt
        assert not self.dry_run
        self.door.puts += 1
        self.pending[draft.path] = (f"{self.pipeline}|{draft.sha256}", draft)
        self.door.labels[(id(self.stored), draft.path)] = draft.label
        return f"doc-{draft.path}"

    def relabel(self, path: str, label: LabelChoice) -> bool:
        self.door.calls.append(("relabel", path))
        assert path in self._now()
        old = self.door.labels[(id(self.stored), path)]
        if self.is_lower(label, old) and not self.door.may_declassify:
            return False
        if not self.dry_run:
            self.door.labels[(id(self.stored), path)] = label
        return True

    def paths(self) -> frozenset[str]:
        return frozenset(self.stored)

    def remove(self, path: str) -> bool:
        self.door.calls.append(("remove", path))
        if path in self.door.undeletable:
            return False
        if not self.dry_run:
            self.pending[path] = None
        return True

    def publish(self) -> None:
        self.door.calls.append(("publish", len(self.pending)))
        for path, held in self.pending.items():
            if held is None:
                self.stored.pop(path, None)
            else:
                self.stored[path] = held
        self.pending.clear()


@dataclass
class RecordingDoor:
    """A door that keeps documents in memory and remembers what it was asked."""

    named: dict[str, Label] = field(default_factory=dict)
    forbidden: list[LabelChoice] = field(default_factory=list)
    refuse_writes: set[str] = field(default_factory=set)
    undeletable: set[str] = field(default_factory=set)
    may_declassify: bool = False
    fail_after: int | None = None
    puts: int = 0
    calls: list[tuple[str, object]] = field(default_factory=list)
    sources: dict[SourceIdentity, dict[str, tuple[str, DocumentDraft]]] = field(default_factory=dict)
    labels: dict[tuple[int, str], LabelChoice] = field(default_factory=dict)

    def definition(self, label: LabelChoice) -> Label:
        return self.named[label] if isinstance(label, str) else label

    @contextmanager
    def ingestion(
        self,
        subject: Subject,
        source: SourceIdentity,
        model: VectorModel,
        *,
        pipeline: str,
        dry_run: bool = False,
    ) -> Iterator[RecordedIngestion]:
        stored = self.sources.setdefault(source, {})
        ingestion = RecordedIngestion(self, f"{model}|{pipeline}", dry_run, stored)
        yield ingestion
        if not dry_run:
            ingestion.publish()

    def documents(self) -> dict[str, DocumentDraft]:
        return {path: held[1] for stored in self.sources.values() for path, held in stored.items()}

    def label_of(self, path: str) -> LabelChoice:
        found = [label for (_, name), label in self.labels.items() if name == path]
        assert len(found) == 1
        return found[0]


@pytest.fixture
def door() -> RecordingDoor:
    return RecordingDoor()


@pytest.fixture
def run(door: RecordingDoor) -> Callable[..., Summary]:
    """Ingest something as acme's ingester with the hash embedder."""

    def ingest_as(*sources: object, person: str = "acme/user:ingester", **options: object) -> Summary:
        opened = [open_source(source) for source in sources]  # type: ignore[arg-type]
        return ingest(door, Subject(person), opened, embedder=HashEmbedder(), **options)  # type: ignore[arg-type]

    return ingest_as


@pytest.fixture
def make_docx() -> Callable[..., bytes]:
    def make(*paragraphs: str) -> bytes:
        document = docx.Document()
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()

    return make


@pytest.fixture
def make_pdf() -> Callable[..., bytes]:
    def make(*pages: str, title: str = "") -> bytes:
        pdf = FPDF()
        pdf.set_font("Helvetica", size=12)
        if title:
            pdf.set_title(title)
        for page in pages:
            pdf.add_page()
            pdf.multi_cell(0, 8, page)
        return bytes(pdf.output())

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    return root
