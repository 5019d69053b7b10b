"""What came from what: a reader walks among what he may read alone, an auditor is told of the rest by number."""

from __future__ import annotations

import random
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import pytest

from ringfence_governance import lineage_walk
from ringfence_governance.errors import InvalidInput, NotReadable
from ringfence_governance.ground import Ground
from ringfence_governance.subjects import Subject

from .worlds import FOLDER, WHY, World, copy_world, draft, label, subject

DEX, HAL, BOB, DORA = "acme/user:dex", "acme/user:hal", "acme/user:bob", "acme/user:dora"
OLGA, OTTO = "acme/user:olga", "acme/user:otto"
LABELS = ("acme/label:staff", "acme/label:payroll", "acme/label:project")
READERS, AUDITORS = (HAL, BOB, DORA, DEX), (OLGA, OTTO)
DIRECTIONS = ("ancestors", "descendants")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def grown(template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Documents made from documents and from passages, some of them written anew from others."""
    world = copy_world(template, tmp_path_factory.mktemp("grown"))
    world.add("p", DEX, "acme", "*", "read", "any", "*", "-", "-", "allow")
    chosen = random.Random(7)
    made: list[str] = []
    for number in range(8):
        parents = chosen.sample(made, min(len(made), chosen.choice((0, 1, 1, 2))))
        parents = [each if chosen.random() < 0.6 else passages(world, each)[0] for each in parents]
        text = f"text {number}\nand more of {number}"
        made += world.put(draft(f"{number}.txt", text, chosen.choice(LABELS), parents=parents), who=DEX)
    for number in (3, 6):
        parents = [made[number - 1]]
        world.put(draft(f"{number}.txt", f"anew {number}", chosen.choice(LABELS), parents=parents), who=DEX)
    with world.ingestion(DEX, FOLDER) as ingestion:
        assert ingestion.remove("7.txt")
    world.door.relabel(subject(DEX), made[1], LABELS[1], WHY)
    (offer,) = world.put(draft("offer.txt", "the offer", LABELS[2]), who=DEX)
    (pay,) = world.put(draft("pay.txt", "the pay of it", LABELS[1], parents=[offer]), who=DEX)
    world.put(draft("both.txt", "all of it", LABELS[0], parents=[pay]), who=DEX)
    for number, parent in enumerate((offer, made[0])):
        world.put(draft("again.txt", f"written {number}", LABELS[0], parents=[parent]), who=DEX)
    return world


def table(world: World, name: str, columns: list[str]) -> list[Row]:
    """Every row there is, whoever may read it."""
    return _rows(world.ground, world.ground.moment().publication.sequence, name, tuple(columns))


@lru_cache
def _rows(ground: Ground, publication: int, name: str, columns: tuple[str, ...]) -> list[Row]:
    moment = ground.moment()
    assert moment.publication.sequence == publication
    version = moment.publication.versions[name]
    found: list[Row] = ground.tables.scan(name, version, list(moment.table.entries), columns).to_pylist()
    return found


def passages(world: World, document: str) -> list[str]:
    return [row["id"] for row in table(world, "chunks", ["document_id"]) if row["document_id"] == document]


def readable(world: World, who: str, action: str) -> Collection[int]:
    return world.ground.grant(Subject(who), action).atoms


def brute_force(
    world: World, start: str, direction: str, depth: int, atoms: Collection[int], *, audit: bool
) -> Row:
    """Walk by hand over all rows; of a reader everything else is thrown away first."""
    rows = {
        row["id"]: row
        for name in ("documents", "chunks")
        for row in table(world, name, ["run_id"])
        if audit or row["atom"] in atoms
    }
    edges = [
        edge
        for edge in table(world, "edges", ["child", "parent", "kind", "run_id"])
        if audit or edge["atom"] in atoms
    ]
    edges = [
        edge
        for edge in edges
        if edge["kind"] != "derived" or rows.get(edge["child"], edge)["run_id"] == edge["run_id"]
    ]
    sources = {edge["parent"] for edge in edges if edge["kind"] == "document"}
    told = {node for node, row in rows.items() if row["atom"] in atoms}
    told |= {edge["parent"] for edge in edges if edge["kind"] == "document" and edge["atom"] in atoms}
    near, far = ("child", "parent") if direction == "ancestors" else ("parent", "child")
    distance, frontier = {start: 0}, {start}
    for hop in range(1, depth + 1):
        reached = {edge[far] for edge in edges if edge[near] in frontier} - distance.keys()
        frontier = reached if audit else reached & (rows.keys() | sources)
        distance |= dict.fromkeys(frontier, hop)
    return {
        "nodes": {node: hop for node, hop in distance.items() if node in told},
        "hidden": len(distance.keys() - told) if audit else None,
    }


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("who", [*READERS, *AUDITORS])
def test_the_walk_is_what_one_finds_by_hand(grown: World, who: str, direction: str, held: bool) -> None:
    audit = who in AUDITORS
    action = "audit" if audit else "read"
    atoms = readable(grown, who, action)
    grown.ground.resident_lineage.clear()
    assert not held or grown.ground.resident_lineage.open(grown.ground.grant(Subject(who), action))
    starts = {row["id"]: row["atom"] for name in ("documents", "chunks") for row in table(grown, name, [])}
    found_more_than_one = 0
    for number, (start, atom) in enumerate(sorted(starts.items())):
        for depth in (1 + number % 2 * 4,):
            if atom not in atoms:
                with pytest.raises(NotReadable):
                    grown.door.lineage(Subject(who), start, direction=direction, depth=depth, audit=audit)
                continue
            found = grown.door.lineage(Subject(who), start, direction=direction, depth=depth, audit=audit)
            expected = brute_force(grown, start, direction, depth, atoms, audit=audit)
            assert {node["id"]: node["depth"] for node in found["nodes"]} == expected["nodes"]
            assert found["hidden"] == expected["hidden"]
            assert found["complete"]
            found_more_than_one += len(found["nodes"]) > 1
    assert found_more_than_one


def test_an_edge_names_only_what_is_told_and_ends_at_it(grown: World) -> None:
    atoms = readable(grown, HAL, "read")
    for row in table(grown, "documents", []):
        if row["atom"] in atoms:
            found = grown.door.lineage(Subject(HAL), row["id"], direction="descendants", depth=16)
            told = {node["id"] for node in found["nodes"]}
            assert {edge[end] for edge in found["edges"] for end in ("child", "parent")} <= told
            assert len(found["edges"]) >= len(told) - 1


def test_an_auditor_of_one_label_gets_a_number_of_all_else(grown: World) -> None:
    counts = [
        grown.door.lineage(Subject(OTTO), row["id"], direction=way, depth=16, audit=True)["hidden"]
        for row in table(grown, "documents", [])
        if row["atom"] in readable(grown, OTTO, "audit")
        for way in DIRECTIONS
    ]
    assert max(counts) > 0


def test_who_may_only_read_is_no_auditor_and_who_may_only_audit_no_reader(grown: World) -> None:
    (row, *_) = [row for row in table(grown, "documents", []) if row["atom"] in readable(grown, HAL, "read")]
    for who, audit in ((HAL, True), (OLGA, False)):
        if not audit and row["atom"] in readable(grown, who, "read"):
            continue
        with pytest.raises(NotReadable):
            grown.door.lineage(Subject(who), row["id"], direction="ancestors", depth=2, audit=audit)


@pytest.mark.parametrize("start", ["f" * 32, "no id", ""])
def test_unknown_is_what_unreadable_is(grown: World, start: str) -> None:
    hidden = next(
        row["id"] for row in table(grown, "documents", []) if row["atom"] not in readable(grown, BOB, "read")
    )
    for each in (start, hidden):
        with pytest.raises(NotReadable) as caught:
            grown.door.lineage(Subject(BOB), each, direction="ancestors", depth=2)
        assert str(caught.value) == str(NotReadable())


@pytest.mark.parametrize(
    ("direction", "depth"), [("up", 1), ("ancestors", 0), ("ancestors", 17), ("ancestors", True)]
)
def test_a_direction_or_depth_that_is_none_is_refused(grown: World, direction: str, depth: int) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        grown.door.lineage(Subject(HAL), "f" * 32, direction=direction, depth=depth)


def test_too_many_are_said_to_be_too_many(grown: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_walk, "NODES_MAX", 3)
    (row, *_) = [row for row in table(grown, "documents", []) if row["atom"] in readable(grown, DEX, "read")]
    found = grown.door.lineage(Subject(DEX), row["id"], direction="descendants", depth=4)
    assert not found["complete"]
    assert len(found["nodes"]) <= 3


def test_what_a_reader_may_not_read_fills_no_answer_of_his(
    grown: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two documents that he may not read were made from the offer; there is room for what he may read alone."""
    offer = grown.see(BOB).ids["offer.txt"]
    monkeypatch.setattr(lineage_walk, "NODES_MAX", 2)
    found = grown.door.lineage(Subject(BOB), offer, direction="descendants", depth=4)
    assert found["complete"]
    assert [node["kind"] for node in found["nodes"]] == ["document", "passage"]


def test_inputs_that_are_there_no_more_fill_no_answer_of_his_either(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge of his own names them; whether there are many of them is not to be seen from where an answer ends."""
    own = label(DEX, BOB)
    inputs = filled.put(*(draft(f"input{n}.txt", f"input {n}", own) for n in range(3)), who=DEX)
    (made,) = filled.put(draft("made.txt", "made of three", own, parents=inputs), who=DEX)
    with filled.ingestion(DEX) as ingestion:
        assert all(ingestion.remove(f"input{n}.txt") for n in range(3))
    monkeypatch.setattr(lineage_walk, "NODES_MAX", 2)
    found = filled.door.lineage(Subject(BOB), made, direction="ancestors", depth=4)
    assert found["complete"]
    assert [node["kind"] for node in found["nodes"]] == ["document", "source"]


def test_what_was_written_anew_came_from_its_newer_inputs_alone(grown: World) -> None:
    ids = grown.see(DEX).ids
    found = grown.door.lineage(Subject(DEX), ids["again.txt"], direction="ancestors", depth=4)
    assert ids["offer.txt"] not in {node["id"] for node in found["nodes"]}
    assert ids["0.txt"] in {node["id"] for node in found["nodes"]}


def test_a_record_says_what_left_and_how_many_did_not(grown: World) -> None:
    (row, *_) = [
        row for row in table(grown, "documents", []) if row["atom"] in readable(grown, OTTO, "audit")
    ]
    found = grown.door.lineage(Subject(OTTO), row["id"], direction="ancestors", depth=5, audit=True)
    record = grown.records()[-1]
    assert (record["verb"], record["action"], record["outcome"]) == ("lineage", "audit", "allowed")
    assert record["rows"] == [node["id"] for node in found["nodes"]]
    assert record["counts"] == {"nodes": len(found["nodes"]), "hidden": found["hidden"]}
