"""Write documents into a store: labelled, sealed, with lineage, or not at all.

Promise: a document is written only under a label its ingester may ingest
under, never below what it came from or already had, and all its rows appear
together in one publication. What was not published does not exist.

Matches with what the ingester never could read have no effect on anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Literal

from sqlalchemy import Connection

from . import (
    derivatives,
    erasure_ledger,
    ingest_lineage,
    journal,
    key_upkeep,
    manifest,
    publications,
    retention,
    runs,
)
from .drafts import SOURCE_KINDS, DocumentDraft, LabelChoice, SourceIdentity
from .errors import InvalidInput, Refused, StoreError, WriteRefused
from .floors import Floors
from .ground import Ground
from .ingest_lineage import JOB
from .journal import Change
from .kept_changes import Reasoned, signed
from .leases import WriterLease
from .manifest import Held
from .publishing import refuse_moved
from .subjects import Subject
from .vector_models import VectorModel
from .write_authority import WriteAuthority
from .write_batch import WriteBatch
from .write_judgements import WriteJudgements

DocumentState = Literal["new", "unchanged", "changed", "label_changed"]


class Ingestion:
    """One run that writes the documents of one source. Use it as a context manager."""

    __slots__ = (
        "_authority",
        "_batch",
        "_changed",
        "_floors",
        "_ground",
        "_held",
        "_judgements",
        "_lease",
        "_model",
        "_pipeline",
        "_refused",
        "_run_id",
        "_source",
        "_source_id",
        "_subject",
        "_written",
        "dry_run",
    )

    def __init__(
        self,
        ground: Ground,
        subject: Subject,
        source: SourceIdentity,
        model: VectorModel,
        pipeline: str,
        dry_run: bool,
    ) -> None:
        self._ground = ground
        self._subject = subject
        self._source = source
        self._model = model
        self._pipeline = pipeline
        self.dry_run = dry_run
        self._lease = WriterLease(ground.catalog)
        self._held: dict[str, Held] = {}
        self._changed: set[str] = set()
        self._refused: set[LabelChoice] = set()
        self._written: list[str] = []

    def __repr__(self) -> str:
        return f"Ingestion(source={self._source.kind!r}, dry_run={self.dry_run})"

    def __reduce__(self) -> str:
        raise TypeError("an ingestion cannot be pickled")

    def __enter__(self) -> Ingestion:
        if self._source.kind not in SOURCE_KINDS:
            raise InvalidInput(f"source: found kind {self._source.kind!r}, which no ingest can name")
        self._authority = WriteAuthority(self._ground, self._subject)
        self._refuse_rightless()
        with self._ground.catalog.read() as connection:
            manifest.check_model(self._ground, connection, self._model)
        self._source_id = manifest.source_id(self._ground, self._subject, self._source, make=not self.dry_run)
        if not self.dry_run:
            self._lease.__enter__()
        try:
            self._start()
        except BaseException:
            if not self.dry_run:
                self._lease.__exit__(None, None, None)
            raise
        return self

    def _refuse_rightless(self) -> None:
        """Let nobody hold the lease, make a source or learn of the model who may ingest nothing.

        Raises:
            Refused: He may not; recorded.
        """
        if not self._authority.may_ingest_at_all():
            self._record_refusal()
            raise Refused(
                f"{self._subject.person} may not ingest here; nothing was read or written",
                hint="an administrator of the tenant can grant 'ingest'",
            )

    def _start(self) -> None:
        self._held = manifest.held(self._ground, self._source_id)
        self._floors = Floors(self._ground, self._subject)
        self._judgements = WriteJudgements(self._ground, self._authority, self._floors)
        self._run_id = self._ground.ambient.new_id("run", f"{self._source.uri}|{self._subject.person}")
        if self.dry_run:
            return
        self._batch = WriteBatch(self._ground, self._run_id, self._source_id)
        ingest_lineage.start(
            self._ground,
            self._lease,
            self._subject,
            self._run_id,
            self._source_id,
            self._pipeline,
            self._model,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.dry_run:
            return
        try:
            with runs.ending(self._ground, self._run_id, JOB, error):
                if error is None:
                    self.publish()
        finally:
            self._lease.__exit__(None, None, None)

    def state(self, path: str, sha256: str, label: LabelChoice) -> DocumentState:
        """Say how a file compares with what this subject ingested from this source before."""
        held = self._held.get(manifest.path_digest(self._ground, self._source_id, path))
        if held is None:
            return "new"
        content = manifest.content_digest(self._ground, self._source_id, path, sha256, self._settings())
        if held.content_digest != content:
            return "changed"
        return "unchanged" if self._authority.same(label, held.atom) else "label_changed"

    def check_label(self, label: LabelChoice) -> None:
        """Raise Refused unless the label exists and the subject may ingest under it."""
        if label in self._refused:
            # Recorded once for each label: ten thousand files under it are one refusal.
            self._authority.check_ingest(label)
            return
        with self._recorded():
            try:
                self._authority.check_ingest(label)
            except Refused:
                self._refused.add(label)
                raise

    def is_lower(self, new: LabelChoice, old: LabelChoice) -> bool:
        """Say whether giving `new` instead of `old` would let anybody in more."""
        return self._authority.is_lower(new, old)

    def put(self, draft: DocumentDraft) -> str:
        """Write one document, new or in place of the one with the same path; return its id.

        Raises:
            Refused: The subject may not ingest under the label, or may not read a parent.
            WriteRefused: It would lower a label. This document is left as it was.
        """
        with self._recorded():
            return self._put(draft)

    def _put(self, draft: DocumentDraft) -> str:
        self._authority.check_ingest(draft.label)
        digest = manifest.path_digest(self._ground, self._source_id, draft.path)
        if digest in self._changed:
            raise WriteRefused(
                f"found two documents named {draft.path!r} in one run; expected one; the first was kept"
            )
        held = self._held.get(digest)
        parents = self._floors.parents(draft.parents)
        self._judgements.refuse_lowering(draft.label, draft.sha256, held, parents)
        for chunk in draft.chunks:
            if chunk.vector.shape != (self._model.dimensions,):
                raise WriteRefused(
                    f"found a vector of shape {chunk.vector.shape}; expected ({self._model.dimensions},), "
                    "the model's own"
                )
        self._changed.add(digest)
        if self.dry_run:
            return ""
        self._judgements.keep_put(draft.label, draft.sha256, held, tuple(parents))
        entry = self._authority.intern(draft.label, parents)
        name = f"{self._source.uri}|{draft.path}"
        document_id = held.document_id if held is not None else self._new_id(name)
        content = manifest.content_digest(
            self._ground, self._source_id, draft.path, draft.sha256, self._settings()
        )
        sealed_path = self._batch.put(draft, self._source, document_id, entry, held, draft.parents)
        self._floors.note(draft.sha256, document_id, entry)
        self._held[digest] = Held(document_id, digest, content, entry.atom, self._run_id, sealed_path)
        self._written.append(document_id)
        return document_id

    def _new_id(self, name: str) -> str:
        """Return an id that names no document and never named one: what was erased is another document."""
        document_id = self._ground.ambient.new_id("document", name)
        while document_id in self._ground.moment().erased:
            name += "|again"
            document_id = self._ground.ambient.new_id("document", name)
        return document_id

    def relabel(self, path: str, label: LabelChoice) -> bool:
        """Give a document another label. False: refused, a lowering the subject may not declassify.

        Raises:
            Refused: The subject may not ingest under the new label.
            InvalidInput: This subject ingested no such path before this run, or changed it in this run.
        """
        with self._recorded():
            self._authority.check_ingest(label)
        digest, held = self._unchanged(path)
        parts = self._authority.parents_of(held.atom, label)
        if not self._judgements.may_relabel(label, held):
            self._record_refusal()
            return False
        self._changed.add(digest)
        if self.dry_run:
            return True
        self._judgements.keep_relabel(label, held)
        entry = self._authority.intern(label, parts)
        if entry.atom != held.atom:
            self._batch.relabel(held, entry)
            self._held[digest] = Held(
                held.document_id, digest, held.content_digest, entry.atom, held.run_id, held.sealed_path
            )
            self._written.append(held.document_id)
        return True

    def paths(self) -> frozenset[str]:
        """Return the paths this subject ingested from this source before."""
        found = manifest.open_paths(self._ground, self._authority.table, self._source_id, self._held.values())
        return frozenset(found)

    def remove(self, path: str) -> bool:
        """Remove a document. False: the subject may not delete under its label.

        Raises:
            InvalidInput: This subject ingested no such path before this run, or changed it in this run.
        """
        digest, held = self._unchanged(path)
        if not self._authority.may_remove(held.atom):
            self._record_refusal()
            return False
        self._changed.add(digest)
        if not self.dry_run:
            self._judgements.keep_removal(held)
            self._batch.remove(held)
            del self._held[digest]
        return True

    def publish(self) -> None:
        """Publish everything written since the last publication, atomically.

        Raises:
            WriterExpelled: Another writer took over; nothing of this batch is published.
            StoreError: The disk is full; nothing of this batch is published.
        """
        if self.dry_run or self._batch.empty:
            return
        with self._recorded():
            policy = self._judgements.again()
        published = self._newest()
        try:
            raised = self._raise_derivatives(published)
        except StoreError:
            self._newest()  # Who was expelled meanwhile may find the version gone that he goes on from.
            raise
        with self._ground.catalog.write() as connection:
            # Under the catalog's lock: a writer that slept while somebody erased keeps no key again.
            self._lease.check(connection)
            self._batch.keep_keys()
        versions = self._ground.tables.write(published.versions, self._batch.changes(published.versions))
        self._ground.record(
            self._subject,
            "ingest",
            "ingest",
            "allowed",
            counts=self._batch.counts(),
            detail={"run": self._run_id, **self._batch.told()},
        )
        told = ingest_lineage.written(self._ground, self._batch, self._source_id)
        with self._ground.catalog.write() as connection:
            refuse_moved(connection, self._lease, published, policy, "published")
            manifest.check_model(self._ground, connection, self._model, keep=True)
            policy = self._journal_relabelled(connection, policy)
            erasure_ledger.refuse_erased(connection, self._written)
            made = publications.publish(
                self._ground.catalog, connection, self._run_id, self._lease.number, versions
            )
            runs.published(self._ground, connection, self._run_id, JOB, made, *told)
            manifest.store(connection, self._batch.manifest_changes(self._held))
            manifest.move(connection, raised)
        key_upkeep.forget(self._ground, self._lease, self._batch.stale())
        retention.clean_now_and_then(self._ground, self._lease)
        self._judgements.begin(policy)
        self._batch = WriteBatch(self._ground, self._run_id, self._source_id)

    def _journal_relabelled(self, connection: Connection, policy: int) -> int:
        """Journal each document that gets another label; return the number of the newest journal row."""
        changes = [Change("relabelled", relabelling=each) for each in self._batch.relabellings()]
        why = f"ingest of source {self._source_id}, a {self._source.kind}, gave it another label"
        record = signed(self._ground, self._subject, Reasoned(why, f"run {self._run_id}"))
        return max([policy, *journal.append(self._ground.catalog, connection, changes, record)])

    def _raise_derivatives(self, published: publications.Publication) -> dict[str, int]:
        """Give what was made from documents that get another label the parts of that; return their new atoms.

        Raises:
            InvalidLabel: What was made from it would join two tenants; publish nothing.
        """
        needed = derivatives.raised(
            self._ground, published.versions, self._batch.moved(), self._batch.derivations()
        )
        held = manifest.held_documents(self._ground, needed)
        places = {each.document_id: digest for digest, each in self._held.items()}
        raised: dict[str, int] = {}
        for document_id, parts in sorted(needed.items()):
            now = self._batch.label_of(document_id, held.get(document_id))
            if now is None or parts <= derivatives.parts_of(now):
                continue
            entry = derivatives.with_parts(self._ground, parts | derivatives.parts_of(now))
            self._batch.raise_label(document_id, entry, held.get(document_id))
            raised[document_id] = entry.atom
            if document_id in places:
                place = places[document_id]
                self._held[place] = replace(self._held[place], atom=entry.atom)
        self._written += raised
        return raised

    def _newest(self) -> publications.Publication:
        with self._ground.catalog.read() as connection:
            self._lease.check(connection)
            return publications.newest(connection)

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Let a refusal out once its record is durable."""
        try:
            yield
        except (Refused, WriteRefused):
            self._record_refusal()
            raise

    def _record_refusal(self) -> None:
        # A dry run leaves nothing behind, not even this.
        if not self.dry_run:
            self._ground.record(self._subject, "ingest", "ingest", "refused")

    def _unchanged(self, path: str) -> tuple[str, Held]:
        """Return (path digest, what is held) of a document this run has not touched yet."""
        digest = manifest.path_digest(self._ground, self._source_id, path)
        held = self._held.get(digest)
        if held is None or digest in self._changed:
            raise InvalidInput(
                f"found {path!r}; expected a path this subject ingested from this source before, "
                "changed at most once in a run"
            )
        return digest, held

    def _settings(self) -> str:
        return f"{self._pipeline}|{self._model}"
