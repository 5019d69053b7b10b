"""Hand an auditor's tables over as a DuckDB file, signed, and say later whether a file is one that was signed.

Promise: a file holds what its auditor could ask at one time, and nothing else;
a changed byte of it, or of what is said of it, shows. It is written whole or
not at all, for its owner alone, and never over another file.

Source: docs/decisions/0018-duckdb-for-the-auditor.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from . import durable_files
from .audit_session import SETTINGS, fill
from .audit_verify import checked_public_key
from .certificates import canonical, public_key
from .errors import InvalidInput, StoreError

VERSION = 1
"""Of the statement; raised with each change of a field's meaning."""
SUFFIX = ".sig"
"""The statement lies beside the file, under its name and this."""
STATEMENT_BYTES_MAX = 1 << 16
_DOMAIN = b"ringfence audit export 1\n"
FIELDS = frozenset(
    {
        "version",
        "store",
        "tenant",
        "auditor",
        "time",
        "as_of",
        "whole",
        "digest",
        "bytes",
        "public_key",
        "signature",
    }
)


def checked_place(path: Path) -> Path:
    """Return where a file may be written.

    Raises:
        InvalidInput: Something is there already, or there is no such folder.
    """
    for taken in (path, statement_of(path)):
        if taken.exists() or taken.is_symlink():
            raise InvalidInput(f"file: found {str(taken)!r} already; expected a name that is free")
    if not path.parent.is_dir():
        raise InvalidInput(f"file: found no folder {str(path.parent)!r}; expected one that is there")
    return path


def statement_of(path: Path) -> Path:
    """Return where the statement about a file is."""
    return path.with_name(path.name + SUFFIX)


def write(path: Path, tables: Mapping[str, pa.Table], as_of: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Write tables, views and macros as a DuckDB file, and a signed statement beside it; return the statement.

    Args:
        tables: All of :data:`audit_schema.SCHEMAS`.

    Raises:
        StoreError: The disk did not take them; nothing is left.
        InvalidInput: Another file is there by now.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".ringfence-", dir=path.parent) as folder:
            draft = Path(folder) / "export.duckdb"
            with duckdb.connect(str(draft), config={**SETTINGS}) as connection:
                fill(connection, tables, as_of)
                connection.execute("CHECKPOINT")
            draft.chmod(0o600)
            made = _signed(_said(tables["about"], as_of, draft), key)
            words = Path(folder) / "statement"
            words.write_bytes(canonical(made) + b"\n")
            words.chmod(0o600)
            for file in (draft, words):
                durable_files.sync(file)
            # A link is made only where nothing is.
            os.link(words, statement_of(path))
            try:
                os.link(draft, path)
            except OSError:
                statement_of(path).unlink()
                raise
        durable_files.sync(path.parent)
    except FileExistsError:
        raise InvalidInput(f"file: found {str(path)!r} already; expected a name that is free") from None
    except (OSError, duckdb.Error) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StoreError(f"the file cannot be written ({reason}); nothing is left of it") from None
    return made


def verify(path: Path, public: str) -> dict[str, Any]:
    """Say whether a file is what the key with this public half signed.

    Args:
        public: 64 hexadecimal digits, as `ringfence audit checkpoint` tells.

    Returns:
        `valid`; `found`, what is not as it was signed, empty if all is; and what the statement says.

    Raises:
        InvalidInput: There is no such file, no statement beside it, or it is none; or `public` is no key.
    """
    checked_public_key(public)
    statement = _read(path)
    found = ""
    if statement["public_key"] != public:
        found = "it is signed by another key"
    elif not _is_genuine(statement, public):
        found = "the statement was changed"
    elif statement["version"] != VERSION:
        found = f"a statement of version {statement['version']!r}"
    elif (statement["digest"], statement["bytes"]) != _digest(path):
        found = "the file is not the one that was signed"
    told = {name: statement[name] for name in sorted(FIELDS - {"signature", "version"})}
    return {"valid": not found, "found": found, **told}


def _said(about: pa.Table, as_of: str, draft: Path) -> dict[str, Any]:
    (row,) = about.to_pylist()
    digest, size = _digest(draft)
    return {
        "version": VERSION,
        **{name: row[name] for name in ("store", "tenant", "auditor", "time", "whole")},
        "as_of": as_of,
        "digest": digest,
        "bytes": size,
    }


def _signed(said: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    body = {**said, "public_key": public_key(key)}
    return {**body, "signature": key.sign(_DOMAIN + canonical(body)).hex()}


def _is_genuine(statement: Mapping[str, Any], public: str) -> bool:
    body = {name: value for name, value in statement.items() if name != "signature"}
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(str(statement["signature"])), _DOMAIN + canonical(body))
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        with statement_of(path).open("rb") as file:
            found = json.loads(file.read(STATEMENT_BYTES_MAX))
        if isinstance(found, dict) and found.keys() == FIELDS and path.is_file():
            return found
    except (OSError, ValueError, RecursionError):
        pass
    raise InvalidInput(
        f"file: found no export with a statement at {str(path)!r}; expected a file that 'ringfence audit export' "
        f"wrote, and {statement_of(path).name!r} beside it"
    )


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
