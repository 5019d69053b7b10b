"""What came from other documents is readable by who may read them all; equal bytes are no way around a label."""

from __future__ import annotations

import pytest

from ringfence_governance import catalog_labels
from ringfence_governance.drafts import LabelChoice, SourceIdentity
from ringfence_governance.errors import InvalidLabel, Refused, RingfenceError, WriteRefused
from ringfence_governance.ingestion import Ingestion
from ringfence_governance.labels import Label, flatten
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.subjects import Subject

from .worlds import ADMIN, MODEL, World, draft, label, subject
from .writings import wraps_are_those_of_the_manifest

ANN, BOB, DEX, PAM, HAL = (f"acme/user:{name}" for name in ("ann", "bob", "dex", "pam", "hal"))
OWN = SourceIdentity("file:///home/own", "folder")
LETTER = "dear hal, your salary rises to ninety"


def readers(*people: str) -> Label:
    return label("acme/user:dora", *people)


def may_ingest(world: World, who: str) -> str:
    world.add("p", who, "acme", "*", "ingest", "any", "*", "-", "-", "allow")
    return who


@pytest.fixture
def parents(world: World) -> dict[str, str]:
    """Path → id of three documents: Pam reads all, Ann the first two, Bob the last two."""
    drafts = {
        "one": readers(PAM, ANN, ADMIN),
        "two": readers(PAM, ANN, BOB, ADMIN),
        "three": readers(PAM, BOB, ADMIN),
    }
    ids = world.put(*(draft(path, f"text {path}", choice) for path, choice in drafts.items()))
    return dict(zip(drafts, ids, strict=True))


# Declared parents


def test_a_derivative_is_readable_only_by_who_may_read_all_it_came_from(
    world: World, parents: dict[str, str]
) -> None:
    world.put(draft("sum", "the sum", readers(PAM, ANN, BOB, HAL, ADMIN), parents=parents.values()))
    assert [who for who in (PAM, ANN, BOB, HAL, ADMIN) if "sum" in world.see(who).paths] == [PAM, ADMIN]


def test_its_own_label_is_a_part_of_it_too(world: World, parents: dict[str, str]) -> None:
    world.put(draft("sum", "the sum", readers(ANN), parents=[parents["two"]]))
    assert [who for who in (PAM, ANN, BOB) if "sum" in world.see(who).paths] == [ANN]


def test_a_parent_of_the_same_label_makes_no_compound(world: World, parents: dict[str, str]) -> None:
    world.put(draft("copy", "a copy", readers(PAM, ANN, ADMIN), parents=[parents["one"]]))
    assert not [entry for entry in world.ground.moment().table.entries.values() if entry.parts]
    assert "copy" in world.see(ANN).paths


def test_a_derivative_of_a_derivative_inherits_all(world: World, parents: dict[str, str]) -> None:
    everybody = readers(PAM, ANN, BOB, ADMIN)
    (first,) = world.put(
        draft("first", "from one and two", everybody, parents=[parents["one"], parents["two"]])
    )
    world.put(draft("second", "from that and three", everybody, parents=[first, parents["three"]]))
    assert [who for who in (PAM, ANN, BOB) if "first" in world.see(who).paths] == [PAM, ANN]
    assert [who for who in (PAM, ANN, BOB) if "second" in world.see(who).paths] == [PAM]


def test_a_chunk_may_be_named_as_a_parent(world: World, parents: dict[str, str]) -> None:
    ground = world.ground
    version = ground.moment().publication.versions["chunks"]
    (chunk,) = ground.tables.ids_by("chunks", version, "document_id", [parents["three"]])[parents["three"]]
    world.put(draft("quote", "a quote", readers(PAM, ANN, BOB), parents=[chunk]))
    assert [who for who in (PAM, ANN, BOB) if "quote" in world.see(who).paths] == [PAM, BOB]


def test_lineage_from_a_derivative_to_its_parents_is_kept(world: World, parents: dict[str, str]) -> None:
    (derived,) = world.put(draft("sum", "the sum", readers(ADMIN), parents=parents.values()))
    ground = world.ground
    moment = ground.moment()
    edges = ground.tables.scan(
        "edges", moment.publication.versions["edges"], moment.table.entries, ["child", "parent", "kind"]
    ).to_pylist()
    found = {edge["parent"] for edge in edges if edge["child"] == derived and edge["kind"] == "derived"}
    assert found == set(parents.values())


def test_an_unreadable_and_an_unknown_parent_are_one_refusal(world: World, parents: dict[str, str]) -> None:
    dex_reads_nothing = world.see(DEX).documents
    assert dex_reads_nothing == ()
    messages = set()
    for parent in (parents["one"], "0" * 32, "no id", ""):
        with pytest.raises(Refused, match="a parent is unknown, or the ingester may not read it") as caught:
            world.put(draft("sum", "the sum", readers(DEX), parents=[parent]), who=DEX)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_one_unreadable_parent_among_others_refuses_the_whole(world: World, parents: dict[str, str]) -> None:
    ann = may_ingest(world, ANN)
    with pytest.raises(Refused):
        world.put(draft("sum", "the sum", readers(ANN), parents=[parents["one"], parents["three"]]), who=ann)
    assert "sum" not in world.see(ANN).paths


def test_a_parent_of_another_tenant_is_refused(filled: World) -> None:
    (plans,) = filled.see("borealis/user:bo").documents
    with pytest.raises(Refused):
        filled.put(draft("sum", "the sum", readers(ADMIN), parents=[plans]))


def test_parts_of_two_tenants_make_no_label(filled: World) -> None:
    table = filled.ground.moment().table
    acme, borealis = table.by_id["acme/label:payroll"], table.by_id["borealis/label:plans"]
    with pytest.raises(InvalidLabel, match="what comes from two tenants is refused"):
        flatten([acme, borealis])
    with pytest.raises(InvalidLabel, match="parts of 2 tenants"):
        catalog_labels.intern_compound(filled.ground.catalog, frozenset({acme.label_id, borealis.label_id}))
    with pytest.raises(InvalidLabel, match="found 1 parts"):
        catalog_labels.intern_compound(filled.ground.catalog, frozenset({acme.label_id}))


def test_equal_sets_of_parts_are_one_label_in_whatever_order(world: World, parents: dict[str, str]) -> None:
    ids = list(parents.values())
    world.put(
        draft("sum", "the sum", readers(ADMIN), parents=ids),
        draft("mus", "the mus", readers(ADMIN), parents=[*reversed(ids), *ids]),
    )
    assert len([entry for entry in world.ground.moment().table.entries.values() if entry.parts]) == 1


@pytest.mark.parametrize("missing", ["one", "two", "three", "all"])
def test_put_again_without_a_parent_is_a_lowering(
    world: World, parents: dict[str, str], missing: str
) -> None:
    """Leaving the parent out must not be a way to be rid of its label."""
    pam = may_ingest(world, PAM)
    own = readers(PAM, ANN, BOB)
    left = [] if missing == "all" else [parent for path, parent in parents.items() if path != missing]
    world.put(draft("sum", "the sum", own, parents=parents.values()), who=pam, source=OWN)
    before = world.see(PAM)
    again = draft("sum", "the sum again", own, parents=left)
    if missing == "two":
        # What two's readers may read, both others' readers may too: with them it is not lower.
        world.put(again, who=pam, source=OWN)
        assert [who for who in (PAM, ANN, BOB) if "sum" in world.see(who).paths] == [PAM]
        return
    with pytest.raises(WriteRefused, match="its label would be lower than the one it has"):
        world.put(again, who=pam, source=OWN)
    assert world.see(PAM) == before
    world.put(draft("sum", "the sum again", own, parents=parents.values()), who=pam, source=OWN)


def test_a_relabelled_derivative_keeps_the_labels_of_what_it_came_from(
    world: World, parents: dict[str, str]
) -> None:
    world.add("p", DEX, "acme", "*", "read", "any", "*", "-", "-", "allow")
    own = readers(PAM, ANN, BOB)
    world.put(draft("sum", "the sum", own, parents=parents.values()), who=DEX, source=OWN)
    with world.ingestion(DEX, OWN) as ingestion:
        assert ingestion.relabel("sum", readers(PAM, ANN, BOB, HAL))
    assert [who for who in (PAM, ANN, BOB, HAL) if "sum" in world.see(who).paths] == [PAM]


# Equal bytes


def floor(world: World, who: str, choice: LabelChoice, text: str = LETTER) -> str:
    """Ingest the letter's bytes from a folder of one's own: 'written', or what the refusal says."""
    try:
        world.put(draft("mine.txt", text, choice), who=who, source=OWN)
    except RingfenceError as error:
        return str(error)
    return "written"


REFUSED = "its bytes equal a document you may read, or were given, under a higher label"


@pytest.fixture
def letter(world: World) -> World:
    """A letter under the payroll label, ingested by the administrator, who may not read it. Hal may."""
    world.put(draft("letter.txt", LETTER, "acme/label:payroll"))
    may_ingest(world, HAL)
    may_ingest(world, BOB)
    return world


def test_bytes_the_ingester_may_read_keep_their_label(letter: World) -> None:
    assert REFUSED in floor(letter, HAL, "acme/label:staff")
    assert REFUSED in floor(letter, HAL, label(HAL))
    assert letter.see(BOB).documents == ()
    assert floor(letter, HAL, "acme/label:payroll") == "written"


def test_other_bytes_are_free(letter: World) -> None:
    assert floor(letter, HAL, "acme/label:staff", LETTER + "!") == "written"


def test_who_may_declassify_there_may(letter: World) -> None:
    letter.add("p", HAL, "acme", "acme/label:payroll", "declassify", "any", "*", "-", "-", "allow")
    assert floor(letter, HAL, "acme/label:staff") == "written"


def test_bytes_he_was_given_once_keep_their_label_when_his_right_is_gone(letter: World) -> None:
    assert "letter.txt" in letter.see(HAL).paths
    letter.remove("g", HAL, "acme/group:hr")
    assert letter.see(HAL).documents == ()
    assert REFUSED in floor(letter, HAL, "acme/label:staff")


def test_bytes_he_could_have_read_and_never_did_are_free_once_his_right_is_gone(letter: World) -> None:
    letter.remove("g", HAL, "acme/group:hr")
    assert floor(letter, HAL, "acme/label:staff") == "written"


def test_a_passage_that_was_given_counts_as_its_document(letter: World) -> None:
    def work(reader: GrantedReader) -> Answer[None]:
        block = reader.chunks()
        row = (block.ids[0], int(block.atoms[0]))
        return Answer([row], lambda as_of: None, documents=block.document_ids[:1])

    letter.door.read(subject(HAL), "search", work)
    letter.remove("g", HAL, "acme/group:hr")
    assert REFUSED in floor(letter, HAL, "acme/label:staff")


def test_bytes_he_never_could_read_have_no_effect_on_anything(letter: World) -> None:
    """Guessing the letter must not tell that it is there: answer, error, state and count are those of any text."""
    with letter.ingestion(BOB, OWN, dry_run=True) as ingestion:
        states = {
            ingestion.state("mine.txt", draft("x", text).sha256, label(BOB)) for text in (LETTER, "other")
        }
    assert states == {"new"}
    assert floor(letter, BOB, "acme/label:staff") == "written"
    assert floor(letter, BOB, "acme/label:staff", "other") == "written"
    assert letter.see(BOB).counts["documents"] == 1


@pytest.mark.parametrize("verb", ["who", "why_for", "what_for", "log"])
def test_bytes_he_was_told_about_as_an_auditor_have_no_effect(letter: World, verb: str) -> None:
    """An auditor who may not read could else confirm a guessed text by what is refused."""
    (document,) = letter.see(HAL).documents
    olga = may_ingest(letter, "acme/user:olga")
    {
        "who": lambda: letter.door.who(subject(olga), document),
        "why_for": lambda: letter.door.why_for(subject(olga), subject(HAL), document),
        "what_for": lambda: letter.door.what_for(subject(olga), subject(HAL), documents=True),
        "log": lambda: letter.door.log(subject(olga)),
    }[verb]()
    assert floor(letter, olga, "acme/label:staff") == "written"


def test_who_carries_a_request_for_another_is_not_given_what_the_other_is(letter: World) -> None:
    letter.add("p", "acme/agent:helper", "acme", "*", "delegate", "any", "*", "-", "-", "allow")
    assert "letter.txt" in letter.see(HAL, via=("acme/agent:helper",)).paths
    may_ingest(letter, "acme/agent:helper")
    assert floor(letter, "acme/agent:helper", "acme/label:staff") == "written"
    letter.remove("g", HAL, "acme/group:hr")
    assert REFUSED in floor(letter, HAL, "acme/label:staff")


def test_bytes_written_earlier_in_the_same_run_count_too(world: World) -> None:
    """Published or not: two files of one folder must not be treated otherwise than in two runs."""
    high, low = label(PAM, "acme/user:lee"), label(PAM, "acme/user:lee", BOB)

    def second(ingestion: Ingestion) -> None:
        with pytest.raises(WriteRefused, match="its bytes equal"):
            ingestion.put(draft("low.txt", LETTER, low))

    with world.ingestion(PAM) as ingestion:
        ingestion.put(draft("high.txt", LETTER, high))
        second(ingestion)
        ingestion.publish()
        second(ingestion)
    with world.ingestion(PAM) as ingestion:
        second(ingestion)
    assert world.see(BOB).documents == ()


def test_bytes_that_were_given_while_the_run_goes_on_count_too(letter: World) -> None:
    ingestion = letter.ingestion(HAL, OWN).__enter__()
    ingestion.put(draft("first.txt", "so that it has looked once", label(HAL)))
    other = letter.second()
    other.see(HAL)
    other.remove("g", HAL, "acme/group:hr")
    with pytest.raises(WriteRefused, match=REFUSED):
        ingestion.put(draft("mine.txt", LETTER, "acme/label:staff"))
    ingestion.__exit__(None, None, None)


def test_bytes_that_become_readable_while_the_run_goes_on_count_too(letter: World) -> None:
    ingestion = letter.ingestion(BOB, OWN).__enter__()
    ingestion.put(draft("first.txt", "so that it has looked once", label(BOB)))
    letter.second().add("g", BOB, "acme/group:hr")
    with pytest.raises(WriteRefused, match=REFUSED):
        ingestion.put(draft("mine.txt", LETTER, "acme/label:staff"))
    ingestion.__exit__(None, None, None)


def test_a_higher_label_for_equal_bytes_is_free(world: World) -> None:
    world.put(draft("low.txt", LETTER, label(PAM, BOB)), who=PAM)
    world.put(draft("high.txt", LETTER, label(PAM)), who=PAM)
    assert world.see(PAM).paths == ("high.txt", "low.txt")


def test_the_document_itself_is_not_its_own_floor(world: World) -> None:
    world.put(draft("a.txt", LETTER, label(PAM, BOB)), who=PAM)
    world.put(draft("a.txt", LETTER, label(PAM)), who=PAM)
    assert world.see(BOB).documents == ()


def test_a_derivative_that_names_its_parent_may_have_its_bytes(letter: World) -> None:
    (parent,) = letter.see(HAL).documents
    letter.put(
        draft("mine.txt", LETTER, label("acme/user:dora", HAL, BOB), parents=[parent]), who=HAL, source=OWN
    )
    assert "mine.txt" in letter.see(HAL).paths
    assert letter.see(BOB).documents == ()


def test_a_chain_is_held_to_what_it_may_read_itself(letter: World) -> None:
    """Else the carrier would learn from a refusal what only the person may read."""
    letter.add("p", "acme/agent:helper", "acme", "*", "ingest", "any", "*", "-", "-", "allow")
    letter.add(
        "p", "acme/agent:helper", "acme", "acme/label:staff", "delegate", "any", "*", "-", "-", "allow"
    )
    chain = Subject(HAL, ("acme/agent:helper",))
    with letter.door.ingestion(chain, OWN, MODEL, pipeline="1") as ingestion:
        ingestion.put(draft("mine.txt", LETTER, "acme/label:staff"))
    assert "mine.txt" in letter.see(BOB).paths


# A parent that gets another label within an ingest


def narrowed(world: World, *more: str) -> None:
    """Two is narrowed from Pam, Ann, Bob and the administrator to Pam and the administrator."""
    with world.ingestion() as run:
        assert run.relabel("two", readers(PAM, ADMIN))
        for path in more:
            run.put(draft(path, "written in the same run", readers(PAM, ANN, ADMIN)))


def who_sees(world: World, path: str) -> list[str]:
    return [who for who in (PAM, ANN, BOB, ADMIN) if path in world.see(who).paths]


@pytest.mark.parametrize("by", [ADMIN, PAM])
def test_what_was_made_from_it_is_narrowed_with_it_whoever_made_it(
    world: World, parents: dict[str, str], by: str
) -> None:
    world.put(
        draft("sum", "the sum", readers(PAM, ANN, ADMIN), parents=[parents["two"]]), who=may_ingest(world, by)
    )
    assert who_sees(world, "sum") == [PAM, ANN, ADMIN]
    narrowed(world)
    assert who_sees(world, "sum") == [PAM, ADMIN]
    assert who_sees(world.reopened(), "sum") == [PAM, ADMIN]


def test_it_is_narrowed_through_what_was_made_from_a_passage_and_through_others(
    world: World, parents: dict[str, str]
) -> None:
    everybody = readers(PAM, ANN, ADMIN)
    version = world.ground.moment().publication.versions["chunks"]
    found = world.ground.tables.ids_by("chunks", version, "document_id", [parents["two"]])
    passage = found[parents["two"]][0]
    (first,) = world.put(draft("first", "of a passage", everybody, parents=[passage]))
    world.put(draft("second", "of that", everybody, parents=[first]))
    narrowed(world)
    assert who_sees(world, "first") == who_sees(world, "second") == [PAM, ADMIN]


def test_content_that_comes_again_under_another_label_narrows_it_too(
    world: World, parents: dict[str, str]
) -> None:
    world.put(draft("sum", "the sum", readers(PAM, ANN, ADMIN), parents=[parents["two"]]))
    world.put(draft("two", "another text", readers(PAM, ADMIN)))
    assert who_sees(world, "sum") == [PAM, ADMIN]


@pytest.mark.parametrize("first", ["the source", "what is made"])
@pytest.mark.parametrize("known", [False, True])
def test_what_is_made_in_the_same_run_gets_the_label_the_source_has_after_it(
    world: World, parents: dict[str, str], first: str, known: bool
) -> None:
    made = draft("sum", "the sum", readers(PAM, ANN, ADMIN), parents=[parents["two"]])
    if known:
        world.put(draft("sum", "an earlier sum", readers(PAM, ANN, ADMIN)))
    with world.ingestion() as run:
        if first == "what is made":
            run.put(made)
        assert run.relabel("two", readers(PAM, ADMIN))
        if first == "the source":
            run.put(made)
    assert who_sees(world, "sum") == [PAM, ADMIN]
    assert world.see(PAM).texts.count("the sum") == 1
    assert wraps_are_those_of_the_manifest(world)


def test_one_that_is_relabelled_in_the_same_run_keeps_its_own_new_label_too(
    world: World, parents: dict[str, str]
) -> None:
    world.put(draft("sum", "the sum", readers(PAM, ANN, ADMIN), parents=[parents["two"]]))
    with world.ingestion() as run:
        assert run.relabel("sum", readers(PAM, ANN))
        assert run.relabel("two", readers(PAM, BOB, ADMIN))
    assert who_sees(world, "sum") == [PAM]


def test_one_that_is_removed_in_the_same_run_is_gone(world: World, parents: dict[str, str]) -> None:
    world.put(draft("sum", "the sum", readers(PAM, ANN, ADMIN), parents=[parents["two"]]))
    with world.ingestion() as run:
        assert run.remove("sum")
        assert run.relabel("two", readers(PAM, ADMIN))
    assert who_sees(world, "sum") == []


def test_it_is_as_well_when_the_next_run_brings_it_unchanged(world: World, parents: dict[str, str]) -> None:
    wide = readers(PAM, ANN, ADMIN)
    made = draft("sum", "the sum", wide, parents=[parents["two"]])
    world.put(made)
    narrowed(world)
    with world.ingestion() as run:
        assert run.state("sum", made.sha256, wide) == "unchanged"
        run.put(made)
    assert who_sees(world, "sum") == [PAM, ADMIN]


def test_each_that_is_narrowed_with_it_is_a_row_of_the_journal(world: World, parents: dict[str, str]) -> None:
    (made,) = world.put(draft("sum", "the sum", readers(PAM, ANN, ADMIN), parents=[parents["two"]]))
    narrowed(world)
    moved = [entry.change.relabelling for entry in world.ground.history() if entry.change.relabelling]
    assert {each.document_id for each in moved} == {made, parents["two"]}
