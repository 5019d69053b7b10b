"""Why, who and what at a time: the answer that was given then, through the rights that are held now."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import pytest

from ringfence_governance import catalog_labels, journal
from ringfence_governance.errors import InvalidInput, NotReadable, PolicyRefused, Refused, StoreCorrupt
from ringfence_governance.journal import Change, Relabelling
from ringfence_governance.labels import NamedLabel
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.subjects import Subject

from .worlds import ADMIN, WHY, World, bundle, database, draft, label, make_world, row, subject

HAL, BOB, OLGA, OTTO, LEE, DEX = (
    f"acme/user:{name}" for name in ("hal", "bob", "olga", "otto", "lee", "dex")
)
DORA, OZ, BEA = "acme/user:dora", "borealis/user:oz", "borealis/user:bea"
PAYROLL, PROJECT = "acme/label:payroll", "acme/label:project"
BEFORE_THE_STORE = "2026-05-31T23:59:59Z"
HR_GRANT = ("p", "acme/group:sales", "acme", PAYROLL, "read", "any", "*", "-", "-", "allow")
ROWS = [
    HR_GRANT,
    ("p", BOB, "acme", "*", "read", "any", "*", "-", "2026-06-01T00:01:00Z", "allow"),
    ("p", "acme/group:hr", "acme", PROJECT, "read", "any", "bid", "2026-06-01T00:00:20Z", "-", "allow"),
    ("p", "acme/group:all", "acme", "acme/set:money", "read", "any", "*", "-", "-", "allow"),
    ("p", LEE, "acme", PROJECT, "read", "any", "*", "-", "-", "deny"),
    ("p", "acme/agent:desk", "acme", "*", "delegate", "any", "*", "-", "-", "allow"),
    ("g", BOB, "acme/group:hr"),
    ("g", "acme/group:sales", "acme/group:all"),
    ("g", HAL, "acme/group:sales"),
    ("g2", PAYROLL, "acme/set:money"),
    ("f", BOB, "2", "project"),
]
SUBJECTS = [
    Subject(HAL),
    Subject(BOB),
    Subject(LEE, (), "bid"),
    Subject(DORA, ("acme/agent:desk",)),
    Subject("acme/user:cy"),
    Subject("borealis/user:bo"),
]


@pytest.fixture
def still(filled: World) -> World:
    """A store with documents whose clock goes on only when a test says so."""
    filled.clock.step = timedelta(0)
    filled.clock.advance(10)
    return filled


@pytest.fixture
def ids(still: World) -> dict[str, str]:
    """Path → document id, of acme's documents."""
    found: dict[str, str] = {}
    for who in (DORA, "acme/user:ann", LEE):
        found |= still.see(who).ids
    return found


def now(world: World) -> str:
    return world.ambient.now()


def wait(world: World, seconds: int = 1) -> str:
    """Let time go by; return the time before."""
    before = now(world)
    world.clock.advance(seconds)
    return before


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as it would have been given then: without what only a later one can say."""
    plain = json.loads(json.dumps(answer))
    assert plain.pop("label_as_of", "publication") == "publication"
    plain.pop("at", None)
    for verdict in plain.get("verdicts", ()):
        for rule in verdict["rules"]:
            for granted in (rule["granted"], *rule["membership_granted"], *rule["relation_granted"]):
                if granted is not None:
                    granted.pop("revoked")
    return plain


# What was answered then is answered of then


Question = tuple[Any, ...]


def ask(world: World, question: Question, at: str | None) -> dict[str, Any]:
    verb, who, *rest = question
    door, auditor = world.door, subject(who)
    if verb == "why":
        return door.why_for(auditor, *rest, at=at)
    if verb == "who":
        return door.who(auditor, *rest, at=at)
    asked, action = rest
    return door.what_for(auditor, asked, action=action, at=at, documents=True)


def questions(dice: random.Random, documents: list[str]) -> Iterator[Question]:
    document = dice.choice(documents)
    yield "who", OLGA, document
    for asked in dice.sample(SUBJECTS, 2):
        yield "why", OLGA, asked, document
    yield "what", OLGA, dice.choice(SUBJECTS), dice.choice(["read", "read", "ingest"])
    yield "what", OTTO, dice.choice(SUBJECTS), "read"


@dataclass
class History:
    """Random changes of a store, and what they have made so far."""

    world: World
    dice: random.Random
    names: list[str]
    held: set[str]

    def change(self) -> str:
        """Change the policy, a label or a document in some way; return which."""
        dice, world = self.dice, self.world
        kind = dice.choice(
            ["row"] * 5 + ["define", "define", "redefine", "redefine", "put", "put", "put", "remove"]
        )
        if kind == "row":
            fields = dice.choice(ROWS)
            if not world.add(*fields):
                assert world.remove(*fields)
        elif kind == "define":
            self.names.append(f"acme/label:n{len(self.names)}")
            readers = dice.choice([HAL, LEE])
            world.door.define_label(subject(ADMIN), NamedLabel(self.names[-1], label(DORA, readers)), WHY)
        elif kind == "redefine":
            redefine(world, dice.choice(self.names), dice.choice([HAL, BOB, LEE]))
        else:
            return self.write(f"more{dice.randrange(3)}.txt", remove=kind == "remove")
        return kind

    def write(self, path: str, *, remove: bool) -> str:
        was_there = path in self.held
        with self.world.ingestion(DEX) as ingestion:
            if not remove:
                choice = self.dice.choice([*self.names, PROJECT])
                ingestion.put(draft(path, f"the text of {path}", choice))
                self.held.add(path)
            elif was_there:
                assert ingestion.remove(path)
                self.held.remove(path)
        return "remove" if remove else "relabel" if was_there else "put"


def redefine(world: World, name: str, *readers: str, owner: str = DORA) -> None:
    """Give a named label another meaning, as a row of the journal and of its history."""
    ground, meaning = world.ground, label(owner, *readers)
    with ground.catalog.write() as connection:
        record: dict[str, object] = {"who": ADMIN, "asserted_by": {}, "why": "a test", "ticket": ""}
        change = Change("label_redefined", label=(name, meaning.to_mapping()))
        (number,) = journal.append(ground.catalog, connection, [change], record)
        catalog_labels.define(ground.catalog, connection, name, meaning, number)


@pytest.mark.parametrize("seed", range(2))
def test_an_answer_of_a_time_is_the_one_that_was_given_then(
    still: World, ids: dict[str, str], seed: int
) -> None:
    dice = random.Random(seed)
    # By path, then as they come, one in a step: ids are random, and the seed alone says what is asked.
    met = [ids[path] for path in sorted(ids)]
    history = History(still, dice, [PAYROLL], set())
    asked: list[tuple[str, Question, dict[str, Any]]] = []
    seen = Counter[str]()
    for _ in range(30):
        still.clock.advance(dice.randint(1, 4))
        seen[history.change()] += 1
        there = known(still)
        met += sorted(there.difference(met))
        documents = [each for each in met if each in there]
        asked += [(now(still), each, ask(still, each, None)) for each in questions(dice, documents)]
    still.clock.advance(1)
    kept = {auditor: known(still, auditor) for auditor in (OLGA, OTTO)}
    for at, question, given in asked:
        compare(still, kept[question[1]], at, question, given, seen)
    assert min(seen[each] for each in ("row", "define", "put", "relabel", "redefine")) > 0, seen
    assert min(seen[f"{verb} same"] for verb in ("why", "who", "what")) > 20, seen
    assert min(seen["allow"], seen["deny"]) > 5, seen


def known(world: World, auditor: str = OLGA) -> set[str]:
    """Return every document that is in the store now and that he may audit."""
    found = world.door.what_for(subject(auditor), subject(auditor), action="audit", documents=True)
    return {each for entry in found["labels"] for each in entry["ids"]}


def compare(
    world: World, kept: set[str], at: str, question: Question, given: dict[str, Any], seen: Counter[str]
) -> None:
    verb = question[0]
    if verb != "what" and question[-1] not in kept:
        with pytest.raises(NotReadable):
            ask(world, question, at)
        seen["gone"] += 1
        return
    answer = without_time(ask(world, question, at))
    if verb == "what":
        given = only_documents(given, kept)
    assert answer == without_time(given)
    seen[f"{verb} same"] += 1
    seen[answer.get("decision", "")] += 1


def only_documents(given: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    """Return an answer with the documents that are in the store still."""
    labels = [
        {**each, "ids": (left := [one for one in each["ids"] if one in kept]), "documents": len(left)}
        for each in given["labels"]
    ]
    return {**given, "labels": labels, "documents": sum(each["documents"] for each in labels)}


def test_a_change_of_exactly_that_second_counts_and_one_of_the_next_does_not(
    still: World, ids: dict[str, str]
) -> None:
    before = wait(still)
    still.add(*HR_GRANT)
    of_it = wait(still)
    still.remove(*HR_GRANT)
    after = now(still)

    def told(at: str) -> tuple[str, bool]:
        decision = still.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"], at=at)["decision"]
        return decision, BOB in still.door.who(subject(OLGA), ids["pay/salaries.txt"], at=at)["readers"]

    assert [told(at) for at in (before, of_it, after)] == [("deny", False), ("allow", True), ("deny", False)]


def test_validity_is_judged_at_that_time(still: World, ids: dict[str, str]) -> None:
    fields = ("2026-06-01T00:00:30Z", "2026-06-01T00:00:40Z", "allow")
    still.add("p", BOB, "acme", PAYROLL, "read", "any", "*", *fields)
    wait(still, 60)

    def decision(at: str | None) -> str:
        answer = still.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"], at=at)
        assert at in (None, answer["now"])
        return str(answer["decision"])

    at = [f"2026-06-01T00:00:{second}Z" for second in (29, 30, 39, 40)]
    assert [decision(each) for each in at] == ["deny", "allow", "allow", "deny"]
    assert decision(None) == "deny"


def test_what_was_revoked_since_is_named_with_who_granted_and_who_revoked_it(
    still: World, ids: dict[str, str]
) -> None:
    rule, link = row(*HR_GRANT), row("g", HAL, "acme/group:sales")
    still.door.add_row(subject(ADMIN), rule, Reasoned("the audit of May", "T-1"))
    still.door.add_row(subject(ADMIN), link, Reasoned("helps out", "T-2"))
    at = wait(still)
    still.door.remove_row(subject(ADMIN), rule, Reasoned("it is over", "T-3"))
    revoked_at = wait(still)
    # What is granted anew and revoked again is another matter.
    still.door.add_row(subject(ADMIN), rule, Reasoned("the audit of June"))
    wait(still)
    still.door.remove_row(subject(ADMIN), rule, Reasoned("over too"))
    answer = still.door.why_for(subject(OLGA), subject(HAL), ids["pay/salaries.txt"], at=at)
    rules = {each["rule"]: each for each in answer["verdicts"][0]["rules"]}
    found = rules[", ".join(HR_GRANT)]
    assert found["granted"] == {
        "at": at,
        "who": ADMIN,
        "why": "the audit of May",
        "ticket": "T-1",
        "revoked": {"at": revoked_at, "who": ADMIN, "why": "it is over", "ticket": "T-3"},
    }
    assert found["membership"] == [HAL, "acme/group:sales"]
    assert [(each["why"], each["revoked"]) for each in found["membership_granted"]] == [("helps out", None)]
    assert rules["p, *, *, *, read, reader, *, -, -, allow"]["granted"]["revoked"] is None
    now_given = still.door.why_for(subject(OLGA), subject(HAL), ids["pay/salaries.txt"])
    assert [each["granted"]["revoked"] for each in now_given["verdicts"][0]["rules"]] == [None]


def test_a_label_is_told_as_it_was_defined_then(still: World, ids: dict[str, str]) -> None:
    at = wait(still)
    redefine(still, PAYROLL, BOB)
    payroll = ids["pay/salaries.txt"]
    then = still.door.why_for(subject(OLGA), subject(HAL), payroll, at=at)
    assert (then["decision"], then["label_definition"][0]["readers"]) == ("allow", ["acme/group:hr"])
    assert still.door.who(subject(OLGA), payroll, at=at)["readers"] == [DORA, HAL]
    assert still.door.who(subject(OLGA), payroll)["readers"] == [BOB, DORA]


def test_a_label_that_was_not_interned_then_is_not_told_of_then(still: World) -> None:
    at = wait(still)
    still.door.define_label(subject(ADMIN), NamedLabel("acme/label:new", label(HAL)), WHY)
    assert "acme/label:new" in names_of(still.door.what_for(subject(OLGA), subject(HAL)))
    assert "acme/label:new" not in names_of(still.door.what_for(subject(OLGA), subject(HAL), at=at))


def names_of(answer: dict[str, Any]) -> set[str]:
    return {each["label"] for each in answer["labels"]}


# Which label a document had


@dataclass(frozen=True)
class Moved:
    """A document that lay under `project` at one time and lies under `payroll` now."""

    document: str
    at: str


@pytest.fixture
def moved(still: World) -> Moved:
    (document,) = still.put(draft("moved.txt", "a plan", PROJECT), who=DEX)
    at = wait(still)
    still.put(draft("moved.txt", "a plan", PAYROLL), who=DEX)
    still.clock.advance(1)
    return Moved(document, at)


def forget_old_versions(world: World) -> None:
    for name in ("documents", "chunks", "edges"):
        lance.dataset(str(world.path / "lance" / f"{name}.lance")).cleanup_old_versions(timedelta(0))


def test_the_label_is_the_one_the_publication_of_that_time_says(still: World, moved: Moved) -> None:
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=moved.at)
    assert (answer["label"], answer["label_as_of"], answer["decision"]) == (PROJECT, "publication", "allow")
    assert still.door.who(subject(OLGA), moved.document, at=moved.at)["readers"] == [BOB, DORA, LEE]
    counts = {
        each["label"]: each["documents"]
        for each in still.door.what_for(subject(OLGA), subject(DORA), at=moved.at)["labels"]
    }
    assert (counts[PROJECT], counts[PAYROLL]) == (2, 1)
    record = still.records()[-3]
    table = still.ground.moment().table.by_id
    assert (record["verb"], record["plan"]) == ("why", f"why at {moved.at}")
    assert record["rows"] == [moved.document] * 2
    assert record["atoms"] == [table[PAYROLL].atom, table[PROJECT].atom]


def test_where_that_publication_is_gone_the_answer_says_so_and_the_journal_leads_back(
    still: World, moved: Moved
) -> None:
    forget_old_versions(still)
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=moved.at)
    assert (answer["label"], answer["label_as_of"], answer["decision"]) == (PROJECT, "newest", "allow")
    listed = still.door.what_for(subject(OLGA), subject(DORA), at=moved.at)
    assert listed["label_as_of"] == "newest"
    assert still.door.what_for(subject(OLGA), subject(DORA), at=now(still))["label_as_of"] == "publication"


def test_of_several_relabellings_since_the_one_nearest_to_the_time_counts(still: World, moved: Moved) -> None:
    forget_old_versions(still)
    journal_relabel(still, moved.document, PAYROLL, "acme/label:staff")
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=moved.at)
    assert (answer["label"], answer["label_as_of"], answer["decision"]) == (PROJECT, "newest", "allow")
    listed = still.door.what_for(subject(OLGA), subject(BOB), at=moved.at, documents=True)
    (project,) = [each for each in listed["labels"] if each["label"] == PROJECT]
    assert moved.document in project["ids"]
    # Until the relabelling itself; from then on it has the new one.
    answer = still.door.why_for(subject(OLGA), subject(BOB), moved.document, at=now(still))
    assert (answer["label"], answer["decision"]) == (PAYROLL, "deny")


def journal_relabel(world: World, document: str, old: str, new: str) -> None:
    ground, change = world.ground, Change("relabelled", relabelling=Relabelling(document, old, new))
    with ground.catalog.write() as connection:
        journal.append(
            ground.catalog, connection, [change], {"who": ADMIN, "asserted_by": {}, "why": "x", "ticket": ""}
        )


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_label_he_may_not_audit_and_no_document_at_all_are_one_answer(
    still: World, forgotten: bool
) -> None:
    """Otto audits `project` alone; one document came to it from `payroll`, another was not there before."""
    (came,) = still.put(draft("came.txt", "a plan", PAYROLL), who=DEX)
    at = wait(still)
    (new,) = still.put(draft("new.txt", "another plan", PROJECT))
    still.put(draft("came.txt", "a plan", PROJECT), who=DEX)
    journal_relabel(still, came, PAYROLL, PROJECT)
    still.clock.advance(1)
    if forgotten:
        forget_old_versions(still)
        journal_relabel(still, new, "acme/label:none", PROJECT)
    answers = []
    for document in (came, new):
        told = [
            still.door.why_for(subject(OTTO), subject(HAL), document, at=at),
            still.door.who(subject(OTTO), document, at=at),
        ]
        assert [each["label_as_of"] for each in told] == ["absent", "absent"]
        answers.append(json.dumps(told).replace(document, "it"))
    assert answers[0] == answers[1]
    assert json.loads(answers[0])[0]["decision"] is None
    assert json.loads(answers[0])[1]["readers"] == []
    listed = still.door.what_for(subject(OTTO), subject(DORA), at=at, documents=True)
    assert not {came, new} & {each for entry in listed["labels"] for each in entry["ids"]}
    assert still.door.why_for(subject(OLGA), subject(HAL), came, at=at)["label"] == PAYROLL


def test_a_document_that_went_to_a_label_he_may_not_audit_is_not_told_of_any_time(
    still: World, moved: Moved
) -> None:
    for act in (
        lambda: still.door.why_for(subject(OTTO), subject(BOB), moved.document, at=moved.at),
        lambda: still.door.who(subject(OTTO), moved.document, at=moved.at),
    ):
        with pytest.raises(NotReadable):
            act()
    listed = still.door.what_for(subject(OTTO), subject(BOB), at=moved.at, documents=True)
    assert [each["label"] for each in listed["labels"]] == [PROJECT]
    assert moved.document not in listed["labels"][0]["ids"]


def test_a_document_that_is_no_more_in_the_store_is_not_told_of_any_time(still: World) -> None:
    (gone,) = still.put(draft("gone.txt", "a plan", PROJECT))
    at = wait(still)
    with still.ingestion() as ingestion:
        assert ingestion.remove("gone.txt")
    with pytest.raises(NotReadable):
        still.door.who(subject(OLGA), gone, at=at)
    listed = still.door.what_for(subject(OLGA), subject(BOB), at=at, documents=True)
    assert gone not in json.dumps(listed)


def test_a_passage_is_told_of_as_it_was_published_then(still: World) -> None:
    at = wait(still)
    (document,) = still.put(draft("late.txt", "one line", PROJECT))
    ground = still.ground
    version = ground.moment().publication.versions["chunks"]
    (chunk,) = ground.tables.ids_by("chunks", version, "document_id", [document])[document]
    assert still.door.who(subject(OLGA), chunk, at=now(still))["readers"] == [BOB, DORA, LEE]
    assert still.door.who(subject(OLGA), chunk, at=at)["label_as_of"] == "absent"


# Which times can be asked of


def test_before_the_store_was_made_nothing_was(still: World, ids: dict[str, str]) -> None:
    payroll, told = ids["pay/salaries.txt"], {"at": BEFORE_THE_STORE, "label_as_of": "absent"}
    assert still.door.why_for(subject(OLGA), subject(HAL), payroll, at=BEFORE_THE_STORE) == {
        "object": payroll,
        "document": payroll,
        "subject": HAL,
        "label": None,
        "label_definition": [],
        "decision": None,
        "allowed": False,
        "action": "read",
        "purpose": "",
        "now": BEFORE_THE_STORE,
        "verdicts": [],
        **told,
    }
    nobody = {"object": payroll, "document": payroll, "readers": [], "purposes": {}}
    assert still.door.who(subject(OLGA), payroll, at=BEFORE_THE_STORE) == {**nobody, **told}
    listed = still.door.what_for(subject(OLGA), subject(HAL), at=BEFORE_THE_STORE)
    assert (listed["labels"], listed["labels_hidden"], listed["label_as_of"]) == ([], 0, "absent")


@pytest.mark.parametrize("verb", ["why", "who", "what"])
def test_a_time_to_come_and_a_malformed_one_are_refused(still: World, ids: dict[str, str], verb: str) -> None:
    rest: dict[str, tuple[object, ...]] = {
        "why": (subject(HAL), ids["project.txt"]),
        "who": (ids["project.txt"],),
        "what": (subject(HAL), "read"),
    }
    question = (verb, OLGA, *rest[verb])
    assert ask(still, question, now(still))
    at = (still.clock.at + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(InvalidInput, match="which is to come; expected a time until now"):
        ask(still, question, at)
    for bad in ("yesterday", "2026-06-01", "2026-06-01T00:00:00", ""):
        with pytest.raises(InvalidInput, match="expected UTC time"):
            ask(still, question, bad)


def test_a_second_within_a_change_of_several_rows_is_refused_and_not_guessed(
    still: World, ids: dict[str, str]
) -> None:
    still.add("g", "acme/group:a", "acme/group:b")
    before = wait(still)
    ground, record = still.ground, {"who": ADMIN, "asserted_by": {}, "why": "turned round", "ticket": ""}
    with ground.catalog.write() as connection:
        added = Change("row_added", row=row("g", "acme/group:b", "acme/group:a"))
        journal.append(ground.catalog, connection, [added], dict[str, object](record))
        within = wait(still)
        removed = Change("row_removed", row=row("g", "acme/group:a", "acme/group:b"))
        journal.append(ground.catalog, connection, [removed], dict[str, object](record))
    still.clock.advance(1)
    with pytest.raises(InvalidInput, match="a change of policy was being written") as caught:
        still.door.who(subject(OLGA), ids["project.txt"], at=within)
    assert not isinstance(caught.value, PolicyRefused)
    for at in (before, now(still)):
        assert still.door.who(subject(OLGA), ids["project.txt"], at=at)["readers"]


@pytest.mark.parametrize("seconds", [-100, 100])
def test_a_time_of_a_change_that_was_changed_in_the_catalog_is_found(
    still: World, ids: dict[str, str], seconds: int
) -> None:
    """The catalog says in clear when each entry was made; the journal says it under seal."""
    wait(still, 200)
    still.add(*HR_GRANT)
    said = (still.clock.at + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    still.clock.advance(200)
    at = (still.clock.at - timedelta(seconds=200 if seconds > 0 else 250)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with database(still.path / "catalog.db") as connection:
        connection.execute(
            "update entries set at = ? where sequence = (select max(sequence) from journal)", (said,)
        )
    with pytest.raises(StoreCorrupt, match="gives another time for row"):
        still.door.who(subject(OLGA), ids["pay/salaries.txt"], at=at)


def test_a_history_whose_chain_does_not_fit_tells_nothing(still: World, ids: dict[str, str]) -> None:
    still.add(*HR_GRANT)
    at = wait(still)
    still.add("g", BOB, "acme/group:hr")
    with database(still.path / "catalog.db") as connection:
        newest = "(select max(sequence) from journal)"
        connection.execute(f"update journal set previous = digest where sequence = {newest}")
    for world in (still, still.second()):
        with pytest.raises(StoreCorrupt):
            world.door.who(subject(OLGA), ids["pay/salaries.txt"], at=at)


# To whom it may be told


def answer_or_error(act: Callable[[], dict[str, Any]]) -> str:
    try:
        return json.dumps(act())
    except (NotReadable, Refused, InvalidInput) as error:
        return json.dumps([type(error).__name__, str(error), error.hint])


@pytest.mark.parametrize("who", [BOB, DORA, ADMIN, "acme/user:nobody", BEA])
def test_who_may_audit_nothing_gets_one_answer_whatever_he_asks(
    still: World, ids: dict[str, str], who: str
) -> None:
    (foreign,) = [each for path, each in still.see("borealis/user:bo").ids.items() if path == "plans.txt"]
    asker, times = subject(who), (now(still), BEFORE_THE_STORE, "2999-01-01T00:00:00Z")
    told: dict[str, set[str]] = {"object": set(), "subject": set()}
    before = len(still.records())
    for at in times:
        for found in (ids["pay/salaries.txt"], ids["public.txt"], foreign, "0" * 32):
            told["object"] |= {
                answer_or_error(lambda f=found, t=at: still.door.why_for(asker, subject(HAL), f, at=t)),  # type: ignore[misc]
                answer_or_error(lambda f=found, t=at: still.door.who(asker, f, at=t)),  # type: ignore[misc]
            }
        for name in (HAL, "acme/user:nobody", "borealis/user:bo"):
            told["subject"].add(
                answer_or_error(lambda n=name, t=at: still.door.what_for(asker, subject(n), at=t))  # type: ignore[misc]
            )
    assert {len(found) for found in told.values()} == {1}
    assert "NotReadable" in told["object"].pop()
    assert "Refused" in told["subject"].pop()
    records = still.records()[before:]
    assert [(each["verb"], each["action"], each["outcome"]) for each in records].count(
        ("what", "audit", "refused")
    ) == 9
    assert {each["outcome"] for each in records} == {"refused"}
    assert len(records) == 3 * (4 * 2 + 3)


def test_another_tenants_auditor_is_told_nothing(still: World, ids: dict[str, str]) -> None:
    at = now(still)
    for found in ids.values():
        with pytest.raises(NotReadable):
            still.door.who(subject(OZ), found, at=at)
    for when in (None, at):
        listed = still.door.what_for(subject(OZ), subject(DORA), at=when, documents=True)
        assert (listed["labels"], listed["labels_hidden"], listed["documents"]) == ([], 0, 0)


def test_a_right_to_audit_that_is_gone_tells_nothing_of_when_it_was_held(
    still: World, ids: dict[str, str]
) -> None:
    at = wait(still)
    still.remove("p", OLGA, "acme", "*", "audit", "any", "*", "-", "-", "allow")
    with pytest.raises(NotReadable):
        still.door.who(subject(OLGA), ids["project.txt"], at=at)
    with pytest.raises(Refused):
        still.door.what_for(subject(OLGA), subject(HAL), at=at)


# What an auditor may not audit does not move his answers


def twin(folder: Path, more: Callable[[World], None]) -> tuple[World, str]:
    """Return a store, the same each time but for what `more` puts in, and a time after that."""
    world = make_world(folder, seed="twins", policy=bundle())
    world.clock.step = timedelta(0)
    world.put(draft("project.txt", "the offer", PROJECT), draft("public.txt", "the canteen"))
    world.clock.advance(5)
    more(world)
    world.add("g", HAL, "acme/group:sales")
    at = wait(world, 5)
    world.remove("g", HAL, "acme/group:sales")
    return world, at


def of_borealis(world: World) -> None:
    theirs = label(BEA, "borealis/user:bo")
    world.put(draft("deal.txt", "sold", theirs), who="borealis/user:bo")
    world.add("p", BEA, "borealis", "*", "read", "any", "*", "-", "-", "allow", who=BEA)
    world.add("g", "borealis/user:x", "borealis/group:y", who=BEA)
    world.door.define_label(subject(BEA), NamedLabel("borealis/label:new", theirs), WHY)


def of_other_labels(world: World) -> None:
    world.put(
        draft("salaries.txt", "dora earns ninety", PAYROLL), draft("board.txt", "sold", "acme/label:board")
    )
    redefine(world, PAYROLL, "acme/group:hr", "acme/user:ann")


def one_label_more(world: World) -> None:
    world.put(draft("salaries.txt", "dora earns ninety", label(DORA, HAL)))


def answers(world: World, auditor: str, at: str) -> dict[str, str]:
    found = {}
    document = world.see(BOB).ids["project.txt"]
    for when in (None, at):
        for name in (HAL, BOB, DORA, "borealis/user:bo"):
            found[f"why {name} {when}"] = json.dumps(
                world.door.why_for(subject(auditor), subject(name), document, at=when)
            )
            found[f"what {name} {when}"] = json.dumps(
                world.door.what_for(subject(auditor), subject(name), at=when, documents=True)
            )
        found[f"who {when}"] = json.dumps(world.door.who(subject(auditor), document, at=when))
    return found


@pytest.mark.parametrize(
    ("auditor", "more"), [(OLGA, of_borealis), (OTTO, of_borealis), (OTTO, of_other_labels)]
)
def test_two_stores_that_differ_in_what_he_may_not_audit_give_equal_answers(
    tmp_path: Path, auditor: str, more: Callable[[World], None]
) -> None:
    (plain, at), (other, at_other) = twin(tmp_path / "a", lambda world: None), twin(tmp_path / "b", more)
    assert at == at_other
    assert plain.ground.moment().sequence != other.ground.moment().sequence
    assert answers(plain, auditor, at) == answers(other, auditor, at)


def test_a_hidden_label_of_his_tenant_moves_one_number_and_nothing_else(tmp_path: Path) -> None:
    (plain, at), (other, _) = twin(tmp_path / "a", lambda world: None), twin(tmp_path / "b", one_label_more)
    mine, theirs = answers(plain, OTTO, at), answers(other, OTTO, at)
    differing = [name for name in mine if mine[name] != theirs[name]]
    assert differing == [f"what {name} {when}" for when in (None, at) for name in (HAL, DORA)]
    for name in differing:
        one, two = json.loads(mine[name]), json.loads(theirs[name])
        assert two.pop("labels_hidden") == one.pop("labels_hidden") + 1
        assert one == two
