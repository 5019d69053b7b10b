"""Measure what decides between plans on this machine, and keep it with the store.

Promise: only who may administer every tenant does it; the record is durable
before it is in force. What is measured are made-up vectors of the length the
store's have, never anybody's rows.

Source: docs/decisions/0023-calibrated-thresholds.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import authority, manifest, thresholds
from .errors import InvalidInput, Refused
from .ground import Ground
from .inspection import named_tenants_of
from .policy_changes import Reasoned
from .subjects import Subject

JOB = "calibrate"


def calibrate(
    ground: Ground, subject: Subject, measure: Callable[[int], tuple[int, Any]], reason: Reasoned
) -> dict[str, Any]:
    """Measure and keep up to how many rows each is scored outright.

    Args:
        measure: Given the length of the store's vectors, returns one of :data:`thresholds.CHOICES`, and what was
            measured.

    Returns:
        `every_row_max`, `before` (None if it was never measured), `measured`.

    Raises:
        Refused: The subject may not administer every tenant of the store. Nothing was measured.
        InvalidInput: The store holds no vector yet.
    """
    moment = ground.moment()
    tenants = named_tenants_of(moment) | {subject.tenant}
    if not all(
        authority.allowed_on_policy(moment.snapshot, subject, tenant, "administer", moment.now)
        for tenant in tenants
    ):
        ground.record(subject, JOB, "administer", "refused")
        raise Refused(
            f"{subject.person} may not administer every tenant of this store; nothing was changed",
            hint="how questions are answered is a matter of all tenants",
        )
    model = manifest.known_model(ground)
    if model is None:
        raise InvalidInput("calibrate: found a store without a vector; expected one; ingest first")
    found, measured = measure(model.dimensions)
    detail = {
        "every_row_max": found,
        "before": moment.every_row_max,
        "why": reason.why,
        "ticket": reason.ticket,
    }
    ground.record(subject, JOB, "administer", "allowed", detail=detail)
    with ground.catalog.write() as connection:
        thresholds.keep(ground.catalog, connection, found)
    return {"every_row_max": found, "before": moment.every_row_max, "measured": measured}
