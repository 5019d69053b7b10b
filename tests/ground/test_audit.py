"""Every read leaves a record that says who, by which rules and what; and nothing of what was in it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from ringfence_governance import audit_retention
from ringfence_governance.audit_reading import given_to, records
from ringfence_governance.audit_record import RECORD_VERSION
from ringfence_governance.errors import NotReadable, Refused, StoreCorrupt
from ringfence_governance.reading import Answer
from ringfence_governance.subjects import Subject

from .worlds import World, database, draft, make_world, subject

HAL, BOB = "acme/user:hal", "acme/user:bob"
GENESIS = "0" * 64


def last(world: World) -> dict[str, object]:
    return world.records()[-1]


def test_a_record_has_these_fields_and_this_version(filled: World) -> None:
    """The golden list: a field that comes, goes or changes its meaning raises RECORD_VERSION."""
    filled.see(HAL)
    record = last(filled)
    assert RECORD_VERSION == 1
    assert sorted(record) == [
        "action",
        "asserted_by",
        "at",
        "atoms",
        "chain",
        "counts",
        "detail",
        "digest",
        "duration_ms",
        "given",
        "number",
        "outcome",
        "plan",
        "policy_revision",
        "previous",
        "publication",
        "purpose",
        "query",
        "readable_set",
        "rows",
        "rules",
        "segment",
        "sequence",
        "store",
        "verb",
        "version",
    ]


def test_a_record_says_who_on_whose_word_by_what_and_which_rows(filled: World) -> None:
    seen = filled.see("acme/user:lee", purpose="review")
    record, moment = last(filled), filled.ground.moment()
    assert record["chain"] == [
        {
            "actor": "acme/user:lee",
            "carried": False,
            "compartments": ["project"],
            "known": True,
            "level": 2,
            "principals": ["acme/user:lee"],
        }
    ]
    assert record["asserted_by"] == filled.ground.asserted_by
    assert filled.ground.asserted_by["process"] == os.getpid()
    assert (record["version"], record["verb"], record["action"]) == (RECORD_VERSION, "list", "read")
    assert (record["outcome"], record["purpose"], record["detail"]) == ("allowed", "review", {})
    assert record["policy_revision"] == moment.snapshot.revision
    assert (record["sequence"], record["publication"]) == (moment.sequence, moment.publication.sequence)
    rows, atoms = record["rows"], record["atoms"]
    assert isinstance(rows, list)
    assert isinstance(atoms, list)
    assert set(seen.documents) < set(rows)
    assert len(rows) == len(atoms) == seen.counts["documents"] + seen.counts["chunks"]
    assert set(atoms) <= filled.ground.grant(subject("acme/user:lee"), "read").atoms
    assert record["store"] == filled.ground.store_id


def test_the_deciding_rules_are_numbers_of_the_journal(filled: World) -> None:
    filled.see(HAL)
    numbers = last(filled)["rules"]
    assert isinstance(numbers, list)
    decided = {entry.change.row for entry in filled.ground.history() if entry.sequence in numbers}
    assert {(rule.act, rule.rel) for rule in decided} == {("read", "reader")}  # type: ignore[union-attr]


def test_each_actor_of_a_chain_stands_in_it_with_his_own_facts(filled: World) -> None:
    filled.see(HAL, via=("acme/agent:helper",))
    chain = last(filled)["chain"]
    assert [(actor["actor"], actor["carried"], actor["known"]) for actor in chain] == [  # type: ignore[attr-defined]
        (HAL, False, True),
        ("acme/agent:helper", True, False),
    ]


def test_a_query_stands_in_it_as_a_keyed_digest_alone(filled: World) -> None:
    def ask(who: str, query: str) -> str:
        filled.door.read(Subject(who), "search", lambda reader: Answer([], lambda as_of: None), query=query)
        return str(last(filled)["query"])

    first = ask(HAL, "what does dora earn")
    assert first == ask(HAL, "what does dora earn") != ask(HAL, "what does hal earn")
    # Nobody finds out by asking the same himself.
    assert first != ask(BOB, "what does dora earn")
    assert first not in {hashlib.sha256(b"what does dora earn").hexdigest(), ""}
    assert ask(HAL, "") == ""


def test_refusals_and_errors_are_records_of_no_row(filled: World) -> None:
    with pytest.raises(NotReadable):
        filled.door.why(subject(BOB), filled.see(HAL).ids["pay/salaries.txt"])
    assert (last(filled)["outcome"], last(filled)["rows"], last(filled)["detail"]) == (
        "refused",
        [],
        {"error": "NotReadable"},
    )
    with pytest.raises(Refused):
        filled.door.policy_rows(subject(BOB))
    assert (last(filled)["verb"], last(filled)["outcome"]) == ("policy_show", "refused")
    with pytest.raises(Refused):
        filled.add("g", BOB, "acme/group:hr", who=BOB)
    assert (last(filled)["verb"], last(filled)["outcome"]) == ("row_added", "refused")


def verify(segment: Path) -> int:
    """Check a segment as an outsider would: with nothing but SHA-256. Return how many records it has."""
    previous = GENESIS
    lines = segment.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        body, digest = line.rsplit(',"digest":"', 1)
        assert hashlib.sha256(f"{body}}}".encode()).hexdigest() == digest.rstrip('"}')
        record = json.loads(line)
        assert (record["previous"], record["number"], record["segment"]) == (previous, number, segment.stem)
        previous = record["digest"]
    return len(lines)


def test_the_records_of_a_segment_are_a_chain(filled: World) -> None:
    for who in (HAL, BOB, HAL, "acme/user:nobody"):
        filled.see(who)
    assert sorted(verify(segment) for segment in filled.segments()) == [2, 4]


@pytest.mark.parametrize("change", ["edit", "drop", "swap"])
def test_a_changed_chain_does_not_verify(filled: World, change: str) -> None:
    for _ in range(3):
        filled.see(HAL)
    segment = max(filled.segments(), key=lambda file: file.stat().st_mtime_ns)
    lines = segment.read_text().splitlines(keepends=True)
    changed = {
        "edit": [lines[0], lines[1].replace("user:hal", "user:bob"), lines[2]],
        "drop": [lines[0], lines[2]],
        "swap": [lines[1], lines[0], lines[2]],
    }[change]
    segment.write_text("".join(changed))
    with pytest.raises(AssertionError):
        verify(segment)


def test_a_segment_is_registered_before_its_first_record(filled: World) -> None:
    filled.see(HAL)
    with database(filled.path / "catalog.db") as opened:
        registered = {segment for (segment,) in opened.execute("SELECT segment_id FROM segments")}
    assert registered == {file.stem for file in filled.segments()}


def test_each_open_store_and_each_forked_child_writes_a_segment_of_its_own(filled: World) -> None:
    filled.see(HAL)
    filled.second().see(BOB)
    before = len(filled.segments())
    assert before == 3  # with the one of the ingest
    log = filled.ground.audit
    assert log._segment is not None
    log._segment.process = -1  # as after a fork: the number is the parent's
    filled.see(HAL)
    assert len(filled.segments()) == before + 1


def test_half_a_record_is_taken_back(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes some bytes of a record and then no more."""
    filled.see(BOB)
    (segment,) = [file for file in filled.segments() if BOB in file.read_text()]
    before, real, calls = segment.read_bytes(), os.write, []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:100])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(Exception, match="No space left"):
            filled.see(HAL)
    assert segment.read_bytes() == before
    assert [record["chain"][0]["actor"] for record in records(filled.path / "audit")][-1] == BOB


def test_a_record_that_is_written_in_pieces_is_whole(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:50]))
    filled.see(HAL)
    monkeypatch.undo()
    assert all(verify(segment) for segment in filled.segments())


def test_half_a_record_of_a_writer_that_died_stops_neither_log_nor_ingest(filled: World) -> None:
    """A power cut may leave it; its result never left, so it is no record."""
    (segment,) = filled.segments()  # of the process that filled the store and is gone
    filled.see(HAL)
    expected = len(records(filled.path / "audit"))
    for tail in (b'{"action":"read","at":"2026-06-01T00:00', b"\0" * 300):
        segment.write_bytes(segment.read_bytes().rpartition(b"\n")[0] + b"\n" + tail)
        assert len(records(filled.path / "audit")) == expected
        assert len(filled.door.log(subject("acme/user:olga"))) > 1
        expected += 1
        filled.put(draft(f"after {len(tail)}.txt", "goes on"))
        expected += 1


@pytest.mark.parametrize("damage", [b"no json\n", b'{"at": 1}}\n', b"\xff\xfe\n"])
def test_a_damaged_line_is_reported_and_not_skipped(filled: World, damage: bytes) -> None:
    filled.see(HAL)
    segment = filled.segments()[0]
    segment.write_bytes(damage + segment.read_bytes())
    with pytest.raises(StoreCorrupt, match="holds a line that is no record"):
        records(filled.path / "audit")


def test_records_of_all_segments_come_in_the_order_of_time(filled: World) -> None:
    others = [filled.second(), filled.second()]
    for world in [filled, *others, *reversed(others), filled]:
        world.clock.at = filled.clock.at
        world.see(HAL)
        filled.clock.at = world.clock.at
    found = records(filled.path / "audit")
    assert [record["at"] for record in found] == sorted(record["at"] for record in found)
    assert len(found) == 8


def test_a_log_without_a_record_is_empty(world: World) -> None:
    assert records(world.path / "audit") == []


def test_what_was_given_to_a_person_is_what_he_read_and_not_what_he_audited(filled: World) -> None:
    log, payroll = filled.path / "audit", filled.see(HAL).ids["pay/salaries.txt"]
    filled.door.who(subject("acme/user:olga"), payroll)
    filled.door.why_for(subject("acme/user:olga"), subject(HAL), payroll)
    filled.door.why(subject(HAL), payroll)
    atoms = {filled.ground.moment().table.by_id[f"acme/label:{name}"].atom for name in ("payroll", "staff")}
    assert {atom for _, atom in given_to(log, HAL)} == atoms
    assert list(given_to(log, "acme/user:olga")) == []


def test_what_was_given_is_read_on_from_where_it_was_read_to(filled: World) -> None:
    log = filled.path / "audit"
    read_to: dict[str, int] = {}
    filled.see(HAL)
    assert len(list(given_to(log, HAL, read_to))) == 2
    assert list(given_to(log, HAL, read_to)) == []
    filled.second().see(HAL)
    filled.see(HAL)
    assert len(list(given_to(log, HAL, read_to))) == 4
    segment = filled.segments()[0]
    whole = segment.read_bytes()
    segment.write_bytes(whole + b'{"half')
    assert list(given_to(log, HAL, read_to)) == []
    segment.write_bytes(whole + b"no record\n")
    with pytest.raises(StoreCorrupt, match="holds a line that is no record"):
        list(given_to(log, HAL, read_to))


def test_what_was_given_since_a_segment_was_read_is_known_once_it_was_removed(filled: World) -> None:
    """The log was cut while a process that had read some of it went on."""
    log, ground = filled.path / "audit", filled.ground
    filled.see(HAL)
    read_to: dict[str, int] = {}
    known = set(given_to(log, HAL, read_to))
    filled.put(draft("more.txt", "given to hal later", "acme/label:payroll"))
    filled.see(HAL)
    ground.audit.close()
    filled.clock.advance(3600)
    kept = audit_retention.keep(filled.path, ground.store_id, ground.checkpoints, filled.clock(), days=0)
    assert kept.removed
    assert not filled.segments()
    assert len(known | set(given_to(log, HAL, read_to))) == len(known) + 1
    assert not list(given_to(log, HAL, read_to))


def test_that_two_people_were_given_the_same_bytes_does_not_show(filled: World) -> None:
    for who in (HAL, BOB, HAL):
        filled.see(who)
    hal, bob = (set(given_to(filled.path / "audit", who)) for who in (HAL, BOB))
    assert len(hal) == len(bob) == 2
    assert not {digest for digest, _ in hal} & {digest for digest, _ in bob}


@pytest.mark.parametrize("name", ["s*", "s?", "s[0-9]", "q?x=1", "**", "a#b", "a%3Fb", "a b'c"])
def test_a_stores_path_is_no_pattern_and_no_address(tmp_path: Path, name: str) -> None:
    """DuckDB reads `*` in a path as a pattern, SQLAlchemy `?` in an address as the end of it."""
    neighbour = make_world(tmp_path / "s2")
    neighbour.see(HAL)
    own = make_world(tmp_path / name)
    own.see(BOB)
    folder = own.path / "audit"
    stores = {record["store"] for record in records(folder)}
    assert stores == {own.ground.store_id}
    assert len(records(folder)) == len(own.records())
    assert {path.name for path in tmp_path.iterdir()} == {"s2", name}
    assert (own.path / "catalog.db").stat().st_size
