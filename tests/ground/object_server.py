"""A real object store of the tests' own: SeaweedFS on free ports of loopback, gone when they end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from .postgres_server import free_port

BUCKET = "ringfence-tests"
START_S = 60
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "owner": ("Admin", "Read", "List", "Tagging", "Write"),
    "writer": ("Read", "List", "Write"),
    "reader": ("Read", "List"),
}
"""Name → what he may. His access key is `NAME-key`, his secret `NAME-secret`."""


@dataclass
class ObjectServer:
    """A running server with one bucket."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def options(self, who: str = "writer", **others: str) -> dict[str, str]:
        """How somebody reaches it."""
        return {
            "aws_access_key_id": f"{who}-key",
            "aws_secret_access_key": f"{who}-secret",
            "aws_endpoint": self.endpoint,
            "aws_region": "us-east-1",
            **others,
        }

    def environment(self, who: str = "writer") -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": f"{who}-key",
            "AWS_SECRET_ACCESS_KEY": f"{who}-secret",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def store(self, bucket: str = BUCKET) -> S3Store:
        """The bucket past all that Ringfence does."""
        config: Any = self.options("owner")
        return S3Store(bucket, config=config, client_options={"allow_http": True})

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Every object beneath a prefix, with its bytes."""
        store = self.store()
        names = [found["path"] for part in obstore.list(store, prefix or None) for found in part]
        return {name: bytes(obstore.get(store, name).bytes()) for name in names}

    def start(self) -> None:
        ports = {name: free_port() for name in ("master", "volume", "filer")}
        separate = {f"{name}.port": port for name, port in ports.items()}
        separate |= {f"{name}.port.grpc": free_port() for name in (*ports, "s3")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("weed"),
                    *(
                        "server",
                        "-filer",
                        "-s3",
                        f"-dir={self.folder}",
                        "-ip=127.0.0.1",
                        "-ip.bind=127.0.0.1",
                    ),
                    *(f"-{name}={port}" for name, port in separate.items()),
                    *(
                        f"-s3.port={self.port}",
                        f"-s3.config={self.folder / 'people.json'}",
                        "-s3.port.iceberg=0",
                        "-s3.port.lance=0",
                    ),
                    *("-master.volumeSizeLimitMB=64", f"-filer.localSocket={self.folder / 'filer'}"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                # Its owner's first write makes the bucket.
                obstore.put(self.store(), "made", b"")
                obstore.delete(self.store(), "made")
                return
            except BaseError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-4000:]) from None
                time.sleep(0.1)

    def signal(self, what: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(what)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running_objects() -> Iterator[ObjectServer]:
    """Run a server while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="ringfence-objects-"))
    people = [
        {
            "name": name,
            "credentials": [{"accessKey": f"{name}-key", "secretKey": f"{name}-secret"}],
            "actions": list(actions),
        }
        for name, actions in PEOPLE.items()
    ]
    (folder / "people.json").write_text(json.dumps({"identities": people}))
    server = ObjectServer(folder, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
