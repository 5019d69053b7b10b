"""A line of publications whose content is known, and a way to be killed anywhere in the writing of it.

Run in a process of its own by `processes.py`; the test that watches knows the same line.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import lance
from lance.dataset import DatasetOptimizer, MergeInsertBuilder

from ringfence_governance import (
    catalog_labels,
    erasure_ledger,
    journal,
    key_file,
    manifest,
    publications,
    runs,
)
from ringfence_governance.answers import AnswerDraft
from ringfence_governance.audit_log import AuditLog
from ringfence_governance.key_generations import MasterGenerations
from ringfence_governance.key_store import KeyStore
from ringfence_governance.labels import Label
from ringfence_governance.lineage import Lineage
from ringfence_governance.sqlite_engine import SqliteDatabase

from .worlds import ADMIN, WHY, World, draft, label, subject

WRITER = "acme/user:dex"
READERS = ("acme/user:r0", "acme/user:r1")
PUBLICATIONS = 3

State = dict[str, tuple[str, int]]
"""Path → text and the number of the one reader."""


def choice(reader: int) -> Label:
    return label("acme/user:dora", READERS[reader])


def state_after(number: int) -> State:
    """What the store holds after so many publications."""
    state: State = {}
    for step in range(1, number + 1):
        for path in ("a", "b"):
            state[path] = (f"{path} of {step}\nand more", (step + (path == "b")) % 2)
        state[f"new {step}"] = (f"new of {step}", step % 2)
        if step > 1:
            text, _ = state["moved"]
            state["moved"] = (text, step % 2)
            del state[f"new {step - 1}"]
        else:
            state["moved"] = ("moved", step % 2)
    return state


def write_publication(world: World, number: int) -> None:
    """Turn what `number - 1` publications made into what `number` make, in one publication."""
    before, after = state_after(number - 1), state_after(number)
    with world.ingestion(WRITER) as ingestion:
        for path, (text, reader) in after.items():
            if path not in before or before[path][0] != text:
                ingestion.put(draft(path, text, choice(reader)))
            elif before[path][1] != reader:
                assert ingestion.relabel(path, choice(reader))
        for path in sorted(set(before) - set(after)):
            assert ingestion.remove(path)


def id_of(world: World, path: str) -> str:
    """The id of a document that one of the readers may read."""
    return next(ids[path] for ids in (world.see(who).ids for who in READERS) if path in ids)


ERASED = "a"
"""The path of the document that :func:`upkeep` erases."""


def upkeep(world: World, say: Callable[..., None]) -> None:
    """Erase one document of two publications, compact, and say when each is done."""
    (certificate,) = world.door.erase(subject(WRITER), [id_of(world, ERASED)], WHY)
    say(erased=certificate["clean"])
    world.door.compact(subject(ADMIN))
    say(compacted=True)


RELABELLED, OTHER = "a", choice(0)
"""The path of the document that :func:`relabel` takes from who reads it after one publication, and its new label."""


def relabel(world: World, say: Callable[..., None]) -> None:
    """Give one document another label, and say when it is done."""
    changed = world.door.relabel(subject(WRITER), id_of(world, RELABELLED), OTHER, WHY)
    say(relabelled=changed["changed"])


ANSWER = "a first line\nand a second one"


def register(world: World, say: Callable[..., None]) -> None:
    """Register an answer made from all that the writer may read, and say when it is done."""
    text = draft("answer", ANSWER)
    inputs = tuple(sorted(world.see(WRITER).ids.values()))
    say(answer=world.door.register_answer(subject(WRITER), AnswerDraft(ANSWER, "", text.chunks, inputs)))


class Instants:
    """Counts the instants of a run; at the chosen one the process is killed, or a moment after it."""

    def __init__(self, chosen: int = -1, delay_s: float = 0.0) -> None:
        self.count = 0
        self._chosen = chosen
        self._delay_s = delay_s

    def pass_one(self) -> None:
        self.count += 1
        if self.count == self._chosen:
            if not self._delay_s:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=self._kill_later).start()

    def _kill_later(self) -> None:
        time.sleep(self._delay_s)
        os.kill(os.getpid(), signal.SIGKILL)


STEPS: tuple[tuple[Any, str], ...] = (
    (lance.LanceDataset, "insert"),
    (lance.LanceDataset, "delete"),
    (lance.LanceDataset, "restore"),
    (lance.LanceDataset, "cleanup_old_versions"),
    (lance, "write_dataset"),
    (DatasetOptimizer, "compact_files"),
    (MergeInsertBuilder, "execute"),
    (os, "fsync"),
    (os, "fdatasync"),
    (os, "write"),
    (KeyStore, "keep"),
    (KeyStore, "forget"),
    (KeyStore, "checkpoint"),
    (erasure_ledger.LedgerCopy, "append"),
    (erasure_ledger, "add"),
    (erasure_ledger, "certify"),
    (publications, "publish"),
    (manifest, "store"),
    (runs, "start"),
    (runs, "end"),
    (AuditLog, "append"),
    (Lineage, "queue"),
    (Lineage, "deliver"),
)
"""Before and after each call of these is an instant; so is each side of every commit of a database."""

POLICY_STEPS: tuple[tuple[Any, str], ...] = (
    (journal, "append"),
    (catalog_labels, "define"),
    (KeyStore, "ensure_label_keys"),
    (AuditLog, "append"),
    (Lineage, "queue"),
)
"""The same, of a change of policy."""


ROTATION_STEPS: tuple[tuple[Any, str], ...] = (
    (KeyStore, "rotate"),
    (MasterGenerations, "forget_older"),
    (MasterGenerations, "destroy"),
    (key_file, "replace"),
    (os, "fsync"),
    (os, "pwrite"),
    (runs, "end"),
    (AuditLog, "append"),
)
"""The same, of a rotation of the master key."""


@contextmanager
def watched(instants: Instants, steps: Sequence[tuple[Any, str]] = STEPS) -> Iterator[Instants]:
    with ExitStack() as stack:
        for owner, name in steps:
            stack.enter_context(mock.patch.object(owner, name, _around(getattr(owner, name), instants)))
        stack.enter_context(
            mock.patch.object(SqliteDatabase, "write", _around_commit(SqliteDatabase.write, instants))
        )
        yield instants


def _around(real: Callable[..., Any], instants: Instants) -> Callable[..., Any]:
    def step(*arguments: Any, **settings: Any) -> Any:
        instants.pass_one()
        done = real(*arguments, **settings)
        instants.pass_one()
        return done

    return step


def _around_commit(real: Callable[..., Any], instants: Instants) -> Callable[..., Any]:
    @contextmanager
    def write(self: SqliteDatabase) -> Iterator[Any]:
        with real(self) as connection:
            yield connection
            instants.pass_one()
        instants.pass_one()

    return write
