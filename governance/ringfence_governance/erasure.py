"""Erase documents: from every row, version, key and file of the store, with proof.

Promise: what is erased is gone from the next question on, for everybody and in
every process; nothing brings it back, not a writer that slept, not an older
copy of the store. Killed at any instant, an erasure either never was or is
finished by the next one.

Why it is gone elsewhere too: a read confirms the catalog's newest sequence
before its result leaves (:meth:`Ground.moved`), and the publication without
the rows took a number, so a read that began before starts again. Whoever keeps
opened rows between reads (resident blocks, a cache) must confirm the sequence
at each use as well, or acknowledge the erasure before it is reported done.

Order: lease (others are expelled) → tables without the rows → record → copy of
the ledger → ledger and publication, in one transaction → keys → older versions
→ scan → certificate.

Source: DESIGN.md §5, *Erase*.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from . import (
    authority,
    descendants,
    erasure_ledger,
    erasure_proof,
    inspection,
    lineage_datasets,
    manifest,
    publications,
    retention,
    runs,
    wrapped_labels,
)
from .descendants import Reach
from .erasure_ledger import Entry
from .erasure_proof import NO_TRACES, Traces
from .errors import InvalidInput, NotReadable, Refused, StoreCorrupt, standing
from .ground import Ground, Moment
from .kept_changes import Reasoned
from .leases import WriterLease
from .lineage_datasets import Written
from .publishing import refuse_moved
from .rows import is_opaque
from .subjects import Subject
from .table_schemas import TABLES, TableChange, Versions
from .write_authority import WriteAuthority

DOCUMENTS_MAX = 1000
"""How many documents one erasure may be asked for."""
JOB = "erase"
AGAIN = "run it again: it goes on where it stopped, and gives the certificate"


def erase(
    ground: Ground,
    subject: Subject,
    document_ids: Sequence[str],
    reason: Reasoned,
    *,
    canaries: Sequence[bytes] = (),
) -> list[dict[str, Any]]:
    """Erase documents and everything made from them; return the certificates.

    Ids that were erased before give the certificates of then; an erasure that was not finished is.

    Args:
        document_ids: 1 to 1000.
        canaries: Byte strings that must be in no file afterwards, each of 6 to 4096 bytes.

    Raises:
        NotReadable: One is unknown, or under a label this subject may neither read nor delete under.
        Refused: He may read it and not delete it; or gives canaries and may not know of the whole store.
        InvalidInput: An id or a canary is malformed. Nothing was erased.
        WriterExpelled: Another erasure came in between; call it again.
    """
    asked = _asked(document_ids)
    erasure_proof.check_canaries(canaries)
    # Judged before the lease is taken: who may not erase expels nobody.
    _require(ground, subject, asked, canaries)
    with WriterLease(ground.catalog, expel=True) as lease:
        _replay(ground, lease)
        moment = _require(ground, subject, asked, canaries)
        _refuse_forged(ground, subject, moment, asked)
        traces: dict[str, Traces] = {}
        if new := asked - moment.erased:
            made, left = _publish(ground, lease, subject, new, reason, moment)
            traces[made.erasure_id] = left
        with ground.catalog.read() as connection:
            known = erasure_ledger.entries(connection)
        with standing("the documents are in no answer any more; their erasure is not finished", AGAIN):
            certificates = [
                _finished(ground, lease, entry, traces.get(entry.erasure_id, NO_TRACES), canaries)
                for entry in known
                if entry.certificate is None or asked & set(entry.documents)
            ]
    wide = inspection.may_know_sizes(moment, subject)
    return [
        certificate if wide else erasure_proof.without_details(certificate)
        for certificate in certificates
        # Documents that somebody else asked for besides are none of his business.
        if set(certificate["documents"]) <= asked or wide
    ]


def reconcile(ground: Ground) -> None:
    """Make the store and the ledger beside its keys agree, before it serves.

    They differ when an older copy of the store was put back, or of the keys: what was erased is erased
    again. Costs one look-up if they agree.

    Raises:
        StoreError: It cannot be done. The store must not be served.
    """
    with ground.catalog.read() as connection:
        newest = erasure_ledger.newest_id(connection)
    if ground.erasures.newest_id() == newest:
        return
    with WriterLease(ground.catalog, expel=True) as lease:
        _replay(ground, lease)


def _asked(document_ids: Sequence[str]) -> frozenset[str]:
    if isinstance(document_ids, str) or not 1 <= len(document_ids) <= DOCUMENTS_MAX:
        raise InvalidInput(
            f"documents: found {len(document_ids)}; expected a list of 1 to {DOCUMENTS_MAX} ids"
        )
    for document_id in document_ids:
        if not isinstance(document_id, str) or not is_opaque(document_id):
            raise InvalidInput(
                f"document: found {document_id!r}; expected an id of 32 hexadecimal digits; 'list' shows them"
            )
    return frozenset(document_ids)


def _require(ground: Ground, subject: Subject, asked: Collection[str], canaries: Collection[bytes]) -> Moment:
    """Return the moment at which the subject may erase all of them.

    Raises:
        NotReadable, Refused: He may not; recorded.
    """
    moment = ground.moment()
    try:
        if canaries and not inspection.may_know_sizes(moment, subject):
            raise Refused(
                "canaries are looked for in the whole store; expected one who may audit or administer it all"
            )
        owned = _owned(ground, moment, asked)
        for document_id in sorted(asked):
            _require_one(ground, moment, subject, owned.get(document_id))
    except (NotReadable, Refused):
        ground.record(subject, "erase", "delete", "refused")
        raise
    return moment


def _refuse_forged(ground: Ground, subject: Subject, moment: Moment, asked: Collection[str]) -> None:
    """Let nobody erase a document by a label that only its row says it has.

    Raises:
        StoreCorrupt: There is one; an alarm. Nothing was erased.
    """
    versions = moment.publication.versions
    found = ground.tables.rows_by("documents", versions["documents"], "id", asked, ["atom"])
    try:
        wrapped_labels.refuse_other(ground, ((row["id"], int(row["atom"])) for row in found))
    except StoreCorrupt:
        ground.record(subject, "erase", "delete", "alarm")
        raise


def _require_one(
    ground: Ground, moment: Moment, subject: Subject, owned: tuple[int, str | None] | None
) -> None:
    atom, ingester = owned if owned is not None else (0, None)
    entry = moment.table.entries.get(atom)
    if entry is None:
        raise NotReadable()
    if authority.allowed(moment.snapshot, subject, entry, moment.table, "delete", moment.now):
        return
    if ingester == subject.person and WriteAuthority(ground, subject).may_remove(atom):
        return
    if authority.allowed(moment.snapshot, subject, entry, moment.table, "read", moment.now):
        raise Refused(
            f"{subject.person} may not delete this document; nothing was erased",
            hint="an administrator of the tenant can grant 'delete' on its label",
        )
    raise NotReadable()


def _owned(ground: Ground, moment: Moment, documents: Collection[str]) -> dict[str, tuple[int, str | None]]:
    """Return the atom of each document that is there, was removed or was erased, and who ingested it."""
    versions = moment.publication.versions
    found = ground.tables.rows_by("documents", versions["documents"], "id", documents, ["atom"])
    owned = {row["id"]: (int(row["atom"]), manifest.ingester_of(ground, row["id"])) for row in found}
    owned |= _removed(ground, versions, set(documents) - owned.keys())
    if not moment.erased.isdisjoint(documents):
        with ground.catalog.read() as connection:
            known = erasure_ledger.entries(connection)
        for entry in known:
            if not set(documents).isdisjoint(entry.documents):
                told = entry.told(ground.catalog)
                owned |= {each: (atom, told["ingesters"][each]) for each, atom in told["atoms"].items()}
    return owned


def _removed(
    ground: Ground, versions: Versions, documents: Collection[str]
) -> dict[str, tuple[int, str | None]]:
    """Return the same of documents that were removed: the edges to their sources are left."""
    written = descendants.writings(ground.tables, versions, documents)
    with ground.catalog.read() as connection:
        sequences = publications.newest_by(connection, {run for runs in written.values() for run in runs})
    owned = {}
    for document_id, by_run in written.items():
        # As it was written last: a label it had before may have been a lower one.
        atom, source = by_run[max(by_run, key=lambda run: sequences.get(run, 0))]
        owned[document_id] = (atom, manifest.ingester_from(ground, source))
    return owned


def _publish(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    documents: Collection[str],
    reason: Reasoned,
    moment: Moment,
) -> tuple[Entry, Traces]:
    """Publish the tables without the documents, what was made from them, and their entry in the ledger."""
    versions = moment.publication.versions
    found = descendants.reach(ground.tables, versions, documents)
    owned = _owned(ground, moment, found.documents)
    erasure_id = ground.ambient.new_id("erasure", " ".join(sorted(documents)))
    told: dict[str, object] = {
        "who": subject.person,
        "asserted_by": ground.asserted_by,
        "why": reason.why,
        "ticket": reason.ticket,
        "at": moment.now,
        "asked": sorted(documents),
        "atoms": {document_id: atom for document_id, (atom, _) in owned.items()},
        "ingesters": {document_id: ingester for document_id, (_, ingester) in owned.items()},
        "rows": sorted(found.chunks | found.edges),
    }
    made = erasure_ledger.entry(ground.catalog, erasure_id, found.documents, told)
    traces = erasure_proof.traces(ground, versions, found)
    _publish_entry(ground, lease, subject, made, found, moment, copied=False)
    return made, traces


def _publish_entry(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    made: Entry,
    found: Reach,
    moment: Moment,
    *,
    copied: bool,
) -> None:
    """Publish what an entry says, with the entry.

    Args:
        copied: The entry stands in the copy of the ledger already.
    """
    run_id = ground.ambient.new_id("run", made.erasure_id)
    gone = lineage_datasets.documents(
        ground.lineage.name, [Written(each, "DROP") for each in made.documents], moment.table.by_id
    )
    told = {"erasure": made.erasure_id}
    with runs.running(ground, lease, subject, run_id, JOB, told, runs.named(gone)) as run:
        _write_entry(ground, lease, subject, run_id, made, found, moment, gone, copied=copied)
        run.published = True


def _write_entry(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    run_id: str,
    made: Entry,
    found: Reach,
    moment: Moment,
    gone: runs.Datasets,
    *,
    copied: bool,
) -> None:
    versions = ground.tables.write(moment.publication.versions, _changes(found))
    detail: dict[str, object] = {
        "run": run_id,
        "erasure": made.erasure_id,
        "removed": list(made.documents),
        "replayed": copied,
    }
    ground.record(subject, "erase", "delete", "allowed", detail=detail, counts=_counts(found))
    with ground.catalog.write() as connection:
        # What is done again after a copy was put back was allowed when it was done first.
        policy = None if copied else moment.policy.version
        refuse_moved(connection, lease, moment.publication, policy, "erased")
        erasure_ledger.add(ground.catalog, connection, made)
        publication = publications.publish(ground.catalog, connection, run_id, lease.number, versions)
        runs.published(ground, connection, run_id, JOB, publication, gone)
        manifest.drop(connection, made.documents)
        if not copied:
            # Last, when only the commit itself can still fail: it says what an older copy of the store missed.
            ground.erasures.append(ground.catalog, [made])


def _changes(found: Reach) -> dict[str, TableChange]:
    deleted = {"documents": found.documents, "chunks": found.chunks, "edges": found.edges}
    return {name: TableChange(deleted=tuple(sorted(deleted[name])), materialised=True) for name in TABLES}


def _counts(found: Reach) -> dict[str, int]:
    return {"documents": len(found.documents), "chunks": len(found.chunks), "edges": len(found.edges)}


def _finished(
    ground: Ground, lease: WriterLease, entry: Entry, traces: Traces, canaries: Sequence[bytes]
) -> dict[str, Any]:
    """Destroy the keys, remove older versions, scan and certify; return the certificate."""
    if entry.certificate is not None:
        return erasure_proof.kept_certificate(ground, entry)
    _refuse_unsealed(ground, entry)
    with ground.catalog.write() as connection:
        # Under the catalog's lock: no writer takes the lease meanwhile, so none keeps one of these keys.
        lease.check(connection)
        wraps = ground.keys.wraps_of(entry.documents)
        ground.keys.forget(wrap.name for wrap in wraps)
    ground.keys.checkpoint()
    # No publication from before an erasure is kept.
    retention.clean(ground, lease)
    ground.catalog.checkpoint()
    certificate = erasure_proof.certificate(ground, entry, traces.with_keys(wraps), canaries)
    if certificate["clean"]:
        digest = erasure_proof.keep_certificate(ground, entry, certificate)
        with ground.catalog.write() as connection:
            lease.check(connection)
            erasure_ledger.certify(connection, entry.erasure_id, digest)
    return certificate


def _refuse_unsealed(ground: Ground, entry: Entry) -> None:
    """Destroy no key by an entry that this store did not seal, or that names documents it was not about.

    Raises:
        StoreCorrupt: It is such a one.
    """
    told = entry.told(ground.catalog)
    if not {*told["asked"], *told["atoms"]} >= set(entry.documents):
        raise StoreCorrupt(f"erasure {entry.erasure_id}: the catalog was changed; no key is destroyed by it")


def _replay(ground: Ground, lease: WriterLease) -> None:
    """Erase again what the copy of the ledger says and the catalog does not, and the other way round."""
    with ground.catalog.read() as connection:
        known = {entry.erasure_id: entry for entry in erasure_ledger.entries(connection)}
    copied = {entry.erasure_id: entry for entry in ground.erasures.entries(ground.catalog)}
    for missing in (entry for name, entry in copied.items() if name not in known):
        moment = ground.moment()
        subject = Subject(str(missing.told(ground.catalog)["who"]))
        found = descendants.reach(ground.tables, moment.publication.versions, missing.documents)
        whole = Reach(found.documents | set(missing.documents), found.chunks, found.edges)
        _publish_entry(ground, lease, subject, missing, whole, moment, copied=True)
        _finished(ground, lease, missing, NO_TRACES, ())
    forgotten = [entry for name, entry in known.items() if name not in copied]
    if forgotten:
        # The keys are of an older copy: the keys of what was erased since are in it again.
        for entry in forgotten:
            _refuse_unsealed(ground, entry)
        for entry in forgotten:
            with ground.catalog.write() as connection:
                lease.check(connection)
                ground.keys.forget(ground.keys.names(entry.documents))
        ground.keys.checkpoint()
        ground.erasures.append(ground.catalog, forgotten)
