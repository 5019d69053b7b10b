"""A store of which an auditor asks in SQL, and how it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ringfence_governance.audit_desk import AuditDesk
from ringfence_governance.audit_schema import SCHEMAS

from .past_times import BOB, DEX, DORA, HAL, HR_GRANT, LEE, PAYROLL, PROJECT, redefine
from .worlds import ADMIN, WHY, World, copy_world, draft, label, subject


def rows(desk: AuditDesk, query: str, *parameters: object) -> list[dict[str, Any]]:
    found = desk.ask(query, parameters)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def everything(desk: AuditDesk) -> str:
    """All that stands in any table, those that are worked out later too."""
    return json.dumps({name: rows(desk, f"FROM {name}") for name in SCHEMAS}, default=str)


def used_world(filled: World, folder: Path) -> World:
    """Make a closed store in which something was read, changed, made from others and erased."""
    world = copy_world(filled, folder)
    world.clock.advance(10)
    world.add("p", ADMIN, "acme", "*", "read", "any", "*", "-", "-", "allow")
    seen = world.see(ADMIN).ids
    world.see(HAL)
    world.put(
        draft("sum.txt", "the sum of both", label(DORA, HAL), parents=[seen["public.txt"], seen["ann.txt"]])
    )
    world.clock.advance(10)
    world.add(*HR_GRANT)
    (gone,) = world.put(draft("gone.txt", "soon to be erased", PAYROLL))
    world.see(HAL)
    world.clock.advance(30)
    world.remove(*HR_GRANT)
    redefine(world, PROJECT, LEE)
    world.door.erase(subject(DEX), [gone], WHY)
    world.see(BOB)
    world.ground.checkpoints.checkpoint(sweep=True)
    world.clock.advance(10)
    world.door.close()
    return world
