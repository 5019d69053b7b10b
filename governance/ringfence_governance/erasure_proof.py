"""Prove an erasure: scan every file, say what was looked at and found, and say later what still holds.

Promise: a certificate claims nothing that was not looked at. Where ids of what
was erased may remain is said here and nowhere else: the ledger and its copy,
the audit log, the events of lineage, the certificates.

Source: DESIGN.md §5, *Erase*.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import authority, certificates, durable_files, erasure_ledger, inspection, publications
from .ambient import software_version
from .byte_scan import Patterns, Scanned, scan
from .certificates import without_details
from .descendants import Reach
from .erasure_ledger import Entry
from .errors import InvalidInput, Refused, StoreCorrupt, StoreError
from .ground import Ground
from .keyrings import WrappedKey
from .subjects import Subject
from .table_schemas import ROTATED, Versions

__all__ = [
    "NO_TRACES",
    "Traces",
    "certificate",
    "check_canaries",
    "keep_certificate",
    "kept_certificate",
    "traces",
    "verify",
    "without_details",
]

FOLDER = "certificates"
STORE, KEYS, BUCKET = "store", "keys", "bucket"
"""How names begin: of files in the store's folder and in the folder of its keys, of objects in its bucket."""
ID_KINDS = frozenset({"document", "row"})
IDS_MAY_REMAIN = (
    f"{STORE}/catalog.db",
    f"{STORE}/audit/",
    f"{STORE}/lineage/",
    f"{STORE}/{FOLDER}/",
    f"{KEYS}/{erasure_ledger.FILE_NAME}",
)
"""Names of files, by how they begin, in which ids of what was erased stand: ledger, records, events, proof."""
CANARIES_MAX = 100
CELL_BYTES = 16
"""How much of a sealed value is looked for: its random nonce and a little more."""
OLDER_KEYS = (
    "copies of the key database from before this erasure open copies of the store from before it, "
    "with a master key of this generation or an older one, until that is retired"
)


@dataclass(frozen=True, slots=True)
class Traces:
    """What lay in the files before: the beginnings of sealed values, and of wrapped keys."""

    cells: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()

    def with_keys(self, wraps: Sequence[WrappedKey]) -> Traces:
        """Return them with wrapped keys that were destroyed."""
        return replace(self, keys=frozenset(wrap.wrapped[:CELL_BYTES] for wrap in wraps))


NO_TRACES = Traces()


def check_canaries(canaries: Sequence[bytes]) -> None:
    """Refuse canaries that cannot be looked for.

    Raises:
        InvalidInput: Too many, too short, too long, or no bytes.
    """
    if len(canaries) > CANARIES_MAX or not all(isinstance(each, bytes) for each in canaries):
        raise InvalidInput(f"canaries: found {len(canaries)}; expected at most {CANARIES_MAX}, each bytes")
    Patterns(dict.fromkeys(canaries, "canary"))


def traces(ground: Ground, versions: Versions, found: Reach) -> Traces:
    """Return the beginnings of all sealed values of documents that are about to be erased.

    Of an indexed store also those of rotated vectors that no other passage has: equal texts have equal ones.
    """
    cells: set[bytes] = set()
    turned: set[bytes] = set()
    for name, column in (("documents", "id"), ("chunks", "document_id")):
        schema = ground.tables.schemas[name]
        sealed = [field.name for field in schema if field.type == "binary"]
        rotated = [ROTATED] if ROTATED in schema.names else []
        for row in ground.tables.rows_by(name, versions[name], column, found.documents, [*sealed, *rotated]):
            cells.update(row[each][:CELL_BYTES] for each in sealed)
            turned.update(np.asarray(row[each], "<f4").tobytes()[:CELL_BYTES] for each in rotated)
    if turned:
        turned -= ground.tables.held_elsewhere(versions["chunks"], found.documents, turned)
    return Traces(frozenset(cells | turned))


def certificate(ground: Ground, entry: Entry, left: Traces, canaries: Sequence[bytes] = ()) -> dict[str, Any]:
    """Scan, and return the signed certificate of what was found; `clean` if nothing was."""
    told = entry.told(ground.catalog)
    kinds = _kinds(entry, told, left, canaries)
    scanned = _scan(ground, kinds)
    found = _forbidden(scanned)
    with ground.catalog.read() as connection:
        publication = publications.newest(connection)
    key = certificates.signing_key(ground.keys)
    public = certificates.public_key(key)
    with ground.catalog.write() as connection:
        if ground.catalog.keep_meta(connection, "certificate_key", public) != public:
            raise StoreCorrupt("the catalog names another key for certificates than the key database holds")
    body = {
        "store": ground.store_id,
        "erasure": entry.erasure_id,
        "documents": told["asked"],
        "erased_at": told["at"],
        "at": ground.ambient.now(),
        "clean": not found,
        "key_generation": ground.keys.generation,
        "older_keys": OLDER_KEYS,
        "not_looked_at": [*ground.catalog.elsewhere, *ground.tables.elsewhere],
        "software": f"ringfence {software_version()}",
    }
    details = {
        "sequence": entry.sequence,
        "publication": publication.sequence,
        "documents": list(entry.documents),
        "looked_for": {kind: list(kinds.values()).count(kind) for kind in sorted(set(kinds.values()))},
        "ids_may_remain_in": list(IDS_MAY_REMAIN),
        "files": [[file.name, file.size, file.sha256] for file in scanned.files],
        "vanished": list(scanned.vanished),
        "bytes": scanned.size,
        # Each was made anew, over the rows that are left.
        **(
            {"indexes": indexes} if (indexes := ground.tables.indexes(publication.versions["chunks"])) else {}
        ),
        "digest": scanned.digest,
        "found": [list(pair) for pair in found],
    }
    return certificates.signed(key, body, details)


def keep_certificate(ground: Ground, entry: Entry, made: Mapping[str, Any]) -> str:
    """Write a certificate into the store, durably; return its digest.

    Raises:
        StoreError: It cannot be written. The erasure stands, without proof; call it again.
    """
    folder = ground.root / FOLDER
    path, data = folder / f"{entry.erasure_id}.json", certificates.canonical(made) + b"\n"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        half = path.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        durable_files.sync(folder)
        durable_files.sync(ground.root)
    except OSError as error:
        raise StoreError(
            f"the certificate cannot be written ({error.strerror}); the documents are erased, without proof",
            hint="make room on the store's disk, and run it again",
        ) from None
    return hashlib.sha256(data).hexdigest()


def kept_certificate(ground: Ground, entry: Entry) -> dict[str, Any]:
    """Return the certificate of a finished erasure; see :func:`certificate_of`."""
    return certificate_of(ground, entry.erasure_id, entry.certificate or "")


def certificate_of(ground: Ground, erasure_id: str, digest: str) -> dict[str, Any]:
    """Return the certificate that the store keeps of an erasure.

    Args:
        digest: As the ledger names it.

    Raises:
        StoreCorrupt: It is not in the store any more, or was changed.
    """
    path = ground.root / FOLDER / f"{erasure_id}.json"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise StoreCorrupt(
            "the certificate of an erasure is missing or was changed; what it says is not known"
        )
    return certificates.parsed(data)


def verify(
    ground: Ground, auditor: Subject, given: Mapping[str, Any], canaries: Sequence[bytes] = ()
) -> dict[str, Any]:
    """Say which claims of a certificate hold now: its signature, the ledger, keys, rows, and a new scan.

    Args:
        canaries: Byte strings to look for besides the ids.

    Returns:
        `erasure`, `holds` and `claims`, each with `claim`, `holds` and `found`.

    Raises:
        Refused: The subject may neither audit nor administer his tenant; or gives canaries and may not know of
            the whole store.
        InvalidInput: A canary is malformed.
    """
    check_canaries(canaries)
    moment = ground.moment()
    wide = inspection.may_know_sizes(moment, auditor)
    with ground.catalog.read() as connection:
        known = {entry.erasure_id: entry for entry in erasure_ledger.entries(connection)}
        stored = ground.catalog.meta(connection, "certificate_key")
    entry = known.get(given["erasure"])
    if not wide and entry is not None and not _may_audit(ground, auditor, entry):
        # One he may not audit is answered as one there never was.
        entry = None
    if not wide and (canaries or (entry is None and not _may_audit_tenant(ground, auditor))):
        ground.record(auditor, "verify_erasure", "audit", "refused")
        raise Refused(
            f"{auditor.person} may not verify this erasure", hint="ask an auditor of the document's tenant"
        )
    claims = [
        _claim("signature", stored is not None and _is_genuine(ground, given, stored)),
        _claim("store", given["store"] == ground.store_id),
        _claim("ledger", entry is not None and set(given["documents"]) <= set(entry.documents)),
    ]
    if entry is not None and claims[-1]["holds"]:
        claims += _looked_again(ground, entry, canaries, wide=wide)
    holds = all(claim["holds"] for claim in claims)
    ground.record(
        auditor, "verify_erasure", "audit", "allowed", detail={"erasure": given["erasure"], "holds": holds}
    )
    return {"erasure": given["erasure"], "holds": holds, "claims": claims}


def _is_genuine(ground: Ground, given: Mapping[str, Any], stored: str) -> bool:
    """Whether the key signed it that catalog and key database agree on; a store without one signed nothing."""
    public = certificates.public_key(certificates.signing_key(ground.keys))
    return stored == public and certificates.is_genuine(given, public)


def _looked_again(
    ground: Ground, entry: Entry, canaries: Sequence[bytes], *, wide: bool
) -> list[dict[str, Any]]:
    told = entry.told(ground.catalog)
    versions = ground.moment().publication.versions
    rows = sum(
        len(ground.tables.rows_by(name, versions[name], column, entry.documents, []))
        for name, column in (("documents", "id"), ("chunks", "document_id"), ("edges", "child"))
    )
    copied = {each.erasure_id for each in ground.erasures.entries(ground.catalog)}
    scanned = _scan(ground, _kinds(entry, told, NO_TRACES, canaries))
    found = _forbidden(scanned)
    shown = [list(pair) for pair in found] if wide else len(found)
    return [
        _claim("ledger copy", entry.erasure_id in copied),
        _claim("rows", rows == 0, rows),
        _claim("keys", not (left := ground.keys.wraps_of(entry.documents)), len(left)),
        _claim("bytes", not found, shown),
    ]


def _claim(name: str, holds: bool, found: object = None) -> dict[str, Any]:
    return {"claim": name, "holds": holds, "found": found}


def _may_audit_tenant(ground: Ground, auditor: Subject) -> bool:
    """Whether the subject may audit his whole tenant."""
    moment = ground.moment()
    return authority.allowed_on_policy(moment.snapshot, auditor, auditor.tenant, "audit", moment.now)


def _may_audit(ground: Ground, auditor: Subject, entry: Entry) -> bool:
    """Whether the subject may audit every label the erased documents had."""
    moment = ground.moment()
    labels = [moment.table.entries[atom] for atom in set(entry.told(ground.catalog)["atoms"].values())]
    return bool(labels) and all(
        authority.allowed(moment.snapshot, auditor, label, moment.table, "audit", moment.now)
        for label in labels
    )


def _kinds(
    entry: Entry, told: Mapping[str, Any], left: Traces, canaries: Sequence[bytes]
) -> dict[bytes, str]:
    return {
        **{document_id.encode(): "document" for document_id in entry.documents},
        **{row_id.encode(): "row" for row_id in told["rows"]},
        **dict.fromkeys(left.cells, "sealed value"),
        **dict.fromkeys(left.keys, "wrapped key"),
        **dict.fromkeys(canaries, "canary"),
    }


def _scan(ground: Ground, kinds: Mapping[bytes, str]) -> Scanned:
    objects = ((f"{BUCKET}/{name}", blocks) for name, blocks in ground.tables.outside())
    return scan({STORE: ground.root, KEYS: ground.erasures.folder}, Patterns(kinds), objects)


def _forbidden(scanned: Scanned) -> list[tuple[str, str]]:
    return [
        (kind, name)
        for kind, name in scanned.found
        if not (kind in ID_KINDS and name.startswith(IDS_MAY_REMAIN))
    ]
