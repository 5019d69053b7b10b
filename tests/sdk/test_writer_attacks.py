"""What an ingester tries: learning by comparing, by guessing bytes, outliving his rights, taking what is denied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import ringfence
from ringfence_governance.policy_rows import from_fields

ADA, EVE, SAM, EVIL = "acme/user:ada", "acme/user:eve", "acme/user:sam", "evil/user:eve"
POLICY = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, acme/user:eve, acme, *, ingest, any, *, -, -, allow
p, evil/user:eve, evil, *, ingest, any, *, -, -, allow
g2, acme/label:board, acme/set:hold
"""
LABELS = """
labels:
  acme/label:board:
    owner: acme/user:dora
    readers: [acme/user:mia]
    level: 2
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ringfence.Store]:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "policy.csv").write_text(POLICY)
    (policy / "labels.yaml").write_text(LABELS)
    with ringfence.create(tmp_path / "store", policy=policy, admin=ADA, embedder="hash") as opened:
        yield opened


def label(owner: str, *readers: str, level: int = 0) -> ringfence.Label:
    return ringfence.Label.from_mapping({"owner": owner, "readers": list(readers), "level": level})


def paths(store: ringfence.Store, who: str) -> list[str]:
    return [document.path for document in store.as_user(who).list()]


def deny(store: ringfence.Store, action: str) -> None:
    """Put a deny on the set: no public call writes denies yet, so it goes through the door."""
    row = from_fields(["p", EVE, "acme", "acme/set:hold", action, "any", "*", "-", "-", "deny"])
    from ringfence_governance.policy_changes import Reasoned
    from ringfence_governance.subjects import Subject

    store._Store__door.add_row(Subject(ADA), row, Reasoned("legal hold"))  # type: ignore[attr-defined]


def test_a_label_one_may_not_use_cannot_be_compared_with(store: ringfence.Store, tmp_path: Path) -> None:
    answers = set()
    for number, guess in enumerate(["acme/label:board", "acme/label:no-such"]):
        for level in (1, 2, 3):
            folder = tmp_path / f"probe-{number}-{level}"
            (folder / "inner").mkdir(parents=True)
            (folder / ".ringfence.yaml").write_text(
                f"version: 1\nrules:\n  - {{glob: '**', label: {guess}}}\n"
            )
            (folder / "inner" / ".ringfence.yaml").write_text(
                "version: 1\nrules:\n"
                f"  - {{glob: '**', owner: acme/user:dora, readers: [acme/user:mia], level: {level}}}\n"
            )
            (folder / "inner" / "a.txt").write_text("words")
            summary = store.ingest(folder, as_user=EVIL)
            reports = [*summary.failed, *summary.refused]
            answers.add((summary.added, *(report.reason for report in reports)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 0


def test_bytes_that_came_after_a_right_went_cannot_be_guessed(store: ringfence.Store) -> None:
    source = "memory-of-salaries"
    salary = [ringfence.Document(f"{source}.txt", "Bob gets 50000.", label=label(ADA, EVE))]
    store.as_user(ADA).grant(ADA, "declassify", "*", why="test")
    store.ingest(salary, as_user=ADA)
    assert store.as_user(EVE).search("Bob gets").hits
    hidden = [ringfence.Document(f"{source}.txt", "Bob gets 52000.", label=label(ADA, level=2))]
    store.ingest(hidden, as_user=ADA)
    assert paths(store, EVE) == []
    for guess in (51000, 52000, 53000):
        document = ringfence.Document(f"g{guess}.txt", f"Bob gets {guess}.", label=label(EVE, SAM))
        assert store.ingest([document], as_user=EVE).added == 1


def test_bytes_that_were_given_stay_under_their_label_when_their_document_is_gone(
    store: ringfence.Store,
) -> None:
    store.ingest([ringfence.Document("s.txt", "Bob gets 50000.", label=label(ADA, EVE))], as_user=ADA)
    assert store.as_user(EVE).search("Bob gets").hits
    store.ingest([ringfence.Document("s.txt", "Nothing here.", label=label(ADA))], as_user=ADA)
    copy = ringfence.Document("copy.txt", "Bob gets 50000.", label=label(EVE, SAM))
    summary = store.ingest([copy], as_user=EVE)
    assert summary.added == 0
    assert len(summary.refused) == 1
    assert paths(store, SAM) == []


def test_a_deny_keeps_its_ingester_from_removing_and_from_replacing(store: ringfence.Store) -> None:
    named = {"as_user": EVE, "label": "acme/label:board"}
    source = [ringfence.Document("held.txt", "first"), ringfence.Document("other.txt", "second")]
    assert store.ingest(source, **named).added == 2  # type: ignore[arg-type]
    deny(store, "delete")
    changed = [ringfence.Document("held.txt", "changed")]
    summary = store.ingest(changed, remove_vanished=True, **named)  # type: ignore[arg-type]
    assert (summary.changed, summary.removed) == (0, 0)
    assert len(summary.refused) == 2


@pytest.mark.parametrize("action", ["relabel_from", "relabel_to"])
def test_a_deny_keeps_its_ingester_from_relabelling(store: ringfence.Store, action: str) -> None:
    first, second = ("acme/label:board", label("acme/user:dora", level=3))
    if action == "relabel_to":
        first, second = (label("acme/user:dora", "acme/user:mia", level=2), "acme/label:board")
    source = [ringfence.Document("held.txt", "first")]
    assert store.ingest(source, as_user=EVE, label=first).added == 1  # type: ignore[arg-type]
    deny(store, action)
    summary = store.ingest(source, as_user=EVE, label=second)  # type: ignore[arg-type]
    assert summary.relabelled == 0
    assert len(summary.refused) == 1


def test_a_right_that_goes_during_a_run_publishes_nothing_more(store: ringfence.Store) -> None:
    def documents() -> Iterator[ringfence.Document]:
        yield ringfence.Document("late.txt", "words of a run", label=label(EVE))
        store.as_user(ADA).revoke(EVE, "ingest", "*", why="left")

    with pytest.raises(ringfence.Refused):
        store.ingest(documents(), as_user=EVE)
    assert paths(store, EVE) == []


def test_a_right_that_comes_during_a_run_brings_its_floor(store: ringfence.Store) -> None:
    store.ingest([ringfence.Document("s.txt", "the secret", label="acme/label:board")], as_user=ADA)

    def documents() -> Iterator[ringfence.Document]:
        yield ringfence.Document("other.txt", "something else", label=label(EVE, SAM))
        row = from_fields(["f", EVE, "2", "-"])
        from ringfence_governance.policy_changes import Reasoned
        from ringfence_governance.subjects import Subject

        store._Store__door.add_row(Subject(ADA), row, Reasoned("cleared"))  # type: ignore[attr-defined]
        store.as_user(ADA).grant(EVE, "read", "acme/label:board", why="asked")
        yield ringfence.Document("copy.txt", "the secret", label=label(EVE, SAM))

    summary = store.ingest(documents(), as_user=EVE)
    assert (summary.added, len(summary.refused)) == (1, 1)
    assert "copy.txt" not in paths(store, SAM)


def test_who_may_ingest_nothing_holds_up_nobody_and_leaves_a_record(store: ringfence.Store) -> None:
    def never() -> Iterator[ringfence.Document]:
        raise AssertionError("a subject without rights had its documents read")
        yield

    with pytest.raises(ringfence.Refused, match="may not ingest here"):
        store.ingest(never(), as_user=SAM)
    store.as_user(ADA).grant(ADA, "audit", "acme/policy", why="test")
    last = [record for record in store.as_user(ADA).log() if record["verb"] == "ingest"][-1]
    assert (last["subject"], last["outcome"]) == (SAM, "refused")
