"""Give a document another label, and carry it through to everything made from it.

Promise: document, passages, edges, keys and all derivatives change in one
publication: no reader meets a moment with the weaker of two labels. What was
made from the document stays readable only by who may read all its inputs.

What was made from it keeps all parts its label has, and gets those of the new
one: a derivative is never lowered with its input, since which part was its
own, or came from an input that is gone, cannot be told from the label. To
lower it, relabel it itself.

Source: DESIGN.md §5 (*Seal*), §7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import (
    authority,
    derivatives,
    descendants,
    journal,
    key_upkeep,
    lineage_datasets,
    manifest,
    publications,
    runs,
    wrapped_labels,
)
from .drafts import LabelChoice
from .errors import NotReadable, Refused, StoreCorrupt, WriteRefused
from .ground import Ground, Moment
from .journal import Change
from .kept_changes import Reasoned, signed
from .labels import LabelEntry, flatten
from .leases import WriterLease
from .publishing import refuse_moved
from .rows import is_opaque
from .subjects import Subject
from .write_authority import WriteAuthority
from .write_batch import WriteBatch

JOB = "relabel"


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What was done.

    Args:
        changed: False: it had this label already.
        derived: How many documents made from it got another label too; for the record, not for the subject.
    """

    changed: bool
    derived: int = field(repr=False, default=0)


@dataclass(frozen=True, slots=True)
class _Family:
    """A document, all that was made from it, and what it came from itself.

    Args:
        labels: Document → its label now, of the document and all that was ever made from it.
        inputs: The same of what the document itself was made from.
    """

    labels: Mapping[str, LabelEntry]
    inputs: Mapping[str, LabelEntry]


def relabel(
    ground: Ground, subject: Subject, document_id: str, choice: LabelChoice, reason: Reasoned
) -> Relabelled:
    """Give a document another label; in force from the next question on.

    The subject needs `relabel_from` on the label it has and `relabel_to` on the new one; or it ingested the
    document, may ingest under both, and no rule denies it. A lower label needs `declassify` too.

    Raises:
        NotReadable: Unknown, or under a label this subject may neither read nor relabel from.
        Refused: The label is unknown or may not be given, or the document may not be relabelled.
        WriteRefused: It would lower the label.
        InvalidLabel: What was made from it would join two tenants.
        StoreBusy: Another writer is at work.
    """
    before = ground.moment()
    known = _require(ground, subject, before, document_id, choice)
    with WriterLease(ground.catalog) as lease:
        moment = ground.moment()
        # Judged anew, since time has passed; which documents are concerned changes with the store alone.
        same = moment.sequence == before.sequence
        family = _require(ground, subject, moment, document_id, choice, known if same else None)
        _refuse_forged(ground, subject, family)
        writer = WriteAuthority(ground, subject)
        entries = _interned(ground, writer, family, document_id, choice)
        changed = {each: entry for each, entry in entries.items() if entry.atom != family.labels[each].atom}
        if not changed:
            ground.record(subject, JOB, "relabel_to", "allowed", detail={"changed": False})
            return Relabelled(changed=False)
        _publish(ground, lease, subject, moment, changed, reason)
    return Relabelled(document_id in changed, len(changed.keys() - {document_id}))


def _require(
    ground: Ground,
    subject: Subject,
    moment: Moment,
    document_id: str,
    choice: LabelChoice,
    known: _Family | None = None,
) -> _Family:
    """Return the document's family, if the subject may give it this label.

    Args:
        known: Its family at this sequence, if it was looked up.

    Raises:
        NotReadable, Refused, WriteRefused: He may not; recorded.
    """
    try:
        atom = _atom(ground, moment, document_id)
        _require_rights(ground, subject, moment, document_id, atom, choice)
        family = known or _family(ground, moment, document_id)
        if not WriteAuthority(ground, subject).may_replace(choice, atom, list(family.inputs.values())):
            raise WriteRefused(
                "its label would be lower than the one it has; expected an equal or higher one, "
                "or the right to declassify; nothing was changed",
                hint="an administrator of the tenant can grant 'declassify' on the label it has",
            )
    except (NotReadable, Refused, WriteRefused):
        ground.record(subject, JOB, "relabel_to", "refused")
        raise
    return family


def _refuse_forged(ground: Ground, subject: Subject, family: _Family) -> None:
    """Wrap no document's key for a label that follows from one that only its row says it has.

    Raises:
        StoreCorrupt: There is one; an alarm. Nothing was changed.
    """
    standing = {**family.inputs, **family.labels}
    try:
        wrapped_labels.refuse_other(ground, ((each, label.atom) for each, label in standing.items()))
    except StoreCorrupt:
        ground.record(subject, JOB, "relabel_to", "alarm")
        raise


def _atom(ground: Ground, moment: Moment, document_id: str) -> int:
    version = moment.publication.versions["documents"]
    known = is_opaque(document_id) and ground.tables.rows_by(
        "documents", version, "id", [document_id], ["atom"]
    )
    if not known:
        raise NotReadable()
    return int(known[0]["atom"])


def _require_rights(
    ground: Ground, subject: Subject, moment: Moment, document_id: str, atom: int, choice: LabelChoice
) -> None:
    writer, held = WriteAuthority(ground, subject), moment.table.entries[atom]

    def may(action: str) -> bool:
        return authority.allowed(moment.snapshot, subject, held, moment.table, action, moment.now)

    own = manifest.ingester_of(ground, document_id) == subject.person
    if not may("relabel_from") and not (own and may("ingest")):
        if may("read"):
            raise Refused(f"{subject.person} may not relabel this document; nothing was changed")
        raise NotReadable()
    if (own and writer.may_move(atom, choice)) or (may("relabel_from") and writer.may_relabel_to(choice)):
        return
    named = f"label {choice!r}" if isinstance(choice, str) else f"a label of tenant {choice.tenant!r}"
    raise Refused(
        f"{named} is unknown, or {subject.person} may not relabel to it; nothing was changed",
        hint="check the label's name; an administrator of the tenant can grant 'relabel_to'",
    )


def _family(ground: Ground, moment: Moment, document_id: str) -> _Family:
    tables, versions = ground.tables, moment.publication.versions
    reached, _ = descendants.made_from(tables, versions, [document_id], ever=True)
    parents = descendants.parents(tables, versions, document_id)
    rows = tables.rows_by("documents", versions["documents"], "id", reached | parents, ["atom"])
    labels = {row["id"]: moment.table.entries[row["atom"]] for row in rows}
    return _Family(
        {each: label for each, label in labels.items() if each in reached},
        {each: label for each, label in labels.items() if each in parents},
    )


def _interned(
    ground: Ground, writer: WriteAuthority, family: _Family, document_id: str, choice: LabelChoice
) -> dict[str, LabelEntry]:
    """Return the new label of each document of the family."""
    given = flatten([writer.intern(choice, ()), *family.inputs.values()])
    parts = {each: given | derivatives.parts_of(label) for each, label in family.labels.items()}
    return {
        each: derivatives.with_parts(ground, found) for each, found in (parts | {document_id: given}).items()
    }


def _publish(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    moment: Moment,
    changed: Mapping[str, LabelEntry],
    reason: Reasoned,
) -> None:
    run_id = ground.ambient.new_id("run", JOB)
    batch = WriteBatch(ground, run_id, "")
    for document_id, held in manifest.held_documents(ground, changed).items():
        batch.relabel(held, changed[document_id])
    told: dict[str, object] = {"why": reason.why, "ticket": reason.ticket, "documents": sorted(changed)}
    documents = lineage_datasets.documents(ground.lineage.name, batch.written(), ground.moment().table.by_id)
    with runs.running(ground, lease, subject, run_id, JOB, told, runs.named(documents)) as run:
        _write(ground, lease, subject, moment, run_id, batch, changed, documents, reason)
        run.published = True
        # Before the run ends: what is not done when it dies, the next writer does.
        key_upkeep.forget(ground, lease, batch.stale())


def _write(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    moment: Moment,
    run_id: str,
    batch: WriteBatch,
    changed: Mapping[str, LabelEntry],
    documents: runs.Datasets,
    reason: Reasoned,
) -> None:
    with ground.catalog.write() as connection:
        lease.check(connection)
        batch.keep_keys()
    versions = ground.tables.write(moment.publication.versions, batch.changes(moment.publication.versions))
    detail: dict[str, object] = {"run": run_id, **batch.told()}
    ground.record(subject, JOB, "relabel_to", "allowed", counts=batch.counts(), detail=detail)
    with ground.catalog.write() as connection:
        refuse_moved(connection, lease, moment.publication, moment.policy.version, "changed")
        moved = [Change("relabelled", relabelling=each) for each in batch.relabellings()]
        journal.append(ground.catalog, connection, moved, signed(ground, subject, reason))
        made = publications.publish(ground.catalog, connection, run_id, lease.number, versions)
        runs.published(ground, connection, run_id, JOB, made, documents)
        manifest.move(connection, {each: entry.atom for each, entry in changed.items()})
