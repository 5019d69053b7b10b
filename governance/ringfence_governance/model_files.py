"""Say which model a folder holds, by the bytes of its files.

Promise: two folders have one digest only if every file that decides about what
the model gives is the same, its name included. Nothing here loads a model.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

DECIDING = (".safetensors", ".bin", ".json", ".txt", ".model", ".pt", ".onnx")
"""Endings of the files that decide: weights, tokenizer, configuration."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(folder: Path) -> str:
    """Return one digest over every file of a model folder that decides about what it gives, names included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in DECIDING:
            digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()
