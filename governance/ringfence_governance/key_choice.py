"""Which provider keeps a store's master key: said once at init, and read again at each open.

Promise: what the keys folder says of it is a kind and what names the keys,
never a secret. A folder that says nothing has a key file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import durable_files, key_file
from .ambient import Ambient
from .errors import InvalidInput, KeyUnavailable, RingfenceError
from .key_file import FILE_NAME
from .key_kms import KIND as KMS
from .key_kms import KmsKey, KmsKeys
from .key_local import KeyFile, KeyVariable
from .key_provider import FIRST_GENERATION, KeyProvider

PROVIDER_FILE = "provider.json"
FORMAT = 1
FILE = KeyFile.kind
ENVIRONMENT = KeyVariable.kind
KINDS = (FILE, ENVIRONMENT, KMS)
FILE_BYTES_MAX = 65_536


def create(folder: Path, store_id: str, ambient: Ambient, chosen: str = FILE) -> tuple[KeyProvider, Path]:
    """Set up the master key of a new store; return its provider and the file that holds or names it.

    Args:
        folder: The store's keys folder; made.
        chosen: `file`, `environment`, `aws-kms` (a new KMS key) or `aws-kms:KEY` (that one).

    Raises:
        InvalidInput: No such kind.
        KeyUnavailable: The key cannot be made or used.
    """
    kind, colon, key_id = chosen.partition(":")
    if kind not in KINDS or (colon and (kind != KMS or not key_id)):
        raise InvalidInput(f"keys: found {chosen!r}; expected file, environment, aws-kms or aws-kms:KEY")
    if kind == FILE:
        provider = KeyFile(folder, store_id, ambient)
        return provider, provider.create()
    _make(folder)
    if kind == ENVIRONMENT:
        variable = KeyVariable(store_id)
        if FIRST_GENERATION not in variable.generations():
            raise KeyUnavailable(
                f"master key: {variable.where()} has no generation {FIRST_GENERATION}; "
                f"expected {FIRST_GENERATION}:KEY for a new store"
            )
        _keep(folder, {"kind": ENVIRONMENT})
        return variable, folder / PROVIDER_FILE
    _keep_kms(folder, {})
    service = _kms(folder, store_id)
    if key_id:
        service.adopt(key_id)
    else:
        service.new_generation(FIRST_GENERATION - 1)
    return service, folder / PROVIDER_FILE


def undo(folder: Path, store_id: str) -> str:
    """Take back what :func:`create` made: the folder, and a KMS key of its own, whose deletion is scheduled.

    Returns:
        What is left all the same, since KMS does not answer or refuses; empty for nothing.
    """
    left = ""
    with suppress(RingfenceError):
        if _read(folder)["kind"] == KMS:
            service = _kms(folder, store_id)
            left = service.describe()["key"]
            for generation in service.generations():
                service.retire(generation)
            left = ""
    shutil.rmtree(folder, ignore_errors=True)
    return left and f"KMS key {left}"


def open_provider(folder: Path, store_id: str, ambient: Ambient) -> KeyProvider:
    """Return the provider of a store that stands, having looked whether it has any key.

    Raises:
        KeyUnavailable: Its key is missing or may not be used.
    """
    kind = _read(folder)["kind"]
    provider: KeyProvider
    if kind == FILE:
        provider = KeyFile(folder, store_id, ambient)
    else:
        provider = KeyVariable(store_id) if kind == ENVIRONMENT else _kms(folder, store_id)
    if not provider.generations():
        raise KeyUnavailable(
            f"master key: {provider.describe()['kind']} has no generation; expected at least one"
        )
    return provider


def _kms(folder: Path, store_id: str) -> KmsKeys:
    return KmsKeys(store_id, lambda: _kms_keys(_read(folder)), lambda keys: _keep_kms(folder, keys))


def _kms_keys(facts: Mapping[str, Any]) -> dict[int, KmsKey]:
    return {
        int(number): KmsKey(arn, given=int(number) in facts["given"]) for number, arn in facts["keys"].items()
    }


def _keep_kms(folder: Path, keys: Mapping[int, KmsKey]) -> None:
    arns = {str(number): keys[number].arn for number in sorted(keys)}
    _keep(
        folder,
        {"kind": KMS, "keys": arns, "given": [number for number in sorted(keys) if keys[number].given]},
    )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / PROVIDER_FILE
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return {"kind": FILE}
    except OSError as error:
        raise KeyUnavailable(
            f"key provider: cannot open {str(path)!r} ({error.strerror}); expected what init wrote",
            hint="mend its permissions, or put back a copy of it",
        ) from None
    found = _parse(text)
    number = found.get("format")
    if type(number) is int and number > FORMAT:
        raise KeyUnavailable(
            f"key provider: {str(path)!r} is of format {number}; expected {FORMAT}",
            hint="open the store with the version of ringfence that wrote it",
        )
    if type(number) is not int or number != FORMAT or not _is_whole(found):
        raise KeyUnavailable(
            f"key provider: {str(path)!r} is malformed or cut short; expected format {FORMAT}, a kind of "
            f"{', '.join(KINDS)}, and for {KMS} the key of each generation",
            hint=f"put back a copy of it; a store without {PROVIDER_FILE} has its key in {FILE_NAME}",
        )
    return found


def _parse(text: bytes) -> dict[str, Any]:
    """Return the object that a file holds; nothing if it holds none, or more than one could mean."""
    try:
        found = json.loads(text.decode("utf-8")) if len(text) <= FILE_BYTES_MAX else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_whole(found: Mapping[str, Any]) -> bool:
    if found.get("kind") != KMS:
        return found.get("kind") in KINDS
    keys, given = found.get("keys"), found.get("given")
    return (
        isinstance(keys, dict)
        and all(_is_generation(number) and isinstance(arn, str) and arn for number, arn in keys.items())
        and isinstance(given, list)
        and all(type(number) is int and str(number) in keys for number in given)
    )


def _is_generation(text: str) -> bool:
    return text.isascii() and text.isdecimal() and text == str(int(text)) and int(text) >= FIRST_GENERATION


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise KeyUnavailable(
            f"key folder: cannot make {str(folder)!r} ({error.strerror}); expected a writable folder above it",
            hint=f"set {key_file.HOME_VARIABLE} to a folder you can write",
        ) from None


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
