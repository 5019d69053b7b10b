"""What ends every question in Casbin, or costs more with each: shown there, and not here.

Each docstring begins with `Outage`, or with the number of its trap in `traps.py`.
"""

from __future__ import annotations

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.errors import PolicyRefused
from ringfence_governance.labels import Label
from ringfence_governance.matcher_values import MatchedObject, MatchedSubject, Names, member, reach
from ringfence_governance.policy_rows import Facts, Link
from ringfence_governance.snapshot import Decision, Request
from ringfence_governance.subjects import Subject

from .traps import LABEL, NOW, PLAIN_MODEL, build, from_file, matcher, plain, reads, refused, rule

ASKED = Request("a/user:bob", "a/label:x", LABEL, "read", "", NOW, False)


def test_a_rule_with_too_few_fields_fails_only_when_somebody_asks(tmp_path: Path) -> None:
    """Outage: one short row ends every question. Here it is refused before anybody asks."""
    enforcer = from_file(tmp_path, "p, bob, d, read, allow\np, eve, d, read\n")
    with pytest.raises(RuntimeError, match="invalid policy size"):
        enforcer.enforce("ann", "d", "read")

    assert "fields after 'p'" in refused("p, a/user:eve, a, *, read, any, *, -, -")


def test_a_cycle_of_groups_is_followed_in_silence() -> None:
    """Outage: a cycle makes everybody in it everybody else. Here it is refused."""
    enforcer = plain()
    enforcer.add_policy("a", "d", "read", "allow")
    enforcer.add_grouping_policy("a", "b")
    enforcer.add_grouping_policy("b", "a")
    assert enforcer.enforce("b", "d", "read")

    with pytest.raises(PolicyRefused, match="cycle"):
        build(rule(), Link("g", "a/group:a", "a/group:b"), Link("g", "a/group:b", "a/group:a"))


def test_levels_compared_as_text_put_nine_above_ten() -> None:
    """Outage: what is compared must be of one type. Levels here are integers, whatever a caller says."""
    assert "9" > "10"

    held = build(rule("a/user:bob"), Facts("a/user:bob", 2, frozenset()))
    assert not reads(held, "a/user:bob", label=Label("a", "a/user:owner", level=3))
    assert reads(held, "a/user:bob", label=Label("a", "a/user:owner", level=2))
    with pytest.raises(PolicyRefused):
        Facts("a/user:bob", "9", frozenset())  # type: ignore[arg-type]


def test_a_missing_attribute_ends_every_question() -> None:
    """Outage: the matcher looks, finds nothing and raises. Here any failure is a no, and no exception."""
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", "r.sub.level > 1"))
    enforcer.add_policy("bob", "d", "read", "allow")
    with pytest.raises(Exception, match="'level' does not exist"):
        enforcer.enforce("bob", "d", "read")

    held = build(rule("a/user:bob"))
    assert held.decide(ASKED).allowed
    for broken in (None, "bob", object(), (), Subject("a/user:bob")):
        assert held.decide(broken) == Decision(False, None, "error")  # type: ignore[arg-type]


def test_a_matcher_that_is_neither_true_nor_false_raises() -> None:
    """Outage: a number or a text is no answer. Here each part of the matcher is true or false, never truthy."""
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", "1"))
    enforcer.add_policy("bob", "d", "read", "allow")
    with pytest.raises(RuntimeError, match="should be bool"):
        enforcer.enforce("bob", "d", "read")

    flags = set()
    for part in parts(matcher()):
        if isinstance(part, ast.Attribute):
            flags.add(ast.unparse(part))
        else:
            assert isinstance(part, ast.Compare | ast.Call), ast.unparse(part)
    assert flags == {"r_sub.carried", "r_sub.known", "r_obj.labelled"}
    subject = MatchedSubject(principals=(), level=0, comps=(), known=False, carried=True)
    values = (
        subject.carried,
        subject.known,
        MatchedObject("a/label:x", LABEL).labelled,
        member(Names("a"), "a"),
    )
    assert all(type(value) is bool for value in (*values, reach(Names("a"), Names("b"))))


def parts(tree: ast.expr) -> list[ast.expr]:
    """Return what a matcher joins by and, or and not."""
    if isinstance(tree, ast.BoolOp):
        return [part for value in tree.values for part in parts(value)]
    return parts(tree.operand) if isinstance(tree, ast.UnaryOp) else [tree]


def test_one_large_request_uses_up_the_evaluator() -> None:
    """Outage: what is walked in one call is counted over all rules. Here nothing is walked, however large."""
    enforcer = plain(PLAIN_MODEL.replace("r.obj == p.obj", "p.obj in [x for x in r.obj]"))
    for number in range(11):
        enforcer.add_policy("bob", f"d{number}", "read", "allow")
    with pytest.raises(Exception, match="too many elements"):
        enforcer.enforce("bob", ["d"] * 1000, "read")

    walks = (
        ast.ListComp,
        ast.SetComp,
        ast.DictComp,
        ast.GeneratorExp,
        ast.List,
        ast.Tuple,
        ast.Dict,
        ast.Set,
    )
    assert not [node for node in ast.walk(matcher()) if isinstance(node, walks)]
    many = Label("a", "a/user:owner", readers=frozenset(f"a/user:u{number}" for number in range(20_000)))
    rows = [rule(rel="reader"), *(rule("a/user:u7", obj=f"a/label:l{number}") for number in range(20))]
    assert reads(build(*rows), "a/user:u7", label=many)


def test_casbin_remembers_every_name_it_is_asked_about() -> None:
    """Outage: each stranger costs memory for ever. Here asking leaves nothing behind."""
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
    managers = held._Snapshot__judge.model.engine._roles  # type: ignore[attr-defined]
    reads(held, "a/user:alice")
    before = {kind: len(manager.all_roles) for kind, manager in managers.items()}
    for number in range(50):
        reads(held, f"a/user:stranger{number}", f"a/label:l{number}")
        reads(held, "a/user:alice", f"a/label:l{number}")
    reads(held, "a/user:alice")
    assert {kind: len(manager.all_roles) for kind, manager in managers.items()} == before


def test_the_matcher_is_parsed_once_and_not_in_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outage: parsing from several threads at once fails at random on Python 3.11 (CPython issue 106905)."""
    parsed: list[str] = []
    parse = ast.parse

    def counting(source: str, *arguments: Any, **named: Any) -> Any:
        parsed.append(source)
        return parse(source, *arguments, **named)

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
    # Once by Casbin, once by our own strict reader, however often it is asked.
    assert len(parsed) == 2


def test_two_threads_never_parse_a_matcher_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outage: each new snapshot is asked by eight threads at once, and none is refused what it may."""
    parse, inside, together = ast.parse, [0], [0]

    def slow(source: str, *arguments: Any, **named: Any) -> Any:
        inside[0] += 1
        together[0] = max(together[0], inside[0])
        time.sleep(0.002)
        try:
            return parse(source, *arguments, **named)
        finally:
            inside[0] -= 1

    monkeypatch.setattr(ast, "parse", slow)
    start = threading.Barrier(8)

    def asking() -> list[object]:
        start.wait()
        new = (build(rule("a/user:bob")) for _ in range(10))
        return [answer for held in new for answer in (held.decide(ASKED), held.matching(ASKED))]

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(asking) for _ in range(8)]
    right = [Decision(True, rule("a/user:bob"), "allow"), (rule("a/user:bob"),)] * 10
    assert [each.result() for each in asked] == [right] * 8
    assert together[0] <= 1
