"""What is shipped with the policies: the model, the default rules, samples; each policy keeps its own tests."""

from __future__ import annotations

import ast
import re
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

import casbin
import pytest
from casbin.constant.constants import ALLOW_AND_DENY_EFFECT

import ringfence_policies
from ringfence_governance.cases_text import load_cases
from ringfence_governance.policy_cases import PolicyCases, run_cases
from ringfence_governance.policy_text import PolicyBundle, load_directory, parse_policy_csv
from ringfence_governance.snapshot import Snapshot

SAMPLES = sorted(
    folder.name for folder in files(ringfence_policies).joinpath("samples").iterdir() if folder.is_dir()
)
ACME = Path(__file__).resolve().parents[2] / "examples" / "acme" / "policy"
TESTED: dict[str, Traversable] = {
    "default": files(ringfence_policies).joinpath("default"),
    **{name: ringfence_policies.sample(name) for name in SAMPLES},
    "acme": ACME,
}
DAYS = ["2020-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "2040-01-01T00:00:00Z"]


def bundle(name: str) -> PolicyBundle:
    with as_file(ringfence_policies.sample(name)) as folder:
        return load_directory(folder)


@pytest.fixture(scope="module", params=list(TESTED))
def tested(request: pytest.FixtureRequest) -> tuple[PolicyBundle, PolicyCases]:
    """A shipped policy, or the example's, with its own tests."""
    with as_file(TESTED[request.param]) as folder:
        return load_cases(folder)


@pytest.mark.parametrize("day", DAYS)
def test_a_policy_answers_what_its_own_tests_say_on_any_day(
    tested: tuple[PolicyBundle, PolicyCases], day: str
) -> None:
    """Check, listings and explanation say it alike. What changes with time says for when it is."""
    policy, cases = tested
    found = run_cases(policy, cases, day)
    assert [result.to_mapping() for result in found.failed] == []
    assert len(found.results) == len(cases.cases)


def test_the_tests_of_a_policy_turn_on_each_of_its_rules(tested: tuple[PolicyBundle, PolicyCases]) -> None:
    policy, cases = tested
    assert run_cases(policy, cases, DAYS[1]).untested == ()


def test_the_tests_of_a_policy_allow_and_deny(tested: tuple[PolicyBundle, PolicyCases]) -> None:
    answers = [case.answer for case in tested[1].cases]
    assert min(answers.count("allow"), answers.count("deny")) >= 5


@pytest.mark.parametrize("name", ["default", *SAMPLES])
def test_a_policy_without_one_of_its_rules_fails_its_own_tests(name: str) -> None:
    with as_file(TESTED[name]) as folder:
        policy, cases = load_cases(folder)
    for rule in policy.rows.rules:
        without = PolicyBundle(policy.rows.without_row(rule), policy.labels, policy.source)
        assert run_cases(without, cases, DAYS[1]).failed, rule


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
