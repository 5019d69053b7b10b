"""Look for words and vectors in every byte a store leaves on a disk, as it lies there and as engines read it."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from lance.file import LanceFileReader

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
VALUES_TOGETHER = 4
"""Numbers of a vector that must stand beside each other to count as found."""

Blob = tuple[str, bytes]
"""Where, and what is there."""


def forms(word: str) -> set[bytes]:
    """Return the byte strings that would give a word away: encodings, cases, hexadecimal, base 64."""
    found = set()
    for text in {word, word.lower(), word.upper(), word.title()}:
        found |= {text.encode(encoding) for encoding in ENCODINGS}
        plain = text.encode()
        found.add(plain.hex().encode())
        # In base 64 a word looks three ways, by where it begins; the characters at its edges hold neighbours.
        for shift in range(3):
            found.add(base64.b64encode(bytes(shift) + plain)[4:-4])
    return {form for form in found if len(form) >= 8}


def vector_forms(vector: npt.NDArray[np.float32]) -> set[bytes]:
    """Return every run of a vector's numbers in the widths they may be stored in."""
    found = set()
    for kind in ("<f4", ">f4", "<f8", "<f2"):
        data = vector.astype(kind)
        for start in range(len(data) - VALUES_TOGETHER + 1):
            found.add(data[start : start + VALUES_TOGETHER].tobytes())
    return found


def raw_files(*folders: Path) -> Iterator[Blob]:
    """Yield every file beneath the folders, with its name: names give away too."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            name = str(file.relative_to(folder))
            yield name, name.encode()
            if file.is_file():
                yield name, file.read_bytes()


def decoded_tables(lance_folder: Path) -> Iterator[Blob]:
    """Yield every value of every column of every version of every table, as Lance decodes it."""
    for folder in sorted(lance_folder.glob("*.lance")):
        for version in lance.dataset(str(folder)).versions():
            number = version["version"]
            table = lance.dataset(str(folder), version=number).to_table()
            yield from table_values(f"{folder.name}@{number}", table)
        for file in sorted((folder / "data").glob("*.lance")):
            yield from table_values(file.name, LanceFileReader(str(file)).read_all().to_table())


def table_values(name: str, table: pa.Table) -> Iterator[Blob]:
    for column in table.column_names:
        for row, value in enumerate(table[column].to_pylist()):
            yield f"{name} {column}[{row}]", value if isinstance(value, bytes) else repr(value).encode()


def database_values(*files: Path) -> Iterator[Blob]:
    """Yield every value of every table of SQLite files."""
    for file in files:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            names = [
                row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")
            ]
            for name in names:
                for row in connection.execute(f'select * from "{name}"'):
                    for value in row:
                        yield (
                            f"{file.name} {name}",
                            value if isinstance(value, bytes) else str(value).encode(),
                        )


def unpacked(blobs: Iterable[Blob]) -> Iterator[Blob]:
    """Yield each value, and what it unpacks to if somebody only compressed it."""
    for name, data in blobs:
        yield name, data
        for start in (0, 4, 8, 12, 16):
            for unpack in UNPACKERS:
                plain = unpack(data[start:])
                if plain:
                    yield f"{name} unpacked", plain


def hits(blobs: Iterable[Blob], canaries: Mapping[str, set[bytes]]) -> list[str]:
    """Return which canary was found where."""
    return [
        f"{what} in {name}"
        for name, data in blobs
        for what, patterns in canaries.items()
        if any(pattern in data for pattern in patterns)
    ]


def _zlib_raw(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data, 1 << 16)


def _zlib(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, 1 << 16)


def _quiet(unpack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def attempt(data: bytes) -> bytes:
        try:
            return unpack(data)
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
            return b""

    return attempt


UNPACKERS = [_quiet(each) for each in (_zlib, _zlib_raw, gzip.decompress, bz2.decompress, lzma.decompress)]
