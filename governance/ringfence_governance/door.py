"""The one door to a store: every read and every write goes through here.

Promise: nothing behind the door is handed out. What comes out is the answer
to one authorised, recorded request; there is no raw table, connection,
version or path to be had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import (
    answers,
    auditor_log,
    bucket_stores,
    calibrating,
    compaction,
    erasure,
    erasure_proof,
    explaining,
    inspection,
    key_rotation,
    label_changes,
    label_listing,
    lineage_walk,
    log_checks,
    manifest,
    policy_apply,
    policy_changes,
    reading,
    relabeling,
    rights,
    store_files,
    store_marker,
)
from .ambient import Ambient
from .answers import AnswerDraft
from .audit_settings import AuditSettings
from .bucket import is_uri
from .drafts import LabelChoice, SourceIdentity
from .errors import InvalidInput
from .ground import Ground
from .ingestion import Ingestion
from .kept_changes import Reasoned
from .labels import NamedLabel
from .policy_rows import Row, Rule
from .policy_text import PolicyBundle
from .reading import Answer, GrantedReader
from .stopping import TimeLimit
from .store_modes import SEALED, Mode, StoreMode
from .subjects import Subject
from .vector_models import VectorModel
from .witnesses import WitnessLike

if TYPE_CHECKING:
    from .audit_desk import AuditDesk

T = TypeVar("T")


class Door:
    """The door to one open store. Prints nothing of it and cannot be pickled."""

    __slots__ = ("__ground", "__weakref__")

    def __init__(self, ground: Ground) -> None:
        self.__ground = ground

    def __repr__(self) -> str:
        return "Door(…)"

    def __reduce__(self) -> str:
        raise TypeError("a door cannot be pickled")

    @classmethod
    def create(
        cls,
        path: Path | str,
        bundle: PolicyBundle,
        admin: str,
        *,
        keys_home: Path | None = None,
        keys: str = "file",
        ambient: Ambient | None = None,
        catalog: str | None = None,
        storage_options: Mapping[str, str] | None = None,
        mode: StoreMode = SEALED,
        audit: AuditSettings | None = None,
    ) -> tuple[Door, Path]:
        """Make a new store in a folder or at an address; return its door and the file that holds or names its key.

        See :func:`store_files.create` and :func:`bucket_stores.create`.
        """
        ambient = ambient or Ambient()
        if isinstance(path, str) and is_uri(path):
            created = bucket_stores.create(
                path,
                bundle,
                admin,
                ambient,
                keys_home=keys_home,
                keys=keys,
                catalog=catalog,
                options=storage_options,
                mode=mode,
                audit=audit,
            )
        else:
            _refuse_options(storage_options)
            created = store_files.create(
                Path(path),
                bundle,
                admin,
                ambient,
                keys_home=keys_home,
                keys=keys,
                catalog=catalog,
                mode=mode,
                audit=audit,
            )
        return cls(created.ground), created.key_path

    @staticmethod
    def is_store(path: Path | str, *, storage_options: Mapping[str, str] | None = None) -> bool:
        """Say whether a store of any format lies at a place.

        See :func:`store_marker.is_store` and :func:`bucket_stores.is_store`.
        """
        if isinstance(path, str) and is_uri(path):
            return bucket_stores.is_store(path, storage_options)
        _refuse_options(storage_options)
        return store_marker.is_store(Path(path))

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        keys_home: Path | None = None,
        ambient: Ambient | None = None,
        catalog: str | None = None,
        storage_options: Mapping[str, str] | None = None,
        audit: AuditSettings | None = None,
    ) -> Door:
        """Open a store. See :func:`store_files.open_store` and :func:`bucket_stores.open_store`."""
        ambient = ambient or Ambient()
        if isinstance(path, str) and is_uri(path):
            return cls(
                bucket_stores.open_store(
                    path, ambient, keys_home=keys_home, catalog=catalog, options=storage_options, audit=audit
                )
            )
        _refuse_options(storage_options)
        return cls(
            store_files.open_store(Path(path), ambient, keys_home=keys_home, catalog=catalog, audit=audit)
        )

    def began_with(self, bundle: PolicyBundle) -> bool:
        """Say whether the store was made with this policy. See :func:`policy_changes.began_with`."""
        return policy_changes.began_with(self.__ground, bundle)

    def close(self) -> None:
        """Close the store."""
        self.__ground.close()

    @property
    def mode(self) -> Mode:
        """`sealed` or `indexed`."""
        return self.__ground.tables.mode.name

    def limit_memory(self, bytes_max: int) -> None:
        """Let opened rows take no more than some bytes of memory. See :meth:`resident.Resident.limit`."""
        self.__ground.resident.limit(bytes_max)

    def read(
        self,
        subject: Subject,
        verb: str,
        work: Callable[[GrantedReader], Answer[T]],
        *,
        query: str = "",
        at: str | None = None,
        limit: TimeLimit | None = None,
    ) -> T:
        """Carry out one read for a subject. See :func:`reading.read`."""
        return reading.read(self.__ground, subject, verb, work, query=query, at=at, limit=limit)

    def read_many(
        self,
        subject: Subject,
        verb: str,
        work: Callable[[GrantedReader], Sequence[Answer[T]]],
        queries: Sequence[str],
        *,
        at: str | None = None,
        limit: TimeLimit | None = None,
    ) -> tuple[T, ...]:
        """Carry out several reads for a subject with one grant. See :func:`reading.read_many`."""
        return reading.read_many(self.__ground, subject, verb, work, queries, at=at, limit=limit)

    def ingestion(
        self,
        subject: Subject,
        source: SourceIdentity,
        model: VectorModel,
        *,
        pipeline: str,
        dry_run: bool = False,
    ) -> Ingestion:
        """Return a run that writes the documents of one source.

        Args:
            pipeline: Version of everything that turns bytes into chunks; another one makes files 'changed'.
            dry_run: Judge everything, write nothing.
        """
        return Ingestion(self.__ground, subject, source, model, pipeline, dry_run)

    def register_answer(self, subject: Subject, answer: AnswerDraft) -> str:
        """See :func:`answers.register`."""
        return answers.register(self.__ground, subject, answer)

    def vector_model(self) -> VectorModel | None:
        """Return the model the store's vectors were made with; None before the first ingest."""
        return manifest.known_model(self.__ground)

    def why(self, subject: Subject, object_id: str, *, at: str | None = None) -> dict[str, Any]:
        """See :func:`explaining.why`."""
        return explaining.why(self.__ground, subject, object_id, at=at)

    def why_for(
        self, auditor: Subject, subject: Subject, object_id: str, *, at: str | None = None
    ) -> dict[str, Any]:
        """See :func:`explaining.why_for`."""
        return explaining.why_for(self.__ground, auditor, subject, object_id, at=at)

    def who(self, auditor: Subject, object_id: str, *, at: str | None = None) -> dict[str, Any]:
        """See :func:`explaining.who`."""
        return explaining.who(self.__ground, auditor, object_id, at=at)

    def what(self, subject: Subject, *, documents: bool = False) -> dict[str, Any]:
        """See :func:`rights.what`."""
        return rights.what(self.__ground, subject, documents=documents)

    def what_for(
        self,
        auditor: Subject,
        subject: Subject,
        *,
        action: str = "read",
        at: str | None = None,
        documents: bool = False,
    ) -> dict[str, Any]:
        """See :func:`rights.what_for`."""
        return rights.what_for(self.__ground, auditor, subject, action=action, at=at, documents=documents)

    def lineage(
        self, subject: Subject, object_id: str, *, direction: str, depth: int, audit: bool = False
    ) -> dict[str, Any]:
        """See :func:`lineage_walk.lineage`."""
        return lineage_walk.lineage(
            self.__ground, subject, object_id, direction=direction, depth=depth, audit=audit
        )

    def log(self, auditor: Subject) -> list[dict[str, Any]]:
        """See :func:`auditor_log.log`."""
        return auditor_log.log(self.__ground, auditor)

    def audit_desk(self, auditor: Subject, *, since: str | None = None) -> AuditDesk:
        """See :func:`audit_desk.open_desk`."""
        # Needed only here: DuckDB is loaded for who audits.
        from . import audit_desk

        return audit_desk.open_desk(self.__ground, auditor, since=since)

    def verify_log(self, auditor: Subject, *, witness: WitnessLike | None = None) -> dict[str, Any]:
        """See :func:`log_checks.verify`."""
        return log_checks.verify(self.__ground, auditor, witness=witness)

    def sign_log(self, auditor: Subject, *, witness: WitnessLike | None = None) -> dict[str, Any]:
        """See :func:`log_checks.checkpoint`."""
        return log_checks.checkpoint(self.__ground, auditor, witness=witness)

    def prove_record(self, auditor: Subject, record: str) -> dict[str, Any]:
        """See :func:`log_checks.prove`."""
        return log_checks.prove(self.__ground, auditor, record)

    def keep_log(
        self, admin: Subject, *, days: float | None = None, bytes_max: int | None = None
    ) -> dict[str, Any]:
        """See :func:`log_checks.keep`."""
        return log_checks.keep(self.__ground, admin, days=days, bytes_max=bytes_max)

    def status(self, subject: Subject) -> dict[str, Any]:
        """See :func:`inspection.status`."""
        return inspection.status(self.__ground, subject)

    def flush_lineage(self, subject: Subject) -> dict[str, Any]:
        """See :func:`inspection.flush_lineage`."""
        return inspection.flush_lineage(self.__ground, subject)

    def calibrate(
        self, admin: Subject, measure: Callable[[int], tuple[int, Any]], reason: Reasoned
    ) -> dict[str, Any]:
        """See :func:`calibrating.calibrate`."""
        return calibrating.calibrate(self.__ground, admin, measure, reason)

    def rotate_keys(self, admin: Subject, reason: Reasoned, *, retire: bool = False) -> dict[str, Any]:
        """See :func:`key_rotation.rotate`."""
        return key_rotation.rotate(self.__ground, admin, reason, retire=retire)

    def keys_status(self, admin: Subject) -> dict[str, Any]:
        """See :func:`key_rotation.status`."""
        return key_rotation.status(self.__ground, admin)

    def policy_rows(self, admin: Subject) -> list[dict[str, Any]]:
        """See :func:`inspection.policy_rows`."""
        return inspection.policy_rows(self.__ground, admin)

    def add_row(self, subject: Subject, row: Row, reason: Reasoned) -> bool:
        """See :func:`policy_changes.add_row`."""
        return policy_changes.add_row(self.__ground, subject, row, reason)

    def remove_row(self, subject: Subject, row: Row, reason: Reasoned) -> bool:
        """See :func:`policy_changes.remove_row`."""
        return policy_changes.remove_row(self.__ground, subject, row, reason)

    def matching_rows(self, subject: Subject, sub: str, action: str, object_id: str) -> tuple[Rule, ...]:
        """See :func:`policy_changes.matching_rows`."""
        return policy_changes.matching_rows(self.__ground, subject, sub, action, object_id)

    def apply_policy(self, subject: Subject, path: Path, reason: Reasoned) -> dict[str, Any]:
        """Apply a policy's files; return what was changed. See :func:`policy_apply.apply_policy`."""
        found = policy_apply.apply_policy(self.__ground, subject, path, reason)
        return {"changed": found.changed, **found.to_mapping()}

    def diff_policy(self, subject: Subject, path: Path, action: str) -> dict[str, Any]:
        """Return what applying a policy's files would do. See :func:`policy_apply.diff_policy`."""
        return policy_apply.diff_policy(self.__ground, subject, path, action).to_mapping()

    def define_label(self, subject: Subject, label: NamedLabel, reason: Reasoned) -> None:
        """See :func:`label_changes.define_label`."""
        label_changes.define_label(self.__ground, subject, label, reason)

    def redefine_label(self, subject: Subject, label: NamedLabel, reason: Reasoned) -> bool:
        """See :func:`label_changes.redefine_label`."""
        return label_changes.redefine_label(self.__ground, subject, label, reason)

    def expire_label(self, subject: Subject, name: str, reason: Reasoned) -> bool:
        """See :func:`label_changes.expire_label`."""
        return label_changes.expire_label(self.__ground, subject, name, reason)

    def labels(self, subject: Subject) -> list[dict[str, Any]]:
        """See :func:`label_listing.labels`."""
        return label_listing.labels(self.__ground, subject)

    def label_history(self, subject: Subject, name: str) -> list[dict[str, Any]]:
        """See :func:`label_listing.label_history`."""
        return label_listing.label_history(self.__ground, subject, name)

    def erase(
        self, subject: Subject, documents: Sequence[str], reason: Reasoned, *, canaries: Sequence[bytes] = ()
    ) -> list[dict[str, Any]]:
        """See :func:`erasure.erase`."""
        return erasure.erase(self.__ground, subject, documents, reason, canaries=canaries)

    def verify_erasure(
        self, auditor: Subject, certificate: Mapping[str, Any], *, canaries: Sequence[bytes] = ()
    ) -> dict[str, Any]:
        """See :func:`erasure_proof.verify`."""
        return erasure_proof.verify(self.__ground, auditor, certificate, canaries)

    def compact(
        self, subject: Subject, *, on_progress: Callable[[str, int, int], None] | None = None
    ) -> dict[str, object]:
        """See :func:`compaction.compact`."""
        return compaction.compact(self.__ground, subject, on_progress=on_progress).to_mapping()

    def relabel(
        self, subject: Subject, document_id: str, choice: LabelChoice, reason: Reasoned
    ) -> dict[str, object]:
        """See :func:`relabeling.relabel`. What others made from it is not told."""
        done = relabeling.relabel(self.__ground, subject, document_id, choice, reason)
        return {"document": document_id, "changed": done.changed}


def _refuse_options(options: Mapping[str, str] | None) -> None:
    if options:
        raise InvalidInput("storage_options: found some for a store in a folder; expected none, or s3://…")
