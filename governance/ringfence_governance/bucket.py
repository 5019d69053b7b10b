"""Say which bucket a store lies in, and how it is reached.

Promise: what is reached by an address is never written down with it: keys and
endpoints come from the environment or from the caller, and nothing here shows
them. Every question to a server ends in a bounded time, with a reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import InvalidInput, StoreError

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"
CONNECT_S, REQUEST_S, RETRIES, RETRY_S = 5, 30, 2, 8
"""How long to wait for a connection and for an answer, and how often and how long to ask again."""
BLOCK_BYTES = 4 << 20
"""How much of an object is in memory at once while it is read through."""

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "aws_session_token": ("AWS_SESSION_TOKEN",),
    "aws_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "aws_endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "aws_virtual_hosted_style_request": ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST",),
    "allow_http": ("AWS_ALLOW_HTTP",),
}
"""What may be set, and the variables it is taken from if the caller does not set it."""

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._=-]+)*)/?")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_REASONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("nosuchbucket", "bucket does not exist", "bucket not found"), "there is no such bucket"),
    (
        ("invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken", "invalidtoken", "unauthenticated"),
        "the credentials are not accepted",
    ),
    (
        ("accessdenied", "403 forbidden", "permissiondenied", "status 403", "denied", "privileges"),
        "access is denied",
    ),
    (
        ("timed out", "timeouterror", "connection refused", "error sending request", "connect error", "dns"),
        "the server cannot be reached, or does not answer",
    ),
    (("503", "500 internal", "slowdown"), "the server is in trouble"),
)
"""Words in an error of an object store, and what they mean; the error's own text may hold addresses."""


def is_uri(place: object) -> bool:
    """Say whether a store's place is named by an address of object storage."""
    return isinstance(place, str) and place.startswith(SCHEME)


def reason(error: BaseException) -> str:
    """Return what an error of an object store means, without what its text may hold; empty if unknown."""
    text = f"{type(error).__name__} {error}".lower()
    return next((meaning for words, meaning in _REASONS if any(word in text for word in words)), "")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in object storage.

    Args:
        name: The bucket's.
        prefix: Of every object; empty or without slashes at its ends.
        options: What Lance and the client are told; holds secrets.
    """

    name: str
    prefix: str
    options: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, uri: str, options: Mapping[str, str] | None = None) -> Bucket:
        """Return the place an address names.

        Args:
            options: As in `ENVIRONMENT`; what is not given comes from the environment.

        Raises:
            InvalidInput: The address or an option is none that can be.
        """
        found = _URI.fullmatch(uri)
        if found is None or any(part in ("", ".", "..") for part in found[2].split("/")[1:]):
            raise InvalidInput(
                "store: found an address that is no s3://BUCKET/PREFIX; expected a bucket's name and a prefix "
                "of letters, digits and . _ = -, without a user, a query or a fragment"
            )
        return cls(found[1], found[2].strip("/"), _options(options or {}))

    @property
    def uri(self) -> str:
        """The address, as it may be shown."""
        return f"{SCHEME}{self.name}/{self.prefix}".rstrip("/")

    def beneath(self, name: str) -> Bucket:
        """Return the place one step further down."""
        return Bucket(self.name, f"{self.prefix}/{name}".strip("/"), self.options)

    def lance_options(self) -> dict[str, str]:
        """Return what Lance is told."""
        return dict(self.options) | {
            "connect_timeout": f"{CONNECT_S}s",
            "timeout": f"{REQUEST_S}s",
            "client_max_retries": str(RETRIES),
            "client_retry_timeout": str(RETRY_S),
        }

    def is_empty(self) -> bool:
        """Say whether nothing lies here.

        Raises:
            StoreError: It cannot be asked.
        """
        with self._named("listed"):
            import obstore

            return not next(iter(obstore.list(self._store(), self._key("") or None, chunk_size=1)), [])

    def sizes(self) -> dict[str, int]:
        """Return the size of every object here, by its name beneath the place.

        Raises:
            StoreError: They cannot be listed.
        """
        start = len(self.prefix) + 1 if self.prefix else 0
        with self._named("listed"):
            import obstore

            parts = obstore.list(self._store(), self._key("") or None)
            return {found["path"][start:]: found["size"] for part in parts for found in part}

    def read(self, name: str) -> bytes | None:
        """Return an object's content; None if there is none.

        Raises:
            StoreError: It cannot be read.
        """
        with self._named("read"):
            import obstore
            from obstore.exceptions import NotFoundError

            try:
                return bytes(obstore.get(self._store(), self._key(name)).bytes())
            except (NotFoundError, FileNotFoundError) as error:
                if reason(error) == "there is no such bucket":
                    raise
                return None

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield an object's content, some megabytes at a time.

        Raises:
            FileNotFoundError: There is none.
            StoreError: It cannot be read.
        """
        with self._named("read"):
            import obstore
            from obstore.exceptions import NotFoundError

            try:
                found = obstore.get(self._store(), self._key(name))
            except (NotFoundError, FileNotFoundError) as error:
                if reason(error) == "there is no such bucket":
                    raise
                found = None
            if found is not None:
                yield from map(bytes, found.stream(min_chunk_size=BLOCK_BYTES))
                return
        raise FileNotFoundError(name)

    def add(self, name: str, content: bytes) -> None:
        """Write an object that is not there yet; of two who do, one is refused.

        Raises:
            StoreError: It is there, or cannot be written.
        """
        with self._named("written"):
            import obstore
            from obstore.exceptions import AlreadyExistsError, PreconditionError

            try:
                obstore.put(self._store(), self._key(name), content, mode="create")
            except (AlreadyExistsError, PreconditionError, FileExistsError):
                raise StoreError(
                    f"store: {self.uri!r} holds one by now; expected a new place", hint="open it instead"
                ) from None

    def clear(self) -> None:
        """Remove every object here.

        Raises:
            StoreError: They cannot be removed.
        """
        names = sorted(self.sizes())
        with self._named("removed"):
            import obstore

            for name in names:
                obstore.delete(self._store(), self._key(name))

    def remove(self, name: str) -> None:
        """Remove one object.

        Raises:
            StoreError: It cannot be removed.
        """
        with self._named("removed"):
            import obstore

            obstore.delete(self._store(), self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}".lstrip("/")

    def _store(self) -> S3Store:
        from datetime import timedelta

        from obstore.store import S3Store

        options = dict(self.options)
        allow_http = options.pop("allow_http", "") == "true"
        return S3Store(
            self.name,
            config=options,  # type: ignore[arg-type]
            client_options={
                "allow_http": allow_http,
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "timeout": timedelta(seconds=REQUEST_S),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)},
        )

    @contextmanager
    def _named(self, done: str) -> Iterator[None]:
        """Turn an error of the client, whose text may hold addresses and headers, into one that names the place.

        Raises:
            StoreError: Whatever the client raised.
        """
        try:
            yield
        except ImportError:
            raise StoreError(
                "store: the client for object storage cannot be loaded; expected obstore",
                hint="pip install 'ringfence[s3]'",
            ) from None
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001
            found = reason(error) or type(error).__name__
            raise StoreError(
                f"store: {self.uri!r} cannot be {done} ({found})",
                hint="check the address, AWS_ENDPOINT_URL, AWS_REGION and the credentials in the environment",
            ) from None


def _options(given: Mapping[str, str]) -> dict[str, str]:
    if unknown := sorted(set(given) - set(ENVIRONMENT)):
        raise InvalidInput(
            f"storage_options: found {unknown[0]!r}; expected none but {', '.join(sorted(ENVIRONMENT))}"
        )
    taken = {
        name: value
        for name, variables in ENVIRONMENT.items()
        for value in [given.get(name) or next(filter(None, map(os.environ.get, variables)), "")]
        if value
    }
    taken.setdefault("aws_region", "us-east-1")
    endpoint = urlsplit(taken.get("aws_endpoint", ""))
    if endpoint.username or endpoint.password:
        raise InvalidInput(
            "storage_options: found credentials in the endpoint; expected an address without them"
        )
    if endpoint.scheme == "http":
        if endpoint.hostname in _LOOPBACK:
            taken["allow_http"] = "true"
        elif taken.get("allow_http") != "true":
            raise InvalidInput(
                "storage_options: found an endpoint without TLS on another machine; expected https://, or "
                "allow_http 'true' (AWS_ALLOW_HTTP) if the network itself is trusted"
            )
    return taken
