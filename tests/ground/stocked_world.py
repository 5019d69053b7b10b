"""A store with sixty documents of several kinds and times, under three labels, and how it is asked."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

from ringfence_governance.reading import Answer, GrantedReader
from ringfence_retrieval.questions import Question
from ringfence_retrieval.results import SearchResult
from ringfence_retrieval.search import search

from .worlds import World, copy_world, draft, subject, vector

HAL, BOB, NOBODY = "acme/user:hal", "acme/user:bob", "acme/user:nobody"
WORDS = ["pump", "valve", "leak", "offer", "seal", "shaft", "rotor", "bearing"]
NAMES = ["acme/label:staff", "acme/label:payroll", "acme/label:project"]
KINDS = ["text/plain", "text/markdown", "message/rfc822"]


def stocked_world(filled: World, folder: Path) -> World:
    """Return a closed store that tests copy."""
    world = copy_world(filled, folder)
    dice = random.Random(4)
    pages = []
    for number in range(60):
        text = "\n".join(" ".join(dice.choices(WORDS, k=5)) for _ in range(4))
        page = draft(f"{'ab'[number % 2]}/{number}.txt", text, label_of(f"{number}.txt"))
        modified = None if number % 7 == 0 else f"2026-01-{1 + number % 28:02}T00:00:00Z"
        pages.append(dataclasses.replace(page, media_type=KINDS[number % 5 % 3], modified=modified))
    world.put(*pages[:30], who="acme/user:dex")
    world.put(*pages[30:], who="acme/user:dex")
    world.door.close()
    return world


def label_of(path: str) -> str:
    """Return under which label one of the sixty documents stands."""
    return NAMES[int(path.rpartition("/")[2].removesuffix(".txt")) % 3]


def ask(world: World, who: str, mode: str, k: int = 1000, **more: Any) -> SearchResult:
    question = Question("pump leak of the rotor", k, mode, **more)  # type: ignore[arg-type]
    return search(world.door, subject(who), question, vector)


def documents(world: World, who: str) -> dict[str, dict[str, Any]]:
    """Return the metadata of every document somebody may read, by its id."""

    def work(reader: GrantedReader) -> Answer[dict[str, dict[str, Any]]]:
        found = {row.document_id: row.metadata for row in reader.documents()}
        return Answer([], lambda as_of: found)

    return world.door.read(subject(who), "list", work)
