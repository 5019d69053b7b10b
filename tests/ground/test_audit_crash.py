"""Killed at any instant, readers leave a record of every result, and a packing loses none; the chain verifies.

The number in a test's name is its seed; the same seed kills after the same count of results or at the same instant.
"""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from ringfence_governance import audit_verify
from ringfence_governance.audit_reading import given_to, records
from ringfence_governance.audit_verify import Report

from .dying_log import READER, keep
from .worlds import World, copy_world, open_world, process

SEEDS, SOAK_SEEDS = range(1), range(1, 60)
PACKINGS = 1
"""In the test command; in the soak it is killed at every instant."""


def verified(world: World) -> Report:
    ground = world.ground
    return audit_verify.verify(ground.root, ground.store_id, ground.checkpoints.public_key)


def kill_readers(world: World, seed: int) -> None:
    draw = random.Random(seed)
    results, delay_s = draw.randint(1, 80), draw.uniform(0, 0.02)
    world.door.close()
    with process("read_on", world.folder) as readers:
        assert readers.hear() == {"ready": True}
        told = [readers.hear() for _ in range(results)]
        time.sleep(delay_s)
        readers.child.send_signal(signal.SIGKILL)
        told += readers.hear_out()
    assert readers.child.returncode == -signal.SIGKILL
    after = open_world(world.folder)
    recorded = [record["purpose"] for record in records(after.path / "audit") if record["purpose"]]
    assert len(recorded) == len(set(recorded))
    assert {each["purpose"] for each in told} <= set(recorded), "a result left without its record"
    assert len(recorded) - len(told) <= 4, "more records than readers who had not yet told"
    assert verified(after).valid
    # What the dead ones wrote is signed by the next process, and everything goes on.
    after.see(READER)
    after.ground.checkpoints.checkpoint(sweep=True)
    report = verified(after)
    assert (report.valid, report.signed) == (True, report.records)
    assert report.records >= len(recorded)
    after.door.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_readers_that_are_killed_leave_a_record_of_every_result(world: World, seed: int) -> None:
    kill_readers(world, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_it_is_so_at_many_more_instants(world: World, seed: int) -> None:
    kill_readers(world, seed)


@pytest.fixture(scope="session")
def packable(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A store of several closed segments, one of which is packed already."""
    world = copy_world(filled_template, tmp_path_factory.mktemp("packable"))
    for _ in range(3):
        world.see(READER)
        world = world.reopened()
    keep(world, None)
    world.see(READER)
    world.door.close()
    return world


def instants_of(packable: World, folder: Path, removing: str) -> int:
    world = copy_world(packable, folder)
    world.door.close()
    with process("pack", folder, removing, "0") as packing:
        (said,) = packing.hear_out()
    assert said["instants"] > 8
    return int(said["instants"])


def kill_packing(packable: World, folder: Path, removing: str, instant: int) -> None:
    world = copy_world(packable, folder)
    there, given = records(world.path / "audit"), set(given_to(world.path / "audit", READER))
    world.door.close()
    with process("pack", folder, removing, str(instant)) as packing:
        packing.hear_out()
    assert packing.child.returncode == -signal.SIGKILL
    after = open_world(folder)
    report = verified(after)
    assert report.valid, report.findings
    left = records(after.path / "audit")
    if not removing:
        assert left == there, "a record was lost, or is there twice"
    assert all(record in there for record in left)
    assert report.records + report.removed == len(there)
    assert set(given_to(after.path / "audit", READER)) == given != set()
    keep(after, 0 if removing else None)
    assert verified(after).valid
    assert not list((after.path / "audit").glob("*.packing")), "what the dead one began is left behind"
    after.door.close()


@pytest.mark.parametrize("removing", ["", "removing"], ids=["packing", "removing"])
def test_a_packing_that_is_killed_loses_no_record(packable: World, removing: str, tmp_path: Path) -> None:
    count = instants_of(packable, tmp_path / "counted", removing)
    instants = random.Random(count).sample(range(1, count + 1), PACKINGS)
    print(f"killed at {sorted(instants)} of {count}")
    for instant in instants:
        kill_packing(packable, tmp_path / str(instant), removing, instant)


@pytest.mark.soak
@pytest.mark.parametrize("removing", ["", "removing"], ids=["packing", "removing"])
def test_a_packing_loses_no_record_wherever_it_is_killed(
    packable: World, removing: str, tmp_path: Path
) -> None:
    for instant in range(1, instants_of(packable, tmp_path / "counted", removing) + 1):
        kill_packing(packable, tmp_path / str(instant), removing, instant)
