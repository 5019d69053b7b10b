"""A world in which every job has run, ended well and ended badly; and what it wrote of lineage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance import policy_lineage
from ringfence_governance.answers import AnswerDraft
from ringfence_governance.errors import StoreError
from ringfence_governance.labels import Label, NamedLabel

from .policy_files import OWN
from .worlds import ADMIN, WHY, World, draft, label, subject

CANARY = "cnry"
"""Stands in every text, path, title, name of a label, owner and reason below."""
OWNER = f"acme/user:{CANARY}-owner"
LABEL = f"acme/label:{CANARY}-label"
PATH = f"{CANARY}-folder/{CANARY}-path.txt"
TEXT = f"{CANARY}-text of one line\n{CANARY}-text of another"
ACTIONS = ("read", "declassify", "relabel_from", "relabel_to", "delete")


def events(world: World) -> list[dict[str, Any]]:
    """The events in the store's own file, in order."""
    return read_events(world.path / "lineage" / "openlineage.jsonl")


def read_events(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def run_every_job(world: World, folder: Path) -> dict[str, str]:
    """Run every job once or more; return the ids of the documents, by what they are."""
    door, admin = world.door, subject(ADMIN)
    door.define_label(admin, NamedLabel(LABEL, label(OWNER, "acme/user:bob")), WHY)
    world.add("g", f"acme/user:{CANARY}-member", f"acme/group:{CANARY}-group")
    world.remove("g", f"acme/user:{CANARY}-member", f"acme/group:{CANARY}-group")
    for action in ACTIONS:
        world.add("p", ADMIN, "acme", "*", action, "any", "*", "-", "-", "allow")
    first, second = world.put(
        draft(PATH, TEXT, LABEL, title=f"{CANARY}-title"),
        draft(f"{CANARY}-other.txt", f"{CANARY} other", LABEL),
    )
    world.put(draft(PATH, f"{CANARY} changed", LABEL))
    (made,) = world.put(draft(f"{CANARY}-made.txt", f"{CANARY} made", LABEL, parents=[first]))
    with world.ingestion() as ingestion:
        assert ingestion.relabel(f"{CANARY}-other.txt", label(OWNER, "acme/user:bob", level=1))
    with world.ingestion() as ingestion:
        assert ingestion.remove(f"{CANARY}-other.txt")
    door.relabel(admin, first, "acme/label:staff", WHY)
    answer = draft("answer", f"{CANARY} answer")
    door.register_answer(admin, AnswerDraft(answer.text, f"{CANARY} title", answer.chunks, (first, made)))
    door.compact(admin)
    door.redefine_label(admin, NamedLabel(LABEL, Label("acme", OWNER, level=1)), WHY)
    door.expire_label(admin, LABEL, WHY)
    files = folder / f"{CANARY}-files"
    files.mkdir()
    (files / "policy.csv").write_text(
        f"{OWN}\n"
        + "".join(f"p, {ADMIN}, acme, *, {action}, any, *, -, -, allow\n" for action in ACTIONS)
        + f"g, acme/user:{CANARY}-member, acme/group:{CANARY}-group\n"
    )
    door.apply_policy(admin, files, WHY)
    door.rotate_keys(admin, WHY)
    fail_badly(world)
    door.erase(admin, [first], WHY)
    return {"first": first, "second": second, "made": made}


def fail_badly(world: World) -> None:
    """Let a run end with an error whose message holds content, one be interrupted, and a change of policy fail."""
    with pytest.raises(ValueError, match=CANARY):
        _fail(world)
    with pytest.raises(KeyboardInterrupt), world.ingestion():
        raise KeyboardInterrupt
    with pytest.MonkeyPatch.context() as patch:
        told = policy_lineage.tell

        def failing(*arguments: Any, error: BaseException | None = None) -> None:
            if error is None:
                raise StoreError(f"{CANARY} in a message")
            told(*arguments, error=error)

        patch.setattr(policy_lineage, "tell", failing)
        with pytest.raises(StoreError):
            world.add("g", f"acme/user:{CANARY}-member", f"acme/group:{CANARY}-failed")


def _fail(world: World) -> None:
    with world.ingestion() as ingestion:
        ingestion.put(draft(f"{CANARY}-fails.txt", f"{CANARY} fails"))
        raise ValueError(f"{CANARY} in a message")
