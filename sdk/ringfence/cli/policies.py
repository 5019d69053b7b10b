"""Commands about policies: check the files of one, run its tests, show the one a store has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from .answers import finish, lines, table
from .explaining import ARROW, verdict_lines
from .failures import DONE, MISUSE, NOT_DONE
from .options import AsJson, AsSubject, StorePath
from .printable import visible
from .stores import opened

if TYPE_CHECKING:
    from ringfence_governance.errors import Finding
    from ringfence_governance.policy_cases import CaseResult


def lint(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with policy.csv and, if wanted, labels.yaml.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check the files of a policy; list everything wrong, each with file and line."""
    from ringfence_governance.errors import PolicyRefused
    from ringfence_governance.policy_text import load_directory

    try:
        bundle = load_directory(directory)
    except PolicyRefused as refused:
        _refuse(refused.findings, as_json=as_json)
    facts = {
        "valid": True,
        "rules": len(bundle.rows.rules),
        "links": len(bundle.rows.links),
        "facts": len(bundle.rows.facts),
        "labels": len(bundle.labels),
        "findings": [],
    }
    counts = ", ".join(f"{facts[name]} {name}" for name in ("rules", "links", "facts", "labels"))
    finish(facts, lines(f"valid: {counts}"), as_json=as_json)


def run_tests(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with policy.csv, tests.yaml and, if wanted, labels.yaml."),
    ],
    as_json: AsJson = False,
) -> None:
    """Put the cases of tests.yaml to a policy; list those it answers otherwise, each with the reasons."""
    from ringfence_governance.ambient import Ambient
    from ringfence_governance.cases_text import load_cases
    from ringfence_governance.policy_cases import run_cases
    from ringfence_governance.policy_rows import to_fields

    bundle, cases = load_cases(directory)
    found = run_cases(bundle, cases, Ambient().now())
    untested = [", ".join(to_fields(rule)) for rule in found.untested]
    facts = {
        "passed": len(found.results) - len(found.failed),
        "failed": len(found.failed),
        "cases": [result.to_mapping() for result in found.results],
        "untested": untested,
    }
    shown: list[str | Text] = [line for result in found.failed for line in _failed(cases.file, result)]
    shown += [f"no case turns on the rule  {rule}" for rule in untested]
    shown.append(f"{facts['passed']} passed, {facts['failed']} failed")
    finish(facts, lines(*shown), as_json=as_json, code=NOT_DONE if found.failed else DONE)


def show(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Show, to an administrator, the rows of his tenant's policy, and who added each."""
    with opened(store) as open_store:
        rows = list(open_store.as_user(subject).policy())

    def show_rows(out: Console) -> None:
        cells = [(row["row"], row["at"], row["who"], row["why"]) for row in rows]
        out.print(table(["row", "at", "who", "why"], cells))

    facts = {"rows": rows, "count": len(rows)}
    finish(facts, show_rows, as_json=as_json, code=DONE if rows else NOT_DONE)


def _refuse(findings: Sequence[Finding], *, as_json: bool) -> NoReturn:
    facts = {
        "valid": False,
        "rules": 0,
        "links": 0,
        "facts": 0,
        "labels": 0,
        "findings": [asdict(finding) for finding in findings],
    }
    finish(
        facts,
        lines(*map(str, findings), f"not valid: {len(findings)} findings"),
        as_json=as_json,
        code=MISUSE,
    )


def _failed(file: str, result: CaseResult) -> Iterator[str | Text]:
    """Yield the lines that tell people what a case asked, what was found, and why."""
    case = result.case
    purpose = f" for {case.purpose}" if case.purpose else ""
    asked = f"{ARROW.join((case.who, *case.via))}, {case.may} {case.label}{purpose} at {result.at}"
    yield Text.assemble(("failed: ", "bold red"), visible(f"{file}:{case.line}: {asked}"))
    if result.failure == "disagreement":
        yield "  the ways to ask disagree: " + ", ".join(f"{way} {said}" for way, said in result.ways.items())
    error = ", an error while deciding" if result.failure == "error" else ""
    yield f"  expected {case.answer}, found {result.found}{error}"
    for reason in result.reasons:
        yield from (f"  {line}" for line in verdict_lines(reason.to_mapping()))
