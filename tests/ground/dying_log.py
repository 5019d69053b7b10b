"""Readers whose log is cut into many small segments, and one who packs them; all of them to be killed anywhere."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from ringfence_governance import audit_retention
from ringfence_governance.ambient import Ambient
from ringfence_governance.audit_settings import AuditSettings
from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject

from .worlds import World, open_world, place_of, see

READER = "acme/user:hal"
THREADS = 4
SMALL = AuditSettings(segment_bytes=6_000, checkpoint_records=7)
CHANGES = ("os.remove", "os.rename", "os.chmod", "open", "fcntl.flock")
"""What is counted of a packing, in the folders of the log."""


def tell(**facts: object) -> None:
    """Say it in one write: threads say things at the same time."""
    os.write(1, json.dumps(facts).encode() + b"\n")


def read_on(folder: Path) -> None:
    """Read in some threads without end, each time for another purpose, and say each purpose once the result is here."""
    door = Door.open(place_of(folder), keys_home=folder / "keys", ambient=Ambient(), audit=SMALL)

    def read(thread: int) -> None:
        number = 0
        while True:
            number += 1
            see(door, Subject(READER, (), f"p{thread}-{number}"))
            tell(purpose=f"p{thread}-{number}")

    tell(ready=True)
    for thread in range(THREADS):
        threading.Thread(target=read, args=(thread,), daemon=True).start()
    sys.stdin.readline()


def keep(world: World, bytes_max: int | None) -> None:
    ground = world.ground
    now = ground.ambient.clock()
    audit_retention.keep(ground.root, ground.store_id, ground.checkpoints, now, bytes_max=bytes_max)


def pack(folder: Path, removing: str, instant: str) -> None:
    """Pack all segments, and with `removing` remove them; be killed at an instant; 0 for never."""
    world = open_world(folder)
    watched = (str(world.path / "audit"), str(world.path / "checkpoints"))
    count, armed = 0, False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in CHANGES and armed and (event == "fcntl.flock" or str(arguments[0]).startswith(watched)):
            count += 1
            if count == int(instant):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    armed = True
    keep(world, 0 if removing else None)
    armed = False
    tell(instants=count)
