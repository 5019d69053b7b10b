"""Ways in which Casbin for Python fails open, each shown on Casbin itself and then not here.

The first half of a test falls into the trap, so that it tells when a release mends it.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import casbin
import pytest
from casbin.effect import AllowAndDenyEffector
from casbin.persist.adapters import FileAdapter
from casbin.rbac.default_role_manager import RoleManager

from ringfence_governance.errors import PolicyRefused
from ringfence_governance.labels import Label
from ringfence_governance.matcher_values import MatchedContext, MatchedObject, MatchedSubject
from ringfence_governance.policy_checks import DEPTH_MAX
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Rule
from ringfence_governance.policy_text import parse_policy_csv
from ringfence_governance.snapshot import Decision, Request, Snapshot
from ringfence_policies import model_text

NOW, T0, T9 = "2026-03-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
LABEL = Label("a", "a/user:owner")

PLAIN_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
"""


def plain(model: str = PLAIN_MODEL) -> casbin.Enforcer:
    return casbin.Enforcer(casbin.Enforcer.new_model(text=model))


def from_file(folder: Path, text: str | bytes) -> casbin.Enforcer:
    file = folder / "policy.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return casbin.Enforcer(casbin.Enforcer.new_model(text=PLAIN_MODEL), FileAdapter(str(file)))


def rule(sub: str = "*", **changed: str) -> Rule:
    fields = {"dom": "*", "obj": "*", "act": "read", "rel": "any", "purpose": "*", "nbf": T0, "exp": T9}
    return Rule(sub, **(fields | {"eft": "allow"} | changed))


def build(*rows: Rule | Link | Facts) -> Snapshot:
    return Snapshot.build(PolicyRows.of(rows))


def reads(held: Snapshot, actor: str, object_id: str = "a/label:x", label: Label = LABEL) -> bool:
    return held.decide(Request(actor, object_id, label, "read", "", NOW, False)).allowed


def refused(text: str | bytes) -> str:
    with pytest.raises(PolicyRefused) as error:
        parse_policy_csv(text.encode() if isinstance(text, str) else text, "policy.csv")
    return str(error.value)


def test_a_misspelt_effect_switches_a_deny_off() -> None:
    enforcer = plain()
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "Deny")
    assert enforcer.enforce("bob", "d", "read")

    for eft in ("Deny", "DENY", "deny ", "block", ""):
        with pytest.raises(PolicyRefused, match="effect"):
            rule("a/user:bob", eft=eft)


def test_a_byte_order_mark_drops_the_first_line(tmp_path: Path) -> None:
    text = "p, bob, d, read, deny\np, bob, d, read, allow\n"
    assert not from_file(tmp_path, text).enforce("bob", "d", "read")
    assert from_file(tmp_path, b"\xef\xbb\xbf" + text.encode()).enforce("bob", "d", "read")

    assert "byte order mark" in refused(b"\xef\xbb\xbfp, *, *, *, *, any, *, -, -, deny")


@pytest.mark.parametrize("ptype", ["P", "p2", "deny"])
def test_a_line_of_an_unknown_type_is_dropped(ptype: str, tmp_path: Path) -> None:
    text = f"p, bob, d, read, allow\n{ptype}, bob, d, read, deny\n"
    assert from_file(tmp_path, text).enforce("bob", "d", "read")

    assert "row type" in refused(f"p, *, *, *, read, owner, *, -, -, allow\n{ptype}, x")


def test_a_rule_with_too_few_fields_fails_only_when_somebody_asks(tmp_path: Path) -> None:
    enforcer = from_file(tmp_path, "p, bob, d, read, allow\np, eve, d, read\n")
    with pytest.raises(RuntimeError, match="invalid policy size"):
        enforcer.enforce("ann", "d", "read")

    assert "fields after 'p'" in refused("p, a/user:eve, a, *, read, any, *, -, -")


def test_a_link_refused_as_a_duplicate_still_gives_the_role() -> None:
    enforcer = plain()
    enforcer.add_policy("admin", "d", "read", "allow")
    enforcer.add_grouping_policy("alice", "admin")
    assert enforcer.add_grouping_policies([["alice", "admin"], ["mallory", "admin"]]) is False
    assert enforcer.enforce("mallory", "d", "read")

    admin = rule("a/role:admin")
    alice, mallory = Link("g", "a/user:alice", "a/role:admin"), Link("g", "a/user:mallory", "a/role:admin")
    with pytest.raises(PolicyRefused, match="twice"):
        build(admin, alice, alice, mallory)
    assert not reads(build(admin, alice), "a/user:mallory")


def test_a_duplicate_row_cannot_be_removed(tmp_path: Path) -> None:
    enforcer = from_file(tmp_path, "p, bob, d, read, allow\np, bob, d, read, allow\n")
    enforcer.remove_policy("bob", "d", "read", "allow")
    assert enforcer.enforce("bob", "d", "read")

    assert "again" in refused(
        "p, *, *, *, read, owner, *, -, -, allow\np, *, *, *, read, owner, *, -, -, allow"
    )
    rows = PolicyRows.of([rule("a/user:bob"), rule("a/user:ann")])
    assert not reads(Snapshot.build(rows.without_row(rule("a/user:bob"))), "a/user:bob")


@pytest.mark.parametrize("name", ["team-x, viewer\ng, mallory, admin", "mallory, admin", "a[b]", 'q"q'])
def test_a_name_with_a_comma_or_a_new_line_becomes_other_rows(name: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.csv"
    file.write_text("")
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=PLAIN_MODEL), FileAdapter(str(file)))
    enforcer.add_policy("admin", "d", "read", "allow")
    enforcer.add_grouping_policy(name, "viewer")
    if "admin" in name:
        enforcer.save_policy()
        enforcer.load_policy()
        assert enforcer.enforce("mallory", "d", "read")

    for make in (
        lambda: Link("g", f"a/user:{name}", "a/group:g"),
        lambda: Link("g", "a/user:u", f"a/group:{name}"),
        lambda: rule(f"a/user:{name}"),
        lambda: rule(obj=f"a/label:{name}"),
        lambda: Facts(f"a/user:{name}", 9, frozenset()),
    ):
        with pytest.raises(PolicyRefused):
            make()


def test_a_deny_more_than_nine_links_up_is_ignored() -> None:
    enforcer = plain()
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("n10", "d", "read", "deny")
    enforcer.add_grouping_policy("bob", "n1")
    for number in range(1, 10):
        enforcer.add_grouping_policy(f"n{number}", f"n{number + 1}")
    assert enforcer.enforce("bob", "d", "read")

    links = [Link("g", "a/user:bob", "a/group:n1")]
    links += [Link("g", f"a/group:n{number}", f"a/group:n{number + 1}") for number in range(1, DEPTH_MAX + 1)]
    denied = rule(f"a/group:n{DEPTH_MAX}", eft="deny")
    assert not reads(build(rule("a/user:bob"), denied, *links[:-1]), "a/user:bob")
    with pytest.raises(PolicyRefused, match="flatten the groups"):
        build(rule("a/user:bob"), denied, *links)


def test_the_longest_chain_let_in_is_the_longest_casbin_follows() -> None:
    roles = RoleManager(10)
    for number in range(DEPTH_MAX + 1):
        roles.add_link(f"n{number}", f"n{number + 1}")
    assert roles.has_link("n0", f"n{DEPTH_MAX}")
    assert not roles.has_link("n0", f"n{DEPTH_MAX + 1}")


def test_an_effect_that_only_denies_allows_strangers() -> None:
    enforcer = plain(PLAIN_MODEL.replace("some(where (p.eft == allow)) && ", ""))
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce("stranger", "d", "read")

    assert not reads(build(rule("a/user:bob", eft="deny")), "a/user:stranger")


def test_an_empty_policy_is_matched_against_empty_texts() -> None:
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", "r.sub == p.sub"))
    assert enforcer.enforce("", "", "")

    with pytest.raises(PolicyRefused, match="no rule at all"):
        build()
    assert build(rule()).decide(Request("", "", None, "", "", "", False)) == Decision(False, None, "error")


def test_a_cycle_of_groups_is_followed_in_silence() -> None:
    enforcer = plain()
    enforcer.add_policy("a", "d", "read", "allow")
    enforcer.add_grouping_policy("a", "b")
    enforcer.add_grouping_policy("b", "a")
    assert enforcer.enforce("b", "d", "read")

    with pytest.raises(PolicyRefused, match="cycle"):
        build(rule(), Link("g", "a/group:a", "a/group:b"), Link("g", "a/group:b", "a/group:a"))


def test_a_policy_reload_of_a_few_hundred_users_fails_and_keeps_the_old_policy(tmp_path: Path) -> None:
    """Nothing is reloaded here: the new policy is a new snapshot, whatever its size."""
    links = [(f"u{number}", f"r{(number + step) % 400}") for number in range(400) for step in (1, 2, 3)]
    text = "p, r0, d, read, allow\n" + "\n".join(f"g, {user}, {role}x" for user, role in links)
    enforcer = from_file(tmp_path, text.replace("r0, d", "r0x, d") + "\ng, eve, r0x")
    (tmp_path / "policy.csv").write_text(text.replace("r0, d", "r0x, d"))
    with pytest.raises(RecursionError):
        enforcer.load_policy()
    assert enforcer.enforce("eve", "d", "read")

    rows = [Link("g", f"a/user:{user}", f"a/role:{role}") for user, role in links]
    eve = Link("g", "a/user:eve", "a/role:r0")
    policy = PolicyRows.of([rule("a/role:r0"), *rows, eve])
    assert reads(Snapshot.build(policy), "a/user:eve")
    assert not reads(Snapshot.build(policy.without_row(eve)), "a/user:eve")


def test_another_model_keeps_the_effect_of_the_old_one() -> None:
    enforcer = plain(PLAIN_MODEL.replace(" && !some(where (p.eft == deny))", ""))
    enforcer.set_model(casbin.Enforcer.new_model(text=PLAIN_MODEL))
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce("bob", "d", "read")

    judge = build(rule())._Snapshot__judge  # type: ignore[attr-defined]
    assert type(judge._enforcer.eft) is AllowAndDenyEffector
    assert not reads(build(rule("a/user:bob"), rule("a/user:bob", eft="deny")), "a/user:bob")


def test_the_roles_casbin_lists_are_not_those_it_enforces() -> None:
    """Implicit roles also walk label sets; here a label's set is nobody's group."""
    held = build(
        rule("a/role:r"),
        Link("g", "a/user:bob", "a/role:r"),
        Link("g2", "a/label:x", "a/set:s"),
        Link("g3", "fraud", "security"),
    )
    assert held.groups_of("a/label:x") == ()
    assert held.groups_of("fraud") == ()
    assert held.groups_of("a/user:bob") == ("a/role:r",)


def test_a_pattern_matches_more_than_it_says() -> None:
    enforcer = plain(PLAIN_MODEL.replace("r.obj == p.obj", "keyMatch(r.obj, p.obj)"))
    enforcer.add_policy("bob", "/docs*", "read", "allow")
    assert enforcer.enforce("bob", "/docs-secret/x", "read")

    called = {
        node.func.id
        for node in ast.walk(matcher())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called == {"member", "reach", "purpose_ok", "g2", "g3"}
    with pytest.raises(PolicyRefused):
        rule(obj="a/label:docs*")


@pytest.mark.parametrize("alias", ["Bob", "bob ", " bob", "b\u200bob", "b\u043eb", "bob\n", "bob\x00"])
def test_an_alias_of_a_name_slips_past_its_deny(alias: str) -> None:
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", '(p.sub == "*" || r.sub == p.sub)'))
    enforcer.add_policy("*", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce(alias, "d", "read")

    held = build(rule(), rule("a/user:bob", eft="deny"))
    assert (
        held.decide(Request(f"a/user:{alias}", "a/label:x", LABEL, "read", "", NOW, False)).reason == "error"
    )
    with pytest.raises(PolicyRefused):
        rule(f"a/user:{alias}", eft="deny")


def matcher() -> ast.AST:
    text = casbin.Enforcer.new_model(text=model_text())["m"]["m"].value
    return ast.parse(re.sub(r"!(?!=)", "not ", text.replace("&&", "and").replace("||", "or")))


def test_text_within_the_matcher_is_rewritten_like_code() -> None:
    """`"r.secret"` becomes `"r_secret"` and `"a!b"` becomes `"anot b"`: no literal of ours can."""
    enforcer = plain(PLAIN_MODEL.replace("r.obj == p.obj", 'r.obj != "r.secret"'))
    enforcer.add_policy("bob", "x", "read", "allow")
    assert enforcer.enforce("bob", "r.secret", "read")

    literals = set(re.findall(r'"([^"]*)"', model_text().partition("[matchers]")[2]))
    assert literals == {"delegate", "deny", "*", "any", "read", "owner", "reader", "denied"}


def test_an_enforcer_switched_off_allows_everybody() -> None:
    enforcer = plain()
    enforcer.enable_enforce(False)
    assert enforcer.enforce("anybody", "anything", "at all")

    held = build(rule("a/user:bob"))
    assert not hasattr(held, "enable_enforce")
    with pytest.raises(RuntimeError, match="cannot be switched off"):
        held._Snapshot__judge._enforcer.enable_enforce(False)  # type: ignore[attr-defined]
    assert not reads(held, "a/user:anybody")


def test_a_mapping_as_a_request_has_methods_that_are_true() -> None:
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", "bool(r.sub.keys)"))
    enforcer.add_function("bool", bool)
    enforcer.add_policy("x", "d", "read", "allow")
    assert enforcer.enforce({"keys": False}, "d", "read")

    for kind in (MatchedSubject, MatchedObject, MatchedContext):
        assert not [name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))]


def test_asking_for_each_group_alone_forgets_the_denies_of_the_others() -> None:
    enforcer = plain()
    enforcer.add_policy("staff", "d", "read", "allow")
    enforcer.add_policy("barred", "d", "read", "deny")
    assert any(enforcer.enforce(name, "d", "read") for name in ("staff", "barred"))

    held = build(
        rule("a/group:staff"),
        rule("a/group:barred", eft="deny"),
        Link("g", "a/user:bob", "a/group:staff"),
        Link("g", "a/user:bob", "a/group:barred"),
    )
    assert not reads(held, "a/user:bob")


def test_levels_compared_as_text_put_nine_above_ten() -> None:
    assert "9" > "10"

    held = build(rule("a/user:bob"), Facts("a/user:bob", 2, frozenset()))
    assert not reads(held, "a/user:bob", label=Label("a", "a/user:owner", level=3))
    assert reads(held, "a/user:bob", label=Label("a", "a/user:owner", level=2))
    with pytest.raises(PolicyRefused):
        Facts("a/user:bob", "9", frozenset())  # type: ignore[arg-type]


def test_casbin_remembers_every_name_it_is_asked_about() -> None:
    enforcer = plain()
    enforcer.add_policy("admin", "d", "read", "allow")
    enforcer.add_grouping_policy("alice", "admin")
    for number in range(50):
        enforcer.enforce(f"stranger{number}", "d", "read")
    assert len(enforcer.get_role_manager().all_roles) > 50

    held = build(
        rule("a/role:r"),
        Link("g", "a/user:alice", "a/role:r"),
        rule(obj="a/set:s"),
        Link("g2", "a/label:x", "a/set:s"),
    )
    managers = held._Snapshot__judge._managers  # type: ignore[attr-defined]
    before = {kind: len(manager.all_roles) for kind, manager in managers.items()}
    for number in range(50):
        reads(held, f"a/user:stranger{number}", f"a/label:l{number}")
        reads(held, "a/user:alice", f"a/label:l{number}")
    assert {kind: len(manager.all_roles) for kind, manager in managers.items()} == before


def test_the_matcher_is_parsed_once_and_not_in_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing from several threads at once fails at random on Python 3.11."""
    parsed: list[str] = []
    parse = ast.parse

    def counting(source: str, *arguments: object, **named: object) -> object:
        parsed.append(source)
        return parse(source, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(ast, "parse", counting)
    enforcer = plain()
    enforcer.add_policy("bob", "d", "read", "allow")
    for _ in range(3):
        enforcer.enforce("bob", "d", "read")
    assert len(parsed) == 3

    parsed.clear()
    held = build(rule("a/user:bob"))
    for _ in range(20):
        assert reads(held, "a/user:bob")
    assert len(parsed) == 1


def test_no_module_uses_what_casbin_offers_for_live_policies() -> None:
    folder = Path(sys.modules[Snapshot.__module__].__file__ or "").parent
    text = (folder / "snapshot.py").read_text("utf-8")
    names = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    unsafe = {"load_policy", "set_watcher", "set_adapter", "add_policy", "add_grouping_policy", "set_model"}
    unsafe |= {
        "FastEnforcer",
        "SyncedEnforcer",
        "AsyncEnforcer",
        "DistributedEnforcer",
        "load_filtered_policy",
    }
    assert not names & unsafe
    assert "eval(" not in model_text()
