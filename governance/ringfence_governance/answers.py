"""Write an answer: a document that was made from passages, or documents, of the store.

Promise: an answer is read only by who may read all that went into it, now and
later: it carries all their labels, its key is wrapped under the keys of all of
them, and its edges lead to each. Whoever registers it must be able to read all
of that at this moment. Unknown inputs and unreadable ones are one answer.

Source: DESIGN.md §2 (promise 6), §3; docs/decisions/0017-context-and-answers.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from . import erasure_ledger, ingest_lineage, manifest, publications, retention, rows, runs, wrapped_labels
from .drafts import ANSWER, ChunkDraft, DocumentDraft, LabelChoice, SourceIdentity
from .errors import InvalidInput, NotReadable, Refused, StoreCorrupt, WriteRefused
from .floors import Floors
from .ground import Ground, Moment
from .kept_changes import WHY_CHARACTERS_MAX
from .labels import Label, LabelEntry
from .leases import WriterLease
from .manifest import Held
from .publishing import refuse_moved
from .subjects import Subject
from .write_authority import WriteAuthority
from .write_batch import WriteBatch
from .write_judgements import WriteJudgements

JOB = "answer"
INPUTS_MAX = 1000
"""How many passages and documents one answer may be made from."""

SOURCE = SourceIdentity("answers", ANSWER)
"""Where a person's answers are from. No ingest can name it."""

MEDIA_TYPE = "text/markdown"
ORIGIN_PRIVATE = "private to who registered the answer"
ORIGIN_CHOSEN = "chosen by who registered the answer"


@dataclass(frozen=True, slots=True)
class AnswerDraft:
    """An answer that is about to be written.

    Args:
        text: What is kept, whole.
        title: May be empty.
        chunks: Slices of the text, as of a :class:`DocumentDraft`.
        inputs: Ids of the passages and documents it was made from, each once.
        label: Who else may read it, of those who may read all inputs; None: nobody.
        why: For the record of the run; may be empty.

    Raises:
        InvalidInput: No input, too many of them, or `why` is too long. No draft is made.
    """

    text: str = field(repr=False)
    title: str = field(repr=False)
    chunks: tuple[ChunkDraft, ...] = field(repr=False)
    inputs: tuple[str, ...]
    label: LabelChoice | None = None
    why: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.inputs) <= INPUTS_MAX:
            raise InvalidInput(
                f"passages: found {len(self.inputs)}; expected 1 to {INPUTS_MAX}; "
                "what was made from none of the store's documents is a document: ingest it"
            )
        if len(self.why) > WHY_CHARACTERS_MAX:
            raise InvalidInput(
                f"why: found {len(self.why)} characters; expected at most {WHY_CHARACTERS_MAX}"
            )

    def document(self, subject: Subject, name: str) -> DocumentDraft:
        """Return the document it becomes, under its own label: what it inherits is not in it.

        Args:
            name: Its path among the answers of whoever registers it.
        """
        content = self.text.encode()
        return DocumentDraft(
            path=name,
            title=self.title,
            media_type=MEDIA_TYPE,
            modified=None,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            text=self.text,
            label=Label(subject.tenant, subject.person) if self.label is None else self.label,
            label_origin=ORIGIN_PRIVATE if self.label is None else ORIGIN_CHOSEN,
            parents=self.inputs,
            chunks=self.chunks,
        )


def register(ground: Ground, subject: Subject, answer: AnswerDraft) -> str:
    """Write an answer; return its id. In force from the next question on.

    Without a label nobody but who registers it reads it, so he needs no right to ingest; a rule that denies
    him that denies this too. With one he needs `ingest` under it, as for every document.

    Raises:
        NotReadable: An input is unknown, or he may not read it.
        Refused: He may not ingest under the label.
        WriteRefused: Its bytes equal a document he may read, or was given, under a higher label.
        InvalidInput: A chunk is no slice of the text, or a vector is not of the store's model.
        StoreBusy: Another writer is at work. Nothing was written in any of these cases.
    """
    run_id = ground.ambient.new_id("run", f"{SOURCE.uri}|{subject.person}")
    draft = answer.document(subject, f"answers/{run_id}.md")
    # Judged before the lease is taken: who may not write keeps nobody from it.
    # One for both: what has not moved in between is not read again.
    floors = Floors(ground, subject)
    _require(ground, subject, draft, floors)
    # Only now: of which model the store's vectors are says that it holds some.
    _refuse_vectors(ground, draft)
    with WriterLease(ground.catalog) as lease:
        moment = ground.moment()
        inherited = _require(ground, subject, draft, floors, alone=True)
        entry = WriteAuthority(ground, subject).intern(draft.label, inherited)
        return _publish(ground, lease, subject, moment, run_id, draft, entry, answer.why)


def _refuse_vectors(ground: Ground, draft: DocumentDraft) -> None:
    model = manifest.known_model(ground)
    for chunk in draft.chunks:
        if model is not None and chunk.vector.shape != (model.dimensions,):
            raise InvalidInput(
                f"answer: found a vector of shape {chunk.vector.shape}; expected ({model.dimensions},), "
                "of the store's own model"
            )


def _require(
    ground: Ground, subject: Subject, draft: DocumentDraft, floors: Floors, *, alone: bool = False
) -> list[LabelEntry]:
    """Return the labels of what went in, each once, if the subject may write this.

    Args:
        alone: Nobody else writes: labels are held to keys too.

    Raises:
        NotReadable, Refused, WriteRefused: He may not; recorded.
        StoreCorrupt: An input stands under another label than its key does; an alarm.
    """
    try:
        found = rows.labels_of(ground, ground.grant(subject, "read"), draft.parents)
        inherited = list({entry.atom: entry for entry, _ in found.values()}.values())
        writer = WriteAuthority(ground, subject)
        if draft.label_origin == ORIGIN_PRIVATE:
            writer.check_not_denied(draft.label)
        else:
            writer.check_ingest(draft.label)
        judgements = WriteJudgements(ground, writer, floors)
        judgements.refuse_lowering(draft.label, draft.sha256, None, inherited)
        if alone:
            wrapped_labels.refuse_other(ground, ((each, entry.atom) for entry, each in found.values()))
    except StoreCorrupt:
        ground.record(subject, JOB, "ingest", "alarm")
        raise
    except (NotReadable, Refused, WriteRefused):
        ground.record(subject, JOB, "ingest", "refused")
        raise
    return inherited


def _publish(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    moment: Moment,
    run_id: str,
    draft: DocumentDraft,
    entry: LabelEntry,
    why: str,
) -> str:
    document_id = ground.ambient.new_id("document", f"{SOURCE.uri}|{draft.path}")
    source_id = manifest.source_id(ground, subject, SOURCE, make=True)
    batch = WriteBatch(ground, run_id, source_id)
    sealed_path = batch.put(draft, SOURCE, document_id, entry, None, draft.parents)
    digest = manifest.path_digest(ground, source_id, draft.path)
    content = manifest.content_digest(ground, source_id, draft.path, draft.sha256, JOB)
    held = {digest: Held(document_id, digest, content, entry.atom, run_id, sealed_path)}
    told: dict[str, object] = {"why": why, "source": source_id}
    written = ingest_lineage.written(ground, batch, source_id)
    with runs.running(ground, lease, subject, run_id, JOB, told, runs.named(written[1])) as run:
        _write(ground, lease, subject, moment, run_id, batch, held, written)
        run.published = True
        retention.clean_now_and_then(ground, lease)
    return document_id


def _write(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    moment: Moment,
    run_id: str,
    batch: WriteBatch,
    held: dict[str, Held],
    written: tuple[runs.Datasets, runs.Datasets],
) -> None:
    with ground.catalog.write() as connection:
        lease.check(connection)
        batch.keep_keys()
    published = moment.publication
    versions = ground.tables.write(published.versions, batch.changes(published.versions))
    (document,) = held.values()
    detail: dict[str, object] = {
        "run": run_id,
        "answer": document.document_id,
        "inputs": sorted(parent for _, parent in batch.derivations()),
    }
    ground.record(subject, JOB, "ingest", "allowed", counts=batch.counts(), detail=detail)
    with ground.catalog.write() as connection:
        refuse_moved(connection, lease, published, moment.policy.version, "written")
        erasure_ledger.refuse_erased(connection, [document.document_id])
        made = publications.publish(ground.catalog, connection, run_id, lease.number, versions)
        runs.published(ground, connection, run_id, JOB, made, *written)
        manifest.store(connection, batch.manifest_changes(held))
