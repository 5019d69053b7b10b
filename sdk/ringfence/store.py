"""Open a store, ingest into it, and ask it as somebody.

Promise: a store handed to an application holds no raw table, key, version or
path an application could read by; every question goes through a subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence_governance.audit_settings import settings
from ringfence_governance.door import Door
from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput
from ringfence_governance.memory_budget import budget
from ringfence_governance.policy_text import load_directory, shipped_default
from ringfence_governance.store_files import default_admin
from ringfence_governance.store_modes import Mode, StoreMode
from ringfence_governance.subjects import Subject, local_user
from ringfence_governance.witnesses import WitnessLike
from ringfence_ingest.documents import Document, Source
from ringfence_ingest.embedders import Embedder
from ringfence_ingest.limits import BYTES_MAX
from ringfence_ingest.pipeline import ingest
from ringfence_ingest.progress import Progress
from ringfence_ingest.sources import open_source
from ringfence_ingest.summary import Summary
from ringfence_retrieval.cross_encoder import open_reranker
from ringfence_retrieval.reranking import Reranker

from .boundary import public
from .embedding import check_model, opened
from .reader import Reader

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .audit_database import AuditDatabase

RerankerLike = str | Path | Reranker
"""The folder of a CrossEncoder, or what scores passages itself."""

SourceLike = str | Path | Source | Iterable[Document]


class Store:
    """An open store. Made by :func:`open` or :func:`create`.

    Private names (`_Store__*`) are not part of the interface; docs/threat-model.md says what they hold.
    """

    __slots__ = ("__door", "__embedder", "__path", "__reranker", "__weakref__", "key_path")

    def __init__(
        self,
        door: Door,
        path: Path | str,
        embedder: str | Embedder | None,
        key_path: Path | None,
        reranker: RerankerLike | None = None,
    ) -> None:
        self.__door = door
        self.__path = path
        self.__embedder = embedder
        self.__reranker = reranker
        self.key_path = key_path
        """The file that holds the master key or names it, if this call made the store; else None."""

    def __repr__(self) -> str:
        return f"Store({str(self.__path)!r})"

    def __reduce__(self) -> str:
        raise TypeError("a store cannot be pickled; open it again where it is needed")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @public
    def close(self) -> None:
        """Close the store; what was read stays valid."""
        self.__door.close()

    @public
    def as_user(self, principal: str | None = None, *, via: Sequence[str] = (), purpose: str = "") -> Reader:
        """Return what one subject may do here.

        Args:
            principal: `tenant/user:name`; None for the operating-system user, `local/user:NAME`.
            via: Agents that carry the request, nearest to the person first; each can only take away.
            purpose: One word.

        Raises:
            InvalidInput: A name is not canonical. An unknown name is no error: it may do nothing.
        """
        subject = Subject(local_user() if principal is None else principal, tuple(via), purpose)
        return Reader(self.__door, subject, self.__embed, self.__opened_reranker)

    @public
    def ingest(
        self,
        source: SourceLike,
        *more: SourceLike,
        as_user: str | None = None,
        label: LabelChoice | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        trust_other: bool = False,
        remove_vanished: bool = False,
        encoding: str | None = None,
        language: str = "english",
        bytes_max: int = BYTES_MAX,
        dry_run: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Summary:
        """Read sources, and write what they hold: labelled, sealed, with lineage.

        Args:
            source: A folder, file, mbox, maildir, URL, or documents from Python.
            as_user: Who ingests; None for the operating-system user.
            label: For every document; None asks `.ringfence.yaml`, then the source's own permissions.
            include: Globs of paths to take; empty takes all.
            exclude: Globs of paths to leave.
            trust_other: Let the `other` bits of file modes make readers.
            remove_vanished: Remove documents whose files are gone.
            encoding: Of text files that are not UTF-8.
            language: Whose word stems are kept for search by words, 'none' for none; name the same when searching.
                Documents that were ingested with another one are written anew.
            bytes_max: Largest file taken.
            dry_run: Judge everything, write nothing.
            on_progress: Called with counts as they change.

        Returns:
            What was done; a file that failed is in it with its reason and does not stop the run.

        Raises:
            InvalidInput: A source cannot be opened, or a label is malformed.
            StoreBusy: Another ingest is running.
        """
        subject = Subject(local_user() if as_user is None else as_user)
        sources = [
            open_source(each, include=include, exclude=exclude, bytes_max=bytes_max)
            for each in (source, *more)
        ]
        return ingest(
            self.__door,
            subject,
            sources,
            embedder=self.__opened(),
            label=label,
            trust_other=trust_other,
            remove_vanished=remove_vanished,
            encoding=encoding,
            language=language,
            bytes_max=bytes_max,
            dry_run=dry_run,
            on_progress=on_progress,
        )

    def __embed(self, text: str) -> npt.NDArray[np.float32]:
        embedder = self.__opened()
        check_model(embedder.model, self.__door.vector_model())
        vector: npt.NDArray[np.float32] = embedder.embed([text])[0]
        return vector

    def __opened(self) -> Embedder:
        if self.__embedder is None or isinstance(self.__embedder, str):
            self.__embedder = opened(self.__embedder, self.__door.vector_model())
        return self.__embedder

    def __opened_reranker(self) -> Reranker | None:
        if isinstance(self.__reranker, str | Path):
            self.__reranker = open_reranker(self.__reranker)
        return self.__reranker


@public
def create(
    path: str | Path,
    policy: str | Path | None = None,
    *,
    admin: str | None = None,
    embedder: str | Embedder | None = None,
    catalog: str | None = None,
    keys: str = "file",
    storage_options: Mapping[str, str] | None = None,
    witness: WitnessLike | None = None,
    memory: int | str | None = None,
    mode: Mode = "sealed",
    reranker: RerankerLike | None = None,
) -> Store:
    """Make a new store and open it; `store.key_path` says where its master key is.

    Args:
        path: A new or empty folder; or `s3://BUCKET/PREFIX`, where nothing lies yet. Of a store in a bucket
            the log, and the catalog if it is a file, are in `$RINGFENCE_HOME/STORE_ID.local`.
        policy: A folder with `policy.csv` and, if it likes, `labels.yaml`; None for the default policy.
        admin: Who may ingest and administer in his tenant; None for the operating-system user.
        embedder: `minilm` (default), `hash`, the path of a SentenceTransformer, or an embedder.
        catalog: `postgresql://USER@HOST:PORT/DATABASE` for a catalog that several machines use; None for a
            file in the store. A password in it is used and not written down.
        keys: What keeps the master key: `file`, `environment`, `aws-kms` (a new KMS key) or `aws-kms:KEY`.
        storage_options: How a bucket is reached: `aws_endpoint`, `aws_region`, `aws_access_key_id`,
            `aws_secret_access_key`, `aws_session_token`, `aws_virtual_hosted_style_request`, `allow_http`.
            What is not given comes from the standard variables (`AWS_ENDPOINT_URL` and so on). None is
            written down.
        witness: Where the audit log's checkpoints go: a file's path elsewhere, an `http://` or `https://`
            address, or a :class:`Witness` of your own; None asks the environment (`RINGFENCE_WITNESS`), an
            empty text is none.
        memory: What opened rows may take of this process's memory: bytes, or a text such as `512MiB` or `2GB`.
            None asks the environment (`RINGFENCE_MEMORY`), then takes a quarter of the machine's. Less is
            slower and gives the same answers; in an indexed store, about the same by meaning.
        mode: `sealed`, whose vectors and words lie on the disk only sealed; or `indexed`, for one that will
            outgrow memory: rotated vectors and blinded words lie beside the sealed ones, and an index of
            them. That is weaker; docs/threat-model.md says how. An indexed store is made for the vectors of
            `embedder`, which is opened at once.
        reranker: The folder of a CrossEncoder, opened when it is first asked, or what scores passages itself;
            used where a question says `rerank=N`. It is not kept with the store.

    Raises:
        StoreError: Something is there already, or the Postgres cannot be reached.
        PolicyRefused: The policy does not load; every finding is listed.
        KeyUnavailable: The key cannot be written, or would lie inside the store.
    """
    bytes_max = budget(memory)
    bundle = shipped_default() if policy is None else load_directory(Path(policy))
    chosen = admin if admin is not None else default_admin()
    kind, embedder = _kind(mode, embedder)
    door, key_path = Door.create(
        path,
        bundle,
        chosen,
        keys=keys,
        catalog=catalog,
        storage_options=storage_options,
        mode=kind,
        audit=settings(witness),
    )
    door.limit_memory(bytes_max)
    return Store(door, path, embedder, key_path, reranker)


@public
def open(  # noqa: A001
    path: str | Path,
    policy: str | Path | None = None,
    *,
    admin: str | None = None,
    embedder: str | Embedder | None = None,
    catalog: str | None = None,
    storage_options: Mapping[str, str] | None = None,
    witness: WitnessLike | None = None,
    memory: int | str | None = None,
    mode: Mode | None = None,
    reranker: RerankerLike | None = None,
) -> Store:
    """Open a store; make it if there is none.

    Args:
        path: The store's folder, or `s3://BUCKET/PREFIX`.
        policy: Read when the store is made. A store that stands has its own policy, changed by journaled
            rows alone, so a folder given for it must hold nothing the store did not begin with; another one is
            applied with :meth:`Reader.apply_policy`.
        admin: As in :func:`create`.
        embedder: As in :func:`create`; None takes the model the store's vectors were made with.
        catalog: As in :func:`create` when the store is made. For a store that stands: where its Postgres
            is now, or the URL with its password; None takes the one the store was made with.
        storage_options: As in :func:`create`.
        witness: As in :func:`create`.
        memory: As in :func:`create`.
        mode: As in :func:`create` when the store is made, None for `sealed`. A store that stands has its own.
        reranker: As in :func:`create`.

    Raises:
        InvalidInput: `policy` differs from the policy the store was made with, `catalog` is given and
            the store's catalog is a file, or `mode` is not the store's.
        StoreError: As in :func:`create`; or the store is of another version.
        KeyUnavailable: Its key is missing or may not be used.
    """
    if not Door.is_store(path, storage_options=storage_options):
        return create(
            path,
            policy,
            admin=admin,
            embedder=embedder,
            catalog=catalog,
            storage_options=storage_options,
            witness=witness,
            memory=memory,
            mode=mode or "sealed",
            reranker=reranker,
        )
    bytes_max = budget(memory)
    door = Door.open(path, catalog=catalog, storage_options=storage_options, audit=settings(witness))
    if policy is not None and not door.began_with(load_directory(Path(policy))):
        door.close()
        raise InvalidInput(
            f"policy: {str(policy)!r} is not the one the store was made with; expected none, or that one; "
            "a standing store's policy changes by apply_policy ('ringfence policy apply'), grant, revoke and member"
        )
    if mode is not None and mode != door.mode:
        found = door.mode
        door.close()
        raise InvalidInput(
            f"mode: found {mode!r}; expected none, or that of the store that stands, {found!r}"
        )
    door.limit_memory(bytes_max)
    return Store(door, path, embedder, None, reranker)


@public
def audit(
    path: str | Path,
    as_user: str | None = None,
    *,
    via: Sequence[str] = (),
    purpose: str = "",
    since: str | None = None,
    catalog: str | None = None,
    storage_options: Mapping[str, str] | None = None,
    witness: WitnessLike | None = None,
) -> AuditDatabase:
    """Open a store that stands for an auditor: its lineage, rights and reads as tables, to be asked in SQL.

    Closing what it returns closes the store.

    Args:
        path: The store's folder, or `s3://BUCKET/PREFIX`.
        as_user: As in :meth:`Store.as_user`, with `via` and `purpose`.
        since: As in :meth:`Reader.audit_database`.
        catalog: As in :func:`open`.
        storage_options: As in :func:`create`.
        witness: As in :func:`create`.

    Raises:
        Refused: This subject may audit nothing here.
        StoreError: There is no store, or it is of another version.
        KeyUnavailable: Its key is missing or may not be used.
    """
    from .audit_database import AuditDatabase

    subject = Subject(local_user() if as_user is None else as_user, tuple(via), purpose)
    door = Door.open(path, catalog=catalog, storage_options=storage_options, audit=settings(witness))
    try:
        return AuditDatabase(door.audit_desk(subject, since=since), door.close)
    except BaseException:
        door.close()
        raise


def _kind(mode: Mode, embedder: str | Embedder | None) -> tuple[StoreMode, str | Embedder | None]:
    """Return what a new store is made as, and its embedder: open, if its tables are made for it."""
    if mode != "indexed":
        return StoreMode(mode), embedder
    found = opened(embedder, None)
    return StoreMode(mode, found.model.dimensions), found
