"""Files that are not right, a failure or a death in the midst: the policy that stands stays, whole."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance import catalog_labels, journal
from ringfence_governance.errors import PolicyRefused, StoreCorrupt
from ringfence_governance.key_store import KeyStore
from ringfence_governance.labels import Label

from .dying import POLICY_STEPS, Instants, watched
from .policy_files import (
    BOB,
    DORA,
    GIVEN_ROWS,
    HAL,
    JOIN,
    OWN,
    STAFF,
    apply,
    diff,
    files,
    lines,
    rows_of,
    state,
)
from .worlds import (
    World,
    copy_world,
    database,
    draft,
    open_world,
    process,
)

# Bad files


PLACES = [number for number, line in enumerate(OWN.splitlines()) if not line.startswith("#")]


@pytest.mark.parametrize("place", [*PLACES, len(OWN.splitlines())])
def test_a_broken_line_anywhere_leaves_the_policy_that_stands(
    alone: World, tmp_path: Path, place: int
) -> None:
    broken = OWN.splitlines()
    broken.insert(place, "p, acme/user:Bob, acme, *, read, any, *, -, -, allow")
    text = "\n".join([*broken, JOIN])
    before, seen = state(alone), alone.see(HAL)
    path = files(tmp_path, text, {"acme/label:new": {"owner": BOB}})
    for run in (apply, diff):
        with pytest.raises(PolicyRefused) as caught:
            run(alone, path)
        (finding,) = caught.value.findings
        assert (finding.file, finding.line) == (str(path / "policy.csv"), place + 1)
    assert state(alone) == before
    assert alone.see(HAL) == seen


def test_broken_lines_of_all_files_are_told_at_once(alone: World, tmp_path: Path) -> None:
    before, path = state(alone), files(tmp_path, f"x\n{OWN}\ny", {})
    (path / "labels.yaml").write_text("labels:\n  acme/label:new: {owner: Bob}\n", "utf-8")
    (path / "model.conf").write_text("[matchers]\n", "utf-8")
    with pytest.raises(PolicyRefused) as caught:
        apply(alone, path)
    found = {(Path(finding.file).name, finding.line) for finding in caught.value.findings}
    assert found >= {("policy.csv", 1), ("policy.csv", OWN.count("\n") + 3), ("labels.yaml", 2)}
    assert "model.conf" in {name for name, _ in found}
    assert state(alone) == before


@pytest.mark.parametrize("name", ["policy.csv", "labels.yaml"])
@pytest.mark.parametrize(
    "bytes_",
    [b"", b"\xef\xbb\xbfp", b"\xff", b"\x00", b"p, *\n" * 3],
    ids=["empty", "bom", "bytes", "nul", "rows"],
)
def test_a_file_that_is_none_leaves_the_policy_that_stands(
    alone: World, tmp_path: Path, name: str, bytes_: bytes
) -> None:
    before, path = state(alone), files(tmp_path, OWN, {})
    (path / name).write_bytes(bytes_)
    with pytest.raises(PolicyRefused):
        apply(alone, path)
    assert state(alone) == before


def test_files_that_are_not_there_leave_the_policy_that_stands(alone: World, tmp_path: Path) -> None:
    before = state(alone)
    for path in (tmp_path / "nowhere", tmp_path / "nowhere" / "policy.csv", tmp_path):
        with pytest.raises(PolicyRefused, match="no readable file"):
            apply(alone, path)
    assert state(alone) == before


# Broken in the middle


NEW_LABELS = {f"acme/label:n{number}": {"owner": DORA} for number in range(4)}
MUCH = OWN.replace(
    "g, acme/user:hal, acme/group:hr", "\n".join(f"g, acme/user:m{n}, acme/group:hr" for n in range(4))
)
MUCH_LABELS = {**NEW_LABELS, STAFF: {"owner": DORA}}


def failing(real: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = iter(range(1, 100))

    def call(*arguments: Any, **fields: Any) -> Any:
        if next(calls) == number:
            raise OSError(28, "No space left on device")
        return real(*arguments, **fields)

    return call


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (journal, "append", 1),
        *((catalog_labels, "define", number) for number in range(1, 6)),
        (KeyStore, "ensure_label_keys", 1),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_failure_in_the_midst_leaves_the_policy_that_stands(
    alone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int
) -> None:
    before, other, path = state(alone), alone.second(), files(tmp_path, MUCH, MUCH_LABELS)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(getattr(owner, name), number))
        with pytest.raises(OSError, match="No space left"):
            apply(alone, path)
    assert state(alone) == state(other) == before
    assert state(alone.reopened()) == before
    again = open_world(alone.folder)
    assert apply(again, path)["changed"]
    assert lines(again) == {*rows_of(MUCH), *GIVEN_ROWS}


@pytest.fixture(scope="session")
def instants(alone_template: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("counted")
    world = copy_world(alone_template, folder / "world")
    with watched(Instants(), POLICY_STEPS) as counted:
        apply(world, files(folder, MUCH, MUCH_LABELS))
    assert counted.count > 10
    return counted.count


def kill_and_look(template: World, folder: Path, instant: int) -> bool:
    """Kill an apply at an instant; say whether it was applied: whole, or not at all."""
    path, world = files(folder, MUCH, MUCH_LABELS), copy_world(template, folder / f"world {instant}")
    before = lines(world)
    world.door.close()
    with process("apply", world.folder, str(path), str(instant)) as writer:
        writer.hear_out()
    assert writer.child.returncode == -signal.SIGKILL
    after = open_world(world.folder)
    table = after.ground.moment().table
    whole = lines(after) == {*rows_of(MUCH), *GIVEN_ROWS}
    assert whole or lines(after) == before
    assert (set(MUCH_LABELS) <= set(table.by_id)) is whole
    assert (table.by_id[STAFF].definition == Label("acme", DORA)) is whole
    apply(after, path)
    assert lines(after) == {*rows_of(MUCH), *GIVEN_ROWS}
    after.put(draft("x.txt", "under a new label", "acme/label:n0"))
    after.door.close()
    return whole


def test_killed_at_some_instant_it_is_applied_whole_or_not_at_all(
    alone_template: World, tmp_path: Path, instants: int
) -> None:
    """At the first and the last, and at those inside the transaction."""
    inside = random.Random(instants).sample(range(2, instants), 4)
    outcomes = {kill_and_look(alone_template, tmp_path, instant) for instant in (1, *inside, instants)}
    assert outcomes == {True, False}


@pytest.mark.soak
def test_it_is_so_at_every_instant(alone_template: World, tmp_path: Path, instants: int) -> None:
    for instant in range(1, instants + 1):
        kill_and_look(alone_template, tmp_path, instant)


def test_a_changed_row_of_it_in_the_journal_is_found(alone: World, tmp_path: Path) -> None:
    apply(alone, files(tmp_path, MUCH, MUCH_LABELS))
    number = alone.ground.history()[-3].sequence
    alone.door.close()
    with database(alone.path / "catalog.db") as opened:
        opened.execute("DELETE FROM journal WHERE sequence = ?", [number])
    with pytest.raises(StoreCorrupt, match="the policy journal is broken"):
        open_world(alone.folder).see(HAL)
