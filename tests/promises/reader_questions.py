"""Ask everything a reader can ask, and keep every byte of what he gets: answers, errors, what they print.

For the SDK and for the command line, so that two stores can be compared, or a
whole answer be searched for what does not belong in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ringfence_policies
from ringfence import field
from ringfence.cli import app
from ringfence.reader import Reader
from ringfence_governance.labels import Label
from ringfence_governance.stopping import CancelToken

from .random_firm import GROUPS, NAMED, Asker

SHIPPED = Path(ringfence_policies.__file__ or "").parent / "default"
MODES = ("vector", "text", "hybrid")
TIMES = ("2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "yesterday")
UNKNOWN_ID = "0123456789abcdef" * 2
MALFORMED_IDS = ("", "docs/1.txt", "0" * 33, "A" * 32, "acme", "a/label:l0")
CERTIFICATE = json.dumps({"store": UNKNOWN_ID, "erasure": UNKNOWN_ID, "documents": [], "signature": ""})
"""Of an erasure that never was."""
QUERIES = ("offer pump", "Meridian salary", "number1 number2 number3", "nothing of the sort", "l0 label")

OPERATORS = (
    '"offer pump"',
    "“Meridian salary” bud*",
    "mer* of*",
    '"audit" "leak"',
    '"number1 number2 number3"',
    '"nothing of the sort" noth*',
    'a 5" pump and **leak**',
    '"a" b* ' * 60,
)
"""Questions with phrases and prefixes: of words that all may hold, that others hold alone, and that nobody does."""

PAGES_MAX = 4
FILTERS = {
    "kind": {"where": field("media_type") == "text/plain"},
    "path": {"where": field("path").startswith("docs/") | (field("size") > 60)},
    "not": {"where": ~field("path").isin(["docs/1.txt", "docs/2.txt"]), "min_score": 0.01},
    "none": {"where": field("source") == "file:///nowhere"},
    "documents": {"group_by": "document", "facets": ["media_type", "source"]},
    "facets": {"where": field("size") > 30, "facets": ["media_type", "source", "source_kind"]},
    "time": {"since": "2026-01-05T00:00:00Z", "until": "2026-01-20T00:00:00Z"},
}


def bytes_of(answer: Callable[[], Any]) -> bytes:
    """Return everything a call gives back, or all of the error it ends in."""
    try:
        found = answer()
    except Exception as error:  # noqa: BLE001  (every error is an answer here)
        facts = {name: repr(value) for name, value in sorted(vars(error).items())}
        told = [type(error).__name__, str(error), repr(error), repr(error.args), facts]
        return json.dumps(["raised", *told]).encode()
    if isinstance(found, list):
        return json.dumps(found, sort_keys=False).encode()
    plain = found.to_mapping() if hasattr(found, "to_mapping") else found
    return json.dumps([plain, repr(found), str(found)]).encode()


def sdk_answers(reader: Reader, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of every answer of every verb, about these ids and about none."""
    yield "repr", repr(reader).encode()
    yield "list", bytes_of(reader.list)
    yield "count", bytes_of(reader.count)
    yield "prewarm", bytes_of(reader.prewarm)
    yield "status", bytes_of(reader.status)
    for documents in (False, True):
        yield f"what {documents}", bytes_of(lambda d=documents: reader.what(documents=d))
    yield from searches(reader)
    yield from answers_of_times(reader)
    for found in (*ids, UNKNOWN_ID, *MALFORMED_IDS):
        yield f"text {found}", bytes_of(lambda f=found: reader.text(f))
        yield f"why {found}", bytes_of(lambda f=found: reader.why(f))
        yield from lineages(reader, found)
    for found in (*ids[-2:], UNKNOWN_ID):
        yield f"who {found}", bytes_of(lambda f=found: reader.who(f))
        yield f"why_for {found}", bytes_of(lambda f=found: reader.why_for("a/user:u1", f))
        for at in TIMES:
            yield f"who {found} {at}", bytes_of(lambda f=found, t=at: reader.who(f, at=t))
            yield (
                f"why_for {found} {at}",
                bytes_of(lambda f=found, t=at: reader.why_for("a/user:u1", f, at=t)),
            )
    for name in ("a/user:u1", "a/user:none", "b/user:u0"):
        for at in (None, *TIMES):
            yield f"what_for {name} {at}", bytes_of(lambda n=name, t=at: reader.what_for(n, at=t))
    yield from refused_changes(reader)


def searches(reader: Reader) -> Iterator[tuple[str, bytes]]:
    """Yield every way to search, well asked and badly."""
    for mode in MODES:
        for place, query in enumerate(QUERIES):
            k = (1000, 3, 1, 7, 1000)[place]
            yield f"search {mode} {query}", bytes_of(lambda q=query, k=k, m=mode: reader.search(q, k, m))
        yield f"search {mode} explained", bytes_of(lambda m=mode: reader.search("offer", 3, m, explain=True))
        for name, chosen in FILTERS.items():
            yield (
                f"search {mode} where {name}",
                bytes_of(lambda m=mode, c=chosen: reader.search("offer pump", 5, m, explain=True, **c)),
            )
        for query in OPERATORS:
            for syntax in ("operators", "plain"):
                yield (
                    f"search {mode} {syntax} {query}",
                    bytes_of(
                        lambda m=mode, q=query, s=syntax: reader.search(q, 6, m, syntax=s, explain=True)
                    ),
                )
        yield (
            f"search {mode} phrase of documents",
            bytes_of(lambda m=mode: reader.search(OPERATORS[0], 6, m, **FILTERS["documents"])),
        )
        yield f"context {mode} phrase", bytes_of(lambda m=mode: reader.context(OPERATORS[0], mode=m))
        yield from pages(reader, mode)
        yield (
            f"search {mode} reranked",
            bytes_of(lambda m=mode: reader.search("offer pump", 4, m, rerank=6, explain=True)),
        )
        yield f"context {mode}", bytes_of(lambda m=mode: reader.context(QUERIES[0], mode=m))
    many = ("offer", "pump", "nothing of the sort", '"offer pump" sal*')
    yield (
        "search_many",
        bytes_of(lambda: [each.to_mapping() for each in reader.search_many(many, 4, explain=True)]),
    )
    yield (
        "search_many reranked",
        bytes_of(lambda: [each.to_mapping() for each in reader.search_many(many, 2, rerank=3)]),
    )
    yield "context reranked", bytes_of(lambda: reader.context(QUERIES[0], 60, 5, rerank=8))
    yield "search timeout", bytes_of(lambda: reader.search("offer", timeout=1e-9))
    yield "context timeout", bytes_of(lambda: reader.context("offer", timeout=1e-9))
    yield "search no timeout", bytes_of(lambda: reader.search("offer", timeout=0))
    yield "search cancelled", bytes_of(lambda: reader.search("offer", cancel=cancelled()))
    yield "search_many cancelled", bytes_of(lambda: reader.search_many(many, cancel=cancelled()))
    yield "search rerank", bytes_of(lambda: reader.search("offer", 5, rerank=4))
    yield "search_many of none", bytes_of(lambda: reader.search_many([]))
    yield "search_many with a blank", bytes_of(lambda: reader.search_many(["pump", " "]))
    yield "search behind none", bytes_of(lambda: reader.search("offer", cursor="AAAA"))
    for name in ("sha256", "nothing", "path"):
        yield f"search facets {name}", bytes_of(lambda n=name: reader.search("offer", facets=[n]))
        yield f"search where {name}", bytes_of(lambda n=name: reader.search("offer", where=field(n) == "x"))
    yield "context since", bytes_of(lambda: reader.context(QUERIES[0], since="2026-01-01T00:00:00Z"))
    for tokens_max, k in ((40, 1000), (150, 3), (0, 1)):
        yield f"context {tokens_max}", bytes_of(lambda t=tokens_max, k=k: reader.context(QUERIES[2], t, k))
    yield "search nothing", bytes_of(lambda: reader.search(" "))
    yield "search syntax", bytes_of(lambda: reader.search("offer", syntax="lucene"))
    yield "search k", bytes_of(lambda: reader.search("offer", 0))
    yield "search language", bytes_of(lambda: reader.search("offer", language="klingon"))


def cancelled() -> CancelToken:
    token = CancelToken()
    token.cancel()
    return token


def pages(reader: Reader, mode: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the pages of an answer, each asked for with the cursor of the one before."""
    cursor = None
    for number in range(PAGES_MAX):
        page = reader.search("offer pump", 2, mode, where=FILTERS["not"]["where"], cursor=cursor)
        yield f"search {mode} page {number}", bytes_of(lambda p=page: p)
        cursor = page.cursor
        if cursor is None:
            return


def answers_of_times(reader: Reader) -> Iterator[tuple[str, bytes]]:
    for at in TIMES:
        yield f"list {at}", bytes_of(lambda t=at: reader.list(at=t))
        yield f"count {at}", bytes_of(lambda t=at: reader.count(at=t))
        yield f"search {at}", bytes_of(lambda t=at: reader.search(QUERIES[0], at=t))
        yield f"search phrase {at}", bytes_of(lambda t=at: reader.search("off* " + OPERATORS[0], at=t))
        yield f"context {at}", bytes_of(lambda t=at: reader.context(QUERIES[0], at=t))
        yield f"why {at}", bytes_of(lambda t=at: reader.why(UNKNOWN_ID, at=t))
        yield f"text {at}", bytes_of(lambda t=at: reader.text(UNKNOWN_ID, at=t))


def lineages(reader: Reader, found: str) -> Iterator[tuple[str, bytes]]:
    """Yield what he is told of where something came from and what was made from it, asked in each way."""
    for way in ("ancestors", "descendants"):
        yield f"lineage {found} {way}", bytes_of(lambda w=way: reader.lineage(found, direction=w, depth=3))
    yield f"lineage {found} audited", bytes_of(lambda: reader.lineage(found, audit=True))


def refused_changes(reader: Reader) -> Iterator[tuple[str, bytes]]:
    """Yield the answers to who may not administer and asks all the same, about names there are and are not."""
    yield "log", bytes_of(lambda: list(reader.log()))
    yield "policy", bytes_of(lambda: list(reader.policy()))
    yield "audit_database", bytes_of(reader.audit_database)
    yield "verify_log", bytes_of(reader.verify_log)
    yield "sign_log", bytes_of(reader.sign_log)
    yield "keep_log", bytes_of(lambda: reader.keep_log(days=0))
    for record in (f"{UNKNOWN_ID}:1", "none"):
        yield f"prove {record}", bytes_of(lambda r=record: reader.prove_record(r))
    for name in (NAMED[0], NAMED[-1], "a/label:none", "a/set:s", "*", "a/policy"):
        yield f"grant {name}", bytes_of(lambda n=name: reader.grant("a/user:u0", "read", n, why="x"))
        yield f"revoke {name}", bytes_of(lambda n=name: reader.revoke("a/user:u0", "read", n, why="x"))
    for group in (GROUPS[0], "a/group:none"):
        yield f"add {group}", bytes_of(lambda g=group: reader.add_member("a/user:u0", g, why="x"))
        yield f"remove {group}", bytes_of(lambda g=group: reader.remove_member("a/user:u0", g, why="x"))
    label = Label("a", "a/user:u0")
    for name in (NAMED[0], NAMED[1], "a/label:none"):
        yield f"define {name}", bytes_of(lambda n=name: reader.define_label(n, label, why="x"))
        yield f"redefine {name}", bytes_of(lambda n=name: reader.redefine_label(n, label, why="x"))
        yield f"expire {name}", bytes_of(lambda n=name: reader.expire_label(n, why="x"))
        yield f"history {name}", bytes_of(lambda n=name: list(reader.label_history(n)))
    yield "labels", bytes_of(lambda: list(reader.labels()))
    yield "diff", bytes_of(lambda: reader.diff_policy(SHIPPED))
    yield "apply", bytes_of(lambda: reader.apply_policy(SHIPPED, why="x"))
    yield "compact", bytes_of(reader.compact)
    yield "calibrate", bytes_of(lambda: reader.calibrate(why="x"))
    yield "rotate keys", bytes_of(lambda: reader.rotate_keys(why="x"))
    yield "keys status", bytes_of(reader.keys_status)
    yield "flush lineage", bytes_of(reader.flush_lineage)
    for found in (UNKNOWN_ID, *MALFORMED_IDS):
        yield f"answer {found}", bytes_of(lambda f=found: reader.register_answer("An offer.", [f]))
        yield f"erase {found}", bytes_of(lambda f=found: reader.erase(f, why="x"))
        for name in (NAMED[0], "a/label:none"):
            yield f"relabel {found} {name}", bytes_of(lambda f=found, n=name: reader.relabel(f, n, why="x"))
    for certificate in (CERTIFICATE, "{}"):
        yield f"verify {certificate}", bytes_of(lambda c=certificate: reader.verify_erasure(c))


def commands(asker: Asker, ids: Sequence[str]) -> Iterator[list[str]]:
    """Yield the words of every command a reader can give about a store; `STORE` stands for it."""
    who = ["--as", asker.person, "--json"]
    carried = [word for agent in asker.chain[1:] for word in ("--via", agent)]
    carried += ["--purpose", asker.purpose] if asker.purpose else []
    for mode in MODES:
        yield ["search", "STORE", QUERIES[0], *who, *carried, "--mode", mode, "-k", "50"]
        yield ["context", "STORE", QUERIES[0], *who, *carried, "--mode", mode, "--tokens", "200"]
        yield ["search", "STORE", OPERATORS[1], *who, *carried, "--mode", mode, "--explain"]
    for chosen in (
        ["--where", "path^=docs/", "--where", "size>3"],
        ["--since", "2026-01-05T00:00:00Z"],
        ["--min-score", "1"],
    ):
        yield ["search", "STORE", QUERIES[0], *who, *carried, *chosen]
    yield ["search", "STORE", OPERATORS[0], *who, "--syntax", "plain", "--explain"]
    yield ["context", "STORE", OPERATORS[0], *who, "--syntax", "plain"]
    yield ["search", "STORE", "offer", *who, "--where", "sha256=x"]
    yield ["search", "STORE", "offer", *who, "--cursor", "AAAA"]
    yield ["answer", "STORE", str(SHIPPED / "policy.csv"), "--from", UNKNOWN_ID, *who, *carried]
    yield ["search", "STORE", " ", *who]
    yield ["search", "STORE", "offer", *who, "-k", "-3"]
    yield ["search", "STORE", "offer", *who, "-k", "3", "--rerank", "5"]
    yield ["context", "STORE", "offer", *who, "-k", "3", "--rerank", "5", "--reranker", "/nowhere/at/all"]
    yield ["context", "STORE", "offer", *who, "--at", TIMES[0]]
    yield ["list", "STORE", *who, *carried]
    yield ["list", "STORE", *who, "--at", TIMES[0]]
    yield ["search", "STORE", "offer", *who, "--at", TIMES[0]]
    for found in (*ids, UNKNOWN_ID, "docs/1.txt", ""):
        yield ["why", "STORE", found, *who, *carried]
    for found in (ids[-1], UNKNOWN_ID):
        yield ["lineage", "show", "STORE", found, *who]
        yield ["lineage", "show", "STORE", found, "--descendants", "--depth", "2", "--audit", *who]
    yield ["what", "STORE", *who, *carried]
    yield ["what", "STORE", *who, *carried, "--documents"]
    yield ["what", "STORE", "a/user:u1", *who]
    yield ["what", "STORE", "a/user:u1", *who, "--at", TIMES[0]]
    for found in (ids[-1], UNKNOWN_ID):
        yield ["who", "STORE", found, *who]
        yield ["who", "STORE", found, *who, "--at", TIMES[0]]
        yield ["why", "STORE", found, "--as", "a/user:u1", "--by", asker.person, "--json"]
        yield ["why", "STORE", found, "--by", asker.person, "--json", "--at", TIMES[0], "--as", "a/user:u1"]
    yield ["log", "STORE", *who]
    yield ["audit", "sql", "STORE", "FROM nodes", *who]
    yield ["audit", "shell", "STORE", *who]
    yield ["audit", "export", "STORE", "/nowhere/at/all", *who]
    yield ["audit", "verify", "STORE", *who]
    yield ["audit", "checkpoint", "STORE", *who]
    yield ["audit", "prove", "STORE", f"{UNKNOWN_ID}:1", *who]
    yield ["audit", "keep", "STORE", "--days", "0", *who]
    yield ["status", "STORE", *who]
    yield ["policy", "show", "STORE", *who]
    change = ["--why", "x", *who]
    for name in (NAMED[0], "a/label:none"):
        yield ["grant", "STORE", "a/user:u0", "read", name, *change]
        yield ["revoke", "STORE", "a/user:u0", "read", name, *change]
    yield ["member", "add", "STORE", "a/user:u0", GROUPS[0], *change]
    yield ["member", "remove", "STORE", "a/user:u0", GROUPS[0], *change]
    for name in (NAMED[0], "a/label:none"):
        for verb in ("define", "redefine"):
            yield ["label", verb, "STORE", name, "--owner", "a/user:u0", *change]
        yield ["label", "expire", "STORE", name, *change]
        yield ["label", "history", "STORE", name, *who]
    yield ["label", "list", "STORE", *who]
    yield ["policy", "diff", "STORE", str(SHIPPED), *who]
    yield ["policy", "apply", "STORE", str(SHIPPED), *change]
    yield ["compact", "STORE", *who]
    yield ["calibrate", "STORE", *change]
    yield ["keys", "rotate", "STORE", *change]
    yield ["keys", "status", "STORE", *who]
    yield ["lineage", "flush", "STORE", *who]
    yield ["erase", "STORE", UNKNOWN_ID, *change]
    for name in (NAMED[0], "a/label:none"):
        yield ["relabel", "STORE", UNKNOWN_ID, name, *change]
    yield ["verify-erasure", "STORE", str(SHIPPED / "policy.csv"), *who]
    yield ["ingest", "STORE", "/nowhere/at/all", *who]


COMMANDS_WITHOUT_A_STORE = {"audit check", "explore", "init", "policy lint", "policy test"}
"""Not asked of a twin: they read no store; `explore` prints an address alone, and its pages ask what is asked above."""


def cli_answer(words: Iterable[str], store: Path, home: Path) -> tuple[int, str, str]:
    """Run one command in this process; return its exit code, standard output and standard error."""
    words = [str(store) if word == "STORE" else word for word in words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(home))
        result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr
