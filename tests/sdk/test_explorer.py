"""The pages to look at: who may open them, what they show to whom, and what they never show."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence.explorer.serving import HEADERS, Explorer

ADA, BOB, CARL, OLGA, EVE = (f"acme/user:{name}" for name in ("ada", "bob", "carl", "olga", "eve"))
CANARY = "forty pumps at a floor price"
MARKUP = "<script>alert('x')</script>&\"'.txt"
SECRET = "merger-with-globex.txt"


class Firm:
    """A store with an offer that Bob may read, what he made from it, and what he may not."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store"
        self.store = ringfence.create(self.path, admin=ADA, embedder="hash")
        ada = self.store.as_user(ADA)
        bobs = ringfence.Label.from_mapping({"owner": BOB, "readers": [CARL]})
        carls = ringfence.Label.from_mapping({"owner": CARL})
        self.ingest(ringfence.Document(MARKUP, f"We offered {CANARY}.", label=bobs))
        self.offer = self.id_of(BOB, MARKUP)
        for who in (BOB, CARL):
            ada.grant(who, "ingest", "*", why="they write notes")
        self.ingest(ringfence.Document("note.txt", "In short.", label=bobs, parents=(self.offer,)), who=BOB)
        secret = ringfence.Document(SECRET, f"Secret: {CANARY}.", label=carls, parents=(self.offer,))
        self.ingest(secret, who=CARL)
        ada.grant(OLGA, "audit", "*", why="the audit of May", ticket="T-5")
        self.store.as_user(CARL).text(self.offer)
        self.explorers: list[Explorer] = []

    def ingest(self, document: ringfence.Document, who: str = ADA) -> None:
        summary = self.store.ingest([document], as_user=who)
        assert not summary.failed, summary

    def id_of(self, who: str, path: str) -> str:
        return next(each.id for each in self.store.as_user(who).list() if each.path == path)

    def explore(self, who: str) -> Explorer:
        made = Explorer(self.store.as_user(who))
        made.start()
        self.explorers.append(made)
        return made

    def records(self) -> list[dict[str, Any]]:
        files = sorted((self.path / "audit").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    made = Firm(tmp_path_factory.mktemp("explored"))
    yield made
    for each in made.explorers:
        each.close()
    made.store.close()


@pytest.fixture(scope="module")
def bob(firm: Firm) -> Explorer:
    return firm.explore(BOB)


@pytest.fixture(scope="module")
def olga(firm: Firm) -> Explorer:
    return firm.explore(OLGA)


def ask(
    explorer: Explorer, target: str, method: str = "GET", **headers: str
) -> tuple[int, Mapping[str, str], str]:
    """What a browser would get; `target` is beneath the token unless it begins with a slash."""
    if not target.startswith("/"):
        target = f"/{explorer.address.split('/')[3]}/{target}"
    connection = http.client.HTTPConnection("127.0.0.1", explorer.port, timeout=30)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


class Elements(HTMLParser):
    """The elements of a page: names, attributes, text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


# Who may open them.


def test_it_listens_on_loopback_alone(bob: Explorer) -> None:
    assert bob._server.server_address[0] == "127.0.0.1"
    addresses = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        if not address.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((address, bob.port), timeout=2)


def test_without_the_token_there_is_nothing_whatever_is_asked(
    bob: Explorer, olga: Explorer, firm: Firm
) -> None:
    others = olga.address.split("/")[3]
    answers = {
        ask(bob, target)[::2]
        for target in (
            "/",
            "/read",
            f"/{others}/",
            f"/{others}/read",
            f"/x/read?id={firm.offer}",
            "/favicon.ico",
        )
    }
    assert answers == {(404, "nothing here\n")}


def test_tokens_are_long_and_no_two_alike(bob: Explorer, olga: Explorer) -> None:
    tokens = {each.address.split("/")[3] for each in (bob, olga)}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "[::1]:PORT", "evil.example:PORT", ""]
)
def test_a_name_that_was_pointed_at_loopback_is_refused(bob: Explorer, host: str) -> None:
    status, _, body = ask(bob, "", Host=host.replace("PORT", str(bob.port)))
    assert (status, body) == (421, "nothing here\n")
    assert ask(bob, "", Host=bob.host)[0] == 200


def test_two_hosts_in_one_request_are_refused(bob: Explorer) -> None:
    with socket.create_connection(("127.0.0.1", bob.port), timeout=10) as raw:
        target = bob.address.removeprefix(f"http://{bob.host}")
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: {bob.host}\r\nHost: {bob.host}\r\n\r\n".encode())
        assert raw.recv(100).split()[1] == b"421"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "else"])
def test_another_sites_request_is_refused(bob: Explorer, site: str) -> None:
    assert ask(bob, "", Sec_Fetch_Site=site)[0] == 403
    assert ask(bob, "", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "X"])
def test_nothing_but_get_is_answered(bob: Explorer, method: str) -> None:
    status, headers, _ = ask(bob, "", method)
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "raw", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", b"\0" * 70_000]
)
def test_a_malformed_request_ends_and_the_next_one_is_answered(bob: Explorer, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", bob.port), timeout=15) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        assert b"200" not in connection.recv(100)
    assert ask(bob, "")[0] == 200


def test_every_answer_forbids_scripts_frames_other_origins_and_caches(bob: Explorer, firm: Firm) -> None:
    answers = [
        ask(bob, target, method)
        for target, method in (
            ("", "GET"),
            (f"read?id={firm.offer}", "GET"),
            ("style.css", "GET"),
            ("/", "GET"),
            ("", "POST"),
        )
    ]
    for _, headers, _ in answers:
        assert {name: headers.get(name) for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    assert {headers["Server"] for _, headers, _ in answers} == {"ringfence"}


def test_nothing_of_a_request_is_written(bob: Explorer, capfd: pytest.CaptureFixture[str]) -> None:
    for target in ("", "/nowhere", "read?id=7", "audit"):
        ask(bob, target)
    assert capfd.readouterr() == ("", "")


# What they show.


def test_a_reader_sees_what_he_may_read_and_why(bob: Explorer, firm: Firm) -> None:
    listed = Elements(ask(bob, "read")[2])
    assert MARKUP in listed.text
    assert "note.txt" in listed.text
    page = Elements(ask(bob, f"read?id={firm.offer}")[2])
    assert "Why you may read it" in page.text
    assert "p, *, *, *, read, owner" in page.text or "owner" in page.text
    assert "note.txt" in page.text
    assert "Who can read it" not in page.text
    assert "svg" in page.names


def test_what_a_reader_may_not_read_is_not_there(bob: Explorer, firm: Firm) -> None:
    hidden = firm.id_of(CARL, SECRET)
    every = [ask(bob, target)[2] for target in ("read", f"read?id={firm.offer}", "", "audit")]
    assert not any(SECRET in page or hidden in page for page in every)
    assert "utside what you may audit" not in every[1]
    unreadable, unknown = ask(bob, f"read?id={hidden}"), ask(bob, f"read?id={'0' * 32}")
    assert (unreadable[0], unreadable[2]) == (unknown[0], unknown[2]) == (404, unknown[2])


def test_an_auditor_sees_lineage_rights_and_reads_of_what_she_may_audit(olga: Explorer, firm: Firm) -> None:
    status, _, body = ask(olga, f"audit?id={firm.offer}")
    page = Elements(body)
    assert status == 200
    for said in (
        "Who can read it",
        "Rights and reads over time",
        BOB,
        CARL,
        "Outside what you may audit: 0 above",
    ):
        assert said in page.text
    assert firm.id_of(CARL, SECRET) in body
    assert MARKUP not in page.text
    assert "circle" in page.names
    why = Elements(ask(olga, f"why?id={firm.offer}&who={CARL}")[2])
    assert f"{CARL}: allow" in why.text
    assert f"{EVE}: deny" in Elements(ask(olga, f"why?id={firm.offer}&who={EVE}")[2]).text


def test_who_may_not_audit_is_refused_and_who_may_not_read_finds_nothing(
    bob: Explorer, olga: Explorer, firm: Firm
) -> None:
    assert ask(bob, "audit")[0] == 403
    assert ask(bob, f"audit?id={firm.offer}")[0] == 404
    assert ask(bob, f"why?id={firm.offer}&who={CARL}")[0] == 404
    assert ask(olga, f"read?id={firm.offer}")[0] == 404
    assert "Nothing." in ask(olga, "read")[2]


def test_each_look_is_a_record_of_the_subject(bob: Explorer, olga: Explorer, firm: Firm) -> None:
    before = len(firm.records())
    ask(bob, f"read?id={firm.offer}")
    ask(olga, f"audit?id={firm.offer}")
    made = firm.records()[before:]
    told = {(each["chain"][0]["actor"], each["verb"]) for each in made}
    assert {(BOB, "why"), (BOB, "lineage"), (OLGA, "who"), (OLGA, "lineage")} <= told
    assert any(who == OLGA and "audit" in verb for who, verb in told)
    before = len(firm.records())
    ask(bob, "/nowhere")
    ask(bob, "", "POST")
    assert len(firm.records()) == before


def test_a_right_that_is_gone_is_gone_from_the_next_page_on(firm: Firm) -> None:
    ada, fay = firm.store.as_user(ADA), "acme/user:fay"
    ada.grant(fay, "audit", "*", why="for a day")
    explorer = firm.explore(fay)
    assert ask(explorer, f"audit?id={firm.offer}")[0] == 200
    ada.revoke(fay, "audit", "*", why="the day is over")
    assert ask(explorer, f"audit?id={firm.offer}")[0] == 404
    assert ask(explorer, "audit")[0] == 403


def test_no_page_shows_content(bob: Explorer, olga: Explorer, firm: Firm) -> None:
    notes = firm.id_of(BOB, "note.txt")
    for explorer in (bob, olga):
        for target in (
            "",
            "read",
            "audit",
            *(f"{way}?id={each}" for way in ("read", "audit") for each in (firm.offer, notes)),
        ):
            assert CANARY not in ask(explorer, target)[2]


# What a page is made of.


def test_a_name_with_markup_is_text(bob: Explorer, firm: Firm) -> None:
    for target in ("read", f"read?id={firm.offer}", "read?id=%3Cscript%3Ealert(1)%3C/script%3E"):
        page = Elements(ask(bob, target)[2])
        assert "script" not in page.names
        assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]


def test_a_page_asks_for_nothing_from_elsewhere(bob: Explorer, olga: Explorer, firm: Firm) -> None:
    for explorer, way in ((bob, "read"), (olga, "audit")):
        token = f"/{explorer.address.split('/')[3]}/"
        page = Elements(ask(explorer, f"{way}?id={firm.offer}")[2])
        wanted = [value for name, value in page.attributes if name in ("href", "src", "action")]
        assert wanted
        assert all(each.startswith(token) for each in wanted)


def test_characters_that_hide_or_turn_are_shown() -> None:
    from ringfence.explorer.markup import element, table

    made = table(
        ("a",), [["evil\u202etxt.exe\x1b[31m\0\udc80"], [element("b", {"title": "x\u202ey\n"}, "z")]]
    )
    from xml.etree.ElementTree import tostring

    shown = tostring(made, encoding="unicode", method="html")
    assert not set(shown) & set("\u202e\x1b\0\udc80\n")


def test_many_of_a_kind_are_drawn_as_one_and_what_is_left_out_is_said() -> None:
    from xml.etree.ElementTree import tostring

    from ringfence.explorer import drawing
    from ringfence.explorer.looks import Graph, Node, Timeline

    asked = Node("a", "document", "a", 0, "a")
    made = [Node(f"{n}", "document", f"{n}", 1, f"{n}") for n in range(30)]
    graph = Graph({each.key: each for each in (asked, *made)}, {(each.key, "a") for each in made})
    shown = tostring(drawing.graph(graph, "a", lambda each: f"/{each}"), encoding="unicode")
    assert "and 22 more" in shown
    start, end = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    spans = [(f"acme/user:u{n:03}", start, end) for n in range(100)]
    assert "and 40 more" in tostring(
        drawing.timeline(Timeline(start, end, spans, [], [])), encoding="unicode"
    )
