"""What a store gives a reader is what asking the policy about every raw document would give him.

The oracle keeps the documents as they were handed in, with the labels they
were handed in with, and asks about each of them one by one. It knows no atom,
no mask, no grant and no compound label.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ringfence_governance import authority
from ringfence_governance.drafts import DocumentDraft, LabelChoice
from ringfence_governance.errors import PolicyRefused, RingfenceError
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_rows import PolicyRows
from ringfence_governance.policy_text import PolicyBundle
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

from .worlds import ADMIN, World, bundle, draft, make_world, row

ACTORS = [f"acme/user:u{n}" for n in range(3)] + ["acme/agent:m"]
PRINCIPALS = [*ACTORS, "acme/group:g", "acme/group:h"]
NAMED = [f"acme/label:l{n}" for n in range(3)]
TIMES = ["-", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z"]
INGESTERS = {"acme": ADMIN, "borealis": "borealis/user:bo"}

BASE = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, borealis/user:bo, borealis, *, ingest, any, *, -, -, allow
"""


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=len(values))


labels = st.builds(
    lambda owner, readers, denied, level, compartments, purposes, until: Label.from_mapping(
        {
            "owner": owner,
            "readers": readers,
            "denied": denied,
            "level": level,
            "compartments": compartments,
            "purposes": purposes or ["*"],
            **({"valid_until": until} if until != "-" else {}),
        }
    ),
    st.sampled_from(PRINCIPALS),
    st.lists(st.sampled_from([*PRINCIPALS, ADMIN, ADMIN, ADMIN, "*"]), min_size=1, max_size=4, unique=True),
    st.sampled_from([[], [], [], ["acme/user:u0"], ["acme/group:g"]]),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.sampled_from([[], [], [], ["x"], ["y"]]),
    st.sampled_from([[], [], [], ["care"]]),
    st.sampled_from([TIMES[0], TIMES[2]]),  # nothing is ingested under a label that is over
)
rows = st.one_of(
    st.tuples(st.just("g"), st.sampled_from(PRINCIPALS[:5]), st.sampled_from(PRINCIPALS[4:])),
    st.tuples(st.just("g2"), st.sampled_from(NAMED), st.just("acme/set:s")),
    st.tuples(
        st.just("f"), st.sampled_from(ACTORS), st.sampled_from("012"), st.sampled_from(["-", "x", "x|y"])
    ),
    st.tuples(
        st.just("p"),
        st.sampled_from([*PRINCIPALS, "*"]),
        st.just("acme"),
        st.sampled_from([*NAMED, "acme/set:s", "*"]),
        st.sampled_from(["read", "read", "delegate"]),
        st.just("any"),
        st.sampled_from(["*", "*", "care"]),
        st.sampled_from(TIMES[:2]),
        st.sampled_from([TIMES[0], TIMES[2]]),
        st.sampled_from([*["allow"] * 6, "deny"]),
    ),
)


@dataclass(frozen=True)
class Handed:
    """A document as it was handed in, with everything that must be readable for it to be."""

    path: str
    lines: int
    needs: tuple[LabelChoice, ...]


def policy(lines: list[tuple[str, ...]], named: dict[str, Label]) -> PolicyBundle:
    """Return the policy of those rows that fit together."""
    base = bundle(BASE, {name: one.to_mapping() for name, one in named.items()})
    kept = base.rows
    for fields in lines:
        try:
            more = kept.with_row(row(*fields))
            Snapshot.build(more)
        except PolicyRefused:
            continue
        kept = more
    return PolicyBundle(PolicyRows.of(kept), base.labels, "random")


def expected(
    snapshot: Snapshot, named: dict[str, Label], handed: list[Handed], who: Subject, now: str
) -> tuple[list[str], int]:
    def may(choice: LabelChoice) -> bool:
        name, meaning = (choice, named[choice]) if isinstance(choice, str) else ("", choice)
        entry = LabelEntry(1, name or f"{meaning.tenant}/label:~{'0' * 32}", meaning)
        return authority.allowed(snapshot, who, entry, LabelTable(1, {1: entry}), "read", now)

    readable = [one for one in handed if all(map(may, one.needs))]
    return sorted(one.path for one in readable), sum(one.lines for one in readable)


def compared(folders: pytest.TempPathFactory, examples: int) -> None:
    answers: Counter[bool] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def agrees(data: st.DataObject) -> None:
        answers.update(compare(folders.mktemp("oracle"), data))

    agrees()
    assert min(answers[True], answers[False]) > 10 * examples, f"almost all answers were the same: {answers}"


def test_documents_chunks_and_counts_are_what_asking_about_each_raw_document_gives(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    compared(tmp_path_factory, 5)


@pytest.mark.soak
def test_it_is_so_of_many_more_stores(tmp_path_factory: pytest.TempPathFactory) -> None:
    compared(tmp_path_factory, 100)


def compare(folder: Path, data: st.DataObject) -> Counter[bool]:
    """Hold one random store against the oracle; return how many documents were readable, and how many not."""
    answers: Counter[bool] = Counter()
    named = {name: data.draw(labels, name) for name in NAMED}
    rules = policy(data.draw(st.lists(rows, min_size=6, max_size=16)), named)
    world = make_world(folder, policy=rules)
    snapshot = world.ground.moment().snapshot
    handed: dict[str, Handed] = {}
    choices = st.one_of(st.sampled_from(NAMED), labels)

    def write(path: str, choice: LabelChoice, parents: list[str]) -> DocumentDraft:
        lines = data.draw(st.integers(1, 3))
        needs = (choice, *(need for parent in parents for need in handed[parent].needs))
        handed[path] = Handed(path, lines, needs)
        text = "\n".join(f"{path} line {line}" for line in range(lines))
        return draft(path, text, choice, parents=[readable[parent] for parent in parents])

    readable: dict[str, str] = {}
    first = data.draw(st.lists(choices, min_size=4, max_size=6))
    world.put(*(write(f"{number}.txt", choice, []) for number, choice in enumerate(first)))
    for number in range(2):
        readable = world.see(ADMIN).ids
        if readable:
            parents = data.draw(
                st.lists(st.sampled_from(sorted(readable)), min_size=1, max_size=2, unique=True)
            )
            world.put(write(f"derived {number}.txt", data.draw(choices), parents))
    plan = Label.from_mapping({"owner": "borealis/user:bo"})
    world.put(draft("b.txt", "of another tenant", plan), who="borealis/user:bo")
    handed["b.txt"] = Handed("b.txt", 1, (plan,))

    subjects = [
        Subject(actor, via, purpose)
        for actor in [*ACTORS, ADMIN, "acme/user:nobody", "borealis/user:bo"]
        for via, purpose in [((), ""), ((), "care"), (("acme/agent:m",), "")]
    ]
    # At first everybody; once some rules and labels are over, each actor alone.
    for asked in (subjects, subjects[::3]):
        now = world.ground.moment().now
        for who in asked:
            seen = world.see(who.person, via=who.via, purpose=who.purpose)
            paths, chunks = expected(snapshot, named, list(handed.values()), who, now)
            assert (list(seen.paths), len(seen.chunks)) == (paths, chunks), who
            assert (seen.counts["documents"], seen.counts["chunks"]) == (len(paths), chunks), who
            answers.update({True: len(paths), False: len(handed) - len(paths)})
        world.clock.advance(60 * 86_400)
    for who in subjects[:9:3]:
        readable = world.see(who.person).documents
        for document in world.see(ADMIN).documents:
            assert explained(world, who, document) == (document in readable)
    world.door.close()
    return answers


def explained(world: World, who: Subject, document: str) -> bool:
    """Whether `why` says that the subject may read the document."""
    try:
        answer = world.door.why(who, document)
    except RingfenceError:
        return False
    return bool(answer["decision"] == "allow")
