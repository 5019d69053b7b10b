"""What was made from a document follows it when it is relabelled or erased, whatever was removed or rewritten between.

Each of these once let somebody in, left something behind, or took what was nobody's to take.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ringfence_governance import certificates
from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.errors import InvalidInput, Refused

from .worlds import WHY, World, draft, label, make_world, subject

DEX, BOB, HAL, PAM = (f"acme/user:{name}" for name in ("dex", "bob", "hal", "pam"))
STAFF, PAYROLL, PROJECT = (f"acme/label:{name}" for name in ("staff", "payroll", "project"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store whose writer Dex may read all he writes."""
    world = make_world(tmp_path / "world")
    allow(world, DEX, "*", "read")
    return world


def allow(world: World, who: str, obj: str, *actions: str) -> None:
    for action in actions:
        assert world.add("p", who, "acme", obj, action, "any", "*", "-", "-", "allow")


def source(name: str) -> SourceIdentity:
    return SourceIdentity(f"file:///{name}", "folder")


def put(
    world: World,
    path: str,
    text: str,
    given: object = STAFF,
    *,
    who: str = DEX,
    parents: tuple[str, ...] = (),
) -> str:
    made = draft(path, text, given, parents=parents)  # type: ignore[arg-type]
    (document,) = world.put(made, who=who, source=source(path))
    return document


def remove(world: World, path: str) -> None:
    with world.ingestion(DEX, source(path)) as ingestion:
        assert ingestion.remove(path)


def passage_of(world: World, document: str) -> str:
    version = world.ground.moment().publication.versions["chunks"]
    return str(world.ground.tables.rows_by("chunks", version, "document_id", [document], [])[0]["id"])


def test_a_raised_label_reaches_through_a_document_that_was_removed(world: World) -> None:
    first = put(world, "a", "the salaries")
    second = put(world, "b", "of the salaries", parents=(first,))
    put(world, "c", "of what was of the salaries", parents=(second,))
    remove(world, "b")
    assert world.see(BOB).paths == ("a", "c")
    world.door.relabel(subject(DEX), first, PAYROLL, WHY)
    assert world.see(BOB).paths == ()
    assert world.see(DEX).paths == ("a", "c")


def test_a_part_that_came_from_an_input_that_is_gone_stays(world: World) -> None:
    kept = put(world, "a", "the canteen", PAYROLL)
    gone = put(world, "r", "the salaries", PAYROLL)
    put(world, "d", "canteen and salaries", parents=(kept, gone))
    remove(world, "r")
    world.door.relabel(subject(DEX), kept, STAFF, WHY)
    assert world.see(BOB).paths == ("a",)


def test_a_documents_own_label_is_not_lost_because_an_input_had_it_too(world: World) -> None:
    allow(world, PAM, "*", "ingest")
    allow(world, PAM, STAFF, "declassify", "read")
    allow(world, PAM, PAYROLL, "read")
    allow(world, HAL, PAYROLL, "declassify", "relabel_from", "read")
    allow(world, HAL, PROJECT, "relabel_to")
    shared = put(world, "a", "holidays", who=PAM)
    own = put(world, "d", "salaries and holidays", PAYROLL, parents=(shared,))
    with world.ingestion(PAM, source("a")) as ingestion:
        assert ingestion.relabel("a", PAYROLL)
    with pytest.raises(Refused):
        world.door.relabel(subject(HAL), own, PROJECT, WHY)
    world.door.relabel(subject(HAL), shared, PROJECT, WHY)
    assert world.see(BOB).paths == ("a",)


def test_what_was_made_from_a_passage_that_was_rewritten_is_raised_with_its_document(world: World) -> None:
    document = put(world, "a", "the salaries")
    put(world, "d", "of the salaries", parents=(passage_of(world, document),))
    put(world, "a", "the salaries, put better")
    world.door.relabel(subject(DEX), document, PAYROLL, WHY)
    assert world.see(BOB).paths == ()


def test_what_was_made_from_a_passage_that_was_rewritten_is_erased_with_its_document(world: World) -> None:
    document = put(world, "a", "the salaries")
    put(world, "d", "of the salaries", parents=(passage_of(world, document),))
    put(world, "a", "the salaries, put better")
    (certificate,) = world.door.erase(subject(DEX), [document], WHY)
    assert certificate["clean"]
    assert world.see(DEX).paths == ()


def test_what_is_a_persons_own_words_by_now_is_not_erased_with_what_it_was_once_made_from(
    world: World,
) -> None:
    allow(world, PAM, "*", "read", "ingest", "declassify")
    template = put(world, "a", "a template", label("acme/user:dora", PAM, DEX))
    put(world, "d", "from the template", label(PAM), who=PAM, parents=(template,))
    put(world, "d", "all my own words", label(PAM), who=PAM)
    world.door.erase(subject(DEX), [template], WHY)
    assert world.see(PAM).texts == ("all my own words",)


def test_a_certificate_names_to_nobody_what_another_asked_for_besides(world: World) -> None:
    allow(world, PAM, "*", "ingest")
    own = put(world, "a", "pams", label(PAM, PAM), who=PAM)
    hidden = put(world, "h", "hidden", PAYROLL)
    (certificate,) = world.door.erase(subject(DEX), [own, hidden], WHY)
    assert set(certificate["documents"]) == {own, hidden}
    assert world.door.erase(subject(PAM), [own], WHY) == []


BEA, BO, OLGA = "borealis/user:bea", "borealis/user:bo", "acme/user:olga"


def of_borealis(world: World) -> str:
    made = draft("b", "the foundry", "borealis/label:plans")
    (document,) = world.put(made, who=BO, source=source("b"))
    return document


def test_progress_of_compacting_tells_no_rows_of_other_tenants(world: World) -> None:
    put(world, "a", "the canteen", PAYROLL)
    put(world, "c", "the canteen again")
    of_borealis(world)
    seen: list[object] = []
    world.door.compact(subject(BEA), on_progress=lambda *facts: seen.append(facts))
    assert seen == []


def test_an_erasure_of_another_tenant_is_verified_as_one_there_never_was(world: World) -> None:
    assert world.add("p", OLGA, "acme", "acme/policy", "audit", "any", "*", "-", "-", "allow")
    assert world.add("p", BO, "borealis", "*", "delete", "any", "*", "-", "-", "allow", who=BEA)
    (certificate,) = world.door.erase(subject(BO), [of_borealis(world)], WHY)
    certificate["signature"] = "00"
    unknown = certificate | {"erasure": "0" * 32}
    told = [world.door.verify_erasure(subject(OLGA), each) for each in (certificate, unknown)]
    assert told[0]["claims"] == told[1]["claims"]
    assert not told[0]["holds"]


@pytest.mark.parametrize("wrong", [{"erasure": [1]}, {"documents": 5}, {"documents": [[1]]}, {"store": None}])
def test_what_only_looks_like_a_certificate_is_none(wrong: dict[str, object]) -> None:
    whole = {"store": "", "erasure": "", "documents": [], "signature": ""}
    assert certificates.parsed(json.dumps(whole)) == whole
    with pytest.raises(InvalidInput, match="found no certificate"):
        certificates.parsed(json.dumps(whole | wrong))
