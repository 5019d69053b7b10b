"""An indexed store, and what its index must agree with."""

from __future__ import annotations

import lance

from ringfence_governance.lance_upkeep import Dataset
from ringfence_retrieval.questions import MODES, Question
from ringfence_retrieval.search import search

from .every_row import BOB, HAL, LEE, exhaustive
from .worlds import (
    World,
    subject,
    vector,
)

DEX = "acme/user:dex"
PEOPLE = (HAL, BOB, LEE, "acme/user:nobody")


def chunks(world: World) -> Dataset:
    version = world.ground.moment().publication.versions["chunks"]
    return lance.dataset(str(world.path / "lance" / "chunks.lance"), version=version)


def agree(world: World) -> None:
    """Hold every answer of the index to that of scoring every readable row, bit for bit."""
    for who in PEOPLE:
        for mode in MODES:
            for k in (3, 1000):
                question = Question("pump leak of the rotor", k, mode, explain=True)
                result = search(world.door, subject(who), question, vector)
                assert [(hit.id, hit.score) for hit in result] == exhaustive(world, who, question), (
                    who,
                    mode,
                )
                assert result.plan is not None
                assert result.plan["name"] == ("index" if result.readable else "nothing")
                assert result.complete is (mode == "text" or not result.readable)
