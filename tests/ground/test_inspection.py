"""A reader learns his own reasons for what he reads; everything else is the auditor's, within his tenant."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ringfence_governance.errors import NotReadable, Refused, RingfenceError
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.subjects import Subject

from .worlds import ADMIN, DEFAULT_MODE, POLICY, World, bundle, draft, label, make_world, row, subject

HAL, BOB, OLGA, OTTO, LEE = (f"acme/user:{name}" for name in ("hal", "bob", "olga", "otto", "lee"))
UNKNOWN = "0" * 32


@pytest.fixture
def ids(filled: World) -> dict[str, str]:
    """Path → document id, of all documents."""
    found = {}
    for who in ("acme/user:dora", "acme/user:ann", LEE, "borealis/user:bo"):
        found |= filled.see(who).ids
    assert len(found) == 6
    return found


def outcome(act: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(RingfenceError) as caught:
        act()
    return type(caught.value).__name__, str(caught.value), caught.value.hint


# Why, for oneself


def test_a_reader_is_told_his_own_rule_and_his_own_path(filled: World, ids: dict[str, str]) -> None:
    answer = filled.door.why(subject(HAL), ids["pay/salaries.txt"])
    assert answer == {
        "object": ids["pay/salaries.txt"],
        "document": ids["pay/salaries.txt"],
        "kind": "folder",
        "subject": HAL,
        "label": None,
        "decision": "allow",
        "rules": [
            {
                "actor": HAL,
                "rule": "p, *, *, *, read, reader, *, -, -, allow",
                "path": [HAL],
                "relation": [HAL, "acme/group:hr"],
            }
        ],
        "as_of": filled.see(HAL).as_of,
    }


def test_he_is_not_told_the_labels_name_its_other_readers_or_who_granted(
    filled: World, ids: dict[str, str]
) -> None:
    filled.door.add_row(
        subject(ADMIN),
        row("p", "acme/group:sales", "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "allow"),
        Reasoned("because of the secret project", "T-1"),
    )
    answer = filled.door.why(subject(BOB), ids["pay/salaries.txt"])
    assert [rule["rule"] for rule in answer["rules"]] == [
        "p, acme/group:sales, acme, (its label), read, any, *, -, -, allow"
    ]
    assert answer["rules"][0]["path"] == [BOB, "acme/group:sales"]
    text = json.dumps(answer)
    assert not [word for word in ("payroll", "dora", "hr", "ada", "secret project", "T-1") if word in text]


def test_the_owner_of_a_label_and_who_may_audit_it_are_told_its_name(
    filled: World, ids: dict[str, str]
) -> None:
    assert filled.door.why(subject("acme/user:dora"), ids["project.txt"])["label"] == "acme/label:project"
    assert filled.door.why(subject(BOB), ids["project.txt"])["label"] is None
    assert filled.door.why(subject(OLGA), ids["public.txt"])["label"] == "acme/label:staff"
    assert filled.door.why(subject("acme/user:ann"), ids["ann.txt"])["label"] is None


def test_a_chunk_is_answered_for_as_its_document(filled: World, ids: dict[str, str]) -> None:
    ground = filled.ground
    version = ground.moment().publication.versions["chunks"]
    document = ids["pay/salaries.txt"]
    for chunk in ground.tables.ids_by("chunks", version, "document_id", [document])[document]:
        answer = filled.door.why(subject(HAL), chunk)
        assert (answer["object"], answer["document"], answer["decision"]) == (chunk, document, "allow")


def test_every_actor_of_a_chain_is_explained(filled: World, ids: dict[str, str]) -> None:
    filled.add(
        "p", "acme/agent:helper", "acme", "acme/label:payroll", "delegate", "any", "*", "-", "-", "allow"
    )
    answer = filled.door.why(Subject(HAL, ("acme/agent:helper",)), ids["pay/salaries.txt"])
    assert [rule["actor"] for rule in answer["rules"]] == [HAL, "acme/agent:helper"]


BAD_IDS = (UNKNOWN, "", "x", "0" * 31, "G" * 32, "pay/salaries.txt", "acme/label:payroll", "' OR 1=1 --")


@pytest.mark.parametrize("verb", ["why", "why_for", "who"])
@pytest.mark.parametrize("who", [BOB, "acme/user:nobody", "borealis/user:oz", OTTO])
def test_unknown_unreadable_and_malformed_are_one_answer(
    filled: World, ids: dict[str, str], verb: str, who: str
) -> None:
    ask: Callable[[str], object] = {
        "why": lambda one: filled.door.why(subject(who), one),
        "why_for": lambda one: filled.door.why_for(subject(who), subject(HAL), one),
        "who": lambda one: filled.door.who(subject(who), one),
    }[verb]
    answers = {outcome(lambda one=one: ask(one)) for one in (ids["pay/salaries.txt"], *BAD_IDS)}  # type: ignore[misc]
    assert answers == {("NotReadable", str(NotReadable()), NotReadable().hint)}


# Why, for others


def test_an_auditor_is_told_every_rule_every_path_and_who_granted_each(
    filled: World, ids: dict[str, str]
) -> None:
    filled.door.add_row(subject(ADMIN), row("g", BOB, "acme/group:hr"), Reasoned("helps out in May", "HR-7"))
    answer = filled.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"])
    assert (answer["decision"], answer["label"]) == ("allow", "acme/label:payroll")
    (definition,) = answer["label_definition"]
    assert (definition["owner"], definition["readers"]) == ("acme/user:dora", ["acme/group:hr"])
    (verdict,) = answer["verdicts"]
    (rule,) = verdict["rules"]
    assert rule["relation"] == [BOB, "acme/group:hr"]
    assert rule["granted"]["who"] == ADMIN
    assert rule["granted"]["why"] == "the store was made"


def test_a_path_of_membership_says_who_granted_each_step(filled: World, ids: dict[str, str]) -> None:
    filled.door.add_row(
        subject(ADMIN), row("g", "acme/group:sales", "acme/group:all"), Reasoned("one firm", "T-2")
    )
    filled.add("p", "acme/group:all", "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "allow")
    answer = filled.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"])
    (rule,) = answer["verdicts"][0]["rules"]
    assert rule["membership"] == [BOB, "acme/group:sales", "acme/group:all"]
    assert [step["why"] for step in rule["membership_granted"]] == ["the store was made", "one firm"]
    assert rule["membership_granted"][1]["ticket"] == "T-2"


def test_an_auditor_is_told_why_not(filled: World, ids: dict[str, str]) -> None:
    answer = filled.door.why_for(subject(OLGA), subject(BOB), ids["pay/salaries.txt"])
    assert answer["decision"] == "deny"
    assert answer["verdicts"][0]["reason"] == "no rule"
    filled.add("p", HAL, "acme", "acme/label:payroll", "read", "any", "*", "-", "-", "deny")
    answer = filled.door.why_for(subject(OLGA), subject(HAL), ids["pay/salaries.txt"])
    assert (answer["decision"], answer["verdicts"][0]["reason"]) == ("deny", "deny")
    assert [rule["effect"] for rule in answer["verdicts"][0]["rules"]] == ["deny", "allow"]


def test_who_names_those_who_may_read_and_nobody_else(filled: World, ids: dict[str, str]) -> None:
    def readers(path: str) -> list[str]:
        found: list[str] = filled.door.who(subject(OLGA), ids[path])["readers"]
        return found

    assert readers("pay/salaries.txt") == ["acme/user:dora", HAL]
    assert readers("board.txt") == [LEE]
    assert readers("ann.txt") == ["acme/user:ann"]
    assert readers("public.txt") == sorted(
        f"acme/user:{name}" for name in ("ada", "bob", "dex", "dora", "hal", "lee", "olga", "otto", "pam")
    )
    for path in ("pay/salaries.txt", "board.txt", "ann.txt", "public.txt"):
        for person in ("ada", "bob", "dora", "hal", "lee", "ann", "olga", "cy"):
            name = f"acme/user:{person}"
            assert (path in filled.see(name).paths) == (name in readers(path))


def test_who_names_those_who_may_read_with_a_purpose_only(world: World) -> None:
    filled = make_world(
        world.folder / "purposes",
        policy=bundle(
            POLICY
            + "g3, may-run, payroll-run\n"
            + "p, acme/user:cy, acme, *, read, any, bid, -, -, allow\n"
            + "p, acme/user:cy, acme, *, read, any, may-run, -, -, allow\n"
        ),
    )
    limited = label("acme/user:dora", HAL, purposes=frozenset({"payroll-run"}))
    run, plan = filled.put(draft("run.txt", "salaries", limited), draft("plan.txt", "plans", label()))
    answer = filled.door.who(subject(OLGA), run)
    assert answer["readers"] == []
    assert answer["purposes"] == {
        "may-run": ["acme/user:cy", "acme/user:dora", HAL],
        "payroll-run": ["acme/user:dora", HAL],
    }
    answer = filled.door.who(subject(OLGA), plan)
    assert answer["readers"] == ["acme/user:dora"]
    assert answer["purposes"] == {"bid": ["acme/user:cy"], "may-run": ["acme/user:cy"]}


def test_auditing_is_scoped_to_a_tenant_and_to_a_label(filled: World, ids: dict[str, str]) -> None:
    assert filled.door.who(subject(OTTO), ids["project.txt"])["readers"] == [
        "acme/user:bob",
        "acme/user:dora",
        LEE,
    ]
    for auditor, path in (
        (OTTO, "pay/salaries.txt"),
        (OLGA, "plans.txt"),
        ("borealis/user:oz", "project.txt"),
    ):
        with pytest.raises(NotReadable):
            filled.door.who(subject(auditor), ids[path])
    assert filled.door.who(subject("borealis/user:oz"), ids["plans.txt"])["readers"] == [
        "borealis/user:bea",
        "borealis/user:bo",
    ]


def test_an_auditor_reads_no_content(filled: World, ids: dict[str, str]) -> None:
    assert filled.see(OLGA).paths == ("public.txt",)


# The log


def shown(world: World, auditor: str) -> list[dict[str, Any]]:
    return world.door.log(subject(auditor))


def test_an_auditor_sees_what_left_to_whom_in_his_tenant(filled: World, ids: dict[str, str]) -> None:
    start = len(shown(filled, OLGA))
    seen = filled.see(HAL)
    entry = shown(filled, OLGA)[start + 1]
    assert (entry["subject"], entry["verb"], entry["outcome"]) == (HAL, "list", "allowed")
    assert set(seen.documents) < set(entry["rows"])
    assert entry["rows_hidden"] == 0


def test_the_log_holds_refusals_and_changes_too(filled: World, ids: dict[str, str]) -> None:
    with pytest.raises(NotReadable):
        filled.door.why(subject(BOB), UNKNOWN)
    filled.add("g", BOB, "acme/group:hr")
    verbs = [(entry["verb"], entry["outcome"], entry["subject"]) for entry in shown(filled, OLGA)]
    assert ("why", "refused", BOB) in verbs
    assert ("row_added", "allowed", ADMIN) in verbs


def test_another_tenants_reads_are_not_in_it(filled: World, ids: dict[str, str]) -> None:
    filled.see("borealis/user:bo")
    filled.see(HAL)
    for auditor, tenant in ((OLGA, "acme/"), ("borealis/user:oz", "borealis/")):
        # The store was made by somebody of acme: that a tenant's rows were, its auditor sees; by whom, not.
        subjects = {entry["subject"] for entry in shown(filled, auditor)} - {None}
        assert {name.partition("/")[0] + "/" for name in subjects} == {tenant}
    text = json.dumps(shown(filled, OLGA))
    assert "borealis" not in text
    assert ids["plans.txt"] not in text


def test_an_auditor_of_one_label_sees_its_rows_and_the_others_as_a_count(
    filled: World, ids: dict[str, str]
) -> None:
    filled.see(BOB)
    filled.see(HAL)
    entries = shown(filled, OTTO)
    rows = {one for entry in entries for one in entry["rows"]}
    assert ids["project.txt"] in rows
    assert not rows & {ids[path] for path in ("public.txt", "pay/salaries.txt", "board.txt", "ann.txt")}
    of_bob = [entry for entry in entries if entry["subject"] == BOB]
    assert (
        of_bob[-1]["rows_hidden"]
        == filled.see(BOB).counts["documents"] + filled.see(BOB).counts["chunks"] - 2
    )
    assert HAL not in {entry["subject"] for entry in entries}


def test_an_auditor_of_one_label_is_told_nothing_of_all_rows_at_once(
    filled: World, ids: dict[str, str]
) -> None:
    """Counts, rules and purpose are of rows under labels he may not audit too."""
    filled.see(BOB, purpose="review")
    filled.door.who(subject(OLGA), ids["project.txt"])
    told = [entry for entry in shown(filled, OTTO) if entry["subject"] in (BOB, OLGA)]
    assert [entry["verb"] for entry in told] == ["list", "who"]
    assert [(entry["purpose"], entry["counts"], entry["rules"]) for entry in told] == [("", {}, [])] * 2
    of_bob, of_olga = (
        entry
        for entry in shown(filled, OLGA)
        if entry["verb"] in ("list", "who") and entry["subject"] in (BOB, OLGA)
    )
    assert (of_bob["purpose"], of_olga["counts"]) == ("review", {"readers": 3})
    assert of_bob["rules"]


def test_an_administrators_grant_to_himself_is_in_the_log(filled: World) -> None:
    fields = ("p", ADMIN, "acme", "*", "read", "any", "*", "-", "-", "allow")
    for change in (filled.door.add_row, filled.door.remove_row):
        change(subject(ADMIN), row(*fields), Reasoned("curious", "T-9"))
    filled.add("g", "borealis/user:x", "borealis/group:y", who="borealis/user:bea")
    changes = [entry for entry in shown(filled, OLGA) if entry["verb"] == "policy"]
    assert [
        (entry["action"], entry["subject"], entry["row"], entry["why"], entry["ticket"])
        for entry in changes[-2:]
    ] == [(kind, ADMIN, ", ".join(fields), "curious", "T-9") for kind in ("row_added", "row_removed")]
    assert "borealis" not in json.dumps(changes)
    assert not [entry for entry in shown(filled, OTTO) if entry["verb"] == "policy"]


@pytest.mark.parametrize("who", [BOB, ADMIN, "acme/user:nobody", "borealis/user:bo"])
def test_who_may_audit_nothing_sees_no_log(filled: World, who: str) -> None:
    with pytest.raises(Refused, match="may audit nothing here"):
        filled.door.log(subject(who))
    assert (filled.records()[-1]["verb"], filled.records()[-1]["outcome"]) == ("log", "refused")


# Status


def test_a_reader_is_told_version_mode_and_health_and_no_number(filled: World) -> None:
    expected = filled.door.status(subject("acme/user:nobody"))
    weaker = {"weaker"} if DEFAULT_MODE.indexed else set()
    assert expected.keys() == {"format", "mode", "health"} | weaker
    assert (expected["format"], expected["mode"], expected["health"]) == (1, DEFAULT_MODE.name, "ok")
    for who in (BOB, HAL, "borealis/user:bo", "acme/user:dex", OTTO):
        assert filled.door.status(subject(who)) == expected
    filled.put(draft("more.txt", "more"))
    assert filled.door.status(subject(BOB)) == expected


@pytest.mark.parametrize("who", [OLGA, ADMIN])
def test_who_may_audit_or_administer_is_told_the_numbers(filled: World, who: str) -> None:
    status = filled.door.status(subject(who))
    weaker = ["weaker"] if DEFAULT_MODE.indexed else []
    assert list(status) == ["format", "mode", "health", *weaker, "store", "labels", "rows"]
    assert status["store"] == filled.ground.store_id
    assert status["rows"] == {"documents": 5, "chunks": 7, "edges": 12}
    assert status["labels"] == 5


def test_nothing_another_tenant_does_moves_a_number(filled: World) -> None:
    before = {who: filled.door.status(subject(who)) for who in (OLGA, ADMIN)}
    assert "rows" in before[OLGA]
    theirs = label("borealis/user:bo", "borealis/user:bea")
    filled.put(draft("deal.txt", "word " * 400, theirs), who="borealis/user:bo")
    filled.add("g", "borealis/user:x", "borealis/group:y", who="borealis/user:bea")
    assert {who: filled.door.status(subject(who)) for who in (OLGA, ADMIN)} == before


def test_who_may_audit_every_tenant_is_told_what_moves_with_all(world: World) -> None:
    policy = "".join(line for line in POLICY.splitlines(keepends=True) if "borealis" not in line)
    alone = make_world(world.folder / "alone", policy=bundle(policy, {}))
    moment = alone.ground.moment()
    status = alone.door.status(subject(OLGA))
    assert (status["sequence"], status["publication"]) == (moment.sequence, moment.publication.sequence)
    assert status["policy_revision"] == moment.snapshot.revision
    bea = "borealis/user:bea"
    policy += f"p, {bea}, borealis, borealis/policy, administer, any, *, -, -, allow\n"
    both = make_world(world.folder / "both", policy=bundle(policy, {}))
    assert "sequence" not in both.door.status(subject(OLGA))


# The policy


def test_an_administrator_sees_the_rows_of_his_tenant_and_those_of_all(filled: World) -> None:
    filled.door.add_row(subject(ADMIN), row("g", BOB, "acme/group:hr"), Reasoned("helps out"))
    rows = filled.door.policy_rows(subject(ADMIN))
    texts = [entry["row"] for entry in rows]
    assert "p, *, *, *, read, owner, *, -, -, allow" in texts
    assert "f, acme/user:lee, 2, project" in texts
    assert not [text for text in texts if "borealis" in text]
    (added,) = [entry for entry in rows if entry["row"] == f"g, {BOB}, acme/group:hr"]
    assert (added["who"], added["why"]) == (ADMIN, "helps out")
    others = [entry["row"] for entry in filled.door.policy_rows(subject("borealis/user:bea"))]
    assert "p, borealis/user:oz, borealis, *, audit, any, *, -, -, allow" in others
    assert not [text for text in others if "acme" in text]


def test_a_rule_for_every_tenant_that_names_somebody_of_another_is_not_shown(world: World) -> None:
    """`p, borealis/user:bo, *, …` has no tenant of its own, and says who is in borealis."""
    policy = bundle(POLICY + "p, borealis/user:spy, *, *, read, any, *, -, -, allow\n")
    other = make_world(world.folder / "other", policy=policy)
    assert "spy" not in json.dumps(other.door.policy_rows(subject(ADMIN)))
    assert "spy" in json.dumps(other.door.policy_rows(subject("borealis/user:bea")))


@pytest.mark.parametrize("who", [BOB, OLGA, "acme/user:nobody", "acme/user:dex"])
def test_who_may_not_administer_sees_no_policy(filled: World, who: str) -> None:
    with pytest.raises(Refused, match="may not administer this policy"):
        filled.door.policy_rows(subject(who))
    assert filled.records()[-1]["outcome"] == "refused"
