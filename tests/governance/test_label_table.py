"""A label table keeps what each atom and each id stands for, also beneath segments laid out before."""

from __future__ import annotations

import pytest

from ringfence_governance.authority import allowed, allowed_among, readable_atoms
from ringfence_governance.compiler import CompiledRequest
from ringfence_governance.decisions import Asked
from ringfence_governance.errors import InvalidLabel
from ringfence_governance.label_columns import LabelSegment
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_text import parse_policy_csv
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

NOW = "2026-03-01T00:00:00Z"
ANN, BOB = "acme/user:ann", "acme/user:bob"
OWNERS = b"p, *, *, *, read, owner, *, -, -, allow\n"


def entry(atom: int, name: str, owner: str = ANN) -> LabelEntry:
    return LabelEntry(atom, f"acme/label:{name}", Label("acme", owner))


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot.build(parse_policy_csv(OWNERS, "policy.csv"))


def in_segments(snapshot: Snapshot) -> LabelTable:
    """Return a table whose first labels stand in an older segment than its last."""
    table = LabelTable(1, {atom: entry(atom, f"n{atom}") for atom in range(1, 41)})
    table.segments(snapshot.label_fields)
    table = table.changed(2, [entry(41, "late")])
    assert len(table.segments(snapshot.label_fields)) == 2
    return table


COMPOUND = LabelEntry(1, "acme/label:n1", None, frozenset({"acme/label:n2", "acme/label:n3"}))


@pytest.mark.parametrize(
    "again",
    [entry(1, "new"), entry(99, "n1"), entry(1, "late"), entry(41, "n1"), COMPOUND],
    ids=["an atom", "an id", "an atom for a later id", "a later atom for an id", "a plain label as compound"],
)
def test_what_stood_for_another_label_in_an_older_segment_is_refused(
    snapshot: Snapshot, again: LabelEntry
) -> None:
    table = in_segments(snapshot)
    before = set(readable_atoms(snapshot, table, Subject(ANN), now=NOW))
    with pytest.raises(InvalidLabel, match="expected an atom to stand for one label for ever"):
        table.changed(3, [entry(50, "good"), again])
    assert 50 not in table.entries
    assert set(readable_atoms(snapshot, table, Subject(ANN), now=NOW)) == before == set(range(1, 42))


def test_a_new_meaning_of_what_an_older_segment_holds_is_taken(snapshot: Snapshot) -> None:
    table = in_segments(snapshot).changed(3, [entry(1, "n1", BOB)])
    assert set(readable_atoms(snapshot, table, Subject(BOB), now=NOW)) == {1}
    assert 1 not in set(readable_atoms(snapshot, table, Subject(ANN), now=NOW))


def test_a_definition_of_another_tenant_than_its_id_is_no_entry() -> None:
    with pytest.raises(InvalidLabel, match="found a definition of tenant 'other'"):
        LabelEntry(1, "acme/label:n1", Label("other", "other/user:eve"))


def test_a_label_of_another_tenant_opens_to_nobody_of_this_one(snapshot: Snapshot) -> None:
    """Neither as it is asked alone nor in the set; though it names him as its owner."""
    foreign = LabelEntry(1, "other/label:n1", Label("other", "other/user:eve", frozenset({"*"})))
    rows = (
        OWNERS
        + b"p, *, *, *, read, reader, *, -, -, allow\np, acme/user:ann, acme, *, read, any, *, -, -, allow\n"
    )
    wide, table = Snapshot.build(parse_policy_csv(rows, "policy.csv")), LabelTable(1, {1: foreign})
    assert set(readable_atoms(wide, table, Subject(ANN), now=NOW)) == set()
    assert not allowed_among(wide, [ANN], "", foreign, table, "read", NOW)
    assert not allowed(wide, Subject(ANN), foreign, table, "read", NOW)
    assert set(readable_atoms(wide, table, Subject("other/user:eve"), now=NOW)) == {1}


def test_what_is_found_for_one_segment_is_not_the_answer_for_another(snapshot: Snapshot) -> None:
    """One compiled request, asked of several segments and of each twice."""
    request: CompiledRequest = snapshot.compiled(Asked(ANN, "read", "", NOW, False))
    fields = snapshot.label_fields
    hers = LabelSegment((entry(1, "n1", ANN), entry(2, "n2", BOB)), fields, {})
    his = LabelSegment((entry(1, "n1", BOB), entry(2, "n2", ANN)), fields, {})
    for _ in range(2):
        assert hers.atoms[request.allowed(hers)].tolist() == [1]
        assert his.atoms[request.allowed(his)].tolist() == [2]
