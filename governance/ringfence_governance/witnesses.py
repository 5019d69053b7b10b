"""Hand checkpoints to a place that whoever can change the store cannot change.

Promise: a checkpoint counts as handed over only once the witness said so. A
witness that is down costs no more than the stated time and loses nothing.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Protocol

from . import durable_files
from .errors import InvalidInput, StoreError

TIMEOUT_S = 5.0
BYTES_MAX = 1 << 30
"""Of what a witness may answer."""
MEDIA_TYPE = "application/jsonl"


class Witness(Protocol):
    """Whoever keeps checkpoints elsewhere, and only ever adds to what it keeps."""

    def publish(self, lines: Sequence[bytes]) -> None:
        """Keep these lines; return once they are kept. A line that comes again is the same line.

        Raises:
            WitnessUnavailable: They may not be kept.
        """

    def lines(self) -> list[bytes]:
        """Return every line that is kept, the oldest first.

        Raises:
            WitnessUnavailable: They cannot be had.
        """


class WitnessUnavailable(StoreError):
    """A witness did not confirm a checkpoint, or cannot be asked. No checkpoint is lost."""


class FileWitness:
    """An append-only file elsewhere: on another machine's disk, or with the file system's append-only flag."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def publish(self, lines: Sequence[bytes]) -> None:
        """Append the lines, durably."""
        try:
            new = not self._path.exists()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                data = _after_half_a_line(self._path) + b"".join(lines)
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                durable_files.sync(self._path.parent)
        except OSError as error:
            raise WitnessUnavailable(f"the witness's file cannot be written ({error.strerror})") from None

    def lines(self) -> list[bytes]:
        """Return the lines of the file."""
        try:
            return [line + b"\n" for line in self._path.read_bytes().split(b"\n") if line]
        except OSError as error:
            raise WitnessUnavailable(f"the witness's file cannot be read ({error.strerror})") from None


class HttpWitness:
    """A service: POST adds the lines of its body and answers 2xx once they are kept, GET gives all of them."""

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s

    def publish(self, lines: Sequence[bytes]) -> None:
        """Send the lines."""
        self._ask(b"".join(lines))

    def lines(self) -> list[bytes]:
        """Ask for all lines."""
        return [line + b"\n" for line in self._ask(None).split(b"\n") if line]

    def _ask(self, body: bytes | None) -> bytes:
        request = urllib.request.Request(  # noqa: S310  (the scheme was checked)
            self._address,
            data=body,
            headers={"Content-Type": MEDIA_TYPE} if body is not None else {},
            method="GET" if body is None else "POST",
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self._timeout_s) as answer:
                found: bytes = answer.read(BYTES_MAX)
        except urllib.error.HTTPError as error:
            raise WitnessUnavailable(f"the witness answered {error.code}; expected 2xx") from None
        except (OSError, HTTPException, ValueError) as error:
            raise WitnessUnavailable(f"the witness cannot be reached ({type(error).__name__})") from None
        return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who can answer for the witness must not be able to send checkpoints, or the question, elsewhere."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def witness_at(where: str) -> Witness:
    """Return the witness at a path or address.

    Raises:
        InvalidInput: It is neither.
    """
    parts = urllib.parse.urlsplit(where)
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.username or parts.password:
            raise InvalidInput(
                "witness: found an address without a host, or with a name or password; "
                "expected https://HOST/PATH"
            )
        return HttpWitness(where)
    if not where or "\0" in where or "://" in where:
        raise InvalidInput(f"witness: found {where!r}; expected a file's path, http:// or https://")
    return FileWitness(Path(where))


def _after_half_a_line(path: Path) -> bytes:
    """Return a line break if the file ends within a line, of a process that died."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return b""
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"
