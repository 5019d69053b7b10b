"""A store of two documents whose auditor looks at every record, and what stands in its log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ringfence_governance.labels import Label, NamedLabel

from .seeded_store import Page, SeededStore, bundle

ADA, OLGA, RITA, DORA, GHOST = (f"acme/user:{name}" for name in ("ada", "olga", "rita", "dora", "ghost"))
RULES = [
    f"p, {OLGA}, acme, *, audit, any, *, -, -, allow",
    f"f, {RITA}, 2, x|y",
    f"g, {RITA}, acme/group:sales",
]
PAGES = [
    Page("open.txt", "a pump of hers\n\nand a valve", Label("acme", RITA)),
    Page("secret.txt", "a pump of others", Label("acme", DORA)),
]
STANDING_LABEL = "acme/label:standing"


def recorded_store(folder: Path) -> SeededStore:
    """Make the store; its first record stands in `written` too."""
    store = SeededStore.create(folder, bundle(RULES, [NamedLabel(STANDING_LABEL, Label("acme", RITA))]), ADA)
    store.write(ADA, PAGES)
    sign(store)
    record = records(store.path)[0]
    store.written["record"] = f"{record['segment']}:{record['number']}"
    return store


def records(path: Path) -> list[dict[str, Any]]:
    """Return what stands on the disk now, in the order it was written."""
    found = [
        json.loads(line)
        for segment in (path / "audit").glob("*.jsonl")
        for line in segment.read_text("utf-8").splitlines()
    ]
    return sorted(found, key=lambda record: (record["at"], record["segment"], record["number"]))


def sign(store: SeededStore) -> None:
    """Make a checkpoint as the store does by itself: with no record of its own."""
    store.door._Door__ground.checkpoints.checkpoint(sweep=True)  # type: ignore[attr-defined]


def ids(store: SeededStore) -> dict[str, str]:
    return {name.removeprefix("files/"): found for name, found in store.written.items()}


def assert_chained(path: Path) -> int:
    """Verify every segment with nothing of the product; return how many records there are."""
    count = 0
    for segment in (path / "audit").glob("*.jsonl"):
        previous = "0" * 64
        for number, line in enumerate(segment.read_text("utf-8").splitlines(), start=1):
            body, _, digest = line.rpartition(',"digest":"')
            record = json.loads(line)
            assert hashlib.sha256(f"{body}}}".encode()).hexdigest() == digest.removesuffix('"}')
            assert (record["previous"], record["number"], record["segment"]) == (
                previous,
                number,
                segment.stem,
            )
            previous = record["digest"]
            count += 1
    return count
