"""A store in a bucket whose server is gone or does not answer."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringfence_governance import bucket as bucket_module
from ringfence_governance.errors import StoreError

from .object_server import BUCKET, ObjectServer, running_objects
from .postgres_server import free_port
from .worlds import draft, make_world, open_world

HAL, DEX = "acme/user:hal", "acme/user:dex"
BOUND_S = 60


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def test_a_server_that_is_gone_is_named_and_asked_again(
    address: str, objects: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path / "world", address=address)
    world.put(draft("a", "one"), who=DEX)
    world.door.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with monkeypatch.context() as hurried, at_most(BOUND_S):
        hurried.setattr(bucket_module, "RETRY_S", 2)
        hurried.setattr(bucket_module, "RETRIES", 1)
        with pytest.raises(StoreError, match="cannot be reached, or does not answer"):
            open_world(world.folder)
    monkeypatch.setenv("AWS_ENDPOINT_URL", objects.endpoint)
    again = open_world(world.folder, world.clock)
    assert again.see(HAL).texts == ("one",)
    again.door.close()


@pytest.mark.soak
def test_a_server_that_is_gone_or_frozen_is_named_in_bounded_time_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_objects() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        world = make_world(tmp_path / "world", address=f"s3://{BUCKET}/gone")
        world.put(draft("a", "one"), who=DEX)
        before = world.ground.moment().publication
        monkeypatch.setattr(bucket_module, "REQUEST_S", 2)
        monkeypatch.setattr(bucket_module, "RETRY_S", 2)
        monkeypatch.setattr(bucket_module, "RETRIES", 1)
        server.signal(signal.SIGSTOP)
        with at_most(BOUND_S), pytest.raises(StoreError, match="cannot be reached, or does not answer"):
            open_world(world.folder)
        with at_most(BOUND_S), pytest.raises(StoreError, match="cannot be reached, or does not answer"):
            world.put(draft("b", "two"), who=DEX)
        server.signal(signal.SIGCONT)
        monkeypatch.setattr(bucket_module, "REQUEST_S", 30)
        assert world.ground.moment().publication == before
        world.put(draft("b", "two"), who=DEX)
        assert world.see(HAL).texts == ("one", "two")
        server.stop()
        with at_most(BOUND_S), pytest.raises(StoreError, match="cannot be reached, or does not answer"):
            world.put(draft("c", "three"), who=DEX)
        with at_most(BOUND_S), pytest.raises(StoreError, match="cannot be reached, or does not answer"):
            open_world(world.folder)
        world.door.close()
