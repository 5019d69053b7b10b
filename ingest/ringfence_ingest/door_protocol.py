"""Say what ingest needs of the door, and nothing more.

Promise: ingest knows no table, key or version; this is all it can do to a
store. The door of `ringfence_governance` fits it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

from ringfence_governance.drafts import DocumentDraft, LabelChoice, SourceIdentity
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel

State = Literal["new", "unchanged", "changed", "label_changed"]


class Ingestion(Protocol):
    """What the door gives for one source; see ringfence_governance.ingestion."""

    def state(self, path: str, sha256: str, label: LabelChoice) -> State:
        """Say how a document stands to what is stored."""

    def check_label(self, label: LabelChoice) -> None:
        """Raise unless the label exists and the subject may ingest under it."""

    def is_lower(self, new: LabelChoice, old: LabelChoice) -> bool:
        """Say whether giving `new` instead of `old` would widen."""

    def put(self, draft: DocumentDraft) -> str:
        """Write a document, new or in place of the one of the same path."""

    def relabel(self, path: str, label: LabelChoice) -> bool:
        """Give a stored document another label; False where that is refused."""

    def paths(self) -> frozenset[str]:
        """Return the paths this subject ingested from this source."""

    def remove(self, path: str) -> bool:
        """Remove a document; False where that is refused."""

    def publish(self) -> None:
        """Make what was written readable, at once."""


class Door(Protocol):
    """The one way into a store; see ringfence_governance.door."""

    def ingestion(
        self,
        subject: Subject,
        source: SourceIdentity,
        model: VectorModel,
        *,
        pipeline: str,
        dry_run: bool = False,
    ) -> AbstractContextManager[Ingestion]:
        """Open one source's ingestion."""
