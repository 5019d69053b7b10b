"""Which provider keeps a store's master key: said once at init, and read again at each open.

Promise: what the keys folder says of it is a kind, never a secret. A folder
that says nothing has a key file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from . import durable_files, key_file
from .ambient import Ambient
from .errors import InvalidInput, KeyUnavailable
from .key_file import FILE_NAME
from .key_local import KeyFile, KeyVariable
from .key_provider import FIRST_GENERATION, KeyProvider

PROVIDER_FILE = "provider.json"
FORMAT = 1
FILE = KeyFile.kind
ENVIRONMENT = KeyVariable.kind
KINDS = (FILE, ENVIRONMENT)


def create(folder: Path, store_id: str, ambient: Ambient, chosen: str = FILE) -> tuple[KeyProvider, Path]:
    """Set up the master key of a new store; return its provider and the file that holds or names it.

    Args:
        folder: The store's keys folder; made.
        chosen: `file` or `environment`.

    Raises:
        InvalidInput: No such kind.
        KeyUnavailable: The key cannot be made or used.
    """
    if chosen not in KINDS:
        raise InvalidInput(f"keys: found {chosen!r}; expected file or environment")
    if chosen == FILE:
        provider = KeyFile(folder, store_id, ambient)
        return provider, provider.create()
    folder.mkdir(parents=True, mode=0o700)
    variable = KeyVariable(store_id)
    if FIRST_GENERATION not in variable.generations():
        raise KeyUnavailable(
            f"master key: {variable.where()} has no generation {FIRST_GENERATION}; "
            f"expected {FIRST_GENERATION}:KEY for a new store"
        )
    _keep(folder, {"kind": ENVIRONMENT})
    return variable, folder / PROVIDER_FILE


def open_provider(folder: Path, store_id: str, ambient: Ambient) -> KeyProvider:
    """Return the provider of a store that stands, having looked whether it has any key.

    Raises:
        KeyUnavailable: Its key is missing or may not be used.
    """
    kind = _read(folder)["kind"]
    file, variable = KeyFile(folder, store_id, ambient), KeyVariable(store_id)
    provider: KeyProvider = file if kind == FILE else variable
    if not provider.generations():
        raise KeyUnavailable(
            f"master key: {provider.describe()['kind']} has no generation; expected at least one"
        )
    return provider


def _read(folder: Path) -> dict[str, object]:
    path = folder / PROVIDER_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {"kind": FILE}
    except (OSError, ValueError) as error:
        raise KeyUnavailable(f"key provider: {str(path)!r} cannot be read ({type(error).__name__})") from None
    if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
        raise KeyUnavailable(
            f"key provider: {str(path)!r} is of format {found['format']}; expected {FORMAT}",
            hint="open the store with the version of ringfence that wrote it",
        )
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("kind") not in KINDS:
        raise KeyUnavailable(
            f"key provider: {str(path)!r} is malformed; expected format {FORMAT} and a kind of {', '.join(KINDS)}",
            hint=f"put back a copy of it; a store without {PROVIDER_FILE} has its key in {FILE_NAME}",
        )
    return found


def _keep(folder: Path, facts: Mapping[str, object]) -> None:
    """Write the file anew, whole or not at all."""
    path = folder / PROVIDER_FILE
    new = folder / f".{PROVIDER_FILE}.{os.urandom(6).hex()}.new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps({"format": FORMAT, **facts}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        durable_files.sync(folder)
    except OSError as error:
        raise KeyUnavailable(
            f"key provider: cannot write {str(path)!r} ({error.strerror}); expected a writable folder",
            hint=f"set {key_file.HOME_VARIABLE} to a folder you can write",
        ) from error
