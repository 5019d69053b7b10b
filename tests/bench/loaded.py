"""Run modules of the benchmarks as `python -m` does, without loading in each process what all of them load.

One process loads it and does nothing else; every run is a fork of it, with the files, folder and environment it would
have had. What a run starts itself is started so too: it is told that Python is `launcher`, below. In a quick run
nothing is measured, and most of the time it takes is loading.

`python loaded.py serve SOCKET` is that first process; `python loaded.py run SOCKET -m MODULE …` asks it for a fork,
waits, and ends as that one did.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

REQUEST_BYTES = 1 << 17
"""More than a command and an environment take."""

LOADED = ("bench.__main__", "bench.authority.__main__", "bench.ground.__main__", "bench.indexed")
LOADED += ("bench.audit_cost", "bench.lineage_cost", "bench.authority.listing", "bench.authority.watching")
LOADED += ("bench.authority.size", "bench.authority.revocation", "bench.peers.__main__", "bench.hot_path")
LOADED += (
    "bench.peers.ringfence_engines",
    "bench.peers.words.ringfence_engines",
    "bench.peers.words.lancedb_engines",
)
LOADED += ("lancedb", "openlineage.client", "openlineage.client.transport.file")


def serve(path: str) -> None:
    """Load everything, say so, and fork at every request until the standard input is closed."""
    import importlib
    import select
    import warnings

    for name in LOADED:
        importlib.import_module(name)
    # Their warnings are of forks in the middle of work; here nothing was begun.
    warnings.filterwarnings("ignore", "lance is not fork-safe|lancedb fork support")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.bind(path)
        asked.listen()
        print("ready", flush=True)
        while sys.stdin not in (ready := select.select([sys.stdin, asked], [], [])[0]):
            assert ready == [asked]
            control, _ = asked.accept()
            if os.fork() == 0:
                asked.close()
                _mind(path, control)
            control.close()


def _mind(path: str, control: socket.socket) -> None:
    """Run what is asked for in a fork of this fork, wait for its end, and tell it."""
    import json

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, files, _, _ = socket.recv_fds(control, REQUEST_BYTES, 3)
    child = os.fork()
    if child == 0:
        control.close()
        os._exit(_run(path, *json.loads(request), files))
    for file in files:
        os.close(file)
    _, status = os.waitpid(child, 0)
    control.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(path: str, words: list[str], environment: dict[str, str], folder: str, files: list[int]) -> int:
    import runpy
    import traceback

    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    # The standard streams of Python stand on these numbers already; nothing was read or written yet.
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.executable = launcher(path)
    sys.argv = words[1:]
    # Executed anew as the program that is run; of a package that is its `__main__`.
    package = hasattr(sys.modules.get(words[1]), "__path__")
    sys.modules.pop(f"{words[1]}.__main__" if package else words[1], None)
    code = 0
    try:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  (as Python does at the end of a program)
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


def launcher(path: str) -> str:
    """Return the program that is started as Python is, beside the socket."""
    return f"{path}.python"


def write_launcher(path: str) -> None:
    """Make that program; what is no module it leaves to Python."""
    script = Path(launcher(path))
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -m ] && exec {sys.executable} -I -S {__file__} run {path} "$@"\n'
        f'exec {sys.executable} "$@"\n'
    )
    script.chmod(0o700)


def ask(path: str, words: list[str]) -> None:
    """Have the words run with this process's files, folder and environment, and end as they do."""
    import json

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * REQUEST_BYTES)
        control.connect(path)
        request = json.dumps([words, dict(os.environ), str(Path.cwd())]).encode()
        socket.send_fds(control, [request], [0, 1, 2])
        code = int(control.recv(64))
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    verb, place, *rest = sys.argv[1:]
    serve(place) if verb == "serve" else ask(place, rest)
