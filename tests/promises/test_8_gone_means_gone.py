"""Promise 8: gone means gone.

A right that was taken back is gone from the next question on, in every process
that has the store open. What was only valid for a time is gone when that time
is over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ringfence
from ringfence_governance.labels import Label
from ringfence_governance.policy_rows import from_fields
from ringfence_governance.subjects import Subject

from .reader_questions import cli_answer
from .rights_store import ADA, DORA, REASON, RITA, by_relabel, by_removal, everything, label, store_of
from .seeded_store import Page, SeededStore

PROCESS_S = 60


# Rights.

Take = Callable[[SeededStore], None]


def by_grant(store: SeededStore) -> None:
    assert store.reader(ADA).revoke(RITA, "read", "acme/label:project", why="no more") == 1


def by_membership(store: SeededStore) -> None:
    assert store.reader(ADA).remove_member(RITA, "acme/group:team", why="left")


def by_membership_further_up(store: SeededStore) -> None:
    assert store.reader(ADA).remove_member("acme/group:team", "acme/group:all", why="split")


def by_denial(store: SeededStore) -> None:
    row = from_fields(f"p, {RITA}, acme, *, *, any, *, -, -, deny".split(", "))
    assert store.door.add_row(Subject(ADA), row, REASON)


def by_clearance(store: SeededStore) -> None:
    assert store.door.remove_row(Subject(ADA), from_fields(["f", RITA, "2", "-"]), REASON)


def by_writing_again(store: SeededStore) -> None:
    store.write(ADA, [Page("a.txt", "a pump of other words", label())])


WAYS: dict[str, tuple[list[str], Label | str, Take]] = {
    "a grant is revoked": (
        [f"p, {RITA}, acme, acme/label:project, read, any, *, -, -, allow"],
        "acme/label:project",
        by_grant,
    ),
    "a membership ends": ([f"g, {RITA}, acme/group:team"], label("acme/group:team"), by_membership),
    "a group leaves a group": (
        [f"g, {RITA}, acme/group:team", "g, acme/group:team, acme/group:all"],
        label("acme/group:all"),
        by_membership_further_up,
    ),
    "a denial is added": ([f"g, {RITA}, acme/group:x"], label(RITA), by_denial),
    "a clearance is taken": (
        [f"f, {RITA}, 2, -"],
        Label("acme", DORA, frozenset({RITA}), level=2),
        by_clearance,
    ),
    "a document is relabelled": ([f"g, {RITA}, acme/group:x"], label(RITA), by_relabel),
    "a document is written again": ([f"g, {RITA}, acme/group:x"], label(RITA), by_writing_again),
    "a document is removed": ([f"g, {RITA}, acme/group:x"], label(RITA), by_removal),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_gone_from_the_next_question_on(way: str, tmp_path: Path) -> None:
    rules, given, take = WAYS[way]
    pages = [Page("a.txt", "a pump", given), Page("b.txt", "b pump", label())]
    with store_of(tmp_path, rules, pages) as store:
        reader = store.reader(RITA)
        known = list(store.written.values())
        assert everything(reader, known) == {"a.txt"}
        kept = reader.search("pump")[0], reader.list()[0]
        take(store)
        assert everything(reader, known) == set()
        assert everything(store.reader(RITA), known) == set()
        # What he still holds opens nothing either.
        for each in kept:
            for ask in (reader.text, reader.why):
                with pytest.raises(ringfence.NotReadable):
                    ask(each)


def test_an_agent_loses_what_it_may_carry(tmp_path: Path) -> None:
    rules = ["p, acme/agent:desk, acme, acme/label:project, delegate, any, *, -, -, allow"]
    rules += [f"p, {RITA}, acme, acme/label:project, read, any, *, -, -, allow"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", "acme/label:project")]) as store:
        carried = store.reader(RITA, via=["acme/agent:desk"])
        assert everything(carried, []) == {"a.txt"}
        admin = store.reader(ADA)
        assert admin.revoke("acme/agent:desk", "delegate", "acme/label:project", why="no more") == 1
        assert everything(carried, []) == set()
        assert everything(store.reader(RITA), []) == {"a.txt"}


def test_the_person_behind_an_agent_loses_it_for_the_agent(tmp_path: Path) -> None:
    rules = ["p, acme/agent:desk, acme, *, delegate, any, *, -, -, allow"]
    rules += [f"p, {RITA}, acme, acme/label:project, read, any, *, -, -, allow"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", "acme/label:project")]) as store:
        carried = store.reader(RITA, via=["acme/agent:desk"])
        assert everything(carried, []) == {"a.txt"}
        by_grant(store)
        assert everything(carried, []) == set()


def test_a_right_given_again_is_there_again(tmp_path: Path) -> None:
    rules, given, take = WAYS["a grant is revoked"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store:
        for _ in range(3):
            assert everything(store.reader(RITA), []) == {"a.txt"}
            take(store)
            assert everything(store.reader(RITA), []) == set()
            assert store.reader(ADA).grant(RITA, "read", "acme/label:project", why="again")


def test_a_revoked_auditor_and_administrator_ask_no_more(tmp_path: Path) -> None:
    rules = [f"p, {DORA}, acme, *, audit, any, *, -, -, allow"]
    rules += [f"p, {DORA}, acme, acme/policy, administer, any, *, -, -, allow"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", label(RITA))]) as store:
        dora, (known,) = store.reader(DORA), store.written.values()
        assert dora.log()
        assert dora.policy()
        assert dora.who(known)["readers"]
        assert store.reader(ADA).revoke(DORA, "audit", "*", why="no more") == 1
        assert dora.revoke(DORA, "administer", "acme/policy", why="no more") == 1
        for ask in (dora.log, dora.policy, lambda: dora.grant(RITA, "read", "*", why="x")):
            with pytest.raises(ringfence.Refused):
                ask()
        with pytest.raises(ringfence.NotReadable):
            dora.who(known)
        assert set(dora.status()) == {"format", "mode", "health"}


# Time.

ENDS = "2026-03-01T12:00:10Z"


@pytest.mark.parametrize(
    ("rules", "given"),
    [
        ([f"p, {RITA}, acme, acme/label:project, read, any, *, -, {ENDS}, allow"], "acme/label:project"),
        ([f"g, {RITA}, acme/group:x"], Label("acme", DORA, frozenset({RITA}), valid_until=ENDS)),
        ([f"p, {RITA}, acme, *, read, any, *, {ENDS}, -, deny"], label(RITA)),
    ],
    ids=["a grant expires", "a label expires", "a denial begins"],
)
def test_what_ends_is_gone_in_the_second_it_ends(
    rules: list[str], given: Label | str, tmp_path: Path
) -> None:
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store:
        reader = store.reader(RITA)
        for moment, expected in (("2026-03-01T12:00:09Z", {"a.txt"}), (ENDS, set())):
            store.clock.set(moment)
            assert everything(reader, []) == expected
        # A clock that is set back brings nothing back once the store has moved on.
        store.write(ADA, [Page("b.txt", "b", label())])
        store.clock.set("2026-03-01T12:00:01Z")
        assert everything(reader, []) == set()


def test_a_grant_by_the_command_line_ends_by_the_clock_of_the_machine(tmp_path: Path) -> None:
    with store_of(tmp_path, [], [Page("a.txt", "a pump", "acme/label:project")]) as store:
        store.close()
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        words = [
            "grant",
            "STORE",
            RITA,
            "read",
            "acme/label:project",
            "--until",
            until,
            "--why",
            "x",
            "--as",
            ADA,
        ]
        assert cli_answer([*words, "--json"], store.path, store.home)[0] == 0
        ask = ["search", "STORE", "pump", "--as", RITA, "--json"]
        code, out, _ = cli_answer(ask, store.path, store.home)
        assert (code, len(json.loads(out)["hits"])) == (0, 1)
        while time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) < until:
            time.sleep(0.05)
        code, out, _ = cli_answer(ask, store.path, store.home)
        assert (code, json.loads(out)["hits"]) == (1, [])


# Other processes.

ASKER = """
import sys
from pathlib import Path
from ringfence.reader import Reader
from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject
from ringfence_ingest.embedders import open_embedder

path, home, who = sys.argv[1:]
embedder = open_embedder("hash")
reader = Reader(Door.open(Path(path), keys_home=Path(home)), Subject(who), lambda text: embedder.embed([text])[0])
for line in sys.stdin:
    listed, found = [each.path for each in reader.list()], [hit.source.path for hit in reader.search("pump")]
    print(listed, found, reader.count().documents, flush=True)
"""
"""A process that keeps a store open and answers each line with what its reader gets."""


@contextmanager
def process(store: SeededStore, who: str) -> Iterator[Callable[[], str]]:
    command = [sys.executable, "-c", ASKER, str(store.path), str(store.home), who]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert running.stdin is not None
    assert running.stdout is not None

    def ask() -> str:
        running.stdin.write("\n")  # type: ignore[union-attr]
        running.stdin.flush()  # type: ignore[union-attr]
        return running.stdout.readline().strip()  # type: ignore[union-attr]

    try:
        yield ask
    finally:
        running.stdin.close()
        running.wait(PROCESS_S)
        running.stdout.close()


@pytest.mark.parametrize("way", ["a grant is revoked", "a document is relabelled", "a document is removed"])
def test_what_is_taken_here_is_gone_in_a_process_that_has_the_store_open(way: str, tmp_path: Path) -> None:
    rules, given, take = WAYS[way]
    with (
        store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store,
        process(store, RITA) as ask,
    ):
        assert ask() == "['a.txt'] ['a.txt'] 1"
        take(store)
        assert ask() == "[] [] 0"


def test_what_is_taken_by_a_command_elsewhere_is_gone_here(tmp_path: Path) -> None:
    rules, given, _ = WAYS["a grant is revoked"]
    with store_of(tmp_path, rules, [Page("a.txt", "a pump", given)]) as store:
        reader = store.reader(RITA)
        assert everything(reader, []) == {"a.txt"}
        words = ["revoke", str(store.path), RITA, "read", "acme/label:project", "--why", "x", "--as", ADA]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment["RINGFENCE_HOME"] = str(store.home)
        command = [sys.executable, "-m", "ringfence", *words]
        assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0
        assert everything(reader, []) == set()
