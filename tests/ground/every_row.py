"""What opening and scoring every readable row gives, and stores to ask."""

from __future__ import annotations

import random

import ringfence_retrieval.ranking
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.terms import terms
from ringfence_retrieval.questions import Question
from ringfence_retrieval.scoring import cosine_scores
from ringfence_retrieval.text_scoring import bm25_scores

from .worlds import World, draft, subject, vector

HAL, BOB, LEE = "acme/user:hal", "acme/user:bob", "acme/user:lee"
WORDS = ["pump", "valve", "leak", "offer", "seal", "shaft", "rotor", "bearing"]
NAMES = ["acme/label:staff", "acme/label:payroll", "acme/label:project"]


def texts(seed: int, documents: int) -> list[str]:
    dice = random.Random(seed)
    return ["\n".join(" ".join(dice.choices(WORDS, k=5)) for _ in range(4)) for _ in range(documents)]


def ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda row: (-scores[row], row))


def fused(rankings: list[list[str]]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking[: ringfence_retrieval.ranking.RANKS], start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (60 + rank)
    return scores


def fill(world: World, seed: int, documents: int = 9) -> None:
    pages = enumerate(texts(seed, documents))
    world.put(*(draft(f"{seed}/{n}.txt", text, NAMES[n % 3]) for n, text in pages), who="acme/user:dex")


def exhaustive(world: World, who: str, question: Question) -> list[tuple[str, float]]:
    """Open and score every readable row, as a search without resident blocks does."""

    def work(reader: GrantedReader) -> Answer[list[tuple[str, float]]]:
        chunks = reader.chunks(vectors=True, terms=True)
        assert chunks.vectors is not None
        assert chunks.terms is not None
        near = cosine_scores(chunks.vectors, vector(question.text)).tolist() if len(chunks) else []
        meaning = dict(zip(chunks.ids, near, strict=True))
        worded = bm25_scores(chunks.terms, terms(question.text, question.language))
        words = {row: score for row, score in zip(chunks.ids, worded, strict=True) if score > 0.0}
        both = fused([ranked(meaning), ranked(words)])
        scores = {"vector": meaning, "text": words, "hybrid": both}[question.mode]
        found = [(row, scores[row]) for row in ranked(scores)[: question.k]]
        return Answer([], lambda as_of: found)

    return world.door.read(subject(who), "list", work, at=question.at)
