"""Casbin's traps in the model and in deciding by it: shown there, and not here.

Each docstring begins with the number of its trap in `traps.py`, or with `Outage`.
"""

from __future__ import annotations

import ast
import re
from itertools import permutations
from pathlib import Path
from typing import Any

import casbin
import pytest
from casbin.core_enforcer import EnforceContext

from ringfence_governance.authority import readable_atoms
from ringfence_governance.errors import PolicyRefused
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.matcher_values import (
    MatchedContext,
    MatchedObject,
    MatchedSubject,
)
from ringfence_governance.policy_rows import Facts, Link
from ringfence_governance.policy_text import load_directory
from ringfence_governance.snapshot import Decision, Request
from ringfence_governance.subjects import Subject
from ringfence_policies import model_text

from .traps import (
    ALLOW_WINS,
    DENY_WINS,
    LABEL,
    NOW,
    PLAIN_MODEL,
    build,
    from_file,
    matcher,
    plain,
    reads,
    refused,
    rule,
)

ASKED = Request("a/user:bob", "a/label:x", LABEL, "read", "", NOW, False)


def called(tree: ast.AST) -> set[str]:
    """Return the names of the functions a matcher calls."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {func.id if isinstance(func, ast.Name) else ast.unparse(func) for func in calls}


@pytest.mark.parametrize(
    ("text", "domain", "thing"), [("False) or (True", "b", "d"), ("True) #", "a", "other")]
)
def test_the_text_of_a_rule_is_evaluated_as_code(text: str, domain: str, thing: str) -> None:
    """Trap 15: a rule opens another domain, or comments out the rest. Here no field is ever evaluated."""
    evaluated = PLAIN_MODEL.replace("r = sub,", "r = sub, dom,").replace("p = sub,", "p = sub_rule, dom,")
    enforcer = plain(evaluated.replace("g(r.sub, p.sub)", "r.dom == p.dom && eval(p.sub_rule)"))
    enforcer.add_policy(text, "a", "d", "read", "allow")
    assert enforcer.enforce("anybody", domain, thing, "read")

    assert "eval" not in model_text()
    for make in (
        lambda: rule(text),
        lambda: rule(obj=text),
        lambda: rule(purpose=text),
        lambda: rule(act=text),
        lambda: rule(rel=text),
    ):
        with pytest.raises(PolicyRefused):
            make()


def test_an_effect_that_only_denies_allows_strangers() -> None:
    """Trap 16: whom no rule denies is allowed. Here whom no rule allows is not."""
    enforcer = plain(PLAIN_MODEL.replace("some(where (p.eft == allow)) && ", ""))
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce("stranger", "d", "read")

    held = build(rule("a/user:bob", eft="deny"))
    stranger = Request("a/user:stranger", "a/label:x", LABEL, "read", "", NOW, False)
    assert held.decide(stranger) == Decision(False, None, "no rule")


def test_an_empty_policy_is_matched_against_empty_texts() -> None:
    """Trap 17: without a rule the matcher runs over nothing, and is true of it. Here there is no such policy."""
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", "r.sub == p.sub"))
    assert enforcer.enforce("", "", "")

    with pytest.raises(PolicyRefused, match="no rule at all"):
        build()
    with pytest.raises(PolicyRefused, match="no rule at all"):
        build(Link("g", "a/user:bob", "a/role:r"), Facts("a/user:bob", 9, frozenset()))
    assert build(rule()).decide(Request("", "", None, "", "", "", False)) == Decision(False, None, "error")


def test_the_effect_of_a_context_is_never_used(tmp_path: Path) -> None:
    """Trap 19: `e2` lets a deny win and is not looked at. Here there is one of each, and no context."""
    two = PLAIN_MODEL.replace(f"e = {DENY_WINS}", f"e = {ALLOW_WINS}\ne2 = {DENY_WINS}")
    context = EnforceContext("r", "p", "e2", "m")
    enforcer = plain(two)
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce(context, "bob", "d", "read")

    held = build(rule("a/user:bob"))
    asked: Any = Request(context, "a/label:x", LABEL, "read", "", NOW, False)  # type: ignore[arg-type]
    assert held.decide(asked).reason == held.decide(context).reason == "error"  # type: ignore[arg-type]
    (tmp_path / "policy.csv").write_text("p, *, *, *, read, owner, *, -, -, allow")
    second = model_text().replace(f"e = {DENY_WINS}", f"e = {DENY_WINS}\ne2 = {ALLOW_WINS}")
    (tmp_path / "model.conf").write_text(second)
    with pytest.raises(PolicyRefused, match=r"the key 'e2' in .policy_effect."):
        load_directory(tmp_path)


def test_a_link_that_has_expired_still_gives_the_role(tmp_path: Path) -> None:
    """Trap 20: the times of a link are nothing until a function is registered for it. Here times are a rule's."""
    text = "p, admin, d, read, allow\ng, eve, admin, 2000-01-01 00:00:00, 2001-01-01 00:00:00\n"
    assert from_file(tmp_path, text, PLAIN_MODEL.replace("g = _, _", "g = _, _, (_, _)")).enforce(
        "eve", "d", "read"
    )

    assert "fields after 'g'" in refused(
        "g, a/user:eve, a/role:admin, 2000-01-01T00:00:00Z, 2001-01-01T00:00:00Z"
    )
    in_role = Link("g", "a/user:eve", "a/role:admin")
    assert reads(build(rule("a/role:admin", nbf=NOW), in_role), "a/user:eve")
    assert not reads(build(rule("a/role:admin", exp=NOW), in_role), "a/user:eve")


def test_the_column_of_priorities_is_ignored() -> None:
    """Trap 21: what was added first wins, whatever its priority. Here no order of rows means anything."""
    enforcer = plain(
        PLAIN_MODEL.replace("p = sub,", "p = priority, sub,").replace(DENY_WINS, "priority(p.eft) || deny")
    )
    enforcer.add_policy("10", "bob", "d", "read", "allow")
    enforcer.add_policy("1", "bob", "d", "read", "deny")
    assert enforcer.enforce("bob", "d", "read")

    rows = [rule("a/user:bob"), rule("a/user:bob", eft="deny"), rule("a/user:ann")]
    held = [build(*order) for order in permutations(rows)]
    assert not any(reads(each, "a/user:bob") for each in held)
    assert all(reads(each, "a/user:ann") for each in held)
    assert len({each.revision for each in held}) == 1


DENIES = {
    "everybody": rule("*", dom="a", obj="a/label:x", eft="deny"),
    "every tenant": rule("a/user:bob", dom="*", obj="a/label:x", eft="deny"),
    "every label": rule("a/user:bob", dom="a", obj="*", eft="deny"),
    "every action": rule("a/user:bob", dom="a", obj="a/label:x", act="*", eft="deny"),
    "everything": rule("*", act="*", eft="deny"),
    "all the label denies": rule("*", act="*", rel="denied", eft="deny"),
    "his group": rule("a/group:g", obj="*", eft="deny"),
    "the label's set": rule("a/user:bob", obj="a/set:s", eft="deny"),
}


@pytest.mark.parametrize("denied", DENIES.values(), ids=DENIES)
def test_the_fast_enforcer_misses_denies_on_everything(denied: Any, tmp_path: Path) -> None:
    """Trap 22: it looks only at rules with the request's own words. Here a deny on `*` is a deny."""
    model, text = tmp_path / "model.conf", tmp_path / "policy.csv"
    model.write_text(PLAIN_MODEL.replace("r.obj == p.obj", '(r.obj == p.obj || p.obj == "*")'))
    text.write_text("p, bob, d, read, allow\np, bob, *, read, deny\n")
    assert not casbin.Enforcer(str(model), str(text)).enforce("bob", "d", "read")
    assert casbin.FastEnforcer(str(model), str(text), cache_key_order=[1, 2]).enforce("bob", "d", "read")

    label = Label("a", "a/user:owner", denied=frozenset({"a/user:bob"}))
    rows = [rule("a/user:bob", obj="a/label:x"), rule("a/user:bob"), Link("g", "a/user:bob", "a/group:g")]
    rows.append(Link("g2", "a/label:x", "a/set:s"))
    assert reads(build(*rows), "a/user:bob", label=label)
    decision = build(*rows, denied).decide(Request("a/user:bob", "a/label:x", label, "read", "", NOW, False))
    assert decision == Decision(False, denied, "deny")


def test_the_permissions_casbin_lists_are_not_those_it_grants() -> None:
    """Trap 26: its lists know no deny. Here what is listed is what is decided, label by label."""
    enforcer = plain()
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "deny")
    assert ["bob", "d", "read", "allow"] in enforcer.get_implicit_permissions_for_user("bob")
    assert not enforcer.enforce("bob", "d", "read")

    labels = {
        "a/label:x": LABEL,
        "a/label:y": LABEL,
        "a/label:z": Label("a", "a/user:owner", level=1),
        "b/label:x": Label("b", "b/user:owner"),
    }
    table = LabelTable(
        1, {atom: LabelEntry(atom, *item) for atom, item in enumerate(labels.items(), start=1)}
    )
    held = build(rule("a/user:bob"), rule("a/user:bob", obj="a/label:y", eft="deny"))
    listed = readable_atoms(held, table, Subject("a/user:bob"), now=NOW)
    assert listed == {
        table.by_id[name].atom for name in labels if reads(held, "a/user:bob", name, labels[name])
    }
    assert listed == {table.by_id["a/label:x"].atom}


def test_the_roles_casbin_lists_are_not_those_it_enforces() -> None:
    """Trap 26: implicit roles also walk label sets. Here a label's set is nobody's group."""
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
    """Trap 27: `/docs*` is also `/docs-secret`. Here no pattern function is called, and no name is a pattern."""
    enforcer = plain(PLAIN_MODEL.replace("r.obj == p.obj", "keyMatch(r.obj, p.obj)"))
    enforcer.add_policy("bob", "/docs*", "read", "allow")
    assert enforcer.enforce("bob", "/docs-secret/x", "read")

    assert called(matcher()) == {"member", "reach", "purpose_ok", "g2", "g3"}
    for name in ("a/label:docs*", "a/set:*", "a/label:.*", "a/label:docs/x", "a/*"):
        with pytest.raises(PolicyRefused):
            rule(obj=name)
    held = build(rule("a/user:bob", obj="a/label:docs.x"))
    assert reads(held, "a/user:bob", "a/label:docs.x")
    assert not reads(held, "a/user:bob", "a/label:docs-x")


def test_text_within_the_matcher_is_rewritten_like_code() -> None:
    """Trap 29: `"r.secret"` becomes `"r_secret"` and `"a!b"` becomes `"anot b"`: no literal of ours can."""
    enforcer = plain(PLAIN_MODEL.replace("r.obj == p.obj", 'r.obj != "r.secret"'))
    enforcer.add_policy("bob", "x", "read", "allow")
    assert enforcer.enforce("bob", "r.secret", "read")

    literals = set(re.findall(r'"([^"]*)"', model_text().partition("[matchers]")[2]))
    assert literals == {"delegate", "deny", "*", "any", "read", "owner", "reader", "denied"}
    evaluated = {node.value for node in ast.walk(matcher()) if isinstance(node, ast.Constant)}
    assert evaluated == literals


def test_an_enforcer_switched_off_allows_everybody() -> None:
    """Trap 30: one call, and everything is allowed. Here it is not there to be called, and fails if it is."""
    enforcer = plain()
    enforcer.enable_enforce(False)
    assert enforcer.enforce("anybody", "anything", "at all")

    held = build(rule("a/user:bob"))
    assert not hasattr(held, "enable_enforce")
    with pytest.raises(RuntimeError, match="cannot be switched off"):
        held._Snapshot__judge.model.engine._enforcer.enable_enforce(False)  # type: ignore[attr-defined]
    assert not reads(held, "a/user:anybody")


def test_a_mapping_as_a_request_has_methods_that_are_true() -> None:
    """Trap 30: `r.sub.keys` is a method, and true. Here what the matcher sees has no method to find."""
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", "bool(r.sub.keys)"))
    enforcer.add_function("bool", bool)
    enforcer.add_policy("x", "d", "read", "allow")
    assert enforcer.enforce({"keys": False}, "d", "read")

    for kind in (MatchedSubject, MatchedObject, MatchedContext):
        assert not [name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))]


def test_asking_for_each_group_alone_forgets_the_denies_of_the_others() -> None:
    """Trap 30: any of a person's groups may, and the one that may not is not asked. Here all are asked at once."""
    enforcer = plain()
    enforcer.add_policy("staff", "d", "read", "allow")
    enforcer.add_policy("barred", "d", "read", "deny")
    assert any(enforcer.enforce(name, "d", "read") for name in ("staff", "barred"))

    staff, barred = Link("g", "a/user:bob", "a/group:staff"), Link("g", "a/user:bob", "a/group:barred")
    rows = [rule("a/group:staff"), rule("a/group:barred", eft="deny")]
    assert reads(build(*rows, staff), "a/user:bob")
    assert not reads(build(*rows, staff, barred), "a/user:bob")
