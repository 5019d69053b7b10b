"""Casbin's traps in changing a policy that is in use: shown there, and not here, where no policy changes.

Each docstring begins with the number of its trap in `traps.py`, or with `Outage`.
"""

from __future__ import annotations

import ast
import importlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import casbin
import pytest
from casbin.persist import Adapter
from casbin.persist.adapters.filtered_file_adapter import Filter, FilteredFileAdapter
from casbin.persist.watcher import Watcher

from ringfence_governance.errors import PolicyRefused
from ringfence_governance.policy_rows import Link, PolicyRows
from ringfence_governance.policy_text import load_directory
from ringfence_governance.snapshot import Snapshot
from ringfence_policies import model_text

from .traps import (
    ALLOW_WINS,
    DENY_WINS,
    LABEL,
    PLAIN_MODEL,
    build,
    from_file,
    plain,
    reads,
    refused,
    rule,
)

DOMAIN_MODEL = PLAIN_MODEL.replace("r = sub,", "r = sub, dom,")
BARRED = (rule("a/user:bob"), rule("a/role:barred", eft="deny"), Link("g", "a/user:bob", "a/role:barred"))
"""Bob reads, and is in a role that does not."""


def test_a_policy_reload_of_a_few_hundred_users_fails_and_keeps_the_old_policy(tmp_path: Path) -> None:
    """Trap 1: what was revoked stays. Nothing is reloaded here: a new policy is a new snapshot, of any size."""
    links = [(f"u{number}", f"r{(number + step) % 400}") for number in range(400) for step in (1, 2, 3)]
    text = "p, r0x, d, read, allow\n" + "\n".join(f"g, {user}, {role}x" for user, role in links)
    enforcer = from_file(tmp_path, text + "\ng, eve, r0x")
    (tmp_path / "policy.csv").write_text(text)
    with pytest.raises(RecursionError):
        enforcer.load_policy()
    assert enforcer.enforce("eve", "d", "read")

    rows = [Link("g", f"a/user:{user}", f"a/role:{role}") for user, role in links]
    eve = Link("g", "a/user:eve", "a/role:r0")
    policy = PolicyRows.of([rule("a/role:r0"), *rows, eve])
    assert reads(Snapshot.build(policy), "a/user:eve")
    assert not reads(Snapshot.build(policy.without_row(eve)), "a/user:eve")


def test_a_reload_forgets_denies_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 2: who asks between the clearing of the roles and their return is not denied by them."""
    enforcer = from_file(tmp_path, "p, bob, d, read, allow\np, barred, d, read, deny\ng, bob, barred\n")
    roles, meanwhile = enforcer.get_role_manager(), []
    clear = roles.clear

    def asked_after_clearing() -> None:
        clear()
        meanwhile.append(enforcer.enforce("bob", "d", "read"))

    monkeypatch.setattr(roles, "clear", asked_after_clearing)
    assert not enforcer.enforce("bob", "d", "read")
    enforcer.load_policy()
    assert meanwhile == [True]
    assert not enforcer.enforce("bob", "d", "read")


def test_threads_that_ask_while_policies_follow_each_other_get_right_answers_only() -> None:
    """Trap 2: here every policy answers for itself, however many ask and whatever follows it.

    Ann reads in every other policy, Bob is denied by a role in all of them.
    """
    ann = rule("a/user:ann")
    policies = [PolicyRows.of(BARRED), PolicyRows.of((*BARRED, ann))]
    current = [(0, Snapshot.build(policies[0]))]
    start, ends, over = threading.Barrier(7), time.monotonic() + 1.2, threading.Event()

    def asking(seed: int) -> list[tuple[int, str]]:
        dice, wrong = random.Random(seed), []
        start.wait()
        while not over.is_set():
            number, held = current[0]
            actor, answer = dice.choice([("ann", bool(number % 2)), ("bob", False), ("eve", False)])
            if reads(held, f"a/user:{actor}") is not answer:
                wrong.append((number, actor))
        return wrong

    def changing() -> None:
        start.wait()
        try:
            while time.monotonic() < ends or current[0][0] <= 10:
                number = current[0][0] + 1
                current[0] = (number, Snapshot.build(policies[number % 2]))
        finally:
            over.set()

    with ThreadPoolExecutor(7) as threads:
        changes, asked = threads.submit(changing), [threads.submit(asking, seed) for seed in range(6)]
    changes.result()
    assert [each.result() for each in asked] == [[]] * 6
    assert current[0][0] > 10


def test_a_watcher_is_never_told_what_to_call() -> None:
    """Trap 3: it is set and nothing is registered with it, so that what others change is never seen."""

    class Told(Watcher):  # type: ignore[misc]
        callback = None
        updates = 0

        def set_update_callback(self, func: object) -> None:
            self.callback = func

        def update(self) -> None:
            self.updates += 1

    told, enforcer = Told(), plain()
    enforcer.set_watcher(told)
    enforcer.add_policy("bob", "d", "read", "deny")
    assert (told.callback, told.updates) == (None, 0)

    # Nothing here watches: each question is put to a snapshot of the catalog sequence it is asked at.
    assert not hasattr(build(*BARRED), "set_watcher")


def test_a_link_refused_as_a_duplicate_still_gives_the_role() -> None:
    """Trap 4: False is returned, and the role is there. Here it is an error, and nothing is made."""
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


def test_a_link_the_adapter_refuses_still_gives_the_role() -> None:
    """Trap 5: what could not be stored decides. Here what could not be built leaves the old policy as it was."""

    class Refusing(Adapter):  # type: ignore[misc]
        def load_policy(self, model: object) -> None: ...

        def add_policy(self, *rule: object) -> bool:
            return False

    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=PLAIN_MODEL), Refusing())
    enforcer.enable_auto_save(False)
    enforcer.add_policy("admin", "d", "read", "allow")
    enforcer.enable_auto_save(True)
    assert enforcer.add_grouping_policy("eve", "admin") is False
    assert enforcer.get_grouping_policy() == []
    assert enforcer.enforce("eve", "d", "read")

    held = build(rule("a/role:admin"), Link("g", "a/user:ann", "a/role:admin"))
    eve, cycle = Link("g", "a/user:eve", "a/role:admin"), Link("g", "a/role:admin", "a/role:admin")
    with pytest.raises(PolicyRefused, match="cycle"):
        Snapshot.build(held.rows.with_row(eve).with_row(cycle))
    assert not reads(held, "a/user:eve")
    assert reads(held, "a/user:ann")


def test_a_link_within_a_domain_added_twice_survives_its_removal() -> None:
    """Trap 6: the row is gone, the role is not. Here links have no domain: the tenant is part of each name."""
    enforcer = plain(
        DOMAIN_MODEL.replace("g = _, _", "g = _, _, _").replace("g(r.sub, p.sub)", "g(r.sub, p.sub, r.dom)")
    )
    enforcer.add_policy("admin", "d", "read", "allow")
    added = [enforcer.add_grouping_policy("eve", "admin", "a") for _ in range(2)]
    assert added == [True, False]
    assert enforcer.remove_grouping_policy("eve", "admin", "a")
    assert enforcer.get_grouping_policy() == []
    assert enforcer.enforce("eve", "a", "d", "read")

    eve = Link("g", "a/user:eve", "a/role:admin")
    twice = PolicyRows.of([rule("a/role:admin")]).with_row(eve).with_row(eve)
    assert reads(Snapshot.build(twice), "a/user:eve")
    assert not reads(Snapshot.build(twice.without_row(eve)), "a/user:eve")
    model = casbin.Enforcer.new_model(text=model_text())
    assert {kind: len(model["g"][kind].tokens) for kind in model["g"]} == {"g": 2, "g2": 2, "g3": 2}
    assert "fields after 'g'" in refused("g, a/user:eve, a/role:admin, a")


def test_another_model_keeps_the_effect_of_the_old_one(tmp_path: Path) -> None:
    """Trap 18: the new model says that a deny wins, and it does not. Here there is one model, the shipped one."""
    enforcer = plain(PLAIN_MODEL.replace(DENY_WINS, ALLOW_WINS))
    enforcer.set_model(casbin.Enforcer.new_model(text=PLAIN_MODEL))
    enforcer.add_policy("bob", "d", "read", "allow")
    enforcer.add_policy("bob", "d", "read", "deny")
    assert enforcer.enforce("bob", "d", "read")

    assert not reads(build(rule("a/user:bob"), rule("a/user:bob", eft="deny")), "a/user:bob")
    (tmp_path / "policy.csv").write_text("p, *, *, *, read, owner, *, -, -, allow")
    (tmp_path / "model.conf").write_text(model_text().replace(DENY_WINS, ALLOW_WINS))
    with pytest.raises(PolicyRefused, match="without a deny none is heard"):
        load_directory(tmp_path)


def test_a_filter_drops_the_denies_for_every_domain(tmp_path: Path) -> None:
    """Trap 23: rows for `*` are not rows for `a`, and a filter that fails leaves no row. Here all are loaded."""
    model = DOMAIN_MODEL.replace("p = sub,", "p = sub, dom,").replace(
        "g(r.sub, p.sub)", 'g(r.sub, p.sub) && (r.dom == p.dom || p.dom == "*")'
    )
    text = "p, bob, a, d, read, allow\np, bob, *, d, read, deny\n"
    assert not from_file(tmp_path, text, model).enforce("bob", "a", "d", "read")
    file = tmp_path / "policy.csv"
    filtered = casbin.Enforcer(casbin.Enforcer.new_model(text=model), FilteredFileAdapter(str(file)))
    wanted = Filter()
    wanted.P, wanted.G = ["", "a"], []
    filtered.load_filtered_policy(wanted)
    assert filtered.enforce("bob", "a", "d", "read")
    file.unlink()
    with pytest.raises(RuntimeError, match="invalid file path"):
        filtered.load_filtered_policy(wanted)
    assert filtered.get_policy() == []

    held = build(rule("a/user:bob", dom="a"), rule(dom="*", sub="*", eft="deny"))
    assert not reads(held, "a/user:bob")
    with pytest.raises(PolicyRefused, match="no readable file"):
        load_directory(tmp_path)


def test_a_cleared_policy_keeps_its_links() -> None:
    """Trap 25: the rows are gone, the roles are not. Here a policy without a link has no member."""
    enforcer = plain()
    enforcer.add_policy("admin", "d", "read", "allow")
    enforcer.add_grouping_policy("eve", "admin")
    enforcer.clear_policy()
    enforcer.add_policy("admin", "d", "read", "allow")
    assert enforcer.get_grouping_policy() == []
    assert enforcer.enforce("eve", "d", "read")

    before = build(rule("a/role:admin"), Link("g", "a/user:eve", "a/role:admin"))
    after = build(rule("a/role:admin"))
    assert reads(before, "a/user:eve")
    assert not reads(after, "a/user:eve")
    assert after.groups_of("a/user:eve") == ()


def test_changed_rows_leave_the_links_of_the_old_ones() -> None:
    """Trap 30: a link changed in its row is followed as it was. Here rows and links cannot be told apart."""
    enforcer = plain()
    enforcer.add_policy("admin", "d", "read", "allow")
    enforcer.add_grouping_policy("eve", "admin")
    enforcer._update_policy("g", "g", ["eve", "admin"], ["ann", "admin"])
    assert enforcer.get_grouping_policy() == [["ann", "admin"]]
    assert enforcer.enforce("eve", "d", "read")

    eve, ann = Link("g", "a/user:eve", "a/role:admin"), Link("g", "a/user:ann", "a/role:admin")
    rows = PolicyRows.of([rule("a/role:admin"), eve])
    held = Snapshot.build(rows.without_row(eve).with_row(ann))
    assert not reads(held, "a/user:eve", label=LABEL)
    assert reads(held, "a/user:ann", label=LABEL)


PACKAGES = (
    "ringfence",
    "ringfence_retrieval",
    "ringfence_ingest",
    "ringfence_governance",
    "ringfence_policies",
)
USED = {"add_function", "enforce_ex", "new_model", "set_effector", "set_named_role_manager"}
"""All that is called of Casbin's enforcer: to build one before it is used, and to ask it."""
OTHER_ENFORCERS = {"AsyncEnforcer", "DistributedEnforcer", "FastEnforcer", "SyncedEnforcer"}
HARMLESS = {"eft", "enabled", "fm", "model"}
"""Attributes of an enforcer whose names are words of ours too."""
IMPORTED = {"casbin", "casbin.effect", "casbin.rbac.default_role_manager", "casbin.util"}


def offered() -> set[str]:
    """Return what Casbin's enforcers offer, of whichever kind."""
    kinds = (casbin.Enforcer, casbin.AsyncEnforcer, casbin.DistributedEnforcer, casbin.SyncedEnforcer)
    return {name for kind in kinds for name in dir(kind) if not name.startswith("_")} | OTHER_ENFORCERS


def named(source: str) -> set[str]:
    """Return every name a module uses, as an attribute, a variable, an import or a text."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


def unsafe(source: str) -> set[str]:
    """Return what a module uses of Casbin beyond building an enforcer and asking it."""
    names = named(source)
    engine = {name for name in names if name == "casbin" or name.startswith("casbin.")}
    return (names & offered() - USED - HARMLESS) | (engine - IMPORTED)


def test_no_module_uses_what_casbin_offers_for_live_policies() -> None:
    """Traps 1 to 6, 12 to 14, 18, 19, 20 and 22 to 26: no adapter, watcher, reload, change or other enforcer."""
    found = {}
    for package in PACKAGES:
        folder = Path(importlib.import_module(package).__file__ or "").parent
        for file in folder.rglob("*.py"):
            if beyond := unsafe(file.read_text("utf-8")):
                found[file.name] = beyond
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "enforcer.load_policy()",
        "getattr(enforcer, 'load_filtered_policy')(wanted)",
        "enforcer.set_watcher(watcher)",
        "enforcer.clear_policy()",
        "enforcer.add_grouping_policies(rows)",
        "enforcer.get_implicit_permissions_for_user(name)",
        "enforcer.add_named_link_condition_func('g', user, role, check)",
        "enforcer.new_enforce_context('2')",
        "enforcer.enable_enforce(False)",
        "enforcer.delete_user(name)",
        "casbin.FastEnforcer(model, rows)",
        "from casbin import SyncedEnforcer",
        "from casbin.persist.adapters import FileAdapter",
        "import casbin.distributed_enforcer",
    ],
)
def test_a_planted_use_is_found(source: str) -> None:
    """Traps 1 to 6, 12 to 14, 18, 19, 20 and 22 to 26: the search above can fail."""
    assert unsafe(source)
