"""Random changes of a store: of its policy, its labels and its documents."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ringfence_governance.labels import NamedLabel

from .past_times import BOB, DEX, DORA, HAL, HR_GRANT, LEE, PAYROLL, PROJECT, redefine
from .worlds import ADMIN, WHY, World, draft, label, subject

ROWS = [
    HR_GRANT,
    ("p", BOB, "acme", "*", "read", "any", "*", "-", "2026-06-01T00:01:00Z", "allow"),
    ("p", "acme/group:hr", "acme", PROJECT, "read", "any", "bid", "2026-06-01T00:00:20Z", "-", "allow"),
    ("p", "acme/group:all", "acme", "acme/set:money", "read", "any", "*", "-", "-", "allow"),
    ("p", LEE, "acme", PROJECT, "read", "any", "*", "-", "-", "deny"),
    ("p", "acme/agent:desk", "acme", "*", "delegate", "any", "*", "-", "-", "allow"),
    ("g", BOB, "acme/group:hr"),
    ("g", "acme/group:sales", "acme/group:all"),
    ("g", HAL, "acme/group:sales"),
    ("g2", PAYROLL, "acme/set:money"),
    ("f", BOB, "2", "project"),
]


@dataclass
class History:
    """Random changes of a store, and what they have made so far."""

    world: World
    dice: random.Random
    names: list[str]
    held: set[str]

    def change(self) -> str:
        """Change the policy, a label or a document in some way; return which."""
        dice, world = self.dice, self.world
        kind = dice.choice(
            ["row"] * 5 + ["define", "define", "redefine", "redefine", "put", "put", "put", "remove"]
        )
        if kind == "row":
            fields = dice.choice(ROWS)
            if not world.add(*fields):
                assert world.remove(*fields)
        elif kind == "define":
            self.names.append(f"acme/label:n{len(self.names)}")
            readers = dice.choice([HAL, LEE])
            world.door.define_label(subject(ADMIN), NamedLabel(self.names[-1], label(DORA, readers)), WHY)
        elif kind == "redefine":
            redefine(world, dice.choice(self.names), dice.choice([HAL, BOB, LEE]))
        else:
            return self.write(f"more{dice.randrange(3)}.txt", remove=kind == "remove")
        return kind

    def write(self, path: str, *, remove: bool) -> str:
        was_there = path in self.held
        with self.world.ingestion(DEX) as ingestion:
            if not remove:
                choice = self.dice.choice([*self.names, PROJECT])
                ingestion.put(draft(path, f"the text of {path}", choice))
                self.held.add(path)
            elif was_there:
                assert ingestion.remove(path)
                self.held.remove(path)
        return "remove" if remove else "relabel" if was_there else "put"
