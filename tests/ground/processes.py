"""What the tests run in processes of their own: `main` is given WHAT FOLDER …, beside a test that watches.

Each says on its output, line by line, what it did.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ringfence_governance import catalog_migrations, key_migration
from ringfence_governance.errors import StoreBusy

from .beside import read_beside, write_beside
from .dying import (
    POLICY_STEPS,
    PUBLICATIONS,
    ROTATION_STEPS,
    Instants,
    register,
    relabel,
    upkeep,
    watched,
    write_publication,
)
from .dying_log import pack, read_on
from .worlds import ADMIN, WHY, open_world, subject


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def look(folder: Path, who: str) -> None:
    """Hold the store open, and look each time a line comes in."""
    world = open_world(folder)
    say(paths=world.see(who).paths)
    for _ in sys.stdin:
        say(paths=world.see(who).paths)


def join(folder: Path, prefix: str, count: str) -> None:
    """Add members to a group, each in a change of its own."""
    world = open_world(folder)
    say(ready=True)
    sys.stdin.readline()
    retried = 0
    for number in range(int(count)):
        while True:
            try:
                assert world.add("g", f"acme/user:{prefix}{number}", "acme/group:joined")
                break
            except StoreBusy:
                retried += 1
    say(retried=retried)


def die(folder: Path, instant: str, delay_ms: str) -> None:
    """Write publication after publication, and be killed at an instant, or so many milliseconds after it."""
    world = open_world(folder)
    say(ready=True)
    with watched(Instants(int(instant), float(delay_ms) / 1000)):
        for number in range(1, PUBLICATIONS + 1):
            write_publication(world, number)
            say(published=number)
    say(survived=True)


def apply(folder: Path, files: str, instant: str) -> None:
    """Apply a policy's files, and be killed at an instant."""
    world = open_world(folder)
    say(ready=True)
    with watched(Instants(int(instant)), POLICY_STEPS):
        world.door.apply_policy(subject(ADMIN), Path(files), WHY)
    say(survived=True)


def number(folder: Path, count: str) -> None:
    """Take number after number in transactions of its own, and raise one count with each."""
    world = open_world(folder)
    say(ready=True)
    sys.stdin.readline()
    taken = []
    for _ in range(int(count)):
        with world.ground.catalog.write() as connection:
            sequence, _ = world.ground.catalog.next_entry(connection, "test")
            (held,) = connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'count'").one()
            connection.exec_driver_sql(f"UPDATE meta SET value = '{int(held) + 1}' WHERE name = 'count'")
        taken.append(sequence)
    say(taken=taken)


def die_migrating(folder: Path) -> None:
    """Be killed when the first step of a migration has done its work and nothing is committed."""
    whole = catalog_migrations.MIGRATIONS

    def carry_out(connection: Connection) -> None:
        whole[0].carry_out(connection)
        say(migrated=True)
        os.kill(os.getpid(), signal.SIGKILL)

    catalog_migrations.MIGRATIONS = (catalog_migrations.Migration("dies", carry_out), *whole[1:])
    open_world(folder)
    say(survived=True)


def die_in_upkeep(folder: Path, instant: str, delay_ms: str) -> None:
    """Erase and compact, and be killed at an instant, or so many milliseconds after it."""
    world = open_world(folder)
    say(ready=True)
    with watched(Instants(int(instant), float(delay_ms) / 1000)):
        upkeep(world, say)
    say(survived=True)


def die_relabelling(folder: Path, instant: str, delay_ms: str) -> None:
    """Relabel, and be killed at an instant, or so many milliseconds after it."""
    world = open_world(folder)
    say(ready=True)
    with watched(Instants(int(instant), float(delay_ms) / 1000)):
        relabel(world, say)
    say(survived=True)


def die_registering(folder: Path, instant: str, delay_ms: str) -> None:
    """Register an answer, and be killed at an instant, or so many milliseconds after it."""
    world = open_world(folder)
    say(ready=True)
    with watched(Instants(int(instant), float(delay_ms) / 1000)):
        register(world, say)
    say(survived=True)


def beside(folder: Path, part: str, who: str, seconds: str) -> None:
    """Write or read for a time, beside others who do."""
    say(ready=True)
    sys.stdin.readline()
    say(**(write_beside if part == "write" else read_beside)(folder, who, float(seconds)))


def die_migrating_keys(folder: Path) -> None:
    """Be killed when the keys of an older format are all wrapped anew and nothing is committed."""
    whole = key_migration._rewrap_label_keys

    def carry_out(*arguments: Any) -> None:
        whole(*arguments)
        say(migrated=True)
        os.kill(os.getpid(), signal.SIGKILL)

    key_migration._rewrap_label_keys = carry_out
    open_world(folder)
    say(survived=True)


def rotate(folder: Path, instant: str) -> None:
    """Rotate the master key and retire the old one, and be killed at an instant."""
    world = open_world(folder)
    say(ready=True)
    with watched(Instants(int(instant)), ROTATION_STEPS):
        world.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    say(survived=True)


PROGRAMS: dict[str, Callable[..., None]] = {
    "beside": beside,
    "look": look,
    "join": join,
    "die": die,
    "apply": apply,
    "number": number,
    "die_migrating": die_migrating,
    "die_in_upkeep": die_in_upkeep,
    "die_migrating_keys": die_migrating_keys,
    "die_relabelling": die_relabelling,
    "die_registering": die_registering,
    "rotate": rotate,
    "read_on": read_on,
    "pack": pack,
}


def main(arguments: Sequence[str]) -> None:
    """Run one of the programs; what it is given are its name, a folder, and what else it takes."""
    program, folder, *others = arguments
    PROGRAMS[program](Path(folder), *others)
