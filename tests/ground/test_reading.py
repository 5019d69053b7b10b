"""Grant, work, re-check, record, result: break any of them, and nothing leaves."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from ringfence_governance import authority, lance_tables, reading, rows
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.casbin_engine import Engine, Question
from ringfence_governance.errors import (
    AuditUnavailable,
    NotReadable,
    RecheckFailed,
    Refused,
    RingfenceError,
    StoreCorrupt,
    StoreError,
)
from ringfence_governance.grants import Grant
from ringfence_governance.ground import Ground
from ringfence_governance.key_store import KeyStore
from ringfence_governance.keyrings import Keyring
from ringfence_governance.policy_rows import Rule
from ringfence_governance.reading import Answer, GrantedReader

from .worlds import World, make_world, subject

T = TypeVar("T")
HAL, BOB = "acme/user:hal", "acme/user:bob"


def atom_of(world: World, name: str) -> int:
    return world.ground.moment().table.by_id[name].atom


@pytest.fixture
def planted(filled: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A store whose readable sets hold the payroll for everybody, against the policy."""
    payroll = atom_of(filled, "acme/label:payroll")
    right = Ground._readable

    def wrong(self: Ground, *rest: object) -> object:
        readable = right(self, *rest)  # type: ignore[arg-type]
        return readable._replace(atoms=readable.atoms | {payroll})

    monkeypatch.setattr(Ground, "_readable", wrong)
    return filled


# The record


@pytest.fixture
def full_disk_for_the_log(filled: World) -> World:
    """The log's segment is on a device that takes no byte, as a full disk does."""
    filled.see(BOB)
    log = filled.ground.audit
    assert log._segment is not None
    os.dup2(os.open("/dev/full", os.O_WRONLY), log._segment.descriptor)
    return filled


def test_no_result_leaves_when_the_record_cannot_be_written(full_disk_for_the_log: World) -> None:
    left: list[str] = []
    with pytest.raises(AuditUnavailable, match=r"\(No space left on device\); no result leaves") as caught:
        full_disk_for_the_log.door.read(subject(HAL), "list", lambda reader: Answer([], left.append))
    assert left == []
    assert "make room" in caught.value.hint


@pytest.mark.parametrize(
    "verb", ["why", "status", "log", "who", "why_for", "what", "what_for", "policy_rows"]
)
def test_no_other_answer_leaves_either(full_disk_for_the_log: World, verb: str) -> None:
    world = full_disk_for_the_log
    document = world.second().see(HAL).documents[0]
    verbs: dict[str, Callable[[], object]] = {
        "why": lambda: world.door.why(subject(HAL), document),
        "status": lambda: world.door.status(subject(HAL)),
        "log": lambda: world.door.log(subject("acme/user:olga")),
        "who": lambda: world.door.who(subject("acme/user:olga"), document),
        "why_for": lambda: world.door.why_for(subject("acme/user:olga"), subject(HAL), document),
        "what": lambda: world.door.what(subject(HAL)),
        "what_for": lambda: world.door.what_for(subject("acme/user:olga"), subject(HAL)),
        "policy_rows": lambda: world.door.policy_rows(subject("acme/user:ada")),
    }
    with pytest.raises(AuditUnavailable):
        verbs[verb]()


def test_a_refusal_that_cannot_be_recorded_says_so_and_nothing_else(full_disk_for_the_log: World) -> None:
    with pytest.raises(AuditUnavailable):
        full_disk_for_the_log.door.why(subject(HAL), "0" * 32)


def test_a_change_that_cannot_be_recorded_is_not_made(full_disk_for_the_log: World) -> None:
    with pytest.raises(AuditUnavailable):
        full_disk_for_the_log.add("g", "acme/user:eve", "acme/group:hr")
    assert not full_disk_for_the_log.ground.moment().snapshot.groups_of("acme/user:eve")


def test_reading_goes_on_when_the_log_can_be_written_again(full_disk_for_the_log: World) -> None:
    with pytest.raises(AuditUnavailable):
        full_disk_for_the_log.see(HAL)
    assert full_disk_for_the_log.see(HAL).paths == ("pay/salaries.txt", "public.txt")
    assert full_disk_for_the_log.records()[-1]["outcome"] == "allowed"


def test_no_result_leaves_when_the_log_is_no_folder(filled: World) -> None:
    """What root may write, a missing folder still refuses."""
    (filled.path / "audit").rename(filled.path / "away")
    (filled.path / "audit").write_text("")
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        filled.reopened().see(HAL)


def test_the_record_is_on_the_disk_before_the_result_is_made(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (real(descriptor), order.append("durable"))[1])

    def finish(as_of: str) -> str:
        order.append("result")
        (record,) = [record for record in filled.records() if record["verb"] == "search"]
        return f"{record['outcome']} {record['rows']}"

    found = filled.see(HAL).documents[0]
    atom = atom_of(filled, "acme/label:payroll")
    order.clear()
    answer = filled.door.read(subject(HAL), "search", lambda reader: Answer([(found, atom)], finish))
    assert answer == f"allowed {[found]}"
    assert order == ["durable", "result"]


def test_a_read_is_one_record_and_a_refused_one_too(filled: World) -> None:
    filled.see(HAL)
    with pytest.raises(NotReadable):
        filled.door.why(subject(HAL), "0" * 32)
    outcomes = [(record["verb"], record["outcome"], record["rows"] != []) for record in filled.records()]
    assert outcomes[-2:] == [("list", "allowed", True), ("why", "refused", False)]


# The re-check


def test_a_wrong_readable_set_lets_nothing_leave(planted: World) -> None:
    with pytest.raises(StoreCorrupt, match="was not allowed when asked again; no result leaves"):
        planted.see(BOB)
    record = planted.records()[-1]
    payroll = atom_of(planted, "acme/label:payroll")
    assert (record["outcome"], record["rows"]) == ("alarm", [])
    assert record["detail"] == {"error": "RecheckFailed", "atoms": [payroll]}


def test_the_re_check_is_a_real_enforce_the_first_time_and_then_the_kept_one(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = Engine.decide

    def decide(self: Engine, question: Question) -> tuple[bool, Rule | None]:
        asked.append(question.values[2].id)  # type: ignore[attr-defined]
        return real(self, question)

    monkeypatch.setattr(Engine, "decide", decide)
    filled.see(HAL)
    assert {"acme/label:payroll", "acme/label:staff"} <= set(asked)
    asked.clear()
    filled.see(HAL)
    assert "acme/label:payroll" not in asked
    filled.add("p", BOB, "acme", "acme/label:payroll", "audit", "any", "*", "-", "-", "allow")
    filled.see(HAL)
    assert "acme/label:payroll" in asked, "another policy is asked anew"


def test_without_the_re_check_a_wrong_readable_set_would_let_it_leave(
    planted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_recheck", lambda *_: None)
    assert "pay/salaries.txt" in planted.see(BOB).paths


def test_the_re_check_asks_casbin_once_for_what_is_to_leave(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = authority.allowed

    def allowed(snapshot: object, who: object, entry: object, *rest: object) -> bool:
        asked.append(entry.atom)  # type: ignore[attr-defined]
        return real(snapshot, who, entry, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(authority, "allowed", allowed)
    filled.see(HAL)
    both = sorted([atom_of(filled, "acme/label:payroll"), atom_of(filled, "acme/label:staff")])
    assert asked == both
    filled.see(HAL)
    assert asked == both
    filled.clock.advance(3600)
    filled.see(HAL)
    assert asked == both, "time alone changes nothing here"
    filled.see(HAL, purpose="care")
    assert asked == both * 2, "another purpose is another question"


def test_a_readable_set_kept_for_too_long_is_found_by_the_re_check(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the re-check keeps is kept apart: a set that outlives its policy does not bring its own consent with it."""
    right = Ground._readable
    kept: dict[object, object] = {}

    def stale(self: Ground, moment: object, who: object, action: str) -> object:
        return kept.setdefault((who, action), right(self, moment, who, action))  # type: ignore[arg-type]

    monkeypatch.setattr(Ground, "_readable", stale)
    filled.see(HAL)
    filled.see(HAL)
    filled.add("p", HAL, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "deny")
    with pytest.raises(RecheckFailed):
        filled.see(HAL)


def test_what_the_re_check_keeps_ends_when_a_rule_does(planted: World) -> None:
    end = "2026-06-01T00:30:00Z"
    planted.add("p", BOB, "acme", "acme/label:payroll", "read", "any", "*", "-", end, "allow")
    assert "pay/salaries.txt" in planted.see(BOB).paths
    planted.clock.advance(1900)
    with pytest.raises(RecheckFailed):
        planted.see(BOB)


@pytest.mark.parametrize("atom", [0, -1, 999])
def test_an_atom_nobody_knows_does_not_leave(filled: World, atom: int) -> None:
    with pytest.raises(StoreCorrupt):
        filled.door.read(subject(HAL), "list", lambda reader: Answer([("0" * 32, atom)], lambda as_of: as_of))


# The filter, and beneath it the keys


def break_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scanner's allowlist hold every row."""

    def everything(self: lance_tables.LanceTables, name: str, version: int, atoms: object) -> bytes:
        found = self.map_of(name, version).addresses(AtomSet.of(range(1000))).tolist()
        return bytes(lance_tables.serialize_row_addrs(found))

    monkeypatch.setattr(lance_tables.LanceTables, "_mask", everything)


def break_the_check_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "isin", lambda found, allowed: np.ones(len(found), bool))


READS: dict[str, Callable[[GrantedReader], object]] = {
    "documents": lambda reader: reader.documents(),
    "vectors": lambda reader: reader.chunks(vectors=True),
    "terms": lambda reader: reader.chunks(terms=True),
    "texts": lambda reader: reader.chunk_texts(_all_chunk_ids(reader)),
}


def answer_with(found: T) -> Answer[T]:
    return Answer([], lambda as_of: found)


def _all_chunk_ids(reader: GrantedReader) -> list[str]:
    ground, grant = reader._ground, reader._grant
    everything = ground.tables.scan(
        "chunks", grant.publication.versions["chunks"], grant.table.entries, ["document_id"]
    )
    return [str(found) for found in everything["id"].to_pylist()]


@pytest.mark.parametrize("what", READS)
def test_with_the_filter_broken_the_scan_refuses(
    filled: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    break_the_mask(monkeypatch)
    with pytest.raises(StoreCorrupt, match="the scan returned a row outside the grant"):
        filled.door.read(subject(BOB), "list", lambda reader: answer_with(READS[what](reader)))


@pytest.mark.parametrize("what", READS)
def test_with_the_check_broken_too_the_row_still_does_not_open(
    filled: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    break_the_mask(monkeypatch)
    break_the_check_after_it(monkeypatch)
    left: list[object] = []
    with pytest.raises(StoreCorrupt, match="does not open: no key for its document under its label"):
        filled.door.read(
            subject(BOB), "list", lambda reader: Answer([], lambda as_of: left.append(READS[what](reader)))
        )
    assert left == []


def test_with_the_keyring_broken_too_it_would_open(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of the three guards under a read is the one that holds when both others are gone."""
    break_the_mask(monkeypatch)
    break_the_check_after_it(monkeypatch)
    real = KeyStore.keyring

    def every_key(self: KeyStore, *_: object, **__: object) -> Keyring:
        return real(self, list(filled.ground.moment().table.entries.values()))

    monkeypatch.setattr(KeyStore, "keyring", every_key)
    found = filled.door.read(subject(BOB), "list", lambda reader: answer_with(reader.documents()))
    assert len(found) == 6


def test_a_session_holds_only_the_keys_of_what_it_read(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[set[int]] = []
    real = KeyStore.keyring

    def keyring(self: KeyStore, *rest: object, **more: object) -> Keyring:
        made = real(self, *rest, **more)  # type: ignore[arg-type]
        held.append(set(made._label_keys))
        return made

    monkeypatch.setattr(KeyStore, "keyring", keyring)
    filled.see(BOB)
    readable = filled.ground.grant(subject(BOB), "read").atoms
    assert held
    assert set.union(*held) <= readable
    assert atom_of(filled, "acme/label:payroll") not in set.union(*held)


# The grant


@pytest.fixture
def grant(filled: World) -> Grant:
    return filled.ground.grant(subject(HAL), "read")


def reads_with(world: World, grant: object) -> list[Callable[[], object]]:
    ground: Ground = world.ground
    known = world.see(HAL).documents[0]
    functions: list[Callable[[], object]] = [
        lambda: rows.documents(ground, grant),  # type: ignore[arg-type]
        lambda: rows.document_text(ground, grant, known),  # type: ignore[arg-type]
        lambda: rows.chunk_block(ground, grant),  # type: ignore[arg-type]
        lambda: rows.chunk_texts(ground, grant, []),  # type: ignore[arg-type]
        lambda: rows.count(ground, grant, "documents"),  # type: ignore[arg-type]
        lambda: rows.label_of(ground, grant, known),  # type: ignore[arg-type]
        lambda: rows.run_ids(ground, grant),  # type: ignore[arg-type]
    ]
    return functions


def refused_everywhere(world: World, grant: object, match: str) -> None:
    for attempt in reads_with(world, grant):
        with pytest.raises(Refused, match=match):
            attempt()


def test_a_grant_of_this_store_reads(filled: World, grant: Grant) -> None:
    for attempt in reads_with(filled, grant):
        assert attempt() is not None


def test_a_grant_of_another_store_is_refused(filled: World) -> None:
    other = make_world(filled.folder / "other")
    refused_everywhere(filled, other.ground.grant(subject(HAL), "read"), "no grant of this store")


def test_a_grant_of_the_same_store_opened_twice_is_refused(filled: World) -> None:
    refused_everywhere(filled, filled.second().ground.grant(subject(HAL), "read"), "no grant of this store")


def test_a_widened_copy_of_a_grant_is_refused(filled: World, grant: Grant) -> None:
    everything = frozenset(filled.ground.moment().table.entries)
    refused_everywhere(filled, dataclasses.replace(grant, atoms=everything), "no grant of this store")
    refused_everywhere(filled, dataclasses.replace(grant), "no grant of this store")


def test_a_grant_cannot_be_changed(grant: Grant) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        grant.atoms = frozenset({1})  # type: ignore[misc]


@pytest.mark.parametrize("fake", [None, "grant", object()], ids=["None", "text", "object"])
def test_what_is_no_grant_is_refused(filled: World, fake: object) -> None:
    refused_everywhere(filled, fake, "no grant of this store")


def test_an_expired_grant_is_refused(filled: World) -> None:
    filled.add(
        "p", HAL, "acme", "acme/label:project", "read", "any", "*", "-", "2026-06-01T01:00:00Z", "allow"
    )
    grant = filled.ground.grant(subject(HAL), "read")
    assert grant.expires_at == "2026-06-01T01:00:00Z"
    for attempt in reads_with(filled, grant):
        assert attempt() is not None
    filled.clock.advance(3600)
    refused_everywhere(filled, grant, "found an expired grant")


def test_a_right_that_ends_during_a_read_is_gone_from_its_answer(filled: World) -> None:
    """Not an error: the read starts again at the new time."""
    filled.add(
        "p", HAL, "acme", "acme/label:project", "read", "any", "*", "-", "2026-06-01T01:00:00Z", "allow"
    )
    assert "project.txt" in filled.see(HAL).paths
    seen: list[list[str]] = []

    def work(reader: GrantedReader) -> Answer[list[str]]:
        paths = sorted(str(found.metadata["path"]) for found in reader.documents())
        seen.append(paths)
        filled.clock.advance(3600)
        return Answer([], lambda as_of: paths)

    assert filled.door.read(subject(HAL), "list", work) == ["pay/salaries.txt", "public.txt"]
    assert len(seen) == 2
    assert filled.records()[-1]["outcome"] == "allowed"


def test_a_grant_to_audit_opens_no_content(filled: World) -> None:
    olga = subject("acme/user:olga")
    grant = filled.ground.grant(olga, "audit")
    payroll = filled.see(HAL).ids["pay/salaries.txt"]
    assert payroll in {document for _, document, _ in rows.run_ids(filled.ground, grant)}
    for attempt in (rows.documents, rows.chunk_block):
        with pytest.raises(Refused, match="content opens only for reading"):
            attempt(filled.ground, grant)
    with pytest.raises(Refused, match="content opens only for reading"):
        rows.document_text(filled.ground, grant, payroll)


def test_a_reader_that_was_kept_reads_nothing_once_the_read_is_over(filled: World) -> None:
    kept: list[GrantedReader] = []

    def work(reader: GrantedReader) -> Answer[None]:
        kept.append(reader)
        return Answer([], lambda as_of: None)

    filled.door.read(subject(HAL), "list", work)
    for attempt in (kept[0].documents, kept[0].chunks, lambda: kept[0].count("documents")):
        with pytest.raises(Refused, match="no grant of this store"):
            attempt()


def test_a_reader_kept_from_a_read_that_failed_reads_nothing(filled: World) -> None:
    kept: list[GrantedReader] = []

    def work(reader: GrantedReader) -> Answer[None]:
        kept.append(reader)
        raise NotReadable

    with pytest.raises(NotReadable):
        filled.door.read(subject(HAL), "list", work)
    with pytest.raises(Refused):
        kept[0].documents()


def test_unknown_and_unreadable_are_one_answer(filled: World) -> None:
    payroll = filled.see(HAL).ids["pay/salaries.txt"]

    def answer(document: str) -> tuple[type, str, str]:
        with pytest.raises(RingfenceError) as caught:
            filled.door.read(
                subject(BOB), "text", lambda reader: Answer([], lambda as_of: reader.document_text(document))
            )
        return type(caught.value), str(caught.value), caught.value.hint

    assert answer(payroll) == answer("0" * 32)
    assert answer(payroll)[0] is NotReadable


def test_an_unknown_subject_gets_what_a_subject_without_rights_gets(filled: World) -> None:
    nothing = filled.see("acme/user:nobody")
    assert nothing == filled.see("borealis/user:nobody")
    assert nothing.documents == nothing.chunks == ()
    assert set(nothing.counts.values()) == {0}


def test_a_chain_reads_what_all_its_actors_may(filled: World) -> None:
    assert filled.see(HAL, via=("acme/agent:helper",)).documents == ()
    filled.add(
        "p", "acme/agent:helper", "acme", "acme/label:staff", "delegate", "any", "*", "-", "-", "allow"
    )
    assert filled.see(HAL, via=("acme/agent:helper",)).paths == ("public.txt",)
    assert "pay/salaries.txt" in filled.see(HAL).paths


def test_an_error_beneath_a_read_is_recorded_and_names_no_path(filled: World) -> None:
    again = filled.reopened()
    (again.path / "lance" / "chunks.lance").rename(again.folder / "away")
    with pytest.raises(StoreError) as caught:
        again.see(HAL)
    assert str(again.folder) not in str(caught.value)
    assert again.records()[-1]["outcome"] == "error"
