"""No word of a document, no path, title, owner, label name or secret is in any event, log or file, in any transport."""

from __future__ import annotations

import json
import logging
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ringfence_governance.lineage import SET_ASIDE_NAME

from .lineage_jobs import CANARY, run_every_job
from .lineage_receiver import receiving
from .worlds import ADMIN, World, copy_world

SECRET = "an-api-key-of-the-backend"
PASSWORD = "a-password-in-an-address"


@dataclass(frozen=True)
class Left:
    """Everything that was written while every job ran, in each transport."""

    folder: Path
    logged: str
    received: str
    headers: str
    printed: str
    status: str
    store: Path


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s %(exc_text)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def left(alone_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("left")
    world = copy_world(alone_template, folder / "world")
    lines = _Lines()
    logger = logging.getLogger()
    level = logger.level
    client = logging.getLogger("openlineage.client.transport.http")
    with pytest.MonkeyPatch.context() as patch, receiving() as taking, receiving() as refusing:
        refusing.status = 422
        password = f"http://user:{PASSWORD}@127.0.0.1:1"
        transports = {
            "http": {
                "type": "http",
                "url": taking.url,
                "auth": {"type": "api_key", "apiKey": SECRET},
                "custom_headers": {"X-Token": SECRET},
            },
            "refusing": {"type": "http", "url": refusing.url},
            "down": {"type": "http", "url": password},
            "background": {"type": "async_http", "url": taking.url, "retry": {"total": 0}},
            "file": {"type": "file", "log_file_path": str(folder / "events.jsonl"), "append": True},
            "console": {"type": "console"},
        }
        settings = {
            "transport": {"type": "composite", "transports": transports},
            "facets": {"environment_variables": ["A_SECRET"]},
            "tags": {"run": {"team": f"{CANARY}-tag"}},
        }
        (folder / "openlineage.yml").write_text(json.dumps(settings))
        patch.setenv("OPENLINEAGE_CONFIG", str(folder / "openlineage.yml"))
        patch.setenv("A_SECRET", SECRET)
        logger.addHandler(lines)
        logger.setLevel(logging.DEBUG)
        client.setLevel(logging.DEBUG)
        try:
            run_every_job(world, folder)
            status = json.dumps(world.ground.lineage.flush())
            world.door.close()
        finally:
            logger.removeHandler(lines)
            logger.setLevel(level)
            client.setLevel(logging.NOTSET)
        yield Left(
            folder,
            "\n".join(lines.lines),
            json.dumps(taking.events),
            json.dumps(taking.headers),
            repr(world.ground.lineage),
            status,
            world.folder,
        )


def test_every_transport_was_really_used(left: Left) -> None:
    assert left.received.count("COMPLETE") > 20
    assert SECRET in left.headers
    for name in ("events.jsonl", f"world/store/lineage/{SET_ASIDE_NAME}"):
        assert (left.folder / name).read_text().count("COMPLETE") > 10
    assert "openlineage.client.transport.console" in left.logged
    assert json.loads(left.status)["waiting"] > 50, "what the one that is down has not taken waits"


def test_no_event_holds_anything_but_opaque_names(left: Left) -> None:
    told = left.received + "".join(
        (left.folder / name).read_text() for name in ("events.jsonl", f"world/store/lineage/{SET_ASIDE_NAME}")
    )
    for word in (CANARY, SECRET, ADMIN, "acme", "a test asks for it", "/srv/share", str(left.folder)):
        assert word not in told, word


@pytest.mark.parametrize("word", [CANARY, SECRET, PASSWORD])
def test_no_log_holds_content_or_a_secret(left: Left, word: str) -> None:
    """The root logger and the client's own at DEBUG."""
    assert not [line for line in left.logged.splitlines() if word in line]


def test_the_state_says_what_is_wrong_and_names_no_address(left: Left) -> None:
    assert "the http backend did not take it" in left.status
    for word in (CANARY, SECRET, PASSWORD, "127.0.0.1", str(left.folder)):
        assert word not in left.status


def test_no_file_of_the_store_holds_a_word_of_any_of_it(left: Left) -> None:
    """The queue in the catalog holds the events that wait, sealed, and no setting of a backend."""
    files = [file for file in left.store.rglob("*") if file.is_file()]
    assert len(files) > 20
    for word in (CANARY, SECRET, PASSWORD, urllib.parse.quote(PASSWORD)):
        assert [file.name for file in files if word.encode() in file.read_bytes()] == []
    waits = (left.store / "store" / "catalog.db").read_bytes()
    assert b"eventType" not in waits
