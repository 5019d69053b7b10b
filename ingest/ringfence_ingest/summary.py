"""Say what a run did: counts, and one line for each file that was not ingested.

Promise: a summary holds paths, labels, counts and reasons, and no word of a
document. Every document a source offered is in exactly one count or list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ringfence_governance.drafts import LabelChoice, SourceIdentity
from ringfence_governance.labels import Label

ReportKind = Literal["failed", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file that was not ingested as asked.

    Args:
        source: The source's uri.
        path: Its path in the source.
        kind: `failed` (it cannot be read), `refused` (its label, or the ingester's rights), `skipped`
            (nothing to read in it, no defect).
        reason: What was found, expected, and what to do.
    """

    source: str
    path: str
    kind: ReportKind
    reason: str

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        return {"source": self.source, "path": self.path, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """What a dry run would do with one document.

    Args:
        source: The source's uri.
        path: Its path in the source.
        label: The label it would get.
        origin: Where that label comes from.
        action: What would happen: new, changed, unchanged, label_changed, or refused.
    """

    source: str
    path: str
    label: LabelChoice
    origin: str
    action: str

    def __str__(self) -> str:
        return f"{self.path}: {label_line(self.label)} ({self.origin}; {self.action})"

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values; an anonymous label as its fields."""
        label = self.label.to_mapping() if isinstance(self.label, Label) else self.label
        return {
            "source": self.source,
            "path": self.path,
            "label": label,
            "origin": self.origin,
            "action": self.action,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run did.

    Args:
        added: Documents that were not there before.
        changed: Documents whose content was replaced.
        unchanged: Documents found as they were.
        relabelled: Documents that only got another label.
        removed: Documents removed because their source has them no more.
        chunks: Chunks written.
        failed: Files that could not be read.
        refused: Files whose label or whose ingester's rights stood against it.
        skipped: Files with nothing to read in them.
        notes: What else the user should know, such as why nothing was removed.
        planned: In a dry run, the label and action of each document; else empty.
        dry_run: Whether nothing was written; the counts then say what would have been.
        seconds: How long the run took.
    """

    added: int
    changed: int
    unchanged: int
    relabelled: int
    removed: int
    chunks: int
    failed: tuple[FileReport, ...]
    refused: tuple[FileReport, ...]
    skipped: tuple[FileReport, ...]
    notes: tuple[str, ...]
    planned: tuple[PlannedDocument, ...]
    dry_run: bool
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every file with something to read in it was ingested as asked."""
        return not self.failed and not self.refused

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values, in a fixed order."""
        return {
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "relabelled": self.relabelled,
            "removed": self.removed,
            "chunks": self.chunks,
            "failed": [report.to_mapping() for report in self.failed],
            "refused": [report.to_mapping() for report in self.refused],
            "skipped": [report.to_mapping() for report in self.skipped],
            "notes": list(self.notes),
            "planned": [plan.to_mapping() for plan in self.planned],
            "dry_run": self.dry_run,
            "seconds": round(self.seconds, 3),
        }


class Tally:
    """Counts while a run goes on; gives the summary at its end."""

    def __init__(self) -> None:
        self.added = 0
        self.changed = 0
        self.unchanged = 0
        self.relabelled = 0
        self.removed = 0
        self.chunks = 0
        self.reports: list[FileReport] = []
        self.notes: list[str] = []
        self.planned: list[PlannedDocument] = []

    def report(self, source: SourceIdentity, path: str, kind: ReportKind, reason: str) -> None:
        """Keep one file that was not ingested as asked."""
        self.reports.append(FileReport(source.uri, path, kind, reason))

    def of_kind(self, kind: ReportKind) -> tuple[FileReport, ...]:
        """Return the reports of one kind, in order."""
        return tuple(report for report in self.reports if report.kind == kind)

    def summary(self, *, dry_run: bool, seconds: float) -> Summary:
        """Return what was counted."""
        return Summary(
            added=self.added,
            changed=self.changed,
            unchanged=self.unchanged,
            relabelled=self.relabelled,
            removed=self.removed,
            chunks=self.chunks,
            failed=self.of_kind("failed"),
            refused=self.of_kind("refused"),
            skipped=self.of_kind("skipped"),
            notes=tuple(self.notes),
            planned=tuple(self.planned),
            dry_run=dry_run,
            seconds=seconds,
        )


def label_line(label: LabelChoice) -> str:
    """Return a label on one line, for a plan that people read; fields at their default are left out."""
    if not isinstance(label, Label):
        return label
    plain = Label(tenant=label.tenant, owner=label.owner)
    fields = ("readers", "denied", "level", "compartments", "purposes", "valid_from", "valid_until")
    told = [f"owner {label.owner}"]
    for name in fields:
        value = getattr(label, name)
        if value != getattr(plain, name):
            shown = " ".join(sorted(value)) if isinstance(value, frozenset) else value
            told.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(told)
