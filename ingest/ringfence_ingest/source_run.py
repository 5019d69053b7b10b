"""Bring one source's items through the door, each with its label.

Promise: an item's label is chosen, and the door asked about it, before its
text is read. What is wrong with an item becomes one report and the run goes
on; what is wrong with the store ends it.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

from ringfence_governance.drafts import LabelChoice, plain_path
from ringfence_governance.errors import InvalidInput, NotReadable, Refused, WriteRefused
from ringfence_governance.subjects import Subject

from .documents import Loaded, Source, SourceItem, SourceTrouble
from .door_protocol import Ingestion, State
from .drafting import Drafter, content_sha256
from .errors import FileSkipped, FileTrouble
from .folder_walk import shown_path
from .label_choice import ORIGIN_PRIVATE, ChosenLabel, LabelChooser
from .posix_labels import Accounts
from .progress import OnProgress, Progress
from .summary import PlannedDocument, ReportKind, Tally


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What all sources of a run share; see :func:`ringfence_ingest.pipeline.ingest`."""

    subject: Subject
    label: LabelChoice | None
    accounts: Accounts
    trust_other: bool
    remove_vanished: bool
    dry_run: bool
    publish_every: int
    bytes_max: int


class SourceRun:
    """One source on its way through the door."""

    def __init__(
        self, source: Source, ingestion: Ingestion, drafter: Drafter, settings: RunSettings, tally: Tally
    ) -> None:
        self._source = source
        self._identity = source.identity
        self._ingestion = ingestion
        self._drafter = drafter
        self._settings = settings
        self._tally = tally
        self._seen: set[str] = set()
        self._unread: list[str] = []
        self._known = ingestion.paths()
        self._listed_all = True
        self._unpublished = 0
        self._private = 0
        self._on_progress: OnProgress | None = None
        self._place = (1, 1)
        self._chooser = LabelChooser(
            ingester=settings.subject.person,
            explicit=settings.label,
            trust_other=settings.trust_other,
            accounts=settings.accounts,
            is_lower=ingestion.is_lower,
        )

    def report_to(self, on_progress: OnProgress | None, number: int, sources: int) -> None:
        """Tell `on_progress` after each item; this source is the `number`-th of `sources`."""
        self._on_progress = on_progress
        self._place = (number, sources)

    def all_items(self) -> None:
        """Deal with every item of the source, publishing as it goes."""
        expected = operator.length_hint(self._source, -1)
        for count, item in enumerate(self._source.items(), 1):
            if isinstance(item, SourceTrouble):
                self._trouble(item)
            else:
                self._guarded(item)
            if self._unpublished >= self._settings.publish_every:
                self._ingestion.publish()
                self._unpublished = 0
            self._tell(count, expected if expected >= 0 else None)
        if self._private:
            self._tally.notes.append(
                f"{self._identity.uri}: {self._private} new, private to {self._settings.subject.person}: "
                "no option, no .ringfence.yaml and no permissions of the source say who else reads them"
            )

    def vanished(self) -> None:
        """Remove what was ingested before and is no more, if asked and if all could be listed."""
        if not self._settings.remove_vanished:
            return
        # What cannot be read may be a mailbox, whose mails are then out of sight, not gone.
        hidden = tuple(f"{path}/" for path in self._unread)
        gone = sorted(path for path in self._known - self._seen if not path.startswith(hidden))
        if gone and not self._listed_all:
            self._tally.notes.append(
                f"{self._identity.uri}: found {len(gone)} stored documents that were not seen, and parts of the "
                "source that could not be listed; expected a complete listing; nothing was removed"
            )
            return
        for path in gone:
            if self._ingestion.remove(path):
                self._tally.removed += 1
            else:
                self._report(path, "refused", "found no right to delete it; expected one; it stays as it was")

    def _guarded(self, item: SourceItem) -> None:
        """Deal with one item; what is wrong with it becomes a report."""
        try:
            path = plain_path(item.path)
        except InvalidInput as error:
            self._report(shown_path(str(item.path)), "failed", str(error))
            return
        try:
            if path in self._seen:
                raise FileTrouble(
                    "a second document of this path", "each path once", "give each document a path of its own"
                )
            self._seen.add(path)
            self._item(item)
        except FileSkipped as error:
            self._report(item.path, "skipped", str(error))
        except (Refused, NotReadable, WriteRefused) as error:
            self._report(item.path, "refused", str(error))
        except (FileTrouble, InvalidInput) as error:
            self._report(item.path, "failed", str(error))

    def _item(self, item: SourceItem) -> None:
        try:
            loaded = item.load(self._settings.bytes_max)
        except FileTrouble:
            self._unread.append(item.path)
            raise
        chosen = self._chooser.choose(item, loaded)
        try:
            self._ingestion.check_label(chosen.label)
        except (Refused, InvalidInput):
            self._plan(item.path, chosen, "refused")
            raise
        sha256 = content_sha256(loaded.content)
        state = self._ingestion.state(item.path, sha256, chosen.label)
        self._plan(item.path, chosen, state)
        if state == "unchanged":
            self._tally.unchanged += 1
        elif state == "label_changed":
            self._relabel(item.path, chosen)
        else:
            self._write(item, loaded, sha256, chosen, state)

    def _plan(self, path: str, chosen: ChosenLabel, action: str) -> None:
        if self._settings.dry_run:
            plan = PlannedDocument(self._identity.uri, path, chosen.label, chosen.origin, action)
            self._tally.planned.append(plan)

    def _relabel(self, path: str, chosen: ChosenLabel) -> None:
        if self._ingestion.relabel(path, chosen.label):
            self._tally.relabelled += 1
            self._unpublished += 1
        else:
            self._report(
                path,
                "refused",
                f"found a lower label ({chosen.origin}); expected the right to declassify; it keeps its label",
            )

    def _write(
        self, item: SourceItem, loaded: Loaded, sha256: str, chosen: ChosenLabel, state: State
    ) -> None:
        try:
            chunks = self._put(item, loaded, sha256, chosen)
        except FileTrouble:
            # What was stored earlier stays readable, so at least its label must be today's.
            if item.path in self._known and self._ingestion.relabel(item.path, chosen.label):
                self._unpublished += 1
            raise
        self._unpublished += 1
        self._tally.chunks += chunks
        if state == "new":
            self._tally.added += 1
            self._private += chosen.origin == ORIGIN_PRIVATE
        else:
            self._tally.changed += 1

    def _put(self, item: SourceItem, loaded: Loaded, sha256: str, chosen: ChosenLabel) -> int:
        """Write one document; return how many chunks it has. A dry run reads it and stops there."""
        if self._settings.dry_run:
            return len(self._drafter.read(item, loaded)[1])
        draft = self._drafter.draft(item, loaded, sha256, chosen)
        self._ingestion.put(draft)
        return len(draft.chunks)

    def _trouble(self, trouble: SourceTrouble) -> None:
        self._listed_all = self._listed_all and not trouble.hides_documents
        self._report(trouble.path, "failed" if trouble.is_defect else "skipped", trouble.reason)

    def _report(self, path: str, kind: ReportKind, reason: str) -> None:
        self._tally.report(self._identity, path, kind, reason)

    def _tell(self, documents: int, expected: int | None) -> None:
        if self._on_progress is None:
            return
        number, sources = self._place
        tally = self._tally
        self._on_progress(
            Progress(
                source=self._identity,
                source_number=number,
                sources=sources,
                documents=documents,
                expected=expected,
                written=tally.added + tally.changed,
                chunks=tally.chunks,
                reported=len(tally.reports),
            )
        )
