"""Promise 3: Casbin decides.

What every verb returns is what stock Casbin's `enforce` allows, asked about each
document, each part of its label and each actor of the chain, by brute force.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ringfence.reader import Reader
from ringfence_governance import authority, ground, reading
from ringfence_governance.errors import NotReadable, StoreCorrupt
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import LabelEntry
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms
from ringfence_retrieval.results import SearchResult

from .random_firm import ACTORS, AUDITOR, PURPOSES, VOCABULARY, Asker, Firm, Held
from .seeded_store import embed

SEED = int(os.environ.get("PROMISES_SEED") or random.SystemRandom().randrange(2**32))
"""Another one each time; a failure prints it, and `PROMISES_SEED=N` plays the same cases again."""

FIRMS = 20
CASES_PER_FIRM = 50
UNKNOWN_ID = "0" * 32
MODES = ("vector", "text", "hybrid")
Seen = Counter[str]


def test_for_a_thousand_random_cases_every_verb_returns_what_casbin_allows(tmp_path: Path) -> None:
    started = time.monotonic()
    seen: Seen = Counter()
    for number in range(FIRMS):
        run_firm(tmp_path / str(number), SEED + number, seen)
    print(f"seed {SEED}, {time.monotonic() - started:.0f} s: {dict(sorted(seen.items()))}")
    assert seen["cases"] == FIRMS * CASES_PER_FIRM
    assert_told_apart(seen)


def assert_told_apart(seen: Seen) -> None:
    """The cases are worth asking: much is allowed, much is not, and every verb met both."""
    assert 0.1 < seen["allowed"] / (seen["allowed"] + seen["denied"]) < 0.85, seen
    for verb in ("text", "why", "who", "why_for"):
        assert seen[f"{verb} allowed"] > 10, seen
        assert seen[f"{verb} denied"] > 10, seen
    assert min(seen[mode] for mode in MODES) > 100, seen
    assert seen["what_for"] > 10, seen
    assert min(seen["chain"], seen["compound"], seen["purpose"], seen["stranger"]) > 20, seen


def run_firm(folder: Path, seed: int, seen: Seen, cases: int = CASES_PER_FIRM) -> None:
    """Make one firm, change it and ask it, case after case; `seed` plays it again."""
    firm = Firm.make(folder, seed)
    history = []
    try:
        for case in range(cases):
            if firm.dice.random() < 0.6:
                history.append(firm.change())
            asker = firm.asker()
            try:
                ask_everything(firm, asker, case, seen)
            except BaseException as error:
                error.add_note(f"PROMISES_SEED={seed} case {case}: {asker} at {firm.now}")
                error.add_note("\n".join([*firm.lines, "", *history[-12:]]))
                error.add_note("\n".join(f"{key}: {dict(value)}" for key, value in firm.labels.items()))
                raise
            seen["cases"] += 1
    finally:
        firm.store.close()


def ask_everything(firm: Firm, asker: Asker, case: int, seen: Seen) -> None:
    allowed = firm.readable(asker)
    denied = [document for document in firm.documents if document not in allowed]
    reader = firm.store.reader(asker.person, via=asker.chain[1:], purpose=asker.purpose)
    note(seen, firm, asker, allowed, denied)
    check_list(firm, asker, reader, allowed)
    check_count(reader, allowed)
    mode = MODES[case % len(MODES)]
    hits = check_search(firm, reader, allowed, mode, seen)
    if case % 4 == 0:
        check_one(firm, asker, reader, allowed, denied, hits, seen)
    if case % 8 == 0:
        check_auditor(firm, asker, seen)


def note(seen: Seen, firm: Firm, asker: Asker, allowed: list[Held], denied: list[Held]) -> None:
    seen["allowed"] += len(allowed)
    seen["denied"] += len(denied)
    seen["chain"] += len(asker.chain) > 1 and bool(allowed)
    seen["purpose"] += bool(asker.purpose) and bool(allowed)
    seen["compound"] += any(len(document.parts) > 1 for document in allowed)
    seen["stranger"] += asker.person == "a/user:ghost"


def check_list(firm: Firm, asker: Asker, reader: Reader, allowed: list[Held]) -> None:
    found = reader.list()
    assert [(each.path, each.id) for each in found] == [(each.path, each.document_id) for each in allowed]
    for each, expected in zip(found, allowed, strict=True):
        assert each.label == shown_label(firm, asker, expected)


def shown_label(firm: Firm, asker: Asker, document: Held) -> str | None:
    """The name of a label, for who owns it or may audit it; compound and anonymous ones have none."""
    if len(document.parts) > 1 or "~" in document.own:
        return None
    owns = firm.oracle.owns(asker.person, firm.labels[document.own])
    audits = firm.oracle.may(asker.chain, document.parts, "audit", purpose=asker.purpose, now=firm.now)
    return document.own if owns or audits else None


def check_count(reader: Reader, allowed: list[Held]) -> None:
    counts = reader.count()
    assert counts.documents == len(allowed)
    assert counts.chunks == sum(len(document.passages) for document in allowed)


def check_search(firm: Firm, reader: Reader, allowed: list[Held], mode: str, seen: Seen) -> SearchResult:
    query = " ".join(firm.dice.sample(VOCABULARY, 2))
    found = reader.search(query, k=1000, mode=mode)  # type: ignore[arg-type]
    rows = [(document.document_id, passage) for document in allowed for passage in document.passages]
    scores = {"vector": vector_scores, "text": text_scores, "hybrid": hybrid_scores}[mode](
        rows, query, {(hit.document, hit.text): hit.id for hit in found}
    )
    assert Counter((hit.document, hit.text) for hit in found) == Counter(
        row for row, score in zip(rows, scores, strict=True) if score is not None
    )
    assert found.readable == len(rows)
    assert found.complete
    expected = dict(zip(rows, scores, strict=True))
    for hit in found:
        assert math.isclose(hit.score, expected[hit.document, hit.text], rel_tol=1e-9, abs_tol=1e-12)
        (document,) = [each for each in allowed if each.document_id == hit.document]
        assert (hit.source.path, document.text[hit.source.start : hit.source.end]) == (
            document.path,
            hit.text,
        )
    order = [(-hit.score, hit.id) for hit in found]
    assert order == sorted(order)
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    seen[mode] += bool(found.hits)
    return found


Rows = list[tuple[str, str]]
Ids = dict[tuple[str, str], str]


def vector_scores(rows: Rows, query: str, ids: Ids) -> list[float | None]:
    asked = embed(query).astype(np.float64)
    return [float(np.dot(embed(passage).astype(np.float64), asked)) for _, passage in rows]


def text_scores(rows: Rows, query: str, ids: Ids) -> list[float | None]:
    """BM25 over these rows and no other, written out once more."""
    held = [Counter(terms(passage)) for _, passage in rows]
    average = sum(bag.total() for bag in held) / len(held) if held else 1.0
    scores: list[float | None] = []
    for bag in held:
        score = 0.0
        for term in set(terms(query)):
            holding = sum(term in other for other in held)
            weight = math.log(1 + (len(held) - holding + 0.5) / (holding + 0.5))
            frequency = bag[term]
            score += weight * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * bag.total() / average))
        scores.append(score or None)
    return scores


def hybrid_scores(rows: Rows, query: str, ids: Ids) -> list[float | None]:
    """Reciprocal ranks, added; equal scores stand by id, which the result itself tells."""
    fused = dict.fromkeys(range(len(rows)), 0.0)
    for score_all in (vector_scores, text_scores):
        scores = score_all(rows, query, ids)
        # Rounded, so that two rows whose scores differ in the last bits alone stand by id here as there.
        places = sorted(
            (place for place in fused if scores[place] is not None),
            key=lambda place: (-round(scores[place], 12), ids.get(rows[place], "")),
        )
        for rank, place in enumerate(places, start=1):
            fused[place] += 1 / (60 + rank)
    return list(fused.values())


def check_one(
    firm: Firm,
    asker: Asker,
    reader: Reader,
    allowed: list[Held],
    denied: list[Held],
    hits: SearchResult,
    seen: Seen,
) -> None:
    """Open and explain one document he may read, one he may not, and one that never was; tell what he may."""
    told = reader.what(documents=True)
    assert told["documents"] == len(allowed)
    assert {(label["label"], each) for label in told["labels"] for each in label["ids"]} == {
        (shown_label(firm, asker, each), each.document_id) for each in allowed
    }
    for document in firm.dice.sample(allowed, min(1, len(allowed))):
        assert reader.text(document.document_id).text == document.text
        seen["text allowed"] += 1
        named = firm.dice.choice([document.document_id, *(hit.id for hit in hits)])
        explained = reader.why(named)
        assert explained["decision"] == "allow"
        seen["why allowed"] += 1
    hidden = [document.document_id for document in firm.dice.sample(denied, min(1, len(denied)))]
    for object_id in [*hidden, *firm.removed[-1:], UNKNOWN_ID]:
        with pytest.raises(NotReadable) as refused:
            reader.text(object_id)
        assert str(refused.value) == str(NotReadable())
        with pytest.raises(NotReadable):
            reader.why(object_id)
        seen["text denied"] += 1
        seen["why denied"] += 1


def check_auditor(firm: Firm, asker: Asker, seen: Seen) -> None:
    """What an auditor is told of a document: who may read it, and whether this one may."""
    if not firm.documents:
        return
    document = firm.dice.choice(firm.documents)
    auditor = firm.store.reader(AUDITOR)
    if not firm.oracle.may((AUDITOR,), document.parts, "audit", now=firm.now):
        for ask in (auditor.who, lambda found: auditor.why_for(asker.person, found)):
            with pytest.raises(NotReadable):
                ask(document.document_id)
        seen["who denied"] += 1
        seen["why_for denied"] += 1
        return
    found = auditor.who(document.document_id)
    actors = sorted(set(ACTORS))
    readers = [actor for actor in actors if firm.may_read(Asker((actor,), ""), document)]
    assert found["readers"] == readers
    others = [actor for actor in actors if actor not in readers]
    for purpose in sorted(set(PURPOSES) - {""}):
        with_it = [actor for actor in others if firm.may_read(Asker((actor,), purpose), document)]
        assert found["purposes"].get(purpose, []) == with_it, purpose
    seen["who allowed"] += 1
    told = auditor.why_for(asker.person, document.document_id)["decision"]
    assert told == ("allow" if firm.may_read(Asker((asker.person,), ""), document) else "deny")
    seen["why_for allowed"] += 1
    listed = auditor.what_for(asker.person, documents=True)
    may = [
        each.document_id
        for each in firm.documents
        if firm.may_read(Asker((asker.person,), ""), each)
        and firm.oracle.may((AUDITOR,), each.parts, "audit", now=firm.now)
    ]
    assert sorted(each for label in listed["labels"] for each in label["ids"]) == sorted(may)
    seen["what_for"] += bool(may)


# The checks above are worth something only if they find a mistake that is there.

Planted = Callable[[pytest.MonkeyPatch], None]


def grants_a_label_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may read one label of his tenant may read the first one there is."""
    honest = authority.allowed
    honest_atoms = authority.readable_atoms

    def generous(
        snapshot: Snapshot, subject: Subject, entry: LabelEntry, table: LabelTable, action: str, now: str
    ) -> bool:
        return entry.atom == min(table.entries) or honest(snapshot, subject, entry, table, action, now)

    def generous_atoms(
        snapshot: Snapshot, table: LabelTable, subject: Subject, *, action: str = "read", now: str
    ) -> frozenset[int]:
        atoms = honest_atoms(snapshot, table, subject, action=action, now=now)
        return atoms | {min(table.entries)} if atoms else atoms

    monkeypatch.setattr(authority, "allowed", generous)
    monkeypatch.setattr(authority, "readable_atoms", generous_atoms)


def forgets_the_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the person of a chain is judged."""
    honest = authority._actors
    monkeypatch.setattr(authority, "_actors", lambda subject: list(honest(subject))[:1])


def takes_any_part_of_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compound label is judged by its first part alone."""
    honest = authority._parts
    monkeypatch.setattr(authority, "_parts", lambda table, entry: honest(table, entry)[:1])


def keeps_yesterdays_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A readable set is never made again once it was made for a subject."""
    honest = ground.Ground._readable
    kept: dict[object, object] = {}

    def stale(self, moment, subject, action):  # type: ignore[no-untyped-def]
        return kept.setdefault((id(self), subject, action), honest(self, moment, subject, action))

    monkeypatch.setattr(ground.Ground, "_readable", stale)
    monkeypatch.setattr(reading, "_recheck", lambda *_: None)


@pytest.mark.parametrize(
    "plant",
    [grants_a_label_too_many, forgets_the_agents, takes_any_part_of_a_label, keeps_yesterdays_answer],
)
def test_a_planted_mistake_is_found(plant: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, StoreCorrupt)):
        run_firms(tmp_path)


def run_firms(folder: Path) -> None:
    for number in range(FIRMS):
        run_firm(folder / str(number), number, Counter())
