"""A real HTTP receiver of lineage events, which can be down, refuse, and be slow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What came in, and what is answered.

    Args:
        status: What is answered; 201 takes an event.
        refused: Job whose events are answered with 422, each time.
    """

    url: str
    status: int = 201
    refused: str = ""
    slow_s: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: int = 0

    def states(self) -> list[tuple[str, str]]:
        """Job and state of each event, in order."""
        return [(event["job"]["name"], event["eventType"]) for event in self.events]

    def wait_for(self, count: int, within_s: float = 15.0) -> None:
        until = time.monotonic() + within_s
        while len(self.events) < count:
            assert time.monotonic() < until, f"{len(self.events)} events came in; expected {count}"
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    receiver = Receiver("")

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.asked += 1
            time.sleep(receiver.slow_s)
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.headers.append(dict(self.headers))
            status = 422 if event["job"]["name"] == receiver.refused else receiver.status
            if status == 201:
                receiver.events.append(event)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
