"""Hand checkpoints to a place that whoever can change the store cannot change.

Promise: a checkpoint counts as handed over only once the witness said so. A
witness that is down costs no more than the stated time and loses nothing.
"""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Protocol, TypeAlias, TypeVar, runtime_checkable

from . import durable_files
from .errors import InvalidInput, StoreError

T = TypeVar("T")
TIMEOUT_S = 5.0
GIVEN_TIMEOUT_S = 30.0
"""How long a witness that an application gave may take."""
NAME_CHARACTERS_MAX = 2048
BYTES_MAX = 1 << 30
"""Of what a witness may answer."""
MEDIA_TYPE = "application/jsonl"


@runtime_checkable
class Witness(Protocol):
    """Whoever keeps checkpoints elsewhere, and only ever adds to what it keeps.

    An application may give one of its own. Whatever it raises, and whatever takes longer than 30 seconds, means
    *not kept*: the lines come again. It is asked from other threads than the application's. What it is handed
    names no person, document or label: numbers, times, digests and signatures.
    """

    @property
    def name(self) -> str:
        """What the store remembers it by, to know how far it has the checkpoints; the same each time. No secret."""

    def publish(self, lines: Sequence[bytes]) -> None:
        """Keep these lines, each with its line break, in their order; return once they are kept for good.

        A line that comes again is the same line: it may be kept once or twice.
        """

    def lines(self) -> list[bytes]:
        """Return every line that is kept, the oldest first."""


WitnessLike: TypeAlias = str | Witness
"""A file's path, an `http://` or `https://` address, an empty text for none, or a witness."""


class WitnessUnavailable(StoreError):
    """A witness did not confirm a checkpoint, or cannot be asked. No checkpoint is lost."""


class FileWitness:
    """An append-only file elsewhere: on another machine's disk, or with the file system's append-only flag."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

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
            raise WitnessUnavailable(
                f"the witness's file cannot be read ({error.strerror})",
                hint="check its path; 'ringfence audit checkpoint --witness FILE' begins one with all checkpoints",
            ) from None


class HttpWitness:
    """A service: POST adds the lines of its body and answers 2xx once they are kept, GET gives all of them."""

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """Its address."""
        return self._address

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


class GivenWitness:
    """One that an application gave: whatever it raises, or does not do in time, is *not kept*."""

    def __init__(self, given: Witness, timeout_s: float = GIVEN_TIMEOUT_S) -> None:
        self.given = given
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """Its own."""
        return self.given.name

    def publish(self, lines: Sequence[bytes]) -> None:
        """Hand it the lines."""
        self._within(lambda: self.given.publish(list(lines)))

    def lines(self) -> list[bytes]:
        """Ask it for all lines."""
        found = self._within(self.given.lines)
        if not isinstance(found, list) or not all(isinstance(line, bytes) for line in found):
            raise WitnessUnavailable("the witness returned something else than a list of bytes")
        return [line + b"\n" for each in found for line in each.split(b"\n") if line]

    def _within(self, work: Callable[[], T]) -> T:
        done: list[T] = []
        failures: list[Exception] = []

        def run() -> None:
            try:
                done.append(work())
            except Exception as error:  # noqa: BLE001  (an application's own code raises what it likes)
                failures.append(error)

        thread = threading.Thread(target=run, name="ringfence-witness", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if failures:
            raise WitnessUnavailable(f"the witness did not confirm ({type(failures[0]).__name__})")
        if not done:
            raise WitnessUnavailable(f"the witness did not answer within {self._timeout_s:g} seconds")
        return done[0]


def as_witness(given: WitnessLike) -> Witness | None:
    """Return a witness; None for an empty text.

    Raises:
        InvalidInput: It is none.
    """
    if isinstance(given, str):
        return witness_at(given) if given else None
    if not isinstance(given, Witness):
        raise InvalidInput(
            f"witness: found {type(given).__name__}; expected a path, an address, or an object with 'name', "
            "'publish' and 'lines'"
        )
    name = given.name
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise InvalidInput(f"witness: found the name {name!r}; expected a text that is not empty")
    return GivenWitness(given)


def within(witness: Witness, timeout_s: float) -> Witness:
    """Return a witness that is asked for no longer than some seconds at a time; a file is what it is."""
    if isinstance(witness, HttpWitness):
        return HttpWitness(witness.name, timeout_s)
    return GivenWitness(witness.given, timeout_s) if isinstance(witness, GivenWitness) else witness


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
