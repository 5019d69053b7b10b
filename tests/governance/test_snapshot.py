"""A policy snapshot: immutable, answered by Casbin, no on every error, never switched off."""

from __future__ import annotations

import copy
import pickle
import random
import threading
from collections.abc import Iterator
from itertools import pairwise
from types import FunctionType, MethodType, ModuleType
from typing import Any

import casbin
import pytest
from casbin.rbac.default_role_manager import RoleManager

from ringfence_governance import casbin_engine, policy_judge
from ringfence_governance import snapshot as snapshot_module
from ringfence_governance.errors import PolicyRefused
from ringfence_governance.labels import Label
from ringfence_governance.policy_rows import Facts, PolicyRows
from ringfence_governance.policy_text import parse_policy_csv, shipped_default
from ringfence_governance.snapshot import Decision, Request, Snapshot, normalised_model
from ringfence_policies import model_text

NOW = "2026-03-01T00:00:00Z"
POLICY = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, acme/role:r, acme, acme/label:x, read, any, *, 2026-01-01T00:00:00Z, 2026-07-01T00:00:00Z, allow
p, acme/user:barred, acme, *, *, any, *, -, 2026-07-01T00:00:00Z, deny
p, acme/user:ann, acme, acme/set:s, read, any, security, -, -, allow
g, acme/user:ann, acme/group:g
g, acme/group:g, acme/role:r
g2, acme/label:x, acme/set:s
g3, fraud, security
f, acme/user:dave, 3, hr|legal
"""
LABEL = Label("acme", "acme/user:dora")


def build(text: str) -> Snapshot:
    return Snapshot.build(parse_policy_csv(text.encode(), "policy.csv"))


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return build(POLICY)


def ask(actor: str = "acme/user:dora", **changed: Any) -> Request:
    fields: dict[str, Any] = {
        "actor": actor,
        "object_id": "acme/label:x",
        "label": LABEL,
        "action": "read",
        "purpose": "",
        "now": NOW,
        "carried": False,
    }
    return Request(**(fields | changed))


def test_an_allowing_decision_names_an_allowing_rule(snapshot: Snapshot) -> None:
    decision = snapshot.decide(ask("acme/user:ann"))
    assert (decision.allowed, decision.reason) == (True, "allow")
    assert decision.rule is not None
    assert decision.rule.sub == "acme/role:r"


def test_a_denying_decision_names_the_denying_rule(snapshot: Snapshot) -> None:
    decision = snapshot.decide(ask("acme/user:barred", label=Label("acme", "acme/user:barred")))
    assert (decision.allowed, decision.reason) == (False, "deny")
    assert decision.rule is not None
    assert decision.rule.sub == "acme/user:barred"


def test_the_default_is_no_and_names_no_rule(snapshot: Snapshot) -> None:
    assert snapshot.decide(ask("acme/user:nobody")) == Decision(False, None, "no rule")


class AlwaysEqual(str):
    """A text that equals every other, as `r.act == p.act` would meet it."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class LikeALabel(Label):
    """A label whose fields a subclass could answer otherwise."""


@pytest.mark.parametrize(
    "changed",
    [
        {"actor": "acme/group:g"},
        {"actor": "Acme/user:dora"},
        {"actor": AlwaysEqual("acme/user:nobody")},
        {"actor": None},
        {"object_id": AlwaysEqual("acme/label:x")},
        {"object_id": "other/label:x"},
        {"object_id": "acme/policy"},
        {"object_id": "acme/set:s"},
        {"label": None},
        {"label": object()},
        {"label": LikeALabel("acme", "acme/user:dora")},
        {"label": {"owner": "acme/user:dora"}},
        {"action": AlwaysEqual("nothing")},
        {"action": 1},
        {"purpose": "Two words"},
        {"purpose": None},
        {"now": "2026-03-01"},
        {"now": ""},
        {"now": 5},
        {"carried": "no"},
        {"carried": 0},
    ],
    ids=lambda changed: "-".join(f"{name}={type(value).__name__}" for name, value in changed.items()),
)
def test_a_malformed_request_is_a_no(changed: dict[str, Any], snapshot: Snapshot) -> None:
    assert snapshot.decide(ask()).allowed
    assert snapshot.decide(ask(**changed)) == Decision(False, None, "error")


def test_an_exception_while_deciding_is_a_no(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RecursionError

    assert snapshot.decide(ask()).allowed
    monkeypatch.setattr(policy_judge, "MatchedObject", broken)
    assert snapshot.decide(ask()) == Decision(False, None, "error")


def test_an_attribute_the_matcher_does_not_find_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_judge, "MatchedContext", lambda request: object())
    assert build(POLICY).decide(ask()) == Decision(False, None, "error")


def test_a_rule_that_was_not_loaded_never_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Casbin names must be a rule of this snapshot, and of the effect it claims."""
    answers = iter([(True, ["p"]), (True, []), (False, []), (True, None)])
    monkeypatch.setattr(casbin_engine._Enforcer, "enforce_ex", lambda *_: next(answers))
    held = build(POLICY)
    assert [held.decide(ask()).reason for _ in range(4)] == ["error", "error", "no rule", "error"]


def test_an_allow_that_names_a_denying_rule_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    denying = ["*", "*", "*", "*", "denied", "*", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "deny"]
    monkeypatch.setattr(casbin_engine._Enforcer, "enforce_ex", lambda *_: (True, denying))
    assert build(POLICY).decide(ask()) == Decision(False, None, "error")


def test_every_matching_rule_is_listed_allowing_and_denying(snapshot: Snapshot) -> None:
    label = Label(
        "acme", "acme/user:ann", readers=frozenset({"acme/group:g"}), denied=frozenset({"acme/role:r"})
    )
    found = snapshot.matching(ask("acme/user:ann", label=label))
    assert sorted((rule.rel, rule.eft) for rule in found) == [
        ("any", "allow"),
        ("denied", "deny"),
        ("owner", "allow"),
        ("reader", "allow"),
    ]


def test_listing_what_matches_changes_no_decision(snapshot: Snapshot) -> None:
    before = snapshot.decide(ask("acme/user:ann"))
    assert len(snapshot.matching(ask("acme/user:ann"))) == 1
    assert snapshot.matching(ask("acme/user:nobody")) == ()
    assert snapshot.decide(ask("acme/user:ann")) == before


def test_the_revision_does_not_depend_on_the_order_of_rows(snapshot: Snapshot) -> None:
    lines = POLICY.strip().splitlines()
    random.Random(1).shuffle(lines)
    again = build("\n# a comment\n".join(lines))
    assert again.revision == snapshot.revision
    assert again.decide(ask("acme/user:ann")) == snapshot.decide(ask("acme/user:ann"))


def test_every_change_of_a_row_changes_the_revision(snapshot: Snapshot) -> None:
    rows = snapshot.rows
    revisions = {snapshot.revision}
    for row in rows:
        revisions.add(Snapshot.build(rows.without_row(row)).revision)
    more = Facts("acme/user:new", 0, frozenset())
    revisions.add(Snapshot.build(rows.with_row(more)).revision)
    assert len(revisions) == len(rows) + 2


def test_fields_that_run_together_do_not_collide() -> None:
    one = build("p, *, *, *, read, owner, *, -, -, allow\ng3, ab, c")
    two = build("p, *, *, *, read, owner, *, -, -, allow\ng3, a, bc")
    assert one.revision != two.revision


def test_another_model_function_or_engine_is_another_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    revisions = {build(POLICY).revision}
    monkeypatch.setattr(policy_judge, "FUNCTIONS_VERSION", "another")
    revisions.add(build(POLICY).revision)
    monkeypatch.setattr(policy_judge, "version", lambda _: "2.9.9")
    revisions.add(build(POLICY).revision)
    changed = model_text().replace('r.act != "delegate"', 'r.act != "nothing"')
    monkeypatch.setattr(snapshot_module, "model_text", lambda: changed)
    revisions.add(build(POLICY).revision)
    assert len(revisions) == 4


def test_comments_and_broken_lines_are_no_part_of_a_model() -> None:
    text = model_text()
    assert normalised_model("# more\n\n" + text.replace("\\\n", "")) == normalised_model(text)
    assert normalised_model(text.replace("<=", "<")) != normalised_model(text)


def test_boundaries_are_the_times_at_which_a_rule_begins_or_ends(snapshot: Snapshot) -> None:
    assert snapshot.boundaries == ("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z")


def test_known_is_who_is_a_member_has_facts_or_is_allowed_something(snapshot: Snapshot) -> None:
    for name in ("acme/user:ann", "acme/group:g", "acme/user:dave"):
        assert snapshot.knows(name, NOW)
    for name in ("*", "acme/user:dora", "acme/label:x", "acme/set:s", "fraud", ""):
        assert not snapshot.knows(name, NOW)


def test_a_deny_makes_nobody_known(snapshot: Snapshot) -> None:
    """It would let him read what is for everybody the policy knows: a deny that widens."""
    assert not snapshot.knows("acme/user:barred", NOW)


def test_a_grant_makes_known_only_while_it_holds() -> None:
    held = build(
        "p, *, *, *, read, owner, *, -, -, allow\n"
        "p, acme/user:temp, acme, *, audit, any, *, 2026-01-01T00:00:00Z, 2026-02-01T00:00:00Z, allow"
    )
    assert not held.knows("acme/user:temp", "2025-12-31T23:59:59Z")
    assert held.knows("acme/user:temp", "2026-01-01T00:00:00Z")
    assert not held.knows("acme/user:temp", "2026-02-01T00:00:00Z")


def test_a_group_nobody_refers_to_but_as_a_parent_is_not_known() -> None:
    held = build("p, *, *, *, read, owner, *, -, -, allow\ng, acme/user:a, acme/group:g")
    assert not held.knows("acme/group:g", NOW)


def test_facts_are_level_nought_and_no_compartment_unless_a_row_says_more(snapshot: Snapshot) -> None:
    assert snapshot.facts_of("acme/user:dave") == Facts("acme/user:dave", 3, frozenset({"hr", "legal"}))
    assert snapshot.facts_of("acme/user:ann") == Facts("acme/user:ann", 0, frozenset())


def test_groups_are_everything_above_and_not_oneself(snapshot: Snapshot) -> None:
    assert snapshot.groups_of("acme/user:ann") == ("acme/group:g", "acme/role:r")
    assert snapshot.groups_of("acme/label:x") == ()
    assert snapshot.groups_of("acme/user:nobody") == ()


def test_a_path_leads_step_by_step_to_the_target(snapshot: Snapshot) -> None:
    assert snapshot.path("acme/user:ann", "acme/role:r") == ("acme/user:ann", "acme/group:g", "acme/role:r")
    assert snapshot.path("acme/user:ann", "acme/user:ann") == ("acme/user:ann",)
    assert snapshot.path("acme/role:r", "acme/user:ann") == ()
    assert snapshot.path("acme/user:nobody", "acme/role:r") == ()


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_those_casbin_finds_a_link_to(seed: int) -> None:
    """Casbin's own pairwise `has_link` over random graphs up to the depth limit."""
    dice = random.Random(seed)
    names = [f"acme/group:n{number}" for number in range(24)]
    links = {
        (low, high) for low in range(24) for high in range(low + 1, min(low + 5, 24)) if dice.random() < 0.4
    }
    plain = RoleManager(10)
    lines: list[str] = []
    for low, high in sorted(links):
        text = f"g, {names[low]}, {names[high]}"
        try:
            build("p, *, *, *, read, owner, *, -, -, allow\n" + "\n".join([*lines, text]))
        except PolicyRefused:
            continue
        lines.append(text)
        plain.add_link(names[low], names[high])
    held = build("p, *, *, *, read, owner, *, -, -, allow\n" + "\n".join(lines))
    for name in names:
        above = {other for other in names if other != name and plain.has_link(name, other)}
        assert set(held.groups_of(name)) == above
        for other in names:
            path = held.path(name, other)
            assert bool(path) is (other == name or other in above)
            assert all(plain.has_link(*step) for step in pairwise(path))


def test_an_empty_policy_is_not_built() -> None:
    with pytest.raises(PolicyRefused, match="no rule at all"):
        Snapshot.build(PolicyRows())
    with pytest.raises(PolicyRefused, match="no rule at all"):
        Snapshot.build(PolicyRows().with_row(Facts("acme/user:dave", 9, frozenset())))


def test_a_snapshot_never_changes(snapshot: Snapshot) -> None:
    for name in ("rows", "revision", "boundaries", "decide", "anything"):
        with pytest.raises(AttributeError):
            setattr(snapshot, name, None)
    with pytest.raises(AttributeError):
        del snapshot.rows
    assert not hasattr(snapshot, "__dict__")


def test_a_snapshot_is_neither_copied_nor_pickled(snapshot: Snapshot) -> None:
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="build it from its rows"):
            take(snapshot)


def reachable(root: object, depth: int) -> Iterator[tuple[str, object]]:
    """Yield what attributes, containers and bound objects lead to, dunder names and private ones left out."""
    seen: set[int] = set()
    waiting: list[tuple[str, object, int]] = [("snapshot", root, 0)]
    while waiting:
        path, found, level = waiting.pop()
        if id(found) in seen or isinstance(found, str | int | bytes | ModuleType | type | FunctionType):
            continue
        seen.add(id(found))
        yield path, found
        if level == depth:
            continue
        if isinstance(found, tuple | list | set | frozenset):
            waiting += [(f"{path}[]", item, level + 1) for item in found]
        for name in dir(found):
            if not name.startswith("_") and not isinstance(found, MethodType):
                waiting.append((f"{path}.{name}", getattr(found, name), level + 1))


def test_no_public_attribute_leads_to_an_enforcer_a_model_or_a_role_manager(snapshot: Snapshot) -> None:
    engine = (casbin.Enforcer, casbin.Model, RoleManager, policy_judge.Judge)
    paths = [path for path, found in reachable(snapshot, 5) if isinstance(found, engine)]
    assert not paths
    names = {name for _, found in reachable(snapshot, 5) for name in dir(found)}
    assert (
        not {"enable_enforce", "add_policy", "load_policy", "clear_policy", "set_model", "set_effector"}
        & names
    )


def test_even_the_enforcer_beneath_cannot_be_switched_off(snapshot: Snapshot) -> None:
    """Reached by a private name, which the threat model does not defend; still it stays on."""
    engine = snapshot._Snapshot__judge.model.engine  # type: ignore[attr-defined]
    for enforcer in (engine._enforcer, engine._explainer):
        with pytest.raises(RuntimeError, match="cannot be switched off"):
            enforcer.enable_enforce(False)
        assert enforcer.enabled is True
    assert not snapshot.decide(ask("acme/user:nobody")).allowed


def test_asking_about_strangers_leaves_nothing_behind(snapshot: Snapshot) -> None:
    roles = snapshot._Snapshot__judge.model.engine._roles.values()  # type: ignore[attr-defined]
    snapshot.decide(ask("acme/user:ann", purpose="fraud"))
    before = [len(manager.all_roles) for manager in roles]
    for number in range(200):
        actor, object_id = f"acme/user:stranger{number}", f"acme/label:~{number:032x}"
        request = ask(actor, object_id=object_id, purpose=f"purpose{number}")
        known = ask("acme/user:ann", object_id=object_id, purpose=f"purpose{number}")
        for each in (request, known):
            snapshot.decide(each)
            snapshot.matching(each)
        snapshot.groups_of(actor)
        snapshot.path(actor, f"acme/role:strange{number}")
    snapshot.decide(ask("acme/user:ann", purpose="fraud"))
    assert [len(manager.all_roles) for manager in roles] == before


def test_threads_asking_at_once_all_get_their_own_answer() -> None:
    held = build(POLICY)
    expected = {
        "acme/user:dora": True,
        "acme/user:ann": True,
        "acme/user:barred": False,
        "acme/user:x": False,
    }
    wrong: list[object] = []
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        dice = random.Random(seed)
        start.wait()
        for _ in range(150):
            actor = dice.choice(sorted(expected))
            decision = held.decide(ask(actor))
            matched = {rule.eft for rule in held.matching(ask(actor))} if dice.random() < 0.2 else None
            agrees = matched is None or (matched == {"allow"}) is expected[actor]
            if decision.allowed is not expected[actor] or decision.reason == "error" or not agrees:
                wrong.append((actor, decision))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nothing_of_a_label_or_subject_is_logged(
    snapshot: Snapshot, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        snapshot.decide(ask())
        snapshot.decide(ask("acme/user:nobody"))
        Snapshot.build(snapshot.rows)
    assert not caplog.records


def test_the_shipped_default_is_a_policy_that_gives_a_stranger_nothing() -> None:
    held = Snapshot.build(shipped_default().rows)
    assert not held.decide(ask("acme/user:nobody")).allowed
    assert held.decide(ask("acme/user:dora")).allowed


@pytest.mark.parametrize(
    ("written", "permuted"),
    [
        ("r = sub, dom, obj, act, ctx", "r = ctx, act, obj, dom, sub"),
        (
            "p = sub, dom, obj, act, rel, purpose, nbf, exp, eft",
            "p = obj, dom, sub, act, rel, purpose, nbf, exp, eft",
        ),
        (
            "p = sub, dom, obj, act, rel, purpose, nbf, exp, eft",
            "p = sub, dom, obj, act, rel, purpose, exp, nbf, eft",
        ),
    ],
)
def test_a_model_whose_fields_stand_in_another_order_is_refused(written: str, permuted: str) -> None:
    """Values are given to Casbin by place: it would read an end as a beginning, an object as a subject."""
    text = model_text()
    assert text.count(written) == 1
    rows = parse_policy_csv(b"p, *, *, *, read, owner, *, -, -, allow", "p")
    with pytest.raises(PolicyRefused, match="the values are given in this order; define no others"):
        Snapshot.build(rows, text.replace(written, permuted))
