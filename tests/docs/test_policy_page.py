"""docs/policy.md: its policies answer what the page says, and differ from a plainer model where it says so.

The page's lists of fields, actions, relations and limits are those of the code.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import casbin
import pytest

from ringfence_governance import identifiers, policy_checks, policy_rows, policy_text, row_fields, subjects
from ringfence_governance.authority import allowed, allowed_on_policy, explain, readable_atoms
from ringfence_governance.errors import PolicyRefused
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import FIELDS, LEVEL_MAX, LabelEntry
from ringfence_governance.policy_text import load_directory, parse_labels_yaml
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.strict_yaml import parse
from ringfence_governance.subjects import Subject
from ringfence_policies import model_text

from .plain_casbin import PlainCasbin

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policy.md"
TEXT = PAGE.read_text(encoding="utf-8")
NOW = "2026-03-01T12:00:00Z"
DIFFERENCES = "Where a plainer model differs"
RULE = "p, *, *, *, read, owner, *, -, -, allow"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CASE_KEYS = {"who", "via", "for", "may", "label", "at", "claims", "answer", "plainer"}


def sections() -> dict[str, tuple[str, str]]:
    """Return the text beneath each heading, with the heading of the second level it is under."""
    found: dict[str, tuple[str, str]] = {}
    above = ""
    for part in re.split(r"^(?=##+ )", TEXT, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        title = heading.lstrip("# ").replace("`", "")
        above = title if heading.startswith("## ") else above
        found[title] = (above, body)
    return found


SECTIONS = sections()


@dataclass(frozen=True)
class Scenario:
    """One `yaml` block: a policy, and what is asked of it."""

    heading: str
    policy: str
    labels: dict[str, Any]
    refused: str
    cases: list[dict[str, Any]]

    @property
    def rows(self) -> list[list[str]]:
        lines = [line.strip() for line in self.policy.splitlines()]
        return [[field.strip() for field in line.split(",")] for line in lines if line and line[0] != "#"]

    def table(self) -> LabelTable:
        if not self.labels:
            return LabelTable(1, {})
        text = json.dumps({"labels": self.labels}).encode()
        named = parse_labels_yaml(text, "labels.yaml")
        return LabelTable(
            1,
            {atom: LabelEntry(atom, each.name, each.definition) for atom, each in enumerate(named, start=1)},
        )

    def written(self, folder: Path) -> Path:
        (folder / "policy.csv").write_text(self.policy, encoding="utf-8")
        if self.labels:
            (folder / "labels.yaml").write_text(json.dumps({"labels": self.labels}), encoding="utf-8")
        return folder


def scenarios() -> Iterator[Scenario]:
    for heading, (_, body) in SECTIONS.items():
        for kind, block in BLOCK.findall(body):
            if kind == "yaml":
                # Read as strictly as the files it stands for.
                values = parse(block.encode(), heading, len(block) * 4).plain()
                values = {"labels": {}, "refused": "", **values}
                yield Scenario(heading, **values)


SCENARIOS = list(scenarios())
PLAINER = next(block for kind, block in BLOCK.findall(TEXT) if kind == "ini")
NUMBERED = [
    pytest.param(scenario, id=f"{scenario.heading} {number}") for number, scenario in enumerate(SCENARIOS)
]
CASES = [
    pytest.param(
        scenario,
        case,
        id=" ".join([scenario.heading, case["who"], *case.get("via", []), case["may"], case["label"]]),
    )
    for scenario in SCENARIOS
    for case in scenario.cases
]
ANSWERED = [param for param in CASES if "answer" in param.values[1]]  # type: ignore[operator]


def subject(case: dict[str, Any]) -> Subject:
    return Subject(case["who"], tuple(case.get("via", [])), case.get("for", ""))


def plain_answer(model: str, scenario: Scenario, case: dict[str, Any], knows: Any = lambda *_: True) -> str:
    """Return what Casbin answers with this model, over the rows as they are written."""
    who, entry = subject(case), scenario.table().by_id.get(case["label"])
    answer = PlainCasbin(model, scenario.rows, knows).allows(
        who.chain,
        case["label"],
        entry.definition if entry else None,
        case["may"],
        who.purpose,
        case.get("at", NOW),
        case.get("claims"),
    )
    return "allow" if answer else "deny"


@pytest.mark.parametrize("scenario", NUMBERED)
def test_a_policy_of_the_page_is_read_or_refused_as_it_says(scenario: Scenario, tmp_path: Path) -> None:
    try:
        load_directory(scenario.written(tmp_path))
        found = ""
    except PolicyRefused as refused:
        (finding,) = refused.findings
        found = str(finding).replace(f"{tmp_path}/", "")
    assert found == scenario.refused


@pytest.mark.parametrize(("scenario", "case"), CASES)
def test_a_case_of_the_page_has_an_answer_unless_its_policy_is_refused(
    scenario: Scenario, case: dict[str, Any]
) -> None:
    assert set(case) <= CASE_KEYS
    assert ("answer" in case) is not bool(scenario.refused)
    assert ("plainer" in case) or not scenario.refused


@pytest.mark.parametrize(("scenario", "case"), ANSWERED)
def test_a_case_of_the_page_is_answered_as_it_says(
    scenario: Scenario, case: dict[str, Any], tmp_path: Path
) -> None:
    """Check, list and explanation must all say it."""
    snapshot = Snapshot.build(load_directory(scenario.written(tmp_path)).rows)
    table, who, now = scenario.table(), subject(case), case.get("at", NOW)
    expected = {"allow": True, "deny": False}[case["answer"]]
    if case["label"].endswith("/policy"):
        tenant = identifiers.tenant_of(case["label"])
        assert allowed_on_policy(snapshot, who, tenant, case["may"], now) is expected
        return
    entry = table.by_id[case["label"]]
    assert allowed(snapshot, who, entry, table, case["may"], now) is expected
    assert (entry.atom in readable_atoms(snapshot, table, who, action=case["may"], now=now)) is expected
    assert explain(snapshot, table, who, entry, action=case["may"], now=now).allowed is expected


@pytest.mark.parametrize(("scenario", "case"), CASES)
def test_the_plainer_model_answers_as_the_page_says(scenario: Scenario, case: dict[str, Any]) -> None:
    if SECTIONS[scenario.heading][0] != DIFFERENCES:
        assert "plainer" not in case
        return
    assert plain_answer(PLAINER, scenario, case) == case.get("plainer", case.get("answer"))
    assert case.get("plainer") != case.get("answer"), "a difference that is none"


def test_every_difference_is_in_the_table_and_is_one() -> None:
    listed = re.findall(
        r"^\| \[([^\]]+)\]\(#([a-z-]+)\) \| [A-Z].*\. \|$", SECTIONS[DIFFERENCES][1], re.MULTILINE
    )
    beneath = [title for title, (above, _) in SECTIONS.items() if above == DIFFERENCES and title != above]
    assert [title for title, _ in listed] == beneath[:-1]
    assert beneath[-1] == "The plainer model"
    for title, anchor in listed:
        assert anchor == re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        mine = [case for scenario in SCENARIOS if scenario.heading == title for case in scenario.cases]
        assert [case for case in mine if "plainer" in case], title


def conjuncts(model: str) -> list[str]:
    """Return the conditions a matcher joins by `&&`, as the model writes them."""
    text = casbin.Enforcer.new_model(text=model)["m"]["m"].value
    tree = ast.parse(
        re.sub(r"!(?!=)", "not ", text.replace("&&", "and").replace("||", "or")), mode="eval"
    ).body
    assert isinstance(tree, ast.BoolOp)
    assert isinstance(tree.op, ast.And)
    return [ast.unparse(value) for value in tree.values]


def without(number: int) -> str:
    """Return the shipped model without one of its conditions."""
    head, section, _ = model_text().partition("[matchers]")
    left = [text for place, text in enumerate(conjuncts(model_text())) if place != number]
    matcher = " && ".join(f"({text})" for text in left).replace("r_", "r.").replace("p_", "p.")
    return f"{head}{section}\nm = {matcher.replace(' and ', ' && ').replace(' or ', ' || ').replace('not ', '!')}\n"


@pytest.mark.parametrize("number", range(len(conjuncts(model_text()))))
def test_every_condition_of_the_model_decides_some_case_of_the_page(number: int, tmp_path: Path) -> None:
    """With the whole model a plain Casbin answers every case; with one condition less it does not."""
    whole, less = 0, 0
    for place, scenario in enumerate(SCENARIOS):
        if scenario.refused:
            continue
        folder = tmp_path / str(place)
        folder.mkdir()
        knows = Snapshot.build(load_directory(scenario.written(folder)).rows).knows
        for case in scenario.cases:
            asked = {name: value for name, value in case.items() if name != "claims"}
            whole += plain_answer(model_text(), scenario, asked, knows) != case["answer"]
            less += plain_answer(without(number), scenario, asked, knows) != case["answer"]
    assert whole == 0
    assert less > 0


def test_a_decision_is_described_by_as_many_conditions_as_the_model_has() -> None:
    items = re.findall(r"^(\d+)\. ", SECTIONS["How a decision is made"][1], re.MULTILINE)
    # Time is one item of the page and two conditions of the matcher.
    assert [int(item) for item in items] == list(range(1, len(conjuncts(model_text()))))


def table_rows(heading: str) -> list[list[str]]:
    """Return the cells of all table rows beneath a heading, but the heads."""
    found = []
    for line in SECTIONS[heading][1].splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            found.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def first_cells(heading: str) -> list[str]:
    return [name for cells in table_rows(heading) for name in re.findall(r"`([\w*]+)`", cells[0])]


def test_the_tables_name_every_row_field_action_and_relation() -> None:
    types = list(policy_rows._SHAPES)
    rule = [field.name for field in fields(policy_rows.Rule)]
    words = first_cells("policy.csv")
    assert words[: len(types) + len(rule)] == [*types, *rule]
    rest = words[len(types) + len(rule) :]
    assert len(rest) == len(set(rest))
    assert set(rest) == row_fields.ACTIONS | row_fields.RELATIONS
    described = {cells[0].strip("`"): cells[1].strip("`") for cells in table_rows("policy.csv")[1:6]}
    assert described == {kind: ", ".join(names) for kind, (names, _) in policy_rows._SHAPES.items()}


def test_the_table_of_label_fields_names_every_one() -> None:
    assert first_cells("labels.yaml") == [name for name in FIELDS if name != "tenant"]


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    plain = " ".join(TEXT.split())
    for said in (
        f"have at most {policy_text.LINE_CHARACTERS_MAX} characters",
        f"by at most {policy_checks.DEPTH_MAX} links",
        f"A level, 0 to {LEVEL_MAX}, and compartments",
        f"at most {subjects.CHAIN_MAX} together",
        "A tenant has at most 63 of `a-z 0-9 -`, a name at most 127 of `a-z 0-9 . _ @ + = -`",
        f"without it, {NOW}",
    ):
        assert said in plain, said
    for pattern, longest in ((identifiers.TENANT, 63), (identifiers.NAME, 127)):
        assert pattern.fullmatch("a" * longest)
        assert not pattern.fullmatch("a" * (longest + 1))


NEVER = [cells for cells in table_rows("What is refused") if cells[0] != "never"]


@pytest.mark.parametrize("cells", NEVER, ids=[cells[0] for cells in NEVER])
def test_what_the_page_says_is_never_read_is_refused_with_what_it_says(
    cells: list[str], tmp_path: Path
) -> None:
    _, lines, found = cells
    (tmp_path / "policy.csv").write_text("\n".join([RULE, *re.findall("`([^`]+)`", lines)]), encoding="utf-8")
    with pytest.raises(PolicyRefused) as refused:
        load_directory(tmp_path)
    assert all(found.strip("`") in finding.found for finding in refused.value.findings), refused.value


def test_the_page_has_no_block_that_is_not_executed() -> None:
    assert len(NEVER) >= 20
    assert sorted({kind for kind, _ in BLOCK.findall(TEXT)}) == ["ini", "yaml"]
    assert len(BLOCK.findall(TEXT)) == TEXT.count("```") // 2 == len(SCENARIOS) + 1
