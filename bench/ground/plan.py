"""How much is measured in a run, and how much in a quick one?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The sizes of a run.

    Args:
        documents: Of one passage each, in every store that is opened.
        publications: In how many publications those are made; one store for each number.
        openings: Processes started for each store, and for its copy in which a writer was killed.
        batches: Documents of one publication.
        rounds: Publications of each such size, ingests of each kind.
        passages: Ingested with an embedder that costs nothing, then searched and weighed; a multiple of ten.
        model_passages: Ingested with the real embedder; 0: not at all.
        questions: Put to the sealed and to the unsealed store in turn.
    """

    documents: int
    publications: tuple[int, ...]
    openings: int
    batches: tuple[int, ...]
    rounds: int
    passages: int
    model_passages: int
    questions: int


FULL = Plan(
    documents=200,
    publications=(1, 100, 200),
    openings=5,
    batches=(1, 10, 100, 1000),
    rounds=7,
    passages=2000,
    model_passages=100,
    questions=20,
)
QUICK = Plan(
    documents=2,
    publications=(2,),
    openings=1,
    batches=(1, 2),
    rounds=1,
    passages=20,
    model_passages=0,
    questions=1,
)
