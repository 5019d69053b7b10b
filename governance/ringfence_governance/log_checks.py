"""Let who may audit check the log, sign it, prove a record of it; and let who administers everything cut it.

Promise: each of these is a record itself, made before the answer leaves.
What is told of other tenants' records is their number; which of them is bad
is told, since a log is one log.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from . import audit_proof, audit_retention, audit_segments, audit_verify, authority
from . import catalog_schema as schema
from .errors import InvalidInput, NotReadable, Refused, RingfenceError
from .ground import Ground
from .identifiers import tenant_of
from .inspection import named_tenants_of
from .subjects import Subject
from .witnesses import WitnessLike, as_witness


def verify(ground: Ground, auditor: Subject, *, witness: WitnessLike | None = None) -> dict[str, Any]:
    """Verify the log; see :func:`audit_verify.verify`.

    Args:
        witness: Asked for its checkpoints; None asks the one the store was opened with, empty asks none.

    Raises:
        Refused: The subject may not audit his tenant's policy.
        WitnessUnavailable: The witness cannot be asked.
    """
    _refuse_other(ground, auditor, "log_verify")
    asked = ground.checkpoints.witness if witness is None else as_witness(witness)
    with ground.catalog.read() as connection:
        registered = [
            str(each) for each in connection.execute(select(schema.segments.c.segment_id)).scalars()
        ]
    try:
        lines = asked.lines() if asked is not None else None
    except RingfenceError as error:
        ground.record(auditor, "log_verify", "audit", "error", detail={"error": type(error).__name__})
        raise
    report = audit_verify.verify(
        ground.root,
        ground.store_id,
        ground.checkpoints.public_key,
        registered=registered,
        witnessed=lines,
    )
    ground.record(auditor, "log_verify", "audit", "allowed", detail={"valid": report.valid})
    return {**report.to_mapping(), "public_key": ground.checkpoints.public_key}


def checkpoint(ground: Ground, auditor: Subject, *, witness: WitnessLike | None = None) -> dict[str, Any]:
    """Sign all that no checkpoint covers yet, and hand it to the witness; tell of the newest checkpoint.

    Args:
        witness: Handed all checkpoints besides; None hands them to the one the store was opened with alone.

    Raises:
        Refused: The subject may not audit his tenant's policy.
        WitnessUnavailable: The witness did not confirm. The checkpoint stands.
        StoreCorrupt: The log is not what was signed before.
    """
    _refuse_other(ground, auditor, "log_checkpoint")
    ground.record(auditor, "log_checkpoint", "audit", "allowed")
    made = ground.checkpoints.checkpoint(sweep=True)
    waiting = ground.checkpoints.deliver()
    if witness is not None and (another := as_witness(witness)) is not None:
        another.publish(ground.checkpoints.file.lines()[0])
    return {
        "checkpoint": 0 if made is None else made.number,
        "records": 0 if made is None else made.records,
        "root": "" if made is None else made.root,
        "public_key": ground.checkpoints.public_key,
        "waiting_for_witness": waiting,
    }


def prove(ground: Ground, auditor: Subject, record: str) -> dict[str, Any]:
    """Prove that a record of the auditor's tenant was in the log; see :func:`audit_proof.prove`.

    Args:
        record: `SEGMENT:NUMBER`, as `log` names it.

    Raises:
        Refused: The subject may not audit his tenant's policy.
        NotReadable: There is no such record of his tenant, or no checkpoint covers it yet.
        InvalidInput: It is no such name.
    """
    segment, _, number = record.rpartition(":")
    if len(segment) != 32 or not set(segment) <= set("0123456789abcdef") or not _is_number(number):
        raise InvalidInput(f"record: found {record!r}; expected SEGMENT:NUMBER, as the log names it")
    _refuse_other(ground, auditor, "log_prove")
    proof = None
    if _is_of(ground, segment, int(number), auditor.tenant):
        proof = audit_proof.prove(ground.root, ground.store_id, segment, int(number))
    outcome: Any = "refused" if proof is None else "allowed"
    ground.record(auditor, "log_prove", "audit", outcome)
    if proof is None:
        raise NotReadable
    return proof


def keep(
    ground: Ground, admin: Subject, *, days: float | None = None, bytes_max: int | None = None
) -> dict[str, Any]:
    """Pack closed segments, and remove old ones; see :func:`audit_retention.keep`.

    Raises:
        Refused: The subject may not administer every tenant of the store: the log is that of all.
    """
    moment = ground.moment()
    if not all(
        authority.allowed_on_policy(moment.snapshot, admin, tenant, "administer", moment.now)
        for tenant in {*named_tenants_of(moment), admin.tenant}
    ):
        ground.record(admin, "log_keep", "administer", "refused")
        raise Refused(
            f"{admin.person} may not administer every tenant here",
            hint="the log is that of all tenants; ask who administers them",
        )
    limits = {"days": days, "bytes": bytes_max}
    ground.record(admin, "log_keep", "administer", "allowed", detail=limits)
    kept = audit_retention.keep(
        ground.root,
        ground.store_id,
        ground.checkpoints,
        ground.ambient.clock(),
        days=days,
        bytes_max=bytes_max,
    )
    return {"packed": kept.packed, "removed": kept.removed, "bytes": kept.bytes}


def _refuse_other(ground: Ground, auditor: Subject, verb: str) -> None:
    moment = ground.moment()
    if not authority.allowed_on_policy(moment.snapshot, auditor, auditor.tenant, "audit", moment.now):
        ground.record(auditor, verb, "audit", "refused")
        raise Refused(
            f"{auditor.person} may not audit this policy", hint="an administrator can grant 'audit'"
        )


def _is_of(ground: Ground, segment: str, number: int, tenant: str) -> bool:
    try:
        lines = audit_segments.whole_lines(ground.root / "audit", segment).split(b"\n")[:-1]
        record = json.loads(lines[number - 1])
        return bool(tenant_of(record["chain"][0]["actor"]) == tenant)
    except (FileNotFoundError, IndexError, ValueError, KeyError, TypeError):
        return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 12 and int(text) > 0
