"""A document is written under a label its ingester may use, or not at all; and he sees his own alone."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from ringfence_governance import manifest
from ringfence_governance.drafts import LabelChoice, SourceIdentity
from ringfence_governance.errors import (
    InvalidIdentifier,
    InvalidInput,
    InvalidLabel,
    Refused,
    RingfenceError,
    StoreError,
    WriteRefused,
)
from ringfence_governance.table_schemas import SCHEMAS
from ringfence_governance.vector_models import VectorModel

from .worlds import ADMIN, FOLDER, World, draft, label, sha256, subject

HAL, BOB, DEX, PAM = (f"acme/user:{name}" for name in ("hal", "bob", "dex", "pam"))
PAYROLL, PROJECT, STAFF = (f"acme/label:{name}" for name in ("payroll", "project", "staff"))


def state(world: World, path: str, text: str, choice: LabelChoice, **settings: Any) -> str:
    with world.ingestion(settings.pop("who", ADMIN), settings.pop("source", FOLDER), **settings) as ingestion:
        return ingestion.state(path, sha256(text), choice)


def answer(act: Any) -> tuple[str, str, str]:
    """What an error says, in whole."""
    with pytest.raises(RingfenceError) as caught:
        act()
    return type(caught.value).__name__, str(caught.value), caught.value.hint


# Labels


@pytest.mark.parametrize(
    "choice", ["", None, "payroll", "acme/user:dora", "Acme/label:payroll", "acme/label:~0"], ids=str
)
def test_a_document_without_a_label_is_not_even_described(choice: str) -> None:
    with pytest.raises(InvalidIdentifier, match="expected a label's name"):
        draft("a.txt", "text", choice)


def test_a_document_under_a_label_of_no_owner_is_not_even_described() -> None:
    with pytest.raises(InvalidLabel, match="found no owner"):
        draft("a.txt", "text", type(label()).from_mapping({"tenant": "acme"}))


def test_an_unknown_label_and_one_that_may_not_be_used_are_one_answer(world: World) -> None:
    """Pam may ingest under her own labels alone; which others exist is not hers to know."""
    unknown = answer(lambda: world.put(draft("a.txt", "text", "acme/label:zzzzzzz"), who=PAM))
    forbidden = answer(lambda: world.put(draft("a.txt", "text", PAYROLL), who=PAM))
    assert unknown[0] == "Refused"
    assert tuple(part.replace("zzzzzzz", "payroll") for part in unknown) == forbidden
    other_tenant = answer(lambda: world.put(draft("a.txt", "text", "borealis/label:plans"), who=PAM))
    no_such_there = answer(lambda: world.put(draft("a.txt", "text", "borealis/label:zzzzz"), who=PAM))
    assert tuple(part.replace("zzzzz", "plans") for part in no_such_there) == other_tenant
    assert world.see(HAL).documents == ()


def test_who_may_ingest_nothing_ingests_nothing(world: World) -> None:
    for choice in (STAFF, label(BOB), label(BOB, "acme/group:sales")):
        with pytest.raises(Refused, match="may not ingest"):
            world.put(draft("a.txt", "text", choice), who=BOB)


def test_an_ingester_may_use_the_labels_his_rules_name_and_no_other(world: World) -> None:
    world.put(draft("a.txt", "hers", label(PAM)), who=PAM)
    assert world.see(PAM).texts == ("hers",)
    with pytest.raises(Refused):
        world.put(draft("b.txt", "not hers", label("acme/user:dora")), who=PAM)


def test_a_label_of_another_tenant_is_refused(world: World) -> None:
    for choice in (label("borealis/user:bea"), "borealis/label:plans"):
        with pytest.raises(Refused):
            world.put(draft("a.txt", "text", choice))
        with pytest.raises(Refused):
            world.put(draft("a.txt", "text", choice), who=DEX)
    with pytest.raises(Refused):
        world.put(draft("a.txt", "text", STAFF), who="borealis/user:bo")


def test_check_label_says_what_put_would(world: World) -> None:
    with world.ingestion(PAM) as ingestion:
        ingestion.check_label(label(PAM))
        for choice in (PAYROLL, "acme/label:none", label("acme/user:dora"), label("borealis/user:bea")):
            with pytest.raises(Refused):
                ingestion.check_label(choice)


def test_every_row_carries_label_run_and_lineage(world: World) -> None:
    (document,) = world.put(draft("a.txt", "one\ntwo"))
    ground = world.ground
    versions, atoms = ground.moment().publication.versions, ground.moment().table.entries
    rows = {
        name: ground.tables.scan(name, versions[name], atoms, SCHEMAS[name].names).to_pylist()
        for name in SCHEMAS
    }
    assert {name: len(found) for name, found in rows.items()} == {"documents": 1, "chunks": 2, "edges": 3}
    (run,) = {row["run_id"] for found in rows.values() for row in found}
    (atom,) = {row["atom"] for found in rows.values() for row in found}
    assert atom == ground.moment().table.by_id[STAFF].atom
    with ground.catalog.read() as connection:
        (job, done) = connection.exec_driver_sql("SELECT job, state FROM runs WHERE run_id = ?", (run,)).one()
    assert (job, done) == ("ingest", "COMPLETE")
    edges = {(edge["child"], edge["parent"], edge["kind"]) for edge in rows["edges"]}
    chunks = {row["id"] for row in rows["chunks"]}
    assert {child for child, parent, kind in edges if kind == "chunk" and parent == document} == chunks
    assert [kind for child, _, kind in edges if child == document] == ["document"]


# What is unchanged, changed, new


def test_a_file_is_new_then_unchanged_then_changed(world: World) -> None:
    assert state(world, "a.txt", "one", STAFF) == "new"
    world.put(draft("a.txt", "one"))
    assert state(world, "a.txt", "one", STAFF) == "unchanged"
    assert state(world, "a.txt", "two", STAFF) == "changed"
    assert state(world, "a.txt", "one", PAYROLL) == "label_changed"
    assert state(world, "a.txt", "two", PAYROLL) == "changed"
    assert state(world, "b.txt", "one", STAFF) == "new"


def test_an_equal_label_is_the_same_label_whoever_builds_it(world: World) -> None:
    world.put(draft("a.txt", "one", label("acme/user:dora", "acme/user:hal", "acme/user:bob")))
    assert (
        state(world, "a.txt", "one", label("acme/user:dora", "acme/user:bob", "acme/user:hal")) == "unchanged"
    )
    assert state(world, "a.txt", "one", label("acme/user:dora", "acme/user:bob")) == "label_changed"


def test_other_settings_or_another_version_of_the_pipeline_make_a_file_changed(world: World) -> None:
    world.put(draft("a.txt", "one"))
    assert state(world, "a.txt", "one", STAFF, pipeline="2") == "changed"


def test_another_source_another_kind_and_another_ingester_see_a_new_file(world: World) -> None:
    """Digests are keyed per tenant, ingester and source: whether somebody else has the file is not to be learnt."""
    world.put(draft("a.txt", "one"))
    assert state(world, "a.txt", "one", STAFF, source=SourceIdentity("file:///other", "folder")) == "new"
    assert state(world, "a.txt", "one", STAFF, source=SourceIdentity(FOLDER.uri, "mbox")) == "new"
    assert state(world, "a.txt", "one", STAFF, who=DEX) == "new"
    with world.ingestion(DEX) as ingestion:
        assert ingestion.paths() == frozenset()


def test_two_ingesters_of_one_source_have_two_documents(world: World) -> None:
    world.put(draft("a.txt", "one"))
    world.put(draft("a.txt", "one"), who=DEX)
    assert world.see(HAL).paths == ("a.txt", "a.txt")
    world.put(draft("a.txt", "two"), who=DEX)
    assert sorted(world.see(HAL).texts) == ["one", "two"]


def test_paths_are_those_this_subject_ingested_from_this_source(filled: World) -> None:
    with filled.ingestion() as ingestion:
        assert ingestion.paths() == {"public.txt", "pay/salaries.txt", "project.txt", "board.txt", "ann.txt"}


# Replacing, removing, two of one name


def test_a_document_put_again_keeps_its_id_and_nothing_of_its_old_text(world: World) -> None:
    (first,) = world.put(draft("a.txt", "old one\nold two\nold three", STAFF))
    before = world.see(HAL)
    (second,) = world.put(draft("a.txt", "new", STAFF))
    after = world.see(HAL)
    assert first == second == after.documents[0]
    assert (after.texts, after.chunks, after.terms) == (("new",), ("new",), (("new",),))
    assert after.counts["documents"] == after.counts["chunks"] == 1
    assert after.as_of != before.as_of


def test_a_document_put_again_under_another_label_is_gone_for_the_readers_of_the_old(world: World) -> None:
    world.put(draft("a.txt", "old", STAFF), who=DEX)
    world.put(draft("a.txt", "new", PAYROLL), who=DEX)
    assert world.see(BOB).documents == ()
    assert world.see(HAL).texts == ("new",)


def test_two_documents_of_one_name_in_one_run_are_one_and_a_refusal(world: World) -> None:
    with world.ingestion() as ingestion:
        ingestion.put(draft("a.txt", "first"))
        with pytest.raises(
            WriteRefused, match=r"two documents named 'a\.txt' in one run; expected one; the first was kept"
        ):
            ingestion.put(draft("a.txt", "second"))
    assert world.see(HAL).texts == ("first",)


def test_they_are_also_when_the_first_was_published_in_between(world: World) -> None:
    with world.ingestion() as ingestion:
        ingestion.put(draft("a.txt", "first"))
        ingestion.publish()
        with pytest.raises(WriteRefused, match="the first was kept"):
            ingestion.put(draft("a.txt", "second"))
    assert world.see(HAL).texts == ("first",)


def test_they_are_also_in_a_dry_run(world: World) -> None:
    with world.ingestion(dry_run=True) as ingestion:
        ingestion.put(draft("a.txt", "first"))
        with pytest.raises(WriteRefused, match="the first was kept"):
            ingestion.put(draft("a.txt", "second"))


def test_a_refused_first_does_not_stand_in_the_way_of_a_second(world: World) -> None:
    with world.ingestion(PAM) as ingestion:
        with pytest.raises(Refused):
            ingestion.put(draft("a.txt", "first", PAYROLL))
        ingestion.put(draft("a.txt", "second", label(PAM)))
    assert world.see(PAM).texts == ("second",)


def test_a_removed_document_is_gone_and_its_key_too(filled: World) -> None:
    document = filled.see(HAL).ids["pay/salaries.txt"]
    with filled.ingestion() as ingestion:
        assert ingestion.remove("pay/salaries.txt")
    assert filled.see(HAL).paths == ("public.txt",)
    entries = list(filled.ground.moment().table.entries.values())
    assert document not in {name.document_id for name in filled.ground.keys.keyring(entries)._wrapped}
    assert state(filled, "pay/salaries.txt", "x", PAYROLL) == "new"


def test_who_may_neither_ingest_nor_delete_any_more_removes_nothing(filled: World) -> None:
    everywhere = ("p", "acme/user:temp", "acme", "*", "ingest", "any", "*", "-", "-", "allow")
    filled.add(*everywhere)
    filled.put(draft("a.txt", "text"), who="acme/user:temp")
    filled.add("p", "acme/user:temp", "acme", PROJECT, "ingest", "any", "*", "-", "-", "allow")
    filled.remove(*everywhere)
    with filled.ingestion("acme/user:temp") as ingestion:
        assert not ingestion.remove("a.txt")
    assert "a.txt" in filled.see(HAL).paths


@pytest.mark.parametrize("verb", ["remove", "relabel"])
def test_a_document_that_is_not_there_or_was_changed_in_this_run_is_named(filled: World, verb: str) -> None:
    """Removing what was put in the same batch would publish rows whose key is destroyed."""
    with filled.ingestion() as ingestion:
        act = ingestion.remove if verb == "remove" else partial(ingestion.relabel, label=STAFF)
        ingestion.put(draft("new.txt", "text"))
        ingestion.put(draft("public.txt", "changed"))
        assert ingestion.remove("project.txt")
        for path in ("nowhere.txt", "new.txt", "public.txt", "project.txt", "plans.txt", ""):
            with pytest.raises(
                InvalidInput, match="expected a path this subject ingested from this source before"
            ):
                act(path)
    assert filled.see(HAL).texts == ("text", "dora earns ninety\nhal earns eighty", "changed")


# Models


def test_vectors_of_another_model_are_refused(filled: World) -> None:
    same_name = VectorModel("test-hash", "1" * 64, 8)
    other_name = VectorModel("another", "0" * 64, 8)
    longer = VectorModel("test-hash", "0" * 64, 16)
    for model in (same_name, other_name, longer):
        with pytest.raises(
            StoreError, match=r"expected the store's own, 'test-hash' \(weights 000000000000…\)"
        ) as caught:
            filled.ingestion(model=model).__enter__()
        assert "never mix" in caught.value.hint
    filled.put(draft("a.txt", "text"))


def test_the_first_publication_says_which_model_and_nothing_before(world: World) -> None:
    assert world.door.vector_model() is None
    with world.ingestion() as ingestion:
        ingestion.put(draft("a.txt", "text"))
        assert world.door.vector_model() is None
    assert world.door.vector_model() == VectorModel("test-hash", "0" * 64, 8)


def test_two_first_ingests_with_two_models_do_not_mix(world: World) -> None:
    """Both began before either published."""
    late = world.ingestion(model=VectorModel("another", "1" * 64, 8))
    with world.ingestion() as first:
        first.put(draft("a.txt", "text"))
        late._lease = type(late._lease)(world.ground.catalog)
    late._lease.__enter__()
    late._authority = first._authority
    late._source_id = first._source_id
    late._start()
    late.put(draft("b.txt", "other"))
    with pytest.raises(StoreError, match="expected the store's own"):
        late.__exit__(None, None, None)
    assert world.see(HAL).paths == ("a.txt",)


def test_a_vector_of_another_length_than_the_models_is_refused(world: World) -> None:
    with world.ingestion() as ingestion, pytest.raises(WriteRefused, match=r"shape \(4,\); expected \(8,\)"):
        ingestion.put(draft("a.txt", "text", dimensions=4))
    assert world.see(HAL).documents == ()


def test_a_document_without_a_word_has_no_chunk_and_is_there(world: World) -> None:
    world.put(draft("empty.txt", ""), draft("blank.txt", " \n "))
    seen = world.see(HAL)
    assert seen.paths == ("blank.txt", "empty.txt")
    assert seen.counts["chunks"] == 0
    world.put(draft("empty.txt", "now it has"), draft("blank.txt", ""))
    assert world.see(HAL).chunks == ("now it has",)


def test_vectors_and_terms_come_back_bit_for_bit(world: World) -> None:
    document = draft("a.txt", "one two\nthree")
    world.put(document)
    seen = world.see(HAL)
    wanted = {chunk.text: (chunk.vector.tobytes(), chunk.terms) for chunk in document.chunks}
    vectors = np.frombuffer(seen.vectors, "<f4").reshape(2, 8)
    got = {
        text: (row.tobytes(), terms)
        for text, row, terms in zip(seen.chunks, vectors, seen.terms, strict=True)
    }
    assert got == wanted


# Dry runs


def test_a_dry_run_judges_everything_and_writes_nothing(filled: World) -> None:
    before = sorted(path for path in filled.path.rglob("*") if "catalog.db-" not in path.name)
    sequence = filled.ground.moment().sequence
    with filled.ingestion(dry_run=True) as ingestion:
        assert ingestion.state("public.txt", sha256("x"), STAFF) == "changed"
        assert ingestion.put(draft("new.txt", "text", label("acme/user:never-seen"))) == ""
        assert ingestion.relabel("project.txt", PROJECT)
        assert ingestion.remove("public.txt")
        with pytest.raises(Refused):
            ingestion.put(draft("no.txt", "text", "borealis/label:plans"))
        with pytest.raises(WriteRefused):
            ingestion.put(draft("pay/salaries.txt", "text", STAFF))
        ingestion.publish()
    with filled.ingestion(source=SourceIdentity("file:///new", "folder"), dry_run=True) as ingestion:
        assert ingestion.state("a", sha256("x"), STAFF) == "new"
        assert ingestion.paths() == frozenset()
    assert sorted(path for path in filled.path.rglob("*") if "catalog.db-" not in path.name) == before
    assert filled.ground.moment().sequence == sequence


# Relabelling


def test_a_raise_of_a_label_needs_no_declassify(filled: World) -> None:
    """From everybody to the same owner's and fewer readers'."""
    filled.put(draft("a.txt", "text", label("acme/user:dora", HAL, BOB)))
    with filled.ingestion() as ingestion:
        assert ingestion.relabel("a.txt", label("acme/user:dora", BOB))
    assert "a.txt" not in filled.see(HAL).paths
    assert "a.txt" in filled.see(BOB).paths


LOWER: dict[str, LabelChoice] = {
    "another reader": label("acme/user:dora", HAL, BOB, "acme/user:eve", level=1, compartments=["project"]),
    "another owner": label("acme/user:ann", HAL, BOB, level=1, compartments=["project"]),
    "a lower level": label("acme/user:dora", HAL, BOB, compartments=["project"]),
    "a compartment less": label("acme/user:dora", HAL, BOB, level=1),
    "a named label": PAYROLL,
}


@pytest.mark.parametrize("why", LOWER)
@pytest.mark.parametrize("way", ["relabel", "put"])
def test_a_lowering_needs_declassify(filled: World, why: str, way: str) -> None:
    high = label("acme/user:dora", HAL, BOB, level=1, compartments=["project"])

    lower = draft("a.txt", "text", LOWER[why])
    for who in (ADMIN, DEX):
        filled.put(draft("a.txt", "text", high), who=who)
    with filled.ingestion(ADMIN) as ingestion:
        if way == "relabel":
            assert not ingestion.relabel("a.txt", LOWER[why])
        else:
            with pytest.raises(WriteRefused, match="its label would be lower than the one it has"):
                ingestion.put(lower)
    with filled.ingestion(DEX) as ingestion:
        assert ingestion.relabel("a.txt", LOWER[why]) if way == "relabel" else ingestion.put(lower)
    assert state(filled, "a.txt", "text", high) == "unchanged"
    assert state(filled, "a.txt", "text", LOWER[why], who=DEX) == "unchanged"


def test_is_lower_compares_without_writing(filled: World) -> None:
    wide, narrow = label("acme/user:dora", HAL, BOB), label("acme/user:dora", BOB)
    with filled.ingestion() as ingestion:
        assert ingestion.is_lower(wide, narrow)
        assert not ingestion.is_lower(narrow, wide)
        assert not ingestion.is_lower(wide, wide)
        assert ingestion.is_lower(PROJECT, PAYROLL)
        assert not ingestion.is_lower(PAYROLL, PAYROLL)
        assert ingestion.is_lower("acme/label:unknown", PAYROLL)
        assert ingestion.is_lower(PAYROLL, "acme/label:unknown")


def test_a_label_in_a_set_that_a_rule_opens_is_lower_than_its_twin_outside(filled: World) -> None:
    """Equal values are not equal labels if a rule names one of them."""
    filled.add("g2", PROJECT, "acme/set:open")
    filled.add("p", "acme/user:eve", "acme", "acme/set:open", "read", "any", "*", "-", "-", "allow")
    twin = filled.ground.moment().table.by_id[PROJECT].definition
    assert twin is not None
    with filled.ingestion() as ingestion:
        assert ingestion.is_lower(PROJECT, twin)


def test_relabelling_moves_document_chunks_and_edges_together(filled: World) -> None:
    with filled.ingestion(DEX) as ingestion:
        ingestion.put(draft("many.txt", "\n".join(f"line {n}" for n in range(30)), STAFF))
    before, hidden_from = filled.see(HAL), filled.see(BOB)
    with filled.ingestion(DEX) as ingestion:
        assert ingestion.relabel("many.txt", PAYROLL)
    assert filled.see(HAL).chunks == before.chunks
    assert filled.see(HAL).vectors == before.vectors
    assert filled.see(HAL).counts == before.counts
    after = filled.see(BOB)
    assert {name: hidden_from.counts[name] - after.counts[name] for name in after.counts} == {
        "documents": 1,
        "chunks": 30,
        "edges": 31,
    }


def test_relabelling_to_the_label_it_has_changes_nothing(filled: World) -> None:
    before = filled.ground.moment().publication
    with filled.ingestion() as ingestion:
        assert ingestion.relabel("project.txt", PROJECT)
    assert filled.ground.moment().publication == before


def test_relabelling_needs_the_right_to_ingest_under_the_new_label(filled: World) -> None:
    filled.put(draft("a.txt", "text", label(PAM)), who=PAM)
    with filled.ingestion(PAM) as ingestion, pytest.raises(Refused):
        ingestion.relabel("a.txt", PAYROLL)


def test_relabelling_there_and_back_leaves_a_document_that_opens(filled: World) -> None:
    filled.put(draft("a.txt", "text", PROJECT), who=DEX)
    for choice in (PAYROLL, PROJECT, STAFF, PROJECT):
        with filled.ingestion(DEX) as ingestion:
            assert ingestion.relabel("a.txt", choice)
    assert "a.txt" in filled.see(BOB).paths
    assert "a.txt" not in filled.see(HAL).paths


def test_a_put_and_a_relabel_and_a_removal_come_out_together(filled: World) -> None:
    with filled.ingestion(DEX) as ingestion:
        for name in "abc":
            ingestion.put(draft(name, f"text {name}", PROJECT))
    with filled.ingestion(DEX) as ingestion:
        ingestion.put(draft("a", "text a 2", PAYROLL))
        assert ingestion.relabel("b", PAYROLL)
        assert ingestion.remove("c")
        ingestion.put(draft("d", "text d", PAYROLL))
    assert [text for text in filled.see(HAL).texts if "text" in text] == ["text a 2", "text b", "text d"]
    assert filled.see(BOB).paths == ("project.txt", "public.txt")


def test_who_lost_his_right_in_the_middle_of_a_run_puts_and_publishes_nothing_more(filled: World) -> None:
    right = ("p", "acme/user:temp", "acme", "*", "ingest", "any", "*", "-", "-", "allow")
    filled.add(*right)
    ingestion = filled.ingestion("acme/user:temp").__enter__()
    ingestion.put(draft("before.txt", "published before"))
    ingestion.publish()
    ingestion.put(draft("a.txt", "one"))
    filled.second().remove(*right)
    with pytest.raises(Refused):
        ingestion.put(draft("b.txt", "two"))
    with pytest.raises(Refused):
        ingestion.__exit__(None, None, None)
    assert filled.see(HAL).paths == ("before.txt", "pay/salaries.txt", "public.txt")


@pytest.mark.parametrize("change", ["put", "relabel"])
def test_a_right_to_declassify_lost_before_the_publication_stops_it(filled: World, change: str) -> None:
    right = ("p", "acme/user:temp", "acme", "*", "declassify", "any", "*", "-", "-", "allow")
    filled.add("p", "acme/user:temp", "acme", "*", "ingest", "any", "*", "-", "-", "allow")
    filled.add(*right)
    filled.put(draft("a.txt", "one", PAYROLL), who="acme/user:temp")
    ingestion = filled.ingestion("acme/user:temp").__enter__()
    if change == "put":
        ingestion.put(draft("a.txt", "two", STAFF))
    else:
        assert ingestion.relabel("a.txt", STAFF)
    filled.second().remove(*right)
    with pytest.raises((Refused, WriteRefused)):
        ingestion.__exit__(None, None, None)
    assert "a.txt" not in filled.see(BOB).paths
    assert "a.txt" in filled.see(HAL).paths


def test_a_change_of_policy_that_takes_nothing_away_does_not_stop_a_run(filled: World) -> None:
    with filled.ingestion() as ingestion:
        ingestion.put(draft("a.txt", "one"))
        filled.second().add("g", "acme/user:new", "acme/group:sales")
    assert "a.txt" in filled.see(HAL).paths


def test_a_draft_prints_nothing_of_its_text(world: World) -> None:
    document = draft("a.txt", "very secret words", title="a secret title")
    assert "secret" not in repr(document)
    with world.ingestion() as ingestion:
        assert "srv" not in repr(ingestion)


def test_two_runs_that_begin_a_new_source_at_once_make_one_source(world: World) -> None:
    """Both look the source up before either has made it."""
    new = SourceIdentity("file:///brand-new", "folder")
    worlds = [world, *(world.second() for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        ids = set(
            pool.map(lambda one: manifest.source_id(one.ground, subject(ADMIN), new, make=True), worlds)
        )
    assert len(ids) == 1


def test_a_frozen_draft_stays_what_was_judged() -> None:
    document = draft("a.txt", "text", PAYROLL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.label = STAFF  # type: ignore[misc]
