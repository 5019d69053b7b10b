"""Start a module's program in a process of its own without loading everything anew.

For each module one process loads it, and what it may need later, and does nothing else; every program is a fork of it,
with the files, folder and environment it would have had if it had been started. It is killed and waited for like any
other. The threads that loading starts, of Arrow, numpy and LanceDB, are idle then, and their owners start them again
in a fork.
`python -m ground.forks MODULE FD` is that first process.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LAZY = ("lancedb", "duckdb", "openlineage.client", "openlineage.client.transport.file", "pyarrow.parquet")
"""What is loaded only when something is written or read; a fork would load it each time."""

REQUEST_BYTES = 1 << 20
"""More than a command and an environment take."""


class Child:
    """A program that runs; what it is told and says are lines."""

    def __init__(self, control: socket.socket, told: int, says: int) -> None:
        self._control = control
        self.pid = int(control.recv(64))
        self.returncode: int | None = None
        self.stdin = open(told, "w", buffering=1)  # noqa: SIM115  (closed by `close`)
        self.stdout = open(says)  # noqa: SIM115  (closed by `close`)

    def wait(self) -> int:
        """Wait for its end; minus the signal that ended it, else what it returned."""
        if self.returncode is None:
            self.returncode = int(self._control.recv(64))
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.returncode is None and not select.select([self._control], [], [], 0)[0]:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Kill it if it runs, wait for its end, and close what leads to it."""
        self.send_signal(signal.SIGKILL)
        self.wait()
        self.stdout.close()
        self.stdin.close()
        self._control.close()


def started(module: str, *arguments: str, preloaded: Path | None = None) -> Child:
    """Start `main(arguments)` of a module; it finds a preloaded library as if it had been started with it."""
    control, theirs = socket.socketpair()
    told, tell = os.pipe()
    heard, says = os.pipe()
    request = json.dumps([arguments, dict(os.environ), str(Path.cwd())]).encode()
    with theirs:
        ours = _loaded(module, preloaded)
        socket.send_fds(ours, [request], [told, says, 2, theirs.fileno()])
    os.close(told)
    os.close(says)
    return Child(control, tell, heard)


@functools.cache
def _loaded(module: str, preloaded: Path | None) -> socket.socket:
    """Return the way to the process that has loaded a module; it ends when this one does."""
    tests = Path(__file__).parents[1]
    roots = [tests, *(tests.parent / name for name in ("governance", "policies"))]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * REQUEST_BYTES)
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", "ground.forks", module, str(theirs.fileno())],
            env={
                # Not the temporary folder of a test: what is loaded once serves other tests too.
                **{name: value for name, value in os.environ.items() if name != "TMPDIR"},
                "PYTHONPATH": os.pathsep.join(map(str, roots)),
                **({} if preloaded is None else {"LD_PRELOAD": str(preloaded)}),
            },
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(_end, ours, child)
    return ours


def _end(ours: socket.socket, child: subprocess.Popen[bytes]) -> None:
    ours.close()
    child.wait()


def serve(module: str, descriptor: int) -> None:
    """Load a module, and fork at every request until nobody can ask any more."""
    program = importlib.import_module(module)
    for lazy in LAZY:
        importlib.import_module(lazy)
    # Python tries its temporary folder out when it is first asked for: here, not in one that a test watches.
    tempfile.gettempdir()
    # Their warnings are of forks in the middle of work; here nothing was begun.
    warnings.filterwarnings("ignore", "lance is not fork-safe|lancedb fork support")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as requests:
        while True:
            request, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
            if not request:
                return
            if os.fork() == 0:
                requests.close()
                _mind(program, json.loads(request), files)
            for file in files:
                os.close(file)


def _mind(program: Any, request: Sequence[Any], files: Sequence[int]) -> None:
    """Run a program in a fork of this fork, tell its number, wait for its end, and tell that."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, control = files
    child = os.fork()
    if child == 0:
        os.close(control)
        os._exit(_run(program, request, streams))
    for stream in streams:
        os.close(stream)
    with socket.socket(fileno=control) as asker:
        asker.send(f"{child:<64}".encode())
        _, status = os.waitpid(child, 0)
        asker.send(f"{os.waitstatus_to_exitcode(status):<64}".encode())
    os._exit(0)


def _run(program: Any, request: Sequence[Any], streams: Sequence[int]) -> int:
    arguments, environment, folder = request
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    # The standard streams of Python stand on these numbers already; nothing was read or written yet.
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        program.main(arguments)
    except BaseException:  # noqa: BLE001  (as Python does at the end of a program)
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
