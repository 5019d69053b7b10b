"""Send events to wherever OpenLineage's own configuration says; without one, into a file of the store.

Promise: :meth:`Backend.send` returns only once the backend has the event, and
the client adds nothing to it: no environment variable, no source code
location, no tag. A configuration in the folder a process happens to run in is
not read: it can name code to run.

Source: openlineage-python; docs/lineage.md.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from . import durable_files, lineage_transports
from .errors import StoreError
from .lineage_transports import NeverTaken, NotTaken

REFUSALS = frozenset({400, 413, 422})
"""HTTP statuses that say of one event that it will never be taken."""
DISABLED = "OPENLINEAGE_DISABLED"
_SETTINGS = ("OPENLINEAGE_CONFIG", "OPENLINEAGE_URL", "OPENLINEAGE__TRANSPORT")
_quieting = threading.Lock()
_levels: list[tuple[logging.Logger, int]] = []
_inside: list[None] = []


@dataclass(frozen=True, slots=True, repr=False)
class Backend:
    """One place events go to.

    Args:
        kind: What kind of transport it is, such as `http`.
        settings: What it was made from, as text; holds secrets.
        emit: Hands one event over, and returns once it is there.
        settle: Called when some were handed over; returns once they are durable.
        close: Lets it go.
    """

    kind: str
    settings: str
    emit: Callable[[Mapping[str, Any]], None]
    settle: Callable[[], None] = field(default=lambda: None)
    close: Callable[[], None] = field(default=lambda: None)

    def __repr__(self) -> str:
        return f"Backend({self.kind!r})"

    def send(self, event: Mapping[str, Any]) -> None:
        """Hand one event over.

        Raises:
            NotTaken: It was not confirmed.
            NeverTaken: It was refused for what it is.
        """
        with _quiet():
            try:
                self.emit(event)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  (whatever a transport raises, the event is kept)
                if isinstance(error.__cause__, StoreError):
                    # A part of a composite that stops at the first failure.
                    raise error.__cause__ from None
                status = _status(error)
                if status in REFUSALS:
                    raise NeverTaken(f"the {self.kind} backend answered {status}") from None
                # By its class alone: a message may name an address, with a password in it.
                reason = type(error).__name__ if status is None else f"HTTP {status}"
                raise NotTaken(f"the {self.kind} backend did not take it ({reason})") from None


def disabled() -> bool:
    """Say whether lineage is switched off by OpenLineage's own variable."""
    return os.environ.get(DISABLED, "").lower().strip() == "true"


def is_configured() -> bool:
    """Say whether OpenLineage's own configuration says where events go."""
    return any(name.startswith(_SETTINGS) for name in os.environ if os.environ[name]) or _home().is_file()


def configured() -> list[Backend]:
    """Return the backends that OpenLineage's own configuration names; none if it names none.

    The parts of a composite stand each by itself: one that is down holds up no other, and misses nothing.

    Raises:
        NotTaken: There is a configuration, and it names no transport that can be made.
    """
    with _quiet():
        try:
            found = _transport_settings()
            if found is None:
                if any(name.startswith(_SETTINGS) for name in os.environ if os.environ[name]):
                    raise NotTaken("OpenLineage's configuration cannot be read, or names no transport")
                return []
            return [_backend(each) for each in _parts(found)]
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  (a configuration can be wrong in any way)
            raise NotTaken(
                f"OpenLineage's configuration names no transport that can be made ({type(error).__name__})"
            ) from None


def own_file(path: Path) -> Backend:
    """Return the file that events go into if nothing else is said: one line each."""
    from openlineage.client.transport.file import FileConfig, FileTransport

    transport = FileTransport(FileConfig(log_file_path=str(path), append=True))

    def emit(event: Mapping[str, Any]) -> None:
        whole_lines(path)
        # As it is: to make objects of it, only to be taken apart again, costs more than all the rest.
        transport.emit({**event, "schemaURL": _schema_url()})  # type: ignore[arg-type]  # its serialiser takes both

    return Backend("file", str(path), emit, settle=lambda: durable_files.sync(path))


def whole_lines(path: Path) -> None:
    """Make the file if there is none, and cut off half a line that a process that died has left.

    Raises:
        OSError: It cannot be written, or is a link.
    """
    # Through a link it would be another's file that is cut off, and written to.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _transport_settings() -> dict[str, Any] | None:
    from openlineage.client.transport.noop import NoopConfig, NoopTransport

    known = set(os.environ)
    try:
        found: dict[str, Any] | None = _client_class()(transport=NoopTransport(NoopConfig())).config.transport
    finally:
        # The client writes the settings it found, with a secret among them, into the environment.
        for name in set(os.environ) - known:
            if name.startswith("OPENLINEAGE__"):
                os.environ.pop(name)
    if found and found.get("type"):
        return found
    if not (url := os.environ.get("OPENLINEAGE_URL")):
        return None
    settings: dict[str, Any] = {"type": "http", "url": url}
    if endpoint := os.environ.get("OPENLINEAGE_ENDPOINT"):
        settings["endpoint"] = endpoint
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        settings["auth"] = {"type": "api_key", "apiKey": key}
    return settings


def _client_class() -> Any:
    from openlineage.client import OpenLineageClient

    class Client(OpenLineageClient):
        """The client, without the configuration of the folder the process runs in."""

        @staticmethod
        def _find_yaml_config_path() -> str | None:
            named = os.environ.get("OPENLINEAGE_CONFIG")
            if named:
                return named if os.access(named, os.R_OK) else None
            return str(_home()) if _home().is_file() else None

    return Client


def _home() -> Path:
    return Path(os.path.expanduser("~"), ".openlineage", "openlineage.yml")


def _parts(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the transports of a composite that are all to have everything; else the one there is."""
    parts = settings.get("transports")
    one_after_the_other = (
        settings.get("continue_on_success", True) is True
        and settings.get("continue_on_failure", True) is True
    )
    if settings.get("type") != "composite" or not parts or not one_after_the_other:
        return [settings]
    return [dict(each) for each in (parts.values() if isinstance(parts, dict) else parts) if each]


def _backend(settings: dict[str, Any]) -> Backend:
    text = json.dumps(settings, sort_keys=True, default=str)
    transport = lineage_transports.made(settings)
    kind = str(transport.kind or type(transport).__name__)
    return Backend(
        kind,
        text,
        lambda event: transport.emit(lineage_transports.as_event(event)),
        lambda: lineage_transports.settle(transport),
        lambda: _closed(transport),
    )


@cache
def _schema_url() -> str:
    from openlineage.client import event_v2

    return str(event_v2.RunEvent._get_schema())


def _closed(transport: lineage_transports.Transport) -> None:
    with _quiet():
        transport.close(0)


def _status(error: Exception) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's DEBUG lines out of every log meanwhile: they hold settings with secrets, and paths."""
    with _quieting:
        if not _levels:
            known = [name for name in logging.root.manager.loggerDict if name.startswith("openlineage")]
            for logger in map(logging.getLogger, {"openlineage", *known}):
                if logger.isEnabledFor(logging.DEBUG):
                    _levels.append((logger, logger.level))
                    logger.setLevel(logging.INFO)
        _inside.append(None)
    try:
        yield
    finally:
        with _quieting:
            _inside.pop()
            while not _inside and _levels:
                logger, level = _levels.pop()
                logger.setLevel(level)
