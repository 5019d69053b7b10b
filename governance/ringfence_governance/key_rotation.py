"""Rotate a store's master key, and say which generations there are.

Promise: only who may administer every tenant does it; a record of it is
durable before anything changes; every key is wrapped anew in one transaction,
no content is touched; a crash at any instant leaves a store that opens.

Source: DESIGN.md §5; docs/decisions/0011-keys.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from . import authority, lineage_datasets, runs
from . import catalog_schema as schema
from .catalog import Catalog
from .errors import KeyUnavailable, Refused, RingfenceError, standing
from .ground import Ground
from .inspection import named_tenants_of
from .key_generations import Prepared
from .key_provider import Retirement
from .key_rewrapping import Rewrapped
from .key_store import KeyStore
from .labels import LabelEntry
from .leases import WriterLease
from .policy_changes import Reasoned
from .subjects import Subject

JOB = "keys_rotate"
AGAIN = "run it again; with --retire, that destroys all older generations"
RETIRED = "keys_retired"
"""The catalog's setting that says up to which master generation all were retired."""


def rotate(ground: Ground, subject: Subject, reason: Reasoned, *, retire: bool = False) -> dict[str, Any]:
    """Put a new master generation in force; with `retire`, destroy the older ones.

    Returns:
        `generation`, `rewrapped` (counts), `retired` (each with `destroyed` and `note`), `cleared` (whether
        older wraps are out of the database's files), `run`.

    Raises:
        Refused: The subject may not administer every tenant of the store.
        StoreBusy: Somebody writes documents or rotates.
        KeyUnavailable: The provider gives no new key, or cannot destroy the old ones now: call it again.
    """
    _require(ground, subject, JOB)
    with WriterLease(ground.catalog) as lease:
        run_id = ground.ambient.new_id("run", JOB)
        ground.record(subject, JOB, "administer", "allowed", detail={"run": run_id, "retire": retire})
        told = {"why": reason.why, "ticket": reason.ticket, "retire": retire}
        keys = lineage_datasets.keys(ground.lineage.name)
        with runs.running(ground, lease, subject, run_id, JOB, told, keys) as run:
            run.outputs = keys
            try:
                answer = _rotated(ground, lease, retire=retire)
            except RingfenceError as error:
                ground.record(
                    subject, JOB, "administer", "error", detail={"run": run_id, "error": type(error).__name__}
                )
                raise
    return {**answer, "run": run_id}


def status(ground: Ground, subject: Subject) -> dict[str, Any]:
    """Return what keeps the master key, its generations, and how many keys there are; no secret.

    Raises:
        Refused: The subject may not administer every tenant of the store.
    """
    _require(ground, subject, "keys_status")
    ground.record(subject, "keys_status", "administer", "allowed")
    found = ground.keys.generations.standing()
    return {
        "provider": ground.keys.generations.described(),
        "newest": found.newest,
        "generations": [
            {
                "generation": number,
                "made_at": made_at,
                "retired_at": found.retired_at.get(number),
                "held": number in found.held,
            }
            for number, made_at in sorted(found.made_at.items())
        ],
        "unused": [number for number in found.held if number not in found.made_at],
        "keys": ground.keys.counts(),
        "cleared": ground.keys.cleared(),
    }


def refuse_retired(catalog: Catalog, keys: KeyStore) -> None:
    """Refuse a copy of the keys from before their generation was retired.

    Raises:
        KeyUnavailable: It is one.
    """
    with catalog.read() as connection:
        retired = int(catalog.meta(connection, RETIRED) or 0)
    newest = keys.generations.standing().newest
    if newest <= retired:
        raise KeyUnavailable(
            f"key database: its newest master generation is {newest}; expected one after {retired}, "
            "up to which all were retired",
            hint="this is an older copy of the keys; use the one that is as new as the store",
        )


def _rotated(ground: Ground, lease: WriterLease, *, retire: bool) -> dict[str, Any]:
    prepared = ground.keys.generations.prepare_next()
    rewrapped = _put_in_force(ground, lease, prepared)
    with standing(f"all keys are wrapped under generation {prepared.generation}; not all is done", AGAIN):
        retired = _retired(ground, lease, prepared.generation) if retire else []
        return {
            "generation": prepared.generation,
            "rewrapped": {"store": rewrapped.store, "label": rewrapped.label, "document": rewrapped.document},
            "retired": [
                {"generation": each.generation, "destroyed": each.destroyed, "note": each.note}
                for each in retired
            ],
            "cleared": ground.keys.cleared(),
        }


def _retired(ground: Ground, lease: WriterLease, newest: int) -> list[Retirement]:
    """Destroy every generation before the newest."""
    ground.keys.generations.forget_older()
    # Said before it is done: an older copy is refused from here on, whatever becomes of its master key.
    _note_retired(ground, lease, newest - 1)
    return ground.keys.generations.destroy(newest)


def _put_in_force(ground: Ground, lease: WriterLease, prepared: Prepared) -> Rewrapped:
    """Wrap all keys anew while the catalog's write lock is held, so that no writer can come in between."""

    def entries() -> Iterable[LabelEntry]:
        return ground.moment().table.entries.values()

    with ground.catalog.write() as connection:
        lease.check(connection)
        return ground.keys.rotate(prepared, entries)


def _note_retired(ground: Ground, lease: WriterLease, generation: int) -> None:
    with ground.catalog.write() as connection:
        lease.check(connection)
        _set(connection, str(generation))


def _set(connection: Connection, value: str) -> None:
    known = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == RETIRED)).scalar()
    if known is None:
        connection.execute(insert(schema.meta).values(name=RETIRED, value=value))
    else:
        connection.execute(update(schema.meta).where(schema.meta.c.name == RETIRED).values(value=value))


def _require(ground: Ground, subject: Subject, verb: str) -> None:
    moment = ground.moment()
    tenants = named_tenants_of(moment) | {subject.tenant}
    if all(
        authority.allowed_on_policy(moment.snapshot, subject, tenant, "administer", moment.now)
        for tenant in tenants
    ):
        return
    ground.record(subject, verb, "administer", "refused")
    raise Refused(
        f"{subject.person} may not administer every tenant of this store; nothing was changed",
        hint="the keys are those of all tenants; an administrator of each can grant 'administer' on its policy",
    )
