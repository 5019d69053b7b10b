"""Where the master key lives, and whether it may be used.

Promise: the key file is outside the store, readable by its owner alone, and
of this very store; anything else is refused before a byte of it is used. It
is replaced as a whole or not at all.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import durable_files
from .errors import KeyUnavailable
from .seal import KEY_BYTES

HOME_VARIABLE = "RINGFENCE_HOME"
FILE_NAME = "master.key"
KEYS_DATABASE = "keys.db"
FILE_BYTES_MAX = 16_384
"""Room for some 150 generations; a file that is longer is refused."""
_MAGIC_NAME = "ringfence-master-key-"
_MAGIC = f"{_MAGIC_NAME}1"
_UNFINISHED = ".new"


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """A key that wraps key-encryption keys, and its generation."""

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
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(path, [key])
    except OSError as error:
        raise KeyUnavailable(
            f"key file: cannot write {str(path)!r} ({error.strerror}); "
            "expected a new file in a writable folder",
            hint=f"set {HOME_VARIABLE} to a folder you can write",
        ) from error
    return path


def replace(folder: Path, keys: Sequence[MasterKey]) -> None:
    """Put other generations in the place of those in the key file: all at once, durably.

    Zeros are written over what was there and over what an interrupted call left. That is an attempt and no
    promise: a disk or a file system may keep the bytes elsewhere.

    Raises:
        KeyUnavailable: The file cannot be replaced; the old one stands.
    """
    path = folder / FILE_NAME
    if len(keys) * len(_line(keys[0])) > FILE_BYTES_MAX:
        raise KeyUnavailable(
            f"key file: {len(keys)} generations do not fit into {FILE_BYTES_MAX} bytes",
            hint="retire the old ones with 'ringfence keys rotate --retire'",
        )
    try:
        for left in sorted(folder.glob(f".{FILE_NAME}.*{_UNFINISHED}")):
            with left.open("r+b") as file:
                _overwrite(file.fileno())
            left.unlink()
        new = folder / f".{FILE_NAME}.{os.urandom(6).hex()}{_UNFINISHED}"
        _write_new(new, keys)
        old = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            new.replace(path)
            durable_files.sync(folder)
            _overwrite(old)
        finally:
            os.close(old)
    except OSError as error:
        raise KeyUnavailable(
            f"key file: cannot replace {str(path)!r} ({error.strerror}); expected a writable folder; "
            "the keys that were in it stand",
            hint="make room on its disk, or mend the folder's permissions, and call it again",
        ) from error


def read(folder: Path, store_id: str) -> tuple[MasterKey, ...]:
    """Return the master keys of a store, by generation.

    Raises:
        KeyUnavailable: Missing, a link, readable by others, malformed, or of another store.
    """
    path = folder / FILE_NAME
    while True:
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
            found = os.read(descriptor, FILE_BYTES_MAX + 1)
            # One that was replaced since it was opened is overwritten: what was read may be half of it.
            if os.fstat(descriptor).st_nlink == 0:
                continue
        finally:
            os.close(descriptor)
        return _parse(found, path, store_id)


def parse_secret(text: str) -> bytes | None:
    """Return the key that base64 text holds; None if it holds none."""
    try:
        secret = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return secret if len(secret) == KEY_BYTES else None


def _write_new(path: Path, keys: Sequence[MasterKey]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(_line(key) for key in keys)
        file.flush()
        os.fsync(file.fileno())


def _overwrite(descriptor: int) -> None:
    os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
    os.fsync(descriptor)


def _line(key: MasterKey) -> str:
    return f"{_MAGIC} {key.store_id} {key.generation} {base64.b64encode(key.secret).decode()}\n"


def _refuse_exposed(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise KeyUnavailable(f"key file: {str(path)!r} is no plain file; expected the one init made")
    if stat.S_IMODE(mode) & 0o077:
        raise KeyUnavailable(
            f"key file: found mode {stat.S_IMODE(mode):04o} on {str(path)!r}; expected 0600",
            hint=f"chmod 600 {path}",
        )


def _parse(found: bytes, path: Path, store_id: str) -> tuple[MasterKey, ...]:
    problem = KeyUnavailable(
        f"key file: {str(path)!r} is malformed or cut short; expected lines '{_MAGIC} STORE GENERATION KEY'",
        hint="put back a copy of the file as it was written",
    )
    lines = found.decode("ascii", errors="replace").splitlines()
    if not lines or len(found) > FILE_BYTES_MAX:
        raise problem
    keys: dict[int, MasterKey] = {}
    for line in lines:
        fields = line.split()
        _refuse_newer(fields, path)
        if len(fields) != 4 or fields[0] != _MAGIC or not (fields[2].isascii() and fields[2].isdigit()):
            raise problem
        if fields[1] != store_id:
            raise KeyUnavailable(
                f"key file: {str(path)!r} is of another store; expected the key of {store_id}",
                hint=f"put this store's own key file there; {fields[1]!r} is the store of this one",
            )
        secret, generation = parse_secret(fields[3]), int(fields[2])
        if secret is None or generation < 1 or generation in keys:
            raise problem
        keys[generation] = MasterKey(store_id, generation, secret)
    return tuple(keys[generation] for generation in sorted(keys))


def _refuse_newer(fields: Sequence[str], path: Path) -> None:
    number = fields[0].removeprefix(_MAGIC_NAME) if fields and fields[0].startswith(_MAGIC_NAME) else ""
    if number.isascii() and number.isdigit() and int(number) > 1:
        raise KeyUnavailable(
            f"key file: {str(path)!r} is of format {number}; expected 1",
            hint="open the store with the version of ringfence that wrote it",
        )
