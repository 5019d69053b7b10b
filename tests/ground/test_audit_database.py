"""Each question in SQL gives what the log, the catalog and Casbin give by the long way, on random histories."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ringfence_governance.audit_desk import AuditDesk
from ringfence_governance.errors import NotReadable
from ringfence_governance.past_moments import checked_time
from ringfence_governance.subjects import Subject

from .past_times import (
    BEFORE_THE_STORE,
    BOB,
    DEX,
    DORA,
    HAL,
    LEE,
    OLGA,
    OTTO,
    PAYROLL,
    PROJECT,
)
from .random_history import History
from .worlds import ADMIN, WHY, World, copy_world, draft, label, subject

PEOPLE = (HAL, BOB, LEE, DORA, ADMIN, "acme/agent:desk", "acme/user:nobody")
DOCUMENTS = 4
"""How many are compared in each history, for each auditor."""


def rows(desk: AuditDesk, query: str, *parameters: object) -> list[dict[str, Any]]:
    """Ask without a record: what is asked by the desk is in test_audit_desk.py."""
    found = desk._session.ask(query, parameters)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


@dataclass
class Lived(History):
    """A history in which documents are also made from others, read and erased."""

    documents: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    readings: int = 0

    def live(self) -> None:
        kind = self.dice.choice(["change"] * 6 + ["derive", "derive", "read", "read", "read", "rewrite"])
        if kind == "derive":
            parents = self.dice.sample(self.there(), self.dice.randint(1, 2))
            self.put(f"made{len(self.documents)}.txt", parents)
        elif kind == "rewrite":
            self.put("public.txt", [])
        elif kind == "read":
            self.world.see(self.dice.choice(PEOPLE))
        else:
            self.change()

    def there(self) -> list[str]:
        """Documents, and passages of them, that Ada may read, in an order that the seed alone decides."""
        seen = self.world.see(ADMIN)
        return [seen.ids[path] for path in seen.paths]

    def put(self, path: str, parents: list[str]) -> None:
        text = f"{path} says {self.dice.random()}\nand more"
        self.documents += self.world.put(draft(path, text, label(DORA, ADMIN, HAL), parents=parents))

    def erase(self) -> None:
        document = self.dice.choice(self.there())
        self.gone += [document]
        self.world.door.erase(subject(DEX), [document], WHY)
        self.held &= set(self.world.see(ADMIN).paths)


@dataclass
class Raw:
    """What lies in the store, read past the door: every row and every record."""

    world: World
    labels: dict[str, str]
    documents: dict[str, str]
    edges: list[dict[str, Any]]
    records: list[dict[str, Any]]

    @classmethod
    def of(cls, world: World) -> Raw:
        ground = world.ground
        moment = ground.moment()
        atoms, versions = moment.table.entries, moment.publication.versions

        def scan(name: str, *columns: str) -> list[dict[str, Any]]:
            return ground.tables.scan(name, versions[name], atoms, columns).to_pylist()

        documents, chunks = scan("documents", "run_id"), scan("chunks", "document_id")
        written = {row["id"]: row["run_id"] for row in documents}
        edges = [
            row
            for row in scan("edges", "child", "parent", "kind", "run_id")
            if row["kind"] != "derived" or written.get(row["child"], row["run_id"]) == row["run_id"]
        ]
        return cls(
            world,
            {row["id"]: atoms[row["atom"]].label_id for row in (*documents, *chunks)},
            {
                **{row["id"]: row["id"] for row in documents},
                **{row["id"]: row["document_id"] for row in chunks},
            },
            edges,
            world.records(),
        )

    def reached(self, start: str, a: str, b: str) -> set[str]:
        """What is reached from a node along the edges, from end `a` to end `b`."""
        step = defaultdict(set)
        for edge in self.edges:
            step[edge[a]].add(edge[b])
        found, waiting = set[str](), [start]
        while waiting:
            for each in step[waiting.pop()] - found:
                found.add(each)
                waiting.append(each)
        return found - {start}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return iter(tmp_path_factory.mktemp("lived") / str(number) for number in range(10_000))


def lived(template: World, folder: Path, seed: int) -> Lived:
    """A store after some changes, one of them an erasure, with a time for each step."""
    world = copy_world(template, folder)
    world.clock.step = timedelta(microseconds=1)
    world.clock.advance(10)
    dice = random.Random(seed)
    for who, action in ((ADMIN, "declassify"), (ADMIN, "read")):
        world.add("p", who, "acme", "*", action, "any", "*", "-", "-", "allow")
    history = Lived(world, dice, [PAYROLL], set())
    for step in range(14):
        world.clock.advance(dice.randint(1, 3))
        history.live()
        if step == 9:
            history.erase()
    world.clock.advance(1)
    return history


few = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
many = settings(few, max_examples=150)
seeds = st.integers(0, 2**32)


@few
@given(seed=seeds)
def test_every_question_in_sql_gives_what_the_long_way_gives(
    filled_template: World, folders: Iterator[Path], seed: int
) -> None:
    history = lived(filled_template, next(folders), seed)
    try:
        compare(history)
    finally:
        history.world.door.close()


@pytest.mark.soak
@many
@given(seed=seeds)
def test_every_question_in_sql_gives_what_the_long_way_gives_for_long(
    filled_template: World, folders: Iterator[Path], seed: int
) -> None:
    history = lived(filled_template, next(folders), seed)
    try:
        compare(history)
    finally:
        history.world.door.close()


def compare(history: Lived) -> None:
    world, dice = history.world, history.dice
    for auditor in (OLGA, OTTO):
        desk = world.door.audit_desk(subject(auditor))
        raw = Raw.of(world)
        known = {row["id"] for row in rows(desk, "FROM documents")}
        mine = known_to(world, auditor)
        assert known == mine
        there = sorted(raw.documents.keys() & known)
        for document in dice.sample(there, min(DOCUMENTS, len(there))):
            compare_rights(world, desk, auditor, document, [*times(world, dice), desk.at])
            compare_lineage(raw, desk, document)
        for who in dice.sample(PEOPLE, 4):
            compare_exposure(raw, desk, auditor, who)
            compare_what(world, desk, auditor, who)
        compare_history(world, desk, auditor)
        compare_erasures(history, desk, auditor)
        desk.close()


def known_to(world: World, auditor: str) -> set[str]:
    found = world.door.what_for(subject(auditor), subject(auditor), action="audit", documents=True)
    return {each for entry in found["labels"] for each in entry["ids"]}


def times(world: World, dice: random.Random) -> list[str]:
    """Some seconds between the making of the store now, and one before it."""
    changes = sorted({each.at for each in world.ground.history()})
    return [BEFORE_THE_STORE, *dice.sample(changes, min(3, len(changes)))]


def compare_rights(world: World, desk: AuditDesk, auditor: str, document: str, moments: list[str]) -> None:
    told = world.door.who(subject(auditor), document)
    assert pairs(rows(desk, "FROM who_can(?)", document)) == readers_of(told)
    for at in moments:
        told = world.door.who(subject(auditor), document, at=checked_time(at))
        found = rows(desk, "FROM who_could(?, ?)", document, at)
        assert pairs(found) == readers_of(told), (document, at)
        assert {row["known"] for row in found} <= {told["label_as_of"]}
    for who in PEOPLE[:5] if auditor == OLGA else PEOPLE[-3:]:
        given = world.door.why_for(subject(auditor), Subject(who), document)
        found = [row for row in rows(desk, "FROM why(?, ?)", who, document) if row["purpose"] == ""]
        assert {row["decision"] for row in found} == {given["decision"]}
        expected = [
            (
                verdict["label"],
                rule["rule"],
                rule["effect"],
                rule["membership"],
                rule["relation"],
                granter(rule),
            )
            for verdict in given["verdicts"]
            for rule in verdict["rules"]
        ]
        columns = ("part", "rule", "effect", "membership", "relation")
        got = [(*(row[name] for name in columns), row["granted_by"]) for row in found if row["rule"]]
        # Somebody whom neither policy nor label names has no rights, and is not explained: rules for everybody
        # that match him deny.
        assert sorted(map(str, got)) == sorted(map(str, expected)) or who == "acme/user:nobody"


def granter(rule: dict[str, Any]) -> str | None:
    return None if rule["granted"] is None else str(rule["granted"]["who"])


def pairs(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["subject"], row["purpose"]) for row in found}


def readers_of(told: dict[str, Any]) -> set[tuple[str, str]]:
    purposes = {(who, purpose) for purpose, found in told["purposes"].items() for who in found}
    return {(who, "") for who in told["readers"]} | purposes


def compare_lineage(raw: Raw, desk: AuditDesk, document: str) -> None:
    nodes = {row["id"] for row in rows(desk, "FROM nodes")}
    for macro, ends in (("descendants", ("parent", "child")), ("ancestors", ("child", "parent"))):
        found = rows(desk, f"FROM {macro}(?)", document)
        reached = raw.reached(document, *ends)
        assert {row["id"] for row in found if row["id"]} == reached & nodes
        # What is not told is there as a number alone.
        assert bool(reached - nodes) == bool(sum(row["hidden"] for row in found))
    looked_for = {document, *raw.reached(document, "parent", "child")}
    atoms = raw.world.ground.moment().table.entries
    told = {row["label"] for row in rows(desk, "FROM labels")}
    expected = Counter(
        (second(record), record["chain"][0]["actor"], row)
        for record in raw.records
        if record["action"] == "read" and record["outcome"] == "allowed"
        for row, atom in zip(record["rows"], record["atoms"], strict=True)
        if row in looked_for & nodes and atoms[atom].label_id in told
    )
    found = rows(desk, "FROM who_did_read(?)", document)
    assert Counter((row["time"], row["subject"], row["id"]) for row in found) == expected


def second(record: dict[str, Any]) -> str:
    return f"{record['at'][:19]}Z"


def compare_exposure(raw: Raw, desk: AuditDesk, auditor: str, who: str) -> None:
    atoms = raw.world.ground.moment().table.entries
    told = {row["label"] for row in rows(desk, "FROM labels")}
    expected = Counter(
        (second(record), row, atoms[atom].label_id)
        for record in raw.records
        if record["action"] == "read" and record["outcome"] == "allowed"
        if who in [actor["actor"] for actor in record["chain"]]
        for row, atom in zip(record["rows"], record["atoms"], strict=True)
        if atoms[atom].label_id in told
    )
    found = rows(desk, "FROM exposure(?)", who)
    assert Counter((row["time"], row["id"], row["label"]) for row in found) == expected


def compare_what(world: World, desk: AuditDesk, auditor: str, who: str) -> None:
    told = world.door.what_for(subject(auditor), Subject(who), documents=True)
    expected = {each for entry in told["labels"] for each in entry["ids"]}
    found = rows(desk, "FROM what_can(?)", who)
    assert {row["document"] for row in found if row["purpose"] == ""} == expected


def compare_history(world: World, desk: AuditDesk, auditor: str) -> None:
    log = [row for row in world.door.log(subject(auditor)) if row["verb"] == "policy"]
    found = rows(desk, "FROM policy_history()")
    assert [(row["time"], row["change"], row["what"]) for row in found] == [
        (row["at"], row["action"], row["row"]) for row in log
    ]
    moments = sorted({row["time"] for row in found})
    for a, b in zip(moments, moments[2::2], strict=False):
        before, after = (access_at(desk, each) for each in (a, b))
        changes = rows(desk, "FROM policy_diff(?, ?)", a, b)
        for change, expected in (("opened", after - before), ("closed", before - after)):
            told = {
                (row["label"], row["subject"], row["purpose"]) for row in changes if row["change"] == change
            }
            assert told == expected
    (verified,) = rows(desk, "FROM verify_log()")
    assert (verified["holds"], verified["first_bad"]) == (True, None)
    whole = auditor == OLGA
    assert bool(verified["records"]) == whole
    for name in ("acme/label:payroll", PROJECT):
        versions = rows(desk, "FROM label_history(?)", name)
        if whole:
            given = world.door.label_history(subject(auditor), name)
            told = [{key: row[key] for key in ("why", "ticket", "who", "change")} for row in versions]
            assert told == [{key: row[key] for key in ("why", "ticket", "who", "change")} for row in given]
            assert [json.loads(row["definition"]) for row in versions] == [row["definition"] for row in given]
        else:
            assert bool(versions) == (name == PROJECT)
            assert {row["who"] for row in versions} <= {None}


def access_at(desk: AuditDesk, at: str) -> set[tuple[str, str, str]]:
    """Who might read under each label at a time, asked document by document and label by label."""
    query = """SELECT DISTINCT label, subject, purpose FROM access
        WHERE since <= ? AND coalesce(until, '9999') > ?"""
    return {(row["label"], row["subject"], row["purpose"]) for row in rows(desk, query, at, at)}


def compare_erasures(history: Lived, desk: AuditDesk, auditor: str) -> None:
    told = rows(desk, "FROM erasures")
    for document in history.gone:
        proofs = rows(desk, "FROM erasure_proof(?)", document)
        if auditor == OLGA:
            (proof,) = proofs
            assert (proof["who"], proof["why"], proof["rows_there"]) == (DEX, WHY.why, 0)
            assert (proof["clean"], proof["reads_since"], proof["documents_hidden"]) == (True, 0, 0)
            with pytest.raises(NotReadable):
                history.world.door.who(subject(auditor), document)
            assert rows(desk, "FROM who_can(?)", document) == []
        else:
            assert {row["label"] for row in proofs} <= {PROJECT}
    assert {row["document"] for row in told} >= (set(history.gone) if auditor == OLGA else set())
