"""How much does a run measure?

Promise: the full plan is what the page is made of; the quick one only shows that everything runs.
"""

from __future__ import annotations

from dataclasses import dataclass

SEED = 384


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and counts of one run.

    Args:
        sizes: (labels, rules), the last with the most rules.
        layers: Numbers of rules of the policies among which only rules that do not concern the subject grow.
        stores: Rules of the policies of stores on disk; 0 is the default policy.
        rounds: How often all sizes take their turn.
        people: Asked for in each round, each for the first time.
        changes: Of each kind of row, in each round.
        stock_labels: Put to stock Casbin, at most.
        grants: Whole grants in each round.
        revocations: In each round, in the store with the default policy.
        revocations_large: In the others.
        openings: Processes started for each store.
    """

    sizes: tuple[tuple[int, int], ...]
    layers: tuple[int, ...]
    stores: tuple[int, ...]
    rounds: int
    people: int
    changes: int
    stock_labels: int
    grants: int
    revocations: int
    revocations_large: int
    openings: int


FULL = Plan(
    sizes=((1_000, 1_000), (10_000, 10_000), (100_000, 100_000), (100_000, 1_000_000)),
    layers=(1_000, 10_000, 100_000),
    stores=(0, 1_000, 10_000, 100_000),
    rounds=5,
    people=20,
    changes=20,
    stock_labels=20,
    grants=200,
    revocations=60,
    revocations_large=20,
    openings=5,
)
QUICK = Plan(
    sizes=((60, 200), (100, 800)),
    layers=(200,),
    stores=(0, 200),
    rounds=1,
    people=5,
    changes=1,
    stock_labels=2,
    grants=3,
    revocations=2,
    revocations_large=2,
    openings=1,
)
