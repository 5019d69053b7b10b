"""Casbin's traps in the text of a policy, and in adding to it and removing from it: shown there, and not here.

Each docstring begins with the number of its trap in `traps.py`, or with `Outage`.
"""

from __future__ import annotations

from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import casbin
import pytest
from casbin.persist.adapters import FileAdapter
from casbin.rbac.default_role_manager import RoleManager

from ringfence_governance.errors import PolicyRefused
from ringfence_governance.policy_checks import DEPTH_MAX
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Row, to_fields
from ringfence_governance.policy_text import load_directory, parse_policy_csv
from ringfence_governance.snapshot import Request, Snapshot

from .traps import LABEL, NOW, PLAIN_MODEL, build, from_file, plain, reads, refused, rule


def written(rows: PolicyRows) -> bytes:
    """Return the rows as a `policy.csv`."""
    return "\n".join(", ".join(to_fields(row)) for row in rows).encode()


def test_a_duplicate_row_cannot_be_removed(tmp_path: Path) -> None:
    """Trap 7: the second of two equal rows outlives the removal. No policy of ours holds a row twice."""
    enforcer = from_file(tmp_path, "p, bob, d, read, allow\np, bob, d, read, allow\n")
    enforcer.remove_policy("bob", "d", "read", "allow")
    assert enforcer.enforce("bob", "d", "read")

    text = "p, *, *, *, read, owner, *, -, -, allow\np, *, *, *, read, owner, *, -, -, allow"
    assert "the row of line 1 again" in refused(text)
    rows = PolicyRows.of([rule("a/user:bob"), rule("a/user:ann")])
    assert reads(Snapshot.build(rows), "a/user:bob")
    assert not reads(Snapshot.build(rows.without_row(rule("a/user:bob"))), "a/user:bob")


@pytest.mark.parametrize("eft", ["Deny", "DENY", "deny ", "block", ""])
def test_a_misspelt_effect_switches_a_deny_off(eft: str) -> None:
    """Trap 8: any other word than `deny` denies nothing. Here it is no rule, and no policy."""
    enforcer = plain()
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", eft)
    assert enforcer.enforce("bob", "d", "read")

    with pytest.raises(PolicyRefused, match="effect"):
        rule("a/user:bob", eft=eft)
    if eft == eft.strip():
        assert "policy.csv:1: effect" in refused(f"p, a/user:bob, a, *, read, any, *, -, -, {eft}")


def test_a_byte_order_mark_drops_the_first_line(tmp_path: Path) -> None:
    """Trap 9: the mark makes the first line's type unknown. Here it is refused."""
    text = "p, bob, d, read, deny\np, bob, d, read, allow\n"
    assert not from_file(tmp_path, text).enforce("bob", "d", "read")
    assert from_file(tmp_path, b"\xef\xbb\xbf" + text.encode()).enforce("bob", "d", "read")

    assert "byte order mark" in refused(b"\xef\xbb\xbfp, *, *, *, *, any, *, -, -, deny")


@pytest.mark.parametrize("ptype", ["P", "p2", "deny", "g4", "e"])
def test_a_line_of_an_unknown_type_is_dropped(ptype: str, tmp_path: Path) -> None:
    """Trap 9: the line is read as if it were not there. Here no line is."""
    text = f"p, bob, d, read, allow\n{ptype}, bob, d, read, deny\n"
    assert from_file(tmp_path, text).enforce("bob", "d", "read")

    assert "row type" in refused(f"p, *, *, *, read, owner, *, -, -, allow\n{ptype}, x")


def test_a_deny_more_than_nine_links_up_is_ignored() -> None:
    """Trap 10: Casbin follows nine links and stops. Here a tenth is refused, and the ninth denies."""
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
    assert reads(build(rule("a/user:bob"), *links[:-1]), "a/user:bob")
    assert not reads(build(rule("a/user:bob"), denied, *links[:-1]), "a/user:bob")
    with pytest.raises(PolicyRefused, match="flatten the groups"):
        build(rule("a/user:bob"), denied, *links)


def test_the_longest_chain_let_in_is_the_longest_casbin_follows() -> None:
    """Trap 10: where it stops has not moved."""
    roles = RoleManager(10)
    for number in range(DEPTH_MAX + 1):
        roles.add_link(f"n{number}", f"n{number + 1}")
    assert roles.has_link("n0", f"n{DEPTH_MAX}")
    assert not roles.has_link("n0", f"n{DEPTH_MAX + 1}")


@pytest.mark.parametrize("name", ["team-x, viewer\ng, mallory, admin", "mallory, admin", "a[b]", 'q"q'])
def test_a_name_with_a_comma_or_a_new_line_becomes_other_rows(name: str, tmp_path: Path) -> None:
    """Trap 11: what was one name when saved is more when loaded. Here no name holds such a character."""
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
        lambda: Facts("a/user:u", 9, frozenset({name})),
    ):
        with pytest.raises(PolicyRefused):
            make()


def test_removing_two_rows_removes_no_other() -> None:
    """Trap 12: the database adapter removes every mixture of the fields. Here a row is removed as a whole."""
    crossed = [rule(f"a/user:{who}", obj=f"a/set:{what}", eft="deny") for who in "ab" for what in "xy"]
    rows = PolicyRows.of(crossed)
    left = rows.without_row(crossed[0]).without_row(crossed[3])
    assert set(left.rules) == {crossed[1], crossed[2]}


def test_no_distribution_of_casbins_but_the_engine_is_installed() -> None:
    """Traps 3, 12 and 13: without their distributions no adapter for databases and no watcher can be loaded."""
    names = {found.metadata["Name"].lower() for found in distributions()}
    assert {name for name in names if "casbin" in name} == {"pycasbin"}
    modules = (
        "casbin_sqlalchemy_adapter",
        "casbin_redis_watcher",
        "casbin_postgresql_watcher",
        "casbin_adapter",
    )
    assert not [module for module in modules if find_spec(module)]


def test_every_field_of_a_row_is_written_and_read_back() -> None:
    """Trap 13: the database adapter has six columns, and cuts the effect off. Here all nine come back."""
    bounded = {"nbf": "2026-01-01T00:00:00Z", "exp": "2027-01-01T00:00:00Z"}
    rows: list[Row] = [
        rule("a/user:bob", dom="a", obj="a/set:s", purpose="fraud", eft="deny", **bounded),
        Link("g", "a/user:bob", "a/group:g"),
        Link("g2", "a/label:x", "a/set:s"),
        Link("g3", "fraud", "security"),
        Facts("a/user:bob", 3, frozenset({"hr", "legal"})),
    ]
    policy = PolicyRows.of(rows)
    assert parse_policy_csv(written(policy), "policy.csv") == policy
    with pytest.raises(PolicyRefused, match="fields after 'p'"):
        parse_policy_csv(written(policy).replace(b", deny", b""), "policy.csv")


def test_a_file_adapter_says_it_added_a_rule_and_did_not(tmp_path: Path) -> None:
    """Trap 14: the deny is gone after the next start. Here what decides is what is written, row for row."""
    enforcer = from_file(tmp_path, "p, bob, d, read, allow\n")
    assert enforcer.add_policy("bob", "d", "read", "deny") is True
    assert not enforcer.enforce("bob", "d", "read")
    restarted = casbin.Enforcer(casbin.Enforcer.new_model(text=PLAIN_MODEL), enforcer.adapter)
    assert restarted.enforce("bob", "d", "read")

    held = build(rule("a/user:bob")).rows.with_row(rule("a/user:bob", eft="deny"))
    (tmp_path / "policy.csv").write_bytes(written(held))
    again = Snapshot.build(load_directory(tmp_path).rows)
    assert again.revision == Snapshot.build(held).revision
    assert not reads(again, "a/user:bob")


def test_an_empty_name_removes_everything() -> None:
    """Trap 24: who deletes the user with no name deletes every row. Here nothing has an empty name."""
    enforcer = plain()
    enforcer.add_policy("bob", "d", "read", "deny")
    enforcer.add_grouping_policy("bob", "staff")
    enforcer.delete_user("")
    assert enforcer.get_policy() == enforcer.get_grouping_policy() == []

    for make in (
        lambda: rule(""),
        lambda: rule(dom=""),
        lambda: rule(obj=""),
        lambda: rule(purpose=""),
        lambda: Link("g", "", "a/group:g"),
        lambda: Link("g2", "a/label:x", ""),
        lambda: Link("g3", "fraud", ""),
        lambda: Facts("", 1, frozenset()),
    ):
        with pytest.raises(PolicyRefused):
            make()
    rows = PolicyRows.of([rule("a/user:bob"), rule()])
    assert rows.without_row(rule()).rules == (rule("a/user:bob"),)


@pytest.mark.parametrize("alias", ["Bob", "bob ", " bob", "b\u200bob", "b\u043eb", "bob\n", "bob\x00"])
def test_an_alias_of_a_name_slips_past_its_deny(alias: str) -> None:
    """Trap 28: a broader allow holds for every spelling, a deny for one. Here a name has one spelling."""
    enforcer = plain(PLAIN_MODEL.replace("g(r.sub, p.sub)", '(p.sub == "*" || r.sub == p.sub)'))
    enforcer.add_policy("*", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce(alias, "d", "read")

    held = build(rule(), rule("a/user:bob", eft="deny"))
    asked = Request(f"a/user:{alias}", "a/label:x", LABEL, "read", "", NOW, False)
    assert held.decide(asked).reason == "error"
    with pytest.raises(PolicyRefused):
        rule(f"a/user:{alias}", eft="deny")
