"""Promise 7: no read without a record.

The record of an answer is on the disk before the answer leaves; a refusal has
a record too; where no record can be made, nothing leaves. The records are a
chain.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ringfence
import ringfence_policies
from ringfence.reader import Reader
from ringfence_governance.labels import Label
from ringfence_governance.reading import Answer
from ringfence_governance.subjects import Subject

from .full_disk import no_file_grows
from .reader_questions import cli_answer
from .recorded_store import (
    ADA,
    DORA,
    GHOST,
    OLGA,
    RITA,
    STANDING_LABEL,
    assert_chained,
    ids,
    recorded_store,
    records,
)
from .seeded_store import Page, SeededStore

NARROWER = Label("acme", RITA, denied=frozenset({DORA}))
SHIPPED = Path(ringfence_policies.__file__ or "").parent / "default"

Call = Callable[[Reader, dict[str, str]], Any]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> SeededStore:
    store = recorded_store(tmp_path_factory.mktemp("recorded"))
    store.close()
    return store


@pytest.fixture
def store(template: SeededStore, tmp_path: Path) -> Iterator[SeededStore]:
    store = template.copied(tmp_path)
    yield store
    store.close()


@pytest.fixture
def long_log(store: SeededStore) -> SeededStore:
    """The same, where the segment that is written to is the longest: if no file grows beyond it, no record is made."""
    older = sum(file.stat().st_size for file in (store.path / "audit").iterdir())
    store.reader(GHOST).count()
    (segment,) = {record["segment"] for record in records(store.path) if record["verb"] == "count"}
    while (store.path / "audit" / f"{segment}.jsonl").stat().st_size <= older:
        store.reader(GHOST).count()
    return store


READS: dict[str, tuple[str, Call]] = {
    "search vector": (RITA, lambda reader, _: reader.search("pump", mode="vector")),
    "search text": (RITA, lambda reader, _: reader.search("pump", mode="text")),
    "search hybrid": (RITA, lambda reader, _: reader.search("pump")),
    "search of nothing": (GHOST, lambda reader, _: reader.search("pump")),
    "search where": (
        RITA,
        lambda reader, _: reader.search("pump", where=ringfence.field("path") == "open.txt"),
    ),
    "search where nothing is": (
        RITA,
        lambda reader, _: reader.search("pump", where=ringfence.field("size") < 0),
    ),
    "search by document": (
        RITA,
        lambda reader, _: reader.search("pump", group_by="document", facets=["media_type"]),
    ),
    "search reranked": (RITA, lambda reader, _: reader.search("pump", k=2, rerank=2)),
    "context": (RITA, lambda reader, _: reader.context("pump")),
    "context reranked": (RITA, lambda reader, _: reader.context("pump", k=2, rerank=2)),
    "context of nothing": (GHOST, lambda reader, _: reader.context("pump")),
    "search_many": (RITA, lambda reader, _: reader.search_many(["pump"])),
    "list": (RITA, lambda reader, _: reader.list()),
    "count": (RITA, lambda reader, _: reader.count()),
    "prewarm": (RITA, lambda reader, _: reader.prewarm()),
    "text": (RITA, lambda reader, known: reader.text(known["open.txt"])),
    "why": (RITA, lambda reader, known: reader.why(known["open.txt"])),
    "why_for": (OLGA, lambda reader, known: reader.why_for(RITA, known["secret.txt"])),
    "who": (OLGA, lambda reader, known: reader.who(known["secret.txt"])),
    "what": (RITA, lambda reader, _: reader.what()),
    "what_for": (OLGA, lambda reader, _: reader.what_for(RITA)),
    "log": (OLGA, lambda reader, _: reader.log()),
    "audit_database": (OLGA, lambda reader, _: reader.audit_database()),
    "verify_log": (OLGA, lambda reader, _: reader.verify_log()),
    "sign_log": (OLGA, lambda reader, _: reader.sign_log()),
    "prove_record": (OLGA, lambda reader, known: reader.prove_record(known["record"])),
    "status": (RITA, lambda reader, _: reader.status()),
    "policy": (ADA, lambda reader, _: reader.policy()),
    "labels": (ADA, lambda reader, _: reader.labels()),
    "label_history": (ADA, lambda reader, _: reader.label_history(STANDING_LABEL)),
    "diff_policy": (ADA, lambda reader, _: reader.diff_policy(SHIPPED)),
    "keys_status": (ADA, lambda reader, _: reader.keys_status()),
    "flush_lineage": (ADA, lambda reader, _: reader.flush_lineage()),
    "lineage": (RITA, lambda reader, known: reader.lineage(known["open.txt"], direction="descendants")),
    "lineage of an auditor": (OLGA, lambda reader, known: reader.lineage(known["secret.txt"], audit=True)),
}
"""Every verb that tells something, asked by somebody whom it tells."""

CHANGES: dict[str, tuple[str, Call]] = {
    "grant": (ADA, lambda reader, _: reader.grant(DORA, "read", "*", why="x")),
    "add_member": (ADA, lambda reader, _: reader.add_member(DORA, "acme/group:sales", why="x")),
    "remove_member": (ADA, lambda reader, _: reader.remove_member(RITA, "acme/group:sales", why="x")),
    "define_label": (
        ADA,
        lambda reader, _: reader.define_label("acme/label:n", Label("acme", DORA), why="x"),
    ),
    "redefine_label": (
        ADA,
        lambda reader, _: reader.redefine_label(STANDING_LABEL, NARROWER, why="x"),
    ),
    "expire_label": (ADA, lambda reader, _: reader.expire_label(STANDING_LABEL, why="x")),
    "apply_policy": (ADA, lambda reader, _: reader.apply_policy(SHIPPED, why="x")),
    "revoke": (ADA, lambda reader, _: reader.revoke(OLGA, "audit", "*", why="x")),
    "relabel": (ADA, lambda reader, known: reader.relabel(known["open.txt"], NARROWER, why="x")),
    "register_answer": (
        RITA,
        lambda reader, known: reader.register_answer("It leaks.", [known["open.txt"]]),
    ),
    "erase": (ADA, lambda reader, known: reader.erase(known["open.txt"], why="x")),
    "compact": (ADA, lambda reader, _: reader.compact()),
    "calibrate": (ADA, lambda reader, _: reader.calibrate(why="x")),
    "rotate_keys": (ADA, lambda reader, _: reader.rotate_keys(why="x")),
    "keep_log": (ADA, lambda reader, _: reader.keep_log()),
}
"""Every verb that changes the policy or the store; each of these changes one thing."""

OTHER_ACTIONS = {"relabel": "relabel_to", "register_answer": "ingest", "erase": "delete"}
"""The action of a change that is none of `administer`."""

REFUSED: dict[str, tuple[str, Call]] = {
    "text of a hidden document": (RITA, lambda reader, known: reader.text(known["secret.txt"])),
    "text of none": (RITA, lambda reader, _: reader.text("0" * 32)),
    "why of a hidden document": (RITA, lambda reader, known: reader.why(known["secret.txt"])),
    "why_for": (RITA, lambda reader, known: reader.why_for(DORA, known["open.txt"])),
    "who": (RITA, lambda reader, known: reader.who(known["open.txt"])),
    "what_for": (RITA, lambda reader, _: reader.what_for(DORA)),
    "log": (RITA, lambda reader, _: reader.log()),
    "audit_database": (RITA, lambda reader, _: reader.audit_database()),
    "verify_log": (RITA, lambda reader, _: reader.verify_log()),
    "sign_log": (RITA, lambda reader, _: reader.sign_log()),
    "prove_record": (RITA, lambda reader, known: reader.prove_record(known["record"])),
    "keep_log": (OLGA, lambda reader, _: reader.keep_log()),
    "policy": (RITA, lambda reader, _: reader.policy()),
    "grant": (RITA, lambda reader, _: reader.grant(RITA, "read", "*", why="mine")),
    "revoke": (RITA, lambda reader, _: reader.revoke(OLGA, "audit", "*", why="mine")),
    "add_member": (RITA, lambda reader, _: reader.add_member(RITA, "acme/group:hr", why="mine")),
    "remove_member": (RITA, lambda reader, _: reader.remove_member(RITA, "acme/group:sales", why="mine")),
    "define_label": (
        RITA,
        lambda reader, _: reader.define_label("acme/label:n", Label("acme", RITA), why="x"),
    ),
    "redefine_label": (RITA, lambda reader, _: reader.redefine_label(STANDING_LABEL, NARROWER, why="x")),
    "expire_label": (RITA, lambda reader, _: reader.expire_label(STANDING_LABEL, why="x")),
    "labels": (RITA, lambda reader, _: reader.labels()),
    "label_history": (RITA, lambda reader, _: reader.label_history(STANDING_LABEL)),
    "diff_policy": (RITA, lambda reader, _: reader.diff_policy(SHIPPED)),
    "apply_policy": (RITA, lambda reader, _: reader.apply_policy(SHIPPED, why="x")),
    "relabel": (RITA, lambda reader, known: reader.relabel(known["open.txt"], NARROWER, why="x")),
    "relabel of a hidden document": (
        RITA,
        lambda reader, known: reader.relabel(known["secret.txt"], NARROWER, why="x"),
    ),
    "register_answer of a hidden document": (
        RITA,
        lambda reader, known: reader.register_answer("It leaks.", [known["open.txt"], known["secret.txt"]]),
    ),
    "register_answer under a label": (
        RITA,
        lambda reader, known: reader.register_answer("It leaks.", [known["open.txt"]], label=STANDING_LABEL),
    ),
    "erase": (RITA, lambda reader, known: reader.erase(known["open.txt"], why="x")),
    "erase of a hidden document": (RITA, lambda reader, known: reader.erase(known["secret.txt"], why="x")),
    "compact": (RITA, lambda reader, _: reader.compact()),
    "calibrate": (RITA, lambda reader, _: reader.calibrate(why="mine")),
    "rotate_keys": (RITA, lambda reader, _: reader.rotate_keys(why="x")),
    "keys_status": (RITA, lambda reader, _: reader.keys_status()),
    "flush_lineage": (RITA, lambda reader, _: reader.flush_lineage()),
    "lineage": (RITA, lambda reader, known: reader.lineage(known["secret.txt"])),
    "lineage of who is no auditor": (
        RITA,
        lambda reader, known: reader.lineage(known["open.txt"], audit=True),
    ),
}
"""Every verb that can be refused, asked by somebody whom it is refused."""


def test_every_public_verb_stands_in_the_tables_above() -> None:
    verbs = {name for name in dir(Reader) if not name.startswith("_") and callable(getattr(Reader, name))}
    # What verifies an erasure needs one: it has a test of its own below.
    named = {name.split()[0] for name in (*READS, *CHANGES)} | {"verify_erasure"}
    assert verbs == named
    never_refused = {"search", "search_many", "context", "list", "count", "prewarm", "status", "what"}
    assert {name.split()[0] for name in REFUSED} | {"verify_erasure"} == verbs - never_refused


@pytest.mark.parametrize("name", READS)
def test_a_read_leaves_exactly_one_record_that_says_what_left(name: str, store: SeededStore) -> None:
    who, ask = READS[name]
    before = records(store.path)
    found = ask(store.reader(who), ids(store))
    (record,) = [each for each in records(store.path) if each not in before]
    assert record["outcome"] == "allowed"
    assert record["chain"][0]["actor"] == who
    assert set(record["asserted_by"]) == {"os_user", "host", "process"}
    assert record["rows"] == rows_that_left(name, found, ids(store))
    assert len(record["atoms"]) == len(record["rows"])


def test_each_page_of_an_answer_leaves_a_record_of_its_own_rows(store: SeededStore) -> None:
    before = len(records(store.path))
    first = store.reader(RITA).search("pump", 1, "vector")
    second = store.reader(RITA).search("pump", 1, "vector", cursor=first.cursor)
    assert second.cursor is None
    left = [record["rows"] for record in records(store.path)[before:]]
    assert left == [[first[0].id], [second[0].id]]
    assert first[0].id != second[0].id


def test_questions_asked_together_leave_a_record_each(store: SeededStore) -> None:
    before = len(records(store.path))
    queries = ["pump", "valve", "pump", "nothing whatsoever"]
    found = store.reader(RITA).search_many(queries, mode="text")
    left = records(store.path)[before:]
    assert [record["rows"] for record in left] == [[hit.id for hit in result] for result in found]
    assert [len(record["rows"]) for record in left] == [1, 1, 1, 0]
    assert {record["verb"] for record in left} == {"search"}
    digests = [record["query"] for record in left]
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3
    assert len({record["sequence"] for record in left}) == 1


def test_of_questions_asked_together_none_is_answered_if_one_record_cannot_be_made(
    long_log: SeededStore,
) -> None:
    """The disk is full behind the first of them."""
    reader, log = long_log.reader(RITA), long_log.path / "audit"
    reader.search_many(["pump"])
    segment = max(log.glob("*.jsonl"), key=lambda file: file.stat().st_size)
    one = len(segment.read_bytes().splitlines(keepends=True)[-1])
    before = len(records(long_log.path))
    with no_file_grows(log, by=one + one // 2), pytest.raises(ringfence.AuditUnavailable):
        reader.search_many(["pump", "pump"])
    assert len(records(long_log.path)) <= before + 1


def rows_that_left(name: str, found: Any, known: dict[str, str]) -> list[str]:
    if name == "search_many":
        return [each.id for result in found for each in result]
    if name.startswith(("search", "list")):
        return [each.id for each in found]
    if name.startswith("context"):
        # Two passages of one page, neighbours: one in the prompt, two rows that left, the better one first.
        best = [chunk for each in found for chunk in each.citation.chunks]
        assert len(best) == (0 if name.endswith("of nothing") else 2)
        return best
    if name.startswith("lineage"):
        return [each["id"] for each in found["nodes"]]
    if name in ("text", "why"):
        return [known["open.txt"]]
    if name == "audit_database":
        told = found.sql("FROM nodes WHERE kind IN ('document', 'passage')")
        return [row["id"] for row in told]
    return [known["secret.txt"]] if name in ("why_for", "who") else []


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_a_record(name: str, store: SeededStore) -> None:
    who, change = CHANGES[name]
    before = records(store.path)
    change(store.reader(who), ids(store))
    (record,) = [each for each in records(store.path) if each not in before]
    assert (record["outcome"], record["action"]) == ("allowed", OTHER_ACTIONS.get(name, "administer"))


def test_verifying_an_erasure_leaves_a_record_told_or_refused(store: SeededStore) -> None:
    (certificate,) = store.reader(ADA).erase(ids(store)["open.txt"], why="x")
    before = len(records(store.path))
    assert store.reader(OLGA).verify_erasure(certificate)["holds"]
    with pytest.raises(ringfence.Refused):
        store.reader(RITA).verify_erasure(certificate)
    told = [(each["verb"], each["outcome"], each["rows"]) for each in records(store.path)[before:]]
    assert told == [("verify_erasure", "allowed", []), ("verify_erasure", "refused", [])]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_leaves_exactly_one_record(name: str, store: SeededStore) -> None:
    who, ask = REFUSED[name]
    before = records(store.path)
    with pytest.raises((ringfence.NotReadable, ringfence.Refused)):
        ask(store.reader(who), ids(store))
    (record,) = [each for each in records(store.path) if each not in before]
    assert record["outcome"] == "refused"
    assert record["chain"][0]["actor"] == who
    assert record["rows"] == []


@pytest.mark.parametrize("verb", ["search", "search_many", "context"])
def test_a_read_that_is_stopped_leaves_exactly_one_record(verb: str, store: SeededStore) -> None:
    ask = functools.partial(getattr(store.reader(RITA), verb), ["pump"] if verb == "search_many" else "pump")
    token = ringfence.CancelToken()
    token.cancel()
    for error, more in ((ringfence.TimedOut, {"timeout": 1e-9}), (ringfence.Cancelled, {"cancel": token})):
        before = records(store.path)
        with pytest.raises(error):
            ask(**more)
        (record,) = [each for each in records(store.path) if each not in before]
        assert (record["outcome"], record["rows"], record["given"]) == ("error", [], [])
        assert record["detail"] == {"error": error.__name__}
        assert record["chain"][0]["actor"] == RITA


@pytest.mark.parametrize("verb", ["search", "context", "prewarm"])
def test_a_read_that_its_embedder_fails_leaves_exactly_one_record(verb: str, store: SeededStore) -> None:
    """Whatever is raised in the middle of a read, that it was, is told."""

    def embed(text: str) -> Any:
        raise ZeroDivisionError(text)

    reader = Reader(store.door, Subject(RITA), embed)
    before = records(store.path)
    with pytest.raises(ZeroDivisionError):
        getattr(reader, verb)(*(() if verb == "prewarm" else ("pump",)))
    (record,) = [each for each in records(store.path) if each not in before]
    assert (record["outcome"], record["rows"], record["detail"]) == (
        "error",
        [],
        {"error": "ZeroDivisionError"},
    )


def test_an_answer_by_path_leaves_a_record_for_looking_it_up_and_one_for_it(store: SeededStore) -> None:
    before = len(records(store.path))
    assert store.reader(RITA).text("open.txt").text
    verbs = [record["verb"] for record in records(store.path)[before:]]
    assert verbs == ["list", "text"]


@pytest.mark.parametrize("name", ["grant", "revoke", "add_member", "remove_member"])
def test_being_told_that_nothing_had_to_be_done_leaves_a_record_too(name: str, store: SeededStore) -> None:
    admin = store.reader(ADA)
    admin.grant(DORA, "read", "*", why="x")
    ask = {
        "grant": lambda: admin.grant(DORA, "read", "*", why="x"),
        "revoke": lambda: admin.revoke(RITA, "read", "*", why="x"),
        "add_member": lambda: admin.add_member(RITA, "acme/group:sales", why="x"),
        "remove_member": lambda: admin.remove_member(DORA, "acme/group:sales", why="x"),
    }[name]
    before = len(records(store.path))
    assert not ask()
    assert len(records(store.path)) == before + 1


def test_an_ingest_and_a_refused_one_leave_records(store: SeededStore) -> None:
    before = len(records(store.path))
    store.write(ADA, [Page("more.txt", "more", Label("acme", RITA))])
    assert [record["outcome"] for record in records(store.path)[before:]] == ["allowed"]
    with pytest.raises(ringfence.Refused):
        store.write(GHOST, [Page("his.txt", "his", Label("acme", GHOST))])
    outcomes = [(record["verb"], record["outcome"]) for record in records(store.path)[before + 1 :]]
    assert outcomes == [("ingest", "refused")]


def test_a_record_holds_all_the_matcher_read_of_the_subject(store: SeededStore) -> None:
    store.reader(RITA, via=["acme/agent:desk"], purpose="care").list()
    record = records(store.path)[-1]
    person, agent = record["chain"]
    assert person["principals"] == [RITA, "acme/group:sales"]
    assert (person["level"], person["compartments"], person["carried"]) == (2, ["x", "y"], False)
    assert (agent["actor"], agent["known"], agent["carried"]) == ("acme/agent:desk", False, True)
    assert record["purpose"] == "care"
    assert record["policy_revision"]
    assert record["sequence"] >= record["publication"] > 0


# Before the result.


def test_the_record_is_on_the_disk_before_the_result_is_made(store: SeededStore) -> None:
    before = len(records(store.path))
    seen: list[int] = []

    def work(reader: Any) -> Answer[str]:
        seen.append(len(records(store.path)) - before)
        return Answer([], lambda as_of: str(len(records(store.path)) - before), plan="looks at the log")

    assert store.door.read(Subject(RITA), "list", work) == "1"
    assert seen == [0]


@pytest.mark.parametrize("name", READS)
def test_the_record_is_synced_before_the_answer_is_given(
    name: str, store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that cannot sync gives no answer, whatever the verb."""
    who, ask = READS[name]
    ask(store.reader(who), ids(store))

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(ringfence.AuditUnavailable):
        ask(store.reader(who), ids(store))


# No record, no result.


OF_ROWS = ("relabel", "register_answer", "erase", "compact", "rotate_keys")
"""Changes of rows and keys: on a full disk these fail before they come to the log."""


@pytest.mark.parametrize(
    "name",
    [*READS, *(f"refused {name}" for name in REFUSED), *(name for name in CHANGES if name not in OF_ROWS)],
)
def test_with_a_log_that_cannot_be_written_nothing_leaves_and_nothing_changes(
    name: str, long_log: SeededStore
) -> None:
    refused = name.startswith("refused ")
    who, ask = REFUSED[name.removeprefix("refused ")] if refused else (READS | CHANGES)[name]
    reader = long_log.reader(who)
    revision = long_log.reader(ADA).status()["policy_revision"]
    before = records(long_log.path)
    with no_file_grows(long_log.path / "audit"), pytest.raises(ringfence.AuditUnavailable) as refusal:
        ask(reader, ids(long_log))
    assert "no result leaves without its record" in str(refusal.value)
    assert "pump" not in str(refusal.value)
    assert records(long_log.path) == before
    assert long_log.reader(ADA).status()["policy_revision"] == revision


@pytest.mark.parametrize("name", OF_ROWS)
def test_with_a_log_that_cannot_be_synced_no_row_changes(
    name: str, store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, change = CHANGES[name]
    seen = {reader: [each.id for each in store.reader(reader).list()] for reader in (RITA, DORA)}
    before = store.reader(ADA).status()["publication"], store.reader(ADA).keys_status()["newest"]

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(ringfence.AuditUnavailable):
            change(store.reader(who), ids(store))
    assert {reader: [each.id for each in store.reader(reader).list()] for reader in seen} == seen
    assert (store.reader(ADA).status()["publication"], store.reader(ADA).keys_status()["newest"]) == before


def test_with_a_log_that_cannot_be_written_nothing_is_ingested(long_log: SeededStore) -> None:
    with pytest.raises(ringfence.RingfenceError), no_file_grows(long_log.path / "audit"):
        long_log.write(ADA, [Page("more.txt", "more", Label("acme", RITA))])
    assert [document.path for document in long_log.reader(RITA).list()] == ["open.txt"]


@pytest.mark.parametrize("command", ["search", "list", "status", "log"])
def test_a_command_without_a_log_prints_no_answer(command: str, store: SeededStore) -> None:
    store.close()
    (store.path / "audit").rename(store.path / "elsewhere")
    words = [command, "STORE", *(["pump"] if command == "search" else [])]
    code, out, errors = cli_answer(
        [*words, "--as", OLGA if command == "log" else RITA, "--json"], store.path, store.home
    )
    assert code == 1
    assert json.loads(out)["error"]["type"] == "AuditUnavailable"
    assert "pump" not in out + errors


def test_the_records_of_all_verbs_are_a_chain(store: SeededStore) -> None:
    for who, ask in [*READS.values(), *CHANGES.values()]:
        if (who, ask) != READS["log"]:
            ask(store.reader(who), ids(store))
    assert assert_chained(store.path) > len(READS)
