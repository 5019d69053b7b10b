"""A store of one tenant, and policies as files that are applied to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.policy_rows import to_fields

from .worlds import ADMIN, LABELS, POLICY, World, bundle, subject

HAL, BOB, DORA, ADI = "acme/user:hal", "acme/user:bob", "acme/user:dora", "acme/user:adi"
PAYROLL, STAFF, SALARIES = "acme/label:payroll", "acme/label:staff", "pay/salaries.txt"
OWN = "\n".join(line for line in POLICY.splitlines() if line and "borealis" not in line)
"""The policy of the one tenant in `alone`, and what holds in every one."""
OWN_LABELS = {name: fields for name, fields in LABELS.items() if name.startswith("acme/")}
ADMINISTERS = f"p, {ADI}, acme, acme/policy, administer, any, *, -, -, allow"
DECLASSIFIES = f"p, {ADMIN}, acme, {PAYROLL}, declassify, any, *, -, -, allow"
JOIN = f"g, {BOB}, acme/group:hr"


def files(folder: Path, text: str = OWN, labels: dict[str, Any] | None = None, name: str = "files") -> Path:
    """Write a policy's files; without labels there is no labels.yaml."""
    made = folder / name
    made.mkdir(exist_ok=True)
    (made / "policy.csv").write_text(f"{text}\n", "utf-8")
    if labels is not None:
        # YAML is a superset of JSON.
        (made / "labels.yaml").write_text(json.dumps({"labels": labels}), "utf-8")
    return made


def apply(world: World, path: Path, who: str = ADMIN) -> dict[str, Any]:
    return world.door.apply_policy(subject(who), path, Reasoned("the files say so", "T-1"))


def diff(world: World, path: Path, who: str = ADMIN, action: str = "read") -> dict[str, Any]:
    return world.door.diff_policy(subject(who), path, action)


def lines(world: World) -> set[str]:
    return {", ".join(to_fields(each)) for each in world.ground.moment().snapshot.rows}


def state(world: World) -> tuple[object, ...]:
    moment = world.ground.moment()
    meanings = {entry.label_id: entry.definition for entry in moment.table.entries.values()}
    return moment.sequence, moment.snapshot.revision, meanings, len(world.ground.history())


GIVEN_ROWS = {
    f"p, {ADMIN}, acme, *, ingest, any, *, -, -, allow",
    f"p, {ADMIN}, acme, acme/policy, administer, any, *, -, -, allow",
}


def rows_of(text: str) -> set[str]:
    return {", ".join(to_fields(each)) for each in bundle(text).rows}
