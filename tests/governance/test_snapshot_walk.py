"""Nobody who holds a snapshot comes by what it decides with, and nobody who digs it out switches it off.

The first walk takes what Python gives for the asking: attributes, those with double underscores that lead on,
copies and states, and what the public methods return or raise. It leaves out private names, and classes, modules
and functions, which are code and no part of a snapshot. The second takes everything the garbage collector knows
the snapshot to hold, and then tries.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
from collections import deque
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import casbin
import pytest
from casbin.effect import Effector
from casbin.model import FunctionMap
from casbin.rbac.default_role_manager import RoleManager
from casbin.util import SimpleEval

from ringfence_governance import casbin_engine, policy_judge
from ringfence_governance.decisions import Asked
from ringfence_governance.errors import RingfenceError
from ringfence_governance.labels import Label
from ringfence_governance.policy_rows import Facts, Link
from ringfence_governance.snapshot import Decision, Request, Snapshot

from .traps import LABEL, NOW, build, rule

ENGINE = (
    casbin.Enforcer,
    casbin.Model,
    Effector,
    FunctionMap,
    RoleManager,
    SimpleEval,
    policy_judge.Judge,
)
CODE = (ModuleType, type, FunctionType, BuiltinFunctionType)
LEAVES = (str, bytes, int, float, type(None))
CALLS: dict[str, Callable[[Any], object]] = {
    "vars": vars,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "__getstate__": lambda found: found.__getstate__(),
    "__reduce__": lambda found: found.__reduce__(),
    "__reduce_ex__": lambda found: found.__reduce_ex__(4),
    "asdict": dataclasses.asdict,
    "repr": repr,
}
"""What Python offers for any object."""
TELLING = ("__closure__", "__dict__", "__func__", "__self__", "__slots__", "__weakref__", "__wrapped__")
"""The attributes with double underscores that lead from an object to another."""
DEPTH = 6
BOB = Request("a/user:bob", "a/label:x", LABEL, "read", "", NOW, False)
NOBODY = Request("a/user:nobody", "a/label:x", LABEL, "read", "", NOW, False)


@pytest.fixture
def held() -> Snapshot:
    return build(
        rule("a/role:r"),
        rule(rel="denied", act="*", eft="deny"),
        Link("g", "a/user:bob", "a/role:r"),
        Link("g2", "a/label:x", "a/set:s"),
        Facts("a/user:bob", 2, frozenset({"hr"})),
    )


def answers(held: Snapshot) -> Iterator[tuple[str, object]]:
    """Yield what every public method returns for a good and a bad question, and what it raises."""
    asked: list[tuple[str, Callable[[], object]]] = [
        ("decide(bob)", lambda: held.decide(BOB)),
        ("decide(nobody)", lambda: held.decide(NOBODY)),
        ("decide(None)", lambda: held.decide(None)),  # type: ignore[arg-type]
        ("matching(bob)", lambda: held.matching(BOB)),
        ("matching(None)", lambda: held.matching(None)),  # type: ignore[arg-type]
        ("knows(bob)", lambda: held.knows("a/user:bob", NOW)),
        ("facts_of(bob)", lambda: held.facts_of("a/user:bob")),
        ("facts_of(set)", lambda: held.facts_of("a/set:s")),
        ("groups_of(bob)", lambda: held.groups_of("a/user:bob")),
        ("path(bob)", lambda: held.path("a/user:bob", "a/role:r")),
        ("build(rows)", lambda: Snapshot.build(held.rows)),
        ("decide_kept(bob)", lambda: held.decide_kept(BOB)),
        ("decide_kept(None)", lambda: held.decide_kept(None)),  # type: ignore[arg-type]
        ("allowed_among(bob)", lambda: held.allowed_among(["a/user:bob", "a/user:nobody"], BOB)),
        ("allowed_among(None)", lambda: held.allowed_among(["a/user:bob"], None)),  # type: ignore[arg-type]
        ("compiled(bob)", lambda: held.compiled(Asked("a/user:bob", "read", "", NOW, False))),
        ("compiled(None)", lambda: held.compiled(None)),  # type: ignore[arg-type]
        ("next_boundary(now)", lambda: held.next_boundary(NOW)),
        ("with_row(rule)", lambda: held.with_row(rule("a/user:new"))),
        ("with_row(cycle)", lambda: held.with_row(Link("g", "a/role:r", "a/role:r"))),
        ("without_row(rule)", lambda: held.without_row(rule("a/role:r"))),
        ("changed(link)", lambda: held.changed(added=[Link("g", "a/user:new", "a/role:r")])),
    ]
    for name, ask in asked:
        yield name, returned(ask)


def returned(call: Callable[[], object]) -> object:
    """Return what the call does; of an error what it says, its frames being the interpreter's own."""
    try:
        return call()
    except (AttributeError, TypeError, ValueError, RingfenceError) as error:
        return (error.args, vars(error))


def given(found: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield one step further: items, attributes that are not private, what a method is bound to."""
    if isinstance(found, dict):
        yield from ((f"{path}[{key!r}]", value) for key, value in found.items())
    elif isinstance(found, tuple | list | set | frozenset):
        yield from ((f"{path}[]", item) for item in found)
    for name in {*dir(found), *TELLING}:
        if name.startswith("_") and name not in TELLING:
            continue
        yield f"{path}.{name}", getattr(found, name, None)


def walk(start: object, steps: Callable[[object, str], Iterator[tuple[str, object]]]) -> dict[str, object]:
    """Return what is reached from an object by the steps, and how."""
    seen: dict[int, object] = {}
    reached: dict[str, object] = {}
    waiting = deque([("snapshot", start, 0)])
    while waiting:
        path, found, depth = waiting.popleft()
        if id(found) in seen or isinstance(found, (*CODE, *LEAVES)):
            continue
        seen[id(found)] = found  # kept, so that its id is not given to another object
        reached[path] = found
        if depth < DEPTH:
            waiting += [(name, value, depth + 1) for name, value in steps(found, path)]
    return reached


def referents(found: object, path: str) -> Iterator[tuple[str, object]]:
    yield from ((f"{path}<{number}>", value) for number, value in enumerate(gc.get_referents(found)))


def test_nothing_that_is_given_for_the_asking_is_the_engine(held: Snapshot) -> None:
    found = walk(held, given)
    states = [(name, returned(lambda call=call: call(held))) for name, call in CALLS.items()]  # type: ignore[misc]
    for name, answer in (*answers(held), *states):
        found |= {f"{name}: {path}": value for path, value in walk(answer, given).items()}
    assert [path for path, value in found.items() if isinstance(value, ENGINE)] == []
    kinds = {type(value) for value in found.values()}
    assert {Snapshot, Decision} <= kinds, "the walk went nowhere"


def test_every_public_method_is_among_those_that_are_asked(held: Snapshot) -> None:
    methods = {
        name for name in dir(Snapshot) if not name.startswith("_") and callable(getattr(Snapshot, name))
    }
    assert methods == {name.partition("(")[0] for name, _ in answers(held)}


def test_a_walk_that_takes_private_names_too_does_find_the_engine(held: Snapshot) -> None:
    """Else the first walk would prove nothing."""
    kinds = {type(value) for value in walk(held, referents).values()}
    assert {casbin_engine._Enforcer, policy_judge.Judge} <= kinds


def test_no_enforcer_dug_out_can_be_switched_off(held: Snapshot) -> None:
    enforcers = [found for found in walk(held, referents).values() if isinstance(found, casbin.Enforcer)]
    assert enforcers
    for enforcer in enforcers:
        with pytest.raises(RuntimeError, match="cannot be switched off"):
            enforcer.enable_enforce(False)
        for value in (False, 0, None, 1):
            with pytest.raises(RuntimeError, match="cannot be switched off"):
                enforcer.enabled = value
        with pytest.raises(AttributeError):
            del enforcer.enabled
        vars(enforcer)["enabled"] = False
        assert enforcer.enabled is True
    assert held.decide(NOBODY) == Decision(False, None, "no rule")
    assert held.decide(BOB).allowed
    denied = Label("a", "a/user:owner", denied=frozenset({"a/user:bob"}))
    assert held.decide(Request("a/user:bob", "a/label:x", denied, "read", "", NOW, False)).reason == "deny"
