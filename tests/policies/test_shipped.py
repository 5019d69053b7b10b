"""What is shipped with the policies: the model, the default rules, samples that keep their own tests."""

from __future__ import annotations

import ast
import re
from importlib.resources import as_file, files

import casbin
import pytest
import yaml
from casbin.constant.constants import ALLOW_AND_DENY_EFFECT

import ringfence_policies
from ringfence_governance.authority import allowed, explain, readable_atoms
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import LabelEntry
from ringfence_governance.policy_text import PolicyBundle, load_directory, parse_policy_csv
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import Subject

SAMPLES = sorted(
    folder.name for folder in files(ringfence_policies).joinpath("samples").iterdir() if folder.is_dir()
)
NOW = "2026-03-01T00:00:00Z"


def bundle(name: str) -> PolicyBundle:
    with as_file(ringfence_policies.sample(name)) as folder:
        return load_directory(folder)


def table(of: PolicyBundle) -> LabelTable:
    entries = {
        atom: LabelEntry(atom, label.name, label.definition) for atom, label in enumerate(of.labels, start=1)
    }
    return LabelTable(1, entries)


def cases() -> list[object]:
    found: list[object] = []
    for name in SAMPLES:
        text = ringfence_policies.sample(name).joinpath("tests.yaml").read_text(encoding="utf-8")
        for case in yaml.safe_load(text)["cases"]:
            words = [
                case["who"],
                *case.get("via", []),
                case["may"],
                case["label"],
                case.get("at", ""),
                case["answer"],
            ]
            found.append(pytest.param(name, case, id=" ".join(filter(None, words))))
    return found


@pytest.mark.parametrize(("name", "case"), cases())
def test_a_sample_policy_answers_what_its_own_tests_say(name: str, case: dict[str, object]) -> None:
    """Check, list and explanation must all say it."""
    policy = bundle(name)
    snapshot, labels = Snapshot.build(policy.rows), table(policy)
    via = case.get("via", [])
    assert isinstance(via, list)
    subject = Subject(str(case["who"]), tuple(via), str(case.get("for", "")))
    action, now, entry = str(case["may"]), str(case.get("at", NOW)), labels.by_id[str(case["label"])]
    expected = {"allow": True, "deny": False}[str(case["answer"])]
    assert allowed(snapshot, subject, entry, labels, action, now) is expected
    assert (entry.atom in readable_atoms(snapshot, labels, subject, action=action, now=now)) is expected
    assert explain(snapshot, labels, subject, entry, action=action, now=now).allowed is expected


@pytest.mark.parametrize("name", SAMPLES)
def test_the_tests_of_a_sample_decide_with_each_of_its_rules(name: str) -> None:
    policy = bundle(name)
    snapshot, labels = Snapshot.build(policy.rows), table(policy)
    text = ringfence_policies.sample(name).joinpath("tests.yaml").read_text(encoding="utf-8")
    used = set()
    for case in yaml.safe_load(text)["cases"]:
        subject, entry = Subject(case["who"], tuple(case.get("via", []))), labels.by_id[case["label"]]
        found = explain(snapshot, labels, subject, entry, action=case["may"], now=case.get("at", NOW))
        used |= {reason.rule for verdict in found.verdicts for reason in verdict.reasons}
    unused = {rule for rule in policy.rows.rules if rule not in used and not rule.obj.endswith("/policy")}
    assert not unused


def test_a_sample_that_is_not_shipped_is_an_error() -> None:
    assert "team" in SAMPLES
    for name in ("nothing", "../default", ""):
        with pytest.raises(KeyError):
            ringfence_policies.sample(name)


def test_every_rule_of_the_default_is_in_every_sample() -> None:
    generic = parse_policy_csv(ringfence_policies.default_policy(), "default")
    for name in SAMPLES:
        assert set(generic.rules) <= set(bundle(name).rows.rules)


def test_the_model_has_one_of_each_definition_and_deny_wins() -> None:
    model = casbin.Enforcer.new_model(text=ringfence_policies.model_text())
    assert {section: sorted(model[section]) for section in model.keys()} == {  # noqa: SIM118
        "r": ["r"],
        "p": ["p"],
        "g": ["g", "g2", "g3"],
        "e": ["e"],
        "m": ["m"],
    }
    assert model["e"]["e"].value == ALLOW_AND_DENY_EFFECT
    assert model["r"]["r"].tokens == ["r_sub", "r_dom", "r_obj", "r_act", "r_ctx"]
    assert model["p"]["p"].tokens == [
        f"p_{name}" for name in ("sub", "dom", "obj", "act", "rel", "purpose", "nbf", "exp", "eft")
    ]


def test_the_matcher_reads_from_the_subject_to_the_rule_to_the_label_to_both() -> None:
    """The order that lets the readable set be computed set by set, and proven equal."""
    text = casbin.Enforcer.new_model(text=ringfence_policies.model_text())["m"]["m"].value
    tree = ast.parse(re.sub(r"!(?!=)", "not ", text.replace("&&", "and").replace("||", "or"))).body[0]
    assert isinstance(tree, ast.Expr)
    assert isinstance(tree.value, ast.BoolOp)
    assert isinstance(tree.value.op, ast.And)
    stages = []
    for conjunct in tree.value.values:
        names = {node.id for node in ast.walk(conjunct) if isinstance(node, ast.Name)}
        of_rule, of_label = any(name.startswith("p_") for name in names), "r_obj" in names
        stages.append((of_rule, of_label))
    order = [(False, False), (True, False), (False, True), (True, True)]
    assert stages == sorted(stages, key=order.index)
    assert set(stages) == set(order)


def test_the_policies_import_nothing_of_ours() -> None:
    text = files(ringfence_policies).joinpath("__init__.py").read_text(encoding="utf-8")
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"__future__", "importlib"}


def test_no_shipped_rule_ever_expires() -> None:
    """A sample may hold a time-bound grant; the default may not stop working one day."""
    rows = parse_policy_csv(ringfence_policies.default_policy(), "default")
    assert Snapshot.build(rows).boundaries == ()
