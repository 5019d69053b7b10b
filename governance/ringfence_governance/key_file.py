"""Where the master key lives, and whether it may be used.

Promise: the key file is outside the store, readable by its owner alone, and
of this very store; anything else is refused before a byte of it is used.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from .errors import KeyUnavailable
from .seal import KEY_BYTES

HOME_VARIABLE = "RINGFENCE_HOME"
FILE_NAME = "master.key"
KEYS_DATABASE = "keys.db"
FILE_BYTES_MAX = 4096
_MAGIC = "ringfence-master-key-1"


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """The key that wraps all label keys, and its generation."""

    store_id: str
    generation: int
    secret: bytes

    def __repr__(self) -> str:
        return f"MasterKey(store_id={self.store_id!r}, generation={self.generation}, secret=…)"

    def __reduce__(self) -> str:
        raise TypeError("a key cannot be pickled")


def keys_home() -> Path:
    """Return the folder that holds one folder of keys for each store.

    `RINGFENCE_HOME` if set, else `ringfence` in the user's data folder.
    """
    if chosen := os.environ.get(HOME_VARIABLE):
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME")
    base = Path(data) if data else Path.home() / ".local" / "share"
    return base.absolute() / "ringfence"


def keys_folder(store_id: str, home: Path | None = None) -> Path:
    """Return the folder of one store's key file and key database."""
    return (home if home is not None else keys_home()) / store_id


def refuse_inside(store: Path, folder: Path) -> None:
    """Refuse a key folder that lies inside the store it opens.

    Raises:
        KeyUnavailable: It does; a copy of the store would carry its own key.
    """
    inside, outside = folder.resolve(), store.resolve()
    if inside == outside or outside in inside.parents:
        raise KeyUnavailable(
            f"key folder: found {str(folder)!r} inside the store; expected a folder outside it",
            hint=f"set {HOME_VARIABLE} to a folder outside the store",
        )


def write(folder: Path, key: MasterKey) -> Path:
    """Write a new key file, mode 0600, and return its path. Never overwrites.

    Raises:
        KeyUnavailable: There is one already, or the folder cannot be made.
    """
    path = folder / FILE_NAME
    line = f"{_MAGIC} {key.store_id} {key.generation} {base64.b64encode(key.secret).decode()}\n"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyUnavailable(
            f"key file: cannot write {str(path)!r} ({error.strerror}); "
            "expected a new file in a writable folder",
            hint=f"set {HOME_VARIABLE} to a folder you can write",
        ) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return path


def read(folder: Path, store_id: str) -> MasterKey:
    """Return the master key of a store.

    Raises:
        KeyUnavailable: Missing, a link, readable by others, malformed, or of another store.
    """
    path = folder / FILE_NAME
    try:
        # Without O_NONBLOCK a named pipe in its place would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise KeyUnavailable(
            f"key file: cannot open {str(path)!r} ({error.strerror}); without the key nothing opens",
            hint=f"copy the key file there, or set {HOME_VARIABLE} to the folder "
            f"that holds {store_id}/{FILE_NAME}",
        ) from error
    try:
        _refuse_exposed(os.fstat(descriptor).st_mode, path)
        found = os.read(descriptor, FILE_BYTES_MAX)
    finally:
        os.close(descriptor)
    return _parse(found.decode("ascii", errors="replace").split(), path, store_id)


def _refuse_exposed(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise KeyUnavailable(f"key file: {str(path)!r} is no plain file; expected the one init made")
    if stat.S_IMODE(mode) & 0o077:
        raise KeyUnavailable(
            f"key file: found mode {stat.S_IMODE(mode):04o} on {str(path)!r}; expected 0600",
            hint=f"chmod 600 {path}",
        )


def _parse(fields: list[str], path: Path, store_id: str) -> MasterKey:
    problem = f"key file: {str(path)!r} is malformed; expected '{_MAGIC} STORE GENERATION KEY'"
    if len(fields) != 4 or fields[0] != _MAGIC or not fields[2].isdigit():
        raise KeyUnavailable(problem)
    if fields[1] != store_id:
        raise KeyUnavailable(f"key file: {str(path)!r} is of another store; expected the key of {store_id}")
    try:
        secret = base64.b64decode(fields[3], validate=True)
    except ValueError as error:
        raise KeyUnavailable(problem) from error
    if len(secret) != KEY_BYTES:
        raise KeyUnavailable(problem)
    return MasterKey(store_id=store_id, generation=int(fields[2]), secret=secret)
