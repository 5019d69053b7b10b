"""Serve the pages on loopback, to the one who was told the address.

Promise: nothing is answered but GET, for a host name of loopback and an
address that holds the token; every answer forbids scripts, frames, other
origins and caches. Nothing is written about a request.

Must never: listen on another interface; put the token where another user of
the machine sees it.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ringfence.reader import Reader
from ringfence_governance.errors import InvalidInput, NotReadable, RingfenceError
from ringfence_governance.errors import Refused as NotAllowed

from . import looks
from .pages import AUDIT, READ, Pages
from .stylesheet import CSS

LOOPBACK = "127.0.0.1"
TOKEN_BYTES = 32
IDLE_S = 10
"""How long a connection may say nothing."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HTML, STYLE = "text/html; charset=utf-8", "text/css; charset=utf-8"
ELSEWHERE = b"nothing here\n"

Answer = tuple[int, str, bytes]
"""Status, media type, body."""


class Explorer:
    """The pages of one subject, served until it is closed."""

    def __init__(self, reader: Reader, port: int = 0) -> None:
        """Bind the port.

        Args:
            port: 0 for any that is free.

        Raises:
            OSError: The port is taken.
        """
        self._reader = reader
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._pages = Pages(f"/{self._token}", reader.subject.person)
        self._asking = threading.Lock()
        self._server = _Server((LOOPBACK, port), _Handler)
        self._server.explorer = self
        self.port: int = self._server.server_address[1]

    def __repr__(self) -> str:
        return f"Explorer(port={self.port})"

    @property
    def address(self) -> str:
        """Where the first page is. Whoever has it looks as the subject, until this is closed."""
        return f"http://{self.host}/{self._token}/"

    @property
    def host(self) -> str:
        """What a request's `Host` must be."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Serve, beside the caller."""
        threading.Thread(target=self._server.serve_forever, name="ringfence-explore", daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str) -> Answer:
        """Return what is at an address; see :meth:`_found` for what the subject is told."""
        parts = urlsplit(target)
        _, token, *rest = [*parts.path.split("/", 2), ""][:3]
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return HTTPStatus.NOT_FOUND, "text/plain", ELSEWHERE
        asked = {name: values[-1] for name, values in parse_qs(parts.query, max_num_fields=8).items()}
        if rest[0] == "style.css":
            return HTTPStatus.OK, STYLE, CSS.encode()
        # One page at a time: each may open what takes memory.
        with self._asking:
            return self._found(rest[0], asked)

    def _found(self, name: str, asked: dict[str, str]) -> Answer:
        try:
            page = self._page(name, asked)
        except NotReadable:
            return self._error(
                HTTPStatus.NOT_FOUND,
                "Not found",
                "It is unknown, or nothing that you may look at in this way.",
            )
        except NotAllowed as error:
            return self._error(HTTPStatus.FORBIDDEN, "Refused", str(error))
        except InvalidInput as error:
            return self._error(HTTPStatus.BAD_REQUEST, "Not understood", str(error))
        except RingfenceError as error:
            return self._error(HTTPStatus.SERVICE_UNAVAILABLE, "Not to be had now", str(error))
        if page is None:
            return self._error(HTTPStatus.NOT_FOUND, "Not found", "There is no such page.")
        return HTTPStatus.OK, HTML, page

    def _page(self, name: str, asked: dict[str, str]) -> bytes | None:
        reader, pages, found = self._reader, self._pages, asked.get("id", "").strip()
        if name == "":
            return pages.home()
        if name == READ:
            if found:
                return pages.look(looks.own_look(reader, found), READ)
            return pages.listing(looks.own_documents(reader), READ)
        if name == AUDIT:
            if found:
                return pages.look(looks.audited_look(reader, found), AUDIT)
            return pages.listing(looks.audited_documents(reader), AUDIT)
        if name == "why" and found:
            facts = looks.explained(reader, found, asked.get("who", ""), asked.get("purpose", ""))
            return pages.explained(found, facts)
        return None

    def _error(self, status: HTTPStatus, title: str, message: str) -> Answer:
        return status, HTML, self._pages.error(title, message)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    explorer: Explorer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: an error's text may hold what was being read."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = IDLE_S

    def version_string(self) -> str:
        return "ringfence"

    def log_message(self, format: str, *given: Any) -> None:  # noqa: A002  (the name is that of the base)
        """Write nothing: an address holds the token."""

    def do_GET(self) -> None:
        """Answer a request whose `Host` and origin are our own."""
        hosts = self.headers.get_all("Host") or []
        # A page of another site that had its name point at loopback sends that name.
        if hosts != [self.server.explorer.host]:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", ELSEWHERE)
        elif self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", ELSEWHERE)
        else:
            self._send(*self.server.explorer.answer(self.path))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no GET, or malformed, without repeating any of it."""
        self._send(
            HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code,
            "text/plain",
            ELSEWHERE,
        )

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": media_type, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        self.wfile.write(body)
